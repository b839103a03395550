"""Pages without scripts, fonts or anything from elsewhere: they read well on a machine that reaches nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6675; --line: #dfe3e9; --paper: #fff; --tint: #f5f7fa;
  --link: #0b5cad; --get: #16704a; --post: #0b5cad; --patch: #8a5a00; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #9aa5b4; --line: #2d3644; --paper: #12161d;
  --tint: #1a2029; --link: #7db4f5; --get: #5fc496; --post: #7db4f5; --patch: #e0b15a; --delete: #f2877f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main, header > div { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
header { background: var(--tint); border-bottom: 1px solid var(--line); padding: 1.5rem 0 1.25rem; }
header p { margin: .3rem 0 0; color: var(--soft); }
main { padding-top: .75rem; padding-bottom: 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; } p { margin: .5rem 0; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
code, pre { font: .875em/1.5 ui-monospace, monospace; } code { overflow-wrap: anywhere; }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: 6px; padding: .75rem 1rem;
  overflow-x: auto; }
table { width: 100%; border-collapse: collapse; margin: .5rem 0 1rem; font-size: .94rem; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .8rem; }
th, td { padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { white-space: nowrap; }
details { border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0; }
details > summary { cursor: pointer; padding: .55rem .9rem; } details[open] > summary { background: var(--tint);
  border-bottom: 1px solid var(--line); border-radius: 8px 8px 0 0; } details > div { padding: .25rem .9rem .75rem; }
summary span { color: var(--soft); margin-left: .6rem; }
.method { display: inline-block; min-width: 4.9rem; font-weight: 700; }
.get { color: var(--get); } .post { color: var(--post); } .patch { color: var(--patch); }
.delete { color: var(--delete); }
.ours { border: 1px solid var(--line); border-radius: 99px; padding: 0 .5rem; font-size: .75rem; color: var(--soft); }
nav a { margin-right: .75rem; white-space: nowrap; }
.scroll { overflow-x: auto; }
@media (max-width: 40rem) { summary span { display: block; margin: 0; } td:first-child { white-space: normal; } }
"""


def page(title: str, subtitle: str, *parts: str, above: str = "") -> bytes:
    """A whole page. *subtitle* and *parts* are HTML; *above* goes before the title."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Sendpool</title><style>{_STYLE}</style></head>
<body><header><div>{above}<h1>{escape(title)}</h1><p>{subtitle}</p></div></header>
<main>{"".join(parts)}</main></body></html>
""".encode()


def prose(text: str) -> str:
    """A text of ours: `code`, [links](to) and nothing else."""
    shown = escape(text, quote=False)
    shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", shown)
    return re.sub(r"\[([^]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', shown)


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of HTML cells; nothing where there are no rows."""
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    if not lines:
        return ""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def code(text: object) -> str:
    """A word of the wire."""
    return f"<code>{escape(str(text), quote=False)}</code>"


def listing(value: Any) -> str:
    """A JSON value, indented."""
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False), quote=False)}</pre>"
