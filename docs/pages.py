"""Pages that are made of the code whenever the site is: states, settings, commands, decisions. A hook of MkDocs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from sendpool import config
from sendpool.config import Setting
from sendpool.domain import states

ROOT = Path(__file__).parents[1]

_MACHINES: tuple[tuple[str, Mapping[Any, Iterable[IntEnum]], IntEnum], ...] = (
    ("Message", states.MESSAGE_MOVES, states.MessageState.QUEUED),
    ("Attempt", states.ATTEMPT_MOVES, states.AttemptState.STARTED),
    ("Operation", states.OPERATION_MOVES, states.OperationState.PROCESSING),
)
_TABLES = (
    ("[server]", config.SERVER_SETTINGS),
    ("[[connections]]", config.CONNECTION_SETTINGS),
    ("[[connections.senders]]", config.SENDER_SETTINGS),
    ("[[pools]]", config.POOL_SETTINGS),
    ("[[pools.members]]", config.MEMBER_SETTINGS),
    ("[[scopes]]", config.SCOPE_SETTINGS),
)


def diagram(moves: Mapping[Any, Iterable[IntEnum]], first: IntEnum) -> str:
    """A state machine as Mermaid draws it. A final state has no way out."""
    lines = ["stateDiagram-v2", f"    [*] --> {first.name}"]
    for state, following in moves.items():
        lines += [f"    {state.name} --> {new.name}" for new in sorted(following)]
        if not following:
            lines.append(f"    {state.name} --> [*]")
    return "\n".join(lines)


def states_page() -> str:
    """Where messages, attempts and operations may stand, and what follows on what."""
    parts = ["# States", "They only move forward. These pictures are drawn from the tables that the server obeys."]
    for name, moves, first in _MACHINES:
        parts.append(f"## {name}\n\n```mermaid\n{diagram(moves, first)}\n```")
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Every setting of the file."""
    parts = ["# Settings", "Of `sendpool.toml`. Those of `[server]` have a variable too, which goes before the file."]
    for table, settings in _TABLES:
        rows = "\n".join(_row(setting) for setting in settings)
        parts.append(f"## {table}\n\n| setting | default | |\n|---|---|---|\n{rows}")
    return "\n\n".join(parts) + "\n"


def _row(setting: Setting) -> str:
    default = "needed" if setting.required else f"`{setting.default}`" if setting.default not in (None, "", ()) else ""
    return f"| `{setting.key}` | {default} | {_cell(setting.help)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def decisions_page() -> str:
    """The decisions, the latest first."""
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"), reverse=True)
    titles = [(page.name, page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")) for page in pages]
    rows = "\n".join(f"- [{title}]({name})" for name, title in titles)
    return f"# Decisions\n\nWhy it is not the obvious way: a page each.\n\n{rows}\n"


def commands_page() -> str:
    """Every command with its arguments."""
    from sendpool.cli import app

    return app.generate_docs(output_format="markdown", recursive=True)


PAGES = {
    "reference/states.md": states_page,
    "reference/settings.md": settings_page,
    "reference/commands.md": commands_page,
    "adr/index.md": decisions_page,
}


def without_links_outside(markdown: str, page: Path, root: Path) -> str:
    """A page whose links to files that are no pages are their names alone."""

    def plain(found: re.Match[str]) -> str:
        target = (page.parent / found[2]).resolve()
        return found[0] if target.is_relative_to(root) and target.suffix == ".md" else f"`{found[1].strip('`')}`"

    return re.sub(r"\[([^\]]+)\]\((?!https://|#)([^)#]+)\)", plain, markdown)


def on_files(files: Any, config: Any) -> Any:
    """MkDocs: add what is made."""
    from mkdocs.structure.files import File

    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=make()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs: a page before it is rendered."""
    del files
    root = Path(config["docs_dir"])
    return without_links_outside(markdown, root / page.file.src_path, root)
