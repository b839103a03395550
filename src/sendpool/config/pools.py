"""The `[[pools]]` of the file: sender pools that are there by themselves, with their members and how they choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from sendpool.config.connections import CHANNEL_HELP, check_channel
from sendpool.config.countries import check_countries
from sendpool.config.setting import ConfigError, check_printable, described, read_table, settings_of, tables_in
from sendpool.domain.health import LEAST, MOST, USUAL
from sendpool.domain.message import CATEGORIES, Category
from sendpool.domain.policy import Duplicates, OpenOutcome
from sendpool.domain.pool import (
    LEAST_FALLBACK_AFTER,
    LEAST_GRACE,
    LEAST_WEIGHT,
    MOST_FALLBACK_AFTER,
    MOST_GRACE,
    MOST_TIER,
    MOST_WEIGHT,
    REACHABLE,
    DeclaredMember,
    DeclaredPool,
)
from sendpool.domain.preference import Preference
from sendpool.domain.quiet import minute_of

_COUNTRIES = "a list of countries by their ISO codes"


class _PoolTable(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[
        str,
        described(
            "1 to 256 printable characters",
            "What the pool is called, and what the file knows it by: another name is another pool.",
            "alerts",
            min_length=1,
            max_length=256,
        ),
    ]
    account: Annotated[
        str | None,
        described(
            "the sid of an account",
            "The account that the pool and its members belong to. Else the first one.",
            "AC0123456789abcdef0123456789abcdef",
            min_length=1,
            max_length=64,
        ),
    ] = None
    preference: Annotated[
        str | None,
        described(
            '"spread", "sticky" or "match"',
            "`spread`: who is free first. `sticky`: a recipient always gets the same sender. `match`: a sender of the"
            " recipient's area code, else of its country.",
            "sticky",
        ),
    ] = None
    grace: Annotated[
        float | None,
        described(
            f"a number of seconds from {LEAST_GRACE:g} to {MOST_GRACE:g}",
            "How long a message waits for the sender or the tier that should have it, before others may take it.",
            10,
            ge=LEAST_GRACE,
            le=MOST_GRACE,
        ),
    ] = None
    reach: Annotated[
        tuple[str, ...] | None,
        described(
            'a list out of "RCS", "SMS" and "WHATSAPP"',
            "Channels that a phone number is tried on, in this order. Else RCS, then SMS.",
            ["RCS", "SMS", "WHATSAPP"],
        ),
    ] = None
    allow_countries: Annotated[
        tuple[str, ...] | None, described(_COUNTRIES, "The only countries that the pool sends to.", ["US", "CA"])
    ] = None
    deny_countries: Annotated[
        tuple[str, ...] | None, described(_COUNTRIES, "Countries that the pool does not send to.", ["FR"])
    ] = None
    quiet_hours: Annotated[
        tuple[str, str] | None,
        described(
            "two times of day",
            "From the first to the second nothing is sent, by the recipient's own clock. What is accepted then waits.",
            ["21:00", "08:00"],
        ),
    ] = None
    quiet_hours_exempt: Annotated[
        tuple[str, ...] | None,
        described("a list of categories", "What is sent in quiet hours all the same.", ["otp"]),
    ] = None
    health: Annotated[
        bool | None,
        described(
            "true or false",
            "Whether senders that do worse than their peers get less of the pool's messages. Else they do.",
            False,
        ),
    ] = None
    health_min_sample: Annotated[
        int | None,
        described(
            f"a whole number from {LEAST.min_sample} to {MOST.min_sample}",
            f"Messages to a country by which a sender's health is judged, at least. Else {USUAL.min_sample}.",
            200,
            ge=LEAST.min_sample,
            le=MOST.min_sample,
        ),
    ] = None
    health_worse_by: Annotated[
        float | None,
        described(
            f"a number from {LEAST.worse_by:g} to {MOST.worse_by:g}",
            "By how much the share of its faults or lost receipts has to be above its peers' for a sender to be"
            f" unhealthy. Else {USUAL.worse_by:g}.",
            0.3,
            ge=LEAST.worse_by,
            le=MOST.worse_by,
        ),
    ] = None
    health_trickle: Annotated[
        float | None,
        described(
            f"a number from {LEAST.trickle:g} to {MOST.trickle:g}",
            f"The part of its usual share that an unhealthy sender gets. Else {USUAL.trickle:g}.",
            0.1,
            ge=LEAST.trickle,
            le=MOST.trickle,
        ),
    ] = None
    health_step: Annotated[
        float | None,
        described(
            f"a number of seconds from {LEAST.step:g} to {MOST.step:g}",
            f"Seconds after each of which the share of a sender that is well again doubles. Else {USUAL.step:g}.",
            60,
            ge=LEAST.step,
            le=MOST.step,
        ),
    ] = None
    category: Annotated[
        str | None,
        described('"transactional", "otp" or "bulk"', "What its messages are for, where no request says.", "otp"),
    ] = None
    fallback_after: Annotated[
        float | None,
        described(
            f"a number of seconds from {LEAST_FALLBACK_AFTER} to {MOST_FALLBACK_AFTER}",
            "How long a message stays on a channel without a delivery, before the next channel's turn comes.",
            30,
            ge=LEAST_FALLBACK_AFTER,
            le=MOST_FALLBACK_AFTER,
        ),
    ] = None
    duplicates: Annotated[
        str | None,
        described(
            '"avoid" or "tolerate"',
            "While it is unknown whether a carrier took a message: wait for a receipt, or send it once more.",
            "avoid",
        ),
    ] = None
    open_outcome: Annotated[
        str | None,
        described(
            '"report" or "failover"',
            "What becomes of a message whose fate stays unknown: it is reported so, or goes to the next channel.",
            "report",
        ),
    ] = None


class _MemberTable(msgspec.Struct, frozen=True, kw_only=True):
    channel: Annotated[str, described(*CHANNEL_HELP)]
    address: Annotated[
        str,
        described(
            "a text of 1 to 255 characters",
            "The address of a sender that a connection of the same account declares.",
            "+12034458910",
            min_length=1,
            max_length=255,
        ),
    ]
    weight: Annotated[
        float,
        described(
            f"a number from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}",
            "Its share of the pool's messages, relative to the others.",
            2,
            ge=LEAST_WEIGHT,
            le=MOST_WEIGHT,
        ),
    ] = 1.0
    tier: Annotated[
        int,
        described(
            f"a whole number from 0 to {MOST_TIER}",
            "The lowest tier is used; a higher number only while no lower one can take a message within the grace.",
            1,
            ge=0,
            le=MOST_TIER,
        ),
    ] = 0


POOL_SETTINGS = settings_of(_PoolTable)
MEMBER_SETTINGS = settings_of(_MemberTable)


def read_pools(source: str, tables: object) -> tuple[DeclaredPool, ...]:
    """Every pool. Raises `ConfigError`."""
    pools = tuple(
        _pool(source, f"pools[{i}]", table) for i, table in enumerate(tables_in(source, "pools", tables, "pools"))
    )
    seen: dict[tuple[str | None, str], int] = {}
    for i, pool in enumerate(pools):
        if (pool.account, pool.name) in seen:
            taken = f'pools[{seen[pool.account, pool.name]}] is called "{pool.name}" too'
            raise ConfigError(source, f"pools[{i}].name: {taken}; give each pool of an account a name of its own")
        seen[pool.account, pool.name] = i
    return pools


def _pool(source: str, path: str, table: Mapping[str, Any]) -> DeclaredPool:
    rest = dict(table)
    listed = tables_in(source, f"{path}.members", rest.pop("members", []), "pools.members")
    found = read_table(source, path, rest, POOL_SETTINGS, _CHECKS)
    members = tuple(
        DeclaredMember(**read_table(source, f"{path}.members[{i}]", member, MEMBER_SETTINGS, _CHECKS))
        for i, member in enumerate(listed)
    )
    _check_members(source, path, members)
    name, account = found.pop("name"), found.pop("account", None)
    return DeclaredPool(name=name, account=account, settings=_as_api(found), members=members)


def _check_members(source: str, path: str, members: Sequence[DeclaredMember]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for i, member in enumerate(members):
        first = seen.setdefault((member.channel, member.address), i)
        if first != i:
            raise ConfigError(
                source, f"{path}.members[{i}].address: it is members[{first}] already; leave one of the two out"
            )


def _as_api(found: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by the names that the API has for them."""
    settings = {key: found[key] for key in ("preference", "grace", "category", "duplicates") if key in found}
    for name, ours in (("fallbackAfter", "fallback_after"), ("openOutcome", "open_outcome")):
        if ours in found:
            settings[name] = found[ours]
    if "reach" in found:
        settings["reach"] = list(found["reach"])
    countries = {
        key: list(found[f"{key}_countries"]) for key in ("allow", "deny") if found.get(f"{key}_countries") is not None
    }
    if countries:
        settings["countries"] = countries
    if "quiet_hours" in found:
        settings["quietHours"] = dict(zip(("start", "end"), found["quiet_hours"], strict=True))
        if "quiet_hours_exempt" in found:
            settings["quietHours"]["exempt"] = list(found["quiet_hours_exempt"])
    health: dict[str, Any] = {"off": not found["health"]} if "health" in found else {}
    health |= {name: found[ours] for name, ours in _THRESHOLDS.items() if ours in found}
    if health:
        settings["health"] = health
    return settings


