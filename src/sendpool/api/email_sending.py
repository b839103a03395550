"""Reading a `POST /Emails`, collecting everything that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sendpool.api.addresses import check_address
from sendpool.api.bodies import decode_object
from sendpool.api.checks import (
    check_category,
    check_fields,
    check_priority,
    check_tags,
    check_text,
    entries,
    wrong_kind,
)
from sendpool.api.email_contents import check_email_content
from sendpool.api.problems import Findings
from sendpool.api.references import in_body
from sendpool.api.schedules import check_schedule
from sendpool.api.sending import MAX_RECIPIENTS, check_validity
from sendpool.api.variables import check_variables
from sendpool.domain import ids
from sendpool.domain.email_content import write_module
from sendpool.domain.message import Content, has_markup
from sendpool.domain.request import (
    AccountOrigin,
    AddressOrigin,
    Origin,
    PoolOrigin,
    Recipient,
    SenderOrigin,
    SendRequest,
)
from sendpool.domain.sender import AddressSpace, Channel
from sendpool.pipeline.liquid import BadLiquid, compile_template

#: Bytes of a whole request.
MAX_EMAIL_BODY = 5 * 1024 * 1024
#: Characters of the name beside an address.
MAX_NAME = 256
LEAST_POOL_NAME, MOST_POOL_NAME = 2, 64

_FIELDS = ("from", "to", "content", "schedule", "tags", "ipPoolName", "category", "validity", "priority")
#: The contract's arm of `from`, and ours.
_ARMS = ("address", "senderId", "senderPoolId")
_EMAIL = AddressSpace.EMAIL[0]


def read_emails(body: bytes, account_id: int) -> SendRequest:
    """The request that a body stands for, valid by itself. Raises Refused with everything that is wrong."""
    findings = Findings()
    fields = decode_object(body)
    check_fields(fields, _FIELDS, findings)
    for field in ("from", "to", "content"):
        if field not in fields:
            findings.add(f"{field} is missing", f"$.{field}")
    origin, name = _origin(fields["from"], findings) if "from" in fields else (AccountOrigin(), None)
    recipients = _recipients(fields["to"], findings) if "to" in fields else ()
    content = check_email_content(fields["content"], findings) if "content" in fields else None
    send_at = check_schedule(fields["schedule"], findings) if "schedule" in fields else None
    tags = check_tags(fields["tags"], findings, liquid=True) if "tags" in fields else {}
    ip_pool = _ip_pool(fields["ipPoolName"], findings) if "ipPoolName" in fields else None
    priority = check_priority(fields["priority"], findings) if "priority" in fields else "normal"
    category = check_category(fields["category"], findings) if "category" in fields else None
    validity = check_validity(fields["validity"], findings) if "validity" in fields else None
    findings.refuse()
    return SendRequest(
        account_id=account_id,
        origin=origin,
        recipients=recipients,
        content=_content(write_module(content or {}, name, ip_pool)),
        tags=tags,
        category=category,
        priority=priority,
        validity=validity,
        kind="email",
        send_at=send_at,
    )


def _content(module: dict[str, Any]) -> Content:
    """What the emails say. A text that the html's Liquid leaves in pieces is made for each recipient instead."""
    liquid = any(has_markup(module[field]) for field in ("subject", "html", "text"))
    if liquid:
        try:
            compile_template(module["text"])
        except BadLiquid:
            del module["text"]
    return Content(modules={Channel.EMAIL: module}, liquid=liquid)


def _origin(value: object, findings: Findings) -> tuple[Origin, str | None]:
    """Who is to send, and the name to show beside the address."""
    if not isinstance(value, dict):
        wrong_kind("from", "an object", value, "$.from", findings)
        return AccountOrigin(), None
    arms = [arm for arm in _ARMS if arm in value]
    if len(arms) != 1:
        findings.add("from must have exactly one of address, senderId and senderPoolId", "$.from")
        return AccountOrigin(), None
    (arm,) = arms
    check_fields(value, (arm, "name"), findings, "$.from")
    return _arm(value, arm, findings), _name(value, "$.from", findings)


def _arm(value: Mapping[str, Any], arm: str, findings: Findings) -> Origin:
    if arm == "address":
        address = _address(value["address"], "$.from.address", findings)
        return AddressOrigin(address, Channel.EMAIL) if address else AccountOrigin()
    if arm == "senderId":
        return SenderOrigin(in_body(ids.SENDER, value[arm], "sender", "$.from.senderId", findings) or b"")
    return PoolOrigin(in_body(ids.POOL, value[arm], "sender pool", "$.from.senderPoolId", findings) or b"")


def _address(value: object, context: str, findings: Findings) -> str | None:
    if not isinstance(value, str):
        wrong_kind("address", "a string", value, context, findings)
    elif check_address(value, _EMAIL, context, findings):
        return value
    return None


def _name(value: Mapping[str, Any], context: str, findings: Findings) -> str | None:
    """The name beside an address; one that is empty is none."""
    if value.get("name") in (None, ""):
        return None
    return check_text(value["name"], "name", f"{context}.name", findings, longest=MAX_NAME)


def _recipients(value: object, findings: Findings) -> Sequence[Recipient]:
    found = [
        _recipient(entry, context, findings)
        for _, context, entry in entries(value, "to", "$.to", findings, least=1, most=MAX_RECIPIENTS)
    ]
    return [recipient for recipient in found if recipient is not None]


def _recipient(value: object, context: str, findings: Findings) -> Recipient | None:
    if not isinstance(value, dict):
        wrong_kind("a recipient", "an object", value, context, findings)
        return None
    check_fields(value, ("address", "name", "variables"), findings, context)
    if "address" not in value:
        findings.add("address is missing", f"{context}.address")
        return None
    address = _address(value["address"], f"{context}.address", findings)
    name = _name(value, context, findings)
    variables = None
    if "variables" in value:
        variables = check_variables(value["variables"], f"{context}.variables", findings) or None
    return None if address is None else Recipient(address, _EMAIL, variables, name)


def _ip_pool(value: object, findings: Findings) -> str | None:
    name = check_text(value, "ipPoolName", "$.ipPoolName", findings, longest=MOST_POOL_NAME)
    if name is not None and len(name) < LEAST_POOL_NAME:
        findings.add(f"ipPoolName must have {LEAST_POOL_NAME} to {MOST_POOL_NAME} characters", "$.ipPoolName")
    return name
