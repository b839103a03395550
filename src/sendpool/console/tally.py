"""What events of the last minutes come to: pace, funnel, time to delivery, who failed to whom. Pure: `now` is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sendpool.domain.event_types import ATTEMPT_ENDED, OPERATION_EVENT
from sendpool.domain.states import MessageState
from sendpool.store.pulse import PulseRow

#: Seconds that are kept, and those of which each second is shown.
KEPT, SHOWN = 900, 60
#: Seconds of the latest that make the pace: the present one is not over, and receipts come in bursts.
_PACE = 5
#: Senders and pairs of senders that are shown: those with most.
MOST_SENDERS, MOST_FLOWS = 12, 12
#: Senders whose counts alone are told, and their errors.
MOST_COUNTED = 200
#: Seconds from acceptance to delivery: upper bounds of what is counted together; the last has none.
WAITS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)

_QUEUED, _SENT, _DELIVERED, _READ, _UNDELIVERED, _FAILED = (
    int(state)
    for state in (
        MessageState.QUEUED,
        MessageState.SENT,
        MessageState.DELIVERED,
        MessageState.READ,
        MessageState.UNDELIVERED,
        MessageState.FAILED,
    )
)
_NAMES = {
    _QUEUED: "accepted",
    _SENT: "sent",
    _DELIVERED: "delivered",
    _READ: "read",
    _UNDELIVERED: "undelivered",
    _FAILED: "failed",
    ATTEMPT_ENDED: "retried",
}
#: Kinds of keys, beside the names above: a sender, a pair of senders, a place in WAITS.
_Key = tuple[str, int, int]


class Tally:
    """Counts of one account, second by second. Totals are kept up as seconds come and go, never counted anew."""

    def __init__(self) -> None:
        self._seconds: dict[int, Counter[_Key]] = {}
        self._totals: Counter[_Key] = Counter()

    def add(self, rows: Iterable[PulseRow]) -> None:
        """Count events of messages."""
        for row in rows:
            name = _NAMES.get(row.number % 16) if row.number < OPERATION_EVENT else None
            if name is None:
                continue
            for key in _keys(row, name):
                self._seconds.setdefault(row.at // 1_000_000, Counter())[key] += 1
                self._totals[key] += 1

    def forget(self, now: int) -> None:
        """Let go what is older than is kept. *now* is in seconds since 1970."""
        for second in [second for second in self._seconds if second <= now - KEPT]:
            self._totals.subtract(self._seconds.pop(second))
        self._totals = +self._totals

    def shown(self, now: int) -> dict[str, Any]:
        """All of it as the page draws it. *now* is in seconds since 1970."""
        self.forget(now)
        seconds = [self._seconds.get(second, _NOTHING) for second in range(now - SHOWN, now)]
        recent = seconds[-_PACE:]
        senders = Counter({key[1]: n for key, n in self._totals.items() if key[0] == "sender"})
        errors = Counter({key[1:]: n for key, n in self._totals.items() if key[0] == "error"})
        flows = Counter({key[1:]: n for key, n in self._totals.items() if key[0] == "flow"})
        return {
            "pace": sum(one[_SENT_KEY] for one in recent) / _PACE,
            "series": {name: [one[name, 0, 0] for one in seconds] for name in ("accepted", "sent", "delivered")},
            "funnel": {name: self._totals[name, 0, 0] for name in (*_NAMES.values(), "more")},
            "waits": [self._totals["wait", place, 0] for place in range(len(WAITS) + 1)],
            "senders": [
                {"id": sender, "sent": n, "series": [one["sender", sender, 0] for one in seconds]}
                for sender, n in senders.most_common(MOST_SENDERS)
            ],
            "counts": dict(senders.most_common(MOST_COUNTED)),
            "errors": [{"id": one, "code": code, "n": n} for (one, code), n in errors.most_common(MOST_COUNTED)],
            "flows": [{"from": one, "to": other, "n": n} for (one, other), n in flows.most_common(MOST_FLOWS)],
        }


_NOTHING: Counter[_Key] = Counter()
_SENT_KEY: _Key = ("sent", 0, 0)


def _keys(row: PulseRow, name: str) -> Iterable[_Key]:
    """What an event counts for. A message that is sent once more is no further message that was sent."""
    again = name == "sent" and row.number // 16 > 1
    yield ("more" if again else name), 0, 0
    if name == "sent" and row.sender_id is not None:
        yield "sender", row.sender_id, 0
        if row.earlier_id is not None and row.earlier_id != row.sender_id:
            yield "flow", row.earlier_id, row.sender_id
    if row.error_code is not None and row.sender_id is not None:
        yield "error", row.sender_id, row.error_code
    if name == "delivered":
        wait = (row.at - row.accepted_at) / 1e6
        yield "wait", next((place for place, most in enumerate(WAITS) if wait <= most), len(WAITS)), 0
