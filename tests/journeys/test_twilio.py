"""Twilio as a carrier of the real server: its numbers are senders by themselves, answers get lost, long texts, Seek."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sendpool.simulate.twilio import TwilioAccount
from sendpool.simulate.twilio_script import TwilioScript
from sendpool.simulate.web_faults import parse_web_fault

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

TOKEN, OURS = "journey-token", "+12034458910"


def connection(account: TwilioAccount, public_url: str = "") -> str:
    """The connection of the configuration that reaches an account."""
    return (
        f'[[connections]]\nname = "tw"\ntype = "twilio"\nbase_url = "{account.url}"\nresponse_timeout = 2\n'
        f'account_sid = "{account.script.account_sid}"\nauth_token = "{TOKEN}"\nmps = 100\n'
        + (f'public_url = "{public_url}"\n' if public_url else "")
    )


async def serve(rig: Rig, account: TwilioAccount) -> Server:
    """A server that the account can call back."""
    server = await rig.server(connection(account))
    server.write(connection(account, server.base))
    assert (await server.reload())["event"] == "configuration applied"
    await rig.until(server.senders, what="the number is a sender")
    return server


async def test_numbers_of_the_account_send_long_texts_and_are_found_by_twilios_sid(rig: Rig) -> None:
    # The second answer never comes, though the message got in.
    script = TwilioScript(port=0, auth_token=TOKEN, faults=(parse_web_fault("no-answer destination=*1"),))
    async with TwilioAccount(script) as account:
        server = await serve(rig, account)
        pool = await server.pool()

        operation = await server.send(pool, rig.phones(2), "A text of several parts. " * 20)
        await server.wait_stats(operation, delivered=2)

        assert len(account.messages) == 2
        for message in await server.fetch_all(operation):
            assert [one["status"] for one in message["attempts"]] == ["DELIVERED"]
            sent = next(one for one in account.messages if one.to == message["to"][0]["address"])
            # The client follows the redirect.
            assert (await server.call("GET", f"/v1/Messages/Seek/{sent.sid}"))["id"] == message["id"]


async def test_what_people_write_to_the_account_is_listed_and_a_stranger_is_refused(rig: Rig) -> None:
    async with TwilioAccount(TwilioScript(port=0, auth_token=TOKEN)) as account:
        server = await serve(rig, account)
        url = f"{server.base}/callbacks/tw/messages"
        fields = {"MessageSid": "SM" + "1" * 32, "From": "+447700900123", "To": OURS, "Body": "Thanks", "NumMedia": "0"}

        assert await account.callbacks.tell(url, fields) == 200
        body, headers = account.callbacks.signed(url, fields)
        assert await account.callbacks._post(body + b"x", headers, url) == 403

        (listed,) = await server.pages("/v1/Messages?status=INBOUND", "messages")
        assert (await server.message(listed["id"]))["content"]["text"] == "Thanks"
