"""Wrong settings are refused at the start, with what is wrong, where, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.config.connections import read_connections
from sendpool.config.setting import ConfigError
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.http.connector import HttpConnector
from sendpool.connectors.registry import connector_type
from sendpool.domain.sender import Channel

TOKEN = {"type": "token", "header": "X-Token", "value": "0123456789abcdef"}
CALLBACK = {"verify": TOKEN, "status": "s", "statuses": {"ok": "DELIVERED"}, "id": "id"}


def settings(sender: dict[str, Any] | None = None, **options: Any) -> ConnectionSettings:
    given: dict[str, Any] = {"channel": Channel.SMS, "address": "+12034458910", **(sender or {})}
    own = {"request": {"url": "https://api.example/sms"}, **options}
    return ConnectionSettings(
        name="api",
        type="http",
        window=own.pop("window", None),
        senders=(SenderSettings(**given),),
        options={key: value for key, value in own.items() if value is not None},
    )


def request(**changes: Any) -> ConnectionSettings:
    return settings(request={"url": "https://api.example/sms", **changes})


def response(**changes: Any) -> ConnectionSettings:
    return settings(response=changes)


def callback(**changes: Any) -> ConnectionSettings:
    return settings(callback={key: value for key, value in {**CALLBACK, **changes}.items() if value is not None})


def test_the_type_is_built_in_and_needs_no_more_than_a_url() -> None:
    assert connector_type("http") is HttpConnector
    HttpConnector.check(settings())
    HttpConnector.check(callback())


HASHED = {"type": "hmac", "secret": "s" * 16, "header": "X-Signature", "timestamp_header": "X-Time"}
KEY = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
FIELDS = {"type": "fields", "secret": "s" * 16}
SIGNED = {"type": "ed25519", "public_key": KEY, "header": "X-Signature", "timestamp_header": "X-Time"}


@pytest.mark.parametrize("verify", [HASHED, SIGNED, FIELDS, {**HASHED, "input": "{{timestamp}}{{body}}{{method}}"}])
def test_a_signature_that_does_not_cover_what_names_the_message_is_warned_of(verify: dict[str, Any]) -> None:
    (caution,) = HttpConnector.cautions(callback(verify=verify))

    assert "one true report can be turned on other messages" in caution.says
    assert "callback.reference" in caution.remedy


@pytest.mark.parametrize(
    "changes",
    [
        {"reference": "ref", "verify": HASHED},
        {"verify": {**HASHED, "input": "{{ url }}{{body}}"}},
        {"verify": {**SIGNED, "input": "{{body}}|{{path}}"}},
        {"verify": {"type": "token", "value": "t" * 16, "header": "X-Token"}},
    ],
)
def test_one_that_covers_it_is_not(changes: dict[str, Any]) -> None:
    assert HttpConnector.cautions(callback(**changes)) == []


def test_without_callbacks_there_is_nothing_to_warn_of() -> None:
    assert not HttpConnector.cautions(settings())


WRONG = [
    (settings(request=None), "request", "it is missing"),
    (request(url=""), "request.url", "expected"),
    (request(url="api.example/sms"), "request.url", "expected a whole URL whose host has no fields, such as"),
    (request(url="https://{{sender}}.example/"), "request.url", "expected a whole URL whose host has no fields"),
    (request(url="https://api.example{{sender}}/"), "request.url", "expected a whole URL whose host has no fields"),
    (request(url="https://u:p@api.example/"), "request.url", "expected a whole URL whose host has no fields"),
    (request(url="https://a.example/{{txt}}"), "request.url", "{{txt}} is no field here; did you mean {{text}}?"),
    (request(url="https://a.example/{{text"), "request.url", "expected each {{ to be closed, as in {{text}}"),
    (request(method="PATCH"), "request.method", "invalid enum value 'PATCH'"),
    (request(method="GET", form={"a": "b"}), "request.method", "a GET has no body; put the fields into request.url"),
    (request(json={}, form={}), "request.form", "there is a json too; a body is one of them, leave the other out"),
    (request(json={"to": [{"n": "{{t}}"}]}), "request.json.to.0.n", "{{t}} is no field here; did you mean {{to}}?"),
    (request(form={"a": {"b": "c"}}), "request.form[...]", "expected"),
    (request(headers={"a b": "c"}), "request.headers", "expected"),
    (request(headers={"X": "{{nobody}}"}), "request.headers.X", "{{nobody}} is no field here; known are"),
    (request(headers={"X": "a\nb"}), "request.headers.X", "expected one line of Latin-1; leave other characters out"),
    (request(json={"a": "{{secret.key}}"}), "request.json.a", "{{secret.key}} is no field here"),
    (request(json={"a": "{{callback_url}}"}), "public_url", "it is missing; {{callback_url}} in request needs it"),
    (request(shortest_validity=9, longest_validity=8), "request.longest_validity", "it must not be below"),
    (request(longest_text=0), "request.longest_text", "expected"),
    (request(bdy="x"), "request.bdy", "not a setting here; leave it out, or look"),
    (settings(auth={"type": "digest"}), "auth.type", "invalid value 'digest'"),
    (settings(auth={"type": "bearer"}), "auth.token", "it is missing"),
    (settings(auth={"type": "bearer", "token": "a\nb"}), "auth.token", "expected one line of Latin-1; look whether"),
    (settings(auth={"type": "hmac", "secret": "s", "header": "X", "algorithm": "md5"}), "auth.algorithm", "invalid"),
    (
        settings(auth={"type": "hmac", "secret": "s", "header": "X", "input": "{{bdy}}"}),
        "auth.input",
        "{{bdy}} is no field here; did you mean {{body}}?",
    ),
    (response(accepted=[99]), "response.accepted[0]", "expected"),
    (response(id="a..b"), "response.id", "expected"),
    (response(success={"path": "s", "equals": ["0"]}), "response.codes", "it is missing; say where the code stands"),
    (response(classes={"1": "FATAL"}), "response.classes", 'code "1" has class "FATAL"; it must be one of OK'),
    (response(table="telnix"), "response.table", 'there is no "telnix"; did you mean telnyx?'),
    (response(throttles="world"), "response.throttles", "invalid enum value 'world'"),
    (callback(verify=None), "callback.verify", "it is missing"),
    (callback(verify={"type": "none"}), "callback.verify.type", "invalid value 'none'"),
    (callback(verify={**TOKEN, "value": "short"}), "callback.verify.value", "expected"),
    (callback(verify={**TOKEN, "query": "k"}), "callback.verify.query", "give either it or header"),
    (
        callback(verify={"type": "hmac", "secret": "s", "header": "X", "input": "{{timestamp}}.{{body}}"}),
        "callback.verify.timestamp_header",
        "it is missing; input has a {{timestamp}}",
    ),
    (
        callback(verify={"type": "ed25519", "public_key": "abc", "header": "X", "input": "{{body}}"}),
        "callback.verify.public_key",
        "expected 32 octets in base64, as the carrier shows its key",
    ),
    (callback(status=None), "callback.status", "it is missing; give it, or inbound"),
    (callback(statuses={}), "callback.statuses", "it is missing; say which state each word of the carrier means"),
    (callback(statuses={"ok": "DELIVRED"}), "callback.statuses.ok", 'there is no "DELIVRED"; did you mean DELIVERED?'),
    (callback(classes={"1": "BAD"}), "callback.classes", 'code "1" has class "BAD"; it must be one of OK'),
    (callback(inbound={"sender": "a"}), "callback.inbound.recipient", "it is missing"),
    (settings(public_url="here"), "public_url", "expected a URL without query"),
    (settings(reconnect_min=9, reconnect_max=1), "reconnect_max", "it must not be below reconnect_min"),
    (settings(window=0), "window", "expected 1 or more, got 0"),
    (settings(url="https://a.example"), "url", "not a setting here; known are request, response, auth, callback"),
]


@pytest.mark.parametrize(("given", "key", "problem"), WRONG, ids=[key for _, key, _ in WRONG])
def test_what_is_wrong_is_named(given: ConnectionSettings, key: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^key ") as wrong:
        HttpConnector.check(given)

    assert str(wrong.value).startswith(f"key '{key}': {problem}")


@pytest.mark.parametrize(
    ("sender", "problem"),
    [
        ({"channel": Channel.RCS}, "sender +12034458910: key 'channel': an HTTP connection carries SMS senders only"),
        ({"options": {"ton": 1}}, "sender +12034458910: key 'ton': not a setting here; leave it out"),
    ],
)
def test_what_is_wrong_with_a_sender_is_named(sender: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=r"^sender ") as wrong:
        HttpConnector.check(settings(sender))

    assert str(wrong.value) == problem


def test_the_file_says_where_it_stands() -> None:
    table = {"name": "api", "type": "http", "request": {"url": "https://a.example/", "json": {"to": "{{too}}"}}}

    with pytest.raises(ConfigError) as wrong:
        read_connections("sendpool.toml", [table])

    assert "connections[0].request.json.to: {{too}} is no field here; did you mean {{to}}?" in str(wrong.value)
