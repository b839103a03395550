"""Connections that come, change and go while the server runs: with real sandbox connectors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from math import inf
from pathlib import Path

import msgspec
import pytest
from tests.pipeline.worlds import World, everyone, virtually, world

from sendpool.connectors.base import CallbackRequest, ConnectionSettings, SenderSettings
from sendpool.connectors.rcs.events import signature
from sendpool.domain.ownership import Tenure
from sendpool.domain.request import AccountOrigin
from sendpool.domain.scopes import ScopeSettings
from sendpool.domain.sender import Channel
from sendpool.domain.standing import LONGEST_MESSAGE, Stood
from sendpool.domain.throughput import BucketState
from sendpool.pipeline.inventory import take_inventory
from sendpool.pipeline.supervise import Supervisor
from sendpool.store.accounts import create_account
from sendpool.store.pools import ensure_hidden_pools

NUMBER, OTHER = "+12030000001", "+12030000002"
BY_SENDER = "SELECT count(*) FROM attempt WHERE sender_id = ?"
#: Magic recipients of the sandbox, and where a message to each ends where duplicates are to be avoided.
MAGIC = {
    "0001": "UNDELIVERED",
    "0003": "FAILED",
    "0004": "SENT",
    "0005": "SENT",
    "0006": "DELIVERED",
    "0014": "DELIVERED",
}


def sandbox(
    name: str, *addresses: str, mps: float | None = None, sender_mps: float = 100.0, **options: float
) -> ConnectionSettings:
    senders = tuple(SenderSettings(channel=Channel.SMS, address=one, mps=sender_mps) for one in addresses)
    return ConnectionSettings(name=name, type="sandbox", mps=mps, senders=senders, options=options)


class Switchboard:
    """A world whose connections are supervised, as a running server's are."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.supervisor = Supervisor(w.engine)

    async def apply(self, *settings: ConnectionSettings) -> None:
        """Make these all connections there are, as a changed configuration does."""
        w = self.w

        wanted = await w.engine.change(lambda: take_inventory(settings, w.account_id, w.engine.clock.wall()))
        await self.supervisor.apply(wanted)

    def links(self) -> dict[str, object]:
        """Connectors by name."""
        return {link.name: link.connector for link in self.w.engine.sending.links.values()}

    async def send(self, number: int, first: int = 0) -> None:
        """Send from any sender of the account."""
        await self.w.send(*everyone(number, first=first), origin=AccountOrigin())


@contextlib.asynccontextmanager
async def switchboard(path: Path) -> AsyncIterator[Switchboard]:
    async with world(path) as w:
        made = Switchboard(w)
        yield made
        w.engine.drain()
        await made.supervisor.close()


@virtually
async def test_connections_are_opened_and_their_senders_send(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER), sandbox("b", OTHER))
        await board.send(20)
        await board.w.until_states(DELIVERED=20)

        assert sorted(board.supervisor.names()) == ["a", "b"]
        used = await board.w.rows("SELECT DISTINCT sender_id FROM attempt")
        assert len(used) == 2


@virtually
async def test_a_changed_rate_is_taken_over_without_dialling_anew(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER, sender_mps=2))
        before = board.links()
        await board.apply(sandbox("a", NUMBER, sender_mps=50, mps=40))

        assert board.links() == before
        began = board.w.now
        await board.send(80)
        await board.w.until_states(DELIVERED=80)
        assert 1.5 <= board.w.now - began <= 3.5, "forty a second now"


@virtually
async def test_a_lower_rate_holds_from_then_on(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER, sender_mps=100))
        await board.send(300)
        await asyncio.sleep(1)
        await board.apply(sandbox("a", NUMBER, sender_mps=5))
        sent = (await board.w.rows("SELECT count(*) FROM attempt"))[0][0]
        await asyncio.sleep(10)

        more = (await board.w.rows("SELECT count(*) FROM attempt"))[0][0] - sent
        assert more <= 5 * 10 + 6


@virtually
async def test_a_connection_whose_own_settings_change_is_replaced_and_loses_nothing(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER, OTHER))
        before = board.links()
        await board.send(100)
        await asyncio.sleep(0.3)
        await board.apply(sandbox("a", NUMBER, OTHER, delay=0.01))

        assert board.links()["a"] is not before["a"]
        await board.w.until_states(DELIVERED=100)
        assert await board.w.rows("SELECT count(*), max(id & 63) FROM attempt") == [(100, 1)]


@virtually
async def test_a_new_sender_takes_what_already_waits(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER, sender_mps=1))
        await board.send(60)
        await asyncio.sleep(2)
        await board.apply(sandbox("a", NUMBER, sender_mps=1), sandbox("b", OTHER, sender_mps=50))

        await board.w.until_states(within=5, DELIVERED=60)


