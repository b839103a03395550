"""Settings are checked before anything is connected, and what is wrong is named with its key."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.connectors.base import CarrierId, ConnectionSettings, Rejected, SenderSettings, Uncertain
from sendpool.connectors.registry import connector_type
from sendpool.connectors.twilio.connector import TwilioConnector
from sendpool.connectors.twilio.replies import judge
from sendpool.connectors.twilio.requests import Requests, encoded
from sendpool.connectors.twilio.settings import read_settings
from sendpool.connectors.web import Reply
from sendpool.domain.failures import FailureClass
from sendpool.domain.sender import Channel

ACCOUNT = "AC00000000000000000000000000000001"


def settings(sender: dict[str, Any] | None = None, **options: Any) -> ConnectionSettings:
    given: dict[str, Any] = {"channel": Channel.SMS, "address": "+12034458910", **(sender or {})}
    own = {"account_sid": ACCOUNT, "auth_token": "12345", **options}
    return ConnectionSettings(
        name="tw",
        type="twilio",
        window=own.pop("window", None),
        senders=(SenderSettings(**given),),
        options={key: value for key, value in own.items() if value is not None},
    )


def test_the_type_is_built_in() -> None:
    assert connector_type("twilio") is TwilioConnector


def test_defaults_are_twilios_own_host_and_no_secret_shows() -> None:
    read = read_settings(settings())

    assert read.root == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}"
    assert "12345" not in repr(read)


@pytest.mark.parametrize("address", ["+12034458910", "62442", "Cool Shop", "MG" + "0" * 31 + "1"])
def test_a_sender_is_a_number_a_code_a_name_or_a_service(address: str) -> None:
    read_settings(settings({"address": address}))


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (settings(account_sid="AC1"), "key 'account_sid': expected AC and 32 hex digits, as the console shows it"),
        (settings(account_sid=None), "key 'account_sid': it is missing"),
        (settings(auth_token=None), "key 'auth_token': it is missing; give it, or api_key_sid and api_key_secret"),
        (settings(api_key_sid="SK1"), "key 'api_key_secret': an API key has both"),
        (settings(base_url="api.twilio.com"), "key 'base_url': expected a URL without query"),
        (settings(public_url="https://a?b=1"), "key 'public_url': expected a URL without query"),
        (settings(messaging_service_sid="MG1"), "key 'messaging_service_sid': "),
        (settings(acount="x"), "key 'acount': not a setting here; known are account_sid, auth_token"),
        (settings(reconnect_min=9, reconnect_max=1), "key 'reconnect_max': it must not be below reconnect_min"),
        (settings(response_timeout=0), "key 'response_timeout': "),
        (settings(window=0), "key 'window': expected 1 or more, got 0"),
        (settings({"channel": Channel.EMAIL}), r"sender \+12034458910: key 'channel': a Twilio connection carries"),
        (settings({"address": "what a long name"}), "sender what a long name: key 'address': expected a number"),
        (settings({"channel": Channel.WHATSAPP, "address": "62442"}), "sender 62442: key 'address': expected a number"),
        (settings({"options": {"ton": 1}}), r"sender \+12034458910: key 'ton': not a setting here"),
    ],
)
def test_what_is_wrong_is_named(given: ConnectionSettings, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{wrong}"):
        TwilioConnector.check(given)


def test_an_api_key_signs_requests_in_place_of_the_token() -> None:
    read = read_settings(settings(api_key_sid="SK1", api_key_secret="s", auth_token=None))

    assert read.credentials == ("SK1", "s")


def test_requests_are_those_of_the_vectors(vectors: Any) -> None:
    requests = Requests(read_settings(settings()), "tw")

    assert requests.form_headers["Authorization"] == vectors["send"]["authorization"]
    assert encoded([tuple(pair) for pair in vectors["send"]["fields"]]).decode() == vectors["send"]["body"]


def test_answers_mean_what_the_vectors_say(vectors: Any) -> None:
    taken = judge(Reply(201, {}, vectors["accepted"].encode()), "SM01")
    refused = judge(Reply(400, {}, vectors["opted_out"].encode()), "SM01")

    assert taken == CarrierId("SM01", "SM0123456789abcdef0123456789abcdef")
    assert refused == Rejected(FailureClass.CONSENT, "21610", "pair", "twilio/21610")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"<html>", Uncertain),
        (502, b"<html>", Uncertain),
        (500, b'{"code":20500}', Uncertain),
        (503, b'{"code":99999}', Uncertain),
        (400, b'{"code":21999}', Rejected),
        (404, b"", Rejected),
    ],
)
def test_an_answer_without_a_code_we_know_is_judged_by_its_status(status: int, body: bytes, expected: type) -> None:
    assert isinstance(judge(Reply(status, {}, body), "SM01"), expected)
