"""What follows from a failure class, in words: the same table that `routing.next_step` obeys, told to people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sendpool.domain.failures import (
    CLASSES,
    ROWS,
    ClassActions,
    Classified,
    FailureClass,
    OtherChannel,
    OtherSender,
    SameSender,
)

_SAME: Mapping[SameSender, str] = MappingProxyType(
    {
        SameSender.NEVER: "The same sender does not try again.",
        SameSender.ONCE: "The same sender tries once more at once, and later ones after a pause.",
        SameSender.LATER: "The same sender tries again later, with growing pauses.",
        SameSender.RESUME: "What was throttled pauses and goes on by itself; the message keeps its place and this "
        "counts as no failure of it.",
    }
)
_SENDER: Mapping[OtherSender, str] = MappingProxyType(
    {
        OtherSender.NEVER: "No other sender of the channel is tried.",
        OtherSender.NEXT: "Then another sender of the pool is tried (failover).",
        OtherSender.ELSEWHERE: "Then a sender of the pool on another connection is tried (failover).",
    }
)
_CHANNEL: Mapping[OtherChannel, str] = MappingProxyType(
    {
        OtherChannel.NEVER: "No other channel is tried.",
        OtherChannel.NEXT: "Then the recipient's next channel is tried (fallback).",
        OtherChannel.WHEN_VALID: "Then the recipient's next channel is tried (fallback), unless the number itself is "
        "invalid.",
        OtherChannel.WHEN_ASKED: "Another channel is tried only where the pool asks for it.",
        OtherChannel.WHEN_DIFFERENT: "The next channel is tried (fallback) only where it carries other content, such "
        "as a module of its own.",
        OtherChannel.UNLESS_BULK: "Then the recipient's next channel is tried (fallback), except for messages of the "
        "category bulk.",
    }
)
_ROUTE = "It counts against the route: a sender with five such faults and no acceptance between them rests for 30 s."
_DONE = "Nothing: this is success."
_UNKNOWN = (
    "Nothing is sent again by itself, so that nobody gets it twice. If a receipt tells, its word counts; in the "
    "category otp, where a second copy does no harm, the same sender sends it once more."
)


def what_follows(failure: FailureClass) -> tuple[str, ...]:
    """Return, in sentences, what Sendpool does about a failure of this class."""
    if failure is FailureClass.OK:
        return (_DONE,)
    if failure is FailureClass.AMBIGUOUS:
        return (_UNKNOWN,)
    actions: ClassActions = CLASSES[failure]
    words = (_SAME[actions.same], _SENDER[actions.sender], _CHANNEL[actions.channel])
    return (*words, _ROUTE) if actions.route else words


def rows_by_code() -> Mapping[int, tuple[Classified, ...]]:
    """Return the rows of the failure table under the `error.code` that each shows on the wire."""
    found: dict[int, list[Classified]] = {}
    for table in ROWS.values():
        for row in table.values():
            if row.wire_code is not None:
                found.setdefault(row.wire_code, []).append(row)
    for actions in CLASSES.values():
        if actions.wire is not None:
            found.setdefault(actions.wire, [])
    return MappingProxyType({code: tuple(rows) for code, rows in sorted(found.items())})


def class_of_code(code: int, rows: tuple[Classified, ...]) -> FailureClass | None:
    """Return the class that a code stands for: the one that has it as its own, else that of most of its *rows*."""
    own = [failure for failure, actions in CLASSES.items() if actions.wire == code]
    if own:
        return own[0]
    told = [row.failure for row in rows]
    return max(told, key=told.count) if told else None
