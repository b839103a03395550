"""What a content says over WhatsApp, as the Cloud API's message object. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sendpool.connectors.base import Rejected
from sendpool.connectors.whatsapp.settings import WindowTemplate
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.whatsapp_content import (
    LONGEST_CAPTION,
    LONGEST_PARAMETER,
    LONGEST_TEXT,
    check_module,
    kind_of_file,
)

#: The content breaks a limit of the platform.
UNFIT_CONTENT = Rejected(FailureClass.CONTENT, "unfit_content", "message")
#: The content has no words that a template could say, so that it stays what the platform has refused.
OUTSIDE_WINDOW = Rejected(FailureClass.CONTENT, "131047", "message", "whatsapp/131047")


class UnfitSubmission(Exception):
    """A submission that WhatsApp cannot carry; `outcome` says why."""

    def __init__(self, outcome: Rejected) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


def message_object(content: Content, *, preview: bool = False) -> tuple[str, dict[str, Any]]:
    """The type of what *content* says, and the object of that name. Raises `UnfitSubmission`.

    *preview*: phones are to show a preview of the first link in a text.
    """
    if content.rich is not None:
        return _of_module(content.rich)
    if content.media:
        found = _of_media(content)
        if found is not None:
            return found
    return _of_text("\n".join(filter(None, (content.text, *content.media))), preview=preview)


def as_template(content: Content, template: WindowTemplate) -> tuple[str, dict[str, Any]]:
    """What *content* says in *template*, which may be sent at any time. Raises `UnfitSubmission`.

    A parameter of a template has one line, and no five blanks in a row.
    """
    said: dict[str, Any] = {"name": template.name, "language": {"code": template.language}}
    if template.text:
        words = re.sub(r" {5,}", "    ", re.sub(r"[^\S ]+", " ", _words(content))).strip()
        if not 0 < len(words) <= LONGEST_PARAMETER:
            raise UnfitSubmission(OUTSIDE_WINDOW)
        named = {"parameter_name": template.parameter_name} if template.parameter_name else {}
        said["components"] = [{"type": "body", "parameters": [{"type": "text", **named, "text": words}]}]
    return "template", said


def _words(content: Content) -> str:
    """A content's text with the URLs of its files; that of a module where it is a text or a message to act on."""
    if content.rich is None:
        return " ".join(filter(None, (content.text, *content.media)))
    for kind in ("text", "interactive"):
        body = (content.rich.get(kind) or {}).get("body", "")
        if body:
            return str(body["text"] if kind == "interactive" else body)
    return ""


def _of_module(module: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        check_module(module)
    except (msgspec.ValidationError, ValueError):
        raise UnfitSubmission(UNFIT_CONTENT) from None
    kind = next(name for name in module if name != "type")
    said = module[kind]
    return kind, _with_indices(said) if kind == "template" else said


def _with_indices(template: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the indices of its buttons as texts: the API takes nothing else."""
    components = [
        {**one, "index": str(one["index"])} if isinstance(one.get("index"), int) else one
        for one in template.get("components", ())
    ]
    return {**template, "components": components} if components else dict(template)


def _of_media(content: Content) -> tuple[str, dict[str, Any]] | None:
    """The first file, with the text and the URLs of the others below it; None where they have no room there."""
    first, *others = content.media
    kind = kind_of_file(first)
    caption = "\n".join(filter(None, (content.text, *others)))
    if not caption:
        return kind, {"link": first}
    if kind == "audio" or len(caption) > LONGEST_CAPTION:
        return None
    return kind, {"link": first, "caption": caption}


def _of_text(text: str, *, preview: bool) -> tuple[str, dict[str, Any]]:
    if not 0 < len(text) <= LONGEST_TEXT:
        raise UnfitSubmission(UNFIT_CONTENT)
    return "text", {"preview_url": preview, "body": text}
