"""What a content says over WhatsApp, as the Cloud API's message object. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

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

#: Types of messages that are a file; and characters of a file's name.
FILES = frozenset({"image", "video", "audio", "document", "sticker"})
LONGEST_NAME = 240
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


class Upload(NamedTuple):
    """A file that the platform has: where it was, by which id the platform knows it, its media type and its name."""

    url: str
    id: str
    kind: str
    name: str


def links_of(said: Any) -> tuple[str, ...]:
    """The URLs of all files in a message object, each once."""
    return tuple(dict.fromkeys(file["link"] for file in _files(said) if "link" in file))


def with_uploads(
    kind: str, said: dict[str, Any], uploads: Sequence[Upload], *, named: bool
) -> tuple[str, dict[str, Any]]:
    """The same message with ids in place of links. *named*: it is a module, so that its type is as it says."""
    by_url = {one.url: one for one in uploads}
    said = msgspec.json.decode(msgspec.json.encode(said))
    for file in _files(said):
        upload = by_url.get(file.get("link", ""))
        if upload is not None:
            del file["link"]
            file["id"] = upload.id
    if kind in FILES and not named:
        kind = _kind_of(uploads[0].kind, captioned="caption" in said)
    if kind == "document" and uploads[0].name:
        # Of a link the platform takes the name from its end.
        said.setdefault("filename", unquote(uploads[0].name)[:LONGEST_NAME])
    return kind, said


def _files(said: Any) -> Iterator[dict[str, Any]]:
    """The objects of a message that stand for a file: it itself, its header's or those of a template's parameters."""
    if isinstance(said, dict):
        if isinstance(said.get("link"), str):
            yield said
        said = list(said.values())
    if isinstance(said, list):
        for one in said:
            yield from _files(one)


def _kind_of(media_type: str, *, captioned: bool) -> str:
    """What a file goes as, by its media type; sound has no words below it."""
    kind = media_type.partition("/")[0]
    if media_type == "image/webp" or kind not in FILES or (kind == "audio" and captioned):
        return "document"
    return kind


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
