"""What the server and the process that hands events over say to each other: lines of JSON, on its standard streams."""

from __future__ import annotations

import msgspec

from sendpool.store.deliveries import Progress

#: Bytes of a line between the two at most.
LONGEST_LINE = 8 * 1024 * 1024


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The first line that the notifier is told."""

    database: str
    #: Whether that is a file.
    file: bool
    #: Base 64: opens what is stored encrypted.
    key: str
    allow_private_networks: tuple[str, ...]
    log_level: str
    log_json: bool | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the notifier says: progress to be made durable, answered by its number; and what has become of batches."""

    number: int
    progress: Progress
    #: By the sid of a sink: events by "taken" and "refused".
    counts: dict[str, dict[str, int]] = {}
    #: Sids of sinks that take nothing now.
    down: frozenset[str] = frozenset()
