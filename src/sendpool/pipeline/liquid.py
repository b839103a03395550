"""Liquid, fenced in: templates that anybody may write, and that cost no more than a text is worth.

No template reads files or other templates, asks for the time of day, or renders differently twice. Steps, sizes and
the processor's time are limited, so that a loop over a billion numbers ends as that message's failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache, wraps
from html import escape
from io import StringIO
from time import thread_time
from typing import Any

from liquid import Environment, Mode
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path, StringLiteral
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.filters.misc import date
from liquid.builtin.output import OutputNode
from liquid.context import RenderContext
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate
from liquid.utils import ReadOnlyChainMap

#: Characters inside one {{ }} or {% %}, and blanks in a row there: the library's scanner is slow on more.
LONGEST_MARKUP = 1_000
_LONGEST_GAP = 100
#: Loop rounds, filters and look-ups of one rendering.
MAX_STEPS = 10_000
#: Characters of a text, and items of a list, that a filter takes or gives.
MAX_VALUE = 10_000
MAX_ITEMS = 1_000
#: Characters that a filter could make of the text it takes and its first argument, whatever it does.
_MAX_PRODUCT = 10_000_000
#: Bits of a whole number.
_MAX_BITS = 256
#: Seconds of the processor for one rendering: a net below the limits above, which end it much earlier.
BUDGET = 0.1
#: Sources up to this long are compiled once and kept.
_KEPT_SOURCE = 10_000

_MARKUP = re.compile(r"\{\{|\{%")
_CLOSE = {"{{": "}}", "{%": "%}"}
_VERBATIM = re.compile(r"-?\s*(raw|doc)\s*-?")
_GAP = re.compile(rf"\s{{{_LONGEST_GAP + 1}}}")
#: `{{1}}`: templates name their slots by number, which Liquid would take for the number itself.
_SLOT = re.compile(r"(-?\s*)([0-9]{1,3})(?=\s*(?:-?\Z|\|))")


class BadLiquid(ValueError):
    """Markup that is no Liquid, in words that repeat no text."""


class Unrenderable(Exception):
    """Values that make no usable text out of a template: it says why, without repeating any of them."""


class Template:
    """One compiled text. Rendering is pure: the same values at the same moment give the same text."""

    def __init__(self, bound: BoundTemplate) -> None:
        self._bound = bound
        self._plain = _plain_parts(bound.nodes)
        self._say = escape if bound.env.autoescape else str

    def render(self, values: Mapping[str, str], moment: int, most: int) -> str:
        """The text with *values* filled in, of at most *most* characters. Raises `Unrenderable`.

        *moment* (microseconds since 1970) is what `now` and `today` mean to the filter `date`.
        """
        if self._plain is not None:
            say = self._say
            # Without a name it is a piece of text, whatever values without a name there are.
            parts = [say(values[name]) if name and values.get(name) else other for name, other in self._plain]
            text = "".join(parts)
            if len(text) > most:
                raise Unrenderable("it is too long once its variables are filled in")
            return text
        context = _Context(self._bound, globals=values)
        context.allow(moment, most)
        buffer = _Buffer(most)
        try:
            self._bound.render_with_context(context, buffer)
        except Unrenderable:
            raise
        except Exception as error:
            raise Unrenderable("its Liquid markup cannot be carried out with these variables") from error
        return buffer.getvalue()


def compile_template(source: str, *, html: bool = False) -> Template:
    """The template that a text is; *html*: values are escaped, unless its author says `safe`. Raises `BadLiquid`."""
    return _compile_kept(source, html) if len(source) <= _KEPT_SOURCE else _compile(source, html)


def _compile(source: str, html: bool) -> Template:
    try:
        bound = (_HTML if html else _ENVIRONMENT).from_string("".join(_prepared(source)))
        _inspect(bound)
    except LiquidError as error:
        place = error.context() if error.token is not None else None
        where = f" on line {place[0]}" if place else ""
        raise BadLiquid(f"Liquid markup{where} is not valid: {_shown(error.message or error)}") from None
    return Template(bound)


_compile_kept = lru_cache(maxsize=512)(_compile)


def _shown(said: object) -> str:
    """The library's words with whatever they quote cut short."""
    words = str(said) if str(said) != "unexpected liquid parsing error" else "it is nested too deeply"
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in words[:120])


