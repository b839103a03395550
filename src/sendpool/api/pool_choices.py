"""Reading how a pool chooses, what it does in doubt, its reach, countries and quiet hours, and its members' places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from phonenumbers import SUPPORTED_REGIONS

from sendpool.api.checks import check_fields, wrong_kind
from sendpool.api.problems import Findings
from sendpool.domain.health import LEAST, MOST
from sendpool.domain.message import CATEGORIES, Category
from sendpool.domain.policy import Duplicates, OpenOutcome
from sendpool.domain.pool import LEAST_WEIGHT, MOST_TIER, MOST_WEIGHT, REACHABLE
from sendpool.domain.preference import Preference
from sendpool.domain.quiet import minute_of
from sendpool.store.pools import Share

#: Countries of one list: there are not many more.
MAX_COUNTRIES = 300


def check_number(
    value: object, what: str, context: str, findings: Findings, *, least: float, most: float, of: str = ""
) -> float | None:
    """A number within bounds; None where it is none, which is noted."""
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return value
    findings.add(f"{what} must be a number{f' of {of}' if of else ''} from {least:,g} to {most:,g}", context)
    return None


def read_share(entry: Mapping[str, Any], context: str, findings: Findings) -> Share:
    """The place of a member, as far as it is given."""
    weight = tier = None
    if "weight" in entry:
        place = f"{context}.weight"
        weight = check_number(entry["weight"], "weight", place, findings, least=LEAST_WEIGHT, most=MOST_WEIGHT)
    if "tier" in entry:
        tier = entry["tier"]
        if not isinstance(tier, int) or isinstance(tier, bool) or not 0 <= tier <= MOST_TIER:
            findings.add(f"tier must be a whole number from 0 to {MOST_TIER}", f"{context}.tier")
            tier = None
    return Share(weight, tier)


def read_choice(fields: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """Those of the settings that say how a pool chooses, as they are stored."""
    readers: Mapping[str, Callable[[Any, Findings], Any]] = {
        "duplicates": partial(_word, Duplicates, "duplicates"),
        "openOutcome": partial(_word, OpenOutcome, "openOutcome"),
        "preference": partial(_word, Preference, "preference"),
        "reach": _reach,
        "countries": _countries,
        "quietHours": _quiet_hours,
        "health": _health,
    }
    found = {field: read(fields[field], findings) for field, read in readers.items() if field in fields}
    return {field: value for field, value in found.items() if value is not None}


def _word(words: type[StrEnum], field: str, value: object, findings: Findings) -> str | None:
    name = value.upper() if isinstance(value, str) else ""
    if name in words.__members__:
        return words[name].value
    findings.add(f"{field} must be one of {', '.join(words)}", f"$.{field}")
    return None


def _reach(value: object, findings: Findings) -> list[str] | None:
    names = [one.upper() if isinstance(one, str) else "" for one in value] if isinstance(value, list) else []
    if names and set(names) <= set(REACHABLE) and len(set(names)) == len(names):
        return names
    findings.add(f"reach must be an array out of {', '.join(REACHABLE)}, each once", "$.reach")
    return None


def _countries(value: object, findings: Findings) -> dict[str, list[str]] | None:
    if not isinstance(value, dict):
        wrong_kind("countries", "an object", value, "$.countries", findings)
        return None
    check_fields(value, ("allow", "deny"), findings, "$.countries")
    if not {"allow", "deny"} & value.keys():
        findings.add("countries must have allow or deny", "$.countries")
        return None
    return {name: _codes(value[name], f"$.countries.{name}", findings) for name in ("allow", "deny") if name in value}


def _codes(value: object, context: str, findings: Findings) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_COUNTRIES:
        findings.add(f"expected an array of at most {MAX_COUNTRIES} ISO 3166-1 codes", context)
        return []
    codes: dict[str, None] = {}
    for i, code in enumerate(value):
        name = code.upper() if isinstance(code, str) else ""
        if name not in SUPPORTED_REGIONS:
            hint = "the United Kingdom is GB" if name == "UK" else "give an ISO 3166-1 code such as US"
            findings.add(f"this is no country; {hint}", f"{context}[{i}]")
        codes[name] = None
    return list(codes)


def _quiet_hours(value: object, findings: Findings) -> dict[str, Any] | None:
    context = "$.quietHours"
    if not isinstance(value, dict):
        wrong_kind("quietHours", "an object", value, context, findings)
        return None
    check_fields(value, ("start", "end", "exempt"), findings, context)
    times = [_time(value.get(name), f"{context}.{name}", findings) for name in ("start", "end")]
    if times[0] is not None and times[0] == times[1]:
        findings.add("start and end are the same, so that no hour is quiet; give two, or leave quietHours out", context)
    found: dict[str, Any] = {"start": value.get("start"), "end": value.get("end")}
    if "exempt" in value:
        found["exempt"] = _exempt(value["exempt"], f"{context}.exempt", findings)
    return found


#: What a pool may set of health, by the names that the API has for it, with the least and the most.
_THRESHOLDS = dict(zip(("minSample", "worseBy", "trickle", "step"), zip(LEAST, MOST, strict=True), strict=True))


def _health(value: object, findings: Findings) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        wrong_kind("health", "an object", value, "$.health", findings)
        return None
    check_fields(value, ("off", *_THRESHOLDS), findings, "$.health")
    found: dict[str, Any] = {}
    if not value:
        findings.add(f"health must have off or one of {', '.join(_THRESHOLDS)}", "$.health")
    elif not isinstance(value.get("off", False), bool):
        findings.add("off must be true or false", "$.health.off")
    elif "off" in value:
        found["off"] = value["off"]
    for name, (least, most) in _THRESHOLDS.items():
        if name in value:
            found[name] = check_number(value[name], name, f"$.health.{name}", findings, least=least, most=most)
    if isinstance(value.get("minSample"), float):
        findings.add("minSample must be a whole number", "$.health.minSample")
    return found


def _time(value: object, context: str, findings: Findings) -> int | None:
    try:
        return minute_of(value if isinstance(value, str) else "")
    except ValueError:
        findings.add('expected a time of day such as "21:30"', context)
        return None


def _exempt(value: object, context: str, findings: Findings) -> Sequence[str]:
    names = [one.upper() if isinstance(one, str) else "" for one in value] if isinstance(value, list) else [""]
    if all(name.lower() in CATEGORIES for name in names) and len(set(names)) == len(names):
        return [Category[name].value for name in names]
    findings.add(f"expected an array out of {', '.join(CATEGORIES)}, each once", context)
    return []
