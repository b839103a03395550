"""`sendpool profiles`: people whom a send may name by an id."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TextIO

from cyclopts import App, Parameter

from sendpool.cli.asking import ask, ask_in_turn, one, show_json, show_table
from sendpool.cli.keys import AccountSid
from sendpool.cli.options import FAILED, AsJson, ConfigPath, DatabaseUrl, failed

profiles = App(
    name="profiles",
    help="Profiles: people whom a send may name by an id, with their addresses and what to call them.",
)

#: Lines in one command, which is one commit.
_AT_ONCE = 500
#: Faulty lines that are shown; JSON has them all.
_SHOWN = 20
_COLUMNS = {"profileId": "Profile", "memoryStoreId": "Memory store", "addresses": "Addresses", "fields": "Fields"}

Store = Annotated[str | None, Parameter(help="The memory store; else any.")]


@profiles.command(name="import")
def import_(
    file: Path,
    *,
    store: Annotated[str | None, Parameter(help="The memory store of lines that name none.")] = None,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Take over the profiles of a CSV file: profile_id, store_id, phone, whatsapp, email; other columns are fields.

    A profile that is known already is replaced, so the same file may be imported again. Faulty lines are left out
    and told.
    """
    from sendpool.cli.profile_file import WrongFile

    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            load = _Load(lines, store, account)
            status = ask_in_turn(load.took, "profiles.import", load.parts(), config=config, database=database)
    except (OSError, WrongFile) as error:
        return failed(error if isinstance(error, OSError) else WrongFile(f"{file}: {error}"))
    if status:
        return status
    load.show(as_json=json)
    return FAILED if load.wrong else 0


class _Load:
    """One import: the parts of the file, and what became of them."""

    def __init__(self, lines: TextIO, store: str | None, account: str | None) -> None:
        self._lines = lines
        self._store = store
        self._account = account
        self._counts: Counter[str] = Counter(created=0, updated=0, unchanged=0)
        self.wrong: list[Any] = []

    def parts(self) -> Iterator[Mapping[str, object]]:
        """What each command takes."""
        import msgspec

        from sendpool.cli.profile_file import WrongLine, read_profiles

        part: list[object] = []
        for found in read_profiles(self._lines, self._store):
            if isinstance(found, WrongLine):
                self.wrong.append(found)
                continue
            part.append(msgspec.to_builtins(found))
            if len(part) == _AT_ONCE:
                yield {"profiles": part, "account": self._account}
                part = []
        if part:
            yield {"profiles": part, "account": self._account}

    def took(self, saved: Mapping[str, int]) -> None:
        """A part is stored."""
        self._counts.update(saved)
        if sys.stderr.isatty():
            print(f"\r{self._counts.total():,} profiles ...", end="\r", file=sys.stderr, flush=True)

    def show(self, *, as_json: bool) -> None:
        """Say what became of it all."""
        if as_json:
            show_json({**self._counts, "errors": [wrong._asdict() for wrong in self.wrong]})
            return
        print(", ".join(f"{count:,} {what}" for what, count in self._counts.items()))
        for line, message in self.wrong[:_SHOWN]:
            print(f"line {line}: {message}", file=sys.stderr)
        if self.wrong:
            more = f", the first {_SHOWN} are above" if len(self.wrong) > _SHOWN else ""
            print(f"sendpool: {len(self.wrong):,} lines were left out{more}", file=sys.stderr)


@profiles.command(name="list")
def list_(
    *,
    limit: Annotated[int, Parameter(help="How many, at most 1,000.")] = 100,
    after: Annotated[str | None, Parameter(help="Only those behind this profile's id.")] = None,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List profiles by their ids."""
    asked = {"account": account, "limit": limit, "after": after}
    return ask(_table(as_json=json), "profiles.list", config=config, database=database, **asked)


@profiles.command
def show(
    profile_id: str,
    *,
    store: Store = None,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Show a profile, once for each memory store that it is in."""
    asked = {"account": account, "profile_id": profile_id, "store_id": store}
    return ask(_table(as_json=json), "profiles.show", config=config, database=database, **asked)


@profiles.command
def delete(
    profile_id: str,
    *,
    store: Store = None,
    account: AccountSid = None,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """Forget a profile. Messages to it that were accepted before go on."""
    gone = one(lambda row: f"{row['profileId']} is forgotten", as_json=json)
    asked = {"account": account, "profile_id": profile_id, "store_id": store}
    return ask(gone, "profiles.delete", config=config, database=database, **asked)


def _table(*, as_json: bool) -> Any:
    return show_json if as_json else lambda rows: show_table([_row(row) for row in rows], _COLUMNS, "No profile.")


def _row(profile: Mapping[str, Any]) -> dict[str, Any]:
    addresses = "\n".join(f"{one['channel']} {one['address']}" for one in profile["addresses"])
    fields = "\n".join(f"{name}: {text}" for name, text in profile["fields"].items())
    return {**profile, "addresses": addresses, "fields": fields}
