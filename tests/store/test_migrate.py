"""Migrations: from nothing to exactly the schema of the tables, once, whole or not at all."""

from __future__ import annotations

import re
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sendpool.store import migrate as module
from sendpool.store.admin_log import record
from sendpool.store.migrate import migrate
from sendpool.store.revisions import SchemaTooNew, known_revisions, newest_revision
from sendpool.store.schema import metadata
from sendpool.store.sqlite import Sqlite


def schema(path: Path) -> dict[str, str]:
    """Every table and index by name, written in one way."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {name: _normal(sql) for name, sql in rows if name != "alembic_version"}


def _normal(sql: str) -> str:
    """One spelling: no line breaks, no quotes, columns and constraints in any order."""
    text = re.sub(r"\s+", " ", sql.replace('"', ""))
    head, bracket, body = text.partition("(")
    parts = sorted(part.strip() for part in re.split(r",(?![^()]*\))", body.rpartition(")")[0]))
    return f"{head.strip()} {bracket}{', '.join(parts)}) {body.rpartition(')')[2].strip()}"


def test_an_empty_file_becomes_exactly_the_schema_of_the_tables(migrated: Path, tmp_path: Path) -> None:
    direct = tmp_path / "direct.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{direct}")
    metadata.create_all(engine)
    engine.dispose()

    assert schema(migrated) == schema(direct)


def test_a_generated_migration_would_be_empty(migrated: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert difference == []


def test_migrating_says_what_was_there_and_what_is_now(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"

    before, now = migrate(path)
    again = migrate(path)

    assert before is None
    assert again == (now, now)


def test_an_empty_file_of_no_octets_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"
    path.touch()

    migrate(path)

    assert "message" in schema(path)


def test_a_schema_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sendpool.db"
    migrate(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = 'future'")
    connection.execute("CREATE TABLE of_the_future (id INTEGER)")
    connection.commit()
    connection.close()
    before = schema(path)

    with pytest.raises(SchemaTooNew, match=r"schema future.*newer") as caught:
        migrate(path)

    assert str(path) in str(caught.value)
    assert schema(path) == before


def test_there_is_one_line_of_migrations() -> None:
    scripts = ScriptDirectory.from_config(module._config())

    revisions = list(scripts.walk_revisions())

    assert len(scripts.get_heads()) == 1
    assert [one.down_revision for one in revisions] == [one.revision for one in revisions[1:]] + [None]


@pytest.mark.parametrize("statements", [1, 3, 12, 25])
def test_a_migration_that_was_cut_short_begins_anew(
    statements: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sendpool.db"
    done = 0

    def cut_short(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        nonlocal done
        if statement.lstrip().upper().startswith("CREATE"):
            done += 1
        if done > statements:
            raise KeyboardInterrupt

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", cut_short)
    try:
        with pytest.raises(KeyboardInterrupt):
            migrate(path)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", cut_short)

    assert schema(path) == {}
    migrate(path)
    assert "message" in schema(path)


async def test_a_new_database_and_what_lies_beside_it_is_for_its_user_alone(tmp_path: Path) -> None:
    database = Sqlite(tmp_path / "new.db")
    await database.write(record(1, "command line", "account.created", "AC1"))

    modes = [stat.S_IMODE((tmp_path / f"new.db{ending}").stat().st_mode) for ending in ("", "-wal", "-shm")]
    await database.close()

    assert modes == [0o600] * 3


def test_the_mode_of_a_database_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    path.touch()
    path.chmod(0o640)

    migrate(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_names_of_migrations_tell_their_revisions() -> None:
    scripts = ScriptDirectory.from_config(module._config())

    assert known_revisions() == {script.revision for script in scripts.walk_revisions()}
    assert newest_revision() == scripts.get_current_head()
