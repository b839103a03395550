"""Tell: stored events as customers read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from sendpool.domain import ids
from sendpool.domain.events import OPERATION_EVENT, CloudEvent, cloud_event
from sendpool.domain.message import at_step, space_at_step
from sendpool.domain.sender import AddressSpace
from sendpool.pipeline.render import say_tags
from sendpool.store.outbox import StoredEvent

_SPACE = {space[0]: space.value for space in AddressSpace}


def told(event: StoredEvent) -> CloudEvent:
    """An event as it is handed over. Its fields are text, as strict clients want them (behaviour §14)."""
    uid = bytes.fromhex(event.uid)
    operation_id = ids.operation_id(uid)
    at = _instant(event.at)
    if event.number >= OPERATION_EVENT or event.message_id is None:
        return cloud_event(operation_id, event.number, event.account_sid, at, {"operation_id": operation_id})
    message_id = ids.message_id(uid, event.message_id - event.operation_id)
    data = _inbound(event) if event.kind == "inbound" else _outbound(event, uid)
    data = {"operation_id": operation_id, "message_id": message_id, **data, "tags": _tags(event)}
    return cloud_event(message_id, event.number, event.account_sid, at, data)


def _outbound(event: StoredEvent, uid: bytes) -> dict[str, Any]:
    assert event.message_id is not None
    n = event.number // 16
    step, address, space = event.step or 0, event.address or "", event.space or ""
    return {
        "account_sid": event.account_sid,
        "downstream_id": ids.attempt_id(uid, event.message_id - event.operation_id, n) if n else None,
        "attempt": str(n) if n else None,
        "error_code": str(event.error_code) if event.error_code else None,
        "from": _sender(event) or _pool(event),
        "to": {"address": at_step(address, step), "channel": _SPACE.get(space_at_step(space, step))} if address else {},
    }


def _inbound(event: StoredEvent) -> dict[str, Any]:
    ours = msgspec.json.decode(event.origin).get("to", "")
    sender = _sender(event) or {}
    return {
        "account_sid": event.account_sid,
        "from": {"address": event.address, "channel": sender.get("channel")},
        "to": {**sender, "address": ours},
    }


def _sender(event: StoredEvent) -> dict[str, Any] | None:
    if not event.sender:
        return None
    uid = bytes.fromhex(event.sender)
    return {"id": ids.encode(ids.SENDER, uid), "address": event.sender_address, "channel": event.channel}


def _pool(event: StoredEvent) -> dict[str, Any] | None:
    return {"id": ids.encode(ids.POOL, bytes.fromhex(event.pool))} if event.pool else None


def _tags(event: StoredEvent) -> dict[str, str]:
    variables = msgspec.json.decode(event.variables) if event.variables else {}
    return say_tags(msgspec.json.decode(event.tags), variables, event.accepted_at)


def _instant(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
