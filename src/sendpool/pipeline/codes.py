"""Note the codes that carriers answer with, so that an operator can say what those mean that nobody knows.

A code nobody knows raises one alarm, however often it comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import structlog

from sendpool.metrics import Metrics
from sendpool.store.codes import Code

log = structlog.get_logger()

#: Characters of a code that are kept, and codes of one connection; further ones are counted together.
LONGEST, MOST = 64, 500
OTHER = "other"


class CodeBook:
    """The codes seen so far. Decisions ask it on the writer's thread alone."""

    def __init__(self, metrics: Metrics, name_of: Callable[[int], str]) -> None:
        """*name_of* gives a connection's name by its key."""
        self._metrics = metrics
        self._name_of = name_of
        self._seen: dict[int, set[tuple[str, str]]] = {}

    def load(self, known: Iterable[tuple[int, str, str]]) -> None:
        """Know the codes of earlier runs."""
        for connection_id, place, code in known:
            self._seen.setdefault(connection_id, set()).add((place, code))

    def note(self, codes: Mapping[Code, int]) -> Counter[Code]:
        """Codes as they are to be counted; each that nobody knows is told once."""
        noted: Counter[Code] = Counter()
        for code, n in codes.items():
            known = self._seen.setdefault(code.connection_id, set())
            short = code.code[:LONGEST]
            if (code.place, short) not in known and len(known) >= MOST:
                short = OTHER
            kept = code._replace(code=short)
            noted[kept] += n
            if (code.place, short) not in known:
                known.add((code.place, short))
                if not code.is_known:
                    self._tell(kept)
        return noted

    def _tell(self, code: Code) -> None:
        name = self._name_of(code.connection_id)
        self._metrics.unclassified(name, code.place).inc()
        log.warning(
            "a code that no table knows: it counts as a passing fault, once; say what it means in the configuration",
            connection=name,
            code=code.code,
            place=code.place,
        )
