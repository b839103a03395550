"""The `content` of a send: a text for all channels, or a module for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sendpool.api.checks import check_fields, entries, wrong_kind
from sendpool.api.problems import TEXT_TOO_LONG, Findings
from sendpool.domain.message import Content, has_markup
from sendpool.domain.rcs_content import LARGEST_MESSAGE, LONGEST_TEXT, Height, read_module

#: Characters of a text; the longest that the hosted API takes.
MAX_TEXT = 1_600
MAX_MODULES = 4

_OTHER_CONTENT = ("media", "contentId")
_MODULES = ("sms", "rcs")
#: Channels whose modules cannot be sent yet.
_OTHER_MODULES = ("whatsapp",)

_RCS_FIELDS = ("text", "media", "richCard", "suggestions")

#: Characters of msgspec's words that a message repeats: they may hold a field's name.
_SHOWN = 200


def check_content(value: object, findings: Findings) -> Content:
    """What is to be sent. What is wrong is noted; the result is then of no use."""
    if not isinstance(value, dict):
        wrong_kind("content", "an object", value, "$.content", findings)
        return Content()
    check_fields(value, ("text", "modules"), findings, "$.content", not_built=_OTHER_CONTENT)
    if "modules" in value:
        if "text" in value:
            findings.add("content must have exactly one of text and modules", "$.content")
        return Content(modules=_modules(value["modules"], findings))
    if "text" in value:
        return Content(text=_text(value["text"], "$.content.text", findings))
    if not any(field in value for field in _OTHER_CONTENT):
        findings.add("content has neither text nor modules", "$.content.text")
    return Content()


def _text(text: object, context: str, findings: Findings) -> str:
    if not isinstance(text, str):
        wrong_kind("text", "a string", text, context, findings)
        return ""
    if not text:
        findings.add("text is empty", context)
    if len(text) > MAX_TEXT:
        findings.add(_too_long(text, MAX_TEXT), context, TEXT_TOO_LONG)
    _check_plain(text, "text", context, findings)
    return text


def _too_long(text: str, most: int) -> str:
    return f"text has {len(text):,} characters; {most:,} are allowed"


def _check_plain(text: str, what: str, context: str, findings: Findings) -> None:
    if "\0" in text:
        findings.add(f"{what} holds a NUL character", context)
    if has_markup(text):
        findings.not_built(f"Liquid markup in {what}", context)


def _modules(value: object, findings: Findings) -> dict[str, Mapping[str, Any]]:
    """The modules as they came, by channel in upper case."""
    found: dict[str, Mapping[str, Any]] = {}
    for _, context, entry in entries(value, "modules", "$.content.modules", findings, least=1, most=MAX_MODULES):
        if not isinstance(entry, dict):
            wrong_kind("a module", "an object", entry, context, findings)
            continue
        check_fields(entry, _MODULES, findings, context, not_built=_OTHER_MODULES)
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
        wrong_kind(f"an {channel} module", "an object", value, context, findings)
        return {}
    if channel == "sms":
        _check_sms(value, context, findings)
    else:
        _check_rcs(value, context, findings)
    return value


def _check_sms(module: Mapping[str, Any], context: str, findings: Findings) -> None:
    check_fields(module, ("text",), findings, context, not_built=("media",))
    if "text" in module:
        _text(module["text"], f"{context}.text", findings)
    elif "media" not in module:
        findings.add("an sms module has no text", f"{context}.text")


def _check_rcs(module: Mapping[str, Any], context: str, findings: Findings) -> None:
    """Check the provider's schema and limits first, and what stands in its texts where it fits them."""
    check_fields(module, _RCS_FIELDS, findings, context)
    if not module.keys() <= set(_RCS_FIELDS):
        return
    text = module.get("text")
    if isinstance(text, str) and len(text) > LONGEST_TEXT:
        findings.add(_too_long(text, LONGEST_TEXT), f"{context}.text", TEXT_TOO_LONG)
        return
    try:
        message = read_module(module)
    except msgspec.ValidationError as error:
        _note(error, context, findings)
        return
    if len(msgspec.json.encode(message)) > LARGEST_MESSAGE:
        findings.add(f"an rcs module may have {LARGEST_MESSAGE:,} bytes", context)
    for name, place, said in _strings(module, context):
        if name == "fileName":  # Names a file that only the provider has; the contract knows files by URL.
            findings.not_built(name, place)
        _check_plain(said, name, place, findings)


def _note(error: msgspec.ValidationError, context: str, findings: Findings) -> None:
    """Note what is wrong with an RCS module whose own fields are known, without repeating its values."""
    words, at, path = str(error).rpartition(" - at `$")
    if not at:
        words, path = path, ""
    if words.startswith("Invalid enum value"):
        words = f"must be one of {', '.join(Height)}"
    shown = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in words[:_SHOWN])
    findings.add(shown, context + path.removesuffix("`"))


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