@virtually
async def test_a_removed_connection_stops_and_its_senders_are_switched_off(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER, sender_mps=20), sandbox("b", OTHER, sender_mps=20))
        await board.send(100)
        await asyncio.sleep(0.5)
        await board.apply(sandbox("b", OTHER, sender_mps=20))

        assert list(board.links()) == ["b"]
        assert await board.w.rows("SELECT address FROM sender WHERE active = 0") == [(NUMBER,)]
        gone = board.w.sender(NUMBER).id
        before = (await board.w.rows(BY_SENDER, gone))[0][0]
        await board.w.until_states(DELIVERED=100)
        assert (await board.w.rows(BY_SENDER, gone))[0][0] <= before


@virtually
async def test_a_sender_that_moves_to_another_connection_keeps_its_identity(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER, sender_mps=30))
        before = board.w.sender(NUMBER)
        await board.send(90)
        await asyncio.sleep(1)
        await board.apply(sandbox("b", NUMBER, sender_mps=30))

        after = board.w.sender(NUMBER)
        assert (after.id, after.uid) == (before.id, before.uid)
        assert after.connection_id != before.connection_id
        await board.w.until_states(DELIVERED=90)
        used = await board.w.rows("SELECT DISTINCT connection_id FROM attempt ORDER BY 1")
        assert len(used) == 2


@virtually
async def test_a_connection_that_comes_back_goes_on(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER))
        await board.apply()
        await board.w.engine.change(lambda: ensure_hidden_pools(board.w.account_id, 1))
        assert board.links() == {}
        await board.apply(sandbox("a", NUMBER))
        await board.send(10)

        await board.w.until_states(DELIVERED=10)


