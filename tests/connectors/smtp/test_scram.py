"""SCRAM, against aiosmtpd with scramp's server behind it, and by the examples of its RFCs."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session, auth_mechanism
from scramp import ScramException, ScramMechanism
from tests.connectors.smtp.conftest import settings, submission

from sendpool.connectors.base import CarrierId
from sendpool.connectors.smtp.connector import SmtpConnector
from sendpool.connectors.smtp.scram import MECHANISMS, NotProven, auth_scram
from sendpool.pipeline.remedies import ASK_THEM, remedy_of
from sendpool.testing.inbox import RecordingInbox

NAME, PASSWORD = "sendpool", "pencil, with ü"


@pytest.fixture
def anyio_backend() -> str:
    """In real time: the rounds of a mechanism are made in a thread."""
    return "asyncio"


class Mailbox:
    """What aiosmtpd asks: it lets nobody in but by SCRAM."""

    def __init__(self, password: str, *, lies: bool = False, early: bool = False) -> None:
        """*lies*: it does not know the password, and takes everybody; *early*: it proves nothing."""
        self._password = password
        self._lies = lies
        self._early = early
        self.used: list[str] = []
        self.received = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if not session.authenticated:
            return "530 5.7.0 who are you?"
        self.received += 1
        return "250 2.0.0 taken"

    @auth_mechanism("SCRAM-SHA-1")
    async def auth_sha1(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._scram(server, args)

    @auth_mechanism("SCRAM-SHA-256")
    async def auth_sha256(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._scram(server, args)

    @auth_mechanism("SCRAM-SHA-512")
    async def auth_sha512(self, server: SMTP, args: list[str]) -> AuthResult:
        return await self._scram(server, args)

    async def _scram(self, server: SMTP, args: list[str]) -> AuthResult:
        name, first = args
        self.used.append(name)
        mechanism = ScramMechanism(name)
        checker = mechanism.make_server(lambda _user: mechanism.make_auth_info(self._password))
        checker.set_client_first(b64decode(first).decode())
        if self._early:
            return AuthResult(success=True)
        final: Any = await server.challenge_auth(checker.get_server_first())
        try:
            checker.set_client_final(final.decode())
            proof = checker.get_server_final()
        except ScramException:
            if not self._lies:
                return AuthResult(success=False, handled=False)
            proof = f"v={b64encode(b'x' * 32).decode()}"
        assert await server.challenge_auth(proof) == b""
        return AuthResult(success=True)


Relays = Callable[..., Awaitable[int]]


@pytest.fixture
async def relays() -> AsyncIterator[Relays]:
    """Starts relays that offer these mechanisms alone; brings their ports."""
    async with AsyncExitStack() as stack:

        async def start(mailbox: Mailbox, *mechanisms: str) -> int:
            known = {"LOGIN", "PLAIN", *(one.upper() for one in MECHANISMS)}

            def serve() -> SMTP:
                return SMTP(mailbox, auth_require_tls=False, auth_exclude_mechanism=known - set(mechanisms))

            server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
            stack.callback(server.close)
            return int(server.sockets[0].getsockname()[1])

        yield start


async def link(port: int, password: str = PASSWORD) -> tuple[SmtpConnector, RecordingInbox]:
    """A connector with its first word about its link."""
    connector, inbox = SmtpConnector(settings(port, username=NAME, password=password)), RecordingInbox()
    await connector.open(inbox)
    await inbox.wait_for(lambda inbox: bool(inbox.links), 20.0)
    return connector, inbox


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_relay_that_takes_nothing_else_is_sent_to(mechanism: str, relays: Relays) -> None:
    mailbox = Mailbox(PASSWORD)
    connector, inbox = await link(await relays(mailbox, mechanism))

    await connector.submit([submission()])
    await inbox.wait_for(lambda inbox: bool(inbox.outcome_list))
    await connector.close()

    assert isinstance(inbox.outcome_list[0][2], CarrierId)
    assert mailbox.received == 1
    assert set(mailbox.used) == {mechanism}


async def test_the_strongest_that_both_know_is_used(relays: Relays) -> None:
    mailbox = Mailbox(PASSWORD)
    connector, inbox = await link(await relays(mailbox, "PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"))
    await connector.close()

    assert inbox.links[0].up
    assert set(mailbox.used) == {"SCRAM-SHA-256"}


@pytest.mark.parametrize(
    ("relay", "password", "why"),
    [
        ({}, "another", "refuses the credentials"),
        ({"lies": True}, "another", "does not prove that it knows the password"),
        ({"early": True}, PASSWORD, "does not prove that it knows the password"),
    ],
)
async def test_neither_side_is_believed_without_a_proof(
    relay: dict[str, bool], password: str, why: str, relays: Relays
) -> None:
    connector, inbox = await link(await relays(Mailbox(PASSWORD, **relay), "SCRAM-SHA-256"), password)
    await connector.close()

    assert not inbox.links[0].up
    assert why in inbox.links[0].detail
    assert remedy_of(inbox.links[0].detail) != ASK_THEM
    assert password not in inbox.links[0].detail


#: RFC 5802 §5 and RFC 7677 §3: mechanism, what each side says, and our nonce.
SHA_1 = (
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
)
SHA_256 = (
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
)


@pytest.mark.parametrize(("mechanism", "example"), [("scram-sha-1", SHA_1), ("scram-sha-256", SHA_256)])
@pytest.mark.parametrize("proof", ["", "x"])
async def test_examples_of_the_rfcs(mechanism: str, example: tuple[str, ...], proof: str) -> None:
    first, challenge, final, server_final = example
    said: list[str] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = [challenge, server_final.replace("=", f"={proof}", 1)]
        writer.write(b"220 relay\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            if line.startswith("EHLO"):
                writer.write(b"250 AUTH\r\n")
                continue
            said.append(line)
            writer.write(b"334 " + b64encode(answers.pop(0).encode()) + b"\r\n")
        writer.write(b"235 2.7.0 yes\r\n")
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=server.sockets[0].getsockname()[1], start_tls=False)
    await client.connect()
    await client.ehlo()
    login = auth_scram(client, mechanism, "user", "pencil", nonce=first.rpartition("r=")[2])
    if proof:
        with pytest.raises(NotProven):
            await login
    else:
        await login
    client.close()
    await ended.wait()
    server.close()

    assert said[0].startswith(f"AUTH {mechanism.upper()} ")
    assert [b64decode(line.rpartition(" ")[2]).decode() for line in said] == [first, final]
