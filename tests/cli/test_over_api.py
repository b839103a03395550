"""Commands that go over the API: pools, operations, watch."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from tests.cli.conftest import Run
from tests.running import ACCOUNT_SID, AUTH_TOKEN, running_server

from sendpool.client import Client

OURS = {"address": "+12034458910", "channel": "SMS"}
SENDERS = ("+12034458910", "+12034458911")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def client(url: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> Iterator[Client]:
    monkeypatch.setenv("SENDPOOL_URL", url)
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT_SID)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    with Client() as client:
        yield client


def test_a_pool_is_made_changed_and_deleted(client: Client, run: Run) -> None:
    made = run("pools", "create", "Sales", SENDERS[0])
    added = run("pools", "add", "Sales", SENDERS[1])
    listed = json.loads(run("pools", "list", "--json").out)
    members = json.loads(run("pools", "show", "Sales", "--json").out)
    removed = run("pools", "remove", "Sales", SENDERS[0])
    left = run("pools", "show", "Sales")
    deleted = run("pools", "delete", "Sales")

    assert (made.status, [pool["id"] for pool in listed]) == (0, [made.out.strip()])
    assert added.out == "1 are in it now\n"
    assert sorted(member["address"] for member in members) == list(SENDERS)
    assert (removed.status, SENDERS[0] in left.out, SENDERS[1] in left.out) == (0, False, True)
    assert deleted.status == 0
    assert run("pools", "list").out == "There is no pool; `sendpool pools create NAME` makes one.\n"


def test_what_is_not_there_is_said(client: Client, run: Run) -> None:
    no_pool = run("pools", "show", "Marketing")
    no_sender = run("pools", "create", "x", "+1999")
    no_operation = run("operations", "show", "comms_operation_01h9krwprkeee8fzqspvwy6nq8")

    assert (no_pool.status, no_pool.err) == (
        2,
        'sendpool: there is no pool "Marketing"; `sendpool pools list` names them\n',
    )
    assert "there is no sender +1999; `sendpool senders list` names them" in no_sender.err
    assert no_operation.status == 1
    assert "404" in no_operation.err
    assert "check the id and the account" in no_operation.err


def test_sends_are_listed_shown_and_canceled(client: Client, run: Run) -> None:
    sent = client.messages.send(["+447700900123", "+447700900124"], "Hi", from_=OURS)
    shown = json.loads(run("operations", "show", sent.operation_id, "--wait", "--json").out)
    later = client.messages.send("+447700900123", "Hi", send_at=datetime.now(UTC) + timedelta(days=1))
    canceled = run("operations", "cancel", later.operation_id)
    listed = json.loads(run("operations", "list", "--limit", "2", "--json").out)
    table = run("operations", "list", "--status", "canceled")
    failing = client.messages.send("+15005550003", "Hi", from_=OURS)
    client.operations.wait(failing.operation_id, within=30)
    errors = json.loads(run("operations", "errors", failing.operation_id, "--json").out)

    assert (shown["status"], shown["stats"]["total"]) == ("COMPLETED", 2)
    assert canceled.out == f"{later.operation_id}: what had not left is canceled\n"
    assert [one["id"] for one in listed] == [later.operation_id, sent.operation_id]
    assert later.operation_id in table.out
    assert sent.operation_id not in table.out
    assert [error["messageId"][:14] for error in errors] == ["comms_message_"]


def test_a_pool_is_watched(client: Client, run: Run) -> None:
    pool = run("pools", "create", "Watched", *SENDERS).out.strip()
    other = client.messages.send("+447700900999", "Hi", from_=OURS)
    sent = client.messages.send([f"+4477009{i:05d}" for i in range(30)], "Hi", from_=pool)
    client.operations.wait(sent.operation_id, within=30)
    lines = run("watch", pool, "--every", "0.1", "--looks", "2", "--json").out.splitlines()
    looks = [json.loads(line) for line in lines]
    words = run("watch", "Watched", "--looks", "1").out

    assert [(look["active"], look["members"], look["totals"]["total"]) for look in looks] == [(2, 2, 30)] * 2
    assert set(looks[0]["operations"]) == {sent.operation_id}
    assert other.operation_id not in looks[0]["operations"]
    assert words.startswith("2 of 2 senders; 30 total, ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_be_taught_the_commands(run: Run, shell: str) -> None:
    done = run("completion", shell)

    assert done.status == 0
    for command in ("send", "watch", "quarantine", "connections"):
        assert command in done.out


def test_a_terminal_shows_what_is_under_way_before_the_rest() -> None:
    watch_module = sys.modules["sendpool.cli.watch"]
    none = dict.fromkeys(watch_module._COUNTERS, 0) | {"ends": None}
    operations = {f"done-{i}": {**none, "status": "COMPLETED"} for i in range(50)}
    operations["last"] = {**none, "status": "PROCESSING"}
    console = Console(width=200, record=True, file=io.StringIO())

    console.print(watch_module._table(watch_module.Look("p", 10.0, 1, 2, operations, 0.0, 0.0)))

    shown = console.export_text().splitlines()
    assert shown[0].startswith("1 of 2 senders; nothing was sent; 0.0 left")
    assert shown[2].startswith("last ")
    assert len(shown) == 2 + watch_module._SHOWN


def test_speed_is_of_what_both_looks_have_seen() -> None:
    # By its name the package has the command.
    watch_module = sys.modules["sendpool.cli.watch"]
    none = dict.fromkeys(watch_module._COUNTERS, 0)
    first = watch_module.Look("p", 10.0, 1, 1, {"a": {**none, "total": 100, "queued": 80, "delivered": 10}}, 0, 0)
    later = {"a": {**none, "total": 100, "queued": 30, "delivered": 40, "read": 10}, "b": {**none, "total": 50}}
    found = watch_module._with_rates(first, first._replace(at=12.0, operations=later))

    assert (found.left_per_second, found.arrived_per_second) == (25.0, 20.0)
