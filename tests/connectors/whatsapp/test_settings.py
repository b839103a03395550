"""Settings are checked before anything is connected, and what is wrong is named with its key."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.registry import available, connector_type
from sendpool.connectors.whatsapp.connector import WhatsAppConnector
from sendpool.connectors.whatsapp.settings import read_settings
from sendpool.domain.failures import Repair
from sendpool.domain.sender import Channel
from sendpool.pipeline.repair import repairs_of


def settings(sender: dict[str, Any] | None = None, **options: Any) -> ConnectionSettings:
    given: dict[str, Any] = {
        "channel": Channel.WHATSAPP,
        "address": "+12034458910",
        "options": {"phone_number_id": "1065"},
        **(sender or {}),
    }
    return ConnectionSettings(
        name="meta",
        type="whatsapp",
        window=options.pop("window", None),
        senders=(SenderSettings(**given),),
        options={"access_token": "t", **options},
    )


def test_the_type_is_built_in() -> None:
    assert "whatsapp" in available()
    assert connector_type("whatsapp") is WhatsAppConnector


def test_defaults_are_metas_own_host_and_a_version() -> None:
    read = read_settings(settings(business_account_id=1020))

    assert read.root == "https://graph.facebook.com/v23.0"
    assert read.business_account_id == 1020
    assert "t" not in repr(read).removeprefix("WhatsAppSettings(https://graph.facebook.com/v23.0)")


def test_a_provider_may_stand_in_for_meta_with_a_path() -> None:
    assert read_settings(settings(base_url="https://waba.example/meta/")).root == "https://waba.example/meta/v23.0"


@pytest.mark.parametrize(
    ("options", "finds"),
    [({}, False), ({"business_account_id": 1020}, True), ({"business_account_id": 1020, "all_numbers": False}, False)],
)
def test_senders_are_found_where_the_account_is_named(options: dict[str, Any], finds: bool) -> None:
    assert WhatsAppConnector.finds(settings(**options)) is finds


def test_who_names_a_template_can_repair_with_it() -> None:
    template = {"name": "notice"}
    of_number = settings({"options": {"phone_number_id": 1, "window_template": template}})

    assert repairs_of(of_number, of_number.senders[0]) == {Repair.TEMPLATE}
    of_connection = settings(window_template=template)
    assert repairs_of(of_connection, of_connection.senders[0]) == {Repair.TEMPLATE}
    assert repairs_of(settings(), settings().senders[0]) == frozenset()
    assert repairs_of(ConnectionSettings(name="a", type="sandbox"), settings().senders[0]) == frozenset()
    assert repairs_of(ConnectionSettings(name="a", type="gone"), settings().senders[0]) == frozenset()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"access_token": "a b"}, "key 'access_token': expected a text of printable ASCII"),
        ({"access_token": ""}, "key 'access_token'"),
        ({"base_url": "graph.facebook.com"}, "key 'base_url': expected a URL without query"),
        ({"base_url": "https://x.example?token=1"}, "key 'base_url'"),
        ({"version": "23"}, "key 'version'"),
        ({"business_account_id": "WABA"}, "key 'business_account_id'"),
        ({"prove_secret": True}, "key 'prove_secret': there is no app_secret"),
        ({"reconnect_min": 5, "reconnect_max": 1}, "key 'reconnect_max'"),
        ({"window_template": {"language": "de"}}, "key 'window_template.name': it is missing"),
        ({"window": 0}, "key 'window'"),
        ({"token": "t"}, "key 'token': not a setting here; known are access_token"),
        ({"sender": {"channel": Channel.SMS}}, "sender +12034458910: key 'channel'"),
        ({"sender": {"address": "INFO"}}, "sender INFO: key 'address'"),
        ({"sender": {"options": {}}}, "sender +12034458910: key 'phone_number_id': it is missing; give it"),
        ({"sender": {"options": {"phone_number_id": "x"}}}, "sender +12034458910: key 'phone_number_id'"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="key") as error:
        WhatsAppConnector.check(settings(**wrong))

    assert str(error.value).startswith(said)
