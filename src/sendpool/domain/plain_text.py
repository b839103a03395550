"""The plain text of an HTML document: what a reader without HTML sees.

A tokenizer of its own, because it must be linear on whatever a client sends: `html.parser` is quadratic on unclosed
comments and tags in Python before 3.11.14, 3.12.12 and 3.13.6. Liquid markup comes through as it stands, so a template
may be turned into a text before it is rendered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

#: Characters of a document that are read; nobody reads a text that is longer.
LONGEST = 500_000

#: What a document is made of. Each alternative takes what it has begun to the end, so nothing is looked at twice. A "<"
#: or "{" that begins none of them is text. (Texts in one piece would need a look ahead within a possessive group, which
#: Python before 3.11.3 gets wrong.)
_TOKEN = re.compile(
    r"(?P<liquid>\{\{.*?(?:\}\}|\Z)|\{%.*?(?:%\}|\Z))"
    r"|(?P<comment><!--.*?(?:-->|\Z)|<[!?][^>]*+(?:>|\Z))"
    r"|<(?P<close>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9:-]*+)"
    r"(?P<attributes>(?:[^>=]++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))?+)*+)(?:>|\Z)"
    r"|(?P<text>[^<{]++|[<{])",
    re.DOTALL,
)
_TARGET = re.compile(r"""(?<![\w-])href\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++)""", re.IGNORECASE)
_ALT = re.compile(r"""(?<![\w-])alt\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++)""", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f]+")

#: Elements whose insides nobody reads.
_SILENT = frozenset({"head", "style", "script", "title", "template", "noscript"})
#: Elements that begin on a line of their own, and those with an empty line around them.
_is_block = re.compile(
    "address|article|aside|d[dlt]|div|fieldset|figcaption|figure|footer|form|header|hr|li|main|nav|ol|option|pre"
    "|section|select|table|tbody|tfoot|thead|tr|ul"
).fullmatch
_is_apart = re.compile("blockquote|h[1-6]|p").fullmatch
#: Cells of a row stand side by side.
_CELLS = frozenset({"td", "th"})
_LINKS = ("http://", "https://", "mailto:", "tel:", "{{")


def plain_text(html: str) -> str:
    """The text of *html*: paragraphs apart, lines where lines break, links with their targets behind them.

    Of a document of more than `LONGEST` characters, the text of its beginning.
    """
    writer = _Writer()
    pieces: list[str] = []
    for token in _TOKEN.finditer(html[:LONGEST]):
        if token.lastgroup == "text":
            pieces.append(token[0])
            continue
        _say(writer, pieces)
        pieces.clear()
        if token["liquid"] is not None:
            writer.keep(token["liquid"])
        elif token["tag"] is not None:
            _tag(writer, token["tag"].lower(), token["attributes"], closes=bool(token["close"]))
    _say(writer, pieces)
    return writer.text()


def _say(writer: _Writer, pieces: Sequence[str]) -> None:
    """Say a text that lies between two tags."""
    if pieces:
        # What was written with entities is no markup, and must not become any.
        writer.say(unescape("".join(pieces)).replace("{{", "{ {").replace("{%", "{ %"))


def _tag(writer: _Writer, name: str, attributes: str, *, closes: bool) -> None:
    if name in _SILENT:
        writer.hush(name, ends=closes)
    elif name == "br":
        writer.break_line()
    elif name in _CELLS:
        writer.say(" " if closes else "")
    elif _is_apart(name):
        writer.line(apart=True)
    elif _is_block(name):
        writer.line()
        if name == "li" and not closes:
            writer.say("- ")
    elif name == "img" and not closes:
        writer.say(_value(_ALT, attributes))
    elif name == "a":
        writer.link(None if closes else _value(_TARGET, attributes))


def _value(pattern: re.Pattern[str], attributes: str) -> str:
    found = pattern.search(attributes)
    return unescape(found[1].strip("\"'")).strip() if found else ""


class _Writer:
    """Lines as they are found; blanks count as one, and so do empty lines."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = [[]]
        self._silent = ""
        self._target = ""
        self._since: tuple[int, int] = (0, 0)

    def say(self, text: str) -> None:
        if not self._silent:
            self._lines[-1].append(text)

    def keep(self, liquid: str) -> None:
        """Liquid markup: its tags stay wherever they stand, so that what opens still closes."""
        if not self._silent or liquid.startswith("{%"):
            self._lines[-1].append(liquid)

    def hush(self, element: str, *, ends: bool) -> None:
        """Say nothing inside of *element*."""
        if not self._silent and not ends:
            self._silent = element
        elif ends and element == self._silent:
            self._silent = ""

    def line(self, *, apart: bool = False) -> None:
        if not self._silent and (self._lines[-1] or apart):
            self._lines.append([])
            if apart and self._lines[-2]:
                self._lines.append([])

    def break_line(self) -> None:
        if not self._silent:
            self._lines.append([])

    def link(self, target: str | None) -> None:
        """A link begins (to *target*), or ends: then its target follows in brackets, unless it was said already."""
        if target is not None:
            self._target, self._since = target, (len(self._lines), len(self._lines[-1]))
            return
        target, self._target = self._target, ""
        if target.lower().startswith(_LINKS) and not self._silent and target not in self._said_since():
            self.say(f" ({target})")

    def _said_since(self) -> str:
        line, part = self._since
        return "".join(self._lines[line - 1][part:]) + "".join(map("".join, self._lines[line:]))

    def text(self) -> str:
        """Everything said, without blanks at the ends of lines and with one empty line at most between two."""
        lines: list[str] = []
        for parts in self._lines:
            line = _BLANKS.sub(" ", "".join(parts)).strip()
            if line or (lines and lines[-1]):
                lines.append(line)
        return "\n".join(lines).strip()
