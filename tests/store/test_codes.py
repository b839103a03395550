"""Codes that carriers answer with, counted."""

from __future__ import annotations

from sendpool.connectors.base import ConnectionSettings
from sendpool.store.accounts import ensure_first_account
from sendpool.store.codes import Code, count_codes, known_codes, list_codes
from sendpool.store.database import Database
from sendpool.store.senders import store_inventory

KNOWN = Code(1, "submit", "0x0a", "SENDER", "smpp/0x0a")
UNKNOWN = Code(1, "submit", "0x400", "TRANSIENT", "smpp/?")
BY_WORD = Code(1, "receipt", "034", "RECIPIENT", "smpp.stat/UNDELIV")
WORD = Code(1, "receipt", "UNDELIV", "RECIPIENT", "smpp.stat/UNDELIV")


async def prepared(database: Database) -> int:
    account = await database.write(ensure_first_account("ACx", "token", b"k" * 32, 1))
    await database.write(store_inventory(account.id, [ConnectionSettings(name="one", type="smpp")], 1))
    return account.id


async def test_counts_add_up_and_keep_the_first_time(database: Database) -> None:
    await prepared(database)
    await database.write(count_codes({KNOWN: 2, UNKNOWN: 1}, 10))
    await database.write(count_codes({KNOWN: 3}, 20))

    found = {seen.code: (seen.times, seen.first_at, seen.last_at) for seen in await database.read(list_codes())}
    assert found == {KNOWN: (5, 10, 20), UNKNOWN: (1, 10, 10)}
    assert sorted(await database.read(known_codes())) == [(1, "submit", "0x0a"), (1, "submit", "0x400")]


async def test_one_code_under_two_rules_in_one_batch_is_one_row(database: Database) -> None:
    await prepared(database)
    await database.write(count_codes({UNKNOWN: 1, UNKNOWN._replace(failure="POLICY", rule="connection/POLICY"): 2}, 10))

    (seen,) = await database.read(list_codes())
    assert (seen.times, seen.code.rule) == (3, "connection/POLICY")


async def test_unclassified_are_those_that_no_row_knows_but_by_a_word(database: Database) -> None:
    account_id = await prepared(database)
    await database.write(count_codes({KNOWN: 1, UNKNOWN: 2, BY_WORD: 3, WORD: 4}, 10))

    found = await database.read(list_codes(unclassified=True, account_id=account_id))
    assert [seen.code for seen in found] == [BY_WORD, UNKNOWN]
    assert await database.read(list_codes(account_id=account_id + 1)) == []
