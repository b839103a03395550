"""Open a connection to the relay: greeting, EHLO, encryption, credentials, in the order of RFC 6409."""

from __future__ import annotations

import ssl
from functools import partial

import aiosmtplib

from sendpool.connectors.smtp.replies import Reply, Stage, meaning_of
from sendpool.connectors.smtp.scram import MECHANISMS, NotProven, auth_scram
from sendpool.connectors.smtp.session import Session
from sendpool.connectors.smtp.settings import SmtpSettings, Tls, trusted
from sendpool.connectors.web import LinkDown
from sendpool.domain.failures import FailureClass

#: Refusals that only a person can mend.
_OPERATOR = frozenset({FailureClass.ACCOUNT, FailureClass.REQUEST, FailureClass.SENDER})
#: Ways to log in with a password, the best first: SCRAM does not tell it. Where the connection is encrypted, CRAM-MD5
#: only where a relay takes nothing else; without, before those that tell the password to everybody.
_ENCRYPTED = (*MECHANISMS, "plain", "login", "cram-md5")
_IN_THE_OPEN = (*MECHANISMS, "cram-md5", "plain", "login")


class Dialer:
    """Opens connections of one configuration."""

    def __init__(self, options: SmtpSettings) -> None:
        self._options = options
        self._context: ssl.SSLContext | None = None
        if options.encryption is not Tls.NONE:
            self._context = trusted(options)

    async def open(self) -> Session:
        """A connection that is ready for messages. Raises `LinkDown`."""
        options = self._options
        client = aiosmtplib.SMTP(
            hostname=options.host,
            port=options.reached_at,
            use_tls=options.encryption is Tls.IMPLICIT,
            start_tls=options.encryption is Tls.STARTTLS,
            tls_context=self._context,
            local_hostname=options.helo_name,
            timeout=options.connect_timeout,
        )
        try:
            await self._set_up(client)
            return Session(client, options.response_timeout, options.final_timeout)
        except LinkDown:
            client.close()
            raise
        except BaseException as error:
            client.close()
            if not isinstance(error, (aiosmtplib.SMTPException, OSError)):
                raise
            raise self._down(error) from None

    async def _set_up(self, client: aiosmtplib.SMTP) -> None:
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        options = self._options
        if options.username is None:
            return
        if options.token is not None:
            await client.auth_xoauth2(options.username, options.token)
            return
        await self._log_in(client, options.username, options.password or "")

    async def _log_in(self, client: aiosmtplib.SMTP, username: str, password: str) -> None:
        """By the best way that the relay offers. Raises `LinkDown`, or as `client` does where it refuses."""
        options = self._options
        known = _IN_THE_OPEN if options.encryption is Tls.NONE else _ENCRYPTED
        way = next((one for one in known if one in client.server_auth_methods), None)
        if way is None:
            why = "the relay offers no way to log in that we speak (SCRAM, PLAIN, LOGIN, CRAM-MD5)"
            raise LinkDown(f"{why}; look at username and tls", wait=options.refused_wait)
        if way in MECHANISMS:
            try:
                await auth_scram(client, way, username, password)
            except NotProven as error:
                why = f"{way.upper()}: the relay does not prove that it knows the password ({error})"
                raise LinkDown(f"{why}; look at host", wait=options.refused_wait) from None
        else:
            said = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
            await said[way](username, password)

    def _down(self, error: BaseException) -> LinkDown:
        """Why there is no connection, without what the relay wrote beside its codes: that may hold names."""
        options = self._options
        down = partial(LinkDown, wait=0.0)
        where = f"{options.host}:{options.reached_at}"
        if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
            code, found = meaning_of(Reply(error.code, error.message), Stage.GREETING)
            wait = options.refused_wait if found.failure in _OPERATOR and error.code >= 500 else found.after or 0.0
            what = "the credentials" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else "us"
            return LinkDown(f"{where} refuses {what}: {code} ({found.meaning})", wait=wait)
        if isinstance(error, TimeoutError):
            return down(f"no connection to {where} within {options.connect_timeout:.3g} s")
        cause = error.__cause__ or error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return LinkDown(f"the certificate of {where} is not trusted: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return down(f"no TLS connection to {where}; look at tls and port")
        if isinstance(cause, OSError):
            return down(f"no connection to {where}: {cause.strerror or type(cause).__name__}")
        return down(f"no connection to {where}: {type(error).__name__}")
