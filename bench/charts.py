"""Line charts as SVG, beside each other: enough to see what a simulation did, without a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

_COLOURS = ("#1f6fb4", "#d1495b", "#3a9d5d", "#8a5fbf", "#b8860b")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 340, 170, 56, 34, 58


class Line(NamedTuple):
    """A series: its name, and (x, y) in order."""

    name: str
    points: Sequence[tuple[float, float]]


class Panel(NamedTuple):
    """One chart."""

    title: str
    lines: Sequence[Line]
    #: The highest value that fits; those above it are drawn at the edge.
    top: float
    unit: str


def charts(title: str, rows: Sequence[Sequence[Panel]]) -> str:
    """An SVG of panels in rows."""
    wide = max(len(row) for row in rows) * (_WIDTH + _GAP) + _LEFT
    high = len(rows) * (_HEIGHT + _GAP + 12) + _TOP + 24
    parts = [_text(_LEFT, 22, title, 15)]
    for y, row in enumerate(rows):
        for x, panel in enumerate(row):
            parts += _panel(panel, _LEFT + x * (_WIDTH + _GAP), _TOP + 24 + y * (_HEIGHT + _GAP + 12))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}">'
    return "\n".join([head, f'<rect width="{wide}" height="{high}" fill="#ffffff"/>', *parts, "</svg>\n"])


def _panel(panel: Panel, left: float, top: float) -> list[str]:
    furthest = max((x for line in panel.lines for x, _ in line.points), default=1.0) or 1.0

    def place(x: float, y: float) -> str:
        high = min(y, panel.top) / panel.top if panel.top else 0.0
        return f"{left + x / furthest * _WIDTH:.1f},{top + _HEIGHT * (1 - high):.1f}"

    parts = [_text(left, top - 8, panel.title, 12)]
    frame = f'x="{left}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}"'
    parts.append(f'<rect {frame} fill="none" stroke="#999999"/>')
    parts.append(_text(left - 6, top + 10, f"{panel.top:g}", 10, "end"))
    parts.append(_text(left - 6, top + _HEIGHT, "0", 10, "end"))
    parts.append(_text(left + _WIDTH, top + _HEIGHT + 14, f"{furthest:g} min; y: {panel.unit}", 10, "end"))
    for i, line in enumerate(panel.lines):
        colour = _COLOURS[i % len(_COLOURS)]
        points = " ".join(place(x, y) for x, y in line.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts.append(_text(left + 6 + i * 84, top + _HEIGHT + 30, line.name, 10, colour=colour))
    return parts


def _text(x: float, y: float, text: str, size: int, anchor: str = "start", colour: str = "#222222") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text {place} font-family="sans-serif">{escape(text)}</text>'
