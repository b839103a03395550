"""DKIM: sign a message for its sender's domain (RFC 6376), over the very octets that are sent."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import cast

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

#: Bits of a key at least; receivers ignore signatures of shorter ones (RFC 8301 §3.2).
SHORTEST_KEY = 1024
#: The fields that are signed where a message has them. From is named twice, so that no second one can be put in.
SIGNED = (
    b"from from to subject date message-id reply-to mime-version content-type content-transfer-encoding"
    b" list-unsubscribe list-unsubscribe-post".split()
)


def read_key(path: str) -> bytes:
    """The RSA key of a PEM file as PKCS#1. Raises `ValueError` that says what is wrong with the file."""
    try:
        key = serialization.load_pem_private_key(Path(path).read_bytes(), password=None)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ValueError(f"{path} holds no private key as PEM without a password") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < SHORTEST_KEY:
        raise ValueError(f"{path}: expected an RSA key of {SHORTEST_KEY} bits or more")
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)


class Signer:
    """Signs with one key."""

    def __init__(self, selector: str, key_file: str, domain: str | None) -> None:
        """*domain*: whom to sign for; None: the domain of each sender. Raises `ValueError` as `read_key` does."""
        self._selector = selector.encode()
        self._key = read_key(key_file)
        self._domain = domain

    def signed(self, message: bytes, sender_domain: str) -> bytes:
        """The message with its signature in front; its lines end with CRLF."""
        domain = (self._domain or sender_domain).encode()
        present = _names(message)
        fields = [name for name in SIGNED if name in present]
        line = dkim.sign(
            message, self._selector, domain, self._key, canonicalize=(b"relaxed", b"relaxed"), include_headers=fields
        )
        return cast(bytes, line) + message


@lru_cache(maxsize=64)
def _lower(name: bytes) -> bytes:
    return name.lower()


def _names(message: bytes) -> set[bytes]:
    """The names of a message's header fields in lower case."""
    head = message.partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n")
    return {_lower(line.partition(b":")[0]) for line in lines if line[:1] not in (b" ", b"\t")}
