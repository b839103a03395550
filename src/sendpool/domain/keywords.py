"""Words with which people stop, ask for help and start again, as whole messages, in the languages of their country.

English is understood everywhere: carriers demand it (CTIA Messaging Principles and Best Practices §5.1.3). The words
and the answers are data, `keywords.toml`, which names its sources. Pure.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import NamedTuple

import msgspec

#: A longer text says more than a keyword.
_LONGEST = 40
_EVERYWHERE = "en"


class Wish(StrEnum):
    """What somebody asks for with a keyword."""

    STOP = "stop"
    START = "start"
    HELP = "help"


class Said(NamedTuple):
    """A keyword that somebody sent."""

    wish: Wish
    #: ISO 639-1, of the language that the word is in.
    language: str


class Use(StrEnum):
    """What is done with keywords."""

    #: They write the ledger of who has opted out, and are answered.
    ANSWER = "answer"
    #: They write the ledger; the carrier answers them itself.
    RECORD = "record"
    #: They are texts like any other.
    IGNORE = "ignore"


class Keywords(msgspec.Struct, frozen=True):
    """What a connection does with keywords: `replies` are in place of those of the language; "" answers nothing."""

    use: Use = Use.ANSWER
    replies: Mapping[Wish, str] = {}

    def reply_to(self, said: Said) -> str:
        """What somebody is answered who sent a keyword; "" for nothing."""
        if self.use is not Use.ANSWER:
            return ""
        own = self.replies.get(said.wish)
        return _languages()[said.language].replies[said.wish] if own is None else own


class _Language(NamedTuple):
    name: str
    countries: frozenset[str]
    words: Mapping[str, Wish]
    replies: Mapping[Wish, str]


@cache
def _languages() -> Mapping[str, _Language]:
    table = tomllib.loads(resources.files(__package__).joinpath("keywords.toml").read_text(encoding="utf-8"))
    return {
        name: _Language(
            name,
            frozenset(one["countries"]),
            {word: wish for wish in Wish for word in one[wish]},
            {wish: one[f"{wish}_reply"] for wish in Wish},
        )
        for name, one in table.items()
    }


@cache
def _spoken_in(country: str) -> tuple[_Language, ...]:
    languages = _languages()
    local = (one for one in languages.values() if country in one.countries)
    return (languages[_EVERYWHERE], *local)


def plain(text: str) -> str:
    """A text as keywords are compared: capitals without accents; nothing but letters."""
    apart = unicodedata.normalize("NFKD", text.upper())
    return "".join(letter for letter in apart if letter.isalpha())


def keyword_in(text: str, country: str = "") -> Said | None:
    """The keyword that a whole text is, with nothing but signs and blanks around it; None: it says something else.

    *country* (ISO 3166-1 alpha-2, or "") is where the person's number is at home.
    """
    if len(text) > _LONGEST:
        return None
    word = plain(text)
    for language in _spoken_in(country):
        wish = language.words.get(word)
        if wish is not None:
            return Said(wish, language.name)
    return None
