"""Senders as connections declare them: stored with a stable id, listed, switched off when they are gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import uuid_utils
from sqlalchemy import ColumnElement, insert, select, update

from sendpool.domain.sender import DEFAULT_MPS, Channel
from sendpool.store.choices import DestinationSettings
from sendpool.store.database import Bulk, Row, Script
from sendpool.store.slices import Slice
from sendpool.store.tables import connection, sender

#: Keys of one IN list, well below the 32,766 values that SQLite allows.
_BLOCK = 1_000


class DeclaredSender(Protocol):
    """A sender as its connection's configuration declares it (`connectors.base.SenderSettings` is one)."""

    @property
    def channel(self) -> Channel:
        """The channel it sends on."""

    @property
    def address(self) -> str:
        """The number, short code, name or agent."""

    @property
    def display_name(self) -> str | None:
        """What people call it."""

    @property
    def mps(self) -> float | None:
        """Segments a second; None takes the channel's default."""

    @property
    def burst(self) -> float | None:
        """Segments that may leave at once after a pause; None: `max(1, 0.05 * mps)`."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Whatever else was declared, for the connector."""

    @property
    def country(self) -> str | None:
        """Where it is at home, where its address does not tell."""

    @property
    def countries(self) -> Sequence[str] | None:
        """The only countries that it sends to; None: all."""

    @property
    def not_countries(self) -> Sequence[str]:
        """Countries that it does not send to."""

    @property
    def campaign(self) -> str | None:
        """The registered campaign that it belongs to."""


class DeclaredConnection(Protocol):
    """A connection and its senders (`connectors.base.ConnectionSettings` is one)."""

    @property
    def name(self) -> str:
        """Its name, unique within the account."""

    @property
    def type(self) -> str:
        """Which connector it uses."""

    @property
    def senders(self) -> Sequence[DeclaredSender]:
        """The senders it carries."""

    @property
    def require_campaign(self) -> Sequence[str]:
        """Countries in which it takes nothing from a sender without a campaign."""


class SenderDeclaredTwice(ValueError):
    """Two connections of one account declare the same sender."""

    def __init__(self, channel: Channel, address: str, first: str, second: str) -> None:
        where = f"twice by connection {first}" if first == second else f"by connections {first} and {second}"
        super().__init__(f"the {channel.value} sender {address} is declared {where}; keep one")


class Inventory(NamedTuple):
    """How many senders storing the inventory added, changed and switched off."""

    added: int
    changed: int
    deactivated: int


class SenderRow(NamedTuple):
    """A sender as lists show it. `tags` is JSON; times are microseconds since 1970."""

    uid: bytes
    display_name: str | None
    address: str
    channel: str
    active: int
    tags: str
    created_at: int
    updated_at: int
    #: Its place in the pool whose senders are listed.
    weight: float | None = None
    tier: int | None = None


