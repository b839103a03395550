"""The SMPP connector against the compiled message centre of bench/: nothing lost, nothing twice, nothing unanswered."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.peers.smsc import smsc_program

from sendpool.connectors.base import (
    AttemptKey,
    CarrierId,
    ConnectionSettings,
    ReceiptState,
    Rejected,
    Submission,
    Throttled,
    Unavailable,
    Uncertain,
)
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.testing.connector_suite import until
from sendpool.testing.inbox import RecordingInbox

pytestmark = pytest.mark.peer


@pytest.fixture(scope="session")
def smsc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled message centre."""
    return smsc_program(tmp_path_factory.mktemp("smsc"))


class Peer:
    """A running message centre, our connector and what it said."""

    def __init__(self, process: asyncio.subprocess.Process, connector: SmppConnector, inbox: RecordingInbox) -> None:
        self._process = process
        self.connector = connector
        self.inbox = inbox

    async def totals(self) -> dict[str, Any]:
        """Stop the centre and read its totals."""
        self._process.terminate()
        out, _ = await self._process.communicate()
        totals: dict[str, Any] = json.loads(out.splitlines()[-1])
        return totals

    def kinds(self) -> Counter[str]:
        return Counter(type(outcome).__name__ for _, _, outcome in self.inbox.outcome_list)

    async def answered(self, wanted: int) -> None:
        """Wait for so many outcomes in all."""
        await until(lambda: len(self.inbox.outcome_list) >= wanted, 30)

    def carrier_ids(self) -> list[str]:
        return [outcome.id for _, _, outcome in self.inbox.outcome_list if isinstance(outcome, CarrierId)]


@asynccontextmanager
async def peers(smsc: Path, *arguments: str, window: int = 100, **options: Any) -> AsyncIterator[Peer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        smsc, "--port", str(port), *arguments, stdout=asyncio.subprocess.PIPE
    )
    connector = SmppConnector(
        ConnectionSettings(
            name="carrier",
            type="smpp",
            window=window,
            options={"host": "127.0.0.1", "port": port, "system_id": "pool1", **options},
        ),
        random=lambda: 0.05,
    )
    inbox = RecordingInbox()
    try:
        async with asyncio.timeout(60):
            await connector.open(inbox)
            await inbox.wait_for(lambda i: i.is_up, 10)
            yield Peer(process, connector, inbox)
            await connector.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def batch(size: int, text: str = "Hello {n}", start: int = 0) -> list[Submission]:
    items = []
    for n in range(start, start + size):
        words = text.replace("{n}", str(n))
        items.append(
            Submission(
                attempt=AttemptKey(n, 1),
                channel=Channel.SMS,
                sender="+12034458910",
                recipient=f"+44770{n:07}",
                content=Content(text=words),
                segments=count(words),
                reference=n % 256,
                validity=3600,
                parts=(1 << count(words)) - 1,
                options={},
            )
        )
    return items


async def test_thousands_of_messages_are_answered_and_reported_once_each(smsc: Path) -> None:
    async with peers(smsc, "--dlr", "1/20") as peer:
        for start in range(0, 5000, 1000):
            await peer.connector.submit(batch(1000, start=start))
        await until(lambda: len(peer.inbox.stored) == 5000, 30)
        await peer.connector.close()
        totals = await peer.totals()

    assert peer.kinds() == {"CarrierId": 5000}
    assert sorted(receipt.carrier_id for receipt in peer.inbox.stored) == sorted(peer.carrier_ids())
    assert {receipt.state for receipt in peer.inbox.stored} == {ReceiptState.DELIVERED}
    assert (totals["accepted"], totals["duplicates"], totals["dlrs_acked"]) == (5000, 0, 5000)


async def test_parts_of_long_texts_are_taken_one_by_one(smsc: Path) -> None:
    async with peers(smsc, "--dlr", "1/20", window=7) as peer:
        await peer.connector.submit(batch(100, "{n} " + "я" * 150))
        await until(lambda: len(peer.inbox.stored) == 300, 30)
        totals = await peer.totals()

    assert Counter(part for _, part, _ in peer.inbox.outcome_list) == {1: 100, 2: 100, 3: 100}
    assert (totals["accepted"], totals["duplicates"]) == (300, 0)