#: Thresholds of health, by the names that the API has for them.
_THRESHOLDS = {
    "minSample": "health_min_sample",
    "worseBy": "health_worse_by",
    "trickle": "health_trickle",
    "step": "health_step",
}


def _check_reach(channels: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(channel.upper() for channel in channels)
    if not found or len(set(found)) < len(found) or not set(found) <= set(REACHABLE):
        raise ValueError
    return found


def _check_preference(name: str) -> str:
    return Preference(name.lower()).value


def _check_category(name: str) -> str:
    if name.lower() not in CATEGORIES:
        raise ValueError
    return Category(name.lower()).value


def _check_hours(hours: tuple[str, str]) -> tuple[str, str]:
    start, end = map(minute_of, hours)
    if start == end:
        raise ValueError("the two times are the same, so that no hour is quiet; give two, or leave it out")
    return hours


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "name": check_printable,
    "address": check_printable,
    "channel": check_channel,
    "preference": _check_preference,
    "reach": _check_reach,
    "allow_countries": check_countries,
    "deny_countries": check_countries,
    "quiet_hours": _check_hours,
    "quiet_hours_exempt": lambda names: tuple(_check_category(name) for name in names),
    "category": _check_category,
    "duplicates": lambda name: Duplicates(name.lower()).value,
    "open_outcome": lambda name: OpenOutcome(name.lower()).value,
}
