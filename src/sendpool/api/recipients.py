"""The recipients of a send, each in one of three arms: an address, several addresses of one person, a profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sendpool.api.addresses import check_address
from sendpool.api.bodies import kind_of
from sendpool.api.checks import check_fields, entries, wrong_kind
from sendpool.api.problems import Findings
from sendpool.api.references import PROFILE, STORE, is_well_formed, unknown
from sendpool.api.variables import are_usable, check_variables
from sendpool.domain.profile import Profile, fill_in
from sendpool.domain.request import OF_PROFILE, Recipient
from sendpool.domain.sender import AddressSpace

#: Addresses of one person.
MAX_ADDRESSES = 10
#: What may stand beside each arm.
_BESIDE = {
    "address": ("address", "channel", "variables"),
    "addresses": ("addresses", "variables"),
    "profileId": ("profileId", "memoryStoreId", "variables"),
}
_LONGEST_ID = 64

#: By address space, in upper and in lower case: its letter in rows.
SPACE = {name: space[0] for space in AddressSpace for name in (space.value, space.value.lower())}


class ProfilesWanted(Exception):
    """A request names profiles: look for these ids and read it again."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__(f"{len(ids)} profiles")
        self.ids = ids


class Profiles:
    """The profiles that were found of those that a request names."""

    def __init__(self, found: Iterable[Profile] = ()) -> None:
        self._by_id: dict[str, list[Profile]] = {}
        for profile in found:
            self._by_id.setdefault(profile.profile_id, []).append(profile)

    def find(self, profile_id: str, store_id: str | None) -> list[Profile]:
        """Those with this id, in that memory store or in any."""
        return [one for one in self._by_id.get(profile_id, ()) if store_id in (None, one.store_id)]


def want_profiles(to: object) -> None:
    """Raise ProfilesWanted if a request to *to* has to be read with the profiles that it names."""
    listed = to if isinstance(to, list) else []
    named = {one for entry in listed if isinstance(entry, dict) and isinstance(one := entry.get("profileId"), str)}
    ids = frozenset(one for one in named if _is_id(PROFILE, one))
    if ids:
        raise ProfilesWanted(ids)


def check_recipient(value: object, context: str, findings: Findings, profiles: Profiles) -> Recipient | None:
    """One recipient, or None where something is wrong with it, which is noted."""
    if not isinstance(value, dict):
        wrong_kind("a recipient", "an object", value, context, findings)
        return None
    arms = [arm for arm in _BESIDE if arm in value]
    if len(arms) > 1:
        findings.add("a recipient has exactly one of address (with channel), addresses and profileId", context)
        return None
    if "connectedAddress" in value:
        findings.add("connectedAddress is not supported; list the person's addresses under addresses", context)
        return None
    arm = arms[0] if arms else "address"
    check_fields(value, _BESIDE[arm], findings, context)
    variables = _variables(value["variables"], f"{context}.variables", findings) if "variables" in value else None
    if arm == "profileId":
        return _of_profile(value, variables, context, findings, profiles)
    if arm == "addresses":
        return _connected(value["addresses"], variables, f"{context}.addresses", findings)
    found = _address(value, context, findings)
    return None if found is None else Recipient(*found, variables)


def _variables(value: object, context: str, findings: Findings) -> Mapping[str, str] | None:
    texts = isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    if isinstance(value, dict) and texts and are_usable(value):
        return value or None
    check_variables(value, context, findings)
    return None


def _address(value: Mapping[str, Any], context: str, findings: Findings) -> tuple[str, str] | None:
    """An address and the letter of its space."""
    channel = value.get("channel")
    space = SPACE.get(channel.upper()) if isinstance(channel, str) else None
    if space is None:
        findings.add(f"channel must be one of {', '.join(AddressSpace)}", f"{context}.channel")
    address = value.get("address")
    if not isinstance(address, str):
        wrong = "is missing" if address is None else f"must be a string, not {kind_of(address)}"
        findings.add(f"address {wrong}", f"{context}.address")
    elif space is not None and check_address(address, space, f"{context}.address", findings):
        return address, space
    return None


def _connected(
    value: object, variables: Mapping[str, str] | None, context: str, findings: Findings
) -> Recipient | None:
    """Several addresses of one person; one that is named twice is one all the same."""
    found = [
        _connected_address(entry, place, findings)
        for _, place, entry in entries(value, "addresses", context, findings, least=1, most=MAX_ADDRESSES)
    ]
    known = [address for address in found if address is not None]
    return _person(dict.fromkeys(known), variables) if known and len(known) == len(found) else None


def _connected_address(entry: object, context: str, findings: Findings) -> tuple[str, str] | None:
    if not isinstance(entry, dict):
        wrong_kind("an address", "an object", entry, context, findings)
        return None
    check_fields(entry, ("address", "channel"), findings, context)
    return _address(entry, context, findings)


def _person(addresses: Iterable[tuple[str, str]], variables: Mapping[str, str] | None) -> Recipient:
    several = list(addresses)
    return Recipient(" ".join(address for address, _ in several), "".join(space for _, space in several), variables)


def _of_profile(
    value: Mapping[str, Any],
    variables: Mapping[str, str] | None,
    context: str,
    findings: Findings,
    profiles: Profiles,
) -> Recipient | None:
    """The person of a stored profile, with the references in its variables filled in."""
    profile_id = _reference(PROFILE, value["profileId"], "profile", f"{context}.profileId", findings)
    store_id = None
    if "memoryStoreId" in value:
        store_id = _reference(STORE, value["memoryStoreId"], "memory store", f"{context}.memoryStoreId", findings)
        if store_id is None:
            return None
    found = [] if profile_id is None else profiles.find(profile_id, store_id)
    if len(found) > 1:
        findings.add("several memory stores have this profile; name one", f"{context}.memoryStoreId")
    elif profile_id is not None and not found:
        unknown("profile", f"{context}.profileId", findings)
    elif found and not found[0].addresses:
        findings.add("the profile has no address", f"{context}.profileId")
    if len(found) != 1 or not found[0].addresses:
        return None
    profile = found[0]
    filled = {name: fill_in(text, profile.fields) for name, text in (variables or {}).items()}
    if not are_usable(filled):
        findings.add("a variable is too long with the fields of the profile in it", f"{context}.variables")
    return _person(profile.addresses, {OF_PROFILE: f"{profile.profile_id} {profile.store_id}", **filled})


def _is_id(prefix: str, text: str) -> bool:
    return len(text) <= _LONGEST_ID and is_well_formed(prefix, text)


def _reference(prefix: str, value: object, what: str, context: str, findings: Findings) -> str | None:
    if isinstance(value, str) and _is_id(prefix, value):
        return value
    findings.add(f"this is not the id of a {what}; one looks like {prefix}_01h9krwprkeee8fzqspvwy6nq8", context)
    return None
