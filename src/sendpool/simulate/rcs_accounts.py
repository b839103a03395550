"""The token endpoint of a simulated RCS platform: service accounts, their signed grants, and access tokens."""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sendpool.connectors.rcs.access import GRANT, GRANT_LIFE, SCOPE

#: The audience that google-auth writes, whatever token_uri says.
GOOGLE = "https://oauth2.googleapis.com/token"
#: Seconds by which clocks may differ.
SKEW = 60


class BadGrant(Exception):
    """Why a grant is not taken, in the words of RFC 6749 §5.2 and ours."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error


class Accounts:
    """Service accounts, and the tokens that they have been given."""

    def __init__(self, token: str, token_life: float) -> None:
        """*token*: one that holds besides those given out, "": any; *token_life*: seconds that those hold."""
        self._token = token
        self._life = token_life
        self._keys: dict[str, rsa.RSAPublicKey] = {}
        self._ends: dict[str, float] = {}
        self._numbers = itertools.count(1)

    @property
    def given(self) -> int:
        """How many tokens were given out."""
        return len(self._ends)

    def register(self, client_email: str, public_key_pem: str) -> None:
        """Know an account whose private key is elsewhere."""
        key = serialization.load_pem_public_key(public_key_pem.encode())
        assert isinstance(key, rsa.RSAPublicKey)
        self._keys[client_email] = key

    def make(self, token_uri: str) -> dict[str, str]:
        """Make an account and return its file as an object. Making its key takes a tenth of a second."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        email = f"account-{len(self._keys) + 1}@simulate.example"
        self._keys[email] = key.public_key()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "client_email": email,
            "private_key_id": f"key-{len(self._keys)}",
            "private_key": pem.decode("ascii"),
            "token_uri": token_uri,
        }

    def answer(self, form: Mapping[str, str], token_uri: str) -> dict[str, Any]:
        """A token for a signed grant (RFC 7523). Raises `BadGrant`."""
        if form.get("grant_type") != GRANT:
            raise BadGrant("unsupported_grant_type", "only signed grants are taken")
        self._check(form.get("assertion", ""), token_uri)
        token = f"ya29.simulated-{next(self._numbers)}"
        self._ends[token] = asyncio.get_running_loop().time() + self._life
        return {"access_token": token, "expires_in": self._life, "token_type": "Bearer"}

    def takes(self, authorization: str) -> bool:
        """Whether a request with this Authorization header may go on."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or not token:
            return False
        ends = self._ends.get(token)
        if ends is not None:
            return asyncio.get_running_loop().time() < ends
        return self._token in ("", token)

    def withdraw(self) -> None:
        """Take back every token that was given out."""
        self._ends = dict.fromkeys(self._ends, 0.0)

    def _check(self, assertion: str, token_uri: str) -> None:
        try:
            signed, _, signature = assertion.rpartition(".")
            header, claims = (msgspec.json.decode(_octets(part), type=dict[str, Any]) for part in signed.split("."))
            octets = _octets(signature)
        except (ValueError, binascii.Error, msgspec.DecodeError):
            raise BadGrant("invalid_grant", "the assertion is no JSON Web Token") from None
        key = self._keys.get(claims.get("iss", ""))
        if key is None or header.get("alg") != "RS256":
            raise BadGrant("invalid_grant", "no such account")
        try:
            key.verify(octets, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise BadGrant("invalid_grant", "the signature is wrong") from None
        now = time.time()
        if not now - SKEW < claims.get("exp", 0) <= claims.get("iat", 0) + GRANT_LIFE or claims["iat"] > now + SKEW:
            raise BadGrant("invalid_grant", "it does not hold now, or for more than an hour")
        if claims.get("aud") not in (token_uri, GOOGLE) or SCOPE not in str(claims.get("scope", "")).split():
            raise BadGrant("invalid_scope", "it is for another audience or scope")


def _octets(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
