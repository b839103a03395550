"""`audit`: whether everything that was accepted is accounted for, asked of a live database without being in its way.

It reads a part at a time, each on a short snapshot of its own, and looks a second time at whatever may only have moved
between two of them. So it can run at any moment, and says nothing of a healthy server however busy it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from sendpool.admin.context import instant
from sendpool.domain import ids
from sendpool.store import audit as store
from sendpool.store.audit import Bounds
from sendpool.store.audit_rules import OVERDUE, RULES, UNDER_WAY, Subject
from sendpool.store.key_set import KeySet
from sendpool.store.reading import Reader
from sendpool.store.walks import Place

_MINUTE = 60_000_000
#: Microseconds of running after which a due row that still waits, and a matching receipt, are late; and any receipt.
ROW_LATE, RECEIPT_LATE, UNMATCHED = 15 * _MINUTE, 5 * _MINUTE, 60 * _MINUTE
#: After which a lease should have an owner again: it takes a quarter of a minute.
LEASE_LATE = 5 * _MINUTE
_BY_NAME = {rule.name: rule for rule in (*RULES, *OVERDUE)}
_LATE = _BY_NAME["queued too long"].remedy


class Sizes(NamedTuple):
    """How much one look takes."""

    #: Messages of one snapshot, and rows of a walk.
    messages: int = 5_000
    rows: int = 20_000
    #: Keys of one second look.
    again: int = 1_000
    #: Ids that one finding names, and rows that are counted where counting is dear.
    named: int = 5
    counted: int = 10_000


class Finding(msgspec.Struct, frozen=True, rename="camel"):
    """Something that is not as it should be."""

    name: str
    #: What is wrong, told of one.
    what: str
    count: int
    #: Public ids of a few.
    examples: list[str]
    #: What to do.
    todo: str
    #: False: good to know, and nothing wrong by itself.
    wrong: bool = True


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """What an audit found."""

    #: Nothing is wrong.
    sound: bool
    began_at: str | None
    ended_at: str | None
    #: accepted = scheduled + queued + sent + unknown + delivered + read + undelivered + failed + canceled
    messages: dict[str, int]
    operations: int
    #: Rows that wait, in queues and until their time.
    waiting: int
    findings: list[Finding]


#: The right side of the sum, in the order in which it is told.
STATES = ("scheduled", "queued", "sent", "unknown", "delivered", "read", "undelivered", "failed", "canceled")


class _Other(NamedTuple):
    """A finding that no rule over messages brings."""

    name: str
    what: str
    todo: str
    wrong: bool = True


_ROW_LATE = _Other("row too late", "a row still waits a quarter of an hour after it was due again", _LATE)
_ROW_LOST = _Other(
    "row without message",
    "a row waits for a message that is not there",
    "Nothing is sent for it, and the sweep removes it in time. Report it where it comes again",
)
_DEAD_POOL = _Other(
    "deleted pool",
    "a message waits in a pool that was deleted, and that has no sender any more",
    f"It should have ended FAILED 21703. {_LATE}",
)
_KNOWN_RECEIPT = _Other("receipt not matched", "a receipt waits although its segment has been known for minutes", _LATE)
_UNMATCHED = _Other(
    "receipt unmatched",
    "a receipt names no segment that was ever sent, an hour after it came",
    "Something else sends over the same account, or the carrier spells ids in receipts differently: see the connector's"
    " README. They are removed after three days",
)
_NOBODYS = _Other(
    "lease of nobody",
    "a configured connection, or what one node does for all (keeper), has had no owner for five minutes",
    "Nothing is sent through it. `sendpool nodes` shows who is there: start a node whose file declares the connection,"
    " or take it out of all files",
)
_DOUBTFUL = _Other(
    "ambiguous",
    "nobody knows whether a message has left",
    "Stated, not lost: a receipt or its policy may still decide. `GET /v1/Messages?ambiguous=true` lists them",
    wrong=False,
)


async def audit(reader: Reader, now: Callable[[], int], sizes: Sizes = Sizes()) -> Report:  # noqa: B008 - frozen
    """Look at everything that there is now. *now* tells microseconds since 1970."""
    return await _Audit(reader, sizes).run(now)


class _Audit:
    def __init__(self, reader: Reader, sizes: Sizes) -> None:
        self._reader = reader
        self._sizes = sizes
        self._broken: dict[str, KeySet] = defaultdict(KeySet)
        self._counts: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._doubtful: list[int] = []
        self._late: list[int] = []
        self._lost: list[int] = []
        #: Messages that must wait somewhere and have not been seen there.
        self._unseen = KeySet()
        self._seen = KeySet()
        self._twice: list[int] = []
        self._unnamed: list[int] = []
        self._rows = 0

    async def run(self, now: Callable[[], int]) -> Report:
        """The whole of it."""
        began = now()
        ages = {rule.age for rule in OVERDUE} | {ROW_LATE, RECEIPT_LATE, UNMATCHED, LEASE_LATE}
        bounds = await self._reader.read(store.bounds(sorted(ages)))
        await self._look_at_operations(bounds)
        for table in ("outq", "later"):
            await self._walk_rows(table, bounds)
        await self._walk_segments()
        await self._look_again()
        findings = [*await self._rule_findings(), *await self._other_findings(bounds)]
        sums = self._sums
        messages = {"accepted": sums["total"], **{name: sums[name] for name in STATES}}
        messages["sent"] -= sums["unknown"]
        return Report(
            sound=not any(finding.wrong for finding in findings),
            began_at=instant(began),
            ended_at=instant(now()),
            messages=messages,
            operations=sums["operations"],
            waiting=self._rows,
            findings=findings,
        )

    # ------------------------------------------------------------ look

    async def _look_at_operations(self, bounds: Bounds) -> None:
        first: int | None = 0
        while first is not None:
            look = await self._reader.read(store.look_at(first, bounds, self._sizes.messages))
            for name, keys in look.broken.items():
                self._note(name, keys)
            self._unseen.update(look.waiting)
            self._doubtful += look.doubtful
            self._sums.update(look.sums)
            first = look.next

    def _note(self, name: str, keys: Iterable[int]) -> None:
        self._counts[name] += sum(self._broken[name].add(key) for key in keys)

    async def _walk_rows(self, table: str, bounds: Bounds) -> None:
        late = bounds.moments[ROW_LATE]
        place: Place | None = Place()
        while place is not None:
            rows, place = await self._reader.read(store.waiting_rows(table, place, self._sizes.rows))
            self._rows += len(rows)
            for row in rows:
                if row.to_send:
                    self._unseen.discard(row.message_id)
                    if not self._seen.add(row.message_id):
                        self._twice.append(row.message_id)
                if row.unnamed:
                    self._unnamed.append(row.message_id)
                if row.lost:
                    self._lost.append(row.message_id)
                elif table == "later" and late is not None and row.due < late:
                    self._late.append(row.message_id)

    async def _walk_segments(self) -> None:
        place: Place | None = Place()
        while place is not None:
            attempts, place = await self._reader.read(store.segments_of_nobody(place, self._sizes.rows))
            self._note("carrier id", attempts)

    async def _look_again(self) -> None:
        """At one moment each: what has only moved from one place to another is no finding."""
        still: list[int] = []
        for keys in self._batches(self._unseen):
            still += await self._reader.read(store.broken_of(UNDER_WAY, keys))
        for name, suspects in (("stuck", still), ("two places", self._twice), ("unnamed queue", self._unnamed)):
            for keys in self._batches(suspects):
                self._note(name, await self._reader.read(store.broken_of(_BY_NAME[name], keys)))

    def _batches(self, keys: Iterable[int]) -> Iterator[list[int]]:
        left = iter(keys)
        while batch := list(islice(left, self._sizes.again)):
            yield batch

    # ------------------------------------------------------------ tell

    async def _rule_findings(self) -> list[Finding]:
        found = []
        for rule in (*RULES, *OVERDUE):
            if count := self._counts[rule.name]:
                keys = list(islice(self._broken[rule.name], self._sizes.named))
                examples = await self._names(rule.subject, keys)
                found.append(Finding(rule.name, rule.wrong, count, examples, rule.remedy))
        return found

    async def _other_findings(self, bounds: Bounds) -> list[Finding]:
        dead = await self._rows_of_dead_pools(bounds)
        lists = ((_ROW_LATE, self._late), (_ROW_LOST, self._lost), (_DEAD_POOL, dead), (_DOUBTFUL, self._doubtful))
        found = [
            _finding(kind, len(keys), await self._names(Subject.MESSAGE, keys[: self._sizes.named]))
            for kind, keys in lists
            if keys
        ]
        for kind, age, known in ((_KNOWN_RECEIPT, RECEIPT_LATE, True), (_UNMATCHED, UNMATCHED, False)):
            moment = bounds.moments[age]
            if moment is not None:
                parked = await self._reader.read(store.parked_receipts(moment, self._sizes.named, known=known))
                if parked.receipts:
                    found.append(
                        _finding(kind, parked.receipts, [f"{name} {key}".strip() for name, key in parked.examples])
                    )
        if (moment := bounds.moments[LEASE_LATE]) is not None:
            nobodys = await self._reader.read(store.leases_of_nobody(moment))
            if nobodys:
                found.append(_finding(_NOBODYS, len(nobodys), nobodys[: self._sizes.named]))
        return found

    async def _rows_of_dead_pools(self, bounds: Bounds) -> list[int]:
        moment = bounds.moments[ROW_LATE]
        if moment is None:
            return []
        return await self._reader.read(store.rows_of_dead_pools(moment, self._sizes.counted))

    async def _names(self, subject: Subject, keys: Sequence[int]) -> list[str]:
        if subject is Subject.OPERATION:
            uids = await self._reader.read(store.operation_uids(keys))
            return [
                ids.operation_id(bytes.fromhex(uids[key])) if key in uids else _unknown(subject, key) for key in keys
            ]
        unit = 64 if subject is Subject.ATTEMPT else 1
        owners = await self._reader.read(store.owners([key // unit for key in keys]))
        return [self._name(subject, key, owners.get(key // unit)) for key in keys]

    def _name(self, subject: Subject, key: int, owner: tuple[str, int, str] | None) -> str:
        if owner is None:
            return _unknown(subject, key)
        uid, index, kind = owner
        if subject is Subject.ATTEMPT:
            return ids.attempt_id(bytes.fromhex(uid), index, key & 63)
        return ids.message_id(bytes.fromhex(uid), index, ids.EMAIL if kind == "email" else ids.MESSAGE)


def _finding(kind: _Other, count: int, examples: list[str]) -> Finding:
    return Finding(kind.name, kind.what, count, examples, kind.todo, kind.wrong)


def _unknown(subject: Subject, key: int) -> str:
    """What has no public id, since it belongs to nothing: its key in the table."""
    return f"{subject.value} {key}"
