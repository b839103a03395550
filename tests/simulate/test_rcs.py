"""The simulated RCS platform answers, delivers and fails as its script says, on real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
from aiohttp import web

from sendpool.connectors.rcs.access import ServiceAccount, grant
from sendpool.simulate import rcs_accounts
from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_script import KINDS, RCS_FAULT_HELP, NoRcs, RcsScript, RefuseRequest, parse_rcs_fault
from sendpool.simulate.script import ScriptError
from sendpool.testing.clock import VirtualTimeLoop
from sendpool.testing.connector_suite import until

PERSON = "+447700900123"
SECRET = "SJENCPGJESMGUFPY"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests here run in virtual time: waiting takes none."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Listener:
    """A webhook that keeps what it hears, and answers `status`."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.url = ""
        self._server: asyncio.Server | None = None
        self._web = web.Server(self._hear, access_log=None)

    async def listen(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/events"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._web.shutdown(1.0)

    async def _hear(self, request: web.BaseRequest) -> web.Response:
        self.heard.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(base64.b64decode(json.loads(body)["message"]["data"])) for _, body in self.heard]

    @property
    def kinds(self) -> list[str]:
        return [event["eventType"] for event in self.events]


class Client:
    """Requests as a plain client makes them."""

    def __init__(self, platform: RcsPlatform, listener: Listener, session: aiohttp.ClientSession) -> None:
        self.platform = platform
        self.listener = listener
        self._session = session

    async def call(self, method: str, path: str, body: object = None, token: str = "t") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.platform.url + path
        async with self._session.request(method, url, json=body, headers=headers) as response:
            return response.status, json.loads(await response.read() or b"null")

    async def send(self, phone: str = PERSON, message_id: str | None = None, **fields: Any) -> tuple[int, str]:
        name = message_id or str(uuid4())
        body = {"contentMessage": {"text": "Hello"}, "messageTrafficType": "TRANSACTION", **fields}
        path = f"/v1/phones/%2B{phone[1:]}/agentMessages?messageId={name}&agentId=a1"
        return (await self.call("POST", path, body))[0], name

    async def revoke(self, message_id: str, phone: str = PERSON) -> int:
        return (await self.call("DELETE", f"/v1/phones/%2B{phone[1:]}/agentMessages/{message_id}?agentId=a1"))[0]

    async def look_up(self, phone: str = PERSON, agent: str = "a1") -> tuple[int, Any]:
        return await self.call("GET", f"/v1/phones/%2B{phone[1:]}/capabilities?requestId={uuid4()}&agentId={agent}")


@contextlib.asynccontextmanager
async def rehearsal(*faults: str, **settings: Any) -> AsyncIterator[Client]:
    listener = Listener()
    await listener.listen()
    script = RcsScript(
        port=0,
        webhook=listener.url,
        client_token=SECRET,
        faults=tuple(map(parse_rcs_fault, faults)),
        **{"receipt_delay": 0.1, **settings},
    )
    async with RcsPlatform(script) as platform, aiohttp.ClientSession() as session:
        yield Client(platform, listener, session)
    await listener.stop()


# Messages and events


async def test_a_message_is_taken_delivered_and_told_with_a_signature() -> None:
    async with rehearsal() as client:
        status, name = await client.send(ttl="600s")
        await until(lambda: bool(client.listener.heard))

        (event,) = client.listener.events
        headers, body = client.listener.heard[0]
        data = base64.b64decode(json.loads(body)["message"]["data"])
        expected = base64.b64encode(hmac.digest(SECRET.encode(), data, "sha512")).decode()
        assert status == 200
        assert (event["eventType"], event["messageId"], event["senderPhoneNumber"]) == ("DELIVERED", name, PERSON)
        assert {key.lower(): value for key, value in headers.items()}["x-goog-signature"] == expected
        (message,) = client.platform.messages
        assert (message.text, message.ttl, message.state) == ("Hello", 600.0, "delivered")


async def test_a_repeated_id_is_answered_but_ignored() -> None:
    async with rehearsal() as client:
        _, name = await client.send()
        status, _ = await client.send(message_id=name, contentMessage={"text": "Something else"})
        await until(lambda: bool(client.listener.heard))
        await asyncio.sleep(1)

        totals = client.platform.totals()
        assert status == 200
        assert (totals.accepted, totals.repeats, totals.delivered) == (1, 1, 1)
        assert len(client.listener.heard) == 1


