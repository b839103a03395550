"""Receive: what carriers say unasked. Receipts go to the next commit; an inbound text becomes a Message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import uuid_utils

from sendpool.connectors.base import Inbound
from sendpool.domain import ids
from sendpool.domain.message import Content
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.states import MessageState, OperationState
from sendpool.store.database import Query, Script
from sendpool.store.messages import NewMessage, NewOperation, insert_messages, insert_operations

_SPACE = {Channel.SMS: "P", Channel.RCS: "P", Channel.WHATSAPP: "W", Channel.EMAIL: "E"}


class Arrival(NamedTuple):
    """An inbound text with what its connection adds, and the integer key that it will have."""

    key: int
    connection_id: int
    inbound: Inbound
    #: Our sender that it was written to, or None where the address is not (any more) ours.
    sender: Sender | None
    account_id: int


def store_arrivals(arrivals: Sequence[Arrival], now: int) -> Script[int]:
    """Store inbound texts as INBOUND messages; one that the carrier has sent before is dropped. Brings how many."""
    fresh = []
    for arrival in arrivals:
        if (yield from _is_new(arrival, now)):
            fresh.append((arrival.key, arrival))
    if not fresh:
        return 0
    yield from insert_operations([_operation(key, arrival, now) for key, arrival in fresh])
    yield from insert_messages([_message(key, arrival, now) for key, arrival in fresh], MessageState.INBOUND)
    for key, arrival in fresh:
        if arrival.sender is not None:
            yield Query("UPDATE message SET sender_id = ? WHERE id = ?", (arrival.sender.id, key))
    return len(fresh)


def _is_new(arrival: Arrival, now: int) -> Script[bool]:
    if arrival.inbound.carrier_id is None:
        return True
    rows = yield Query(
        "INSERT INTO inbound_seen (connection_id, carrier_id, seen_at) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING 1",
        (arrival.connection_id, arrival.inbound.carrier_id, now),
    )
    return bool(rows)


def _operation(key: int, arrival: Arrival, now: int) -> NewOperation:
    return NewOperation(
        key,
        ids.clear(uuid_utils.uuid7().bytes),
        arrival.account_id,
        "inbound",
        OperationState.COMPLETED,
        0,
        "transactional",
        1,
        0,
        1,
        0,
        now,
        now,
        msgspec.json.encode(Content(text=arrival.inbound.text)).decode(),
        "{}",
        msgspec.json.encode({"kind": "inbound", "to": arrival.inbound.recipient}).decode(),
        0,
    )


def _message(key: int, arrival: Arrival, now: int) -> NewMessage:
    inbound = arrival.inbound
    segments = count(inbound.text) if inbound.text else 1
    return NewMessage(key, key, inbound.sender, _SPACE[inbound.channel], "", segments, now)
