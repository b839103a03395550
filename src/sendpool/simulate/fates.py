"""What becomes of each submit: drawn from the seed and the submit itself, so that order and timing do not matter."""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import NamedTuple

from sendpool.connectors.smpp.status import Status
from sendpool.simulate.script import (
    AnyFault,
    Congested,
    EarlyReceipt,
    NoAnswer,
    Refuse,
    RefuseBind,
    RepeatReceipt,
    Script,
    Silence,
    SlowAnswer,
    SlowReceipt,
    Throttle,
    Undelivered,
    pick,
    span,
)

#: Faults that are about links, not about single submits.
_PER_SUBMIT = (
    Refuse
    | Throttle
    | Silence
    | Undelivered
    | NoAnswer
    | SlowAnswer
    | SlowReceipt
    | EarlyReceipt
    | RepeatReceipt
    | Congested
)


class Fate(NamedTuple):
    """What the centre does with one submit."""

    status: int = 0
    answered: bool = True
    #: Seconds until the answer.
    answer_after: float = 0.0
    #: How many receipts, 0 for none.
    receipts: int = 1
    #: Seconds from the submit to the receipt.
    receipt_after: float = 0.0
    #: The receipt goes out before the answer.
    early: bool = False
    stat: str = "DELIVRD"
    err: str = "000"
    #: What the answer says about the centre's load, in percent; None: nothing.
    congestion: int | None = None


class Fates:
    """Decides for one centre. Keeps what "again" and "too fast" need: submits seen, and those of the last second.

    The same submits get the same fates whatever came between them: a draw depends on the seed, the source, the
    destination, the text, its part number, and on how often just this was submitted before, never on a counter of
    all submits or on ids. Only `throttle`, `drop` and `outage` depend on time and order, by their nature.
    """

    def __init__(self, script: Script) -> None:
        self._seed = str(script.seed).encode()
        self._answer_span = span(script.answer_delay)
        self._receipt_span = span(script.receipt_delay)
        self._faults = [(i, f) for i, f in enumerate(script.faults) if isinstance(f, _PER_SUBMIT)]
        self._bind_faults = pick(script.faults, RefuseBind)
        self._seen: dict[int, int] = {}
        self._recent: dict[tuple[int, str], deque[float]] = {}

    def of_submit(self, system_id: str, source: str, destination: str, body: bytes, elapsed: float) -> Fate:
        """Decide about a submit at *elapsed* seconds; *body* is its text without reference, with its part number."""
        key = b"%s\0%s\0%s" % (source.encode(), destination.encode(), body)
        short = hash(key)
        times = self._seen.get(short, 0)
        self._seen[short] = times + 1
        draws = _Draws(self._seed, key, times)
        fate = Fate(
            answer_after=draws.within(b"answer", self._answer_span),
            receipt_after=draws.within(b"receipt", self._receipt_span),
        )
        for index, fault in self._faults:
            chosen = _Draws(self._seed, key, 0) if isinstance(fault, Refuse) and fault.always else draws
            if fault.befalls(system_id, source, destination, elapsed) and chosen.chance(index, fault.share):
                fate = self._apply(fate, index, fault, system_id, draws, elapsed)
                if fate.status:
                    break
        return fate

    def of_bind(self, system_id: str, elapsed: float) -> int:
        """The command_status that a bind gets."""
        for fault in self._bind_faults:
            if fault.befalls(system_id, "", "", elapsed):
                return fault.code
        return Status.ROK

    def _apply(self, fate: Fate, index: int, fault: AnyFault, system_id: str, draws: _Draws, elapsed: float) -> Fate:
        match fault:
            case Refuse():
                return fate._replace(status=fault.code, receipts=0)
            case Throttle():
                too_fast = self._too_fast(index, fault, system_id, elapsed)
                return fate._replace(status=Status.RTHROTTLED, receipts=0) if too_fast else fate
            case Silence():
                return fate._replace(receipts=0)
            case Undelivered():
                return fate._replace(stat=fault.stat, err=fault.err)
            case NoAnswer():
                return fate._replace(answered=False)
            case SlowAnswer():
                return fate._replace(answer_after=draws.within(b"slow%d" % index, span(fault.seconds)))
            case SlowReceipt():
                return fate._replace(receipt_after=draws.within(b"slow%d" % index, span(fault.seconds)))
            case EarlyReceipt():
                return fate._replace(early=True)
            case Congested():
                return fate._replace(congestion=fault.state)
            case RepeatReceipt():
                return fate._replace(receipts=min(fate.receipts, 1) * fault.times)
            case _:
                return fate

    def _too_fast(self, index: int, fault: Throttle, system_id: str, elapsed: float) -> bool:
        """Whether a submit now would be one more than `mps` within a second; if not, it counts from now on."""
        recent = self._recent.setdefault((index, system_id), deque())
        while recent and recent[0] <= elapsed - 1.0:
            recent.popleft()
        if len(recent) >= fault.mps:
            return True
        recent.append(elapsed)
        return False


class _Draws:
    """Numbers in [0, 1) that depend on the seed, one submit and what they are drawn for."""

    def __init__(self, seed: bytes, key: bytes, times: int) -> None:
        self._base = blake2b(b"%s\0%d\0" % (seed, times), digest_size=8)
        self._base.update(key)

    def chance(self, index: int, share: float) -> bool:
        """True for *share* of the submits; *index* is the fault's place in the script."""
        return share >= 1.0 or self._draw(b"fault%d" % index) < share

    def within(self, what: bytes, bounds: tuple[float, float]) -> float:
        """A time within *bounds*."""
        low, high = bounds
        return low if low == high else low + (high - low) * self._draw(what)

    def _draw(self, what: bytes) -> float:
        state = self._base.copy()
        state.update(what)
        return int.from_bytes(state.digest(), "big") / 2**64
