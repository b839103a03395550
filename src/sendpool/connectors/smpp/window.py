"""What is in flight on one session: at most a window of submits, the queue behind it, and late answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import takewhile

from sendpool.connectors.base import AttemptKey
from sendpool.connectors.smpp.pdu import HEADER, HEADER_LENGTH, LAST_SEQUENCE, Command

_pack_header = HEADER.pack
_SUBMIT_SM = int(Command.SUBMIT_SM)

#: Seconds for which the answer to a submit that timed out is still awaited.
LATE = 600.0


#: What waits for room: its attempt, which part it is and its submit_sm body. A plain tuple: one per submit. Parts count
#: from 1; a long text that goes as one has the bits of its parts there, as a negative number.
Waiting = tuple[AttemptKey, int, bytes]
#: An attempt and which part of it, in the same way.
PartKey = tuple[AttemptKey, int]
#: The same with the time for its answer (seconds); None: that was over.
Answered = tuple[AttemptKey, int, float | None]


def parts_of(part: int) -> Sequence[int]:
    """The numbers of the parts that one submit carries."""
    if part > 0:
        return (part,)
    bits = -part
    return [number for number in range(1, bits.bit_length() + 1) if bits >> number - 1 & 1]


#: More submits than are ever unanswered.
_UNLIMITED = 1 << 60


class Shared:
    """What the binds of one connection share: the parts that wait, and room where they have it in common."""

    def __init__(self, room: int | None = None) -> None:
        """*room*: submits that may be unanswered over all binds; None: each bind has its own window alone."""
        self.queue: deque[Waiting] = deque()
        #: Submits that may still be written before one is answered.
        self.left = _UNLIMITED if room is None else room

    @property
    def ready(self) -> int:
        """Parts that may be written now, the windows of single binds apart."""
        return min(len(self.queue), self.left)

    def take_queued(self) -> list[PartKey]:
        """Empty the queue: parts that never left."""
        queued = [(attempt, part) for attempt, part, _ in self.queue]
        self.queue.clear()
        return queued


class Window:
    """Numbers, writes and remembers submits. It keeps no clock: `now` is in seconds on any steady scale."""

    def __init__(self, size: int, response_timeout: float, shared: Shared | None = None) -> None:
        """*size*: submits that may be unanswered on this bind; *shared*: what waits for any of several binds."""
        self.size = size
        self._response_timeout = response_timeout
        self._sequence = 0
        self._shared = shared or Shared()
        # Both in the order of their times, oldest first, since every entry of one gets the same span.
        self._pending: dict[int, tuple[AttemptKey, int, float]] = {}
        self._late: dict[int, tuple[AttemptKey, int, float]] = {}

    @property
    def in_flight(self) -> int:
        """Submits written and not answered, timed out ones not counted."""
        return len(self._pending)

    def next_sequence(self) -> int:
        """A sequence_number for a request, 1 to 0x7FFFFFFF and again from 1."""
        self._sequence = self._sequence + 1 if self._sequence < LAST_SEQUENCE else 1
        return self._sequence

    def add(self, items: Iterable[Waiting]) -> None:
        """Queue parts; they leave in this order."""
        self._shared.queue.extend(items)

    def take(self, now: float, at_most: int = _UNLIMITED) -> list[bytes]:
        """The octets to write now: as many submits as there is room for, in the order they were added."""
        shared, pending, sequence = self._shared, self._pending, self._sequence
        queue = shared.queue
        number = max(0, min(self.size - len(pending), len(queue), shared.left, at_most))
        shared.left -= number
        deadline = now + self._response_timeout
        chunks: list[bytes] = []
        for _ in range(number):
            attempt, part, body = queue.popleft()
            sequence = sequence + 1 if sequence < LAST_SEQUENCE else 1
            pending[sequence] = (attempt, part, deadline)
            chunks.append(_pack_header(HEADER_LENGTH + len(body), _SUBMIT_SM, 0, sequence))
            chunks.append(body)
        self._sequence = sequence
        return chunks

    def answered(self, sequences: Sequence[int]) -> list[Answered | None]:
        """Whose answers carry these sequence numbers; None where nobody's. Frees their places."""
        forget = self._pending.pop
        found: list[Answered | None] = [forget(sequence, None) for sequence in sequences]
        unknown = [place for place, entry in enumerate(found) if entry is None] if None in found else ()
        self._shared.left += len(found) - len(unknown)
        for place in unknown:
            late = self._late.pop(sequences[place], None)
            found[place] = late and (late[0], late[1], None)
        return found

    def expire(self, now: float) -> list[PartKey]:
        """Give up waiting for answers that are overdue at *now*; their places are free, late answers still count."""
        overdue = _due(self._pending, now)
        for sequence, attempt, part in overdue:
            del self._pending[sequence]
            self._late[sequence] = (attempt, part, now + LATE)
        self._shared.left += len(overdue)
        for sequence, _, _ in _due(self._late, now):
            del self._late[sequence]
        return [(attempt, part) for _, attempt, part in overdue]

    def take_queued(self) -> list[PartKey]:
        """Empty the queue: parts that never left."""
        return self._shared.take_queued()

    def take_pending(self) -> list[PartKey]:
        """Forget every submit in flight: parts that may have arrived."""
        pending = [(attempt, part) for attempt, part, _ in self._pending.values()]
        self._shared.left += len(pending)
        self._pending.clear()
        self._late.clear()
        return pending


def _due(entries: dict[int, tuple[AttemptKey, int, float]], now: float) -> list[tuple[int, AttemptKey, int]]:
    """The entries whose time has come; they stand in the order of their times."""
    first = takewhile(lambda item: item[1][2] <= now, entries.items())
    return [(sequence, attempt, part) for sequence, (attempt, part, _) in first]
