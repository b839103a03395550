"""Render: what an operation says to one recipient, and to whom it has nothing to say.

A text is rendered twice with the same result: at acceptance, to count its segments and to find whom it fails, and
when it is sent, so that no rendered text is ever stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from time import thread_time
from typing import Any, NamedTuple

import msgspec

from sendpool.domain import rcs_content, whatsapp_content
from sendpool.domain.message import (
    LONGEST_TAG,
    LONGEST_TEXT,
    LONGEST_WITH_MEDIA,
    STEP_LETTER,
    TAG_VALUE,
    Content,
    has_markup,
    on_channel,
)
from sendpool.domain.request import Problem, Recipient, Refused, SendRequest
from sendpool.domain.segments import count
from sendpool.domain.sender import Channel
from sendpool.pipeline.email_templates import EmailTemplate, EmptyEmail
from sendpool.pipeline.liquid import Template, Unrenderable, compile_template

#: The error of a message whose text is empty once its variables are filled in, and of one that came out unusable.
EMPTY, UNFIT = 21602, 21617

#: Recipients for whom one thread renders in one go: between them others get a turn.
_SLICE = 500
#: Seconds of the processor that rendering may take for a request, and for each recipient on top: a template that is
#: dearer would hold up everybody when it is sent.
_ALLOWED, _ALLOWED_EACH = 0.2, 0.001

#: Channels that may carry a message to an address of a space; a pool can let numbers be reached on WhatsApp too.
_CHANNELS_OF = {
    "P": (Channel.RCS, Channel.SMS, Channel.WHATSAPP),
    "W": (Channel.WHATSAPP,),
    "E": (Channel.EMAIL,),
}

#: Characters of a rendered string in a module, by channel.
_LONGEST = {
    Channel.RCS: rcs_content.LONGEST_TEXT,
    Channel.WHATSAPP: whatsapp_content.LONGEST_TEXT,
}


class Unsayable(Exception):
    """What an operation says comes out unusable for one recipient. `code` is the message's error."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Reading(NamedTuple):
    """How an operation reads for one recipient."""

    #: Letters of the channels on which it says something.
    letters: str
    #: Segments of its text as SMS.
    segments: int
    #: The error of the message where it says nothing on any channel.
    code: int = 0


class Readings(NamedTuple):
    """How an operation reads for each of its recipients, as rendered at `at` (microseconds since 1970)."""

    at: int
    each: Sequence[Reading]


async def read_each(request: SendRequest, at: int) -> Readings:
    """Render a request for everybody, beside the event loop. Raises `Refused` where that takes too long."""
    found: list[Reading] = []
    spent = 0.0
    for start in range(0, len(request.recipients), _SLICE):
        part = request.recipients[start : start + _SLICE]
        readings, seconds = await asyncio.to_thread(_read_slice, request, part, at)
        found += readings
        spent += seconds
        if spent > _ALLOWED + _ALLOWED_EACH * len(found):
            message = "its Liquid markup takes too long to carry out for so many recipients; simplify it"
            raise Refused(Problem(60701, message, "$.content"))
    return Readings(at, found)


def _read_slice(request: SendRequest, recipients: Sequence[Recipient], at: int) -> tuple[list[Reading], float]:
    began = thread_time()
    said = [channel for channel in STEP_LETTER if request.content.says_on(channel)]
    of_space = {letter: [one for one in said if one in channels] for letter, channels in _CHANNELS_OF.items()}
    personal_tags = any(map(has_markup, request.tags.values()))
    readings = []
    for recipient in recipients:
        if personal_tags and not _are_tags(request.tags, recipient.variables or {}, at):
            readings.append(Reading("", 1, UNFIT))
            continue
        channels = dict.fromkeys(channel for letter in recipient.space for channel in of_space[letter])
        readings.append(_read(request.content, tuple(channels), recipient.variables or {}, at))
    return readings, thread_time() - began


def _read(content: Content, channels: Sequence[Channel], variables: Mapping[str, str], at: int) -> Reading:
    letters, segments, code = "", 1, 0
    rendered: Content | None = None
    for channel in channels:
        try:
            if rendered is None or content.modules or content.media:
                rendered = say(content, channel, variables, at)
        except Unsayable as error:
            code = code or error.code
            continue
        letters += STEP_LETTER[channel]
        if channel is Channel.SMS:
            segments = count(rendered.text)
    return Reading(letters, segments, 0 if letters else code)


def _are_tags(tags: Mapping[str, str], variables: Mapping[str, str], at: int) -> bool:
    """Whether every tag of an operation comes out as one for a recipient."""
    return len(say_tags(tags, variables, at)) == len(tags)


