"""The simulated Twilio account, judged by Twilio's own library: its client sends, its validator checks callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from sendpool.simulate.script import ScriptError
from sendpool.simulate.twilio import TwilioAccount
from sendpool.simulate.twilio_script import Number, TwilioScript
from sendpool.simulate.web_faults import parse_web_fault

ACCOUNT, TOKEN, PERSON, OURS = "AC00000000000000000000000000000001", "12345", "+447700900123", "+12034458910"
SERVICE = "MG00000000000000000000000000000001"


class _Elsewhere(TwilioHttpClient):  # type: ignore[misc]  # it has no types
    """Takes requests for Twilio's host to the account that is simulated."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def request(self, method: str, url: str, *given: Any, **named: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._base), *given, **named)


class Rig:
    """The account, Twilio's client at it, and a server whose callbacks Twilio's validator checks."""

    def __init__(self, account: TwilioAccount, url: str) -> None:
        self.account = account
        self.url = url
        self.client = Client(ACCOUNT, TOKEN, http_client=_Elsewhere(account.url))
        self.told: list[dict[str, str]] = []
        self.answer = 204
        self._changed = asyncio.Condition()

    async def hear(self, request: web.BaseRequest) -> web.Response:
        form = dict(await request.post())
        signed = request.headers.get("X-Twilio-Signature", "")
        assert RequestValidator(TOKEN).validate(str(request.url), form, signed)
        async with self._changed:
            self.told.append({name: str(value) for name, value in form.items()})
            self._changed.notify_all()
        return web.Response(status=self.answer)

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(what)

    async def send(self, **what: Any) -> Any:
        given = {"to": PERSON, "from_": OURS, "body": "Hi", **what}
        return await asyncio.to_thread(self.client.messages.create, **given)

    def statuses(self) -> list[str]:
        return [one["MessageStatus"] for one in self.told]


Rehearse = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def rehearse() -> AsyncIterator[Rehearse]:
    """Makes accounts with these faults, each with Twilio's library at both ends."""
    async with AsyncExitStack() as stack:

        async def make(*faults: str, **settings: Any) -> Rig:
            rigs: list[Rig] = []

            async def hear(request: web.BaseRequest) -> web.Response:
                return await rigs[0].hear(request)

            ears = web.Server(hear, access_log=None)
            stack.push_async_callback(ears.shutdown, 1.0)
            server = await asyncio.get_running_loop().create_server(ears, "127.0.0.1", 0)
            stack.callback(server.close)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
            parsed = tuple(map(parse_web_fault, faults))
            script = TwilioScript(port=0, inbound=url, receipt_delay=0.01, faults=parsed, **settings)
            rigs.append(Rig(await stack.enter_async_context(TwilioAccount(script)), url))
            return rigs[0]

        yield make


async def test_the_client_sends_fetches_and_hears_of_the_delivery(rehearse: Rehearse) -> None:
    rig = await rehearse()

    sent = await rig.send(status_callback=f"{rig.url}?m=SM01")
    await rig.until(lambda: len(rig.told) == 2)
    fetched = await asyncio.to_thread(rig.client.messages(sent.sid).fetch)

    assert (sent.status, sent.to, sent.from_, sent.body) == ("queued", PERSON, OURS, "Hi")
    assert rig.statuses() == ["sent", "delivered"]
    assert {one["MessageSid"] for one in rig.told} == {sent.sid}
    assert fetched.status == "delivered"


async def test_a_service_picks_the_number_and_files_make_it_an_mm(rehearse: Rehearse) -> None:
    rig = await rehearse(services=(SERVICE,))

    sent = await rig.send(from_=None, messaging_service_sid=SERVICE, media_url=["https://shop.example/a.png"])

    assert (sent.status, sent.from_, sent.num_media) == ("accepted", None, "1")
    assert sent.sid.startswith("MM")


