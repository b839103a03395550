"""What a sink of type nats is made of: servers, the subject that events are published to, and credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sendpool.api.problems import Findings

#: Servers of a sink, characters of each, of a subject, and of a credential.
MOST_SERVERS, LONGEST_SERVER, LONGEST_SUBJECT, LONGEST_SECRET = 10, 300, 200, 1_000
#: Where events go if nobody says: the type of an event has dots, so that its words are tokens of the subject.
SUBJECT = "sendpool.{type}"
_FIELDS = ("servers", "subject", "token", "user", "password")
#: Tokens between dots. "*" and ">" are for those who listen.
_TOKENS = re.compile(r"[A-Za-z0-9_=/:@+-]+(?:\.[A-Za-z0-9_=/:@+-]+)*")


def check_nats(value: Any, at: str, findings: Findings) -> dict[str, Any]:
    """{"servers", "subject", and "token" or "user" and "password"}; what is wrong is noted."""
    if not isinstance(value, dict):
        findings.add(f"{at} must be a JSON object with servers", at)
        return {}
    for name in value.keys() - set(_FIELDS):
        findings.unknown(name, _FIELDS, at)
    subject = value.get("subject", SUBJECT)
    if not _is_subject(subject):
        message = (
            f"subject must be words with dots between them, at most {LONGEST_SUBJECT} characters, such as"
            f' "{SUBJECT}"; {{type}} becomes the type of the event'
        )
        findings.add(message, f"{at}.subject")
    servers = _servers(value.get("servers"), f"{at}.servers", findings)
    return {"servers": servers, "subject": subject, **_credentials(value, at, findings)}


def _is_subject(subject: object) -> bool:
    if not isinstance(subject, str) or len(subject) > LONGEST_SUBJECT:
        return False
    return _TOKENS.fullmatch(subject.replace("{type}", "type")) is not None


def _servers(given: object, at: str, findings: Findings) -> list[str]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_SERVERS:
        findings.add(f'servers must be a list of 1 to {MOST_SERVERS} URLs, such as ["tls://nats.example.com:4222"]', at)
        return []
    for number, server in enumerate(given):
        wrong = _wrong_with(server)
        if wrong:
            findings.add(wrong, f"{at}[{number}]")
    return given


def _wrong_with(server: object) -> str:
    """What is wrong with a server; empty: nothing."""
    if not isinstance(server, str) or len(server) > LONGEST_SERVER or not server.isascii() or not server.isprintable():
        return f"a server must be a URL of at most {LONGEST_SERVER} ASCII characters"
    try:
        parts = urlsplit(server)
        fit = parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "a server must be nats:// or tls:// and a host, with a port if it is not 4222"
    if fit and "@" in parts.netloc:
        return "credentials do not belong in a server's URL; use token, or user and password"
    if not fit or parts.path.strip("/") or parts.query or parts.fragment or " " in server:
        return "a server must be nats:// or tls:// and a host, with a port if it is not 4222"
    return ""


def _credentials(value: Mapping[str, Any], at: str, findings: Findings) -> dict[str, str]:
    given = {name: value[name] for name in ("token", "user", "password") if value.get(name) is not None}
    for name, one in given.items():
        if not isinstance(one, str) or not 1 <= len(one) <= LONGEST_SECRET:
            findings.add(f"{name} must be text of 1 to {LONGEST_SECRET:,} characters", f"{at}.{name}")
    if ("user" in given) != ("password" in given):
        missing = "password" if "user" in given else "user"
        findings.add(f"{missing} is missing: user and password go together", f"{at}.{missing}")
    if "token" in given and len(given) > 1:
        findings.add("token excludes user and password; give one or the other", f"{at}.token")
    return given
