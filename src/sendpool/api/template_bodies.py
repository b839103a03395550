"""Templates as they are written: what `POST /Content` and `sendpool templates` take, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sendpool.api.bodies import decode_object
from sendpool.api.checks import check_fields, check_text, wrong_kind
from sendpool.api.contents import check_sms
from sendpool.api.liquids import check_strings
from sendpool.api.modules import check_rcs, check_whatsapp, note
from sendpool.api.problems import Findings
from sendpool.api.variables import check_variables
from sendpool.domain.message import Content, holds_markup
from sendpool.domain.request import Refused
from sendpool.domain.template import modules_of
from sendpool.store.templates import NewTemplate, TemplateRow

MAX_NAME = 256
#: Octets of all content types of a template as JSON.
LARGEST_TYPES = 65_536
FIELDS = ("friendly_name", "language", "variables", "types")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_CHECKS = {"RCS": check_rcs, "SMS": check_sms, "WHATSAPP": check_whatsapp}


def read_template(body: bytes) -> NewTemplate:
    """The template that a body describes. Raises Refused with everything that is wrong."""
    findings = Findings()
    read = check_template(decode_object(body), findings)
    findings.refuse()
    return read


def check_template(fields: Mapping[str, Any], findings: Findings) -> NewTemplate:
    """A template from its fields. What is wrong is noted; the result is then of no use."""
    check_fields(fields, FIELDS, findings)
    name = fields.get("friendly_name", "")
    if name != "":
        name = check_text(name, "friendly_name", "$.friendly_name", findings, longest=MAX_NAME) or ""
    language = fields.get("language", "en")
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        findings.add("language must be a language tag, for example en or pt_BR", "$.language")
    variables = check_variables(fields.get("variables", {}), "$.variables", findings)
    types = fields.get("types")
    if not isinstance(types, dict):
        if "types" in fields:
            wrong_kind("types", "an object", types, "$.types", findings)
        else:
            findings.add("types is missing", "$.types")
        types = {}
    else:
        _check_types(types, findings)
    return NewTemplate(name, language if isinstance(language, str) else "", variables, types)


def _check_types(types: Mapping[str, Any], findings: Findings) -> None:
    """Check the schema of each type, its Liquid, and that each channel can show what it would be told."""
    if len(msgspec.json.encode(types)) > LARGEST_TYPES:
        findings.add(f"types may have {LARGEST_TYPES:,} bytes", "$.types")
        return
    try:
        modules = modules_of(types)
    except msgspec.ValidationError as error:
        note(error, "$.types", findings)
        return
    known = len(findings)
    check_strings(types, "$.types", findings, all_urls=True)
    if len(findings) > known:
        return
    for channel, module in modules.items():
        told = Findings()
        _CHECKS[channel](module, "$", told)
        try:
            told.refuse()
        except Refused as error:
            for problem in error.problems:
                findings.add(f"on {channel}: {problem.message}", "$.types", problem.code)


def content_of(row: TemplateRow) -> Content:
    """What a send says with this template: a copy, so that a later change of the template changes nothing."""
    modules = {str(channel): module for channel, module in modules_of(row.types).items()}
    return Content(modules=modules, content_id=row.sid, defaults=row.variables, liquid=holds_markup(modules))
