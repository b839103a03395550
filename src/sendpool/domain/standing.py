"""Where buckets stand when a connection comes to another process: handed over, or after an end without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import NamedTuple

from sendpool.domain.message import LONGEST_TEXT
from sendpool.domain.throughput import Bucket, BucketState

#: Segments of the longest text, in the alphabet that fits least into a segment.
LONGEST_MESSAGE = ceil(LONGEST_TEXT / 67)


class Stood(NamedTuple):
    """What is known of buckets, by name ("connection:12", "sender:34", or of what several connections share)."""

    #: None: whoever had them ended without a word.
    buckets: Mapping[str, BucketState] | None = {}
    #: Seconds since then, at least.
    since: float = 0.0


#: Nothing is known, and nothing can have left just before.
EMPTY = Stood()


def stood_together(stood: Iterable[Stood]) -> Stood:
    """What is known of the buckets of a group: of one that several leases tell of, where it stood fullest.

    Where one of them ended without a word, nothing is known of any: they share buckets.
    """
    merged: dict[str, BucketState] = {}
    for one in stood:
        if one.buckets is None:
            return Stood(None)
        for name, state in one.buckets.items():
            state = _passed(state, one.since)
            known = merged.get(name, state)
            merged[name] = BucketState(
                max(state.full_in, known.full_in),
                max(state.paused_for, known.paused_for),
                min(state.share, known.share),
                max(state.pauses, known.pauses),
            )
    return Stood(merged)


def _passed(state: BucketState, seconds: float) -> BucketState:
    return state._replace(full_in=max(0.0, state.full_in - seconds), paused_for=max(0.0, state.paused_for - seconds))


def restore_bucket(name: str, bucket: Bucket, stood: Stood, now: float) -> None:
    """Let a bucket go on at *now* (monotonic seconds) so that its limit was never exceeded, whatever left before.

    After an end without a word it starts empty and owes one longest message (design §7).
    """
    if stood.buckets is None:
        bucket.empty(now, LONGEST_MESSAGE)
    elif name in stood.buckets:
        bucket.restore(_passed(stood.buckets[name], stood.since), now)
    else:
        bucket.empty(now)