def _prepared(source: str) -> Iterator[str]:
    """The source in pieces, with slots named by text. Raises `BadLiquid` for what the scanner would be slow on."""
    at = 0
    while (found := _MARKUP.search(source, at)) is not None:
        start, mark = found.end(), found.group()
        end = source.find(_CLOSE[mark], start)
        if end < 0:
            raise BadLiquid(f"Liquid markup is not valid: {mark} is never closed")
        if end - start > LONGEST_MARKUP or _GAP.search(source, start, end):
            raise BadLiquid(f"Liquid markup is longer than {LONGEST_MARKUP:,} characters, or has too many blanks")
        inner = source[start:end]
        verbatim = _VERBATIM.fullmatch(inner) if mark == "{%" else None
        if verbatim is not None:
            closed = re.compile(rf"\{{%-?\s*end{verbatim[1]}\s*-?%\}}").search(source, end)
            if closed is None:
                raise BadLiquid(f"Liquid markup is not valid: {verbatim[1]} is never closed")
            yield source[at : closed.end()]
            at = closed.end()
            continue
        yield source[at:start]
        yield _SLOT.sub(r'\1["\2"]', inner, count=1) if mark == "{{" and _SLOT.match(inner) else inner
        yield _CLOSE[mark]
        at = end + 2
    yield source[at:]


# ---------------------------------------------------------------- what a template may do


class _Buffer(StringIO):
    """Takes so many characters and no more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, text: str, /) -> int:
        """Append *text*. Raises `Unrenderable`."""
        self.room -= len(text)
        if self.room < 0:
            raise Unrenderable("it is too long once its variables are filled in")
        return super().write(text)


class _Context(RenderContext):
    """One rendering: what it may still cost."""

    __slots__ = ("_room", "_steps", "_until", "moment")

    def allow(self, moment: int, most: int) -> None:
        """Begin to count."""
        self.moment = moment
        self._room = max(most, MAX_VALUE)
        self._steps = MAX_STEPS
        self._until = thread_time() + BUDGET
        # The library's own `now` and `today` would differ between two renderings.
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)

    def step(self) -> None:
        """Do one thing more. Raises `Unrenderable`."""
        self._steps -= 1
        # To ask for the time takes as long as a small step.
        if self._steps < 0 or (not self._steps & 3 and thread_time() > self._until):
            raise Unrenderable("its Liquid markup takes too long to carry out")

    def get(self, path: list[object], **options: Any) -> object:
        """What a name stands for."""
        self._steps -= 1
        return super().get(path, **options)

    def filter(self, name: str, token: Any) -> Callable[..., object]:
        """The function of a filter that is about to be called."""
        self.step()
        return super().filter(name, token)

    @contextmanager
    def loop(self, namespace: Mapping[str, object], forloop: Any) -> Iterator[RenderContext]:
        """Go through a loop, each round a step."""
        forloop.it = self._paced(forloop.it)
        with super().loop(namespace, forloop) as context:
            yield context

    def _paced(self, items: Iterable[object]) -> Iterator[object]:
        for item in items:
            self.step()
            yield item

    def get_buffer(self, buf: Any = None) -> StringIO:
        """Where a captured text goes."""
        return _Buffer(self._room)


class _BoundedRange(RangeLiteral):
    """A range that is not too long: the library makes lists of some."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        """The numbers it stands for. Raises `Unrenderable`."""
        numbers = super().evaluate(context)
        _check_size(numbers.start)
        _check_size(numbers.stop)
        if numbers.stop - numbers.start > MAX_ITEMS:
            raise Unrenderable("its Liquid markup makes a list that is too long")
        return numbers


def _check_size(value: object) -> int:
    """The size of what a filter takes or gives. Raises `Unrenderable` where it is too much."""
    if isinstance(value, str):
        size = len(value)
        if size <= MAX_VALUE:
            return size
        most = MAX_VALUE
    elif isinstance(value, list | tuple):
        if len(value) > MAX_ITEMS:
            raise Unrenderable("its Liquid markup makes a list that is too long")
        size, most = sum(map(_check_size, value)), MAX_VALUE
    elif isinstance(value, int):
        size, most = value.bit_length(), _MAX_BITS
    else:
        return 1
    if size > most:
        raise Unrenderable("its Liquid markup makes a value that is too large")
    return size


def _guarded(function: Callable[..., object]) -> Callable[..., object]:
    """A filter that neither takes nor gives too much."""

    @wraps(function)
    def run(value: object, *arguments: object, **options: object) -> object:
        size, factor = _check_size(value), 0
        for one in (*arguments, *options.values()):
            factor = max(factor, _check_size(one))
        if size * factor > _MAX_PRODUCT:
            raise Unrenderable("its Liquid markup makes a value that is too large")
        result = function(value, *arguments, **options)
        _check_size(result)
        return result

    return run


def _date(value: object, form: object = "", *, context: _Context) -> object:
    """The library's `date`, whose `now` is the moment that the message is due, in UTC."""
    if value in ("now", "today"):
        value = datetime.fromtimestamp(context.moment / 1e6, UTC)
    return date(value, form, environment=context.env)


