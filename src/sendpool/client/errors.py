"""What can go wrong with a call: one tree, and each error says what to do."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request."""

    code: int
    message: str
    #: Where in the request it is ("$.to[3].address").
    context: str | None = None

    def __str__(self) -> str:
        """In a line."""
        place = f"{self.context}: " if self.context else ""
        return f"{place}{self.message} ({self.code})"


class ClientError(Exception):
    """A call that did not bring what it was for."""

    #: What to do about it.
    advice = "look at the message"

    def __init__(self, message: str, advice: str | None = None) -> None:
        """*message* says what happened; *advice* what to do, else what all errors of the class have in common."""
        self.advice = advice or self.advice
        super().__init__(message)

    def __str__(self) -> str:
        """What happened and what to do."""
        return f"{self.args[0]}; {self.advice}"


class Unreachable(ClientError):
    """Nobody answered, and nothing was sent."""

    advice = "check the base URL, and that the server runs and can be reached from here"


class OutcomeUnknown(ClientError):
    """The answer to a send was lost: it may have been accepted, or not."""

    advice = "send again with the same idempotency key, or look for it among the operations before you send again"


class TookTooLong(ClientError):
    """What was waited for has not happened in time. It goes on all the same."""

    advice = "wait again, with more time"


class UnexpectedAnswer(ClientError):
    """Something answered that does not speak this API."""

    advice = "check that the base URL is that of the API"


class Refused(ClientError):
    """The API said no."""

    def __init__(self, status: int, problems: tuple[Problem, ...], retry_after: float | None = None) -> None:
        """*status* is that of HTTP; *problems* has at least one entry; *retry_after* is in seconds."""
        self.status = status
        self.problems = problems
        self.retry_after = retry_after
        super().__init__(f"{status}: {_told(problems)}")

    @property
    def code(self) -> int:
        """The error code of the first problem; `/docs/errors/<code>` of a Sendpool server explains it."""
        return self.problems[0].code


class BadRequest(Refused):
    """400 or 413: the request is not valid."""

    advice = "correct what is named and send it again"


class Unauthorized(Refused):
    """401: the credentials are missing or wrong."""

    advice = "check the account SID (or API key SID) and its token"


class Forbidden(Refused):
    """403: the credentials do not allow it."""

    advice = "use an account or a key that may do this"


class NotFound(Refused):
    """404: there is no such thing in this account, or no more."""

    advice = "check the id and the account; what has ended is removed after some days"


class Conflict(Refused):
    """409: it collides with the present state, or with another request of the same idempotency key."""

    advice = "read the present state first; take a new idempotency key for a new request"


class TooMany(Refused):
    """429: too fast, or too much waits already; what may be repeated has been."""

    advice = "slow down, and send again after `retry_after` seconds"


class ServerFault(Refused):
    """5xx: the server's own fault; what may be repeated has been."""

    advice = "try again later; if it stays, look into the server's log"


_BY_STATUS: dict[int, type[Refused]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: BadRequest,
    429: TooMany,
}

#: Problems that a message repeats; all are in `problems`.
_FEW = 5


def _told(problems: tuple[Problem, ...]) -> str:
    more = len(problems) - _FEW
    return ", ".join(map(str, problems[:_FEW])) + (f", and {more} more" if more > 0 else "")


def refusal(status: int, problems: tuple[Problem, ...], retry_after: float | None) -> Refused:
    """The error that an answer of this status is."""
    kind = _BY_STATUS.get(status, ServerFault if status >= 500 else Refused)
    return kind(status, problems, retry_after)
