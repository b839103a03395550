"""Reading a `POST /Messages`: quickly where everything is in order, and else collecting everything that is wrong.

The quick way decodes recipients straight into typed values and looks at all addresses at once; whatever it does not
like goes the thorough way, which is the authority. Both give the same request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from sendpool.api.addresses import all_possible
from sendpool.api.bodies import decode_json, decode_object
from sendpool.api.checks import check_category, check_fields, check_priority, check_tags, entries
from sendpool.api.contents import check_content, is_plain
from sendpool.api.origins import check_origin
from sendpool.api.problems import Findings
from sendpool.api.recipients import SPACE, Profiles, check_recipient, want_profiles
from sendpool.api.schedules import check_schedule
from sendpool.api.variables import are_usable
from sendpool.domain.message import Content
from sendpool.domain.request import AccountOrigin, Origin, Recipient, Refused, SendRequest
from sendpool.domain.tuples import maker
from sendpool.domain.uniform import Uniform

MAX_RECIPIENTS = 10_000
#: More recipients than any request has that a front reads: what is told of a request there has each of them.
_MANY = 500
#: Seconds: 48 hours, after which no carrier goes on trying.
MAX_VALIDITY = 172_800

#: In the order of `_QuickSend`.
_FIELDS = ("to", "content", "from", "schedule", "tags", "category", "validity", "priority")


class _QuickRecipient(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    address: str
    channel: Literal["PHONE", "WHATSAPP", "phone", "whatsapp"]
    variables: dict[str, str] | UnsetType = UNSET


class _QuickSend(msgspec.Struct, forbid_unknown_fields=True):
    to: list[_QuickRecipient]
    content: Any = UNSET
    from_: msgspec.Raw | UnsetType = msgspec.field(default=UNSET, name="from")
    schedule: Any = UNSET
    tags: Any = UNSET
    category: Any = UNSET
    validity: Any = UNSET
    priority: Any = UNSET


#: Origins by their JSON, those that were in order: clients write the same ones again and again.
_ORIGINS: dict[bytes, Origin] = {}
_MOST_ORIGINS, _LONGEST_ORIGIN = 1_000, 500
_ANYBODY = AccountOrigin()

_decode = msgspec.json.Decoder(_QuickSend).decode
_recipient = maker(Recipient)


def read_send(
    body: bytes,
    account_id: int,
    profiles: Profiles | None = None,
    templates: Mapping[str, Content | None] = MappingProxyType({}),
) -> SendRequest:
    """The request that a body stands for, valid by itself. Raises Refused with everything that is wrong.

    Raises ProfilesWanted where it names profiles and *profiles* does not say what was found of them; and
    TemplateWanted for a template that *templates* does not know.
    """
    findings = Findings()
    read = _quickly(body) or _thoroughly(body, findings, profiles)
    fields, recipients = read.fields, read.recipients
    if "content" not in fields:
        _missing("content", findings)
    content = check_content(fields["content"], findings, templates) if "content" in fields else Content()
    origin = _ORIGINS.get(read.origin) or (
        check_origin(fields["from"], findings) if "from" in fields else AccountOrigin()
    )
    send_at = check_schedule(fields["schedule"], findings) if "schedule" in fields else None
    tags = check_tags(fields["tags"], findings, liquid=True) if "tags" in fields else {}
    category = check_category(fields["category"], findings) if "category" in fields else None
    validity = check_validity(fields["validity"], findings) if "validity" in fields else None
    priority = check_priority(fields["priority"], findings) if "priority" in fields else "normal"
    findings.refuse()
    if 0 < len(read.origin) <= _LONGEST_ORIGIN:
        _know(read.origin, origin)
    return SendRequest(
        account_id=account_id,
        origin=origin,
        recipients=recipients,
        content=content,
        tags=tags,
        category=category,
        validity=validity,
        send_at=send_at,
        priority=priority,
    )


def read_at_once(body: bytes, account_id: int) -> SendRequest | None:
    """The request of one plain text to one number, from nobody in particular or an origin that was read before: most.

    None: `read_send` is to say what it is.
    """
    try:
        send = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    content = send.content
    if len(send.to) != 1 or type(content) is not dict or len(content) != 1:
        return None
    if not (send.schedule is send.tags is send.category is send.validity is send.priority is UNSET):
        return None
    origin = _ORIGINS.get(bytes(send.from_)) if isinstance(send.from_, msgspec.Raw) else _ANYBODY
    text, one = content.get("text"), send.to[0]
    if origin is None or not is_plain(text) or one.variables is not UNSET or not all_possible([one.address]):
        return None
    recipient = _recipient((one.address, SPACE[one.channel], None, None))
    return SendRequest(account_id=account_id, origin=origin, recipients=[recipient], content=Content(text=text))


def _know(spelt: bytes, origin: Origin) -> None:
    if len(_ORIGINS) >= _MOST_ORIGINS:
        _ORIGINS.clear()
    _ORIGINS[spelt] = origin


class _Read(NamedTuple):
    """The fields of a body, as yet unchecked, and its recipients; and its origin as JSON, where that may be known."""

    fields: dict[str, Any]
    recipients: Sequence[Recipient]
    origin: bytes = b""


def _quickly(body: bytes) -> _Read | None:
    """What a body says, or None where not every recipient is in order."""
    try:
        send = _decode(body)
        raw = b"" if send.from_ is UNSET else bytes(send.from_)
        origin = UNSET if not raw or raw in _ORIGINS else decode_json(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused):
        return None
    to = send.to
    if not 1 <= len(to) <= MAX_RECIPIENTS:
        return None
    addresses = [recipient.address for recipient in to]
    if not all_possible(addresses):
        return None
    given = {name: value for name, value in zip(_FIELDS, astuple(send), strict=True) if value is not UNSET}
    # Known, or spelt out by now.
    given.pop("from", None)
    if origin is not UNSET:
        given["from"] = origin
    variables = [recipient.variables for recipient in to]
    if variables.count(UNSET) == len(to):
        return _Read(given, _plain(addresses, to), raw)
    usable = [one or None for one in variables]
    if not all(one is None or are_usable(one) for one in usable):
        return None
    return _Read(given, _recipients(addresses, to, usable), raw)


def _plain(addresses: Sequence[str], to: Sequence[_QuickRecipient]) -> Sequence[Recipient]:
    """Recipients without variables. Of many that differ in nothing but their address no more than that is kept."""
    if len(to) > _MANY and len(spaces := {SPACE[channel] for channel in {one.channel for one in to}}) == 1:
        return Uniform(addresses, (spaces.pop(), None, None), _recipient)
    return _recipients(addresses, to, repeat(None))


def _recipients(
    addresses: Sequence[str], to: Sequence[_QuickRecipient], variables: Iterable[Mapping[str, str] | None]
) -> list[Recipient]:
    spaces = [SPACE[recipient.channel] for recipient in to]
    return list(map(_recipient, zip(addresses, spaces, variables, repeat(None), strict=False)))


def _thoroughly(body: bytes, findings: Findings, profiles: Profiles | None) -> _Read:
    fields = decode_object(body)
    check_fields(fields, _FIELDS, findings)
    if "to" not in fields:
        _missing("to", findings)
        return _Read(fields, ())
    if profiles is None:
        want_profiles(fields["to"])
    known = profiles or Profiles()
    found = [
        check_recipient(entry, context, findings, known)
        for _, context, entry in entries(fields["to"], "to", "$.to", findings, least=1, most=MAX_RECIPIENTS)
    ]
    return _Read(fields, [recipient for recipient in found if recipient is not None])


def _missing(field: str, findings: Findings) -> None:
    findings.add(f"{field} is missing", f"$.{field}")


def check_validity(value: object, findings: Findings) -> int | None:
    """Seconds for which the message is useful (our extension)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_VALIDITY:
        return value
    findings.add(f"validity must be a whole number of seconds from 1 to {MAX_VALIDITY:,}", "$.validity")
    return None
