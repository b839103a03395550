"""Sessions: what a person and one of our senders write to each other, until the person is silent for a day. Pure.

24 hours after the last text of a person is also how long WhatsApp takes any content ("customer service window").
"""

from __future__ import annotations

from typing import NamedTuple

from sendpool.domain.keywords import Wish

#: Microseconds of silence that end a session; and between two answers to requests for help in one.
SILENCE = 24 * 3_600 * 1_000_000
HELP_AGAIN = 3_600 * 1_000_000


class Session(NamedTuple):
    """One session: its public id's bytes, and when (microseconds since 1970) it began and was last heard of."""

    uid: bytes
    began_at: int
    last_at: int
    #: When help was last answered, or 0.
    helped_at: int = 0


def heard(session: Session | None, uid: bytes, now: int) -> Session:
    """The session that a text belongs to that comes *now*; *uid* is for a new one."""
    if session is None or now - session.last_at >= SILENCE:
        return Session(uid, now, now)
    return session._replace(last_at=max(session.last_at, now))


def owes_reply(wish: Wish, session: Session, now: int, *, changed: bool) -> bool:
    """Whether a keyword is answered: each wish once, so that two machines do not answer each other for ever.

    *changed*: the ledger says something else since this text.
    """
    return now - session.helped_at >= HELP_AGAIN if wish is Wish.HELP else changed
