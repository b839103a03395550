"""Which senders could reach a human: by the roster, so that the answer keeps to the rules that a send keeps to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from sendpool.domain.pool import Pool
from sendpool.domain.resolving import Pair, Question, resolve
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.countries import destination_of
from sendpool.pipeline.roster import Roster


def pairs(roster: Roster, account_id: int, question: Question) -> list[Pair[Sender]] | None:
    """The best pairs of an account's senders and addresses; None: it has no such pool.

    Of a pool its `reach`, its countries and its tiers count, which come in their order; of every sender where it sends.
    """
    everybody = roster.hidden_by_account[account_id]
    pool = _pool(roster, everybody, question.source)
    if pool is None or pool.account_id != account_id:
        return None

    @cache
    def fitting(channel: Channel, place: int) -> frozenset[int]:
        lanes = roster.lanes(pool.id, channel)
        return frozenset(seat.sender_id for seat in lanes.fit(destination_of(question.recipients[place][0])))

    return resolve(
        [space for _, space in question.recipients],
        _candidates(roster, pool, question.source),
        question.filter_in,
        question.priority,
        pool.choice.reach,
        lambda sender, channel, place: sender.id in fitting(channel, place),
    )


def _pool(roster: Roster, everybody: Pool, source: bytes | Sequence[tuple[Channel, str]] | None) -> Pool | None:
    if not isinstance(source, bytes) or source == everybody.uid:
        return everybody
    return roster.pool_by_uid.get(source)


def _candidates(
    roster: Roster, pool: Pool, source: bytes | Sequence[tuple[Channel, str]] | None
) -> Mapping[Channel, Sequence[Sender]]:
    """Active senders by channel: those named in their order, else of the pool, lower tiers and older ones first."""
    if source is None or isinstance(source, bytes):
        found: dict[Channel, list[Sender]] = {}
        for channel in roster.channels(pool.id):
            ordered = sorted(roster.members(pool.id, channel), key=lambda one: (one[1].tier, one[0].uid))
            found[channel] = [sender for sender, _ in ordered]
        return found
    named: dict[Channel, list[Sender]] = {}
    for channel, address in dict.fromkeys(source):
        sender = roster.sender_by_address.get((pool.account_id, channel, address))
        if sender is not None and sender.active:
            named.setdefault(channel, []).append(sender)
    return named
