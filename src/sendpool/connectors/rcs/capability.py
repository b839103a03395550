"""Who is reachable over RCS: one number with its features, or up to 10,000 at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from sendpool.connectors.rcs.requests import Requests, phone_path
from sendpool.connectors.web import Reply

#: Numbers that one bulk look-up takes.
PAGE = 10_000
#: Seconds between two of them: a platform takes 600 a minute (RBM API, users.batchGet).
PAGE_EVERY = 0.1

#: A request as the connector makes it: (method, url, body, seconds). None: no answer.
Ask = Callable[[str, str, bytes, float], Awaitable[Reply | None]]


class Capability(NamedTuple):
    """What is known of one number."""

    #: None: nobody could say.
    reachable: bool | None
    #: The platform's words ("RICHCARD_CAROUSEL", "REVOCATION"); unknown ones are kept.
    features: frozenset[str] = frozenset()


_UNKNOWN = Capability(None)


class _Features(msgspec.Struct, frozen=True):
    features: tuple[str, ...] = ()


class _Carrier(msgspec.Struct, frozen=True, rename="camel"):
    reachable_users: tuple[str, ...] = ()


class _Bulk(msgspec.Struct, frozen=True, rename="camel"):
    reachable_users: tuple[str, ...] = ()
    #: By carrier; only for numbers of the United States.
    reachable_users_map: dict[str, _Carrier] = {}

    def __iter__(self) -> Iterator[str]:
        yield from self.reachable_users
        for carrier in self.reachable_users_map.values():
            yield from carrier.reachable_users


class LookUps:
    """The look-ups of one connection."""

    def __init__(self, requests: Requests, ask: Ask, *, one_within: float, many_within: float) -> None:
        """*one_within* and *many_within*: seconds for a look-up of one number, and of a page."""
        self._requests = requests
        self._ask = ask
        self._one_within = one_within
        self._many_within = many_within
        self._next_page = 0.0

    async def one(self, address: str, sender: str) -> Capability:
        """Whether *sender* reaches *address*, and what the phone can do."""
        phone = phone_path(address)
        if phone is None:
            return Capability(False)
        reply = await self._ask("GET", self._requests.look_up(phone, sender), b"", self._one_within)
        if reply is None:
            return _UNKNOWN
        if reply.status == 404:
            return Capability(False)
        if reply.status != 200:
            return _UNKNOWN
        try:
            return Capability(True, frozenset(msgspec.json.decode(reply.body, type=_Features).features))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _UNKNOWN

    async def many(self, addresses: Sequence[str], sender: str) -> dict[str, bool | None]:
        """Whether *sender* reaches each of *addresses*; what is no number is not reachable."""
        # Numbers of one zone next to each other: should the platform want them apart, most pages are whole already.
        known: dict[str, bool | None] = dict.fromkeys(addresses, False)
        numbers = sorted(address for address in known if phone_path(address) is not None)
        if len(numbers) == 1:
            known[numbers[0]] = (await self.one(numbers[0], sender)).reachable
            return known
        for start in range(0, len(numbers), PAGE):
            known.update(await self._page(numbers[start : start + PAGE], sender))
        return known

    async def _page(self, numbers: Sequence[str], sender: str) -> Mapping[str, bool | None]:
        """Ask for one page. A host refuses numbers of other regions (400): then each zone is asked for alone."""
        known, status = await self._bulk(numbers, sender)
        if status != 400:
            return known
        zones = [list(zone) for _, zone in groupby(numbers, key=_zone)]
        if len(zones) > 1:
            known = {}
            for zone in zones:
                known.update((await self._bulk(zone, sender))[0])
        return known

    async def _bulk(self, numbers: Sequence[str], sender: str) -> tuple[dict[str, bool | None], int]:
        unknown: dict[str, bool | None] = dict.fromkeys(numbers)
        url, body = self._requests.bulk_look_up(numbers, sender)
        await self._pace()
        reply = await self._ask("POST", url, body, self._many_within)
        if reply is None:
            return unknown, 0
        if reply.status != 200:
            return unknown, reply.status
        try:
            reached = frozenset(msgspec.json.decode(reply.body, type=_Bulk))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return unknown, reply.status
        return {number: number in reached for number in numbers}, reply.status

    async def _pace(self) -> None:
        """Wait until another page may be asked for."""
        now = asyncio.get_running_loop().time()
        begins = max(now, self._next_page)
        self._next_page = begins + PAGE_EVERY
        await asyncio.sleep(begins - now)


def _zone(number: str) -> str:
    """The world zone of a number, the first digit of its country code (ITU-T E.164)."""
    return number[1]
