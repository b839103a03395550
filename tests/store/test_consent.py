"""The ledger of who has opted out, on both databases."""

from __future__ import annotations

from sendpool.domain.consent import OptOut, Person
from sendpool.store.consent import (
    add_opt_outs,
    all_people,
    count_opt_outs,
    find_opt_outs,
    list_opt_outs,
    newer_opt_outs,
    remove_opt_outs,
)
from sendpool.store.database import Database

ANN, BOB = Person("P", "+447700900001"), Person("P", "+447700900002")


def entry(one: Person, account_id: int = 1, scope: str = "") -> OptOut:
    return OptOut(account_id, *one, scope, "command", "command line")


async def test_an_entry_is_written_once_and_found_in_its_account_alone(database: Database) -> None:
    assert await database.write(add_opt_outs([entry(ANN), entry(ANN), entry(ANN, 2), entry(ANN, scope="p")], 10)) == 3
    assert await database.write(add_opt_outs([entry(ANN)], 20)) == 0

    found = await database.read(find_opt_outs([(1, ANN), (1, BOB), (3, ANN)]))
    assert sorted(found) == [(1, ANN, ""), (1, ANN, "p")]
    assert await database.read(count_opt_outs()) == {1: 2, 2: 1}
    assert [row.created_at for row in await database.read(list_opt_outs(1, 10))] == [10, 10]


async def test_entries_are_removed_by_scope_or_all(database: Database) -> None:
    await database.write(add_opt_outs([entry(ANN), entry(ANN, scope="p"), entry(BOB), entry(ANN, 2)], 10))

    assert await database.write(remove_opt_outs(1, [ANN], "p")) == 1
    assert await database.write(remove_opt_outs(1, [ANN, BOB], None)) == 2
    assert await database.read(count_opt_outs()) == {2: 1}


async def test_lists_go_on_behind_a_place(database: Database) -> None:
    entries = [entry(Person("P", f"+4477009000{n:02}"), scope=scope) for n in range(10) for scope in ("", "marketing")]
    await database.write(add_opt_outs(entries, 10))

    seen, after = [], None
    while rows := await database.read(list_opt_outs(1, 3, after)):
        seen += [row.entry for row in rows]
        after = rows[-1].entry[1:4]
    assert seen == sorted(entries)
    assert {one for _, one in await database.read(all_people((0, "", "")))} == {Person(*one[1:3]) for one in entries}
    assert await database.read(all_people((1, "P", "+447700900009"))) == []


async def test_what_is_newer_is_found_for_each_account(database: Database) -> None:
    await database.write(add_opt_outs([entry(ANN), entry(ANN, 2)], 10))
    await database.write(add_opt_outs([entry(BOB), entry(BOB, 3)], 20))

    assert await database.read(newer_opt_outs([1, 2], 10)) == [entry(BOB)]
    assert sorted(await database.read(newer_opt_outs([1, 2], 0))) == [entry(ANN), entry(BOB), entry(ANN, 2)]
    assert await database.read(newer_opt_outs([], 0)) == []
