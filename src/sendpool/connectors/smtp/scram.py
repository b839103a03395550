"""Log in by SCRAM (RFC 5802, RFC 7677), in the commands of RFC 4954: the password stays here, and the relay has to
prove that it knows it too. Without channel binding.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from binascii import Error as NoBase64

import aiosmtplib
from aiosmtplib import SMTPStatus
from scramp import ScramClient, ScramException

#: Mechanisms by which we can, the strongest first; as relays offer them, in lower case.
MECHANISMS = ("scram-sha-512", "scram-sha-256", "scram-sha-1")


class NotProven(Exception):
    """The relay does not keep to the mechanism, or cannot prove that it knows the password. Without its words."""


async def auth_scram(
    client: aiosmtplib.SMTP, mechanism: str, username: str, password: str, nonce: str | None = None
) -> None:
    """Log in by a mechanism of `MECHANISMS`. *nonce*: ours, where it is not to be drawn.

    Raises `NotProven`, or as the other ways to log in where the relay refuses.
    """
    name = mechanism.upper()
    try:
        scram = ScramClient([name], username, password, c_nonce=nonce)
        first = await _said(client, b"AUTH", name.encode(), _encoded(scram.get_client_first()))
        scram.set_server_first(first)
        # As many rounds as the relay asks for, of which each takes time.
        final = await asyncio.to_thread(scram.get_client_final)
        scram.set_server_final(await _said(client, _encoded(final)))
    except (ScramException, NoBase64, UnicodeDecodeError) as error:
        raise NotProven(type(error).__name__) from None
    answer = await client.execute_command(b"")
    if answer.code != SMTPStatus.auth_successful:
        raise aiosmtplib.SMTPAuthenticationError(answer.code, answer.message)


async def _said(client: aiosmtplib.SMTP, *command: bytes) -> str:
    """What the relay says next. Raises `SMTPAuthenticationError` where it refuses."""
    answer = await client.execute_command(*command)
    if answer.code == SMTPStatus.auth_successful:
        raise NotProven("too early")
    if answer.code != SMTPStatus.auth_continue:
        raise aiosmtplib.SMTPAuthenticationError(answer.code, answer.message)
    return b64decode(answer.message, validate=True).decode()


def _encoded(message: str) -> bytes:
    return b64encode(message.encode())
