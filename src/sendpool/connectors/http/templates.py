"""Texts with fields in double braces, and places in JSON documents: all the language that a configuration has. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

#: What a field may be: a text, a number, a list of texts, or None where there is none.
Values = Mapping[str, Any]
_FIELD = re.compile(r"\{\{\s*([A-Za-z0-9_.-]*)\s*\}\}")


class Template:
    """A text with fields, such as "Bearer {{secret.token}}"."""

    def __init__(self, text: str, known: Collection[str]) -> None:
        """Raises `ValueError` where a field is not among the *known*."""
        pieces = _FIELD.split(text)
        self._literals, self.fields = pieces[::2], pieces[1::2]
        for name in self.fields:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {{{{{close[0]}}}}}?" if close else f"known are {', '.join(sorted(known))}"
                raise ValueError(f"{{{{{name}}}}} is no field here; {hint}")
        if "{{" in "".join(self._literals):
            raise ValueError("expected each {{ to be closed, as in {{text}}; there are fields only, no expressions")

    def text(self, values: Values, encode: Callable[[str], str] = str) -> str | None:
        """The text with its fields, each encoded; None where one of them has no value."""
        said = [values[name] for name in self.fields]
        if any(one is None for one in said):
            return None
        filled = [encode(_as_text(one)) for one in said]
        return "".join(a + b for a, b in zip(self._literals, [*filled, ""], strict=True))

    def value(self, values: Values) -> Any:
        """As `text`; but a field alone stays what it is, so that a number is one in JSON."""
        if len(self.fields) == 1 and not any(self._literals):
            return values[self.fields[0]]
        return self.text(values)


def compiled(given: Any, known: Collection[str]) -> Any:
    """A table of the configuration with its texts as templates. Raises `ValueError` that begins with the place."""
    if isinstance(given, str):
        return Template(given, known)
    if isinstance(given, Mapping):
        return {key: _at(f".{key}", inner, known) for key, inner in given.items()}
    if isinstance(given, list | tuple):
        return [_at(f".{place}", inner, known) for place, inner in enumerate(given)]
    return given


def filled(tree: Any, values: Values) -> Any:
    """A compiled table with the values of one message; what has none is left out."""
    if isinstance(tree, Template):
        return tree.value(values)
    if isinstance(tree, Mapping):
        pairs = {key: filled(inner, values) for key, inner in tree.items()}
        return {key: inner for key, inner in pairs.items() if inner is not None}
    if isinstance(tree, list):
        return [inner for one in tree if (inner := filled(one, values)) is not None]
    return tree


def at(document: Any, path: str) -> Any:
    """What stands at a place ("messages.0.message-id") of a JSON document; None where there is nothing."""
    for step in path.split(".") if path else ():
        if isinstance(document, Mapping):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def text_at(document: Any, path: str | None) -> str:
    """The same as a text; "" where there is nothing, or no path."""
    found = at(document, path) if path else None
    return "" if found is None or isinstance(found, Mapping | list) else _as_text(found)


def _at(step: str, given: Any, known: Collection[str]) -> Any:
    try:
        return compiled(given, known)
    except ValueError as error:
        said = str(error)
        place, separator, problem = said.partition("\0")
        raise ValueError(f"{step}{place}\0{problem}" if separator else f"{step}\0{said}") from None


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(_as_text, value))
    return str(value)
