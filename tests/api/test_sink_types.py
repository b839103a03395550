"""Sinks of each type: what they are made of is checked, and their secrets are never shown."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from sendpool.store.database import Query

SERVERS = {"servers": ["nats://nats.example.com", "tls://[2001:db8::1]:4223"]}
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def make(client: Any, kind: str, configuration: Any) -> Any:
    form = {"Description": "x", "SinkType": kind, "SinkConfiguration": json.dumps(configuration)}
    return await client.request("POST", "/v1/Sinks", urlencode(form).encode(), headers=FORM)


async def test_a_nats_sink_is_made_and_its_secrets_are_kept(client: Any) -> None:
    given = {**SERVERS, "user": "sendpool", "password": "hunter2"}

    made = await make(client, "nats", given)
    read = await client.get(f"/v1/Sinks/{made.json['sid']}")

    assert made.status == 201, made.body
    shown = {**SERVERS, "subject": "sendpool.{type}", "user": "sendpool"}
    assert made.json["sink_configuration"] == read.json["sink_configuration"] == shown
    assert b"hunter2" not in made.body + read.body + (await client.get("/v1/Sinks")).body


async def test_what_is_stored_of_its_secrets_is_encrypted(world: Any) -> None:
    await make(world.client, "nats", {**SERVERS, "token": "hunter2"})

    rows = await world.engine.database.read(_stored())

    assert len(rows) == 1
    assert "hunter2" not in rows[0][0]


def _stored() -> Any:
    rows = yield Query("SELECT configuration FROM sink")
    return rows


@pytest.mark.parametrize(
    ("configuration", "at", "says"),
    [
        ([], "", "must be a JSON object with servers"),
        ({}, ".servers", "a list of 1 to 10 URLs"),
        ({"servers": []}, ".servers", "a list of 1 to 10 URLs"),
        ({"servers": "nats://x"}, ".servers", "a list of 1 to 10 URLs"),
        ({"servers": ["nats://x"] * 11}, ".servers", "a list of 1 to 10 URLs"),
        ({"servers": ["nats://x", "http://x"]}, ".servers[1]", "must be nats:// or tls:// and a host"),
        ({"servers": ["nats://"]}, ".servers[0]", "must be nats:// or tls:// and a host"),
        ({"servers": ["nats://x:0"]}, ".servers[0]", "must be nats:// or tls:// and a host"),
        ({"servers": ["nats://x:99999"]}, ".servers[0]", "must be nats:// or tls:// and a host"),
        ({"servers": ["nats://x/path"]}, ".servers[0]", "must be nats:// or tls:// and a host"),
        ({"servers": ["nats://u:p@x"]}, ".servers[0]", "credentials do not belong in a server's URL"),
        ({"servers": [7]}, ".servers[0]", "a URL of at most 300 ASCII characters"),
        ({"servers": ["nats://" + "x" * 300]}, ".servers[0]", "a URL of at most 300 ASCII characters"),
        ({**SERVERS, "subject": "a b"}, ".subject", "words with dots between them"),
        ({**SERVERS, "subject": "a..b"}, ".subject", "words with dots between them"),
        ({**SERVERS, "subject": "a.>"}, ".subject", "words with dots between them"),
        ({**SERVERS, "subject": "$JS.API.{type}"}, ".subject", "words with dots between them"),
        ({**SERVERS, "subject": "a.{kind}"}, ".subject", "words with dots between them"),
        ({**SERVERS, "subject": "a" * 201}, ".subject", "at most 200 characters"),
        ({**SERVERS, "user": "u"}, ".password", "user and password go together"),
        ({**SERVERS, "password": "p"}, ".user", "user and password go together"),
        ({**SERVERS, "token": ""}, ".token", "text of 1 to 1,000 characters"),
        ({**SERVERS, "token": "t", "user": "u", "password": "p"}, ".token", "one or the other"),
        ({**SERVERS, "Token": "t"}, "", "did you mean token?"),
        ({**SERVERS, "batch_events": True}, "", "unknown field"),
    ],
)
async def test_what_is_wrong_with_a_nats_sink_is_said(client: Any, configuration: Any, at: str, says: str) -> None:
    answer = await make(client, "nats", configuration)

    assert answer.status == 400
    assert answer.contexts == [f"SinkConfiguration{at}"]
    assert says in answer.json["errors"][0]["message"]


@pytest.mark.parametrize("kind", ["kinesis", "segment", "email", "kafka"])
async def test_types_that_are_not_offered_are_named(client: Any, kind: str) -> None:
    answer = await make(client, kind, {"destination": "http://x"})

    assert answer.status == 400
    assert f'sinks of type {kind} are not offered by Sendpool; use \\"webhook\\" or \\"nats\\"' in answer.body.decode()


async def test_without_the_extra_a_nats_sink_is_refused_and_it_says_what_to_install(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sendpool.api.streams.configuration.find_spec", lambda name: None)

    answer = await make(client, "nats", SERVERS)
    webhook = await make(client, "webhook", {"destination": "http://x"})

    assert (answer.status, webhook.status) == (400, 201)
    assert 'install \\"sendpool[nats]\\"' in answer.body.decode()
