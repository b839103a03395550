"""What an RCS message may hold: the provider's own schema with its limits.

The API's RCS module keeps the provider's field names, so that it converts into these values as it stands: acceptance
checks with them what the connector later sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

#: Characters of a text, and octets of a whole message as JSON.
LONGEST_TEXT = 3072
LARGEST_MESSAGE = 250_000
#: Suggestions beside a text or file, and inside a card.
MOST_CHIPS, MOST_CARD_CHIPS = 11, 4
#: Cards of a carousel.
FEWEST_CARDS, MOST_CARDS = 2, 10

Url = Annotated[str, Meta(min_length=1, max_length=2048)]
ChipText = Annotated[str, Meta(min_length=1, max_length=25)]
Postback = Annotated[str, Meta(min_length=1, max_length=2048)]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]

_Moment = Annotated[datetime, Meta(tz=True)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True):
    """A part of a message, spelled as the provider does."""

    def _exactly_one(self, *names: str) -> None:
        given = [name for name in names if getattr(self, name) not in (None, UNSET)]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(map(_camel, names))}")


class Reply(_Part, frozen=True, kw_only=True):
    """A chip that answers with its text; `postback_data` comes back with it."""

    text: ChipText
    postback_data: Postback


class OpenUrl(_Part, frozen=True, kw_only=True):
    """Open a page."""

    url: Url
    application: Annotated[str, Meta(pattern="^(BROWSER|WEBVIEW)$")] | None = None
    webview_view_mode: Annotated[str, Meta(pattern="^(FULL|HALF|TALL)$")] | None = None


class Dial(_Part, frozen=True, kw_only=True):
    """Call a number."""

    phone_number: Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{4,14}$")]


class LatLong(_Part, frozen=True, kw_only=True):
    """A place, in degrees."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]


