"""What a content says over WhatsApp, as the Cloud API's message object. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sendpool.connectors.base import Rejected
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content
from sendpool.domain.whatsapp_content import LONGEST_CAPTION, LONGEST_TEXT, check_module, kind_of_file

#: The content breaks a limit of the platform.
UNFIT_CONTENT = Rejected(FailureClass.CONTENT, "unfit_content", "message")


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
