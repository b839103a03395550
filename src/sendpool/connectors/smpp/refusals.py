"""What a command_status other than 0 means for the submit that it answers."""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.connectors.base import Outcome, Rejected, Throttled, Uncertain
from sendpool.connectors.smpp.status import code_text, describe
from sendpool.domain.failures import FailureClass, classify


class Refusals:
    """The outcomes of one connection's refusals; each status is looked up once."""

    def __init__(self, overrides: Mapping[str, FailureClass]) -> None:
        """*overrides* are the carrier's own codes, as `settings.status_overrides` gives them."""
        self._overrides = overrides
        self._known: dict[tuple[int, bool], Outcome] = {}

    def outcome(self, status: int, *, late: bool) -> Outcome:
        """The outcome of a submit answered with *status*; *late*: it had counted as uncertain already."""
        known = self._known.get((status, late))
        return known or self._known.setdefault((status, late), self._classify(status, late=late))

    def _classify(self, status: int, *, late: bool) -> Outcome:
        code = code_text(status)
        found = classify("smpp", code, self._overrides)
        if found.failure is FailureClass.AMBIGUOUS:
            return Uncertain(describe(status))
        if found.failure is FailureClass.THROTTLED and not late:
            return Throttled("connection", None, code)
        # A late throttle settles an attempt that counts as uncertain: as refused, it cannot be as if never tried.
        scope = "connection" if found.failure is FailureClass.THROTTLED else found.scope
        return Rejected(found.failure, code, scope, found.rule)
