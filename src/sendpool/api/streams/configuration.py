"""What a sink is made of: its type, and where its events go."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from sendpool.api.problems import Findings
from sendpool.api.streams.nats_configuration import check_nats
from sendpool.domain.delivery import SinkType

#: Characters of a sink's URL.
LONGEST_URL = 2_048
_FIELDS = ("destination", "method", "batch_events")
_NOT_HERE = ("kinesis", "segment", "email", "kafka")
_AT = "SinkConfiguration"


def check_type(value: str | None, findings: Findings) -> str:
    """The type of a sink; what is wrong is noted."""
    if value in _NOT_HERE:
        findings.add(f'sinks of type {value} are not offered by Sendpool; use "webhook" or "nats"', "SinkType")
    elif value is not None and value not in set(SinkType):
        findings.add('SinkType must be "webhook" or "nats"', "SinkType")
    elif value == SinkType.NATS and find_spec("nats") is None:
        message = (
            'sinks of type nats need an extra that is not installed here: install "sendpool[nats]" and start again'
        )
        findings.add(message, "SinkType")
    return value or ""


def check_configuration(kind: str, value: Any, findings: Findings) -> dict[str, Any]:
    """Where the events of a sink of this type go; what is wrong is noted."""
    return check_nats(value, _AT, findings) if kind == SinkType.NATS else _check_webhook(value, findings)


def _check_webhook(value: Any, findings: Findings) -> dict[str, Any]:
    """{"destination", "method", "batch_events"}."""
    if not isinstance(value, dict):
        findings.add(f"{_AT} must be a JSON object with a destination", _AT)
        return {}
    for name in value.keys() - set(_FIELDS):
        findings.unknown(name, _FIELDS, _AT)
    method = value.get("method", "POST")
    if not isinstance(method, str) or method.upper() not in ("POST", "GET"):
        findings.add("method must be POST or GET", f"{_AT}.method")
        method = "POST"
    batch = value.get("batch_events", True)
    if isinstance(batch, str) and batch.lower() in ("true", "false"):
        batch = batch.lower() == "true"
    if not isinstance(batch, bool):
        findings.add("batch_events must be true or false", f"{_AT}.batch_events")
    destination = _destination(value.get("destination"), findings)
    return {"destination": destination, "method": method.upper(), "batch_events": batch}


def _destination(url: object, findings: Findings) -> str:
    at = f"{_AT}.destination"
    if not isinstance(url, str):
        findings.add("destination must be the URL that events are posted to", at)
        return ""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        findings.add(f"destination must be a URL of at most {LONGEST_URL:,} ASCII characters", at)
        return ""
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if not fit:
        findings.add("destination must begin with http:// or https:// and a host", at)
    return url
