"""Why a sender takes nothing just now, as the pool's scene and the explanations tell it.

One function, the weightiest reason first. A rule that keeps a sender back has its line here, beside the place where it
keeps it back; a rule about a single message is no condition of the sender and is worked out when somebody asks.
"""

from __future__ import annotations

from sendpool.domain.reasons import Reason, Remark
from sendpool.pipeline.links import Gate, Link

#: Nothing keeps it back.
READY = Remark(Reason.READY)
_UNCONFIGURED = Remark(Reason.UNCONFIGURED)


def run_by(runner: str | None) -> Remark:
    """What is said of a sender whose connection this process does not run.

    *runner* is the name of the node that does; "": none does just now; None: nobody is to.
    """
    if runner is None:
        return _UNCONFIGURED
    return Remark(Reason.ELSEWHERE, about=runner) if runner else Remark(Reason.UNLEASED)


def condition_of_link(link: Link, now: float) -> Remark:
    """What keeps all senders of a connection from taking a message at *now* (monotonic seconds), or `READY`."""
    if link.draining:
        return Remark(Reason.DRAINING)
    if not link.up:
        return Remark(Reason.LINK_DOWN)
    if link.closure.closed:
        if now >= link.closure.until:
            return Remark(Reason.PROBING)
        reason = Reason.MISCONFIGURED if link.closure.of_settings else Reason.ACCOUNT_REFUSED
        return Remark(reason, link.closure.until)
    return Remark(Reason.PAUSED, link.bucket.paused_until) if link.bucket.paused_until > now else READY


def condition(gate: Gate | None, link: Link | None, now: float, runner: str | None = None) -> Remark:
    """What keeps a sender from taking a message at *now*, or that it is ready. Times are monotonic seconds.

    *runner* says who has its connection where this process does not, as for `run_by`.

    What passes within a second or so (a full window, used-up throughput) is not a condition; see `momentary`.
    """
    if gate is None or link is None:
        return _UNCONFIGURED if gate is None else run_by(runner)
    if gate.sender.drained:
        return Remark(Reason.DRAINING)
    of_all = condition_of_link(link, now)
    if of_all.reason not in (Reason.READY, Reason.PAUSED):
        return of_all
    flights = gate.flights
    if flights.stopped:
        return Remark(Reason.STOPPED, flights.stopped_until) if now < flights.stopped_until else Remark(Reason.PROBING)
    if gate.capped_until > now:
        return Remark(Reason.DAILY_LIMIT, gate.capped_until)
    paused = max(gate.bucket.paused_until, link.bucket.paused_until)
    if gate.bounds is not None:
        paused = max(paused, gate.bounds.paused_until)
    if paused > now:
        return Remark(Reason.PAUSED, paused)
    return gate.health or READY


def momentary(gate: Gate, link: Link, now: float, horizon: float) -> Remark:
    """What keeps a sender that is ready from taking a message within *horizon* seconds, or that nothing does."""
    if link.room(now) <= 0 or gate.flights.room(now, link.window) <= 0:
        return Remark(Reason.WINDOW_FULL)
    own, shared = gate.bucket.free_at(now), link.bucket.free_at(now)
    if gate.bounds is not None and gate.bounds.scopes:
        name, free = gate.bounds.slowest(now)
        if free > max(own, shared, now + horizon):
            return Remark(Reason.SCOPE_FULL, free, name)
    if max(own, shared) <= now + horizon:
        return READY
    return Remark(Reason.USED_UP, own) if own >= shared else Remark(Reason.CONNECTION_USED_UP, shared)
