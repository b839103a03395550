"""`sendpool events`: lists, how sinks stand, and replays."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sendpool.store.accounts import encrypt
from sendpool.store.database import Query, Script
from sendpool.store.deliveries import Progress, Run, save_progress
from sendpool.store.notices import Notice, write_notices
from sendpool.store.sinks import NewSink, create_sink
from sendpool.store.sqlite import Sqlite

KEY = b"k" * 32
SINK = "DG" + "1" * 32


def fill() -> Script[None]:
    sql = "INSERT INTO account (id, sid, name, auth_token, created_at) VALUES (1, 'AC1', '', ?, 0)"
    yield Query(sql, (encrypt("token", KEY),))
    row = yield from create_sink(1, NewSink(SINK, "d", "webhook", {"destination": "https://x/"}, "whsec_AA"), KEY, 1)
    times = (1_800_000_000_000_000, 1_800_000_060_000_000)
    yield from write_notices([Notice(1, "sendpool.connection.up", "a", {}, at) for at in times])
    gone = Run(sink_id=row.id, first=1, last=1, since=1, next_at=1, error="it answered 500", dead=True)
    yield from save_progress(Progress(runs=[gone]), 1)


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDPOOL_SECRET_KEY", KEY.decode())

    async def main() -> None:
        database = Sqlite(folder / "sendpool.db")
        await database.write(fill())
        await database.close()

    asyncio.run(main())


def test_what_happened_is_listed_how_sinks_stand_and_what_was_given_up(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch)

    listed = json.loads(run("events", "--json").out)
    (sink,) = json.loads(run("events", "sinks", "--json").out)
    (dead,) = json.loads(run("events", "dead", SINK, "--json").out)

    assert [one["event"]["type"] for one in listed] == ["sendpool.connection.up"] * 2
    assert (sink["sid"], sink["behind"], sink["dead"], sink["error"]) == (SINK, 2, 1, "it answered 500")
    assert (dead["first"], dead["last"]) == (1, 1)
    assert SINK in run("events", "sinks").out
    assert "it answered 500" in run("events", "dead").out


def test_events_are_replayed_by_time_and_what_was_given_up_among_them_is_no_longer(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch)

    later = json.loads(run("events", "replay", SINK, "--start", "2027-01-15T08:00:30Z", "--json").out)
    assert (later["first"], later["last"]) == (2, 2)
    assert json.loads(run("events", "dead", "--json").out) != []
    assert "events 1 to 2" in run("events", "replay", SINK).out
    assert json.loads(run("events", "dead", "--json").out) == []
    (sink,) = json.loads(run("events", "sinks", "--json").out)
    assert sink["waiting"] == 2


def test_what_cannot_be_replayed_is_said(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)

    for words, complaint in (
        (["DG0"], "there is no sink"),
        ([SINK, "--type", "x"], "no type of event"),
        ([SINK, "--operation", "x"], "no operation"),
        ([SINK, "--start", "tomorrow"], "no time"),
        ([SINK, "--start", "2027-01-15T08:00:00"], "no time zone"),
        ([SINK, "--start", "2030-01-01T00:00:00Z"], "no event"),
    ):
        done = run("events", "replay", *words)
        assert (done.status, complaint in done.err) == (1, True), (words, done)
