"""Profiles from a file: what is taken over, what is told, and that a second time changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

ANA, BEN = "mem_profile_01h9krwprkeee8fzqspvwy6nq8", "mem_profile_01h9krwprkeee8fzqspvwy6nq9"
STORE, OTHER = "mem_store_01h9krwprkeee8fzqspvwy6nq8", "mem_store_01h9krwprkeee8fzqspvwy6nq9"
HEADER = "profile_id,store_id,phone,whatsapp,email,firstName"
LINES = (f"{ANA},{STORE},+15551230001,,ana@example.test,Ana", f'{BEN},{STORE},,+15551230002,,"Ben, the second"')


@pytest.fixture
def account(run: Run) -> str:
    """The only account."""
    made: str = json.loads(run("accounts", "create", "--json").out)["sid"]
    return made


def write(*lines: str, header: str = HEADER, encoding: str = "utf-8") -> str:
    Path("people.csv").write_text("\n".join([header, *lines, ""]), encoding=encoding)
    return "people.csv"


@pytest.mark.usefixtures("account")
def test_a_file_may_be_imported_again_and_again(run: Run) -> None:
    first = run("profiles", "import", write(*LINES))
    again = run("profiles", "import", write(*LINES))
    changed = run("profiles", "import", write(LINES[0], LINES[1].replace("second", "third")), "--json")

    assert first == (0, "2 created, 0 updated, 0 unchanged\n", "")
    assert again.out == "0 created, 0 updated, 2 unchanged\n"
    assert json.loads(changed.out) == {"created": 0, "updated": 1, "unchanged": 1, "errors": []}
    assert json.loads(run("profiles", "list", "--json").out) == [
        {
            "profileId": ANA,
            "memoryStoreId": STORE,
            "addresses": [
                {"address": "+15551230001", "channel": "PHONE"},
                {"address": "ana@example.test", "channel": "EMAIL"},
            ],
            "fields": {"firstName": "Ana"},
        },
        {
            "profileId": BEN,
            "memoryStoreId": STORE,
            "addresses": [{"address": "+15551230002", "channel": "WHATSAPP"}],
            "fields": {"firstName": "Ben, the third"},
        },
    ]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"{ANA},{STORE},+15551230001", "has 3 cells where the header has 6"),
        (f"x,{STORE},+15551230001,,,", "profile_id is not such an id; one looks like mem_profile_"),
        (f"{ANA},x,+15551230001,,,", "store_id is not such an id; one looks like mem_store_"),
        (f"{ANA},,+15551230001,,,", "store_id is not such an id; one looks like mem_store_"),
        (f"{ANA},{STORE},,,,Ana", "has no address: phone, whatsapp, email"),
        (f"{ANA},{STORE},5551230001,,,", "phone: address is not an E.164 number"),
        (f"{ANA},{STORE},,+999123456789,,", "whatsapp: no country has numbers that begin so"),
        (f"{ANA},{STORE},,,ana,", "email: address is not an email address"),
        (f"{ANA},{STORE},+15551230001,,,{'x' * 513}", "firstName may have 512 characters at most"),
        (f"{BEN},{STORE},+15551230001,,,", "is about the same profile as line 2"),
    ],
)
def test_faulty_lines_are_told_and_the_others_taken(line: str, told: str, run: Run) -> None:
    ended = run("profiles", "import", write(LINES[1], line))

    assert ended.status == 1
    assert ended.out == "1 created, 0 updated, 0 unchanged\n"
    assert ended.err.startswith(f"line 3: {told}")
    assert ended.err.endswith("sendpool: 1 lines were left out\n")


@pytest.mark.usefixtures("account")
def test_many_faulty_lines_are_shown_in_part_and_told_in_full_as_json(run: Run) -> None:
    lines = ["x,,,,,"] * 25

    shown = run("profiles", "import", write(*lines))
    told = run("profiles", "import", write(*lines), "--json")

    assert shown.err.count("line ") == 20
    assert shown.err.endswith("sendpool: 25 lines were left out, the first 20 are above\n")
    assert [one["line"] for one in json.loads(told.out)["errors"]] == list(range(2, 27))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "the first line must name the columns, profile_id among them"),
        ("phone,store_id", "the first line must name the columns, profile_id among them"),
        ("profile_id,phone", "there is no column store_id; add it, or say --store"),
        ("profile_id,store_id,name", "there is no column with an address: phone, whatsapp, email"),
        ("profile_id,store_id,phone,phone", "a column is named twice"),
        ("profile_id,store_id,phone,", "a column's name must have 1 to 128 characters"),
        (",".join(["profile_id,store_id,phone", *map(str, range(51))]), "there are too many columns"),
        ('profile_id,"store_id', "line 3: ',' expected after"),
    ],
)
def test_a_file_that_is_no_list_of_profiles_says_why(header: str, told: str, run: Run) -> None:
    ended = run("profiles", "import", write(*LINES, header=header))

    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"sendpool: people.csv: {told}")


@pytest.mark.usefixtures("account")
def test_only_utf_8_is_read_with_or_without_its_mark(run: Run) -> None:
    line = f"{ANA},{STORE},+15551230001,,,Zoë"

    wrong = run("profiles", "import", write(line, encoding="latin-1"))
    marked = run("profiles", "import", write(line, encoding="utf-8-sig"))

    assert "this is not UTF-8; save the file as UTF-8" in wrong.err
    assert marked.status == 0
    assert json.loads(run("profiles", "show", ANA, "--json").out)[0]["fields"] == {"firstName": "Zoë"}


@pytest.mark.usefixtures("account")
def test_the_memory_store_may_be_said_once_for_all_lines(run: Run) -> None:
    file = write(f"{ANA},+15551230001", header="profile_id,phone")

    assert run("profiles", "import", file, "--store", "x").err.startswith("sendpool: people.csv: --store is not the id")
    assert run("profiles", "import", file, "--store", OTHER).status == 0
    assert json.loads(run("profiles", "show", ANA, "--json").out)[0]["memoryStoreId"] == OTHER


@pytest.mark.usefixtures("account")
def test_a_file_of_thousands_is_stored_part_by_part(run: Run) -> None:
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    ids = [ANA[:-2] + one + other for one in digits for other in digits]
    file = write(*(f"{one},{STORE},+15551230001,,," for one in ids))

    assert run("profiles", "import", file).out == "1,024 created, 0 updated, 0 unchanged\n"
    assert len(json.loads(run("profiles", "list", "--limit", "1000", "--json").out)) == 1000
    assert len(json.loads(run("profiles", "list", "--after", ids[-10], "--json").out)) == 9


@pytest.mark.usefixtures("account")
def test_a_profile_is_shown_and_forgotten(run: Run) -> None:
    run("profiles", "import", write(LINES[0], LINES[0].replace(STORE, OTHER)))

    assert len(json.loads(run("profiles", "show", ANA, "--json").out)) == 2
    assert run("profiles", "delete", ANA, "--store", OTHER).out == f"{ANA} is forgotten\n"
    assert "firstName: Ana" in run("profiles", "show", ANA).out
    assert json.loads(run("profiles", "delete", ANA, "--json").out) == {"profileId": ANA, "memoryStoreIds": [STORE]}
    assert run("profiles", "delete", ANA).err.startswith(f"sendpool: there is no profile {ANA}; `sendpool profiles")
    assert run("profiles", "show", ANA, "--store", OTHER).err.startswith(f"sendpool: there is no profile {ANA} in")
    assert run("profiles", "list").out == "No profile.\n"


def test_profiles_belong_to_an_account(account: str, run: Run) -> None:
    other = json.loads(run("accounts", "create", "--json").out)["sid"]
    file = write(*LINES)

    assert "say which with --account" in run("profiles", "import", file).err
    assert run("profiles", "import", file, "--account", account).status == 0
    assert json.loads(run("profiles", "list", "--account", other, "--json").out) == []
    assert len(json.loads(run("profiles", "list", "--account", account, "--json").out)) == 2


@pytest.mark.usefixtures("account")
def test_what_was_done_is_logged_without_addresses(run: Run) -> None:
    run("profiles", "import", write(*LINES))
    run("profiles", "delete", ANA)

    log = run("log", "--json").out

    assert [row["action"] for row in json.loads(log)][:2] == ["profile.deleted", "profiles.imported"]
    assert "+1555" not in log
