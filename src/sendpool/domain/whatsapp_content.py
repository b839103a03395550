"""What a WhatsApp message may hold: the Cloud API's own message object, without whom it goes to.

The API's WhatsApp module is that object as it stands (`type` may be left out), so it is checked here and kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sendpool.domain.message import Content

#: Octets of a module as JSON.
LARGEST_MODULE = 65_536

#: Characters of a free text.
LONGEST_TEXT = 4_096
#: Characters below a picture, film or document.
LONGEST_CAPTION = 1_024
#: Characters of a parameter of a template.
LONGEST_PARAMETER = 1_024

#: What a file is, by the end of its name; anything else is a document.
_KINDS = {
    "jpg": "image",
    "jpeg": "image",
    "png": "image",
    "mp4": "video",
    "3gp": "video",
    "mp3": "audio",
    "ogg": "audio",
    "amr": "audio",
    "aac": "audio",
}

Words = Annotated[str, Meta(min_length=1, max_length=1024)]
Title = Annotated[str, Meta(min_length=1, max_length=20)]
Id = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(min_length=1, max_length=512)]
Url = Annotated[str, Meta(min_length=1, max_length=2048, pattern="^https?://")]
#: Parameters of templates have one line, and no five blanks in a row.
Line = Annotated[str, Meta(min_length=1, max_length=LONGEST_PARAMETER, pattern=r"^(?!.* {5})[^\n\t]*\Z")]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a message, spelled as the provider does."""

    def _exactly_one(self, *names: str) -> None:
        if len([name for name in names if getattr(self, name) is not None]) != 1:
            raise ValueError(f"expected exactly one of {', '.join(names)}")


class Text(_Part, frozen=True, kw_only=True):
    """Free text."""

    body: Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
    preview_url: bool | None = None


class Media(_Part, frozen=True, kw_only=True):
    """A file on the web, or one that was uploaded to the provider before."""

    link: Url | None = None
    id: Id | None = None
    caption: Annotated[str, Meta(max_length=LONGEST_CAPTION)] | None = None
    filename: Annotated[str, Meta(max_length=240)] | None = None

    def __post_init__(self) -> None:
        self._exactly_one("link", "id")


class Language(_Part, frozen=True, kw_only=True):
    """The language of a template."""

    code: Annotated[str, Meta(min_length=2, max_length=15)]
    policy: Literal["deterministic"] | None = None


class Currency(_Part, frozen=True, kw_only=True):
    """A sum of money; `amount_1000` is a thousand times the amount."""

    fallback_value: Line
    code: Annotated[str, Meta(min_length=3, max_length=3)]
    amount_1000: int


class DateTime(_Part, frozen=True, kw_only=True):
    """A time in words."""

    fallback_value: Line


class _Parameter(_Part, frozen=True, kw_only=True, tag_field="type"):
    """What is filled into a template; the name is for templates that name their parameters."""

    parameter_name: Name | None = None


class TextParameter(_Parameter, frozen=True, kw_only=True, tag="text"):
    """A text."""

    text: Line


class CurrencyParameter(_Parameter, frozen=True, kw_only=True, tag="currency"):
    """A sum of money."""

    currency: Currency


class DateTimeParameter(_Parameter, frozen=True, kw_only=True, tag="date_time"):
    """A time."""

    date_time: DateTime


class ImageParameter(_Parameter, frozen=True, kw_only=True, tag="image"):
    """A picture."""

    image: Media


class VideoParameter(_Parameter, frozen=True, kw_only=True, tag="video"):
    """A film."""

    video: Media


class DocumentParameter(_Parameter, frozen=True, kw_only=True, tag="document"):
    """A document."""

    document: Media


class PayloadParameter(_Parameter, frozen=True, kw_only=True, tag="payload"):
    """What a quick reply tells us."""

    payload: Id


class CouponParameter(_Parameter, frozen=True, kw_only=True, tag="coupon_code"):
    """A code to copy."""

    coupon_code: Annotated[str, Meta(min_length=1, max_length=20)]


Parameter = (
    TextParameter
    | CurrencyParameter
    | DateTimeParameter
    | ImageParameter
    | VideoParameter
    | DocumentParameter
    | PayloadParameter
    | CouponParameter
)


class Component(_Part, frozen=True, kw_only=True):
    """One part of a template with what is filled into it."""

    type: Literal["header", "body", "button"]
    sub_type: Literal["quick_reply", "url", "copy_code", "flow", "catalog"] | None = None
    index: Annotated[str, Meta(pattern=r"^[0-9]\Z")] | Annotated[int, Meta(ge=0, le=9)] | None = None
    parameters: Annotated[tuple[Parameter, ...], Meta(max_length=100)] = ()

    def __post_init__(self) -> None:
        if (self.type == "button") != (self.sub_type is not None and self.index is not None):
            raise ValueError("expected sub_type and index of a button, and of nothing else")


