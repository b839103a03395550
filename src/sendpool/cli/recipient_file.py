"""Reading a file of recipients, CSV or JSON lines: each line as a recipient of the API, or what is wrong with it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from sendpool.api.addresses import is_e164, is_possible

#: Columns that are taken for the address where none is named, in order of preference.
ADDRESS_COLUMNS = ("address", "phone", "number", "to", "msisdn", "mobile")
CHANNELS = ("PHONE", "WHATSAPP")
#: Fields of a recipient as the contract has it: such a line is taken as it is.
_WHOLE = frozenset({"addresses", "profileId", "variables"})


class Mapped(NamedTuple):
    """Which columns mean what."""

    #: The address; None: the first of `ADDRESS_COLUMNS` that there is.
    address: str | None = None
    #: The channel of lines without a column `channel`.
    channel: str = "PHONE"
    #: Columns by the names of variables; empty: every other column, by its own name.
    variables: Mapping[str, str] = {}


class Recipient(NamedTuple):
    """A recipient, and the line that it stands in."""

    line: int
    value: dict[str, Any]


class WrongLine(NamedTuple):
    """A line that is no recipient, and why. Values are not repeated: they are personal."""

    line: int
    message: str


class WrongFile(Exception):
    """The file as a whole cannot be read as recipients."""


def read_recipients(file: TextIO, mapped: Mapped, *, json_lines: bool) -> Iterator[Recipient | WrongLine]:
    """What each line says. Raises WrongFile."""
    try:
        yield from _json_lines(file, mapped) if json_lines else _csv_lines(file, mapped)
    except UnicodeDecodeError:
        raise WrongFile("this is not UTF-8; save the file as UTF-8") from None


def _csv_lines(file: TextIO, mapped: Mapped) -> Iterator[Recipient | WrongLine]:
    reader = csv.reader(file, strict=True)
    try:
        header = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
        column = _address_column(header, mapped)
        _check_columns(header, mapped)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                yield WrongLine(reader.line_num, f"it has {len(cells)} columns, the first line {len(header)}")
                continue
            yield _flat(dict(zip(header, map(str.strip, cells), strict=True)), column, mapped, reader.line_num)
    except csv.Error as error:
        raise WrongFile(f"line {reader.line_num}: {error}") from None


def _address_column(names: Sequence[str], mapped: Mapped) -> str:
    if mapped.address is not None:
        if mapped.address not in names:
            raise WrongFile(f'there is no column "{mapped.address}"; it has {", ".join(names) or "none"}')
        return mapped.address
    for name in ADDRESS_COLUMNS:
        if name in names:
            return name
    known = ", ".join(names) or "none"
    raise WrongFile(f"the first line must name the columns; say which has the address with --address (it has {known})")


def _check_columns(header: Sequence[str], mapped: Mapped) -> None:
    if missing := [column for column in mapped.variables.values() if column not in header]:
        raise WrongFile(f'there is no column "{missing[0]}"; it has {", ".join(header)}')


def _json_lines(file: TextIO, mapped: Mapped) -> Iterator[Recipient | WrongLine]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError:
            yield WrongLine(number, "it is no JSON")
            continue
        if isinstance(found, str):
            found = {"address": found}
        if not isinstance(found, dict):
            yield WrongLine(number, "it is neither an object nor an address")
        elif _WHOLE & found.keys():
            yield Recipient(number, found)
        else:
            yield _object(found, mapped, number)


def _object(found: Mapping[str, Any], mapped: Mapped, number: int) -> Recipient | WrongLine:
    names = [mapped.address] if mapped.address else ADDRESS_COLUMNS
    column = next((name for name in names if name in found), None)
    if column is None:
        return WrongLine(number, f"it has no address: none of {', '.join(names)}")
    return _flat({name: _text(value) for name, value in found.items()}, column, mapped, number)


def _text(value: object) -> str:
    """A value as templates see it."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _flat(fields: Mapping[str, str], column: str, mapped: Mapped, line: int) -> Recipient | WrongLine:
    """A recipient out of named texts."""
    address = fields[column]
    channel = (fields.get("channel") or mapped.channel).upper()
    if wrong := _wrong(address, channel):
        return WrongLine(line, wrong)
    others = mapped.variables or {name: name for name in fields if name not in (column, "channel")}
    # An empty cell is no value: templates say what stands in its place.
    variables = {name: fields[source] for name, source in others.items() if fields.get(source)}
    value: dict[str, Any] = {"address": address, "channel": channel}
    return Recipient(line, {**value, "variables": variables} if variables else value)


def _wrong(address: str, channel: str) -> str:
    if channel not in CHANNELS:
        return f"its channel is neither {' nor '.join(CHANNELS)}"
    if not is_e164(address):
        return "its address is no number in international form (+447700900123)"
    return "" if is_possible(address) else "its number has a country code or a length that no number has"
