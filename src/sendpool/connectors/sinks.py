"""What every type of sink is to the process that hands events over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Target(NamedTuple):
    """A sink: where events go, and what shows whom they come from."""

    sid: str
    #: As it was checked when the sink was made; it never changes.
    configuration: Mapping[str, Any]
    #: The account's auth token.
    token: str = ""
    #: The sink's secrets; all of them sign.
    secrets: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sid})"


class SinkConnector(Protocol):
    """Hands events over to sinks of one type."""

    async def hand_over(self, target: Target, events: Sequence[bytes], batch_id: str) -> str | None:
        """Offer events (CloudEvents, JSON) once, in their order. None: all were taken.

        Else why not, in words without address or secrets; some may have been taken then. *batch_id* is the same
        whenever the same batch is offered.
        """

    async def close(self) -> None:
        """Close every connection."""


class NotInstalled:
    """Stands in for a type of sink whose libraries are an extra that is not installed."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def hand_over(self, target: Target, events: Sequence[bytes], batch_id: str) -> str | None:
        """Take nothing, and say what to do."""
        return f'sinks of type {self._kind} need an extra that is not installed here: install "sendpool[{self._kind}]"'

    async def close(self) -> None:
        """Nothing is open."""
