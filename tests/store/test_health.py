"""Standings of senders: one row each, written when they change."""

from __future__ import annotations

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.domain.sender import Channel
from sendpool.store.accounts import ensure_first_account
from sendpool.store.database import Database
from sendpool.store.health import SHOWN_FOR, HealthRow, list_health, load_health, write_health
from sendpool.store.senders import store_inventory


def standing(sender_id: int, condition: str, at: int = 10, country: str = "GB", share: float = 0.05) -> HealthRow:
    return HealthRow(sender_id, country, condition, share, "faults", '{"faults":0.5}', 0, at, at)


async def test_a_standing_takes_the_place_of_the_earlier_one(database: Database) -> None:
    await database.write(write_health([standing(1, "unhealthy"), standing(1, "unhealthy", country="DE")], 10))
    await database.write(write_health([standing(1, "returning", 20, share=0.4)], 20))

    found = sorted(await database.read(load_health()))
    assert [(row.country, row.condition, row.share, row.updated_at) for row in found] == [
        ("DE", "unhealthy", 0.05, 10),
        ("GB", "returning", 0.4, 20),
    ]


async def test_who_is_healthy_again_is_shown_for_a_week_and_not_loaded(database: Database) -> None:
    account = await database.write(ensure_first_account("ACx", "token", b"k" * 32, 1))
    senders = (SenderSettings(channel=Channel.SMS, address="+12034458910"),)
    settings = [ConnectionSettings(name="one", type="sandbox", senders=senders)]
    await database.write(store_inventory(account.id, settings, 1))
    await database.write(write_health([standing(1, "healthy", share=1.0)], 10))

    assert await database.read(load_health()) == []
    (shown,) = await database.read(list_health())
    assert (shown.address, shown.connection, shown.account_sid) == ("+12034458910", "one", "ACx")
    assert await database.read(list_health(account.id + 1)) == []

    await database.write(write_health([standing(2, "unhealthy", SHOWN_FOR + 11)], SHOWN_FOR + 11))
    assert await database.read(list_health()) == []
    assert [row.sender_id for row in await database.read(load_health())] == [2]