async def test_a_repeated_id_may_be_a_conflict() -> None:
    async with rehearsal(repeat_status=409) as client:
        _, name = await client.send()

        assert (await client.send(message_id=name))[0] == 409


async def test_a_message_is_read_after_it_was_delivered() -> None:
    async with rehearsal(read_delay=2) as client:
        await client.send()
        await until(lambda: len(client.listener.heard) == 2)

        assert client.listener.kinds == ["DELIVERED", "READ"]


async def test_an_event_that_is_not_acknowledged_comes_again() -> None:
    async with rehearsal() as client:
        client.listener.status = 503
        await client.send()
        await until(lambda: len(client.listener.heard) == 3)
        assert client.platform.unacknowledged == 1
        client.listener.status = 200
        await until(lambda: client.platform.unacknowledged == 0)

        ids = {event["eventId"] for event in client.listener.events}
        assert (len(client.listener.heard), len(ids)) == (4, 1)


@pytest.mark.parametrize(
    ("faults", "ttl", "kinds", "state"),
    [
        (["undelivered"], "20s", ["TTL_EXPIRATION_REVOKED"], "expired"),
        (["undelivered"], "0s", [], "held"),
        (["slow-receipt seconds=30"], "20s", ["TTL_EXPIRATION_REVOKED"], "expired"),
        (["slow-receipt seconds=30"], "40s", ["DELIVERED"], "delivered"),
        (
            ["slow-receipt seconds=30", "revoke-fails"],
            "20s",
            ["TTL_EXPIRATION_REVOKE_FAILED", "DELIVERED"],
            "delivered",
        ),
        (["undelivered", "revoke-fails"], "20s", ["TTL_EXPIRATION_REVOKE_FAILED"], "held"),
        (["silence"], "20s", [], "expired"),
        (["lost-event"], "20s", [], "delivered"),
        (["repeat-receipt times=3"], "20s", ["DELIVERED"] * 3, "delivered"),
    ],
)
async def test_what_becomes_of_a_message_within_its_ttl(
    faults: list[str], ttl: str, kinds: list[str], state: str
) -> None:
    async with rehearsal(*faults) as client:
        await client.send(ttl=ttl)
        await asyncio.sleep(60)

        assert client.listener.kinds == kinds
        assert client.platform.messages[0].state == state


@pytest.mark.parametrize(
    ("faults", "after", "status", "state"),
    [
        (["slow-receipt seconds=10"], 5, 200, "revoked"),
        (["slow-receipt seconds=10"], 15, 404, "delivered"),
        (["slow-receipt seconds=10", "revoke-fails"], 5, 404, "delivered"),
        (["silence"], 5, 200, "revoked"),
        (["lost-event"], 5, 404, "delivered"),
    ],
)
async def test_a_message_can_be_taken_back_until_it_is_delivered(
    faults: list[str], after: float, status: int, state: str
) -> None:
    async with rehearsal(*faults) as client:
        _, name = await client.send()
        await asyncio.sleep(after)
        assert await client.revoke(name) == status
        await asyncio.sleep(30)

        assert client.platform.messages[0].state == state


async def test_what_is_unknown_or_taken_back_already_cannot_be_taken_back() -> None:
    async with rehearsal("silence") as client:
        _, name = await client.send()

        assert await client.revoke(str(uuid4())) == 404
        assert await client.revoke(name, "+447700900124") == 404
        assert await client.revoke(name) == 200
        assert await client.revoke(name) == 404
        assert client.platform.totals().revokes_failed == 3


# Refusals


@pytest.mark.parametrize(
    ("fields", "message_id"),
    [
        ({}, "no-uuid"),
        ({"contentMessage": {}}, None),
        ({"contentMessage": {"text": "x" * 3073}}, None),
        ({"contentMessage": None}, None),
        ({"messageTrafficType": None}, None),
        ({"messageTrafficType": "SPAM"}, None),
        ({"ttl": "600"}, None),
        ({"priority": 5}, None),
    ],
)
async def test_a_message_that_is_not_well_formed_is_refused(fields: dict[str, Any], message_id: str | None) -> None:
    async with rehearsal() as client:
        assert (await client.send(message_id=message_id, **fields))[0] == 400
        assert client.platform.totals().accepted == 0


