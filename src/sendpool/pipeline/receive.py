"""Receive: what carriers say unasked. Receipts go to the next commit; an inbound text becomes a Message.

Parts of a long text are joined first. A keyword (STOP, START, HELP) writes the ledger of who has opted out in the same
commit, and owes a reply (`pipeline.reply`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
import uuid_utils

from sendpool.connectors.base import Inbound
from sendpool.domain import ids, reassembly
from sendpool.domain.consent import EVERYTHING, OptOut, Person, person
from sendpool.domain.keywords import Keywords, Said, Use, Wish, keyword_in
from sendpool.domain.message import Content
from sendpool.domain.reassembly import Gathered
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.sessions import Session, heard, owes_reply
from sendpool.domain.states import MessageState, OperationState
from sendpool.pipeline.countries import country_of
from sendpool.store.consent import remove_opt_outs
from sendpool.store.database import Query, Script
from sendpool.store.inbound import (
    Long,
    OwedReply,
    Talk,
    load_sessions,
    lock_parts,
    name_receivers,
    owe_replies,
    write_parts,
    write_sessions,
)
from sendpool.store.messages import NewMessage, NewOperation, insert_messages, insert_operations

_SPACE = {Channel.SMS: "P", Channel.RCS: "P", Channel.WHATSAPP: "W", Channel.EMAIL: "E"}
#: Writes entries of the ledger at a moment, and brings how many are new.
Keep = Callable[[Collection[OptOut], int], Script[int]]


class Arrival(NamedTuple):
    """An inbound text with what its connection adds, and the integer key that it will have."""

    key: int
    connection_id: int
    inbound: Inbound
    #: Our sender that it was written to, or None where the address is not (any more) ours.
    sender: Sender | None
    account_id: int
    keywords: Keywords = Keywords()
    #: Its other parts are awaited no more: what there is of it becomes a message.
    late: bool = False

    @property
    def long(self) -> Long | None:
        """The long text that it is a part of."""
        part, inbound = self.inbound.part, self.inbound
        if part is None or not (part.sound or self.late):
            return None
        return Long(self.connection_id, inbound.sender, inbound.recipient, part.reference, part.total)

    @property
    def talk(self) -> Talk:
        """Who talks to whom."""
        writer = self.person
        return Talk(self.account_id, writer.space, writer.address, self.sender.id if self.sender else 0)

    @property
    def person(self) -> Person:
        """Who wrote it."""
        return person(_SPACE[self.inbound.channel], self.inbound.sender)


class _Text(NamedTuple):
    """A whole text, and how many of its parts never came."""

    arrival: Arrival
    missing: int = 0


class Received(NamedTuple):
    """What a commit has stored."""

    messages: int
    #: Replies that are owed now.
    replies: int


def store_arrivals(arrivals: Sequence[Arrival], now: int, keep: Keep) -> Script[Received]:
    """Store inbound texts as INBOUND messages; one that the carrier has sent before is dropped."""
    fresh = []
    for arrival in arrivals:
        if (yield from _is_new(arrival, now)):
            fresh.append(arrival)
    texts = yield from _joined(fresh, now)
    if not texts:
        return Received(0, 0)
    sessions = yield from load_sessions(text.arrival.talk for text in texts)
    replies = []
    operations = []
    for text in texts:
        talk = text.arrival.talk
        session = sessions[talk] = heard(sessions.get(talk), uuid_utils.uuid7().bytes, now)
        operations.append(_operation(text, session, now))
        said = _keyword(text.arrival)
        if said is not None and (reply := (yield from _heed(text.arrival, said, session, now, keep))) is not None:
            replies.append(reply)
            if said.wish is Wish.HELP:
                sessions[talk] = session._replace(helped_at=now)
    yield from write_sessions(sessions.items())
    yield from insert_operations(operations)
    yield from insert_messages([_message(text.arrival, now) for text in texts], MessageState.INBOUND)
    yield from name_receivers([(one.key, one.sender.id) for one, _ in texts if one.sender is not None])
    if replies:
        yield from owe_replies(replies)
    return Received(len(texts), len(replies))


def _is_new(arrival: Arrival, now: int) -> Script[bool]:
    if arrival.inbound.carrier_id is None:
        return True
    rows = yield Query(
        "INSERT INTO inbound_seen (connection_id, carrier_id, seen_at) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING 1",
        (arrival.connection_id, arrival.inbound.carrier_id, now),
    )
    return bool(rows)


# ---------------------------------------------------------------- long texts


def _joined(arrivals: Sequence[Arrival], now: int) -> Script[list[_Text]]:
    """The whole texts among what has come, in order: parts wait in the store until the last is there."""
    longs = [long for arrival in arrivals if (long := arrival.long) is not None]
    there = (yield from lock_parts(longs, now)) if longs else {}
    texts = []
    for arrival in arrivals:
        long = arrival.long
        text = _Text(arrival) if long is None else _take(arrival, long, there)
        if text is not None:
            texts.append(text)
    if there:
        yield from write_parts(there.items(), now)
    return texts


def _take(arrival: Arrival, long: Long, there: dict[Long, Gathered]) -> _Text | None:
    gathered, part = there[long], arrival.inbound.part
    assert part is not None
    if arrival.late:
        if gathered.joined or not gathered.parts:
            return None
    else:
        gathered, step = reassembly.take(gathered, part, arrival.inbound.text)
        there[long] = gathered
        if step is not reassembly.Step.COMPLETES:
            return None
    words, missing = reassembly.join(gathered.parts, long.total)
    there[long] = gathered.sealed()
    return _Text(arrival._replace(inbound=arrival.inbound._replace(text=words, part=None)), missing)


# ---------------------------------------------------------------- keywords


def _heed(arrival: Arrival, said: Said, session: Session, now: int, keep: Keep) -> Script[OwedReply | None]:
    """Do what a keyword asks for; brings the reply that it is owed."""
    changed = yield from _write_ledger(arrival, said.wish, now, keep)
    words = arrival.keywords.reply_to(said)
    if not words or arrival.sender is None or not owes_reply(said.wish, session, now, changed=changed):
        return None
    talk = arrival.talk
    return OwedReply(arrival.key, talk.account_id, talk.sender_id, talk.space, arrival.inbound.sender, words, now)


def _keyword(arrival: Arrival) -> Said | None:
    inbound = arrival.inbound
    if arrival.keywords.use is Use.IGNORE or inbound.channel is Channel.EMAIL:
        return None
    return keyword_in(inbound.text, country_of(inbound.sender))


def _write_ledger(arrival: Arrival, wish: Wish, now: int, keep: Keep) -> Script[bool]:
    """Whether the ledger says something else now."""
    someone = arrival.person
    if wish is Wish.STOP:
        entry = OptOut(arrival.account_id, *someone, EVERYTHING, "reply", "recipient")
        return bool((yield from keep([entry], now)))
    if wish is Wish.START:
        return bool((yield from remove_opt_outs(arrival.account_id, [someone], None)))
    return False


# ---------------------------------------------------------------- rows


def _operation(text: _Text, session: Session, now: int) -> NewOperation:
    arrival = text.arrival
    inbound = arrival.inbound
    return NewOperation(
        arrival.key,
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
        msgspec.json.encode(Content(text=inbound.text, media=inbound.media)).decode(),
        "{}",
        msgspec.json.encode(_origin(inbound, session, text.missing)).decode(),
        0,
    )


def _origin(inbound: Inbound, session: Session, missing: int) -> Mapping[str, str | int]:
    more = {"postback": inbound.postback, "missing": missing}
    told = {"kind": "inbound", "to": inbound.recipient, "session": ids.encode(ids.SESSION, session.uid)}
    return {**told, **{name: value for name, value in more.items() if value}}


def _message(arrival: Arrival, now: int) -> NewMessage:
    inbound = arrival.inbound
    segments = count(inbound.text) if inbound.text else 1
    return NewMessage(arrival.key, arrival.key, inbound.sender, _SPACE[inbound.channel], "", segments, now)
