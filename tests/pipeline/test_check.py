"""What `sendpool connections check` finds, against simulated carriers and what is no carrier, on real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.connectors.smtp.certificates import make_certificate
from tests.connectors.smtp.relay import EXTENSIONS, Relay

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import Channel
from sendpool.pipeline.check import Finding, check_connection
from sendpool.pipeline.remedies import remedy_of
from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_script import RcsScript
from sendpool.simulate.script import RefuseBind, Script
from sendpool.simulate.whatsapp import WhatsAppPlatform
from sendpool.simulate.whatsapp_script import Number, WhatsAppScript

PERSON = "+447700900123"
OURS = SenderSettings(channel=Channel.SMS, address="+12034458910")
NUMBER = SenderSettings(channel=Channel.WHATSAPP, address="+12034458910", options={"phone_number_id": "1065"})


def smpp(port: int, *senders: SenderSettings, **more: Any) -> ConnectionSettings:
    options = {"host": "127.0.0.1", "port": port, "system_id": "sendpool", "password": "right-one"[:8], **more}
    return ConnectionSettings(name="carrier-a", type="smpp", senders=senders or (OURS,), options=options)


async def check(settings: ConnectionSettings, within: float = 5.0, **more: Any) -> list[Finding]:
    return await check_connection(settings, within=within, **more)


async def fault(settings: ConnectionSettings, within: float = 5.0) -> Finding:
    """The one thing that is wrong, which ends the check."""
    *well, wrong = await check(settings, within)
    assert all(finding.ok for finding in well)
    assert not wrong.ok
    return wrong


def dead_port() -> socket.socket:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


@asynccontextmanager
async def answering(says: bytes | None) -> AsyncIterator[int]:
    """Something else that listens: it says this to everybody and hangs up; None: it never says anything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if says is None:
            await reader.read()
        else:
            writer.write(says)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_good_connection_is_well_and_sends() -> None:
    async with MessageCentre(Script(port=0, accounts={"sendpool": "right-on"}, receipt_delay=0)) as centre:
        settings = smpp(centre.port, OURS, SenderSettings(channel=Channel.SMS, address="INFO"))
        quiet = await check(settings)
        loud = await check(settings, send_to=PERSON, sender="INFO")

    assert [(one.step, one.ok) for one in quiet] == [("link", True), ("senders", True)]
    assert quiet[1].says == "2: SMS +12034458910, SMS INFO"
    assert [(one.step, one.ok) for one in loud][2:] == [("send", True), ("receipt", True)]
    assert loud[3].says.startswith("DELIVERED")
    assert [(submit.source, submit.destination) for submit in centre.submits] == [("INFO", PERSON)]


async def test_no_such_sender_is_said_before_anything_is_sent() -> None:
    async with MessageCentre(Script(port=0)) as centre:
        with pytest.raises(ValueError, match=r"\+1999 is no sender of this connection; it has \+12034458910"):
            await check(smpp(centre.port), send_to=PERSON, sender="+1999")

    assert centre.submits == []


async def test_what_is_for_the_server_is_not_taken_from_it() -> None:
    async with MessageCentre(Script(port=0, receipt_delay=0.6)) as centre:
        checking = asyncio.create_task(check(smpp(centre.port), send_to=PERSON))
        while not centre.submits:
            await asyncio.sleep(0.01)
        status = await centre.send_text(PERSON, OURS.address, "STOP", within=0.4)
        await checking

    assert status != 0


