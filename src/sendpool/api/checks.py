"""Checks that several request bodies share. Each notes what is wrong and goes on, so that one answer says it all."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sendpool.api.bodies import kind_of
from sendpool.api.problems import Findings
from sendpool.domain.fairness import PRIORITIES
from sendpool.domain.message import CATEGORIES, TAG_VALUE, Category, has_markup
from sendpool.pipeline.liquid import BadLiquid, compile_template

MAX_TAGS = 10
_TAG_KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")
#: Characters of a tag's value with Liquid markup, before it is filled in.
LONGEST_TAG_SOURCE = 1_024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_fields(
    value: Mapping[str, Any],
    known: Collection[str],
    findings: Findings,
    context: str | None = None,
    *,
    not_built: Collection[str] = (),
) -> None:
    """Note fields of the object at *context* (None: the body) that nobody knows, or that we cannot carry out yet."""
    for field in value:
        if field in not_built:
            findings.not_built(field, f"{context or '$'}.{field}")
        elif field not in known:
            findings.unknown(field, (*known, *not_built), context)


def wrong_kind(what: str, wanted: str, value: object, context: str, findings: Findings) -> None:
    """Note that a value is of another JSON type than it has to be."""
    findings.add(f"{what} must be {wanted}, not {kind_of(value)}", context)


def check_text(
    value: object, what: str, context: str, findings: Findings, *, longest: int, one_line: bool = True
) -> str | None:
    """A text of 1 to *longest* characters; None where it is none, which is noted."""
    if not isinstance(value, str):
        wrong_kind(what, "a string", value, context, findings)
        return None
    if not 1 <= len(value) <= longest:
        findings.add(f"{what} must have 1 to {longest} characters", context)
        return None
    if "\0" in value or (one_line and _CONTROL.search(value)):
        findings.add(f"{what} holds a control character", context)
        return None
    return value


def check_tags(value: object, findings: Findings, *, liquid: bool = False) -> dict[str, str]:
    """Up to ten tags. Contexts name the map only: keys and values are the client's own words.

    *liquid*: values may be templates, which are filled in for each recipient.
    """
    context = "$.tags"
    if not isinstance(value, dict):
        wrong_kind("tags", "an object", value, context, findings)
        return {}
    if len(value) > MAX_TAGS:
        findings.add(f"there are {len(value)} tags; {MAX_TAGS} are allowed", context)
        return value
    for key, tag in value.items():
        if not _TAG_KEY.fullmatch(key):
            findings.add("a tag's key must have 1 to 128 characters out of A-Z a-z 0-9 . _ ~ -", context)
        if not isinstance(tag, str):
            wrong_kind("a tag's value", "a string", tag, context, findings)
        elif liquid and has_markup(tag):
            _check_tag_source(tag, findings)
        elif not TAG_VALUE.fullmatch(tag):
            findings.add("a tag's value must have 1 to 256 characters out of A-Z a-z 0-9 . _ ~ -", context)
    return value


def _check_tag_source(source: str, findings: Findings) -> None:
    if len(source) > LONGEST_TAG_SOURCE:
        findings.add(f"a tag's value with Liquid may have {LONGEST_TAG_SOURCE:,} characters", "$.tags")
        return
    try:
        compile_template(source)
    except BadLiquid as error:
        findings.add(f"a tag's value: {error}", "$.tags")


def check_category(value: object, findings: Findings) -> Category | None:
    """What messages are for, in any case; our extension of requests and pools."""
    name = value.upper() if isinstance(value, str) else ""
    if name.lower() in CATEGORIES:
        return Category[name]
    findings.add(f"category must be one of {', '.join(CATEGORIES)}", "$.category")
    return None


def check_priority(value: object, findings: Findings) -> str:
    """How much weight the operation's turn in its pool has, in any case; our extension of requests."""
    name = value.lower() if isinstance(value, str) else ""
    if name not in PRIORITIES:
        findings.add(f"priority must be one of {', '.join(PRIORITIES)}", "$.priority")
        return "normal"
    return name


def entries(
    value: object, what: str, context: str, findings: Findings, *, least: int, most: int
) -> Iterator[tuple[int, str, Any]]:
    """The entries of an array of *least* to *most*, each with its place and context; none where it is not one."""
    if not isinstance(value, list):
        wrong_kind(what, "an array", value, context, findings)
    elif not least <= len(value) <= most:
        findings.add(f"{what} has {len(value):,} entries; {least:,} to {most:,} are allowed", context)
    else:
        for i, entry in enumerate(value):
            yield i, f"{context}[{i}]", entry
