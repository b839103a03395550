"""`profiles`: people whom a send may name by an id."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from sendpool.admin.accounts import whose
from sendpool.admin.context import Arguments, Context
from sendpool.admin.protocol import CommandRefused
from sendpool.domain.profile import Profile
from sendpool.domain.sender import AddressSpace
from sendpool.store import profiles
from sendpool.store.admin_log import COMMAND_LINE, record
from sendpool.store.database import Script

#: Profiles in one command: each command is one commit, and a send may wait for it.
MOST_AT_ONCE = 1_000
LONGEST_FIELD = 512
MOST_FIELDS = 50

ProfileId = Annotated[str, msgspec.Meta(pattern="^mem_profile_[0-7][a-hjkmnpqrstv-z0-9]{25,34}$")]
StoreId = Annotated[str, msgspec.Meta(pattern="^mem_store_[0-7][a-hjkmnpqrstv-z0-9]{25,34}$")]
Address = Annotated[str, msgspec.Meta(pattern=r"^\S{1,320}$")]
FieldName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
FieldText = Annotated[str, msgspec.Meta(max_length=LONGEST_FIELD)]


class GivenProfile(Arguments, frozen=True, kw_only=True):
    """A profile as it is handed over; *addresses* have the letters of their spaces, the preferred one first."""

    profile_id: ProfileId
    store_id: StoreId
    addresses: Annotated[list[tuple[Address, Literal["P", "W", "E"]]], msgspec.Meta(min_length=1, max_length=10)]
    fields: Annotated[dict[FieldName, FieldText], msgspec.Meta(max_length=MOST_FIELDS)]


class ImportProfiles(Arguments, frozen=True, kw_only=True):
    """A part of a `profiles import`."""

    profiles: Annotated[list[GivenProfile], msgspec.Meta(max_length=MOST_AT_ONCE)]
    #: None: the only one there is.
    account: str | None = None


class ListProfiles(Arguments, frozen=True, kw_only=True):
    """`profiles list`."""

    account: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)] = 100
    #: A profile's id: only those behind it.
    after: str | None = None


class OneProfile(Arguments, frozen=True, kw_only=True):
    """`profiles show` and `profiles delete`; without *store_id*: in every memory store."""

    profile_id: str
    store_id: str | None = None
    account: str | None = None


_SPACES = {space[0]: space.value for space in AddressSpace}


def _shown(profile: Profile) -> dict[str, Any]:
    return {
        "profileId": profile.profile_id,
        "memoryStoreId": profile.store_id,
        "addresses": [{"address": address, "channel": _SPACES[letter]} for address, letter in profile.addresses],
        "fields": dict(profile.fields),
    }


def import_profiles(ask: ImportProfiles, context: Context) -> Script[dict[str, int]]:
    """Store profiles; brings how many are new, are changed, and were so already."""
    account = yield from whose(ask.account)
    given = [Profile(one.profile_id, one.store_id, one.addresses, one.fields) for one in ask.profiles]
    saved = yield from profiles.save_profiles(account.id, given, context.now)
    if saved.created or saved.updated:
        counts = {"created": saved.created, "updated": saved.updated}
        yield from record(context.now, COMMAND_LINE, "profiles.imported", account.sid, **counts)
    return saved._asdict()


def list_profiles(ask: ListProfiles, context: Context) -> Script[list[dict[str, Any]]]:
    """Profiles of an account, by their ids."""
    account = yield from whose(ask.account)
    rows = yield from profiles.list_profiles(account.id, ask.after, ask.limit)
    return [_shown(row) for row in rows]


def show_profile(ask: OneProfile, context: Context) -> Script[list[dict[str, Any]]]:
    """A profile, once for each memory store that it is in."""
    account = yield from whose(ask.account)
    found = yield from profiles.load_profiles(account.id, [ask.profile_id])
    shown = [_shown(one) for one in found if ask.store_id in (None, one.store_id)]
    if not shown:
        raise _unknown(ask)
    return shown


def delete_profile(ask: OneProfile, context: Context) -> Script[dict[str, Any]]:
    """Forget a profile. Messages that were accepted before go on."""
    account = yield from whose(ask.account)
    stores = yield from profiles.delete_profiles(account.id, ask.profile_id, ask.store_id)
    if not stores:
        raise _unknown(ask)
    yield from record(context.now, COMMAND_LINE, "profile.deleted", ask.profile_id, account=account.sid, stores=stores)
    return {"profileId": ask.profile_id, "memoryStoreIds": stores}


def _unknown(ask: OneProfile) -> CommandRefused:
    where = f" in memory store {ask.store_id[:64]}" if ask.store_id else ""
    return CommandRefused(
        f"there is no profile {ask.profile_id[:64]}{where}; `sendpool profiles list` shows those there are"
    )
