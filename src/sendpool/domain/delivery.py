"""When a sink that did not take its events is offered them again, and when they are given up.

Offered again for four hours with growing pauses (contract behaviour §14). A sink that fails again and again is left
alone but for one probe at a time, so that it costs nothing and is back within a minute of its recovery.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

#: Seconds that a sink has to answer in, and for how long events are offered again.
ANSWER_WITHIN = 5.0
GIVE_UP_AFTER = 4 * 3600.0
#: Lanes of a sink: the events of a message are in one, and go one batch after the other.
LANES = 8
#: Events of a batch at most, and the seconds in which events gather for one while more and more come.
BATCH, LINGER = 500, 0.2
#: Bytes of a batch at most, unless it is a single event.
BATCH_BYTES = 384 * 1024
#: Failures in a row, over all lanes, after which a sink is thought to be down.
DOWN_AFTER = 5
#: Tries of a batch in its place in the lane; after them the lane goes on, and the batch is offered again by itself.
IN_PLACE = 3
_FIRST, _LAST_IN_PLACE, _LAST_PROBE, _LAST = 0.5, 4.0, 30.0, 900.0


class SinkType(StrEnum):
    """What kind of place events are handed to."""

    WEBHOOK = "webhook"
    #: A stream of NATS JetStream.
    NATS = "nats"


#: Fields of a sink's configuration that are never shown again.
SECRET_FIELDS = ("token", "password")


class SinkStatus(StrEnum):
    """How far a sink has come (the hosted API's words)."""

    INITIALIZED = "initialized"
    VALIDATING = "validating"
    ACTIVE = "active"
    #: It did not take anything for four hours, and takes nothing still.
    FAILED = "failed"


def pause(tries: int, chance: float, *, last: float = _LAST) -> float:
    """Seconds until the next try after *tries* failures, doubling, with a jitter by *chance* (0 to 1) of one half."""
    ceiling = min(_FIRST * 2.0 ** min(tries - 1, 20), last)
    return ceiling * (0.5 + chance / 2)


def pause_in_place(tries: int, chance: float) -> float:
    """The same for a batch that keeps its place."""
    return pause(tries, chance, last=_LAST_IN_PLACE)


class Circuit:
    """Whether a sink is thought to be there. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures = 0
        #: Since when it has taken nothing; None: it took the last that it was offered.
        self.failing_since: float | None = None
        self.probe_at = 0.0

    @property
    def open(self) -> bool:
        """True: only a probe goes out."""
        return self._failures >= DOWN_AFTER

    def wait(self, now: float) -> float:
        """Seconds until something may go out."""
        return max(0.0, self.probe_at - now) if self.open else 0.0

    def worked(self) -> None:
        """It took something."""
        self._failures, self.failing_since = 0, None

    def failed(self, now: float, chance: float) -> None:
        """It did not."""
        self._failures += 1
        if self.failing_since is None:
            self.failing_since = now
        if self.open:
            self.probe_at = now + pause(self._failures - DOWN_AFTER + 1, chance, last=_LAST_PROBE)


def waves(subjects: Iterable[str]) -> list[list[int]]:
    """Places of events by what they are about, in waves: the n-th about each subject is in the n-th wave.

    Where a wave goes out when all before it were taken, the events about one subject keep their order whatever fails.
    """
    found: list[list[int]] = []
    seen: Counter[str] = Counter()
    for place, subject in enumerate(subjects):
        if seen[subject] == len(found):
            found.append([])
        found[seen[subject]].append(place)
        seen[subject] += 1
    return found
