"""The SMTP connector against npm's smtp-server: TLS, credentials, pipelining and requests for notifications."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from tests.connectors.smtp.certificates import Certificate, make_certificate
from tests.connectors.smtp.conftest import BOUNCES, MODULE, SECRET, settings, submission
from tests.peers.npm import Peer, modules_with, running

from sendpool.connectors.base import CarrierId, Rejected
from sendpool.connectors.smtp.connector import SmtpConnector
from sendpool.connectors.smtp.tokens import Tokens, message_uid
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.testing.inbox import RecordingInbox

pytestmark = pytest.mark.peer

VERSION = "3.21"


@pytest.fixture(scope="session")
def modules() -> Path:
    """Where smtp-server is installed."""
    return modules_with("smtp-server", VERSION)


Start = Callable[..., Awaitable[Peer]]


@pytest.fixture
async def start(modules: Path) -> AsyncIterator[Start]:
    """Starts relays that end with the test."""
    async with AsyncExitStack() as stack:

        async def begin(**options: Any) -> Peer:
            return await stack.enter_async_context(
                running("smtp_server.cjs", modules, **{"authOptional": True, **options})
            )

        yield begin


@asynccontextmanager
async def opened(peer: Peer, **options: Any) -> AsyncIterator[tuple[SmtpConnector, RecordingInbox]]:
    connector, inbox = SmtpConnector(settings(peer.port, 2, **options)), RecordingInbox()
    await connector.open(inbox)
    try:
        await inbox.wait_for(lambda i: bool(i.links), 10)
        assert inbox.is_up, inbox.links
        yield connector, inbox
    finally:
        await connector.close()


async def test_golden_a_pipelined_message_with_its_notification_request(start: Start) -> None:
    peer = await start(disabledCommands=["STARTTLS", "AUTH"], hideDSN=False, hideSMTPUTF8=False)
    said = Content(rich={**MODULE, "text": ".lead\n\nžluť", "subject": "Žluť"})
    good, bad = submission(1, content=said, recipient="ok@a.example"), submission(2, recipient="no@a.example")

    async with opened(peer, bounce_domain=BOUNCES, secret=SECRET) as (connector, inbox):
        await connector.submit([good, bad])
        await inbox.wait_for(lambda i: len(i.outcome_list) == 2, 10)

    uid = message_uid(good.public_id)
    token = Tokens(SECRET).token(uid)
    assert inbox.outcomes_of(good.attempt) == [CarrierId(uid)]
    assert inbox.outcomes_of(bad.attempt)[0] == Rejected(FailureClass.RECIPIENT, "5.1.1", "pair", "smtp/5.1.1")
    got = await peer.said()
    assert got["mailFrom"]["address"] == f"bounce+{token}@{BOUNCES}"
    assert got["dsn"] == {"ret": "HDRS", "envid": token}
    assert got["rcptTo"][0]["dsn"] == {"notify": ["SUCCESS", "FAILURE", "DELAY"], "orcpt": "rfc822;ok@a.example"}
    assert got["bodyType"] == "8bitmime"
    message = message_from_bytes(base64.b64decode(got["data"]), policy=default)
    assert message["Subject"] == "Žluť"
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert text.splitlines() == [".lead", "", "žluť"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def secured(certificate: Certificate, **options: Any) -> dict[str, Any]:
    """What a relay is started with that encrypts and wants credentials."""
    cert, key = (path.read_text(encoding="utf-8") for path in certificate)
    return {"cert": cert, "key": key, "authOptional": False, **options}


@pytest.mark.parametrize("tls", ["implicit", "starttls_required"])
async def test_messages_and_credentials_go_out_encrypted(start: Start, certificate: Certificate, tls: str) -> None:
    peer = await start(**secured(certificate, secure=tls == "implicit"))
    batch = [submission(n) for n in range(6)]

    async with opened(peer, tls=tls, ca_file=str(certificate.file), username="user1", password="p@ss") as (
        connector,
        inbox,
    ):
        await connector.submit(batch)
        await inbox.wait_for(lambda i: len(i.outcome_list) == 6, 20)

    assert all(isinstance(outcome, CarrierId) for _, _, outcome in inbox.outcome_list)
    got = [await peer.said() for _ in batch]
    assert {(one["secure"], one["user"]) for one in got} == {(True, "user1")}
    assert len({one["id"] for one in got}) <= 3, "several messages share a connection"


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"ca_file": None}, "is not trusted"), ({"password": "wrong"}, "refuses the credentials")],
)
async def test_a_stranger_gets_no_password_and_a_wrong_one_waits_for_a_person(
    start: Start, certificate: Certificate, changes: dict[str, Any], words: str
) -> None:
    peer = await start(**secured(certificate, secure=True))
    options = {"tls": "implicit", "ca_file": str(certificate.file), "username": "user1", "password": "p@ss", **changes}
    connector, inbox = SmtpConnector(settings(peer.port, **options)), RecordingInbox()

    await connector.open(inbox)
    await inbox.wait_for(lambda i: bool(i.links), 10)
    await connector.close()

    assert words in inbox.links[0].detail


async def test_large_messages_arrive_as_they_were(start: Start) -> None:
    peer = await start(disabledCommands=["STARTTLS", "AUTH"])
    data = os.urandom(200_000)
    files = [{"filename": "a.bin", "content": base64.b64encode(data).decode()}]
    said = Content(rich={**MODULE, "html": "<p>word</p>\n" * 25_000, "attachments": files})

    async with opened(peer) as (connector, inbox):
        await connector.submit([submission(n, content=said) for n in range(4)])
        await inbox.wait_for(lambda i: len(i.outcome_list) == 4, 20)

    for _ in range(4):
        message = message_from_bytes(base64.b64decode((await peer.said())["data"]), policy=default)
        (attached,) = message.iter_attachments()
        assert attached.get_content() == data
