"""What a run of `sendpool send` has sent: a file beside that of the recipients, a line for each request.

A run that is interrupted goes on by it. It is a comfort, not the safeguard: a request that was under way has the same
idempotency key when it is made again, so it is carried out once, with a journal or without.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO


class Journal:
    """The operations that a run has begun, by the idempotency keys of their requests."""

    def __init__(self, path: Path | None) -> None:
        """*path*: None keeps nothing. Raises OSError."""
        self._path = path
        self._file: TextIO | None = None
        self._begun = _read(path) if path is not None else {}

    def find(self, key: str) -> str | None:
        """The operation that a request of this key has made, in this run or an earlier one."""
        return self._begun.get(key)

    def note(self, key: str, operation: str, recipients: int) -> None:
        """Keep what a request has made; on the disk when this returns."""
        self._begun[key] = operation
        if self._file is None:
            return
        self._file.write(json.dumps({"key": key, "operationId": operation, "recipients": recipients}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        if self._path is not None:
            _end_last_line(self._path)
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def _read(path: Path) -> dict[str, str]:
    begun = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            kept = json.loads(line)
            begun[str(kept["key"])] = str(kept["operationId"])
        except (ValueError, KeyError, TypeError):
            # A line that was being written when the machine stopped; its request has its key.
            continue
    return begun


def _end_last_line(path: Path) -> None:
    """What follows a line that was cut off must not become part of it."""
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return
    if written and not written.endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")
