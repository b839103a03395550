"""What is asked for in one turn of the loop goes into the next commit together (`crowd`), without a task for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import repeat

from sendpool.domain.request import Accepted, SendRequest
from sendpool.pipeline.engine import Engine
from sendpool.pipeline.outlook import Outlook
from sendpool.pipeline.waiter import Tell, say


class Turn:
    """Requests of one turn. Lives on the event loop."""

    def __init__(self, engine: Engine, outlook: Outlook) -> None:
        self._engine = engine
        self._outlook = outlook
        self._asked: list[tuple[SendRequest, Tell]] = []

    def ask(self, request: SendRequest, tell: Tell) -> bool:
        """Have a request made durable; *tell* is told later what has become of it. False: it is not an immediate one
        (`Intake.is_immediate`).
        """
        if not self._engine.intake.is_immediate(request):
            return False
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._put_in)
        self._asked.append((request, tell))
        return True

    def _put_in(self) -> None:
        asked, self._asked = self._asked, []

        def tell_each(first: int, end: int, fates: Sequence[Accepted] | Exception) -> None:
            each: Iterable[Accepted | Exception] = repeat(fates) if isinstance(fates, Exception) else fates
            for (_, tell), fate in zip(asked[first:end], each, strict=False):
                say(tell, fate)

        self._outlook.accept_each([request for request, _ in asked], tell_each)
