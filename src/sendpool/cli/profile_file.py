"""Reading a file of profiles: each line as a profile, or what is wrong with it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TextIO

from sendpool.admin.profiles import LONGEST_FIELD, MOST_FIELDS, GivenProfile
from sendpool.api.addresses import check_address
from sendpool.api.problems import Findings
from sendpool.api.references import PROFILE, STORE, is_well_formed
from sendpool.domain.request import Refused

#: Columns with an address, and the letter of its space, in order of preference.
ADDRESSES = {"phone": "P", "whatsapp": "W", "email": "E"}
_IDS = ("profile_id", "store_id")
_EXAMPLE = "01h9krwprkeee8fzqspvwy6nq8"
_LONGEST_NAME = 128


class WrongLine(NamedTuple):
    """A line that is no profile, and why. Values are not repeated: they are personal."""

    line: int
    message: str


class WrongFile(Exception):
    """The file as a whole cannot be read as profiles."""


def read_profiles(file: TextIO, store: str | None = None) -> Iterator[GivenProfile | WrongLine]:
    """What each line of a CSV file says. *store* is the memory store where the file names none. Raises WrongFile."""
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, store)
        seen: dict[tuple[str, str], int] = {}
        for cells in reader:
            if not cells:
                continue
            found = _read(header, cells, store, reader.line_num)
            if isinstance(found, GivenProfile):
                found = _once(found, seen, reader.line_num)
            yield found
    except csv.Error as error:
        raise WrongFile(f"line {reader.line_num}: {error}") from None
    except UnicodeDecodeError:
        raise WrongFile(f"line {reader.line_num + 1}: this is not UTF-8; save the file as UTF-8") from None


def _check_header(header: Sequence[str], store: str | None) -> None:
    if "profile_id" not in header:
        raise WrongFile("the first line must name the columns, profile_id among them")
    if "store_id" not in header and store is None:
        raise WrongFile("there is no column store_id; add it, or say --store")
    if store is not None and not is_well_formed(STORE, store):
        raise WrongFile(f"--store is not the id of a memory store; one looks like {STORE}_{_EXAMPLE}")
    if not any(name in header for name in ADDRESSES):
        raise WrongFile(f"there is no column with an address: {', '.join(ADDRESSES)}")
    if len(set(header)) < len(header):
        raise WrongFile("a column is named twice")
    if any(not 0 < len(name) <= _LONGEST_NAME for name in header):
        raise WrongFile(f"a column's name must have 1 to {_LONGEST_NAME} characters")
    if sum(name not in ADDRESSES and name not in _IDS for name in header) > MOST_FIELDS:
        raise WrongFile(f"there are too many columns; {MOST_FIELDS} fields are allowed")


def _read(header: Sequence[str], cells: Sequence[str], store: str | None, line: int) -> GivenProfile | WrongLine:
    if len(cells) != len(header):
        return WrongLine(line, f"has {len(cells)} cells where the header has {len(header)}")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    profile_id, store_id = row["profile_id"], row.get("store_id") or store or ""
    for column, prefix, value in (("profile_id", PROFILE, profile_id), ("store_id", STORE, store_id)):
        if not is_well_formed(prefix, value):
            return WrongLine(line, f"{column} is not such an id; one looks like {prefix}_{_EXAMPLE}")
    addresses = [(row[column], letter) for column, letter in ADDRESSES.items() if row.get(column)]
    if not addresses:
        return WrongLine(line, f"has no address: {', '.join(ADDRESSES)}")
    fields = {name: text for name, text in row.items() if text and name not in ADDRESSES and name not in _IDS}
    wrong = _wrong_address(addresses) or _wrong_field(fields)
    if wrong:
        return WrongLine(line, wrong)
    return GivenProfile(profile_id=profile_id, store_id=store_id, addresses=addresses, fields=fields)  # type: ignore[arg-type]


def _wrong_address(addresses: Sequence[tuple[str, str]]) -> str | None:
    columns = {letter: column for column, letter in ADDRESSES.items()}
    for address, letter in addresses:
        findings = Findings()
        check_address(address, letter, "", findings)
        try:
            findings.refuse()
        except Refused as refused:
            return f"{columns[letter]}: {refused}"
    return None


def _wrong_field(fields: dict[str, str]) -> str | None:
    for name, text in fields.items():
        if len(text) > LONGEST_FIELD or "\0" in text:
            return f"{name} may have {LONGEST_FIELD} characters at most, NUL not among them"
    return None


def _once(profile: GivenProfile, seen: dict[tuple[str, str], int], line: int) -> GivenProfile | WrongLine:
    first = seen.setdefault((profile.profile_id, profile.store_id), line)
    return profile if first == line else WrongLine(line, f"is about the same profile as line {first}")
