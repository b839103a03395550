from __future__ import annotations

from sendpool.store.admin_log import LogRow, list_log, record
from sendpool.store.database import Database


async def test_changes_are_listed_newest_first_by_subject_and_page(database: Database) -> None:
    for number, subject in enumerate(["AC1", "AC2", "AC1"]):
        await database.write(record(number, "command line", "account.renamed", subject, name=f"n{number}"))

    newest, second, oldest = await database.read(list_log(10))
    assert newest == LogRow(3, 2, "command line", "account.renamed", "AC1", '{"name":"n2"}')
    assert await database.read(list_log(10, subject="AC1")) == [newest, oldest]
    assert await database.read(list_log(1)) == [newest]
    assert await database.read(list_log(10, before=newest.id)) == [second, oldest]