class ViewLocation(_Part, frozen=True, kw_only=True):
    """Show a place, or what a search finds."""

    lat_long: LatLong | None = None
    label: str | None = None
    query: Annotated[str, Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        self._exactly_one("lat_long", "query")


class CreateCalendarEvent(_Part, frozen=True, kw_only=True):
    """Enter an appointment; times are RFC 3339."""

    start_time: str
    end_time: str
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    description: Annotated[str, Meta(min_length=1, max_length=500)]

    def __post_init__(self) -> None:
        if _moment(self.start_time) >= _moment(self.end_time):
            raise ValueError("expected an endTime later than startTime")


class ShareLocation(_Part, frozen=True, kw_only=True):
    """Send us where the person is."""


class Action(_Part, frozen=True, kw_only=True):
    """A chip that does something on the phone; `postback_data` is told to us."""

    text: ChipText
    postback_data: Postback
    #: What to open where the phone cannot do it.
    fallback_url: Url | None = None
    open_url_action: OpenUrl | None = None
    dial_action: Dial | None = None
    view_location_action: ViewLocation | None = None
    create_calendar_event_action: CreateCalendarEvent | None = None
    share_location_action: ShareLocation | None = None

    def __post_init__(self) -> None:
        self._exactly_one(
            "open_url_action",
            "dial_action",
            "view_location_action",
            "create_calendar_event_action",
            "share_location_action",
        )


class Suggestion(_Part, frozen=True, kw_only=True):
    """A chip: either of the two."""

    reply: Reply | None = None
    action: Action | None = None

    def __post_init__(self) -> None:
        self._exactly_one("reply", "action")


class ContentInfo(_Part, frozen=True, kw_only=True):
    """A file on the web, at most 100 MiB."""

    file_url: Url
    thumbnail_url: Url | None = None
    #: Fetch it anew although it is in the provider's cache (60 days).
    force_refresh: bool | None = None


class Height(StrEnum):
    """How tall media is shown in a card."""

    SHORT = "SHORT"
    MEDIUM = "MEDIUM"
    TALL = "TALL"


class Media(_Part, frozen=True, kw_only=True, omit_defaults=False):
    """A picture or film in a card."""

    #: Always said: the provider has no default.
    height: Height = Height.MEDIUM
    content_info: ContentInfo | UnsetType = UNSET
    #: A file that was uploaded before ("files/...").
    file_name: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        self._exactly_one("content_info", "file_name")


class CardContent(_Part, frozen=True, kw_only=True):
    """What stands in a card; at least title, description or media."""

    title: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    description: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    media: Media | None = None
    suggestions: Annotated[tuple[Suggestion, ...], Meta(max_length=MOST_CARD_CHIPS)] = ()

    def __post_init__(self) -> None:
        if self.title is None and self.description is None and self.media is None:
            raise ValueError("expected title, description or media")


class StandaloneCard(_Part, frozen=True, kw_only=True):
    """One card."""

    card_orientation: Annotated[str, Meta(pattern="^(HORIZONTAL|VERTICAL)$")] | None = None
    #: Only in horizontal cards.
    thumbnail_image_alignment: Annotated[str, Meta(pattern="^(LEFT|RIGHT)$")] | None = None
    card_content: CardContent


class CarouselCard(_Part, frozen=True, kw_only=True):
    """Cards side by side."""

    card_width: Annotated[str, Meta(pattern="^(SMALL|MEDIUM)$")] | None = None
    card_contents: Annotated[tuple[CardContent, ...], Meta(min_length=FEWEST_CARDS, max_length=MOST_CARDS)]

    def __post_init__(self) -> None:
        tall = any(card.media is not None and card.media.height is Height.TALL for card in self.card_contents)
        if self.card_width == "SMALL" and tall:
            raise ValueError("cards of width SMALL cannot hold media of height TALL")


class RichCard(_Part, frozen=True, kw_only=True):
    """A card or a carousel."""

    standalone_card: StandaloneCard | None = None
    carousel_card: CarouselCard | None = None

    def __post_init__(self) -> None:
        self._exactly_one("standalone_card", "carousel_card")

    @property
    def cards(self) -> tuple[CardContent, ...]:
        """Every card in it."""
        if self.standalone_card is not None:
            return (self.standalone_card.card_content,)
        return self.carousel_card.card_contents if self.carousel_card is not None else ()


class ContentMessage(_Part, frozen=True, kw_only=True):
    """What a message says: exactly one of text, card and file, with chips beside it."""

    text: Text | None = None
    rich_card: RichCard | None = None
    content_info: ContentInfo | None = None
    #: A file that was uploaded before ("files/...").
    file_name: str | None = None
    suggestions: Annotated[tuple[Suggestion, ...], Meta(max_length=MOST_CHIPS)] = ()

    def __post_init__(self) -> None:
        self._exactly_one("text", "rich_card", "content_info", "file_name")


class RcsModule(_Part, frozen=True, kw_only=True):
    """The API's RCS module: like a message, with a file under `media`."""

    text: Text | None = None
    media: Media | None = None
    rich_card: RichCard | None = None
    suggestions: Annotated[tuple[Suggestion, ...], Meta(max_length=MOST_CHIPS)] = ()

    def __post_init__(self) -> None:
        self._exactly_one("text", "media", "rich_card")
        if self.rich_card is not None and self.suggestions:
            raise ValueError("expected suggestions of a card inside it; those beside it go with text or media only")


def read_module(module: Mapping[str, object]) -> ContentMessage:
    """The message that an RCS module of the API describes.

    Raises `ValueError` that ends with where it is wrong ("... - at `$.richCard.carouselCard.cardContents`").
    """
    read = msgspec.convert(module, RcsModule)
    media = read.media or Media(file_name="")
    return ContentMessage(
        text=read.text,
        rich_card=read.rich_card,
        content_info=media.content_info or None,
        file_name=media.file_name or None,
        suggestions=read.suggestions,
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _moment(text: str) -> datetime:
    """The moment that an RFC 3339 text with an offset stands for. Raises `ValueError`."""
    try:
        return msgspec.convert(text, _Moment)
    except msgspec.ValidationError:
        raise ValueError("expected times as in RFC 3339, for example 2025-11-22T10:00:00Z") from None
