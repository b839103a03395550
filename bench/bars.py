"""Bars of medians with a dot for each run, as SVG: enough for figures of several systems beside each other."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

_WIDTH, _LABEL, _ROW, _TOP, _GAP = 760, 230, 22, 46, 40
_COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")


class Chart(NamedTuple):
    """What was measured, its unit, and what each run brought, by what was different."""

    title: str
    unit: str
    runs: Mapping[str, Sequence[float]]


def bars(title: str, charts: Sequence[Chart]) -> str:
    """The picture of charts below each other; the bars of a chart begin at zero."""
    parts = [_text(12, 26, title, 16)]
    y = _TOP
    for chart in charts:
        parts.append(_text(12, y + 16, f"{chart.title}, {chart.unit}", 13))
        parts += _rows(chart, y + 24)
        y += 24 + _ROW * len(chart.runs) + _GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{y}" fill="#fff"/>', *parts, "</svg>\n"])


def _rows(chart: Chart, top: int) -> list[str]:
    most = max((one for runs in chart.runs.values() for one in runs), default=0) or 1
    scale = (_WIDTH - _LABEL - 90) / most
    parts = []
    for number, (name, runs) in enumerate(chart.runs.items()):
        y, median = top + _ROW * number, statistics.median(runs)
        place = f'x="{_LABEL}" y="{y}" width="{median * scale:.1f}" height="{_ROW - 6}"'
        parts.append(f'<rect {place} fill="{_COLOURS[number % len(_COLOURS)]}" fill-opacity="0.6"/>')
        parts += [f'<circle cx="{_LABEL + one * scale:.1f}" cy="{y + 8}" r="2.5" fill="#222"/>' for one in runs]
        parts.append(_text(_LABEL - 8, y + 13, name, 12, "end"))
        parts.append(_text(_LABEL + round(max(runs) * scale) + 8, y + 13, f"{median:,.6g}", 12))
    return parts


def _text(x: float, y: float, text: str, size: int, anchor: str = "start") -> str:
    place = f'x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="#222"'
    return f'<text {place} font-family="sans-serif">{escape(text)}</text>'
