"""Access tokens: a fixed one, or those that a Google service account is given for a signed grant (RFC 7523)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import time
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sendpool.connectors.web import NoAnswer, NotSent, Reply

SCOPE = "https://www.googleapis.com/auth/rcsbusinessmessaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Seconds that a grant holds, as much as Google allows.
GRANT_LIFE = 3600
#: Seconds before its end at which a token is renewed; half its life where that is less.
RENEW_BEFORE = 300.0

#: Seconds after a failed renewal in which the old token, while it holds, is used without another try.
RENEW_AGAIN = 10.0

#: A POST of a form to a token endpoint: (url, body). Raises `NotSent` or `NoAnswer`.
Post = Callable[[str, bytes], Awaitable[Reply]]


class NoToken(Exception):
    """There is no access token now; the text says why, without secrets. `refused`: only a person can mend it."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


class ServiceAccount(msgspec.Struct, frozen=True):
    """What a service account's file says, as far as it matters here."""

    client_email: str
    private_key: str
    private_key_id: str
    token_uri: str

    def __repr__(self) -> str:
        """Whose it is, without its key."""
        return f"ServiceAccount({self.client_email})"


def read_account(path: str) -> ServiceAccount:
    """Read a service account's file. Raises `ValueError` that says what is wrong, without its contents."""
    try:
        account = msgspec.json.decode(Path(path).read_bytes(), type=ServiceAccount)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        wanted = ", ".join(ServiceAccount.__struct_fields__)
        raise ValueError(f"{path} is no service account's JSON file with {wanted}") from None
    if urlsplit(account.token_uri).scheme not in ("https", "http"):
        raise ValueError(f"{path} names no URL in token_uri")
    _private_key(account, path)
    return account


def grant(account: ServiceAccount, now: float) -> str:
    """A JSON Web Token that asks for access to RCS, signed by the account; *now* in seconds since 1970."""
    issued = int(now)
    header = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": issued,
        "exp": issued + GRANT_LIFE,
    }
    signed = b".".join(_base64url(msgspec.json.encode(part)) for part in (header, claims))
    signature = _private_key(account, "the file").sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return b".".join((signed, _base64url(signature))).decode("ascii")


class Access(Protocol):
    """Where requests get their access token."""

    @property
    def renews(self) -> bool:
        """Whether there can be another token after one was refused."""

    async def token(self) -> str:
        """A token that holds. Raises `NoToken`."""

    def refused(self, token: str) -> None:
        """The API did not take *token*."""


class FixedToken:
    """The token of the configuration."""

    renews = False

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        """The token."""
        return self._token

    def refused(self, token: str) -> None:
        """Nothing can be done."""


class _Answer(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = GRANT_LIFE


class AccountTokens:
    """Tokens of a service account: fetched when needed, renewed ahead of their end, asked for once at a time.

    The file is read with each renewal, so that a new key takes effect without a restart.
    """

    renews = True

    def __init__(self, path: str, post: Post, wall: Callable[[], float] = time) -> None:
        """*post* makes the request; *wall* is the time in seconds since 1970."""
        self._path = path
        self._post = post
        self._wall = wall
        self._token = ""
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._renewal: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """A token that holds; one that ends soon is renewed beside. Raises `NoToken`."""
        now = asyncio.get_running_loop().time()
        if not self._token or now >= self._renew_at:
            renewal = self._renewing()
            if not self._token or now >= self._ends_at:
                # Shielded: others may wait for the same renewal.
                await asyncio.shield(renewal)
        return self._token

    def refused(self, token: str) -> None:
        """Forget *token*, unless another one has taken its place already."""
        if token == self._token:
            self._token = ""

    def _renewing(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew())
            # A failure is told to whoever waits; where the old token still holds, nobody does.
            self._renewal.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._renewal

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        self._renew_at = asked_at + RENEW_AGAIN
        answer = await self._ask()
        before = min(RENEW_BEFORE, answer.expires_in / 2)
        self._token = answer.access_token
        self._ends_at = asked_at + answer.expires_in
        self._renew_at = self._ends_at - before

    async def _ask(self) -> _Answer:
        # In a thread: checking the key and signing take a tenth of a second.
        token_uri, form = await asyncio.to_thread(self._signed_form)
        try:
            reply = await self._post(token_uri, form)
        except (NotSent, NoAnswer) as error:
            raise NoToken(f"token endpoint: {error}") from None
        if reply.status != 200:
            refused = 400 <= reply.status < 500 and reply.status not in (408, 429)
            raise NoToken(f"token endpoint answers {reply.status}{_reason(reply.body)}", refused=refused)
        try:
            return msgspec.json.decode(reply.body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NoToken("token endpoint answers without a token") from None

    def _signed_form(self) -> tuple[str, bytes]:
        """Where to ask for a token, and the form to post there. Raises `NoToken`."""
        try:
            account = read_account(self._path)
        except ValueError as error:
            raise NoToken(str(error), refused=True) from None
        form = urlencode({"grant_type": GRANT, "assertion": grant(account, self._wall())})
        return account.token_uri, form.encode("ascii")


#: The errors of RFC 6749 §5.2; other words of an answer are not repeated to people.
_REASONS = (
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
)


def _reason(body: bytes) -> str:
    try:
        answer: Mapping[str, object] = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    error = answer.get("error")
    return f" ({error})" if error in _REASONS else ""


def _private_key(account: ServiceAccount, path: str) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError(f"{path} holds no readable private_key") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path} holds a private_key that is no RSA key")
    return key


def _base64url(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")
