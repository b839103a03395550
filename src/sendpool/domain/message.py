"""What is sent: content and the recipient's ordered plan."""

from __future__ import annotations

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


def has_markup(text: str) -> bool:
    """Whether a text holds Liquid markup."""
    return "{{" in text or "{%" in text


class Content(msgspec.Struct, frozen=True, kw_only=True, eq=False, omit_defaults=True):
    """What one operation says. Compared by identity, so that connectors can key caches by it."""

    text: str = ""
    #: URLs of pictures and the like that go with the text.
    media: tuple[str, ...] = ()
    #: What it says on single channels instead, by channel: the API's module as it came, and then nothing elsewhere.
    modules: Mapping[str, Mapping[str, Any]] = {}
    #: On the way to a connector: its channel's own module, where that is more than a text.
    rich: Mapping[str, Any] | None = None

    def says_on(self, channel: Channel) -> bool:
        """Whether it says anything on this channel; a channel without content drops out of the plan."""
        return channel in self.modules if self.modules else bool(self.text or self.media)


@lru_cache(maxsize=4096)
def on_channel(content: Content, channel: Channel) -> Content:
    """What *content* says on one channel, the same object each time."""
    if not content.modules:
        return content
    module = content.modules[channel]
    plain = module.keys() == {"text"}
    return Content(text=module.get("text", ""), rich=None if plain else module)


#: One letter per channel, so that a plan is a short string in a row: "RS" is RCS, then SMS.
STEP_LETTER = {Channel.RCS: "R", Channel.SMS: "S", Channel.WHATSAPP: "W", Channel.EMAIL: "E"}
LETTER_CHANNEL = {letter: channel for channel, letter in STEP_LETTER.items()}


def at_step(addresses: str, step: int) -> str:
    """The address that a step of a plan goes to: the only one, or (with blanks between) that of each step."""
    return addresses.split(" ")[step] if " " in addresses else addresses


def space_at_step(spaces: str, step: int) -> str:
    """The address space of that address: the only letter, or the step's."""
    return spaces[step] if len(spaces) > 1 else spaces
