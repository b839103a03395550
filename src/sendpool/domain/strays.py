"""Stray receipts: which attempt of unknown fate a receipt is about whose id nobody knows. Pure.

Where a link breaks between a submit and its answer, the carrier's id is lost, and the receipt that follows names an
unknown message. By sender, recipient and the moment of the submit it can still be told, if exactly one attempt fits
(provider notes on failover, section 3). A wrong match would report a delivery that never was, so every doubt is a no.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

#: Seconds by which a carrier's clock may differ from ours; its receipts name the minute, or the second.
CLOCKS = 60.0
MINUTE = 60.0
#: Carriers write their local time and do not say where they are: a whole number of quarters of an hour from UTC.
ZONE_STEP, ZONES = 900.0, (-12 * 3600.0, 14 * 3600.0)

_DIGITS = re.compile(r"\d+")


class Stray(NamedTuple):
    """A receipt that no segment is known for."""

    key: int
    carrier_id: str
    #: As the carrier wrote them, turned round: who sent and who received.
    sender: str
    recipient: str
    #: Its `submit date`; "": it has none.
    submitted: str


class Doubt(NamedTuple):
    """An attempt without a result, or of unknown fate."""

    message_id: int
    n: int
    sender: str
    recipient: str
    #: Seconds since 1970.
    started_at: float
    #: Parts of which nothing was heard, from 1.
    silent: tuple[int, ...]
    #: False: its answer may still come, and with it the id.
    unknown: bool = True


class Found(NamedTuple):
    """A receipt and the part that it is about."""

    stray: Stray
    doubt: Doubt
    part: int


def pair(sender: str, recipient: str) -> tuple[str, str]:
    """Two addresses as they are compared: carriers write numbers with and without "+" or zeros in front."""
    return _plain(sender), _plain(recipient)


def _plain(address: str) -> str:
    bare = address.strip().lower()
    digits = bare.removeprefix("+")
    return digits.lstrip("0") if digits.isdigit() else bare


def fits(submitted: str, started_at: float) -> bool:
    """Whether a `submit date` may be that of an attempt, in whatever zone it was written. "" fits everything."""
    moment = read_moment(submitted)
    if moment is None:
        return not _DIGITS.search(submitted)
    at, known_to = moment
    # The submit leaves after the start, and the clocks differ; what is left over a whole zone is the real distance.
    distance = at - started_at
    if not ZONES[0] - CLOCKS - known_to <= distance <= ZONES[1] + CLOCKS:
        return False
    off = (distance + ZONE_STEP / 2) % ZONE_STEP - ZONE_STEP / 2
    # A date that names the minute alone is up to a minute before the moment that it means.
    return -CLOCKS - known_to <= off <= CLOCKS


def read_moment(text: str) -> tuple[float, float] | None:
    """YYMMDDhhmm, YYMMDDhhmmss or YYYYMMDDhhmmss, as if it were UTC, in seconds since 1970; and how exactly it is
    known. None where it is no time.
    """
    forms = {10: ("%y%m%d%H%M", MINUTE), 12: ("%y%m%d%H%M%S", 1.0), 14: ("%Y%m%d%H%M%S", 1.0)}
    form = forms.get(len(text))
    if form is None or not text.isdigit():
        return None
    try:
        return datetime.strptime(text, form[0]).replace(tzinfo=UTC).timestamp(), form[1]
    except ValueError:
        return None


def place(strays: Iterable[Stray], doubts: Iterable[Doubt]) -> list[Found]:
    """What each receipt is about, of those that leave no doubt; both are of one connection.

    A receipt must fit one attempt alone, and an attempt must have exactly as many receipts as parts of which nothing
    was heard: with fewer another one may still come and tell more, with more one of them is not its own.
    """
    by_pair: dict[tuple[str, str], list[Doubt]] = defaultdict(list)
    for doubt in doubts:
        by_pair[pair(doubt.sender, doubt.recipient)].append(doubt)
    told: dict[tuple[int, int], dict[str, list[Stray]]] = defaultdict(lambda: defaultdict(list))
    whose: dict[tuple[int, int], Doubt] = {}
    for stray in strays:
        fitting = _fitting(stray, by_pair)
        if len(fitting) == 1 and fitting[0].unknown:
            key = (fitting[0].message_id, fitting[0].n)
            whose[key] = fitting[0]
            told[key][stray.carrier_id].append(stray)
    return [found for key, by_id in told.items() for found in _by_part(whose[key], by_id)]


def _fitting(stray: Stray, by_pair: Mapping[tuple[str, str], Sequence[Doubt]]) -> list[Doubt]:
    there = by_pair.get(pair(stray.sender, stray.recipient), ())
    return [doubt for doubt in there if fits(stray.submitted, doubt.started_at)]


def _by_part(doubt: Doubt, by_id: Mapping[str, Sequence[Stray]]) -> list[Found]:
    if len(by_id) != len(doubt.silent):
        return []
    return [
        Found(stray, doubt, part) for part, strays in zip(doubt.silent, by_id.values(), strict=True) for stray in strays
    ]
