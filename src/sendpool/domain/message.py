"""What is sent: content and the recipient's ordered plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from sendpool.domain.sender import Channel


class Category(StrEnum):
    """What a message is for; it chooses the policy for duplicates, budgets and validity (design §4)."""

    TRANSACTIONAL = "transactional"
    OTP = "otp"
    BULK = "bulk"
    #: Our own answer to a keyword; nobody can ask for it.
    REPLY = "reply"


#: Those that a request or a pool may name.
CATEGORIES = (Category.TRANSACTIONAL, Category.OTP, Category.BULK)


#: What a tag's value may be; that of a send may be Liquid that comes out so.
TAG_VALUE = re.compile(r"[A-Za-z0-9._~-]{1,256}")
LONGEST_TAG = 256


def has_markup(text: str) -> bool:
    """Whether a text holds Liquid markup."""
    return "{{" in text or "{%" in text


def holds_markup(value: Any) -> bool:
    """Whether any string in a JSON value holds Liquid markup."""
    if isinstance(value, str):
        return has_markup(value)
    if isinstance(value, Mapping):
        return any(map(holds_markup, value.values()))
    return isinstance(value, list) and any(map(holds_markup, value))


#: Characters of a text that goes out on any channel; the longest that the hosted API takes.
LONGEST_TEXT = 1_600
#: Characters of a text with the URLs of its media, where they go as one.
LONGEST_WITH_MEDIA = 6_400
#: Characters that a card of RCS has room for below a picture.
_LONGEST_BELOW = 2_000


class Content(msgspec.Struct, frozen=True, kw_only=True, eq=False, omit_defaults=True):
    """What one operation says. Compared by identity, so that connectors can key caches by it."""

    text: str = ""
    #: URLs of pictures and the like that go with the text.
    media: tuple[str, ...] = ()
    #: What it says on single channels instead, by channel: the API's module as it came, and then nothing elsewhere.
    modules: Mapping[str, Mapping[str, Any]] = {}
    #: Its strings are Liquid templates, filled in for each recipient.
    liquid: bool = False
    #: The template that it is a copy of, and values for its slots where a recipient has none.
    content_id: str = ""
    defaults: Mapping[str, str] = {}
    #: On the way to a connector: its channel's own module, where that is more than a text.
    rich: Mapping[str, Any] | None = None

    def says_on(self, channel: Channel) -> bool:
        """Whether it says anything on this channel; a channel without content drops out of the plan."""
        return channel in self.modules if self.modules else bool(self.text or self.media)


@lru_cache(maxsize=4096)
def on_channel(content: Content, channel: Channel) -> Content:
    """What *content* says on one channel, the same object each time.

    Where the text goes as SMS, the URLs of its media follow it, each on a line of its own: no carrier here takes MMS.
    RCS shows the first, with the text and the URLs of the others below it. On other channels media stay as they are.
    """
    if not content.modules:
        return _with_media(content, channel) if content.media else content
    module = content.modules[channel]
    text = module.get("text", "")
    if channel is Channel.SMS:
        urls = tuple(one["url"] for one in module.get("media", ()))
        return _with_media(Content(text=text, media=urls), channel)
    if isinstance(text, str):
        return Content(text=text, rich=None if module.keys() == {"text"} else module)
    return Content(rich=module)


def _with_media(content: Content, channel: Channel) -> Content:
    if channel not in (Channel.SMS, Channel.RCS):
        return content
    lines = ([content.text] if content.text else []) + list(content.media)
    if channel is Channel.SMS:
        return Content(text="\n".join(lines))
    lines.remove(content.media[0])
    below, file = "\n".join(lines), {"contentInfo": {"fileUrl": content.media[0]}}
    if not below:
        return Content(rich={"media": file})
    if len(below) > _LONGEST_BELOW:
        return _with_media(content, Channel.SMS)
    card = {"cardContent": {"description": below, "media": {**file, "height": "MEDIUM"}}}
    return Content(rich={"richCard": {"standaloneCard": {"cardOrientation": "VERTICAL", **card}}})


#: One letter per channel, so that a plan is a short string in a row: "RS" is RCS, then SMS.
STEP_LETTER = {Channel.RCS: "R", Channel.SMS: "S", Channel.WHATSAPP: "W", Channel.EMAIL: "E"}
LETTER_CHANNEL = {letter: channel for channel, letter in STEP_LETTER.items()}


def at_step(addresses: str, step: int) -> str:
    """The address that a step of a plan goes to: the only one, or (with blanks between) that of each step."""
    return addresses.split(" ")[step] if " " in addresses else addresses


def space_at_step(spaces: str, step: int) -> str:
    """The address space of that address: the only letter, or the step's."""
    return spaces[step] if len(spaces) > 1 else spaces
