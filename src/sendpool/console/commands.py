"""What the command line answers and does, for the account that is signed in and for no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from sendpool.admin.commands import prepare
from sendpool.admin.context import Context
from sendpool.admin.protocol import Ask, CommandRefused
from sendpool.api.bodies import decode_object
from sendpool.api.exchange import Reply, Request
from sendpool.api.problems import INVALID, NOT_FOUND
from sendpool.api.query import Query
from sendpool.domain import ids
from sendpool.domain.request import Problem, Refused
from sendpool.pipeline.explain_choice import candidate

_encode = msgspec.json.Encoder().encode

#: What a body may ask for, by the path: the command that does it.
_DONE: Mapping[str, str] = {
    "drain-connection": "connections.drain",
    "resume-connection": "connections.resume",
    "drain-sender": "senders.drain",
    "resume-sender": "senders.resume",
    "opt-out": "consent.add",
    "opt-in": "consent.remove",
}


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Commands:
    """Commands as resources of the console."""

    def __init__(self, context: Callable[[], Context], changed: Callable[[], Awaitable[None]]) -> None:
        """*changed* is told after a command that has written."""
        self._context = context
        self._changed = changed

    async def senders(self, request: Request) -> Reply:
        """The account's senders: state, pace, health, and what holds each back just now."""
        rows = await self._own(request, "senders.list")
        health = await self._own(request, "senders.health")
        live = self._context().live
        if live is not None:
            roster, sight = live()
            for row in rows:
                sender = roster.sender_by_uid.get(ids.decode(ids.SENDER, row["senderId"]) or b"")
                if sender is not None:
                    row |= {"key": sender.id, "mps": sender.mps, "now": candidate(sender, sight.remark(sender))}
        return Reply(200, _encode({"senders": rows, "health": health}))

    async def connections(self, request: Request) -> Reply:
        """The account's connections."""
        return Reply(200, _encode({"connections": await self._own(request, "connections.list")}))

    async def opted_out(self, request: Request) -> Reply:
        """A page of the ledger of consent; it goes on after the `space`, `address` and `scope` of an entry."""
        query = Query(request.scope["query_string"])
        place = [query.text(name) for name in ("space", "address", "scope")]
        after = None if place[1] is None else [text or "" for text in place]
        rows = await self._own(request, "consent.list", {"limit": 100, "after": after})
        return Reply(200, _encode({"entries": rows}))

    async def sinks(self, request: Request) -> Reply:
        """How far the account's sinks have come."""
        return Reply(200, _encode({"sinks": await self._sinks(request)}))

    async def replay(self, request: Request) -> Reply:
        """Offer events to a sink of the account once more."""
        fields = decode_object(await request.body())
        if fields.get("sink") not in [row["sid"] for row in await self._sinks(request)]:
            raise Refused(Problem(NOT_FOUND, "the account has no such sink", "$.sink"), status=404)
        return Reply(200, _encode(await self._carry_out(request, "events.replay", fields)))

    async def act(self, request: Request) -> Reply:
        """Carry out what the path names."""
        name = _DONE.get(request.path("action"))
        if name is None:
            raise Refused(Problem(NOT_FOUND, f"this can be done here: {', '.join(_DONE)}"), status=404)
        fields = decode_object(await request.body())
        return Reply(200, _encode(await self._own(request, name, fields)))

    async def _sinks(self, request: Request) -> list[dict[str, Any]]:
        sid = request.services.accounts.sid_of(request.account_id)
        rows = await self._carry_out(request, "events.sinks", {})
        return [row for row in rows if row["accountSid"] == sid]

    async def _own(self, request: Request, name: str, arguments: Mapping[str, Any] = _NOTHING) -> Any:
        """What a command brings that is told whose: whatever a body says of that counts for nothing."""
        sid = request.services.accounts.sid_of(request.account_id)
        return await self._carry_out(request, name, {**arguments, "account": sid})

    async def _carry_out(self, request: Request, name: str, arguments: Mapping[str, Any]) -> Any:
        try:
            command = prepare(Ask(name, dict(arguments)), self._context()._replace(actor=request.actor))
            if not command.writes:
                return command.finish(await request.services.database.read(command.script()))
            result = await request.services.write(command.script)
        except CommandRefused as refused:
            raise Refused(Problem(INVALID, str(refused))) from None
        await self._changed()
        return result
