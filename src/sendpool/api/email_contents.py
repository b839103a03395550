"""The `content` of an email: subject, html, text and attachments."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from sendpool.api.checks import check_fields, check_text, entries, wrong_kind
from sendpool.api.problems import Findings
from sendpool.domain.email_content import ID_FIELDS, SHOWN, TYPE_FIELDS
from sendpool.domain.message import has_markup

#: Characters of a subject: those of the longest line that mail allows (RFC 5322 §2.1.1).
MAX_SUBJECT = 998
MAX_ATTACHMENTS = 100
MAX_FILENAME = 255
MAX_CONTENT_ID = 255

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
        check_text(value["subject"], "subject", "$.content.subject", findings, longest=MAX_SUBJECT)
    for field in ("html", "text"):
        if field in value:
            _check_body(value[field], field, findings)
    for field in ("subject", "html", "text"):
        if isinstance(said := value.get(field), str) and has_markup(said):
            findings.not_built(f"Liquid markup in {field}", f"$.content.{field}")
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
