"""The header `Idempotency-Key`, which a later version honours; until then a request that relies on it is refused."""

from __future__ import annotations

from sendpool.api.exchange import Request
from sendpool.api.problems import Findings


def refuse_key(request: Request) -> None:
    """Raise Refused for a request that carries a key: carrying it out twice is what its sender wants to rule out."""
    if b"idempotency-key" in request.headers:
        findings = Findings()
        findings.not_built("the header Idempotency-Key", None)
        findings.refuse()
