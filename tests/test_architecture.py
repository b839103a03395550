"""Imports point one way: cli > runtime > console > admin, api > pipeline > store, connectors > domain.

`ALLOWED` is that sentence as a table. Beside it stand: `config`, read by cli and runtime and passed down as values;
the leaves `aside`, `collecting`, `failpoints`, `logs`, `metrics` and `tracing`, which know nothing of the rest;
`simulate` and `testing`, which may use what is below runtime and which nothing but the command line uses.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

_LEAVES = ("aside", "collecting", "failpoints", "logs", "metrics", "tracing")
_BELOW_API = ("pipeline", "store", "connectors.base", "domain", *_LEAVES)
_BELOW_RUNTIME = ("admin", "api", "console", "config", "connectors", *_BELOW_API)

#: What a part may import, besides itself and the package's version. The longest name that fits a module counts.
ALLOWED: dict[str, tuple[str, ...]] = {
    "__main__": ("cli",),
    "cli": ("runtime", "simulate", "client", *_BELOW_RUNTIME),
    "client": (),
    "runtime": ("notifying", *_BELOW_RUNTIME),
    "notifying": _BELOW_RUNTIME,
    "fronting": _BELOW_RUNTIME,
    "admin": _BELOW_API,
    "api": _BELOW_API,
    "console": ("admin", "api", *_BELOW_API),
    "pipeline": ("store", "connectors.base", "connectors.registry", "domain", *_LEAVES),
    "store": ("domain",),
    "connectors": (
        "connectors.base",
        "connectors.web",
        "connectors.one_by_one",
        "connectors.guard",
        "connectors.media",
        "connectors.sinks",
        "domain",
        "failpoints",
    ),
    "connectors.base": ("domain",),
    "connectors.registry": ("connectors.base",),
    "domain": (),
    "config": ("connectors.base", "connectors.registry", "domain"),
    "aside": (),
    "collecting": (),
    "failpoints": (),
    "logs": (),
    "metrics": ("request_metrics",),
    "request_metrics": (),
    "tracing": (),
    "simulate": _BELOW_RUNTIME,
    "testing": _BELOW_RUNTIME,
}

#: Only the store speaks SQL, and the suite that every store has to pass.
SQL_PLACES = (
    "sendpool.store",
    "sendpool.testing.store_suite",
    "sendpool.testing.store_rows",
    "sendpool.testing.store_rig",
)
SQL = frozenset({"aiosqlite", "alembic", "asyncpg", "psycopg", "sqlalchemy", "sqlite3"})

#: The domain takes `now` and chances as arguments and touches nothing.
IMPURE = frozenset(
    {"asyncio", "concurrent", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random"}
    | {"secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys"}
    | {"tempfile", "threading", "time", "urllib", "uuid"}
)
IMPURE_CALLS = frozenset({"open", "print", "input", "now", "utcnow", "today"})


@cache
def read_source() -> dict[str, str]:
    """Every module of the package with its text."""
    found = {}
    for path in sorted(SOURCE.glob("sendpool/**/*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def violations(modules: Mapping[str, str]) -> list[str]:
    """In *modules*, every import (and in the domain, every call) that the rules above forbid, in words."""
    found = []
    for module, text in modules.items():
        tree = ast.parse(text)
        for target in _imports(tree):
            if reason := _forbidden(module, target):
                found.append(f"{module} imports {target}: {reason}")
        if _is_in(module, "sendpool.domain"):
            found += [f"{module} calls {name}(): the domain is pure" for name in _impure_calls(tree)]
    return found


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in read_source() else str(node.module) for name in inner)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level


def _impure_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in IMPURE_CALLS:
                yield name


def _forbidden(module: str, target: str) -> str:
    """Why *module* may not import *target*; empty if it may."""
    if target.startswith("."):
        return "imports are absolute"
    top = target.partition(".")[0]
    if top != "sendpool":
        return _forbidden_outside(module, top)
    if target == "sendpool" or module == "sendpool":
        return "" if target == "sendpool" else "the package itself imports nothing"
    part = _part(module)
    own = _own(module, part)
    if any(_is_in(target, f"sendpool.{allowed}") for allowed in (own, *ALLOWED[part])):
        return ""
    return f"{part} may import only {', '.join(ALLOWED[part]) or 'nothing of ours'}"


def _forbidden_outside(module: str, top: str) -> str:
    if top in SQL and not any(_is_in(module, place) for place in SQL_PLACES):
        return "only store/ speaks SQL"
    if not _is_in(module, "sendpool.domain"):
        return ""
    if top in IMPURE:
        return "the domain is pure"
    return (
        ""
        if top in sys.stdlib_module_names or top == "msgspec"
        else "the domain needs the standard library and msgspec"
    )


def _part(module: str) -> str:
    name = module.removeprefix("sendpool.")
    return max((part for part in ALLOWED if _is_in(name, part)), key=len)


def _own(module: str, part: str) -> str:
    """What a module may always import: its own part; inside connectors/ that is its own folder and base."""
    name = module.removeprefix("sendpool.")
    if part != "connectors" or name == "connectors":
        return part
    return ".".join(name.split(".")[:2])


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_imports_point_one_way() -> None:
    assert violations(read_source()) == []


def test_every_module_belongs_to_a_part() -> None:
    unplaced = [
        module
        for module in read_source()
        if module != "sendpool" and module.split(".")[1] not in {part.split(".")[0] for part in ALLOWED}
    ]

    assert unplaced == [], "say in ALLOWED what it may import"


def test_no_part_may_import_in_a_circle() -> None:
    parts = {name: {part for part in allowed if part in ALLOWED} for name, allowed in ALLOWED.items()}

    while free := [name for name, needs in parts.items() if not needs - {name}]:
        for name in free:
            del parts[name]
        for needs in parts.values():
            needs.difference_update(free)

    assert parts == {}


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("sendpool.domain.states", "import time"),
        ("sendpool.domain.states", "from asyncio import sleep"),
        ("sendpool.domain.states", "import structlog"),
        ("sendpool.domain.states", "from sendpool.store import tables"),
        ("sendpool.domain.states", "from datetime import datetime\nat = datetime.now()"),
        ("sendpool.domain.states", "text = open('x').read()"),
        ("sendpool.store.tables", "from sendpool.pipeline.engine import Engine"),
        ("sendpool.store.tables", "from sendpool.connectors.base import Inbox"),
        ("sendpool.pipeline.engine", "def late():\n    import sqlalchemy"),
        ("sendpool.pipeline.engine", "from sqlite3 import OperationalError"),
        ("sendpool.pipeline.engine", "from sendpool.api import problems"),
        ("sendpool.pipeline.engine", "from sendpool.config import Config"),
        ("sendpool.pipeline.engine", "from sendpool.connectors.smpp import pdu"),
        ("sendpool.pipeline.engine", "from . import accept"),
        ("sendpool.connectors.smpp.connector", "from sendpool.connectors.sandbox import magic"),
        ("sendpool.connectors.smpp.connector", "from sendpool.connectors.registry import connector_type"),
        ("sendpool.connectors.smpp.connector", "from sendpool.metrics import Metrics"),
        ("sendpool.connectors.base", "from sendpool.connectors import smpp"),
        ("sendpool.api.app", "from sendpool.console import pages"),
        ("sendpool.api.app", "import sendpool.runtime"),
        ("sendpool.admin.server", "from sendpool.api.auth import Accounts"),
        ("sendpool.runtime", "from sendpool.simulate import centre"),
        ("sendpool.runtime", "from sendpool.cli import main"),
        ("sendpool.metrics", "from sendpool.domain import states"),
        ("sendpool.logs", "from sendpool import config"),
        ("sendpool.simulate.centre", "from sendpool import runtime"),
        ("sendpool.simulate.centre", "from sendpool.testing import clock"),
    ],
)
def test_checker_finds_a_planted_violation(module: str, line: str) -> None:
    assert violations({module: line})


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("sendpool.connectors.smpp.connector", "from sendpool.connectors.smpp import pdu"),
        ("sendpool.connectors.smpp.connector", "from sendpool.connectors.base import Inbox"),
        ("sendpool.connectors.rcs.connector", "from sendpool.connectors.web import WebConnector"),
        ("sendpool.pipeline.engine", "from sendpool import metrics"),
        ("sendpool.api.app", "from sendpool import __version__"),
        ("sendpool.store.sqlite", "import sqlite3, asyncio"),
        ("sendpool.domain.states", "from datetime import datetime\nimport msgspec, tomllib"),
        ("sendpool.cli", "from sendpool import runtime, simulate"),
    ],
)
def test_checker_lets_pass_what_is_allowed(module: str, line: str) -> None:
    assert violations({module: line}) == []
