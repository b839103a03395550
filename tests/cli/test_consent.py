"""What `sendpool consent` does, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

ANN, BOB = "+447700900001", "+447700900002"


@pytest.fixture
def account(run: Run) -> str:
    run("accounts", "create", "Sales")
    return str(json.loads(run("accounts", "list", "--json").out)[0]["sid"])


def test_entries_are_added_listed_removed_and_in_the_admin_log(run: Run, account: str) -> None:
    assert run("consent", "list").out == "Nobody has opted out.\n"
    assert run("consent", "add", ANN).out == "noted\n"
    assert run("consent", "add", ANN).out == "was known already\n"
    assert run("consent", "add", "Ann@Example.com", "--scope", "marketing").out == "noted\n"
    assert run("consent", "add", ANN, "--space", "WHATSAPP").out == "noted\n"

    listed = json.loads(run("consent", "list", "--json").out)
    assert [(one["space"], one["address"], one["scope"]) for one in listed] == [
        ("EMAIL", "ann@example.com", "marketing"),
        ("PHONE", ANN, ""),
        ("WHATSAPP", ANN, ""),
    ]
    assert run("consent", "remove", ANN).out == "1 removed\n"
    assert run("consent", "remove", "ann@example.com", "--scope", "").out == "0 removed\n"
    log = json.loads(run("log", "--json", "--subject", account).out)
    assert [one["action"] for one in log][:4] == [
        "consent.given",
        *["consent.withdrawn"] * 3,
    ]
    assert ANN not in json.dumps(log)


def test_a_file_is_imported_and_exported(run: Run, account: str, tmp_path: Path) -> None:
    file = tmp_path / "stopped.csv"
    file.write_text(f"Address,space,scope\n{ANN},,\n{BOB},WHATSAPP,marketing\nnobody,,\n\nb@c.example,EMAIL,\n")

    done = run("consent", "import", str(file))
    assert (done.status, done.out) == (1, "3 added, 0 known\n")
    assert 'line 4: "nobody" is no number in E.164' in done.err
    exported = run("consent", "list", "--csv").out
    assert [line.split(",")[:4] for line in exported.splitlines()] == [
        ["address", "space", "scope", "source"],
        ["b@c.example", "EMAIL", "", "import"],
        [ANN, "PHONE", "", "import"],
        [BOB, "WHATSAPP", "marketing", "import"],
    ]
    (tmp_path / "again.csv").write_text(exported)
    assert run("consent", "import", str(tmp_path / "again.csv")).out == "0 added, 3 known\n"


def test_long_lists_are_read_and_written_in_parts(run: Run, account: str, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text("\n".join(f"+44770{n:07}" for n in range(11_000)))

    assert run("consent", "import", str(file)).out == "11,000 added, 0 known\n"
    assert len(run("consent", "list", "--csv").out.splitlines()) == 11_001
    assert len(json.loads(run("consent", "list", "--limit", "7", "--json").out)) == 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "447700900001"), "is no number in E.164"),
        (("add", ANN, "--scope", "comms_senderpool_00000000000000000000000000"), "the account has no pool or sender"),
        (("add", ANN, "--scope", "all"), 'say "marketing"'),
        (("add", ANN, "--account", "AC0"), "there is no account AC0"),
        (("import", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_what_is_wrong_is_said(run: Run, account: str, arguments: tuple[str, ...], said: str) -> None:
    done = run("consent", *arguments)

    assert done.status == 1
    assert said in done.err
