"""What was sent into a server that is killed again and again, and the reckoning with it at the end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import aiohttp

from sendpool.failpoints import VARIABLE

if TYPE_CHECKING:
    from tests.journeys.conftest import Rig, Server

#: The `error.code` of an attempt whose fate is or was unknown.
AMBIGUOUS = 30410
KILLED = -9


class Books:
    """Requests by their key, and what the server's deaths left behind."""

    def __init__(self, rig: Rig, server: Server, pool: str, *, tolerates: bool = False) -> None:
        self._rig, self._server, self._pool = rig, server, pool
        self._asked: dict[str, bytes] = {}
        #: Whether the pool tolerates duplicates of everything.
        self.tolerates = tolerates
        #: By key: the operation that the server said it was.
        self.operations: dict[str, str] = {}
        #: Phone to the parts of its text.
        self.phones: dict[str, int] = {}
        #: Phones whose message may be sent again where its fate is unknown.
        self.tolerant: set[str] = set()
        #: Attempts that had been started and had no result, or were being taken back, summed over all deaths.
        self.in_flight = 0

    async def ask(self, key: str, phones: Sequence[str], text: str = "Hello", parts: int = 1, **more: object) -> bool:
        """Ask for a send under a key. False: nobody answered, so nobody knows whether it was taken."""
        to = [{"address": phone, "channel": "PHONE"} for phone in phones]
        body = {"from": {"senderPoolId": self._pool}, "to": to, "content": {"text": text}, **more}
        self._asked[key] = json.dumps(body).encode()
        self.phones |= dict.fromkeys(phones, parts)
        if self.tolerates or more.get("category") == "otp":
            self.tolerant |= set(phones)
        return await self._post(key)

    async def ask_again(self) -> None:
        """Ask for everything again, as a client does that never heard: under its key it is the same operation."""
        for key in self._asked:
            assert await self._post(key), "the server is up"

    async def _post(self, key: str) -> bool:
        headers = {"Authorization": self._rig.authorization, "Content-Type": "application/json", "Idempotency-Key": key}
        try:
            answer = await self._server.ask("POST", "/v1/Messages", self._asked[key], headers)
        except (aiohttp.ClientError, ConnectionError):
            return False
        assert answer.status == 202, answer
        operation = answer.json["operationId"]
        assert self.operations.setdefault(key, operation) == operation, "one key, one operation"
        return True

    async def die_at(self, point: str, *works: Any) -> None:
        """Let the server die at a point where these works lead it, and note what it left; it is down afterwards.

        What an earlier death has left to do may lead it there before it is ready.
        """
        self._server.variables = {VARIABLE: f"{point}=kill"}
        if await self._server.starts_or_dies():
            await asyncio.gather(*(work() for work in works))
        assert await self._server.died() == KILLED, f"the server dies at {point}"
        self._server.variables = {}
        self.note()

    def note(self) -> None:
        """Count what the server that has just died had begun and not finished."""
        unfinished = "state = 1 OR state = 2 AND next LIKE 'revoke/%'"
        self.in_flight += self._server.rows(f"SELECT count(*) FROM attempt WHERE {unfinished}")[0][0]

    async def settled(self) -> bool:
        """Whether nothing waits and nothing is on its way but what nobody knows more of."""
        stats = [await self._server.stats(one) for one in self.operations.values()]
        if any(one["queued"] or one["scheduled"] for one in stats):
            return False
        unknown = await self._server.pages("/v1/Messages?ambiguous=true", "messages")
        return sum(one["sent"] for one in stats) == len(unknown)

    async def reckon(self, at_the_carrier: Iterable[str]) -> Counter[str]:
        """Everything accepted was delivered, failed, or is said to be of unknown fate; copies are marked and few.

        *at_the_carrier* names a phone for each part that a carrier took. Brings how many messages are in each state.
        """
        copies = Counter(at_the_carrier)
        messages = [one for each in self.operations.values() for one in await self._server.fetch_all(each)]
        states: Counter[str] = Counter(one["status"] for one in messages)
        assert sorted(phone_of(one) for one in messages) == sorted(self.phones), "each phone has exactly one message"
        unknown = {phone_of(one) for one in messages if one.get("ambiguous")}
        assert states.keys() <= {"DELIVERED", "SENT"}, states
        assert states["SENT"] == len(unknown), "what is not delivered says that its fate is unknown"
        marked = {phone_of(one) for one in messages if any(was_unknown(attempt) for attempt in one["attempts"])}
        assert unknown <= marked
        assert self.phones.keys() <= copies.keys() | marked, "nothing is lost"
        too_many = {phone for phone, parts in self.phones.items() if copies[phone] > parts}
        assert too_many <= marked & self.tolerant, "only what may come twice came twice, and says so"
        attempts = self._server.rows("SELECT count(*) FROM attempt WHERE (marks & 2) <> 0")[0][0]
        assert attempts <= self.in_flight, "no more is marked than was in flight"
        return states


def was_unknown(attempt: Mapping[str, Any]) -> bool:
    """Whether an attempt's fate is or was unknown."""
    return bool((attempt.get("error") or {}).get("code") == AMBIGUOUS)


def phone_of(message: Mapping[str, Any]) -> str:
    return str(message["to"][0]["address"])
