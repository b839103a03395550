"""The `content` of an email: subject, html, text and attachments."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from sendpool.api.checks import check_fields, check_text, entries, wrong_kind
from sendpool.api.problems import Findings
from sendpool.domain.email_content import ID_FIELDS, LONGEST_SUBJECT, SHOWN, TYPE_FIELDS
from sendpool.domain.message import has_markup
from sendpool.pipeline.liquid import BadLiquid, compile_template

#: Characters of an html or a text with Liquid markup, and places with it: filling one in holds up everybody.
LONGEST_TEMPLATE = 200_000
MAX_MARKUP = 500
MAX_ATTACHMENTS = 100
MAX_FILENAME = 255

_ATTACHMENT = ("content", "filename", "disposition", *TYPE_FIELDS, *ID_FIELDS)
DISPOSITIONS = ("attachment", "inline")
#: RFC 6838 §4.2.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
#: What may stand between the angle brackets of a Content-ID.
_CONTENT_ID = re.compile(r"[^\s<>\x00-\x1f\x7f]{1,255}")


def check_email_content(value: object, findings: Findings) -> Mapping[str, Any] | None:
    """The content as it came; None where anything is wrong with it, which is noted."""
    if not isinstance(value, dict):
        wrong_kind("content", "an object", value, "$.content", findings)
        return None
    known = len(findings)
    check_fields(value, SHOWN, findings, "$.content")
    for field in ("subject", "html"):
        if field not in value:
            findings.add(f"{field} is missing", f"$.content.{field}")
    if "subject" in value:
        check_text(value["subject"], "subject", "$.content.subject", findings, longest=LONGEST_SUBJECT)
    for field in ("html", "text"):
        if field in value:
            _check_body(value[field], field, findings)
    for field in ("subject", "html", "text"):
        if isinstance(said := value.get(field), str) and has_markup(said):
            _check_liquid(said, field, findings)
    if "attachments" in value:
        _check_attachments(value["attachments"], findings)
    return value if len(findings) == known else None


def _check_body(value: object, field: str, findings: Findings) -> None:
    context = f"$.content.{field}"
    if not isinstance(value, str):
        wrong_kind(field, "a string", value, context, findings)
    elif "\0" in value:
        findings.add(f"{field} holds a NUL character", context)
    elif field == "html" and not value:
        findings.add("html is empty", context)


def _check_liquid(text: str, field: str, findings: Findings) -> None:
    context = f"$.content.{field}"
    if len(text) > LONGEST_TEMPLATE or text.count("{{") + text.count("{%") > MAX_MARKUP:
        limits = f"{LONGEST_TEMPLATE:,} characters, and markup in {MAX_MARKUP} places"
        findings.add(f"{field} with Liquid markup may have {limits}", context)
        return
    try:
        compile_template(text, html=field == "html")
    except BadLiquid as error:
        findings.add(f"{field}: {error}", context)


def _check_attachments(value: object, findings: Findings) -> None:
    found = entries(value, "attachments", "$.content.attachments", findings, least=0, most=MAX_ATTACHMENTS)
    for _, context, entry in found:
        if not isinstance(entry, dict):
            wrong_kind("an attachment", "an object", entry, context, findings)
            continue
        check_fields(entry, _ATTACHMENT, findings, context)
        _check_file(entry, context, findings)
        for field in TYPE_FIELDS:
            _check_matching(entry, field, _MEDIA_TYPE, 'a media type, for example "image/png"', context, findings)
        for field in ID_FIELDS:
            _check_matching(entry, field, _CONTENT_ID, "a name without blanks and angle brackets", context, findings)
        if entry.get("disposition", "attachment") not in DISPOSITIONS:
            findings.add(f"disposition must be one of {', '.join(DISPOSITIONS)}", f"{context}.disposition")


def _check_file(entry: Mapping[str, Any], context: str, findings: Findings) -> None:
    check_text(entry.get("filename"), "filename", f"{context}.filename", findings, longest=MAX_FILENAME)
    content = entry.get("content")
    if not isinstance(content, str):
        wrong_kind("an attachment's content", "a string", content, f"{context}.content", findings)
    elif not _is_base64(content):
        findings.add("an attachment's content must be its bytes in base64", f"{context}.content")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _check_matching(
    entry: Mapping[str, Any], field: str, pattern: re.Pattern[str], wanted: str, context: str, findings: Findings
) -> None:
    value = entry.get(field)
    if field in entry and not (isinstance(value, str) and pattern.fullmatch(value)):
        findings.add(f"{field} must be {wanted}", f"{context}.{field}")
