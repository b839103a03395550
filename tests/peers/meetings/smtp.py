"""The SMTP connector and relays that are not ours; a notification of the standard library's making comes back."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

from aiosmtpd.smtp import SMTP
from tests.connectors.smtp.conftest import BOUNCES, SECRET, free_port, settings
from tests.connectors.smtp.conftest import submission as email
from tests.peers.meetings.base import TEXT, Meeting, Place, live
from tests.peers.npm import modules_with, running
from tests.peers.recording.conversation import HEARS, SAYS, Conversation
from tests.peers.recording.smtp import SmtpReader

from sendpool.connectors.smtp.connector import SmtpConnector
from sendpool.domain.message import Content

NPM_VERSION = "3.21"
RECIPIENT = "reader1@example.org"
_LIFE = (
    (SAYS, "EHLO .*"),
    (SAYS, "MAIL FROM:.*"),
    (SAYS, "RCPT TO:.*"),
    (SAYS, "DATA"),
    (HEARS, "354 .*"),
    (SAYS, "message"),
    (HEARS, "250 .*"),
    # Their connection to us begins.
    (SAYS, "220 .*"),
    (HEARS, "(?i:mail FROM):.*"),
    (HEARS, "message"),
    (SAYS, "250 .*"),
)


async def npm(place: Place) -> Conversation:
    """npm's smtp-server."""
    options = {"authOptional": True, "disabledCommands": ["STARTTLS", "AUTH"], "hideDSN": False}
    modules = modules_with("smtp-server", NPM_VERSION)
    peer = await place.stack.enter_async_context(running("smtp_server.cjs", modules, **options))
    talk = _talk("npm-smtp-server", f"a relay by npm's smtp-server {NPM_VERSION}")

    async def back() -> str:
        return str((await peer.said())["mailFrom"]["address"])

    await _meet(place, talk, peer.port, back)
    return talk


async def python(place: Place) -> Conversation:
    """PyPI's aiosmtpd."""
    mail: list[str] = []

    class Box:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
            mail.append(envelope.mail_from)
            return "250 2.0.0 queued"

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Box(), hostname="relay", loop=loop), "127.0.0.1")
    place.stack.callback(server.close)
    talk = _talk("aiosmtpd", "a relay by PyPI's aiosmtpd")

    async def back() -> str:
        return mail[0]

    await _meet(place, talk, server.sockets[0].getsockname()[1], back)
    return talk


def _talk(peer: str, about: str) -> Conversation:
    return Conversation("smtp", peer, f"{about}; notifications by the standard library's email and smtplib", [SECRET])


async def _meet(place: Place, talk: Conversation, port: int, back: Any) -> None:
    bounces = free_port()
    to = await place.stack.enter_async_context(talk.relay(port, SmtpReader))
    fro = await place.stack.enter_async_context(talk.relay(bounces, SmtpReader, from_peer=True))
    options: dict[str, Any] = {"bounce_domain": BOUNCES, "bounce_port": bounces, "secret": SECRET}
    connector = SmtpConnector(settings(to.port, 1, **options))
    said = Content(text=TEXT, rich={"subject": TEXT, "text": TEXT, "html": f"<p>{TEXT}</p>"})

    async def report() -> None:
        await asyncio.to_thread(_notify, fro.port, await back())

    await live(connector, email(recipient=RECIPIENT, content=said), report)


def _notify(port: int, back: str) -> None:
    """Say to an address that what went out from it was delivered (RFC 3464)."""
    report = MIMEMultipart("report", report_type="delivery-status")
    report["From"], report["To"], report["Subject"] = "mailer-daemon@relay.example", back, "Delivered"
    report.attach(MIMEText("It was delivered."))
    about, recipient, status = EmailMessage(), EmailMessage(), Message()
    about["Reporting-MTA"] = "dns; relay.example"
    recipient["Final-Recipient"] = f"rfc822; {RECIPIENT}"
    recipient["Action"], recipient["Status"] = "delivered", "2.0.0"
    status["Content-Type"] = "message/delivery-status"
    status.set_payload([about, recipient])
    report.attach(status)
    with smtplib.SMTP("127.0.0.1", port, "relay.example", timeout=10) as client:
        client.sendmail("", back, report.as_bytes())


MEETINGS = {"npm-smtp-server": Meeting(npm, _LIFE), "aiosmtpd": Meeting(python, _LIFE)}
