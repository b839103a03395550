"""Templates: what an account says again and again, in the content types of the hosted Content API.

Each type is the richest that some channels show; `modules_of` makes of them what each channel is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sendpool.domain import whatsapp_content
from sendpool.domain.sender import Channel

Text = Annotated[str, Meta(min_length=1, max_length=6_400)]
Title = Annotated[str, Meta(min_length=1, max_length=1_024)]
Url = Annotated[str, Meta(min_length=1, max_length=2_048)]
Urls = Annotated[list[Url], Meta(min_length=1, max_length=10)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a content type, spelled as the hosted API does."""


class TextType(_Part, frozen=True, kw_only=True):
    """`twilio/text`."""

    body: Text


class MediaType(_Part, frozen=True, kw_only=True):
    """`twilio/media`."""

    media: Urls
    body: Text | None = None


class TemplateAction(_Part, frozen=True, kw_only=True):
    """A button: to answer with, to open a page or to call a number."""

    title: Title
    type: Literal["QUICK_REPLY", "URL", "PHONE_NUMBER"] = "QUICK_REPLY"
    id: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    url: Url | None = None
    phone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None

    def __post_init__(self) -> None:
        if (self.url is not None) != (self.type == "URL") or (self.phone is not None) != (self.type == "PHONE_NUMBER"):
            raise ValueError("expected url of a URL, and phone of a PHONE_NUMBER")


Actions = Annotated[list[TemplateAction], Meta(min_length=1, max_length=11)]


class ActionsType(_Part, frozen=True, kw_only=True):
    """`twilio/quick-reply` and `twilio/call-to-action`."""

    body: Text
    actions: Actions


class CardType(_Part, frozen=True, kw_only=True):
    """`twilio/card`."""

    title: Title
    subtitle: Title | None = None
    body: Text | None = None
    media: Urls | None = None
    actions: Annotated[list[TemplateAction], Meta(max_length=4)] = []


class Types(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a template says, by content type; at least one."""

    text: TextType | None = msgspec.field(default=None, name="twilio/text")
    media: MediaType | None = msgspec.field(default=None, name="twilio/media")
    quick_reply: ActionsType | None = msgspec.field(default=None, name="twilio/quick-reply")
    call_to_action: ActionsType | None = msgspec.field(default=None, name="twilio/call-to-action")
    card: CardType | None = msgspec.field(default=None, name="twilio/card")
    #: A template that WhatsApp has approved, as its Cloud API takes it.
    whatsapp: whatsapp_content.Template | None = msgspec.field(default=None, name="whatsapp/template")

    def __post_init__(self) -> None:
        if all(getattr(self, name) is None for name in self.__struct_fields__):
            raise ValueError("expected at least one content type")


def read_types(types: Mapping[str, Any]) -> Types:
    """The content types of a template. Raises `msgspec.ValidationError` that ends with where it is wrong."""
    return msgspec.convert(types, Types)


def modules_of(types: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each channel is told, as modules of the API: the richest of the types that it can show."""
    read = read_types(types)
    if types.keys() == {"whatsapp/template"}:
        return {Channel.WHATSAPP: {"template": types["whatsapp/template"]}}
    return {
        Channel.RCS: _rcs(read),
        Channel.SMS: _sms(read),
        Channel.WHATSAPP: {"template": types["whatsapp/template"]} if read.whatsapp else _whatsapp(read),
    }


def _rcs(types: Types) -> dict[str, Any]:
    if types.card is not None:
        return {"richCard": {"standaloneCard": {"cardOrientation": "VERTICAL", "cardContent": _card(types.card)}}}
    for told in (types.quick_reply, types.call_to_action):
        if told is not None:
            return {"text": told.body, "suggestions": list(map(_suggestion, told.actions))}
    if types.media is not None:
        file = {"contentInfo": {"fileUrl": types.media.media[0]}}
        below = "\n".join([*([types.media.body] if types.media.body else []), *types.media.media[1:]])
        if not below:
            return {"media": file}
        card = {"description": below, "media": {**file, "height": "MEDIUM"}}
        return {"richCard": {"standaloneCard": {"cardOrientation": "VERTICAL", "cardContent": card}}}
    assert types.text is not None
    return {"text": types.text.body}


def _card(card: CardType) -> dict[str, Any]:
    content: dict[str, Any] = {"title": card.title}
    below = "\n".join(part for part in (card.subtitle, card.body) if part)
    if below:
        content["description"] = below
    if card.media:
        content["media"] = {"height": "MEDIUM", "contentInfo": {"fileUrl": card.media[0]}}
    if card.actions:
        content["suggestions"] = list(map(_suggestion, card.actions))
    return content


def _suggestion(action: TemplateAction) -> dict[str, Any]:
    said = {"text": action.title, "postbackData": action.id or action.title}
    if action.url is not None:
        return {"action": {**said, "openUrlAction": {"url": action.url}}}
    if action.phone is not None:
        return {"action": {**said, "dialAction": {"phoneNumber": action.phone}}}
    return {"reply": said}


def _sms(types: Types) -> dict[str, Any]:
    if types.media is not None:
        body = types.media.body or (types.text.body if types.text else None)
        return {**({"text": body} if body else {}), "media": [{"url": url} for url in types.media.media]}
    if types.text is not None:
        return {"text": types.text.body}
    if types.card is not None:
        card = types.card
        lines = [card.title, card.subtitle, card.body, *_addresses(card.actions)]
        media = {"media": [{"url": url} for url in card.media]} if card.media else {}
        return {"text": "\n".join(line for line in lines if line), **media}
    told = types.quick_reply or types.call_to_action
    assert told is not None
    return {"text": "\n".join([told.body, *_addresses(told.actions)])}


def _addresses(actions: list[TemplateAction]) -> list[str]:
    """What buttons lead to, for those who see none; a button to answer with leads nowhere."""
    return [f"{one.title}: {one.url or one.phone}" for one in actions if one.url or one.phone]


def _whatsapp(types: Types) -> dict[str, Any]:
    """Free content, for which a conversation has to be open."""
    told = types.quick_reply
    if told is not None and len(told.actions) <= 3 and all(one.type == "QUICK_REPLY" for one in told.actions):
        buttons = [{"type": "reply", "reply": {"id": one.id or one.title, "title": one.title}} for one in told.actions]
        return {"interactive": {"type": "button", "body": {"text": told.body}, "action": {"buttons": buttons}}}
    if types.media is not None:
        url = types.media.media[0]
        kind = whatsapp_content.kind_of_file(url)
        caption = {"caption": types.media.body} if types.media.body and kind != "audio" else {}
        return {kind: {"link": url, **caption}}
    text = _sms(types)
    urls = [one["url"] for one in text.get("media", ())]
    return {"text": "\n".join([text["text"], *urls])}
