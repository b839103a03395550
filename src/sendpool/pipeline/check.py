"""Try a connection out, apart from any server: does the carrier let us in, which senders are there, does a message go.

It opens a link of its own, so a carrier that allows one alone refuses it while a server runs. What the carrier reports
on it about other messages is not taken, so that it is told again to who is responsible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import uuid_utils

from sendpool.connectors.base import (
    AttemptKey,
    CarrierId,
    ConnectionSettings,
    Connector,
    FindsSenders,
    GivesCautions,
    Heard,
    Inbound,
    KnowsObjections,
    OptedOut,
    Outcome,
    Receipt,
    Recounted,
    Rejected,
    SenderSettings,
    Submission,
    Throttled,
)
from sendpool.connectors.registry import connector_type
from sendpool.domain import ids
from sendpool.domain.message import Content
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.pipeline.remedies import ASK_THEM, remedy_of

TEXT = "This is a test message of Sendpool."
#: Seconds for which the test message stays useful.
_VALIDITY = 600
_KEY = AttemptKey(1, 1)


class Finding(NamedTuple):
    """What one step of a check brought."""

    #: "settings" (only where they are unwise), "link", "credentials", "senders", "send" or "receipt".
    step: str
    ok: bool
    #: What happened.
    says: str
    #: What to do; "" where it is well. Beside `ok` it is advice.
    remedy: str = ""


class _NotOurs(Exception):
    """A report about somebody else's message."""


