"""`schedule` of a request: when its messages are to be sent."""

from __future__ import annotations

from sendpool.api.checks import check_fields, entries, wrong_kind
from sendpool.api.problems import Findings
from sendpool.domain.schedule import Moment, intersect, parse_moment

#: Expressions in one list. They all have to say the same, so more than one is rare already.
MAX_EXPRESSIONS = 100


def check_schedule(value: object, findings: Findings) -> Moment | None:
    """The moment that `sendAt` means: every entry is an RFC 3339 date and time, and they are all the same one."""
    if not isinstance(value, dict):
        wrong_kind("schedule", "an object", value, "$.schedule", findings)
        return None
    check_fields(value, ("sendAt",), findings, "$.schedule")
    if "sendAt" not in value:
        findings.add("sendAt is missing", "$.schedule.sendAt")
        return None
    context = "$.schedule.sendAt"
    found = [
        _moment(entry, place, findings)
        for _, place, entry in entries(value["sendAt"], "sendAt", context, findings, least=1, most=MAX_EXPRESSIONS)
    ]
    moments = [moment for moment in found if moment is not None]
    if not moments or len(moments) < len(found):
        return None
    moment = intersect(moments)
    if moment is None:
        findings.add("no time is all of these; give one, or the same one in several spellings", context)
    return moment


def _moment(value: object, context: str, findings: Findings) -> Moment | None:
    if not isinstance(value, str):
        wrong_kind("a time", "a string", value, context, findings)
        return None
    moment = parse_moment(value)
    if moment is None:
        example = "2026-12-01T09:30:00Z, or 2026-12-01T09:30:00 for each recipient's own clock"
        findings.add(f"this is not an RFC 3339 date and time, for example {example}", context)
    return moment
