"""Every `error.code` that this server can emit, with all that is known about it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import msgspec

from sendpool.domain.consequences import class_of_code, rows_by_code, what_follows
from sendpool.domain.failures import Classified, FailureClass, api_code


class RequestError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code in an answer to a request."""

    status: int
    means: str
    remedy: str


class AttemptError(msgspec.Struct, frozen=True, kw_only=True):
    """A code of an attempt or message that failed. `done` says what Sendpool did about it, in sentences."""

    failure: FailureClass
    means: str
    remedy: str
    done: tuple[str, ...]
    advice: str
    more: str
    #: The carriers' codes that are shown as this one.
    rows: tuple[Classified, ...]


class ErrorCode(msgspec.Struct, frozen=True, kw_only=True):
    """One code: at least one of the two."""

    code: int
    request: RequestError | None
    attempt: AttemptError | None

    @property
    def means(self) -> str:
        """What it says, in a sentence."""
        told = self.attempt or self.request
        assert told is not None
        return told.means


def _texts() -> dict[str, Any]:
    return tomllib.loads(resources.files("sendpool.api.reference").joinpath("codes.toml").read_text(encoding="utf-8"))


@cache
def error_codes() -> Mapping[int, ErrorCode]:
    """Every code, in order."""
    texts = _texts()
    rows = rows_by_code()
    requests = {int(code): msgspec.convert(told, RequestError) for code, told in texts["requests"].items()}
    return MappingProxyType(
        {
            code: ErrorCode(code=code, request=requests.get(code), attempt=_attempt(code, rows.get(code), texts))
            for code in sorted(requests.keys() | rows.keys())
        }
    )


def _attempt(code: int, rows: tuple[Classified, ...] | None, texts: Mapping[str, Any]) -> AttemptError | None:
    failure = None if rows is None else class_of_code(code, rows)
    if rows is None or failure is None:
        return None
    told = api_code(code)
    return AttemptError(
        failure=failure,
        means=told.meaning,
        remedy=told.remedy,
        done=what_follows(failure),
        advice=texts["classes"][failure]["advice"],
        more=texts["codes"].get(str(code), {}).get("more", ""),
        rows=rows,
    )
