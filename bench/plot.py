"""A plot of a few curves over a logarithmic axis, as SVG: enough for figures of cost against size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 420, 60, 230, 46, 44
_COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")

Curve = Sequence[tuple[float, float]]


def plot(title: str, across: str, up: str, curves: Mapping[str, Curve]) -> str:
    """The picture of curves of (x, y) by name; x is drawn logarithmically, y from zero."""
    xs = [x for curve in curves.values() for x, _ in curve]
    top = max(y for curve in curves.values() for _, y in curve) * 1.15
    low, high = log10(min(xs)), log10(max(xs))

    def place(x: float, y: float) -> tuple[float, float]:
        wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + wide * (log10(x) - low) / ((high - low) or 1), _HEIGHT - _BOTTOM - tall * y / top

    parts = [_text(_LEFT, 24, title, "16"), _text(_LEFT, _HEIGHT - 8, across), _text(8, _TOP - 8, up)]
    for exponent in range(round(low), round(high) + 1):
        x, y = place(10**exponent, 0)
        parts.append(_text(x, y + 16, f"{10**exponent:,}", anchor="middle"))
    for step in range(5):
        x, y = place(min(xs), top * step / 4)
        parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(x - 6, y + 4, f"{top * step / 4:.1f}", anchor="end"))
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in curve)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (place(*one) for one in curve)
        ]
        parts.append(_text(_WIDTH - _RIGHT + 12, _TOP + 18 * number, name, colour=colour))
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    ground = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{ground}\n' + "\n".join(parts) + "\n</svg>\n"


def _text(x: float, y: float, text: str, size: str = "12", anchor: str = "start", colour: str = "#222") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text {place} font-family="sans-serif">{escape(text)}</text>'