async def test_the_client_lists_by_recipient_and_day(rehearse: Rehearse) -> None:
    rig = await rehearse()
    sids = [(await rig.send(body=f"No. {n}")).sid for n in range(3)]
    await rig.send(to="+447700900999")
    today, tomorrow = datetime.now(UTC).date(), datetime.now(UTC).date() + timedelta(days=2)

    listed = await asyncio.to_thread(rig.client.messages.list, to=PERSON, date_sent_after=today, page_size=2)
    later = await asyncio.to_thread(rig.client.messages.list, to=PERSON, date_sent_after=tomorrow)

    assert [one.sid for one in listed] == sids[::-1]
    assert later == []


async def test_the_client_lists_the_numbers_over_all_pages(rehearse: Rehearse) -> None:
    numbers = tuple(Number(phone_number=f"+1203445891{n}") for n in range(5))
    rig = await rehearse(numbers=numbers, short_codes=("62442",))

    listed = await asyncio.to_thread(rig.client.incoming_phone_numbers.list, page_size=2)
    codes = await asyncio.to_thread(rig.client.short_codes.list)

    assert [one.phone_number for one in listed] == [one.phone_number for one in numbers]
    assert all(one.capabilities["sms"] for one in listed)
    assert [one.short_code for one in codes] == ["62442"]


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"to": "+1"}, 21211),
        ({"from_": "+15550000000"}, 21660),
        ({"from_": None, "messaging_service_sid": "MG" + "0" * 32}, 21701),
        ({"from_": None}, 21603),
        ({"body": ""}, 21602),
        ({"body": "a" * 1_601}, 21617),
    ],
)
async def test_what_the_api_refuses_is_refused_with_its_code(
    rehearse: Rehearse, what: dict[str, Any], code: int
) -> None:
    rig = await rehearse()

    with pytest.raises(TwilioRestException) as refused:
        await rig.send(**what)

    assert (refused.value.code, refused.value.status) == (code, 400)
    assert rig.account.messages == []


async def test_faults_of_the_script_befall_messages(rehearse: Rehearse) -> None:
    rig = await rehearse("refuse status=21610 destination=*1", "undelivered err=30003 destination=*2", "throttle mps=2")

    with pytest.raises(TwilioRestException) as refused:
        await rig.send(to="+447700900001")
    await rig.send(to="+447700900002", status_callback=rig.url)
    await rig.until(lambda: len(rig.told) == 2)
    await rig.send()
    with pytest.raises(TwilioRestException) as too_fast:
        await rig.send()

    assert refused.value.code == 21610
    # Two callbacks in a row may overtake each other.
    assert {one["MessageStatus"]: one.get("ErrorCode") for one in rig.told} == {"sent": None, "undelivered": "30003"}
    assert (too_fast.value.code, too_fast.value.status) == (20429, 429)


async def test_callbacks_are_said_again_only_where_their_address_asks(rehearse: Rehearse) -> None:
    rig = await rehearse(sent_status=False, resend_after=0.01)
    rig.answer = 503

    await rig.send(to="+447700900001", status_callback=f"{rig.url}#rc=2&rp=5xx")
    await rig.until(lambda: len(rig.told) == 3)
    await rig.send(to="+447700900002", status_callback=rig.url)
    await rig.until(lambda: len(rig.told) == 4)

    assert [one["To"][-1] for one in rig.told] == ["1", "1", "1", "2"]


async def test_people_write_to_the_account(rehearse: Rehearse) -> None:
    rig = await rehearse()

    acknowledged = await rig.account.send_text(PERSON, OURS, "STOP")

    assert not acknowledged  # 204 is no TwiML.
    assert (rig.told[0]["From"], rig.told[0]["Body"], rig.told[0]["NumMedia"]) == (PERSON, "STOP", "0")


async def test_a_wrong_token_is_refused(rehearse: Rehearse) -> None:
    rig = await rehearse()
    client = Client(ACCOUNT, "another", http_client=_Elsewhere(rig.account.url))

    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(client.messages("SM" + "0" * 32).fetch)

    assert (refused.value.code, refused.value.status) == (20003, 401)


def test_a_fault_that_does_not_exist_is_named() -> None:
    with pytest.raises(ScriptError, match="closed-window"):
        parse_web_fault("closed-window")
