"""Public ids as clients write them: in paths, queries and bodies.

The contract's pattern allows 26 to 35 characters; ours have 26, so a longer one is well formed but names nothing.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from sendpool.api.problems import NOT_FOUND, Findings, not_found
from sendpool.domain import ids

PROFILE = "mem_profile"
STORE = "mem_store"
#: No id is as long, whatever its prefix.
_LONGEST = 64


@cache
def _pattern(prefix: str) -> re.Pattern[str]:
    return re.compile(prefix + r"_[0-7][a-hjkmnpqrstv-z0-9]{25,34}")


def is_well_formed(prefix: str, text: str) -> bool:
    """Whether *text* is what the contract calls an id with this prefix."""
    return _pattern(prefix).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _decoded(prefix: str, text: str) -> bytes | None:
    # The same few senders and pools are named again and again.
    return ids.decode(prefix, text)


def in_path(prefix: str, text: str, what: str) -> bytes:
    """The uid of a sender or pool named in a path. Raises Refused (404), also when it is malformed."""
    uid = ids.decode(prefix, text)
    if uid is None:
        raise not_found(what)
    return uid


def in_body(prefix: str, value: object, what: str, context: str, findings: Findings) -> bytes | None:
    """The uid of a sender or pool named in a body, or None when that is noted as a problem."""
    uid = _decoded(prefix, value) if isinstance(value, str) and len(value) < _LONGEST else None
    if uid is not None:
        return uid
    if isinstance(value, str) and is_well_formed(prefix, value):
        unknown(what, context, findings)
    else:
        findings.add(f"this is not the id of a {what}; one looks like {prefix}_01h9krwprkeee8fzqspvwy6nq8", context)
    return None


def unknown(what: str, context: str, findings: Findings) -> None:
    """Note a well-formed id that names nothing in this account."""
    findings.add(f"there is no such {what} in this account", context, NOT_FOUND)


def operation_in_path(text: str) -> bytes:
    """The uid of an operation named in a path. Raises Refused (404), also when it is malformed."""
    uid = ids.parse_operation(text)
    if uid is None:
        raise not_found("operation")
    return uid
