"""What nodes tell each other when they commit: at most one small notice per transaction.

A notice is a hint: whoever misses one finds the same by looking, about once a second. PostgreSQL alone has others to
tell; it hands a notice over when the transaction that carries it commits.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sendpool.store.database import Query, Script

#: The channel of LISTEN and NOTIFY; others who use the same database do not meet it by accident.
CHANNEL = "sendpool_nodes"
#: Queues that a notice names; with more, whoever hears it looks at all.
MOST_QUEUES = 200


#: Who tells it where no node does: a command.
NOBODY = 0


class Signal(msgspec.Struct, frozen=True, omit_defaults=True):
    """One notice."""

    #: The node that sent it, which does not listen to itself.
    node: int
    #: Queues that got rows; None: too many to name.
    queues: Sequence[int] | None = ()
    #: The lowest rank of those rows, queue by queue.
    ranks: Sequence[int] = ()
    #: Senders, pools, accounts, keys or limits have changed.
    roster: bool = False
    #: A lease is free, or nodes have changed.
    leases: bool = False
    #: There are chunks to expand, or rows that are due soon: the keeper is wanted.
    keeper: bool = False
    #: Somebody has opted out.
    consent: bool = False
    #: (message, attempt) to be taken back by whoever has its connection.
    revokes: Sequence[tuple[int, int]] = ()

    def __bool__(self) -> bool:
        return self.queues is None or bool(
            self.queues or self.roster or self.leases or self.keeper or self.consent or self.revokes
        )


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Signal).decode


def notify(signal: Signal) -> Script[None]:
    """Tell the others once this transaction is committed."""
    if signal.queues is not None and len(signal.queues) > MOST_QUEUES:
        signal = msgspec.structs.replace(signal, queues=None, ranks=())
    yield Query("SELECT pg_notify(?, ?)", (CHANNEL, _encode(signal).decode()))


def read_signal(text: str) -> Signal | None:
    """What was told; None for what another version says."""
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return None
