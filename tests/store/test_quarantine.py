"""The quarantine, on both databases."""

from __future__ import annotations

from sendpool.domain.quarantine import Entry, Place
from sendpool.store.database import Database
from sendpool.store.quarantine import (
    Wanted,
    all_places,
    count_entries,
    ended_trials,
    find_entries,
    forget_old_entries,
    list_entries,
    load_entries,
    newer_places,
    note_trials,
    remove_entries,
    settle_trials,
    write_entries,
)

ANN, BOB = Place(1, "+447700900001", "SMS"), Place(1, "+447700900002", "SMS")
SUSPECTED = Entry(ANN, 7, "twilio/30005", 10, 1_000)
HELD = Entry(BOB, 7, "twilio/21211", 20, 2_000, 8, "twilio/21211", 30, invalid=True)


async def test_entries_are_written_over_and_found_on_their_channel(database: Database) -> None:
    await database.write(write_entries([SUSPECTED, HELD]))
    await database.write(write_entries([SUSPECTED._replace(until=1_500)]))

    assert await database.read(load_entries([ANN, BOB])) == {ANN: SUSPECTED._replace(until=1_500), BOB: HELD}
    assert await database.read(count_entries()) == (2, 1)
    asked = [ANN, ANN._replace(channel="RCS"), ANN._replace(account_id=2), BOB, BOB._replace(channel="WHATSAPP")]
    found = await database.read(find_entries(asked, 1_000))
    assert found == {ANN: False, BOB: True, BOB._replace(channel="WHATSAPP"): True}
    assert await database.read(find_entries(asked, 2_000)) == {}
    assert await database.read(all_places(ANN)) == [BOB]
    assert await database.read(newer_places(10)) == [BOB]


async def test_a_connection_or_a_time_is_taken_back(database: Database) -> None:
    third = Entry(Place(1, "a@b.example", "EMAIL"), 9, "smtp/5.1.1", 5, 1_000)
    await database.write(write_entries([SUSPECTED, HELD, third]))

    listed = await database.read(list_entries(Wanted(1), 10, held=False))
    assert listed == [HELD, SUSPECTED, third]
    assert await database.read(list_entries(Wanted(1, connection_id=8), 10, held=True)) == [HELD]
    assert await database.read(list_entries(Wanted(2), 10, held=False)) == []
    assert await database.write(remove_entries(Wanted(1, since=10, connection_id=8))) == 1
    assert await database.write(remove_entries(Wanted(1, address=ANN.address))) == 1
    assert await database.read(list_entries(Wanted(1), 10, held=False)) == [third]


async def test_what_is_old_goes_and_a_trial_without_its_attempt(database: Database) -> None:
    await database.write(write_entries([SUSPECTED, HELD]))
    await database.write(note_trials([(65, ANN), (65, ANN), (129, BOB)]))

    ended = await database.read(ended_trials(1))
    assert [(one.attempt_id, one.place, one.delivered) for one in ended] == [(65, ANN, False)]
    await database.write(settle_trials(ended))
    assert [one.attempt_id for one in await database.read(ended_trials(10))] == [129]
    await database.write(settle_trials([one._replace(delivered=True) for one in await database.read(ended_trials(10))]))
    assert await database.read(all_places(Place(0, "", ""))) == [ANN]
    await database.write(forget_old_entries(1_000))
    assert await database.read(all_places(Place(0, "", ""))) == []
