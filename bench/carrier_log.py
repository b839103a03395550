"""What a carrier's log says: how fast submits came, from whom, and which messages came more than once.

Pure: takes lines and times, gives figures. The format is the one that `smsc.c` describes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Submit(NamedTuple):
    """One submit_sm as a carrier received and answered it."""

    #: Seconds since 1970.
    at: float
    #: Addresses without "+": the log has international ones with or without, as they were sent.
    source: str
    destination: str
    #: command_status; 0: accepted.
    status: int


def parse(lines: Iterable[str]) -> list[Submit]:
    """The submits of a log. Raises `ValueError` for a line that is none."""
    submits = []
    for line in lines:
        at, source, destination, _hash, _message_id, status = line.split()
        submits.append(Submit(float(at), source.lstrip("+"), destination.lstrip("+"), int(status, 16)))
    return submits


def accepted(submits: Iterable[Submit]) -> list[Submit]:
    """Those that the carrier took."""
    return [submit for submit in submits if submit.status == 0]


def copies(submits: Iterable[Submit]) -> Counter[str]:
    """How many times each destination was accepted; with one message a destination, a message's copies."""
    return Counter(submit.destination for submit in submits if submit.status == 0)


def duplicates(copies_of: Mapping[str, int]) -> int:
    """How many copies are one too many."""
    return sum(number - 1 for number in copies_of.values())


def busiest_window(times: Iterable[float], seconds: float = 1.0) -> int:
    """The most that fall within any stretch of *seconds*, wherever it begins; its end is not part of it."""
    window: deque[float] = deque()
    most = 0
    for at in sorted(times):
        window.append(at)
        while at - window[0] >= seconds:
            window.popleft()
        most = max(most, len(window))
    return most


def per_second(times: Iterable[float]) -> list[int]:
    """How many fall into each second, counted from the first of them."""
    ordered = sorted(times)
    if not ordered:
        return []
    counts = Counter(int(at - ordered[0]) for at in ordered)
    return [counts[second] for second in range(int(ordered[-1] - ordered[0]) + 1)]


def steady(counts: Sequence[int]) -> Sequence[int]:
    """The seconds that are neither the first nor the last, which are not whole or see the start."""
    return counts[1:-1]


def spread(counts: Iterable[int]) -> float:
    """How far shares lie apart: (most - least) / mean; 0 when nothing is shared out."""
    numbers = list(counts)
    total = sum(numbers)
    return (max(numbers) - min(numbers)) * len(numbers) / total if total else 0.0


def quantile(values: Iterable[float], share: float) -> float:
    """The value that *share* (0 to 1) of the values do not exceed; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
