"""Bring a database's schema to this version, and say which version it has."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

_SCRIPTS = Path(__file__).with_name("migrations")


class SchemaTooNew(Exception):
    """The database was written by a newer sendpool; this one does not know its schema."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def migrate(path: Path) -> tuple[str | None, str]:
    """Run what is missing on an SQLite file, made where there is none. Returns the revisions before and after.

    Raises `SchemaTooNew` when the file's revision is not one of ours.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    assert head is not None
    _make_private(path)
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            before = MigrationContext.configure(connection).get_current_revision()
            known = {script.revision for script in scripts.walk_revisions()}
            if before is not None and before not in known:
                raise SchemaTooNew(
                    f"{path} has schema {before}, which this version of sendpool does not know; run a newer one"
                )
            if before != head:
                config.attributes["connection"] = connection
                # The driver begins no transaction for DDL by itself, and a start that is cut short must leave nothing.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                command.upgrade(config, "head")
                connection.exec_driver_sql("COMMIT")
            return before, head
    finally:
        engine.dispose()


def _make_private(path: Path) -> None:
    """Make a file that is not there: it will hold texts and numbers, which only its user may read.

    SQLite gives the files beside it the same mode. Whoever wants another one for a file that exists keeps it.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
