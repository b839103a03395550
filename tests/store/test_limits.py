"""What lasting limits have counted is kept, on both databases."""

from __future__ import annotations

from sendpool.admin.context import Context
from sendpool.admin.limits import ShowLimits, show_limits
from sendpool.domain.limits import GUARD, WINDOW, Contact
from sendpool.store import limits
from sendpool.store.database import Database, Query, Script
from sendpool.store.limits import Declared, Learned

NOON = 1_800_014_400_000_000
DAY = 1_799_971_200_000_000


async def test_segments_add_up_and_are_taken_back(database: Database) -> None:
    await database.write(limits.add_segments({("sender:1", DAY): 5, ("sender:2", DAY): 1}))
    await database.write(limits.add_segments({("sender:1", DAY): -2, ("sender:2", DAY): 0}))

    assert await database.read(limits.load_segments(["sender:1", "sender:3"])) == {"sender:1": {DAY: 3}}


async def test_contacts_of_the_last_24_hours_are_loaded_and_older_ones_forgotten(database: Database) -> None:
    old = NOON - WINDOW - 3 * GUARD
    await database.write(limits.add_contacts([Contact("scope:x", "ana", old), Contact("scope:x", "ben", NOON)]))
    await database.write(
        limits.add_contacts([Contact("scope:x", "ben", NOON + 1), Contact("scope:x", "ben", NOON + 2)])
    )

    assert await database.read(limits.load_contacts(["scope:x"], NOON)) == {"scope:x": [(NOON + 2, "ben")]}
    assert await database.read(limits.count_contacts(NOON)) == {"scope:x": 1}

    def count() -> Script[int]:
        rows = yield Query("SELECT count(*) FROM scope_contact")
        return int(rows[0][0])

    await database.write(limits.add_segments({("scope:x", NOON - 5 * WINDOW): 5}))
    await database.write(limits.forget_counts(NOON))
    assert await database.read(count()) == 1
    assert await database.read(limits.load_segments(["scope:x"])) == {}


async def test_limits_are_listed_with_what_is_used_and_learned(database: Database) -> None:
    await database.write(limits.replace_declared([Declared("scope:campaign", 75.0, None, 100, "UTC", 10, None, None)]))
    await database.write(limits.save_learned({"scope:campaign": Learned(30.0, NOON, NOON + 5_000_000, 2)}))
    await database.write(limits.save_learned({"scope:campaign": Learned(37.5, NOON, NOON + 5_000_000, 3)}))
    await database.write(limits.add_segments({("scope:campaign", DAY): 40}))

    (shown,) = await database.read(show_limits(ShowLimits(), Context(NOON, b"")))

    assert (shown["kind"], shown["name"], shown["mps"]) == ("scope", "campaign", 75.0)
    assert (shown["learnedMps"], shown["throttles"]) == (37.5, 3)
    assert (shown["dailyLimit"], shown["usedToday"], shown["recipients"]) == (100, 40, 0)
    assert shown["pausedUntil"] == "2027-01-15T12:00:05.000Z"
    assert shown["resetsAt"] == "2027-01-16T00:00:00.000Z"
    await database.write(limits.replace_declared([]))
    assert await database.read(show_limits(ShowLimits(), Context(NOON, b""))) == []


async def test_held_rows_are_released_at_once(database: Database) -> None:
    await database.write(limits.hold([(NOON + 9, 1, 2, 3, 1, "pair_limit", NOON - 9)]))
    await database.write(limits.release_held(NOON))

    def dues() -> Script[list[tuple[int, str]]]:
        rows = yield Query("SELECT due, held FROM later ORDER BY due")
        return [(row[0], row[1]) for row in rows]

    assert await database.read(dues()) == [(NOON, "pair_limit")]
