"""A bad option is named by its key, before anything connects."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.rcs.connector import RcsConnector
from sendpool.connectors.rcs.settings import RcsSettings, Traffic, agent_options, read_settings
from sendpool.domain.sender import Channel

AGENT = SenderSettings(channel=Channel.RCS, address="agent@rbm.goog")


def settings(*senders: SenderSettings, window: int | None = None, **options: Any) -> ConnectionSettings:
    return ConnectionSettings(name="google", type="rcs", window=window, senders=senders or (AGENT,), options=options)


def test_a_token_is_all_that_is_needed() -> None:
    read = read_settings(settings(token="t"))

    assert read.root == "https://rcsbusinessmessaging.googleapis.com"
    assert read.traffic_type is Traffic.TRANSACTION


def test_settings_that_design_names_are_taken() -> None:
    assert read_settings(settings(base_url="https://rcs.example:8443", token="t")).root == "https://rcs.example:8443"
    assert read_settings(settings(base_url="http://[::1]:8790/", token="t")).root == "http://[::1]:8790"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "key 'service_account_file': give either it or token"),
        ({"token": "t", "service_account_file": "f"}, "key 'service_account_file': give either it or token"),
        ({"service_account_file": "/nowhere.json"}, "key 'service_account_file': /nowhere.json cannot be read"),
        ({"token": ""}, "key 'token': expected a text of printable ASCII characters"),
        ({"token": "a b"}, "key 'token': expected a text of printable ASCII characters"),
        ({"token": "t", "tokn": "x"}, "key 'tokn': not a setting here; known are base_url, region"),
        ({"token": "t", "region": "mars"}, "key 'region': invalid enum value 'mars'"),
        ({"token": "t", "region": "us", "base_url": "https://a.example"}, "key 'region': base_url says already"),
        ({"token": "t", "traffic_type": "SPAM"}, "key 'traffic_type': invalid enum value 'SPAM'"),
        ({"token": "t", "response_timeout": 0}, "key 'response_timeout': expected float > 0"),
        ({"token": "t", "reconnect_min": 5, "reconnect_max": 2}, "key 'reconnect_max': it must not be below"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as error:
        RcsConnector.check(settings(**options))

    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    "base_url",
    ["", "rcs.example", "ftp://rcs.example", "https://", "https://rcs.example/v1", "https://u:p@rcs.example",
     "https://rcs.example?x=1", "https://rcs.example:0", "https://rcs.example:99999", "https://" + "x" * 70],
)  # fmt: skip
def test_a_base_url_names_a_host_and_nothing_else(base_url: str) -> None:
    with pytest.raises(ValueError, match=r"^key 'base_url': expected a URL without path"):
        RcsConnector.check(settings(base_url=base_url, token="t"))


def test_window_is_at_least_one() -> None:
    with pytest.raises(ValueError, match=r"^key 'window': expected 1 or more, got 0$"):
        RcsConnector.check(settings(token="t", window=0))


@pytest.mark.parametrize(
    ("sender", "said"),
    [
        (
            SenderSettings(channel=Channel.SMS, address="+1203"),
            "sender +1203: key 'channel': an RCS connection",
        ),
        (SenderSettings(channel=Channel.RCS, address="a/b"), "sender a/b: key 'address': expected an agent id"),
        (SenderSettings(channel=Channel.RCS, address="agént"), "sender agént: key 'address': expected an agent id"),
        (
            SenderSettings(channel=Channel.RCS, address="a1", options={"mood": "good"}),
            "sender a1: key 'mood': not a setting here; known are traffic_type",
        ),
    ],
)
def test_wrong_senders_are_named(sender: SenderSettings, said: str) -> None:
    with pytest.raises(ValueError) as error:
        RcsConnector.check(settings(sender, token="t"))

    assert str(error.value).startswith(said)


def test_an_agent_may_have_a_traffic_type_of_its_own() -> None:
    assert agent_options({}).traffic_type is None
    assert agent_options({"traffic_type": "PROMOTION"}).traffic_type is Traffic.PROMOTION


def test_settings_do_not_show_their_secrets() -> None:
    assert repr(RcsSettings(token="secret-1", client_token="secret-2")) == (
        "RcsSettings(https://rcsbusinessmessaging.googleapis.com)"
    )
