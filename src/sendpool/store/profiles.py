"""Profiles of an account: read in sets by those who send to them, kept by id within a memory store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, delete, select

from sendpool.domain.profile import Profile
from sendpool.store.database import Bulk, Script
from sendpool.store.tables import profile as table

_KEY = (("account_id", "bigint"), ("profile_id", "text"))
_COLUMNS = ("p.profile_id", "p.store_id", "p.addresses", "p.fields")


class Saved(NamedTuple):
    """What became of profiles that were given."""

    created: int
    updated: int
    unchanged: int


def load_profiles(account_id: int, profile_ids: Iterable[str]) -> Script[list[Profile]]:
    """The profiles of an account with these ids, whatever their memory stores."""
    rows = yield Bulk(
        "FROM v JOIN profile p ON p.account_id = v.account_id AND p.profile_id = v.profile_id",
        _KEY,
        [(account_id, profile_id) for profile_id in profile_ids],
        _COLUMNS,
    )
    return [_profile(row) for row in rows]


def save_profiles(account_id: int, profiles: Sequence[Profile], now: int) -> Script[Saved]:
    """Store profiles, each in place of an earlier one with its ids. The same ones again change nothing."""
    known = yield from load_profiles(account_id, {one.profile_id for one in profiles})
    earlier = {(one.profile_id, one.store_id): one for one in known}
    changed = [one for one in profiles if earlier.get((one.profile_id, one.store_id)) != one]
    if changed:
        yield Bulk(
            "INSERT INTO profile (account_id, profile_id, store_id, addresses, fields, updated_at)"
            " SELECT * FROM v WHERE true ON CONFLICT (account_id, store_id, profile_id) DO UPDATE SET"
            " addresses = excluded.addresses, fields = excluded.fields, updated_at = excluded.updated_at",
            (*_KEY, ("store_id", "text"), ("addresses", "text"), ("fields", "text"), ("updated_at", "bigint")),
            [
                (account_id, one.profile_id, one.store_id, _json(one.addresses), _json(one.fields), now)
                for one in changed
            ],
        )
    updated = sum((one.profile_id, one.store_id) in earlier for one in changed)
    return Saved(len(changed) - updated, updated, len(profiles) - len(changed))


def list_profiles(account_id: int, after: str | None, limit: int) -> Script[list[Profile]]:
    """Some *limit* profiles of an account by their ids, from behind *after* on; the last one in all its stores."""
    columns = (table.c.profile_id, table.c.store_id, table.c.addresses, table.c.fields)
    wanted: ColumnElement[bool] = table.c.account_id == account_id
    if after is not None:
        wanted = wanted & (table.c.profile_id > after)
    ordered = select(*columns).order_by(table.c.profile_id, table.c.store_id)
    rows = list((yield ordered.where(wanted).limit(limit)))
    if len(rows) == limit:
        last, store = rows[-1][:2]
        rest = (table.c.profile_id == last) & (table.c.store_id > store)
        rows += yield ordered.where(wanted & rest)
    return [_profile(row) for row in rows]


def delete_profiles(account_id: int, profile_id: str, store_id: str | None) -> Script[list[str]]:
    """Forget a profile, in one memory store or in all; brings the stores that it was in."""
    wanted: ColumnElement[bool] = (table.c.account_id == account_id) & (table.c.profile_id == profile_id)
    if store_id is not None:
        wanted = wanted & (table.c.store_id == store_id)
    rows = yield delete(table).where(wanted).returning(table.c.store_id)
    return sorted(row[0] for row in rows)


def delete_all_profiles(account_id: int) -> Script[None]:
    """Forget every profile of an account."""
    yield delete(table).where(table.c.account_id == account_id)


def _profile(row: Sequence[Any]) -> Profile:
    addresses = msgspec.json.decode(row[2], type=list[tuple[str, str]])
    return Profile(row[0], row[1], addresses, msgspec.json.decode(row[3], type=dict[str, str]))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
