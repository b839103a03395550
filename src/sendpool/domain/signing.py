"""How what is posted to a sink is signed, twice: as the hosted API does, and as Standard Webhooks have it.

`X-Twilio-Signature` is the HMAC-SHA1 of the URL under the account's auth token, where the URL carries the SHA-256 of
the body as `bodySHA256`. Standard Webhooks (standardwebhooks.com, 1.0) sign id, time and body under the sink's secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

_PREFIX = "whsec_"
#: Random bytes of a sink's secret: the specification asks for 24 to 64.
SECRET_BYTES = 32


def signed_url(url: str, body: bytes) -> str:
    """The URL with the body's digest as one more parameter; a fragment never leaves us."""
    bare = url.partition("#")[0]
    return f"{bare}{'&' if '?' in bare else '?'}bodySHA256={hashlib.sha256(body).hexdigest()}"


def twilio_signature(url: str, token: str) -> str:
    """`X-Twilio-Signature` of a URL that `signed_url` made."""
    # SHA-1 is what its clients check; nothing here rests on it being free of collisions.
    digest = hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def spell_secret(secret: bytes) -> str:
    """A sink's secret as it is shown and stored."""
    return _PREFIX + base64.b64encode(secret).decode()


def standard_signature(secrets: Iterable[str], webhook_id: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature`: one for each secret, so that both sides may change it without losing anything.

    *secrets* are spelled as `spell_secret` does; *timestamp* is in seconds since 1970.
    """
    head = f"{webhook_id}.{timestamp}.".encode()
    signatures = []
    for secret in secrets:
        signed = hmac.new(base64.b64decode(secret.removeprefix(_PREFIX)), head, hashlib.sha256)
        signed.update(body)
        signatures.append("v1," + base64.b64encode(signed.digest()).decode())
    return " ".join(signatures)
