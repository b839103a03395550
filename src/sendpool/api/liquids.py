"""Checks of strings in which Liquid is carried out, and what stands for their results while shapes are checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sendpool.api.problems import Findings
from sendpool.domain.message import has_markup
from sendpool.pipeline.liquid import BadLiquid, compile_template

#: Fields that hold URLs. Their scheme and host stand in the source: no variable turns a page into another's, or a
#: link into something that is none.
URLS = frozenset({"url", "fileUrl", "thumbnailUrl", "fallbackUrl", "link", "media"})
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f\"<>\\^`|{}/?#]+(?:[/?#][^\s\x00-\x1f\x7f\"<>\\^`|]*)?", re.IGNORECASE)
_URL_SOURCE = re.compile(r"https?://[^\s\x00-\x1f\x7f\"<>\\^`|{}/?#]+[/?#].*", re.IGNORECASE | re.DOTALL)
#: What a string with markup may become where not any text will do, by field.
_STAND_INS = {
    "phoneNumber": "+12034458910",
    "startTime": "0001-01-01T00:00:00Z",
    "endTime": "9999-12-31T00:00:00Z",
    **dict.fromkeys(URLS, "https://a.example/"),
}


def check_liquid(text: str, what: str, context: str, findings: Findings, *, url: bool = False) -> None:
    """Note what is wrong with a string that is a Liquid template; *url*: one that gives an http or https URL."""
    if "\0" in text:
        findings.add(f"{what} holds a NUL character", context)
    if not has_markup(text):
        if url and not _URL.fullmatch(text):
            findings.add(f"{what} must be an http or https URL", context)
        return
    try:
        compile_template(text)
    except BadLiquid as error:
        findings.add(f"{what}: {error}", context)
    if url and not _URL_SOURCE.fullmatch(text):
        findings.add(f"{what} must begin with http:// or https:// and a host, before any Liquid markup", context)


def check_strings(module: Mapping[str, Any], context: str, findings: Findings, *, all_urls: bool = False) -> None:
    """The same for every string of a module: Liquid is carried out in all of them.

    *all_urls*: those without markup have to be http or https as well.
    """
    for name, place, said in _strings(module, context):
        if has_markup(said) or "\0" in said or (all_urls and name in URLS):
            check_liquid(said, name, place, findings, url=name in URLS)


def stood_in(value: Any, name: str = "") -> Any:
    """A module as its shape is checked: with something fitting in place of each string with markup."""
    if isinstance(value, str):
        return _STAND_INS.get(name, "x") if has_markup(value) else value
    if isinstance(value, dict):
        return {field: stood_in(inner, field) for field, inner in value.items()}
    return [stood_in(inner, name) for inner in value] if isinstance(value, list) else value


def _strings(value: Any, context: str, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Every string in a JSON value: the name of its field, its context and itself."""
    if isinstance(value, str):
        yield name, context, value
    elif isinstance(value, dict):
        for field, inner in value.items():
            yield from _strings(inner, f"{context}.{field}", field)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _strings(inner, f"{context}[{i}]", name)