@pytest.mark.parametrize(
    ("wrong", "says", "remedy"),
    [
        ({"password": "wrong"}, r"wrong password \(0x0e\)", "check password"),
        ({"system_id": "nobody"}, r"unknown system_id \(0x0f\)", "check system_id"),
        ({"tls": True}, "TLS", "check tls"),
        ({"host": "no-such-host.invalid"}, "resol|known|address", "not resolved"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_each_wrong_setting_has_its_remedy(wrong: dict[str, Any], says: str, remedy: str) -> None:
    async with MessageCentre(Script(port=0, accounts={"sendpool": "right-on"})) as centre:
        found = await fault(smpp(centre.port, **wrong))

    assert found.step == "link"
    assert re.search(says, found.says)
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (0x04, "does not take this kind of bind"),
        (0x05, "another session has this system_id"),
        (0x0D, "not on its list"),
        (0x53, "check system_type"),
        (0x400, "ask the carrier with these words"),
    ],
)
async def test_a_refused_bind_is_explained(status: int, remedy: str) -> None:
    async with MessageCentre(Script(port=0, faults=(RefuseBind(status=status),))) as centre:
        found = await fault(smpp(centre.port))

    assert "bind refused" in found.says
    assert remedy in found.remedy


async def test_what_is_no_carrier_is_told_apart() -> None:
    with dead_port() as dead:
        refused = await fault(smpp(dead.getsockname()[1]))
    async with answering(b"") as port:
        hung_up = await fault(smpp(port))
    async with answering(None) as port:
        silent = await fault(smpp(port), within=0.3)

    assert "nothing listens there" in refused.remedy
    assert "they hung up before they let us in" in hung_up.remedy
    assert (silent.says, silent.remedy.startswith("nobody answers")) == ("no answer within 0.3 s", True)


async def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    relay = await _tls_relay(made.file, made.key)
    try:
        found = await fault(smpp(relay.port, tls=True))
    finally:
        await relay.stop()

    assert "not trusted" in found.says
    assert "ca_file" in found.remedy


async def test_a_centre_that_wants_our_certificate(tmp_path: Path) -> None:
    made, ours = make_certificate(tmp_path), make_certificate(tmp_path, "sendpool.example")
    strict = Script(port=0, certificate_file=str(made.file), key_file=str(made.key), client_ca_file=str(ours.file))
    async with MessageCentre(strict) as centre:
        without = await fault(smpp(centre.port, tls=True, ca_file=str(made.file)))

    assert without.remedy == "set certificate_file and key_file to what the carrier has issued"
    refused = remedy_of("the link was lost: the carrier does not trust our client certificate")
    assert refused.startswith("ask the carrier whom it trusts")


async def _tls_relay(certificate: Path, key: Path) -> Relay:
    relay = Relay()
    relay.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    relay.tls.load_cert_chain(certificate, key)
    await relay.start()
    return relay


async def test_a_connection_without_senders_is_no_use() -> None:
    async with MessageCentre(Script(port=0)) as centre:
        settings = smpp(centre.port)
        found = await fault(ConnectionSettings(name="a", type="smpp", options=settings.options))

    assert found.step == "senders"
    assert "[[connections.senders]]" in found.remedy


async def test_a_relay_refuses_the_credentials() -> None:
    relay = Relay((*EXTENSIONS, "AUTH PLAIN"))
    relay.replies["AUTH"] = "535 5.7.8 no"
    await relay.start()
    options = {"host": "127.0.0.1", "port": relay.port, "tls": "none", "username": "u", "password": "p"}
    sender = SenderSettings(channel=Channel.EMAIL, address="shop@example.com")
    settings = ConnectionSettings(name="relay", type="smtp", senders=(sender,), options=options)
    try:
        found = await fault(settings)
        relay.replies.clear()
        well = await check(settings, within=1.0, send_to="ana@example.com")
    finally:
        await relay.stop()

    assert found.remedy == "check username and password"
    assert [(one.step, one.ok) for one in well] == [
        ("link", True),
        ("senders", True),
        ("send", True),
        ("receipt", True),
    ]
    assert b"This is a test message" in relay.received[0].data


async def test_a_token_that_the_platform_does_not_know() -> None:
    def settings(port: int, token: str, **more: Any) -> ConnectionSettings:
        options = {"base_url": f"http://127.0.0.1:{port}", "access_token": token, "app_secret": "s", **more}
        return ConnectionSettings(name="meta", type="whatsapp", senders=(NUMBER,), options=options)

    numbers = (
        Number(id="1065", display_phone_number="+1 203-445-8910"),
        Number(id="1066", display_phone_number="+1 203-445-8911"),
    )
    async with WhatsAppPlatform(WhatsAppScript(port=0, token="EAA", numbers=numbers)) as platform:
        wrong = await fault(settings(platform.port, "EAB"))
        well = await check(settings(platform.port, "EAA", business_account_id="1020"))

    assert wrong.step == "credentials"
    assert "make a new access_token" in wrong.remedy
    assert [(one.step, one.ok) for one in well] == [("link", True), ("credentials", True), ("senders", True)]
    assert well[2].says == "2: WHATSAPP +12034458910, WHATSAPP +12034458911"


async def test_a_number_that_sends_nothing() -> None:
    number = Number(id="1065", display_phone_number="+1 203-445-8910", status="PENDING")
    options = {"access_token": "EAA", "app_secret": "s"}
    async with WhatsAppPlatform(WhatsAppScript(port=0, numbers=(number,))) as platform:
        options |= {"base_url": f"http://127.0.0.1:{platform.port}"}
        found = await fault(ConnectionSettings(name="meta", type="whatsapp", senders=(NUMBER,), options=options))

    assert found.says == "+12034458910 sends nothing: its status is PENDING"


async def test_a_service_account_that_is_refused(tmp_path: Path) -> None:
    async with RcsPlatform(RcsScript(port=0)) as platform, RcsPlatform(RcsScript(port=0)) as other:
        stranger = {**other.service_account(), "token_uri": f"{platform.url}/token"}
        for name, account in (("good", platform.service_account()), ("bad", stranger)):
            (tmp_path / name).write_text(json.dumps(account), encoding="utf-8")

        def settings(name: str) -> ConnectionSettings:
            options = {"base_url": platform.url, "service_account_file": str(tmp_path / name), "client_token": "t"}
            agent = SenderSettings(channel=Channel.RCS, address="agent")
            return ConnectionSettings(name="google", type="rcs", senders=(agent,), options=options)

        found = await fault(settings("bad"))
        well = await check(settings("good"))

    assert "check service_account_file" in found.remedy
    assert [(one.step, one.ok) for one in well] == [("link", True), ("senders", True)]


async def test_unwise_settings_are_told_first_and_stop_nothing() -> None:
    verify = {"type": "hmac", "secret": "s" * 16, "header": "X-Signature"}
    options = {
        "request": {"url": "http://127.0.0.1:9/sms"},
        "callback": {"verify": verify, "status": "status", "statuses": {"ok": "DELIVERED"}},
    }
    given = ConnectionSettings(name="acme", type="http", senders=(OURS,), options=options)

    with capture_logs() as logs:
        told, link = await check(given)

    assert (told.step, told.ok) == ("settings", True)
    assert "reference" in told.remedy
    assert (link.step, link.ok) == ("link", False)
    assert [one["connection"] for one in logs if one["event"] == "http.unwise_callback"] == ["acme"]
