"""RCS content as the connector needs it: the schema of `domain.rcs_content`, and the same as a plain text."""

from __future__ import annotations

from collections.abc import Iterator

from sendpool.domain.rcs_content import (
    LARGEST_MESSAGE,
    LONGEST_TEXT,
    ContentInfo,
    ContentMessage,
    Suggestion,
    read_module,
)

__all__ = ["LARGEST_MESSAGE", "LONGEST_TEXT", "ContentMessage", "as_text", "read_module"]


def as_text(message: ContentMessage) -> str:
    """The same as a plain text, for phones that lack a feature: what can be read, and the links."""
    lines = [message.text or ""]
    if message.content_info is not None:
        lines.append(message.content_info.file_url)
    for card in message.rich_card.cards if message.rich_card is not None else ():
        lines += [card.title or "", card.description or ""]
        if card.media is not None and isinstance(card.media.content_info, ContentInfo):
            lines.append(card.media.content_info.file_url)
        lines += _links(card.suggestions)
    lines += _links(message.suggestions)
    return "\n".join(line for line in lines if line)[:LONGEST_TEXT]


def _links(suggestions: tuple[Suggestion, ...]) -> Iterator[str]:
    for suggestion in suggestions:
        action = suggestion.action
        if action is not None and action.open_url_action is not None:
            yield f"{action.text}: {action.open_url_action.url}"
        elif action is not None and action.dial_action is not None:
            yield f"{action.text}: {action.dial_action.phone_number}"