class Template(_Part, frozen=True, kw_only=True):
    """A template that the provider has approved; it may be sent at any time."""

    name: Name
    language: Language
    components: Annotated[tuple[Component, ...], Meta(max_length=20)] = ()


class Header(_Part, frozen=True, kw_only=True):
    """What stands above an interactive message."""

    type: Literal["text", "image", "video", "document"]
    text: Annotated[str, Meta(min_length=1, max_length=60)] | None = None
    image: Media | None = None
    video: Media | None = None
    document: Media | None = None

    def __post_init__(self) -> None:
        self._exactly_one("text", "image", "video", "document")
        if getattr(self, self.type) is None:
            raise ValueError("expected the object that type names")


class Body(_Part, frozen=True, kw_only=True):
    """The text of an interactive message."""

    text: Words


class Footer(_Part, frozen=True, kw_only=True):
    """What stands below an interactive message."""

    text: Annotated[str, Meta(min_length=1, max_length=60)]


class Reply(_Part, frozen=True, kw_only=True):
    """A button's words, and what it tells us."""

    id: Id
    title: Title


class Button(_Part, frozen=True, kw_only=True):
    """A button to answer with."""

    type: Literal["reply"]
    reply: Reply


class Buttons(_Part, frozen=True, kw_only=True):
    """One to three buttons."""

    buttons: Annotated[tuple[Button, ...], Meta(min_length=1, max_length=3)]


class Row(_Part, frozen=True, kw_only=True):
    """A line of a list."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    title: Annotated[str, Meta(min_length=1, max_length=24)]
    description: Annotated[str, Meta(max_length=72)] | None = None


class Section(_Part, frozen=True, kw_only=True):
    """Lines under one title."""

    title: Annotated[str, Meta(max_length=24)] | None = None
    rows: Annotated[tuple[Row, ...], Meta(min_length=1, max_length=10)]


class Sections(_Part, frozen=True, kw_only=True):
    """A list behind a button: ten rows in all."""

    button: Title
    sections: Annotated[tuple[Section, ...], Meta(min_length=1, max_length=10)]

    def __post_init__(self) -> None:
        if sum(len(section.rows) for section in self.sections) > 10:
            raise ValueError("expected ten rows at most in all sections")


class Link(_Part, frozen=True, kw_only=True):
    """A button's words and the page that it opens."""

    display_text: Title
    url: Url


class LinkAction(_Part, frozen=True, kw_only=True):
    """Open a page."""

    name: Literal["cta_url"]
    parameters: Link


class _Interactive(_Part, frozen=True, kw_only=True, tag_field="type"):
    """A message to act on."""

    body: Body
    header: Header | None = None
    footer: Footer | None = None


class ButtonMessage(_Interactive, frozen=True, kw_only=True, tag="button"):
    """With buttons."""

    action: Buttons


class ListMessage(_Interactive, frozen=True, kw_only=True, tag="list"):
    """With a list."""

    action: Sections


class LinkMessage(_Interactive, frozen=True, kw_only=True, tag="cta_url"):
    """With a page to open."""

    action: LinkAction


class Location(_Part, frozen=True, kw_only=True):
    """A place, in degrees."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    name: Words | None = None
    address: Words | None = None


class Module(_Part, frozen=True, kw_only=True):
    """The API's WhatsApp module: one object, named as its type."""

    type: str | None = None
    text: Text | None = None
    template: Template | None = None
    image: Media | None = None
    video: Media | None = None
    audio: Media | None = None
    document: Media | None = None
    sticker: Media | None = None
    interactive: ButtonMessage | ListMessage | LinkMessage | None = None
    location: Location | None = None

    def __post_init__(self) -> None:
        kinds = [name for name in self.__struct_fields__ if name != "type"]
        self._exactly_one(*kinds)
        if self.type is not None and (self.type not in kinds or getattr(self, self.type) is None):
            raise ValueError("expected the object that type names")


def check_module(module: Mapping[str, object]) -> None:
    """Check a module. Raises `msgspec.ValidationError` that ends with where it is wrong."""
    if len(msgspec.json.encode(module)) > LARGEST_MODULE:
        raise msgspec.ValidationError(f"Expected a module of {LARGEST_MODULE:,} bytes at most")
    msgspec.convert(module, Module)


def kind_of_file(url: str) -> str:
    """What WhatsApp shows a file as: "image", "video", "audio" or "document"."""
    return _KINDS.get(url.partition("?")[0].rpartition(".")[2].lower(), "document")


def needs_window(content: Content) -> bool:
    """Whether only who has written to the number within 24 hours is sent *content*: whatever is no template."""
    return content.rich is None or "template" not in content.rich
