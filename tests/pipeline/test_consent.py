"""Nobody who has opted out is sent to: not at acceptance, not at the claim, not at a failover."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.pipeline.carriers import Carrier, refused
from tests.pipeline.worlds import Line, World, everyone, virtually, world

from sendpool.connectors.base import Outcome, Rejected, Submission
from sendpool.domain import ids
from sendpool.domain.consent import MARKETING, OptOut, Person
from sendpool.domain.failures import FailureClass, classify
from sendpool.domain.message import Category
from sendpool.domain.request import Recipient
from sendpool.pipeline.consent import Consent, people_of, without
from sendpool.store.consent import add_opt_outs, list_opt_outs
from sendpool.store.database import Bulk, Script

ONE, TWO = "+12034458910", "+12034458911"
ANN, BOB = everyone(2)


async def opt_out(there: World, address: str, scope: str = "", space: str = "P", account_id: int | None = None) -> None:
    account = there.account_id if account_id is None else account_id
    entry = OptOut(account, space, address, scope, "command", "command line")
    await there.engine.change(lambda: there.engine.consent.keep([entry], there.engine.clock.wall()))


async def errors(there: World) -> list[Any]:
    return await there.rows("SELECT position, address, code FROM operation_error ORDER BY operation_id, position")


@virtually
async def test_at_acceptance_they_are_an_error_of_the_operation_and_no_message(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", one=Line(carrier, {ONE: None})) as there:
        await opt_out(there, BOB)
        operation = await there.send(*everyone(4))
        await there.until_states(DELIVERED=3)

        assert await errors(there) == [(1, BOB, 21610)]
        assert BOB not in {sent.submission.recipient for sent in carrier.sent}
        sql = "SELECT recipients, total, unaddressable FROM operation WHERE id = ?"
        assert await there.rows(sql, operation.operation_id) == [(4, 3, 1)]


@virtually
async def test_an_operation_of_nobody_else_is_completed_at_once(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(Carrier(), {ONE: None})) as there:
        await opt_out(there, BOB)
        await there.send(BOB)

        assert await errors(there) == [(0, BOB, 21610)]
        assert await there.states() == {}


@virtually
async def test_at_the_claim_what_waited_ends(tmp_path: Path) -> None:
    carrier = Carrier()
    async with world(tmp_path / "a.db", one=Line(carrier, {ONE: 1.0})) as there:
        await there.send(*everyone(4))
        await opt_out(there, everyone(4)[3])
        await there.until_states(DELIVERED=3, FAILED=1)

        assert await there.rows("SELECT error_code FROM message WHERE state = 8 OR error_code IS NOT NULL") == [
            (21610,)
        ]
        assert len(carrier.sent) == 3


@virtually
async def test_at_a_failover_nobody_else_is_tried(tmp_path: Path) -> None:
    one, two = Carrier(answer_after=2.0), Carrier()
    one.answer = lambda submission, part: refused("0x0a")
    lines = {"one": Line(one, {ONE: None}), "two": Line(two, {TWO: None})}
    async with world(tmp_path / "a.db", **lines) as there:
        two.link(up=False)
        await there.send(BOB)
        await there.until(lambda: one.sent)
        two.link(up=True)
        await opt_out(there, BOB)
        await there.until_states(FAILED=1)

        assert not two.sent
        assert await there.rows("SELECT error_code FROM message") == [(21610,)]


def opting_out(submission: Submission, part: int) -> Outcome:
    found = classify("twilio", "21610")
    return Rejected(found.failure, "21610", found.scope, found.rule)


@virtually
async def test_what_a_carrier_knows_is_in_the_ledger_and_nobody_else_is_tried(tmp_path: Path) -> None:
    one, two = Carrier(), Carrier()
    one.answer = two.answer = opting_out
    lines = {"one": Line(one, {ONE: None}), "two": Line(two, {TWO: None})}
    async with world(tmp_path / "a.db", **lines) as there:
        await there.send(BOB)
        await there.until_states(FAILED=1)
        assert len(one.sent) + len(two.sent) == 1

        (row,) = await there.store.read(list_opt_outs(there.account_id, 10))
        assert row.entry == OptOut(there.account_id, "P", BOB, "", "twilio/21610", "carrier")
        await there.send(BOB)
        assert await errors(there) == [(0, BOB, 21610)]
        assert len(one.sent) + len(two.sent) == 1


@virtually
async def test_ledger_is_known_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(Carrier(), {ONE: None})) as there:
        await opt_out(there, BOB)
        copied = await there.copy(tmp_path / "b.db")
    async with world(copied, one=Line(Carrier(), {ONE: None})) as there:
        await there.send(ANN, BOB)
        assert await errors(there) == [(1, BOB, 21610)]


@virtually
async def test_scopes_cover_their_programme_alone(tmp_path: Path) -> None:
    lines = {"one": Line(Carrier(), {ONE: None}), "two": Line(Carrier(), {TWO: None})}
    async with world(tmp_path / "a.db", **lines) as there:
        await opt_out(there, ANN, MARKETING)
        await there.send(ANN)
        assert await errors(there) == []
        await there.send(ANN, category=Category.BULK)
        assert len(await errors(there)) == 1

        await opt_out(there, BOB, ids.encode(ids.POOL, there.pool))
        await there.send(BOB)
        assert len(await errors(there)) == 2

        third = everyone(3)[2]
        await opt_out(there, third, ids.encode(ids.POOL, b"x" * 16))
        await there.send(third)
        assert len(await errors(there)) == 2
        await opt_out(there, third, ids.encode(ids.SENDER, there.sender(TWO).uid))
        await there.send(third)
        assert len(await errors(there)) == 3


@virtually
async def test_accounts_and_spaces_are_apart(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(Carrier(), {ONE: None})) as there:
        await opt_out(there, ANN, account_id=there.account_id + 1)
        await opt_out(there, ANN, space="W")
        await there.send(ANN)
        await there.until_states(DELIVERED=1)


@virtually
async def test_empty_ledger_asks_the_database_nothing(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(Carrier(), {ONE: None})) as there:
        asked: list[str] = []
        inner = there.store.inner
        write, read = inner.write, inner.read

        def noting(script: Script[Any]) -> Script[Any]:
            brought = None
            try:
                while True:
                    statement = script.send(brought)
                    if isinstance(statement, Bulk) and "JOIN opt_out" in statement.sql:
                        asked.append(statement.sql)
                    brought = yield statement
            except StopIteration as end:
                return end.value

        inner.write = lambda script, **how: write(  # type: ignore[method-assign]
            noting(script() if callable(script) else script), **how
        )
        inner.read = lambda script, **how: read(noting(script), **how)  # type: ignore[method-assign]
        await there.send(*everyone(20))
        await there.until_states(DELIVERED=20)
        assert asked == []
        await opt_out(there, BOB)
        await there.send(*everyone(20))
        await there.until_states(DELIVERED=39)
        assert asked != []


@virtually
async def test_what_is_written_while_the_ledger_is_loaded_is_known(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(Carrier(), {ONE: None})) as there:
        consent = there.engine.consent
        loading = asyncio.create_task(consent.load(there.store))
        await asyncio.sleep(0)
        await opt_out(there, BOB)
        await loading
        assert consent.perhaps(there.account_id, Person("P", BOB))


@virtually
async def test_what_another_process_has_written_is_learned(tmp_path: Path) -> None:
    async with world(tmp_path / "a.db", one=Line(Carrier(), {ONE: None})) as there:
        consent, now = there.engine.consent, there.engine.clock.wall()
        entry = OptOut(there.account_id, "P", BOB, "", "command", "command line")
        await there.engine.change(lambda: add_opt_outs([entry], now))
        assert not consent.any_of(there.account_id)

        await consent.refresh(there.store, now)
        await there.send(ANN, BOB)
        assert await errors(there) == [(1, BOB, 21610)]


def test_somebody_with_other_addresses_keeps_these() -> None:
    consent = Consent(lambda: None)  # type: ignore[arg-type,return-value]
    consent.learn([OptOut(1, "P", ANN, "", "command", "command line")])
    both = Recipient(f"{ANN} ann@example.com", "PE")
    request = _request(both, Recipient(ANN, "P"), Recipient(BOB, "P"))
    willing = without(request, None, {Person("P", ANN)})

    assert people_of(both) == [Person("P", ANN), Person("E", "ann@example.com")]
    assert [(r.address, r.space) for r in willing.request.recipients] == [("ann@example.com", "E"), (BOB, "P")]
    assert list(willing.positions) == [0, 2]
    assert [position for position, _ in willing.left_out] == [1]
    assert consent.perhaps(1, Person("P", ANN))
    assert not consent.any_of(2)


def _request(*recipients: Recipient) -> Any:
    from sendpool.domain.message import Content
    from sendpool.domain.request import AccountOrigin, SendRequest

    return SendRequest(account_id=1, origin=AccountOrigin(), recipients=recipients, content=Content(text="x"))


def test_consent_never_takes_another_sender() -> None:
    assert classify("twilio", "21610").failure is FailureClass.CONSENT
