"""Reading the bodies that make and change sender pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sendpool.api.bodies import decode_json, decode_object, kind_of
from sendpool.api.checks import check_category, check_fields, check_tags, check_text, entries, wrong_kind
from sendpool.api.pool_choices import check_number, read_choice, read_share
from sendpool.api.problems import INVALID, NOT_FOUND, Findings
from sendpool.api.references import in_body
from sendpool.domain import ids
from sendpool.domain.pool import LEAST_FALLBACK_AFTER, LEAST_GRACE, MOST_FALLBACK_AFTER, MOST_GRACE
from sendpool.domain.request import Problem, Refused
from sendpool.store.pools import NewPool, Setting, Share, UnknownSenders

MAX_NAME = 256
MAX_SENDERS = 10_000
#: Senders that one request may add.
MAX_ADDED = 1_000

#: Our own fields that are settings of a pool.
_SETTINGS = (
    *("category", "fallbackAfter", "duplicates", "openOutcome"),
    *("preference", "grace", "reach", "countries", "quietHours", "health"),
)


class PoolChange(NamedTuple):
    """What a PATCH asks for; None: leave it."""

    name: str | None
    tags: dict[str, str] | None
    #: Settings to be changed; None: taken away.
    settings: dict[str, Setting | None]


def read_new_pool(body: bytes) -> NewPool:
    """The pool to be made. A name is optional. Raises Refused with everything that is wrong."""
    findings = Findings()
    fields = decode_object(body)
    check_fields(fields, ("name", "tags", "senders", *_SETTINGS), findings)
    name, tags = _name_and_tags(fields, findings)
    settings = _settings(fields, findings)
    shares = _senders(fields["senders"], findings, least=0, most=MAX_SENDERS) if "senders" in fields else {}
    findings.refuse()
    return NewPool(name or "", tags or {}, list(shares), settings, _given(shares))


def read_pool_change(body: bytes) -> PoolChange:
    """What is to change about a pool: tags replace the whole map, a setting of null takes it away.

    Raises Refused with everything that is wrong.
    """
    findings = Findings()
    fields = decode_object(body)
    check_fields(fields, ("name", "tags", *_SETTINGS), findings)
    name, tags = _name_and_tags(fields, findings)
    removed: dict[str, Setting | None] = {field: None for field in _SETTINGS if fields.get(field, "") is None}
    settings = _settings({field: value for field, value in fields.items() if field not in removed}, findings)
    if not fields:
        findings.add(f"the body changes nothing; give name, tags, {', '.join(_SETTINGS[:-1])} or {_SETTINGS[-1]}")
    findings.refuse()
    return PoolChange(name, tags, {**removed, **settings})


def read_added_senders(body: bytes) -> tuple[list[bytes], Mapping[bytes, Share]]:
    """The senders to be added (an array, or one object), and the places of those that are given one.

    Raises Refused with everything that is wrong.
    """
    findings = Findings()
    value = decode_json(body)
    if not isinstance(value, dict | list):
        raise Refused(Problem(INVALID, f"the body must be an array or an object, not {kind_of(value)}"))
    shares = _senders([value] if isinstance(value, dict) else value, findings, least=1, most=MAX_ADDED)
    findings.refuse()
    return list(shares), _given(shares)


def _given(shares: Mapping[bytes, Share]) -> dict[bytes, Share]:
    return {uid: share for uid, share in shares.items() if share != Share()}


def _name_and_tags(fields: dict[str, Any], findings: Findings) -> tuple[str | None, dict[str, str] | None]:
    name = check_text(fields["name"], "name", "$.name", findings, longest=MAX_NAME) if "name" in fields else None
    return name, check_tags(fields["tags"], findings) if "tags" in fields else None


def _settings(fields: dict[str, Any], findings: Findings) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    if "category" in fields and (category := check_category(fields["category"], findings)) is not None:
        found["category"] = category.value
    for field, least, most in (
        ("fallbackAfter", LEAST_FALLBACK_AFTER, MOST_FALLBACK_AFTER),
        ("grace", LEAST_GRACE, MOST_GRACE),
    ):
        if field in fields:
            number = check_number(fields[field], field, f"$.{field}", findings, least=least, most=most, of="seconds")
            if number is not None:
                found[field] = number
    return {**found, **read_choice(fields, findings)}


def _senders(value: object, findings: Findings, *, least: int, most: int) -> dict[bytes, Share]:
    uids: dict[bytes, Share] = {}
    for _, context, entry in entries(value, "senders", "$.senders", findings, least=least, most=most):
        if not isinstance(entry, dict):
            wrong_kind("a member", "an object with a senderId", entry, context, findings)
            continue
        check_fields(entry, ("senderId", "weight", "tier"), findings, context)
        share = read_share(entry, context, findings)
        uid = in_body(ids.SENDER, entry.get("senderId"), "sender", f"{context}.senderId", findings)
        if uid in uids:
            findings.add("each sender may be listed once", f"{context}.senderId")
        elif uid is not None:
            uids[uid] = share
    return uids


def unknown_senders(error: UnknownSenders) -> Refused:
    """The refusal that names each place where a sender is not one of the account's."""
    findings = Findings()
    for position in error.positions:
        findings.add("there is no such sender in this account", f"$.senders[{position}].senderId", NOT_FOUND)
    return findings.as_refused()
