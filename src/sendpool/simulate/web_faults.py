"""What simulated HTTP carriers of texts do wrong, and when: the faults of `script` in terms of codes and HTTP. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from sendpool.connectors.smpp.status import Status
from sendpool.simulate.fates import Fates
from sendpool.simulate.script import (
    Drop,
    EarlyReceipt,
    NoAnswer,
    Outage,
    Refuse,
    RepeatReceipt,
    Script,
    Silence,
    SlowAnswer,
    SlowReceipt,
    Throttle,
    Undelivered,
    read_fault,
)


class RefuseText(Refuse, frozen=True, kw_only=True, tag="refuse"):
    """Answer with the API's error `status`; nothing is taken."""

    status: str | int = 0
    http: Annotated[int, Meta(ge=200, le=599)] = 400
    #: Seconds that its Retry-After asks for.
    retry_after: int | None = None


WebFault = (
    RefuseText
    | Throttle
    | Silence
    | Undelivered
    | NoAnswer
    | SlowAnswer
    | SlowReceipt
    | EarlyReceipt
    | RepeatReceipt
    | Drop
    | Outage
)
KINDS = tuple(str(kind.__struct_config__.tag) for kind in get_args(WebFault))


class WebFate(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier does with one message."""

    #: Set where it is refused: with `code` of the API (0: none).
    refused: RefuseText | None = None
    #: Too fast for a `throttle`.
    throttled: bool = False
    answered: bool = True
    #: Seconds until the answer; until the delivery or the failure (`inf`: never).
    answer_after: float = 0.0
    ended_after: float = 0.0
    #: Why it fails in the end; "": it is delivered.
    failure: str = ""
    early: bool = False
    #: How often each status is told.
    told: int = 1


class WebFates:
    """Decides for one carrier. The same messages get the same fates on every run with one seed."""

    def __init__(self, seed: int, answer_delay: str | float, receipt_delay: str | float, faults: Sequence[Any]) -> None:
        self._refusals = [fault for fault in faults if isinstance(fault, RefuseText)]
        # A refusal is told by a number of its own, since its code may be any text or none.
        numbers = {id(fault): 1_000_000 + place for place, fault in enumerate(self._refusals)}
        shared: Any = tuple(
            Refuse(
                status=numbers[id(fault)],
                always=fault.always,
                share=fault.share,
                source=fault.source,
                destination=fault.destination,
                since=fault.since,
                until=fault.until,
            )
            if isinstance(fault, RefuseText)
            else fault
            for fault in faults
            if not isinstance(fault, Drop | Outage)
        )
        self._fates = Fates(
            Script(port=0, seed=seed, answer_delay=answer_delay, receipt_delay=receipt_delay, faults=shared)
        )

    def of_message(self, source: str, phone: str, text: str, elapsed: float) -> WebFate:
        """Decide about a message at *elapsed* seconds."""
        fate = self._fates.of_submit("", source, phone, text.encode(), elapsed)
        if fate.status == Status.RTHROTTLED:
            return WebFate(throttled=True)
        if fate.status:
            return WebFate(refused=self._refusals[fate.status - 1_000_000])
        return WebFate(
            answered=fate.answered,
            answer_after=fate.answer_after,
            ended_after=fate.receipt_after if fate.receipts else inf,
            failure="" if fate.stat == "DELIVRD" else fate.err,
            early=fate.early,
            told=max(fate.receipts, 1),
        )


def parse_web_fault(text: str) -> WebFault:
    """Read one fault: "refuse status=21610 share=0.1". Raises `ScriptError`."""
    fault: WebFault = read_fault(text, KINDS, WebFault, lambda _: None)
    return fault