_date.with_context = True  # type: ignore[attr-defined]


def _make_environment(*, html: bool = False) -> Environment:
    environment = Environment(tolerance=Mode.STRICT, strict_filters=True, autoescape=html)
    for tag in ("include", "render"):
        del environment.tags[tag]
    for name, function in list(environment.filters.items()):
        environment.add_filter(name, _guarded(_date if name == "date" else function))
    return environment


_ENVIRONMENT = _make_environment()
#: The same for documents: what a recipient's variables say is text in them, never markup.
_HTML = _make_environment(html=True)


def _inspect(template: BoundTemplate) -> None:
    """Bound every range of a template, wherever one stands, and refuse filters that nobody knows."""
    context = RenderContext(template)
    nodes = list(template.nodes)
    while nodes:
        node: Node = nodes.pop()
        nodes += node.children(context)
        expressions = list(node.expressions())
        while expressions:
            expression = expressions.pop()
            expressions += expression.children()
            if type(expression) is RangeLiteral:
                expression.__class__ = _BoundedRange
            for one in getattr(expression, "filters", None) or ():
                one.validate_filter_arguments(template.env)


# ---------------------------------------------------------------- the quick way


def _plain_parts(nodes: Iterable[Node]) -> list[tuple[str, str]] | None:
    """(name, what stands there without it) where a template only fills in names, which is ten times as quick."""
    parts = []
    for node in nodes:
        if type(node) is ContentNode:
            parts.append(("", node.text))
            continue
        part = _plain_output(node.expression) if type(node) is OutputNode else None
        if part is None:
            return None
        parts.append(part)
    return parts


def _plain_output(expression: object) -> tuple[str, str] | None:
    """The name that an output fills in, and its default."""
    if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
        return None
    path, filters = expression.left.path, expression.filters or []
    if len(path) != 1 or not isinstance(path[0], str) or not path[0] or len(filters) > 1:
        return None
    if not filters:
        return path[0], ""
    args = filters[0].args
    if filters[0].name != "default" or len(args) != 1 or getattr(args[0], "name", None):
        return None
    value = getattr(args[0], "value", None)
    return (path[0], value.value) if isinstance(value, StringLiteral) else None
