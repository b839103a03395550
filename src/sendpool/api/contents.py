"""The `content` of a send: a text with media for all channels, or a module for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeGuard

from sendpool.api.checks import check_fields, entries, wrong_kind
from sendpool.api.liquids import check_liquid
from sendpool.api.modules import check_rcs, check_whatsapp
from sendpool.api.problems import NOT_FOUND, TEXT_TOO_LONG, Findings
from sendpool.domain.message import LONGEST_TEXT, LONGEST_WITH_MEDIA, Content, has_markup, holds_markup

#: Characters of a text with Liquid markup, before it is filled in.
LONGEST_SOURCE = 6_400
#: Characters of a URL.
LONGEST_URL = 2_048
MAX_MEDIA = 10
MAX_MODULES = 4

#: 34 characters, usually; the contract takes 28 to 36.
_CONTENT_ID = re.compile(r"HX[0-9a-fA-F]{26,34}")
_MODULES = ("sms", "rcs", "whatsapp")


class TemplateWanted(Exception):
    """A content names a template that has to be looked up first, by `sid`."""

    def __init__(self, sid: str) -> None:
        super().__init__(sid)
        self.sid = sid


def check_content(
    value: object, findings: Findings, templates: Mapping[str, Content | None] = MappingProxyType({})
) -> Content:
    """What is to be sent. What is wrong is noted; the result is then of no use.

    *templates* says what was found of templates, by sid (None: there is none). Raises TemplateWanted for another.
    """
    if not isinstance(value, dict):
        wrong_kind("content", "an object", value, "$.content", findings)
        return Content()
    if len(value) == 1 and is_plain(text := value.get("text")):
        return Content(text=text)
    check_fields(value, ("text", "media", "modules", "contentId"), findings, "$.content")
    if "contentId" in value:
        if len(value) > 1:
            findings.add("content must have exactly one of contentId, modules, and text with media", "$.content")
        return _template(value["contentId"], findings, templates)
    if "modules" in value:
        if "text" in value or "media" in value:
            findings.add("content must have exactly one of modules, and text with media", "$.content")
        modules = _modules(value["modules"], findings)
        return Content(modules=modules, liquid=holds_markup(modules))
    if "text" in value or "media" in value:
        return _text_and_media(value, "$.content", findings)
    findings.add("content has none of text, media, modules and contentId", "$.content.text")
    return Content()


def is_plain(text: object) -> TypeGuard[str]:
    """Whether a text is beyond doubt in order, and no template: what nearly all are."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST_TEXT and "{" not in text and "\0" not in text


def _template(sid: object, findings: Findings, templates: Mapping[str, Content | None]) -> Content:
    context = "$.content.contentId"
    if not isinstance(sid, str) or not _CONTENT_ID.fullmatch(sid):
        findings.add("contentId must be HX and 32 hexadecimal digits", context)
        return Content()
    if sid not in templates:
        raise TemplateWanted(sid)
    found = templates[sid]
    if found is None:
        findings.add("there is no such template in this account; GET /Content lists yours", context, NOT_FOUND)
    return found or Content()


def _text_and_media(value: Mapping[str, Any], context: str, findings: Findings) -> Content:
    text = _text(value["text"], f"{context}.text", findings) if "text" in value else ""
    media = _media(value["media"], f"{context}.media", findings) if "media" in value else ()
    if media and (length := sum(map(len, media), len(media) + len(text))) > LONGEST_WITH_MEDIA:
        told = f"text and URLs of media have {length:,} characters together; {LONGEST_WITH_MEDIA:,} are allowed"
        findings.add(told, f"{context}.media", TEXT_TOO_LONG)
    return Content(text=text, media=media, liquid=has_markup(text) or any(map(has_markup, media)))


def _text(text: object, context: str, findings: Findings) -> str:
    if not isinstance(text, str):
        wrong_kind("text", "a string", text, context, findings)
        return ""
    if not text:
        findings.add("text is empty", context)
    most = LONGEST_SOURCE if has_markup(text) else LONGEST_TEXT
    if len(text) > most:
        findings.add(f"text has {len(text):,} characters; {most:,} are allowed", context, TEXT_TOO_LONG)
    else:
        check_liquid(text, "text", context, findings)
    return text


def _media(value: object, context: str, findings: Findings) -> tuple[str, ...]:
    """The URLs of what goes with a text."""
    found = []
    for _, place, entry in entries(value, "media", context, findings, least=1, most=MAX_MEDIA):
        if not isinstance(entry, dict):
            wrong_kind("an entry of media", "an object", entry, place, findings)
            continue
        check_fields(entry, ("url",), findings, place)
        url = entry.get("url")
        if not isinstance(url, str):
            wrong_kind("url", "a string", url, f"{place}.url", findings)
        elif not 0 < len(url) <= LONGEST_URL:
            findings.add(f"url must have 1 to {LONGEST_URL:,} characters", f"{place}.url")
        else:
            check_liquid(url, "url", f"{place}.url", findings, url=True)
            found.append(url)
    return tuple(found)


def _modules(value: object, findings: Findings) -> dict[str, Mapping[str, Any]]:
    """The modules as they came, by channel in upper case."""
    found: dict[str, Mapping[str, Any]] = {}
    for _, context, entry in entries(value, "modules", "$.content.modules", findings, least=1, most=MAX_MODULES):
        if not isinstance(entry, dict):
            wrong_kind("a module", "an object", entry, context, findings)
            continue
        check_fields(entry, _MODULES, findings, context)
        if len(entry) != 1:
            findings.add("an entry of modules must have exactly one channel", context)
        for channel in _MODULES:
            if channel not in entry:
                continue
            if channel.upper() in found:
                findings.add("each channel may have one module", f"{context}.{channel}")
            found[channel.upper()] = _module(channel, entry[channel], f"{context}.{channel}", findings)
    return found


def _module(channel: str, value: object, context: str, findings: Findings) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        article = "an" if channel != "whatsapp" else "a"
        wrong_kind(f"{article} {channel} module", "an object", value, context, findings)
        return {}
    _CHECKS[channel](value, context, findings)
    return value


def check_sms(module: Mapping[str, Any], context: str, findings: Findings) -> None:
    """Check an SMS module: a text with media."""
    check_fields(module, ("text", "media"), findings, context)
    if "text" in module or "media" in module:
        _text_and_media(module, context, findings)
    else:
        findings.add("an sms module has neither text nor media", f"{context}.text")


_CHECKS = {"sms": check_sms, "rcs": check_rcs, "whatsapp": check_whatsapp}
