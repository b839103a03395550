"""Which schemas this version of sendpool knows: told by the names of its migrations, without loading what runs them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_STEPS = Path(__file__).with_name("migrations") / "versions"


class SchemaTooNew(Exception):
    """The database was written by a newer sendpool; this one does not know its schema."""


@cache
def known_revisions() -> frozenset[str]:
    """The revisions of every schema so far, four digits each."""
    return frozenset(path.name[1:5] for path in _STEPS.glob("v[0-9][0-9][0-9][0-9]_*.py"))


def newest_revision() -> str:
    """The revision of this version's schema."""
    return max(known_revisions())
