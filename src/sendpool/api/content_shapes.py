"""Content as a fetch shows it: in the contract's shape, with the recipient's variables filled in."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from sendpool.domain.message import LONGEST_TEXT, LONGEST_WITH_MEDIA, Content, has_markup
from sendpool.domain.sender import Channel
from sendpool.pipeline.liquid import Unrenderable, compile_template
from sendpool.pipeline.render import Unsayable, say_once, say_tags


def shown_content(stored: str, variables: str | None, at: int) -> Raw:
    """What a message says. *stored* is its operation's content, *variables* its own, both JSON; *at*: accepted then.

    What comes out unusable for this recipient, so that nothing was sent, is shown as it was asked for.
    """
    content = msgspec.json.decode(stored, type=Content)
    values = msgspec.json.decode(variables, type=dict[str, str]) if variables else {}
    shape: dict[str, Any] = {"contentId": content.content_id} if content.content_id else {}
    if content.modules:
        modules = [
            {channel.lower(): _module(content, Channel(channel), values, at) if content.liquid else module}
            for channel, module in content.modules.items()
        ]
        return Raw(msgspec.json.encode({**shape, "modules": modules}))
    if content.text:
        shape["text"] = _text(content.text, content, values, at)
    if content.media:
        shape["media"] = [{"url": _text(url, content, values, at, LONGEST_WITH_MEDIA)} for url in content.media]
    return Raw(msgspec.json.encode(shape))


def shown_tags(stored: str, variables: str | None, at: int) -> Raw:
    """The tags of a message, from its operation's (JSON); those that Liquid makes none of are left out."""
    if not has_markup(stored):
        return Raw(stored.encode())
    return Raw(msgspec.json.encode(tags_of(stored, variables, at)))


def tags_of(stored: str, variables: str | None, at: int) -> dict[str, str]:
    """The tags of a message whose operation's tags hold Liquid."""
    values = msgspec.json.decode(variables, type=dict[str, str]) if variables else {}
    return say_tags(msgspec.json.decode(stored, type=dict[str, str]), values, at)


def _text(source: str, content: Content, values: dict[str, str], at: int, most: int = LONGEST_TEXT) -> str:
    """A text or URL by itself: what a channel makes of them together is not the content's own."""
    if not content.liquid:
        return source
    try:
        return compile_template(source).render(values, at, most) or source
    except Unrenderable:
        return source


def _module(content: Content, channel: Channel, values: dict[str, str], at: int) -> Any:
    try:
        said = say_once(content, channel, values, at)
    except Unsayable:
        return content.modules[channel]
    return {"text": said.text} if said.rich is None else said.rich
