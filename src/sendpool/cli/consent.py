"""`sendpool consent`: who has opted out."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, ask_in_turn, one, show_json, show_table
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import FAILED, AsJson, ConfigPath, DatabaseUrl, failed

consent = App(
    name="consent",
    help="The ledger of recipients who have opted out: nothing is sent to them, whatever is asked for.",
)

#: Lines in one command, which is one commit; entries read at a time; faulty lines that are shown.
_AT_ONCE, _PAGE, _SHOWN = 1_000, 5_000, 20
_COLUMNS = {
    "address": "Address",
    "space": "Space",
    "scope": "Of what",
    "source": "Source",
    "actor": "Who said so",
    "at": "Since",
}
_FIELDS = ("address", "space", "scope", "source", "actor", "at")

Space = Annotated[Literal["PHONE", "WHATSAPP", "EMAIL"] | None, Parameter(help="What it is an address of; else told.")]
Scope = Annotated[
    str, Parameter(help='Of what: "marketing", or the id of one pool or sender; else of everything of the account.')
]


def _entry(address: str, space: str | None, scope: str) -> dict[str, str]:
    told = space or ("EMAIL" if "@" in address else "PHONE")
    return {"space": told[0], "address": address, "scope": scope}


@consent.command
def add(
    address: str,
    *,
    space: Space = None,
    scope: Scope = "",
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Note that a recipient has opted out."""
    show = one(lambda done: "noted" if done["added"] else "was known already", as_json=json)
    entries = [_entry(address, space, scope)]
    return ask(show, "consent.add", config=config, database=database, entries=entries, account=account)


@consent.command
def remove(
    address: str,
    *,
    space: Space = None,
    scope: Annotated[str | None, Parameter(help="Only the entry of this scope; else all of the recipient.")] = None,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Take a recipient out of the ledger: they have agreed again."""
    show = one(lambda done: f"{done['removed']} removed", as_json=json)
    entries = [_entry(address, space, scope or "")]
    more = {"entries": entries, "every_scope": scope is None, "account": account}
    return ask(show, "consent.remove", config=config, database=database, **more)


@consent.command(name="list")
def list_(
    *,
    limit: Annotated[int | None, Parameter(help="How many; else 100, or with --csv all.")] = None,
    csv: Annotated[bool, Parameter(help="As CSV, fit for import.")] = False,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List who has opted out, in the order of their addresses."""
    pages = _Pages(limit if limit is not None or csv else 100, account)
    if csv:
        pages.write(dict(zip(_FIELDS, _FIELDS, strict=True)))
    status = ask_in_turn(
        pages.took_csv if csv else pages.took, "consent.list", pages.parts(), config=config, database=database
    )
    if status or csv:
        return status
    if json:
        show_json(pages.rows)
    else:
        show_table(pages.rows, _COLUMNS, "Nobody has opted out.")
    return 0


class _Pages:
    """A list that is read a page at a time."""

    def __init__(self, limit: int | None, account: str | None) -> None:
        self._left = sys.maxsize if limit is None else limit
        self._account = account
        self._after: tuple[str, str, str] | None = None
        self._more = True
        self.rows: list[Mapping[str, Any]] = []

    def parts(self) -> Iterator[Mapping[str, object]]:
        """What each command takes, until there is no more."""
        while self._more and self._left > 0:
            asked = min(_PAGE, self._left)
            before = self._left
            yield {"limit": asked, "after": self._after, "account": self._account}
            self._more = before - self._left == asked

    def took(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """A page came."""
        self.rows += rows
        self._go_on(rows)

    def took_csv(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """A page came, and is printed."""
        for row in rows:
            self.write(row)
        self._go_on(rows)

    @staticmethod
    def write(row: Mapping[str, Any]) -> None:
        """Print a line of CSV."""
        csv.writer(sys.stdout, lineterminator="\n").writerow([row[name] for name in _FIELDS])

    def _go_on(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._left -= len(rows)
        if rows:
            last = rows[-1]
            self._after = (last["space"][0], last["address"], last["scope"])


@consent.command(name="import")
def import_(
    file: Path,
    *,
    scope: Scope = "",
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Take over a CSV file: address, and if its first line names them space and scope. Faulty lines are left out."""
    load = _Load(account)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            parts = load.parts(lines, scope)
            status = ask_in_turn(load.took, "consent.add", parts, config=config, database=database)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return failed(error if isinstance(error, OSError) else OSError(f"{file} is no CSV file in UTF-8: {error}"))
    return status or load.show(as_json=json)


class _Load:
    """One import, and what became of its lines."""

    def __init__(self, account: str | None) -> None:
        self._account = account
        self._counts: Counter[str] = Counter(added=0, known=0)
        self._wrong: list[tuple[int, str]] = []

    def parts(self, lines: Iterable[str], scope: str) -> Iterator[Mapping[str, object]]:
        """What each command takes."""
        part: list[dict[str, str]] = []
        for entry in self._entries(csv.reader(lines), scope):
            part.append(entry)
            if len(part) == _AT_ONCE:
                yield self._part(part)
                part = []
        if part:
            yield self._part(part)

    def _part(self, entries: list[dict[str, str]]) -> Mapping[str, object]:
        return {"entries": entries, "source": "import", "account": self._account}

    def _entries(self, rows: Iterable[list[str]], scope: str) -> Iterator[dict[str, str]]:
        from sendpool.domain.consent import fault_of

        names: Sequence[str] = ("address",)
        for number, row in enumerate(rows, 1):
            if number == 1 and "address" in [cell.strip().lower() for cell in row]:
                names = [cell.strip().lower() for cell in row]
                continue
            found = dict(zip(names, (cell.strip() for cell in row), strict=False))
            if not found.get("address"):
                continue
            entry = _entry(found["address"], found.get("space", "").upper() or None, found.get("scope") or scope)
            fault = fault_of(entry["space"], entry["address"])
            if fault is None:
                yield entry
            else:
                self._wrong.append((number, fault))

    def took(self, done: Mapping[str, int]) -> None:
        """A part is stored."""
        self._counts.update(done)

    def show(self, *, as_json: bool) -> int:
        """Say what became of it all; returns the exit status."""
        if as_json:
            show_json({**self._counts, "errors": [{"line": line, "message": fault} for line, fault in self._wrong]})
        else:
            print(", ".join(f"{count:,} {what}" for what, count in self._counts.items()))
            for line, fault in self._wrong[:_SHOWN]:
                print(f"line {line}: {fault}", file=sys.stderr)
            if self._wrong:
                print(f"sendpool: {len(self._wrong):,} lines were left out", file=sys.stderr)
        return FAILED if self._wrong else 0
