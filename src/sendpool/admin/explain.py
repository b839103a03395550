"""`explain`: why a message went the way it did, or what it waits for. For operators, so of every account."""

from __future__ import annotations

from typing import Any

import msgspec

from sendpool.admin.context import Arguments, Context
from sendpool.admin.protocol import CommandRefused
from sendpool.domain import ids
from sendpool.pipeline.explain import explain
from sendpool.pipeline.roster import Roster, load_roster
from sendpool.pipeline.sight import NoSight
from sendpool.store.database import Script
from sendpool.store.history import MessagePlace
from sendpool.store.stories import Story, fetch_story


class ExplainMessage(Arguments, frozen=True, kw_only=True):
    """`explain MESSAGE_ID`."""

    #: A message's or an email's id, or that of one of its attempts.
    id: str


def find_story(ask: ExplainMessage, context: Context) -> Script[tuple[Story, Roster]]:
    """What is kept of the message, and who can send."""
    place = _place(ask.id)
    story = yield from fetch_story(place, None)
    if story is None:
        raise CommandRefused(f"there is no message {ask.id}; it may have been removed, or be in another database")
    return story, (yield from load_roster())


def tell(found: tuple[Story, Roster], context: Context) -> Any:
    """The explanation, with what holds senders back just now where a server runs."""
    story, stored = found
    roster, sight = (stored, NoSight(context.now)) if context.live is None else context.live()
    return msgspec.to_builtins(explain(story, roster, sight))


def _place(text: str) -> MessagePlace:
    found = ids.parse_message(text) or ids.parse_message(text, ids.EMAIL)
    if found is None:
        attempt = ids.parse_attempt(text)
        found = attempt[:2] if attempt else None
    if found is None:
        raise CommandRefused(
            f'"{text[:60]}" is no id of a message or an attempt; those begin with comms_message_, comms_email_ or SM'
        )
    return MessagePlace(*found)
