"""Where buckets stand when a connection comes to another process: handed over, or after an end without a word."""

from __future__ import annotations

from collections.abc import Mapping
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


def restore_bucket(name: str, bucket: Bucket, stood: Stood, now: float) -> None:
    """Let a bucket go on at *now* (monotonic seconds) so that its limit was never exceeded, whatever left before.

    After an end without a word it starts empty and owes one longest message (design §7).
    """
    if stood.buckets is None:
        bucket.empty(now, LONGEST_MESSAGE)
    elif name in stood.buckets:
        state = stood.buckets[name]
        left = (max(0.0, state.full_in - stood.since), max(0.0, state.paused_for - stood.since))
        bucket.restore(state._replace(full_in=left[0], paused_for=left[1]), now)
    else:
        bucket.empty(now)
