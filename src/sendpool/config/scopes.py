"""The `[[scopes]]` of the file: limits that senders of any connection share, because a carrier counts them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from sendpool.config.setting import ConfigError, as_toml, check_printable, described, read_table, settings_of
from sendpool.domain.limits import Limits
from sendpool.domain.scopes import ScopeSettings

BURST = "Segments that may leave at once after a pause. Else what 50 ms allow, at least 1."
SCOPES = "What it shares limits with: names of `[[scopes]]`."
DAILY = "Segments in a calendar day. Else there is no limit."
ZONE = "Where the day of `daily_limit` begins and ends. Else UTC."
RECIPIENTS = (
    "Recipients that may be written to for the first time in any 24 hours (a WhatsApp tier). Else there is no limit."
)


class ScopeTable(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[scopes]]` table."""

    name: Annotated[
        str,
        described(
            "1 to 64 printable characters",
            "What senders and connections name it by; no two are the same.",
            "campaign-x",
            min_length=1,
            max_length=64,
        ),
    ]
    mps: Annotated[
        float | None,
        described("a number above 0", "Segments a second over all who name it. Else there is no limit.", 75, gt=0),
    ] = None
    burst: Annotated[float | None, described("a number of at least 1", BURST, 4, ge=1)] = None
    daily_limit: Annotated[int | None, described("a whole number of at least 1", DAILY, 200_000, ge=1)] = None
    day_zone: Annotated[str | None, described("a time zone", ZONE, "America/Los_Angeles")] = None
    recipient_limit: Annotated[int | None, described("a whole number of at least 1", RECIPIENTS, 2_000, ge=1)] = None


SCOPE_SETTINGS = settings_of(ScopeTable)


def check_zone(name: str) -> str:
    """An IANA time zone. Raises ValueError with what it might have been."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'"{name[:60]}" is no time zone; write a name like "Europe/Amsterdam" or "UTC"') from None
    return name


_CHECKS = {"name": check_printable, "day_zone": check_zone}


def limits_of(common: dict[str, Any]) -> Limits:
    """Take the lasting limits out of the settings of a table."""
    given = {
        "daily": common.pop("daily_limit", None),
        "zone": common.pop("day_zone", None),
        "recipients": common.pop("recipient_limit", None),
        "pair_seconds": common.pop("pair_seconds", None),
        "pair_burst": common.pop("pair_burst", None),
    }
    return Limits(**{key: value for key, value in given.items() if value is not None})


def read_scopes(source: str, tables: Sequence[Mapping[str, Any]]) -> tuple[ScopeSettings, ...]:
    """Every named scope. Raises `ConfigError`."""
    scopes = tuple(_scope(source, f"scopes[{i}]", table) for i, table in enumerate(tables))
    seen: dict[str, int] = {}
    for i, scope in enumerate(scopes):
        if scope.name in seen:
            taken = f'scopes[{seen[scope.name]}] is called "{scope.name}" too'
            raise ConfigError(source, f"scopes[{i}].name: {taken}; give each scope a name of its own")
        seen[scope.name] = i
    return scopes


def _scope(source: str, path: str, table: Mapping[str, Any]) -> ScopeSettings:
    common = read_table(source, path, table, SCOPE_SETTINGS, _CHECKS)
    return ScopeSettings(limits=limits_of(common), **common)


def check_known(source: str, path: str, named: Sequence[str], known: Sequence[str]) -> None:
    """Return if every scope that is named at *path* exists. Raises `ConfigError`."""
    for name in named:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            remedy = f"did you mean {as_toml(close[0])}?" if close else "declare it under [[scopes]], or take it out"
            raise ConfigError(source, f"{path}: there is no scope {as_toml(name)}; {remedy}")