class _Listener:
    """An inbox that keeps what a check waits for, and has everything else told again."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.link_said: asyncio.Future[tuple[bool, str]] = loop.create_future()
        self.answered: asyncio.Future[None] = loop.create_future()
        self.outcome_of: dict[int, Outcome] = {}
        self.reported: asyncio.Queue[Receipt] = asyncio.Queue()
        self._wanted = 1

    def expect(self, parts: int) -> None:
        """Wait for the outcomes of so many parts."""
        self._wanted = parts

    def outcomes(self, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        """What became of our message."""
        self.outcome_of |= {part: outcome for key, part, outcome in items if key == _KEY}
        if len(self.outcome_of) >= self._wanted and not self.answered.done():
            self.answered.set_result(None)

    async def receipts(self, items: Sequence[Receipt]) -> None:
        """Take ours. Raises for those of others."""
        ours = {outcome.id for outcome in self.outcome_of.values() if isinstance(outcome, CarrierId)}
        for receipt in items:
            if receipt.carrier_id not in ours:
                raise _NotOurs("a check takes no receipts of others")
            self.reported.put_nowait(receipt)

    async def inbound(self, items: Sequence[Inbound]) -> None:
        """Take none."""
        raise _NotOurs("a check takes no texts")

    async def opted_out(self, items: Sequence[OptedOut]) -> None:
        """Take none."""
        raise _NotOurs("a check takes no opt-outs")

    async def heard(self, items: Sequence[Heard]) -> None:
        """Nothing is noted."""

    def pace(self, share: float) -> None:
        """One message does not go any slower."""

    def link(self, *, up: bool, window: int, detail: str = "") -> None:
        """Keep the first word."""
        if not self.link_said.done():
            self.link_said.set_result((up, detail))


async def check_connection(
    settings: ConnectionSettings, *, within: float, send_to: str | None = None, sender: str | None = None
) -> list[Finding]:
    """What is well and what is not, in the order in which it is tried; ends at the first that stops the rest.

    *within*: seconds for each step. *send_to*: also send a message there, by *sender* or else the first. Raises
    ValueError where the settings are no good.
    """
    connector = connector_type(settings.type)(settings)
    cautions = connector.cautions(settings) if isinstance(connector, GivesCautions) else ()
    listener = _Listener()
    await connector.open(listener)
    try:
        findings = [*(Finding("settings", True, *caution) for caution in cautions), await _link(listener, within)]
        if findings[-1].ok:
            findings += await _credentials(connector)
        if findings[-1].ok:
            found, finding = await _senders(connector, settings)
            findings.append(finding)
            if send_to is not None and finding.ok:
                findings += await _send(connector, listener, _chosen(found, sender), send_to, within)
        return findings
    finally:
        await connector.close()


async def _link(listener: _Listener, within: float) -> Finding:
    try:
        up, says = await asyncio.wait_for(asyncio.shield(listener.link_said), within)
    except TimeoutError:
        up, says = False, f"no answer within {within:g} s"
    return Finding("link", up, says, "" if up else remedy_of(says))


async def _credentials(connector: Connector) -> list[Finding]:
    if not isinstance(connector, KnowsObjections):
        return []
    against = await connector.objection()
    says = against or "the carrier takes our credentials"
    return [Finding("credentials", not against, says, remedy_of(against) if against else "")]


async def _senders(connector: Connector, settings: ConnectionSettings) -> tuple[tuple[SenderSettings, ...], Finding]:
    """The senders that are declared, and those that the carrier tells of."""
    found = settings.senders
    if isinstance(connector, FindsSenders) and connector.finds(settings):
        known = {one.address for one in found}
        found += tuple(one for one in await connector.inventory() or () if one.address not in known)
    if not found:
        remedy = "declare them: [[connections.senders]] with channel and address"
        return found, Finding("senders", False, "it has no senders, so nothing leaves by it", remedy)
    told = ", ".join(f"{one.channel} {one.address}" for one in found[:10])
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return found, Finding("senders", True, f"{len(found)}: {told}{more}")


def _chosen(senders: Sequence[SenderSettings], address: str | None) -> SenderSettings:
    """Raises ValueError where there is no such sender."""
    for one in senders:
        if address in (None, one.address):
            return one
    known = ", ".join(one.address for one in senders[:10])
    raise ValueError(f"{address} is no sender of this connection; it has {known}")


def _submission(sender: SenderSettings, to: str) -> Submission:
    content = Content(text=TEXT)
    if sender.channel is Channel.EMAIL:
        content = Content(text=TEXT, rich={"subject": "A test of Sendpool", "text": TEXT, "html": f"<p>{TEXT}</p>"})
    segments = count(TEXT) if sender.channel is Channel.SMS else 1
    return Submission(
        attempt=_KEY,
        channel=sender.channel,
        sender=sender.address,
        recipient=to,
        content=content,
        segments=segments,
        reference=0,
        validity=_VALIDITY,
        parts=(1 << segments) - 1,
        options=sender.options,
        public_id=ids.attempt_id(ids.clear(uuid_utils.uuid7().bytes), 0, 1),
    )


async def _send(
    connector: Connector, listener: _Listener, sender: SenderSettings, to: str, within: float
) -> list[Finding]:
    submission = _submission(sender, to)
    listener.expect(submission.segments)
    await connector.submit([submission])
    try:
        await asyncio.wait_for(asyncio.shield(listener.answered), within)
    except TimeoutError:
        return [Finding("send", False, f"no answer within {within:g} s; it may have been taken", ASK_THEM)]
    finding = _judged(next(iter(listener.outcome_of.values())), sender.address)
    return [finding, await _report(listener, within)] if finding.ok else [finding]


def _judged(outcome: Outcome, sender: str) -> Finding:
    if isinstance(outcome, CarrierId):
        return Finding("send", True, f"the carrier took it from {sender} and calls it {outcome.id}")
    if isinstance(outcome, Rejected):
        remedy = "`sendpool classes` tells what this class means; the carrier what it means by this code"
        return Finding(
            "send", False, f"the carrier refused it from {sender}: {outcome.code} ({outcome.failure})", remedy
        )
    if isinstance(outcome, Throttled):
        return Finding("send", False, f"the carrier finds it too fast: {outcome.code}", "try again in a minute")
    if isinstance(outcome, Recounted):
        return Finding("send", False, f"the text makes {outcome.segments} segments here", ASK_THEM)
    return Finding("send", False, outcome.reason, remedy_of(outcome.reason))


async def _report(listener: _Listener, within: float) -> Finding:
    try:
        receipt = await asyncio.wait_for(listener.reported.get(), within)
    except TimeoutError:
        # Carriers that report by HTTP tell the server, whose endpoint they know.
        return Finding("receipt", True, f"none came here within {within:g} s; it may come later, or to the server")
    return Finding("receipt", True, f"{receipt.state.name} {receipt.code}".strip())