@virtually
async def test_the_magic_recipients_of_the_sandbox_end_as_its_table_says(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        await board.apply(sandbox("a", NUMBER), sandbox("b", OTHER))
        operations = {number: await board.w.send(f"+1500555{number}", origin=AccountOrigin()) for number in MAGIC}
        await asyncio.sleep(20)

        for number, state in MAGIC.items():
            assert await board.w.states(operations[number]) == {state: 1}, number


@virtually
async def test_a_number_that_two_accounts_have_is_two_senders_with_rates_and_options_of_their_own(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        other = await board.w.store.write(create_account("", "ACother", b"k" * 32, 1))
        connections = [
            ConnectionSettings(
                name=name,
                type="sandbox",
                account=account,
                senders=(SenderSettings(channel=Channel.SMS, address=NUMBER, mps=mps, options={"of": name}),),
            )
            for name, account, mps in (("mine", None, 5.0), ("theirs", "ACother", 7.0))
        ]

        await board.apply(*connections)

        gates = {gate.sender.account_id: gate for gate in board.w.engine.sending.gates.values()}
        assert (gates[board.w.account_id].bucket.mps, gates[board.w.account_id].options) == (5.0, {"of": "mine"})
        assert (gates[other.id].bucket.mps, gates[other.id].options) == (7.0, {"of": "theirs"})


# ---------------------------------------------------------------- leases


def leased(board: Switchboard) -> Supervisor:
    """In place of the board's: one that may open nothing until it owns it."""
    board.supervisor = Supervisor(board.w.engine, {})
    return board.supervisor


@virtually
async def test_only_connections_that_this_process_owns_are_opened_and_they_go_at_once(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        supervisor = leased(board)
        await board.apply(sandbox("a", NUMBER), sandbox("b", OTHER))
        assert board.links() == {}
        keys = {settings.name: key for key, (settings, _) in supervisor._wanted.items()}

        await supervisor.own({keys["a"]: Tenure("connection:1", 7, inf)}, Stood())
        await board.send(20)
        await board.w.until_states(DELIVERED=20)

        assert list(board.links()) == ["a"]
        assert await board.w.rows("SELECT DISTINCT epoch, connection_id FROM attempt") == [(7, keys["a"])]

        await asyncio.wait(supervisor.give_up([keys["a"]]))
        assert board.links() == {}
        await board.send(5, first=100)
        await asyncio.sleep(5)
        assert await board.w.rows("SELECT count(*) FROM attempt") == [(20,)]


@virtually
async def test_nothing_leaves_by_a_tenure_that_is_over_though_it_was_started(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        supervisor = leased(board)
        await board.apply(sandbox("a", NUMBER, sender_mps=1.0))
        (key,) = supervisor._wanted
        tenure = Tenure("connection:1", 7, inf)
        await supervisor.own({key: tenure}, Stood())
        await board.send(10)
        await board.w.until(lambda: board.w.engine.sending.flights)

        tenure.end()
        await asyncio.sleep(5)

        ((left,),) = await board.w.rows("SELECT count(*) FROM attempt WHERE state <> 10")
        assert left < 3
        assert await board.w.rows("SELECT count(*) FROM outq") == [(10 - left,)]


@virtually
async def test_buckets_go_on_from_where_they_stood(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        supervisor = leased(board)
        await board.apply(sandbox("a", NUMBER, mps=10.0))
        (key,) = supervisor._wanted
        stood = Stood({f"connection:{key}": BucketState(9.0, 0.0, 1.0, 0)}, 1.0)

        await supervisor.own({key: Tenure("connection:1", 7, inf)}, stood)

        now = board.w.engine.clock.monotonic()
        assert supervisor.debts([key])[f"connection:{key}"].full_in == pytest.approx(8.0)
        assert board.w.engine.sending.links[key].bucket.free_at(now) > now + 7.0


@virtually
async def test_where_a_connection_stood_is_told_though_it_is_closed_already(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        supervisor = leased(board)
        await board.apply(sandbox("a", NUMBER, mps=10.0))
        (key,) = supervisor._wanted
        await supervisor.own({key: Tenure("connection:1", 7, inf)}, Stood())
        board.w.engine.sending.links[key].bucket.pause(board.w.engine.clock.monotonic(), 60.0)

        await asyncio.wait(supervisor.give_up([key]))

        assert board.links() == {}
        assert supervisor.debts([key])[f"connection:{key}"].paused_for == pytest.approx(60.0)


@virtually
async def test_a_connection_that_is_given_up_because_the_file_lacks_it_is_closed_once(fresh: Path) -> None:
    async with switchboard(fresh) as board:
        supervisor = leased(board)
        await board.apply(sandbox("a", NUMBER))
        (key,) = supervisor._wanted
        await supervisor.own({key: Tenure("connection:1", 7, inf)}, Stood())
        connector = board.w.engine.sending.links[key].connector
        close, closings = connector.close, []

        async def slowly() -> None:
            closings.append(key)
            await asyncio.sleep(0.5)
            await close()

        connector.close = slowly  # type: ignore[method-assign]

        closing = supervisor.give_up([key])
        await supervisor.apply({})
        await asyncio.wait(closing)

        assert closings == [key]
        assert board.links() == {}


@virtually
@pytest.mark.parametrize(
    ("stood", "full_in"),
    [(Stood({"scope:shared": BucketState(9.0, 0.0, 1.0, 0)}, 1.0), 8.0), (Stood(None), (1 + LONGEST_MESSAGE) / 10.0)],
)
async def test_the_bucket_of_a_named_scope_goes_on_from_where_it_stood(
    fresh: Path, stood: Stood, full_in: float
) -> None:
    async with switchboard(fresh) as board:
        supervisor = leased(board)
        await board.apply(msgspec.structs.replace(sandbox("a", NUMBER), scopes=("shared",)))
        await supervisor.apply(supervisor._wanted, [ScopeSettings(name="shared", mps=10.0, burst=1.0)])
        (key,) = supervisor._wanted

        await supervisor.own({key: Tenure("connection:1", 7, inf)}, stood)

        assert supervisor.debts([key])["scope:shared"].full_in == pytest.approx(full_in)


@virtually
async def test_reports_by_http_are_checked_and_taken_for_a_connection_that_another_node_has(fresh: Path) -> None:
    token = "a-client-token"
    settings = ConnectionSettings(
        name="rcs", type="rcs", options={"base_url": "http://127.0.0.1:9", "token": "t", "client_token": token}
    )
    async with switchboard(fresh) as board:
        supervisor = leased(board)
        await board.apply(settings)

        (route,) = supervisor.callbacks("rcs")
        shook = await route.handle(CallbackRequest("/", {}, b'{"clientToken":"a-client-token","secret":"s"}'))
        forged = await route.handle(CallbackRequest("/", {}, b'{"clientToken":"another","secret":"s"}'))
        said = b'{"senderPhoneNumber":"+447700900001","eventType":"DELIVERED","messageId":"SM1","agentId":"x"}'
        envelope = json.dumps({"message": {"data": base64.b64encode(said).decode()}}).encode()
        signed = {"x-goog-signature": signature(token, said)}
        stored = await route.handle(CallbackRequest("/", signed, envelope))
        unsigned = await route.handle(CallbackRequest("/", {}, envelope))

        assert (shook.status, forged.status, stored.status, unsigned.status) == (200, 400, 200, 401)
        assert board.links() == {}
        # It is of no attempt that is known here: it waits for one.
        assert await board.w.rows("SELECT carrier_id FROM receipt") == [("SM1",)]
