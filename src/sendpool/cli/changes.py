"""`sendpool log`: who changed what."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from sendpool.cli.asking import ask, show_json, show_table
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

_COLUMNS = {"at": "When", "actor": "Who", "action": "What", "subject": "To what", "words": "Detail"}


def log(
    *,
    limit: Annotated[int, Parameter(help="How many, at most 10000.")] = 100,
    subject: Annotated[str | None, Parameter(help="Only changes to this: a SID or another id.")] = None,
    before: Annotated[int | None, Parameter(help="Only changes before this number (`id` in JSON).")] = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List changes to accounts, keys, pools and connections, newest first."""
    show = show_json if json else _show
    return ask(show, "log.list", config=config, database=database, limit=limit, subject=subject, before=before)


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    shown = [{**row, "words": _words(row["detail"])} for row in rows]
    show_table(shown, _COLUMNS, "Nothing has changed.")


def _words(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {json_format.dumps(value, ensure_ascii=False)}" for name, value in detail.items())
