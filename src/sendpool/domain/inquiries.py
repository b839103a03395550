"""When a carrier is asked what became of a message that nobody has reported. Pure."""

from __future__ import annotations

#: Each wait is so many times as long as the one before: what is not over soon mostly never is.
LONGER = 4
#: Seconds after which a message is asked for no more. Carriers forget, and some never tell.
GIVEN_UP_AFTER = 3 * 86_400.0


def wait_after(asked: int, first: float) -> float | None:
    """Seconds from the last question (or from the acceptance) to the next one; None: there is none.

    *asked* is how often it was asked already, *first* the first wait, in seconds.
    """
    waited = first * (LONGER**asked - 1) / (LONGER - 1)
    wait = first * LONGER**asked
    return wait if waited + wait <= GIVEN_UP_AFTER else None
