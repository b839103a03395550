"""Modules that keep their provider's own schema: checked for shape and size, then kept as they came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sendpool.api.checks import check_fields
from sendpool.api.liquids import check_liquid, check_strings, stood_in
from sendpool.api.problems import INVALID, TEXT_TOO_LONG, Findings
from sendpool.domain import rcs_content, whatsapp_content
from sendpool.domain.message import has_markup

_RCS_FIELDS = ("text", "media", "richCard", "suggestions")
_WHATSAPP_FIELDS = tuple(whatsapp_content.Module.__struct_fields__)

#: Characters of msgspec's words that a message repeats: they may hold a field's name.
_SHOWN = 200


def check_rcs(module: Mapping[str, Any], context: str, findings: Findings) -> None:
    """Check the provider's schema and limits first, and what stands in its texts where it fits them."""
    check_fields(module, _RCS_FIELDS, findings, context)
    if not module.keys() <= set(_RCS_FIELDS):
        return
    text, longest = module.get("text"), rcs_content.LONGEST_TEXT
    if isinstance(text, str) and len(text) > longest and not has_markup(text):
        told = f"text has {len(text):,} characters; {longest:,} are allowed"
        findings.add(told, f"{context}.text", TEXT_TOO_LONG)
        return
    try:
        message = rcs_content.read_module(stood_in(module))
    except msgspec.ValidationError as error:
        note(error, context, findings)
        return
    if len(msgspec.json.encode(message)) > rcs_content.LARGEST_MESSAGE:
        findings.add(f"an rcs module may have {rcs_content.LARGEST_MESSAGE:,} bytes", context)
    # It names a file that only the provider has; the contract knows files by URL.
    for place in _uploaded(module, context):
        findings.not_built("fileName", place)
    check_strings(module, context, findings)


def check_whatsapp(module: Mapping[str, Any], context: str, findings: Findings) -> None:
    """Check the Cloud API's message object; a `text` that is a string is a plain text, as in other modules."""
    text = module.get("text")
    if isinstance(text, str) and module.keys() == {"text"}:
        if not 0 < len(text) <= whatsapp_content.LONGEST_TEXT:
            told = f"text must have 1 to {whatsapp_content.LONGEST_TEXT:,} characters"
            findings.add(told, f"{context}.text", TEXT_TOO_LONG if text else INVALID)
        check_liquid(text, "text", f"{context}.text", findings)
        return
    check_fields(module, _WHATSAPP_FIELDS, findings, context)
    if not module.keys() <= set(_WHATSAPP_FIELDS):
        return
    try:
        whatsapp_content.check_module(stood_in(module))
    except msgspec.ValidationError as error:
        note(error, context, findings)
        return
    check_strings(module, context, findings)


def _uploaded(value: Any, context: str) -> list[str]:
    """Where files are named that the provider has."""
    if isinstance(value, dict):
        found = [f"{context}.fileName"] if "fileName" in value else []
        return found + [place for name, inner in value.items() for place in _uploaded(inner, f"{context}.{name}")]
    if isinstance(value, list):
        return [place for i, inner in enumerate(value) for place in _uploaded(inner, f"{context}[{i}]")]
    return []


def note(error: msgspec.ValidationError, context: str, findings: Findings) -> None:
    """Note what is wrong with a module whose own fields are known, without repeating its values."""
    words, at, path = str(error).rpartition(" - at `$")
    if not at:
        words, path = path, ""
    if words.startswith("Invalid enum value") and path.endswith("height`"):
        words = f"must be one of {', '.join(rcs_content.Height)}"
    elif words.startswith("Invalid"):
        words = "is not one of the values that the provider takes"
    shown = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in words[:_SHOWN])
    findings.add(shown, context + path.removesuffix("`"))
