"""Who may pass: requests of the console come with its cookie, and those that change something with its token."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from sendpool.api.exchange import CALLER, refusal, respond
from sendpool.api.problems import UNAUTHENTICATED
from sendpool.console.sessions import TOKEN_HEADER, Session, Sessions, cookie_of
from sendpool.domain.request import Problem, Refused

_READS = ("GET", "HEAD")


class Gate:
    """A resource of the API behind the console's session instead of HTTP Basic."""

    def __init__(self, sessions: Sessions, resource: ASGIApp) -> None:
        self._sessions = sessions
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on that may pass, as one of the session's account."""
        headers = dict(scope["headers"])
        session = self._sessions.read(cookie_of(headers))
        if session is None:
            problem = Problem(UNAUTHENTICATED, "you are not signed in, or your session is over; sign in again")
            await respond(scope, send, refusal(Refused(problem, status=401)))
        elif scope["method"] not in _READS and not _knows_token(headers, session):
            problem = Problem(
                UNAUTHENTICATED, "the request does not carry the token of its session; reload the console"
            )
            await respond(scope, send, refusal(Refused(problem, status=403)))
        else:
            await self._resource({**scope, CALLER: session.caller}, receive, send)


def _knows_token(headers: dict[bytes, bytes], session: Session) -> bool:
    return hmac.compare_digest(headers.get(TOKEN_HEADER, b""), session.token.encode())
