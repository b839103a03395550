"""Pools of the file: settings as the API has them, members, and errors with their remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sendpool.config import ConfigError, load
from sendpool.domain.pool import DeclaredMember, DeclaredPool
from sendpool.domain.sender import Channel


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "sendpool.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {})


def test_a_pool_has_its_settings_by_the_names_of_the_api(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        [[pools]]
        name = "alerts"
        account = "AC1"
        preference = "Sticky"
        grace = 5
        reach = ["rcs", "SMS", "WhatsApp"]
        allow_countries = ["us", "CA", "US"]
        deny_countries = []
        quiet_hours = ["21:00", "08:00"]
        quiet_hours_exempt = ["otp", "Transactional"]
        health = false
        health_min_sample = 200
        health_worse_by = 0.3
        health_trickle = 0.1
        health_step = 60
        category = "OTP"
        fallback_after = 30
        duplicates = "Avoid"
        open_outcome = "failover"
        [[pools.members]]
        channel = "sms"
        address = "62442"
        weight = 2
        [[pools.members]]
        channel = "SMS"
        address = "+12034458910"
        tier = 1
        [[pools]]
        name = "bulk"
        """,
    )

    assert config.pools == (
        DeclaredPool(
            name="alerts",
            account="AC1",
            settings={
                "preference": "sticky",
                "grace": 5.0,
                "reach": ["RCS", "SMS", "WHATSAPP"],
                "countries": {"allow": ["US", "CA"], "deny": []},
                "quietHours": {"start": "21:00", "end": "08:00", "exempt": ["otp", "transactional"]},
                "health": {"off": True, "minSample": 200, "worseBy": 0.3, "trickle": 0.1, "step": 60.0},
                "category": "otp",
                "fallbackAfter": 30.0,
                "duplicates": "avoid",
                "openOutcome": "failover",
            },
            members=(
                DeclaredMember(channel=Channel.SMS, address="62442", weight=2.0),
                DeclaredMember(channel=Channel.SMS, address="+12034458910", tier=1),
            ),
        ),
        DeclaredPool(name="bulk"),
    )


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("", 'pools[0].name: it is missing; write for example name = "alerts"'),
        ('name = "a"\ncolour = 1', "pools[0].colour: not a setting here; known are name"),
        ('name = "a"\npreference = "best"', 'pools[0].preference: expected "spread", "sticky" or "match"'),
        ('name = "a"\ngrace = 0', "pools[0].grace: expected a number of seconds from 1 to 300, got 0"),
        ('name = "a"\ngrace = 301', "pools[0].grace: expected"),
        ('name = "a"\nreach = []', "pools[0].reach: expected a list out of"),
        ('name = "a"\nreach = ["SMS", "sms"]', "pools[0].reach: expected a list out of"),
        ('name = "a"\nreach = ["EMAIL"]', "pools[0].reach: expected a list out of"),
        ('name = "a"\nallow_countries = ["UK"]', 'pools[0].allow_countries: "UK" is no country; the United Kingdom is'),
        ('name = "a"\ndeny_countries = ["America"]', 'pools[0].deny_countries: "America" is no country; write an ISO'),
        ('name = "a"\nquiet_hours = ["21:00"]', "pools[0].quiet_hours: expected two times of day"),
        ('name = "a"\nquiet_hours = ["9 pm", "8 am"]', "pools[0].quiet_hours: expected two times of day"),
        ('name = "a"\nquiet_hours = ["08:00", "08:00"]', "pools[0].quiet_hours: the two times are the same"),
        ('name = "a"\nquiet_hours_exempt = ["news"]', "pools[0].quiet_hours_exempt: expected a list of categories"),
        ('name = "a"\nfallback_after = 4', "pools[0].fallback_after: expected"),
        ('name = "a"\nduplicates = "never"', 'pools[0].duplicates: expected "avoid" or "tolerate"'),
        ('name = "a"\nopen_outcome = "fail"', 'pools[0].open_outcome: expected "report" or "failover"'),
        ('name = "a"\n[[pools]]\nname = "a"', 'pools[1].name: pools[0] is called "a" too; give each pool'),
        ('name = "a"\nmembers = 1', "pools[0].members: expected a list of tables; write [[pools.members]]"),
        ('name = "a"\n[[pools.members]]\nchannel = "SMS"', "pools[0].members[0].address: it is missing"),
        (
            'name = "a"\n[[pools.members]]\nchannel = "SMS"\naddress = "1234"\nweight = 0',
            "pools[0].members[0].weight: expected a number from 0.01 to 1000",
        ),
        (
            'name = "a"\n[[pools.members]]\nchannel = "SMS"\naddress = "1234"\ntier = 100',
            "pools[0].members[0].tier: expected a whole number from 0 to 99",
        ),
        (
            'name = "a"\n[[pools.members]]\nchannel = "SMS"\naddress = "1"\n'
            '[[pools.members]]\nchannel = "SMS"\naddress = "1"',
            "pools[0].members[1].address: it is members[0] already; leave one of the two out",
        ),
    ],
)
def test_a_bad_pool_is_refused_with_its_remedy(lines: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, f"[[pools]]\n{lines}")

    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('country = "UK"', 'senders[0].country: "UK" is no country; the United Kingdom is "GB"'),
        ('countries = ["XX"]', 'senders[0].countries: "XX" is no country'),
        ('not_countries = "US"', "senders[0].not_countries: expected a list of countries"),
        ('campaign = ""', "senders[0].campaign: expected a text of 1 to 64 characters"),
    ],
)
def test_a_sender_says_where_it_sends(line: str, problem: str, tmp_path: Path) -> None:
    head = '[[connections]]\nname = "a"\ntype = "sandbox"\nrequire_campaign = ["us"]\n[[connections.senders]]\n'
    head += 'channel = "SMS"\naddress = "62442"\n'
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, head + line)
    assert problem in str(refused.value)

    (connection,) = read(
        tmp_path, head + 'country = "us"\ncountries = ["US", "ca"]\nnot_countries = ["fr"]\ncampaign = "C1"'
    ).connections
    (sender,) = connection.senders
    assert connection.require_campaign == ("US",)
    assert (sender.country, sender.countries, sender.not_countries) == ("US", ("US", "CA"), ("FR",))
    assert (sender.campaign, sender.options) == ("C1", {})
