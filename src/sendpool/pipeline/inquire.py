"""Inquire: ask carriers what became of messages on which nobody has reported, where a carrier can be asked.

Reports get lost, and some are never made (no public URL). What an attempt is asked for, and when, stands in the
database since its acceptance; most are over by then, and are only forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import structlog

from sendpool.connectors.base import KnowsFates, Receipt
from sendpool.domain.inquiries import wait_after
from sendpool.domain.states import AttemptState
from sendpool.pipeline.links import Link
from sendpool.pipeline.rounds import Rounds
from sendpool.pipeline.settle import Changes
from sendpool.store.database import Script
from sendpool.store.inquiries import Inquiry, due_inquiries, forget_inquiries, put_off

log = structlog.get_logger()

#: Seconds between looks, what one look reads, and the most questions to a carrier that follow from it: 10 a second.
EVERY, MOST_READ, MOST_ASKED = 5.0, 1_000, 50
#: Seconds after which a question that could not be asked in time is left out.
OVERDUE = 600.0


class Inquirer(Rounds):
    """Asks for the connections that this process has."""

    every, name, trouble = EVERY, "ask for fates", "fates not asked for"

    async def look(self, link: Link) -> None:
        """Ask for what is due over a connection, and have stored what the carrier says."""
        connector, left = link.connector, MOST_ASKED
        if not isinstance(connector, KnowsFates):
            return
        while link.up:
            now = self._engine.clock.wall()
            rows = await self._engine.database.read(due_inquiries(link.connection_id, now, MOST_READ))
            open_ones = [row for row in rows if row.state == AttemptState.ACCEPTED]
            asked, rest = open_ones[:left], open_ones[left:]
            left -= len(asked)
            fates = await self._ask(link, connector, asked)
            # Where more are open than may be asked for, the question that is long overdue is left out.
            fates.update({row.carrier_id: None for row in rest if now - row.due_at > OVERDUE * 1e6})
            over = [row.attempt_id for row in rows if row.state != AttemptState.ACCEPTED]
            later, done = _sorted(open_ones, fates, now, connector.ask_after)
            if not (later or done or over):
                return
            await self._engine.settle(partial(_note, later, [*over, *done]))
            if len(rows) < MOST_READ:
                return

    async def _ask(self, link: Link, connector: KnowsFates, asked: Sequence[Inquiry]) -> dict[str, Receipt | None]:
        """What the carrier says of these, stored where it is news."""
        if not asked:
            return {}
        fates = await connector.fates([row.carrier_id for row in asked])
        if found := [receipt for receipt in fates.values() if receipt is not None]:
            await self._engine.receipts(link, found)
            log.info("fates were asked for", connection=link.name, asked=len(fates), known=len(found))
        return dict(fates)


def _sorted(
    asked: Iterable[Inquiry], fates: Mapping[str, Receipt | None], now: int, first: float
) -> tuple[list[tuple[int, int]], list[int]]:
    """Of those that the carrier has answered: what is to be asked for again, and when; what is done with."""
    later, done = [], []
    for row in asked:
        if row.carrier_id not in fates:
            continue
        wait = wait_after(row.asked + 1, first) if fates[row.carrier_id] is None else None
        if wait is None:
            done.append(row.attempt_id)
        else:
            later.append((row.attempt_id, now + int(wait * 1e6)))
    return later, done


def _note(later: Sequence[tuple[int, int]], done: Sequence[int], _: Changes) -> Script[None]:
    yield from put_off(later)
    yield from forget_inquiries(done)
