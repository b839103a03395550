"""Window: to whom a carrier takes no free content is known ahead, where the person would have been heard.

Such a message goes at once in its changed form, or on to the next channel; what is not known goes out as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from sendpool.connectors.base import NeedsWindow
from sendpool.connectors.registry import UnknownConnector, connector_type
from sendpool.domain.consent import SPACE_OF_LETTER, person
from sendpool.domain.failures import Repair
from sendpool.domain.message import Content, at_step, on_channel
from sendpool.domain.sender import Channel
from sendpool.domain.window import hear, is_closed, knows
from sendpool.pipeline.roster import Roster
from sendpool.store.database import Script
from sendpool.store.messages import Context
from sendpool.store.queue import DueRow
from sendpool.store.window import Writer, latest_uptime, load_heard, load_writers, write_heard

if TYPE_CHECKING:
    from sendpool.pipeline.links import Gate

#: The rule of the failure table by which a message ends that no sender could send to a closed window.
WINDOW_RULE = "sendpool/window"
#: Microseconds between two notes that a number is heard.
NOTE_EVERY = 600_000_000


class Shut(NamedTuple):
    """What is known of the windows of a batch of rows."""

    #: Rows that may be sent, by somebody or in some form.
    live: list[DueRow]
    #: Rows that every sender of their pool would be refused, in any form that it has.
    out: list[DueRow]
    #: (message, sender) whose window is closed, and the sender has a form for that.
    changed: Collection[tuple[int, int]] = frozenset()


class Watched(NamedTuple):
    """The senders of a pool on a channel, some of which send free content into open windows only."""

    channel: Channel
    #: All of them, and those that this process knows more of.
    sender_ids: Sequence[int]
    gates: Sequence[Gate]

    def sort(self, rows: list[DueRow], contexts: Mapping[int, Context], now: int) -> Script[Shut]:
        """Tell the rows that somebody may send from those that everybody would be refused."""
        asked = self._asked(rows, contexts)
        if not asked:
            return Shut(rows, [])
        up = yield from latest_uptime()
        heard = yield from load_heard(gate.sender.id for gate in self.gates if gate.needs_window is not None)
        known = {key for key, one in heard.items() if knows(one, up, now)}
        if not known:
            return Shut(rows, [])
        writers = {row.message_id: _writer(row, contexts[row.operation_id]) for row, _ in asked}
        wrote = yield from load_writers(writers.values())
        closed = {
            (row.message_id, gate.sender.id)
            for row, gates in asked
            for gate in gates
            if is_closed(
                at_step(row.address, row.step),
                wrote.get((writers[row.message_id], gate.sender.id)),
                now,
                known=gate.sender.id in known,
            )
        }
        able = {gate.sender.id for gate in self.gates if Repair.TEMPLATE in gate.repairs}
        changed = {one for one in closed if one[1] in able}
        shut = closed - changed
        out = {row.message_id for row, _ in asked if all((row.message_id, key) in shut for key in self.sender_ids)}
        live = [row for row in rows if row.message_id not in out] if out else rows
        return Shut(live, [row for row in rows if row.message_id in out], changed)

    def _asked(self, rows: Sequence[DueRow], contexts: Mapping[int, Context]) -> list[tuple[DueRow, Sequence[Gate]]]:
        """The rows whose content needs an open window, with the senders that say so."""
        gates_of: dict[int, Sequence[Gate]] = {}
        for key in {row.operation_id for row in rows}:
            content = on_channel(contexts[key].content, self.channel)
            gates_of[key] = [gate for gate in self.gates if gate.needs_window and gate.needs_window(content)]
        return [(row, gates) for row in rows if (gates := gates_of[row.operation_id])]


class Windows:
    """Which senders need open windows, and which numbers were heard lately."""

    def __init__(self, gates: Mapping[int, Gate]) -> None:
        self._gates = gates
        #: When it was noted last that a sender was heard, by whether its writer is known.
        self._noted: dict[tuple[int, bool], int] = {}

    def watched(self, roster: Roster, pool_id: int, channel: Channel) -> Watched | None:
        """The senders of a pool on a channel; None where none of them needs an open window."""
        if channel is not Channel.WHATSAPP:
            return None
        sender_ids = [sender.id for sender, _ in roster.members(pool_id, channel)]
        gates = [self._gates[key] for key in sender_ids if key in self._gates]
        return Watched(channel, sender_ids, gates) if any(gate.needs_window for gate in gates) else None

    def worth_noting(self, heard: Mapping[int, bool], now: int) -> dict[int, bool]:
        """Of senders that were heard, each with whether by somebody unknown, those of whom the store is to know."""
        due = {
            key: unplaced
            for key, unplaced in heard.items()
            if now - self._noted.get((key, unplaced), -NOTE_EVERY) >= NOTE_EVERY
        }
        self._noted.update(((key, unplaced), now) for key, unplaced in due.items())
        return due


def note_heard(heard: Mapping[int, bool], now: int) -> Script[None]:
    """Keep that senders were heard *now*, each with whether somebody opened a window whose number is not known."""
    before = yield from load_heard(heard, lock=True)
    yield from write_heard({key: hear(before.get(key), now, unplaced=one) for key, one in heard.items()})


def needs_window(kind: str) -> Callable[[Content], bool] | None:
    """What tells whether a content needs an open window on connections of a type; None: none does."""
    connector = _windowed(kind)
    return connector.needs_window if connector is not None else None


@cache
def _windowed(kind: str) -> type[NeedsWindow] | None:
    try:
        connector: object = connector_type(kind)
    except UnknownConnector:
        return None
    return connector if isinstance(connector, type) and issubclass(connector, NeedsWindow) else None


def _writer(row: DueRow, context: Context) -> Writer:
    who = person(SPACE_OF_LETTER[row.plan[row.step]], at_step(row.address, row.step))
    return Writer(context.account_id, *who)