def say_tags(tags: Mapping[str, str], variables: Mapping[str, str], at: int) -> dict[str, str]:
    """The tags of one message; those left out of which Liquid makes no tag. *at*: its operation was accepted then."""
    found = {}
    for key, source in tags.items():
        value = source
        if has_markup(source):
            try:
                value = compile_template(source).render(variables, at, LONGEST_TAG)
            except Unrenderable:
                continue
            if not TAG_VALUE.fullmatch(value):
                continue
        found[key] = value
    return found


def say(content: Content, channel: Channel, variables: Mapping[str, str], at: int) -> Content:
    """What *content* says on one channel with *variables* filled in. Raises `Unsayable`.

    *at* is the microsecond at which its operation was accepted, which `now` means in it.
    """
    return _fill(_compiled(content, channel), channel, {**content.defaults, **variables}, at)


def say_once(content: Content, channel: Channel, variables: Mapping[str, str], at: int) -> Content:
    """The same for a content that nobody will ask about again."""
    return _fill(_compile(content, channel), channel, {**content.defaults, **variables}, at)


def _fill(said: _Compiled | EmailTemplate, channel: Channel, variables: Mapping[str, str], at: int) -> Content:
    if isinstance(said, EmailTemplate):
        return _fill_email(said, variables, at)

    def fill(template: Template) -> str:
        try:
            text = template.render(variables, at, said.longest)
        except Unrenderable as error:
            raise Unsayable(UNFIT, str(error)) from None
        if "\0" in text:
            raise Unsayable(UNFIT, "it holds a NUL character once its variables are filled in")
        return text

    text = fill(said.text)
    if said.rich is None:
        if not text.strip() and not said.media:
            raise Unsayable(EMPTY, "it is empty once its variables are filled in")
        return Content(text=text, media=tuple(map(fill, said.media)))
    rich = _filled(said.rich, fill)
    _CHECKS.get(channel, _unchecked)(rich)
    return Content(text=text, rich=rich)


def _fill_email(said: EmailTemplate, variables: Mapping[str, str], at: int) -> Content:
    try:
        module = said.fill(variables, at)
    except Unrenderable as error:
        raise Unsayable(EMPTY if isinstance(error, EmptyEmail) else UNFIT, str(error)) from None
    return Content(text=module["text"], rich=module)


class _Compiled(NamedTuple):
    """What an operation says on one channel, its strings compiled."""

    text: Template
    media: tuple[Template, ...]
    #: A module: its strings with markup are templates.
    rich: Any
    longest: int


def _compile(content: Content, channel: Channel) -> _Compiled | EmailTemplate:
    said = on_channel(content, channel)
    if channel is Channel.EMAIL and said.rich is not None:
        return EmailTemplate(said.rich)
    # Where URLs follow the text they take room of their own.
    asked = content.modules[channel] if content.modules else {"text": content.text}
    longest = LONGEST_TEXT if said.text == asked.get("text") else LONGEST_WITH_MEDIA
    if content.modules:
        longest = _LONGEST.get(channel, longest)
    return _Compiled(compile_template(said.text), tuple(map(compile_template, said.media)), _tree(said.rich), longest)


_compiled = lru_cache(maxsize=1024)(_compile)


def _tree(value: Any) -> Any:
    """A JSON value with templates in place of the strings that hold markup."""
    if isinstance(value, str):
        return compile_template(value) if has_markup(value) else value
    if isinstance(value, Mapping):
        return {key: _tree(inner) for key, inner in value.items()}
    return list(map(_tree, value)) if isinstance(value, list) else value


def _filled(tree: Any, fill: Callable[[Template], str]) -> Any:
    if isinstance(tree, Template):
        return fill(tree)
    if isinstance(tree, dict):
        return {key: _filled(inner, fill) for key, inner in tree.items()}
    return [_filled(inner, fill) for inner in tree] if isinstance(tree, list) else tree


def _unchecked(_: Mapping[str, Any]) -> None:
    """A module that may hold any text."""


def _check_rcs(module: Mapping[str, Any]) -> None:
    try:
        rcs_content.read_module(module)
    except msgspec.ValidationError:
        raise Unsayable(UNFIT, "it breaks a limit of RCS once its variables are filled in") from None


def _check_whatsapp(module: Mapping[str, Any]) -> None:
    try:
        whatsapp_content.check_module(module)
    except msgspec.ValidationError:
        raise Unsayable(UNFIT, "it breaks a limit of WhatsApp once its variables are filled in") from None


#: By channel: raises `Unsayable` for a module that its provider would refuse.
_CHECKS: dict[Channel, Callable[[Mapping[str, Any]], None]] = {
    Channel.RCS: _check_rcs,
    Channel.WHATSAPP: _check_whatsapp,
}