@pytest.mark.parametrize(
    ("fault", "status", "name", "words"),
    [
        ("refuse", 404, "NOT_FOUND", "Not found."),
        ("refuse status=403", 403, "PERMISSION_DENIED", "Permission denied."),
        ("refuse status=429 about=user", 429, "RESOURCE_EXHAUSTED", "limit of messages to this user"),
        ("refuse status=400 about=feature", 400, "INVALID_ARGUMENT", "does not support the feature"),
        ("no-rcs", 404, "NOT_FOUND", "Not found."),
    ],
)
async def test_errors_have_the_platforms_shape(fault: str, status: int, name: str, words: str) -> None:
    async with rehearsal(fault) as client:
        path = f"/v1/phones/%2B447700900123/agentMessages?messageId={uuid4()}&agentId=a1"
        body = {"contentMessage": {"text": "Hello"}, "messageTrafficType": "TRANSACTION"}
        answer = await client.call("POST", path, body)

        assert answer[0] == status
        assert (answer[1]["error"]["code"], answer[1]["error"]["status"]) == (status, name)
        assert words in answer[1]["error"]["message"]
        assert client.platform.totals().accepted == 0


async def test_throttle_lets_so_many_through_in_any_second() -> None:
    async with rehearsal("throttle mps=5") as client:
        at_once = [(await client.send(f"+4477009{n:05}"))[0] for n in range(8)]
        await asyncio.sleep(1.01)

        assert at_once == [200] * 5 + [429] * 3
        assert (await client.send("+447700900200"))[0] == 200


async def test_strangers_are_refused() -> None:
    async with rehearsal(token="t", agents=("a1",)) as client:
        assert (await client.call("GET", "/v1/phones/%2B447700900123/capabilities", token=""))[0] == 401
        assert (await client.call("GET", "/v1/phones/%2B447700900123/capabilities", token="other"))[0] == 401
        assert (await client.look_up(agent="a2"))[0] == 403
        assert (await client.look_up(agent=""))[0] == 403
        assert (await client.look_up())[0] == 200
        assert (await client.call("GET", "/v1/else"))[0] == 404
        assert (await client.call("PUT", "/v1/phones/%2B447700900123/capabilities?agentId=a1"))[0] == 404


# Look-ups


async def test_look_ups_tell_features_or_that_there_is_no_rcs() -> None:
    async with rehearsal("no-rcs destination=*2") as client:
        status, answer = await client.look_up("+447700900123")

        assert status == 200
        assert "REVOCATION" in answer["features"]
        assert (await client.look_up("+447700900122"))[0] == 404
        assert (await client.send("+447700900122"))[0] == 404


async def test_bulk_look_ups_tell_who_is_reachable() -> None:
    async with rehearsal("no-rcs destination=*2") as client:
        users = [f"+4477009{n:05}" for n in range(1000)]
        status, answer = await client.call("POST", "/v1/users:batchGet", {"users": users, "agentId": "a1"})

        assert status == 200
        assert answer["reachableUsers"] == [user for user in users if not user.endswith("2")]
        assert answer["totalRandomSampleUserCount"] == 750
        assert answer["reachableRandomSampleUserCount"] == 675
        assert client.platform.totals().looked_up == 1000


@pytest.mark.parametrize("users", [[], [PERSON] * 10_001, None])
async def test_bulk_look_ups_have_a_limit(users: Any) -> None:
    async with rehearsal() as client:
        assert (await client.call("POST", "/v1/users:batchGet", {"users": users, "agentId": "a1"}))[0] == 400


async def test_look_ups_fail_as_scripted() -> None:
    async with rehearsal("look-up-fails status=429 until=5", "slow-look-up seconds=3 from=5") as client:
        assert (await client.look_up())[0] == 429
        await asyncio.sleep(5)
        began = asyncio.get_running_loop().time()
        assert (await client.look_up())[0] == 200
        assert asyncio.get_running_loop().time() - began >= 3


