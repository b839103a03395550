"""What the server raises where it does not accept, on its way to a front, which raises it again."""

from __future__ import annotations

import structlog

from sendpool.api.exchange import TooOften
from sendpool.api.front.frames import Fault
from sendpool.domain.request import Refused
from sendpool.pipeline.backlog import QueueFull
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.database import DatabaseAway
from sendpool.store.idempotency import KeyTaken

log = structlog.get_logger()

_PLAIN: dict[str, type[Exception]] = {
    "unavailable": StoreUnavailable,
    "away": DatabaseAway,
    "full": QueueFull,
    "taken": KeyTaken,
}


def fault_of(error: Exception) -> Fault:
    """An exception as a front may know it."""
    if isinstance(error, Refused):
        return Fault("refused", problems=error.problems, status=error.status)
    if isinstance(error, TooOften):
        return Fault("often", wait=error.wait)
    for name, kind in _PLAIN.items():
        if isinstance(error, kind):
            return Fault(name, str(error))
    log.error("request failed", error=type(error).__name__, exc_info=error)
    return Fault("failed", type(error).__name__)


def error_of(fault: Fault) -> Exception:
    """What to raise for it."""
    if fault.name == "refused":
        return Refused(*fault.problems, status=fault.status)
    if fault.name == "often":
        return TooOften(fault.wait)
    kind = _PLAIN.get(fault.name)
    return RuntimeError(f"the server failed: {fault.text}") if kind is None else kind(fault.text)