class SenderFilter(NamedTuple):
    """Which senders are wanted; None: any. `channel` is a wire name and may be one that no sender can have."""

    channel: str | None = None
    active: bool | None = None
    address: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter as conditions on the table."""
        wanted: list[ColumnElement[bool]] = []
        if self.channel is not None:
            wanted.append(sender.c.channel == self.channel)
        if self.active is not None:
            wanted.append(sender.c.active == int(self.active))
        if self.address is not None:
            wanted.append(sender.c.address == self.address)
        return wanted


#: The columns of a `SenderRow`, in its order, without those of a member.
SENDER_COLUMNS = tuple(sender.c[name] for name in SenderRow._fields if name not in ("weight", "tier"))

#: Who a sender of an account is, for ever: (channel, address).
_Identity = tuple[str, str]


def store_inventory(
    account_id: int, connections: Sequence[DeclaredConnection], now: int, elsewhere: Collection[int] = ()
) -> Script[Inventory]:
    """Make an account's connections and senders what the configuration declares; *connections* are all there are.

    Those with the keys *elsewhere*, which other nodes declare, stay as they are where they are not among them.
    A sender keeps its uid for ever, also when it moves to another connection. One that is no longer declared
    becomes inactive, and active again when it returns. *now* is microseconds since 1970; `updated_at` changes only
    with something else. Raises SenderDeclaredTwice.
    """
    _check(connections)
    keys = yield from _store_connections(account_id, connections, now, elsewhere)
    wanted = {
        (one.channel.value, one.address): _values(keys[settings.name], settings, one)
        for settings in connections
        for one in settings.senders
    }
    return (yield from _store_senders(account_id, wanted, now, elsewhere))


def _check(connections: Sequence[DeclaredConnection]) -> None:
    seen: dict[_Identity, str] = {}
    for settings in connections:
        for one in settings.senders:
            key = (one.channel.value, one.address)
            if key in seen:
                raise SenderDeclaredTwice(one.channel, one.address, seen[key], settings.name)
            seen[key] = settings.name


def _values(connection_id: int, settings: DeclaredConnection, declared: DeclaredSender) -> dict[str, Any]:
    """The columns that a declaration decides, in the order of `_NEW_SENDER`."""
    mps = declared.mps if declared.mps is not None else DEFAULT_MPS[declared.channel]
    return {
        "connection_id": connection_id,
        "display_name": declared.display_name,
        "active": 1,
        "mps": float(mps),
        "burst": None if declared.burst is None else float(declared.burst),
        # Sorted, so that a reordered file changes nothing.
        "options": msgspec.json.encode(dict(declared.options), order="deterministic").decode(),
        "destinations": msgspec.json.encode(_destinations(settings, declared)).decode(),
    }


def _destinations(settings: DeclaredConnection, declared: DeclaredSender) -> DestinationSettings:
    return DestinationSettings(
        country=declared.country or "",
        countries=None if declared.countries is None else sorted(declared.countries),
        not_countries=sorted(declared.not_countries),
        campaign=declared.campaign or "",
        require_campaign=sorted(settings.require_campaign),
    )


def _store_connections(
    account_id: int, connections: Sequence[DeclaredConnection], now: int, elsewhere: Collection[int]
) -> Script[dict[str, int]]:
    """The keys of connections by name."""
    columns = connection.c
    rows = yield select(columns.name, columns.id, columns.type, columns.active).where(columns.account_id == account_id)
    known = {row[0]: row for row in rows}
    keys: dict[str, int] = {}
    for settings in connections:
        values: dict[str, Any] = {"type": settings.type, "active": 1, "updated_at": now}
        if settings.name not in known:
            values |= {"account_id": account_id, "name": settings.name, "created_at": now}
            made = yield insert(connection).values(**values).returning(columns.id)
            keys[settings.name] = made[0][0]
            continue
        _, keys[settings.name], *stored = known[settings.name]
        if stored != [settings.type, 1]:
            yield update(connection).where(columns.id == keys[settings.name]).values(**values)
    gone = [row[1] for name, row in known.items() if name not in keys and row[3] and row[1] not in elsewhere]
    if gone:
        yield update(connection).where(columns.id.in_(gone)).values(active=0, updated_at=now)
    return keys


def _store_senders(
    account_id: int, wanted: dict[_Identity, dict[str, Any]], now: int, elsewhere: Collection[int]
) -> Script[Inventory]:
    names = ("connection_id", "display_name", "active", "mps", "burst", "options", "destinations")
    statement = select(sender.c.id, sender.c.channel, sender.c.address, *(sender.c[name] for name in names))
    rows = yield statement.where(sender.c.account_id == account_id)
    known = {(row[1], row[2]): (row[0], dict(zip(names, row[3:], strict=True))) for row in rows}
    new = [_new_row(account_id, key, values, now) for key, values in wanted.items() if key not in known]
    yield Bulk(
        "INSERT INTO sender (uid, account_id, channel, address, connection_id, display_name, active, mps, burst,"
        " options, destinations, tags, created_at, updated_at) SELECT uid, account_id, channel, address, connection_id,"
        " display_name, active, mps, burst, options, destinations, '{}', at, at FROM v",
        _NEW_SENDER,
        new,
    )
    changed = [(known[key][0], values) for key, values in wanted.items() if key in known and known[key][1] != values]
    for sender_id, values in changed:
        yield update(sender).where(sender.c.id == sender_id).values(**values, updated_at=now)
    gone = [
        sender_id
        for key, (sender_id, values) in known.items()
        if key not in wanted and values["active"] and values["connection_id"] not in elsewhere
    ]
    for start in range(0, len(gone), _BLOCK):
        block = gone[start : start + _BLOCK]
        yield update(sender).where(sender.c.id.in_(block)).values(active=0, updated_at=now)
    return Inventory(len(new), len(changed), len(gone))


_NEW_SENDER = (
    ("uid", "bytea"),
    ("account_id", "bigint"),
    ("channel", "text"),
    ("address", "text"),
    ("connection_id", "bigint"),
    ("display_name", "text"),
    ("active", "int"),
    ("mps", "double precision"),
    ("burst", "double precision"),
    ("options", "text"),
    ("destinations", "text"),
    ("at", "bigint"),
)


def _new_row(account_id: int, key: _Identity, values: dict[str, Any], now: int) -> Row:
    return (uuid_utils.uuid7().bytes, account_id, *key, *values.values(), now)


class FoundSender(NamedTuple):
    """An active sender that nobody has declared: its carrier told of it. `options` is JSON."""

    channel: str
    address: str
    display_name: str | None
    mps: float
    options: str


def load_found(account_id: int) -> Script[dict[str, list[FoundSender]]]:
    """The active senders of an account that were found, by the name of their connection."""
    columns = tuple(sender.c[name] for name in FoundSender._fields)
    statement = select(connection.c.name, *columns).join(connection, connection.c.id == sender.c.connection_id)
    # Options are written by ourselves, without blanks.
    mark = sender.c.options.contains('"found":true', autoescape=True)
    rows = yield statement.where(sender.c.account_id == account_id, sender.c.active == 1, mark)
    found: dict[str, list[FoundSender]] = {}
    for name, *values in rows:
        found.setdefault(name, []).append(FoundSender(*values))
    return found


def list_senders(account_id: int, wanted: SenderFilter, part: Slice) -> Script[list[SenderRow]]:
    """Senders of an account, newest first."""
    statement = select(*SENDER_COLUMNS).where(sender.c.account_id == account_id, *wanted.conditions())
    rows = yield part.applied_to(statement, sender)
    return [SenderRow(*row) for row in rows]


def fetch_sender(account_id: int, uid: bytes) -> Script[SenderRow | None]:
    """One sender of an account, or None."""
    rows = yield select(*SENDER_COLUMNS).where(sender.c.account_id == account_id, sender.c.uid == uid)
    return SenderRow(*rows[0]) if rows else None
