"""Points at which a test may have this process die, fail or stand still. A leaf; in service it does nothing.

Each boundary between two stages names one: `reach("claim.committed")`. What happens there is said by the environment
variable `SENDPOOL_FAILPOINTS` and by nothing else: no file and no request can arm a point. Without the variable `reach`
is an empty function, called once per batch, never per message.

    SENDPOOL_FAILPOINTS="claim.committed=kill@3, receipt.applied=raise, answer.heard=delay:0.5@2+"

At the third time that `claim.committed` is reached the process dies as by kill -9; the first `receipt.applied` raises
`Failed`; from its second time on `answer.heard` stands still for half a second, the whole event loop with it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

VARIABLE = "SENDPOOL_FAILPOINTS"

#: Every point, and what stands and what does not when it is reached.
POINTS: Mapping[str, str] = MappingProxyType(
    {
        "accept.waiting": "a request is checked and waits for its commit",
        "accept.applied": "a request is in the transaction, not committed",
        "accept.committed": "a request is durable, its client not answered",
        "change.applied": "a cold change (pools, accounts, cancels) is in the transaction, not committed",
        "change.committed": "a cold change is durable, its client not answered",
        "expansion.applied": "a chunk has become rows in the transaction, not committed",
        "expansion.committed": "a chunk has become rows",
        "claim.applied": "attempts are started in the transaction, not committed",
        "claim.committed": "attempts are started, their bytes have not left",
        "submit.written": "bytes of a submit have left, nothing is known of them (SMPP)",
        "answer.heard": "a carrier has answered submits, nobody has taken note",
        "answer.taken": "answers of a carrier wait for their commit",
        "result.applied": "answers of a carrier are in the transaction, not committed",
        "result.committed": "answers of a carrier are durable",
        "receipt.heard": "receipts wait for their commit",
        "receipt.applied": "receipts are in the transaction, not committed",
        "receipt.committed": "receipts are durable, the carrier not acknowledged",
        "receipt.acknowledged": "receipts are acknowledged (SMPP)",
        "sweep.applied": "housekeeping (promotion, expiry, asking again) is in the transaction, not committed",
        "sweep.committed": "housekeeping is durable",
        "rescue.applied": "attempts of an earlier run are marked in the transaction, not committed",
        "revoke.decided": "an attempt is to be taken back, its carrier not asked",
        "revoke.answered": "a carrier has said whether it takes an attempt back, nothing stored",
        "drain.begun": "the server was told to end, nothing is finished",
        "drain.disconnected": "the carriers are disconnected, the last commit is to come",
    }
)

_ONE = re.compile(r"\s*([a-z.]+)=(kill|raise|delay:([0-9.]+))(?:@([1-9][0-9]*)(\+?))?\s*")


class Failed(Exception):
    """What an armed point raises."""


class BadFailpoints(ValueError):
    """The variable cannot be read; the message says where."""


class Order(NamedTuple):
    """What happens at a point."""

    #: "kill", "raise", or "delay".
    action: str
    seconds: float = 0.0
    #: At which time, from 1; *on*: and from then on.
    at: int = 1
    on: bool = False

    def is_due(self, times: int) -> bool:
        """Whether it happens when the point is reached for this time."""
        return times == self.at or (self.on and times > self.at)


def read(text: str) -> dict[str, Order]:
    """Read what `VARIABLE` holds. Raises `BadFailpoints`."""
    orders = {}
    for entry in filter(str.strip, text.split(",")):
        found = _ONE.fullmatch(entry)
        if found is None:
            raise BadFailpoints(f'{VARIABLE}: "{entry.strip()}" is not of the form point=kill|raise|delay:SECONDS@3+')
        point, action, seconds, at, on = found.groups()
        if point not in POINTS:
            raise BadFailpoints(f'{VARIABLE}: there is no point "{point}"; there are {", ".join(POINTS)}')
        orders[point] = Order(action.partition(":")[0], float(seconds or 0), int(at or 1), bool(on))
    return orders


class Armed:
    """Orders, and how often each point was reached."""

    def __init__(self, orders: Mapping[str, Order]) -> None:
        self._orders = orders
        self._times: Counter[str] = Counter()

    def reach(self, point: str) -> None:
        """Be at a point: count it, and do what was ordered. Raises `Failed` where that was."""
        self._times[point] += 1
        order = self._orders.get(point)
        if order is None or not order.is_due(self._times[point]):
            return
        if order.action == "kill":
            _die()
        if order.action == "raise":
            raise Failed(f"as ordered at {point}")
        # The whole thread, as when a machine stands still.
        time.sleep(order.seconds)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    # The signal is on its way; nothing of ours may happen meanwhile.
    while True:
        signal.pause()


def _nothing(point: str) -> None:
    """Go on."""


def _armed() -> Callable[[str], None]:
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return _nothing
    try:
        orders = read(text)
    except BadFailpoints as error:
        sys.exit(str(error))
    sys.stderr.write(f"failpoints are armed: {text}\n")
    return Armed(orders).reach


#: Be at a point.
reach: Callable[[str], None] = _armed()
#: Whether any point is armed.
ARMED = reach is not _nothing