async def test_numbers_of_other_regions_spoil_a_bulk_look_up() -> None:
    async with rehearsal("wrong-region destination=1*") as client:
        for users, status in (([PERSON], 200), ([PERSON, "+12034458910"], 400)):
            asked = {"users": users, "agentId": "a1"}
            assert (await client.call("POST", "/v1/users:batchGet", asked))[0] == status


# Connections


async def test_an_answer_that_is_kept_back_leaves_the_message_taken() -> None:
    async with rehearsal("no-answer") as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await client.send()

        assert client.platform.totals().delivered == 1


@pytest.mark.parametrize("answered", ["true", "false"])
async def test_a_drop_breaks_the_connection_at_its_every_nth_message(answered: str) -> None:
    async with rehearsal(f"drop after=2 answered={answered}") as client:
        await client.send("+447700900001")
        if answered == "true":
            assert (await client.send("+447700900002"))[0] == 200
        else:
            with pytest.raises(aiohttp.ClientError):
                await client.send("+447700900002")
        await client.send("+447700900003")

        assert client.platform.totals().drops == 1
        assert client.platform.totals().accepted == 3
        assert client.platform.connections_made == 2


async def test_an_outage_closes_the_port_and_keeps_events_for_later() -> None:
    async with rehearsal("outage from=1 until=3", receipt_delay=1.5) as client:
        await client.send()
        await asyncio.sleep(2)
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.send()
        assert client.listener.heard == []
        await asyncio.sleep(1.5)

        assert (await client.send())[0] == 200
        assert client.listener.kinds == ["DELIVERED"]


async def test_early_events_come_before_the_answer() -> None:
    async with rehearsal("early-receipt") as client:
        await client.send()

        assert client.listener.kinds == ["DELIVERED"]


# Determinism


async def test_the_same_seed_gives_the_same_fates_in_any_order() -> None:
    async def refused(order: list[int], seed: int) -> set[str]:
        async with rehearsal("refuse status=503 share=0.3", "no-rcs share=0.2", seed=seed) as client:
            for n in order:
                await client.send(f"+4477009{n:05}", str(UUID(int=n)))
            return {message.phone for message in client.platform.messages if message.status != 200}

    forwards = await refused(list(range(100)), seed=5)

    assert forwards == await refused(list(reversed(range(100))), seed=5)
    assert forwards != await refused(list(range(100)), seed=6)
    assert 25 <= len(forwards) <= 65


async def test_a_share_without_rcs_is_drawn_by_number_so_that_look_ups_and_sends_agree() -> None:
    async with rehearsal("no-rcs share=0.5", seed=3) as client:
        for n in range(40):
            phone = f"+4477009{n:05}"
            found = (await client.look_up(phone))[0]
            assert found == (await client.send(phone))[0] == (await client.send(phone))[0]


# Faults


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", '"" is none of refuse, throttle'),
        ("refuse-bind", '"refuse-bind" is none of refuse, throttle'),
        ("refuse status", '"status" is not of the form key=value'),
        ("refuse status=200", 'status "200" is no HTTP status of an error'),
        ("refuse status=x", 'status "x" is no number'),
        ("refuse about=weather", "about"),
        ("look-up-fails status=200", 'status "200" is no HTTP status of an error'),
        ("slow-look-up seconds=x", '"x" is no time in seconds'),
        ("slow-look-up", "seconds"),
        ("no-rcs from=5 until=3", "until=3 is not after from=5"),
        ("no-rcs colour=red", "colour"),
        ("outage", "an outage needs from= or until="),
    ],
)
def test_a_fault_that_cannot_be_read_is_named(text: str, said: str) -> None:
    with pytest.raises(ScriptError) as error:
        parse_rcs_fault(text)

    assert said in str(error.value)


def test_faults_are_read_with_what_narrows_them() -> None:
    assert parse_rcs_fault("no-rcs destination=*2 share=0.5") == NoRcs(destination="*2", share=0.5)
    assert parse_rcs_fault("refuse") == RefuseRequest(status=404)


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_in_the_help(kind: str) -> None:
    assert kind in RCS_FAULT_HELP


def test_a_script_checks_its_faults_and_times() -> None:
    with pytest.raises(ScriptError):
        RcsScript(read_delay="soon")
    with pytest.raises(ScriptError):
        RcsScript(faults=(RefuseRequest(status=200),))


