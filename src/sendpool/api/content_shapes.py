"""Content as a fetch shows it: in the contract's shape, with the recipient's variables filled in."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from sendpool.domain.message import Content
from sendpool.domain.sender import Channel
from sendpool.pipeline.render import Unsayable, say_once


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
        shape["text"] = _text(content, values, at) if content.liquid else content.text
    if content.media:
        shape["media"] = [{"url": url} for url in content.media]
    return Raw(msgspec.json.encode(shape))


def _text(content: Content, values: dict[str, str], at: int) -> str:
    try:
        # The text alone: what a channel makes of media beside it is not the content's own.
        return say_once(Content(text=content.text, liquid=True), Channel.SMS, values, at).text
    except Unsayable:
        return content.text


def _module(content: Content, channel: Channel, values: dict[str, str], at: int) -> Any:
    try:
        said = say_once(content, channel, values, at)
    except Unsayable:
        return content.modules[channel]
    return {"text": said.text} if said.rich is None else said.rich
