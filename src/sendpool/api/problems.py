"""What is wrong with a request, as many things at once as can be found, in the contract's error shape."""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from sendpool.domain.request import Problem, Refused

#: The request is invalid, or asks for what is not built yet.
INVALID = 60701
#: Not an E.164 number.
BAD_NUMBER = 21211
#: E.164 in form, but no country has such numbers.
IMPOSSIBLE_NUMBER = 21614
TEXT_TOO_LONG = 21617
UNAUTHENTICATED = 20003
METHOD_NOT_ALLOWED = 20004
NOT_FOUND = 20404
CONFLICT = 20409
BODY_TOO_LARGE = 20413
NOT_JSON = 20415
TOO_MANY = 20429
INTERNAL = 20500
UNAVAILABLE = 20503

#: Problems that one answer lists; a last line says how many more there are.
MAX_PROBLEMS = 100
#: Characters of a field's name that a message repeats.
_SHOWN = 40


class ErrorDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of `errors`."""

    code: int
    message: str
    context: str | None = None


class ErrorResponse(msgspec.Struct, frozen=True):
    """The body of every error: `code` and `message` repeat the first entry, for clients that read a flat body."""

    errors: list[ErrorDetail]
    code: int
    message: str
    status: int


_encode = msgspec.json.Encoder().encode


def error_body(problems: tuple[Problem, ...], status: int) -> bytes:
    """The body of an answer that lists *problems* (at least one)."""
    errors = [ErrorDetail(*problem) for problem in problems]
    return _encode(ErrorResponse(errors, errors[0].code, errors[0].message, status))


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


class Findings:
    """Collects problems. Contexts are JSON paths of known fields; neither values nor variable names belong there."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._problems)

    def __len__(self) -> int:
        """How many problems there are."""
        return len(self._problems) + self._more

    def add(self, message: str, context: str | None = None, code: int = INVALID) -> None:
        """Note a problem at *context* ("$.to[0].address"; None: the request as a whole)."""
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(code, message, context))
        else:
            self._more += 1

    def not_built(self, field: str, context: str | None) -> None:
        """Note a field that we know but cannot carry out yet: it is refused, never ignored."""
        self.add(f"{field} is not supported by this version of Sendpool; leave it out", context)

    def unknown(self, field: str, known: tuple[str, ...], context: str | None) -> None:
        """Note a field that nobody knows; *context* is the object that it stands in."""
        if len(self._problems) >= MAX_PROBLEMS:
            self._more += 1  # Looking for likely names is too dear for a list that is full.
            return
        shown = ascii(field[:_SHOWN])[1:-1]
        plain = {_plain(name): name for name in known}
        close = get_close_matches(_plain(field[:_SHOWN]), plain, n=1)
        hint = f"; did you mean {plain[close[0]]}?" if close else ""
        self.add(f'unknown field "{shown}"{hint}', context)

    def as_refused(self) -> Refused:
        """What was found (at least one problem) as an exception."""
        if self._more:
            return Refused(*self._problems, Problem(INVALID, f"and {self._more:,} more problems"))
        return Refused(*self._problems)

    def refuse(self) -> None:
        """Raise Refused with what was found, if anything was."""
        if self._problems:
            raise self.as_refused()


def not_found(what: str) -> Refused:
    """The 404 of a resource that does not exist, or belongs to somebody else."""
    return Refused(Problem(NOT_FOUND, f"there is no such {what}"), status=404)