async def test_throttle_answers_come_back_as_such(smsc: Path) -> None:
    async with peers(smsc, "--throttle", "200") as peer:
        await peer.connector.submit(batch(1000))
        await until(lambda: len(peer.inbox.outcome_list) == 1000, 30)
        totals = await peer.totals()

    throttled = {outcome for _, _, outcome in peer.inbox.outcome_list if isinstance(outcome, Throttled)}
    assert throttled == {Throttled("connection", None, "0x58")}
    assert peer.kinds() == {"CarrierId": totals["accepted"], "Throttled": totals["throttled"]}


async def test_refusals_and_failed_deliveries_have_their_class(smsc: Path) -> None:
    faults = ("--fail-rate", "0.2", "--undeliv-rate", "0.5", "--undeliv-err", "034", "--dlr", "1/10")
    async with peers(smsc, *faults, receipt_errors={"034": "TRANSIENT"}) as peer:
        await peer.connector.submit(batch(1000))
        await until(lambda: len(peer.inbox.outcome_list) == 1000, 30)
        await until(lambda: len(peer.inbox.stored) == len(peer.carrier_ids()), 30)
        # The centre counts what is acknowledged.
        await peer.connector.close()
        totals = await peer.totals()

    refused = {outcome for _, _, outcome in peer.inbox.outcome_list if isinstance(outcome, Rejected)}
    assert refused == {Rejected(FailureClass.SENDER, "0x45", "pair", "smpp/0x45")}
    failed = [receipt for receipt in peer.inbox.stored if receipt.state is ReceiptState.UNDELIVERED]
    assert len(failed) == totals["dlrs_undeliv"]
    assert {(receipt.failure, receipt.code) for receipt in failed} == {(FailureClass.TRANSIENT, "034")}


async def test_receipts_that_could_not_be_stored_come_again(smsc: Path) -> None:
    async with peers(smsc, "--dlr", "1/20") as peer:
        peer.inbox.failures = 3
        await peer.connector.submit(batch(500))
        await until(lambda: len(peer.inbox.stored) == 500, 30)
        await until(lambda: peer.inbox.failures == 0)
        totals = await peer.totals()

    assert len(peer.inbox.offered) > 500
    assert sorted(receipt.carrier_id for receipt in peer.inbox.stored) == sorted(peer.carrier_ids())
    assert totals["dlrs_rejected"] == 0


@pytest.mark.parametrize("unacked", [False, True])
async def test_dropped_links_lose_nothing_silently(smsc: Path, unacked: bool) -> None:
    drops = ("--drop-after", "150", "--drop-times", "3", *(["--drop-unacked"] if unacked else []))
    async with peers(smsc, "--dlr", "1/20", *drops, window=20) as peer:
        waiting = batch(1000)
        sent: list[Submission] = []
        while waiting:
            await until(lambda: peer.inbox.is_up, 30)
            now, waiting = waiting[:50], waiting[50:]
            done = len(peer.inbox.outcome_list) + len(now)
            await peer.connector.submit(now)
            sent += now
            await peer.answered(done)
            unavailable = {key for key, _, outcome in peer.inbox.outcome_list if isinstance(outcome, Unavailable)}
            waiting += [item for item in now if item.attempt in unavailable]
            peer.inbox.outcome_list = [
                entry for entry in peer.inbox.outcome_list if not isinstance(entry[2], Unavailable)
            ]
        await until(lambda: len(peer.inbox.stored) >= len(peer.carrier_ids()), 30)
        await peer.connector.close()
        totals = await peer.totals()

    assert totals["drops"] == 3
    assert totals["duplicates"] == 0
    uncertain = peer.kinds()["Uncertain"]
    assert len(peer.carrier_ids()) + uncertain == 1000
    assert len(peer.carrier_ids()) <= totals["accepted"] <= len(peer.carrier_ids()) + uncertain
    assert all(isinstance(o, CarrierId | Uncertain) for _, _, o in peer.inbox.outcome_list)
    if unacked:
        assert totals["accepted"] >= len(peer.carrier_ids()) + 3


async def test_slow_answers_are_limited_by_the_window(smsc: Path) -> None:
    loop = asyncio.get_running_loop()
    async with peers(smsc, "--resp-delay", "100", window=10) as peer:
        began = loop.time()
        await peer.connector.submit(batch(50))
        await until(lambda: len(peer.inbox.outcome_list) == 50, 30)
        took = loop.time() - began
        await peer.totals()

    # Five rounds of ten, each 100 ms: never faster, however fast we write.
    assert took >= 0.5
