"""What must hold of every explanation, whatever it explains."""

from __future__ import annotations

from sendpool.domain.explanation import Explanation
from sendpool.domain.reasons import Reason, Verdict

#: The fields that design §9 fixes, of the whole ("") and of its parts.
KEYS = {
    "": {"messageId", "plan", "candidates", "attempts"},
    "plan": {"channel", "address", "outcome", "reason"},
    "candidates": {"senderId", "address", "verdict", "reason"},
    "attempts": {"attemptId", "senderId", "class", "code", "rule", "tableVersion", "next"},
}


def complete(found: Explanation) -> None:
    """Check that an explanation leaves nothing open. Raises AssertionError."""
    assert found.text.endswith("."), found.text
    for step in found.plan:
        assert step.text.endswith("."), step
    for candidates in (found.candidates, *(one.candidates for one in found.attempts)):
        if not isinstance(candidates, list):
            continue
        for candidate in candidates:
            assert Reason(candidate.reason).verdict is candidate.verdict, candidate
            assert candidate.text.endswith("."), candidate
        taken = [one for one in candidates if one.verdict is Verdict.TAKEN]
        assert len(taken) <= 1, candidates
    for attempt in found.attempts:
        assert attempt.text.endswith("."), attempt
        assert attempt.state == "STARTED" or attempt.next is not None, attempt
        assert attempt.failure is not None or attempt.state in ("STARTED", "AMBIGUOUS"), attempt