# What people do, and the webhook


async def test_texts_taps_and_events_of_people_are_told() -> None:
    async with rehearsal() as client:
        webhook = client.platform.webhook

        assert await webhook.send_text(PERSON, "a1", "Hi")
        assert await webhook.tap(PERSON, "a1", "Yes", "y", action=True)
        assert await webhook.tell_event(PERSON, "a1", "UNSUBSCRIBE")
        client.listener.status = 503
        assert not await webhook.send_text(PERSON, "a1", "Hi")

        text, tap, event, _ = client.listener.events
        assert (text["text"], text["senderPhoneNumber"], text["agentId"]) == ("Hi", PERSON, "a1")
        assert tap["suggestionResponse"] == {"text": "Yes", "postbackData": "y", "type": "ACTION"}
        assert "messageId" not in tap
        assert event["eventType"] == "UNSUBSCRIBE"


async def test_the_handshake_names_token_and_secret() -> None:
    async with rehearsal() as client:
        assert await client.platform.webhook.verify("12345") == (200, b"")

        assert json.loads(client.listener.heard[0][1]) == {"clientToken": SECRET, "secret": "12345"}


# Service accounts


def _vectors() -> str:
    return (Path(__file__).parents[1] / "vectors" / "rcs.json").read_text(encoding="utf-8")


def _form(assertion: str, grant_type: str = "urn:ietf:params:oauth:grant-type:jwt-bearer") -> dict[str, str]:
    return {"grant_type": grant_type, "assertion": assertion}


async def test_a_grant_that_google_auth_signed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = json.loads(_vectors())["grant"]
    accounts = rcs_accounts.Accounts("", 3600)
    accounts.register(golden["account"]["client_email"], golden["public_key"])
    monkeypatch.setattr(time, "time", lambda: golden["issued_at"] + 5.0)

    # google-auth names Google's own endpoint as the audience, wherever it asks.
    answer = accounts.answer(_form(golden["assertion"]), "http://127.0.0.1:8790/token")

    assert accounts.takes(f"Bearer {answer['access_token']}")
    assert not accounts.takes(f"Basic {answer['access_token']}")
    accounts.withdraw()
    assert not accounts.takes(f"Bearer {answer['access_token']}")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        ({"late": 3700.0}, "invalid_grant"),
        ({"late": -3700.0}, "invalid_grant"),
        ({"signature": "AAAA"}, "invalid_grant"),
        ({"assertion": "nonsense"}, "invalid_grant"),
        ({"email": "stranger@example"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_a_grant_that_is_spoilt_is_refused(
    monkeypatch: pytest.MonkeyPatch, spoil: dict[str, Any], error: str
) -> None:
    golden = json.loads(_vectors())["grant"]
    accounts = rcs_accounts.Accounts("", 3600)
    accounts.register(spoil.get("email", golden["account"]["client_email"]), golden["public_key"])
    monkeypatch.setattr(time, "time", lambda: golden["issued_at"] + spoil.get("late", 5.0))
    assertion = spoil.get("assertion", golden["assertion"])
    if "signature" in spoil:
        assertion = f"{assertion.rpartition('.')[0]}.{spoil['signature']}"
    form = _form(assertion, spoil.get("grant_type", _form("")["grant_type"]))

    with pytest.raises(rcs_accounts.BadGrant) as refused:
        accounts.answer(form, golden["account"]["token_uri"])

    assert refused.value.error == error


async def test_a_grant_for_somebody_else_is_refused() -> None:
    accounts = rcs_accounts.Accounts("", 3600)
    made = accounts.make("http://127.0.0.1:8790/token")
    fields = {name: made[name] for name in ("client_email", "private_key", "private_key_id")}

    for token_uri, expected in (("http://127.0.0.1:8790/token", None), ("https://elsewhere.example", "invalid_scope")):
        form = _form(grant(ServiceAccount(**fields, token_uri=token_uri), time.time()))
        try:
            accounts.answer(form, "http://127.0.0.1:8790/token")
            error = None
        except rcs_accounts.BadGrant as bad:
            error = bad.error
        assert error == expected
