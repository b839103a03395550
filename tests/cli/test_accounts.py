"""What commands print, on a database of their own: no server runs."""

from __future__ import annotations

import json
import re

import pytest
from tests.cli.conftest import Run

from sendpool.cli.accounts import duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("30m", 1_800), ("24h", 86_400), (" 7d ", 604_800)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1.5h", "1w", "1h30m", "9" * 10])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration; write for example 30m, 24h or 7d"):
        duration(text)


def test_accounts_are_made_and_listed_in_a_table_that_cuts_no_sid(run: Run) -> None:
    made = run("accounts", "create", "[bold]Sales[/bold]")
    listed = run("accounts", "list")

    found = re.fullmatch(r"Account SID: (AC[0-9a-f]{32})\nAuth token:  ([0-9a-f]{32})\n\(shown only once\)\n", made.out)
    assert found
    title, row = listed.out.splitlines()
    assert title.startswith("Account SID")
    assert row.startswith(found[1])
    assert "[bold]Sales[/bold]" in row
    assert found[2] not in listed.out


def test_an_empty_list_says_so_and_as_json_is_a_list(run: Run) -> None:
    assert run("accounts", "list").out == "There is no account yet; start `sendpool serve` once.\n"
    assert run("keys", "list").out == "There is no key.\n"
    assert run("log").out == "Nothing has changed.\n"
    assert json.loads(run("accounts", "list", "--json").out) == []


def test_a_token_is_rotated_with_an_overlap(run: Run) -> None:
    run("accounts", "create", "--sid", "AC1")

    done = run("accounts", "rotate", "AC1", "--overlap", "30m", "--json")
    wrong = run("accounts", "rotate", "AC1", "--overlap", "soon")

    assert json.loads(done.out).keys() == {"sid", "authToken", "oldTokenUntil"}
    assert (wrong.status, wrong.err.count("\n")) == (2, 1)
    assert '"soon" is no duration; write for example 30m, 24h or 7d' in wrong.err


def test_keys_are_made_listed_and_revoked(run: Run) -> None:
    run("accounts", "create", "--sid", "AC1")

    made = json.loads(run("keys", "create", "robot", "--json").out)
    assert made["sid"] in run("keys", "list").out
    assert run("keys", "revoke", made["sid"]).out == f"{made['sid']} is revoked\n"
    assert json.loads(run("keys", "list", "--account", "AC1", "--json").out)[0]["status"] == "revoked"


def test_the_log_shows_who_did_what_without_secrets(run: Run) -> None:
    run("accounts", "create", "Sales", "--sid", "AC1")
    token = json.loads(run("accounts", "rotate", "AC1", "--json").out)["authToken"]

    done = run("log", "--subject", "AC1")

    assert [line.split("  ")[2].strip() for line in done.out.splitlines()[1:]] == [
        "account.token_rotated",
        "account.created",
    ]
    assert "command line" in done.out
    assert token not in done.out


def test_what_cannot_be_done_is_one_line_and_status_1(run: Run) -> None:
    done = run("accounts", "close", "AC2")

    assert (done.status, done.out) == (1, "")
    assert done.err == "sendpool: there is no account AC2; `sendpool accounts list` shows those there are\n"
