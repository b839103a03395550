"""Draft: what a request comes to, before anything of it has a key. Changes nothing, so that a large one may be drafted
beside the event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import msgspec

from sendpool.domain.consent import Person
from sendpool.domain.dealing import step_cost
from sendpool.domain.message import LETTER_CHANNEL, STEP_LETTER, at_step
from sendpool.domain.request import Recipient, SendRequest
from sendpool.domain.sender import Channel
from sendpool.domain.uniform import Uniform
from sendpool.pipeline.book import ANYONE
from sendpool.pipeline.consent import OPTED_OUT, Willing, everybody, without
from sendpool.pipeline.lanes import Lanes
from sendpool.pipeline.render import Readings
from sendpool.pipeline.resolve import Addressed, Resolved, as_named, resolve
from sendpool.pipeline.roster import Roster
from sendpool.store.chunks import Share

#: Recipients up to which a request becomes rows at once; a larger one is kept in chunks and expanded when near.
AT_ONCE = 500
CHUNK = 1_000

#: The plan of a recipient on its way to a row, and its segments.
_PLAN = itemgetter(2, 3)


class Part(NamedTuple):
    """Recipients of a large request that are due together, as they are kept until their turn is near."""

    #: Microseconds since 1970; 0 is at once.
    due: int
    recipients: int
    #: JSON.
    body: str
    mix: Sequence[Share]


class Draft(NamedTuple):
    """What a request comes to, before anything of it has a key."""

    request: SendRequest
    willing: Willing
    found: Resolved
    #: Microseconds since 1970.
    at: int
    #: Of one that is kept in chunks.
    parts: Sequence[Part]


def draft(
    request: SendRequest,
    roster: Roster,
    at: int,
    readings: Readings | None = None,
    opted_out: set[Person] | None = None,
) -> Draft:
    """What a request comes to. Changes nothing, so that a large one need not stop the event loop. Raises `Refused`."""
    request = as_named(request, roster) if request.kind == "email" else request
    willing = without(request, readings, opted_out) if opted_out else everybody(request, readings)
    found = resolve(willing.request, roster, at, willing.readings)
    if willing.left_out and request.kind == "email":
        # Emails count no recipients without a message: theirs ends where it begins.
        ended = [(_mail(recipient), OPTED_OUT) for _, recipient in willing.left_out]
        found = found._replace(failed=[*found.failed, *ended])
    parts = _parts(found, roster) if len(found.addressed) > AT_ONCE else []
    return Draft(request, willing, found, at, parts)


def _parts(found: Resolved, roster: Roster) -> list[Part]:
    rows, first = found.addressed, 0
    parts = []
    for due, size in _portions(len(rows), found.dues):
        part = rows[first : first + size]
        parts.append(Part(due, size, _body(part), _mix(found.pool.id, part, roster)))
        first += size
    return parts


def _body(part: Sequence[Addressed]) -> str:
    """The JSON of a part: a list of each."""
    if isinstance(part, Uniform):
        addresses, rest = (msgspec.json.encode(one).decode() for one in (part.addresses, part.rest))
        # Where no address has a comma in it, as no number has, each one is between two of them.
        if addresses.count(",") == len(part) - 1:
            return "[" + addresses[:-1].replace(",", f",{rest[1:]},[") + f",{rest[1:]}]"
    return msgspec.json.encode(list(part)).decode()


def _mix(pool_id: int, part: Sequence[Addressed], roster: Roster) -> list[Share]:
    """What a part is made of: channels of first steps, and lanes where there are several."""
    messages: Counter[tuple[str, str]] = Counter()
    costs: Counter[tuple[str, str]] = Counter()
    # By plan and segments.
    alike = Counter({part.rest[1:]: len(part)}) if isinstance(part, Uniform) else Counter(map(_PLAN, part))
    bound: dict[str, Lanes | None] = {}
    for letter in {plan[0] for plan, _ in alike}:
        lanes = roster.lanes(pool_id, LETTER_CHANNEL[letter])
        bound[letter] = lanes if lanes.bound else None
    if any(bound.values()):
        kinds = Counter([(_class(r, bound), r[3]) for r in part])
    else:
        kinds = Counter()
        for (plan, segments), number in alike.items():
            kinds[(plan[0], ANYONE), segments] += number
    for ((letter, lane), segments), number in kinds.items():
        messages[letter, lane] += number
        costs[letter, lane] += number * step_cost(letter, segments)
    return [Share(*key, number, costs[key]) for key, number in messages.items()]


def _class(recipient: Addressed, bound: Mapping[str, Lanes | None]) -> tuple[str, str]:
    """The channel's letter and the lane in which a recipient's message begins."""
    letter = recipient[2][0]
    lanes = bound[letter]
    return letter, ANYONE if lanes is None else lanes.class_of(at_step(recipient[0], 0))


def _portions(total: int, dues: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(due, recipients) of each chunk: those of one due time together, at most `CHUNK` of them."""
    groups = [(due, len(list(same))) for due, same in groupby(dues)] if dues else [(0, total)]
    for due, number in groups:
        for start in range(0, number, CHUNK):
            yield due, min(CHUNK, number - start)


def _mail(recipient: Recipient) -> Addressed:
    letter = STEP_LETTER[Channel.EMAIL]
    return recipient.address, recipient.space, letter, 1, recipient.variables, recipient.name
