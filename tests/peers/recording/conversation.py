"""A conversation between a connector and a peer that is not ours, kept as one readable file.

Relays stand between the two (one for each way in which connections are made), tell a reader of the protocol what goes
by, and change nothing. What is written down is masked as in the logs; what is heard stays in memory whole, for a test
to judge.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tests.peers.recording.masking import Mask

from sendpool.testing.proxy import Proxy

#: Where CI and people find the conversations of the last run.
FOLDER = Path(__file__).parents[3] / "build" / "conversations"
#: Words of an arrow: who speaks.
SAYS, HEARS = ">", "<"


class Said(NamedTuple):
    """One PDU, request, answer or line."""

    #: From whoever made the connection.
    forth: bool
    #: "submit_sm", "POST /v2/messages", "MAIL".
    what: str
    fields: Mapping[str, object]
    #: As it was, for judges: the body of a request, an answer, a message.
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reader(Protocol):
    """Reads one connection of a protocol."""

    def hear(self, forth: bool, octets: bytes) -> Iterable[Said]:
        """What these octets complete."""


class Heard(NamedTuple):
    """Something said, when (seconds since the beginning), and by whom."""

    at: float
    by_connector: bool
    said: Said


class Conversation:
    """All that was said between a connector and a peer."""

    def __init__(self, connector: str, peer: str, about: str, secrets: Sequence[str] = ()) -> None:
        """*peer*: a word for the file's name; *about*: who that is, with version; *secrets* are hidden everywhere."""
        self.connector, self.peer, self._about = connector, peer, about
        self.secrets = tuple(secrets)
        self._mask = Mask(secrets)
        self._began = time.monotonic()
        self.heard: list[Heard] = []

    def relay(self, port: int, reader: Callable[[], Reader], *, from_peer: bool = False) -> Proxy:
        """A relay to a port of this machine; *from_peer*: the peer connects by it, and not the connector."""
        return _Relay(self, port, reader, from_peer)

    def keep(self, said: Said, *, by_connector: bool) -> None:
        """Write something down."""
        self.heard.append(Heard(time.monotonic() - self._began, by_connector, said))

    def said(self, what: str, *, by_connector: bool) -> list[Said]:
        """All of a kind that one of the two has said: *what* is how its title begins."""
        return [one.said for one in self.heard if one.by_connector is by_connector and one.said.what.startswith(what)]

    def write(self) -> Path:
        """Keep it under `FOLDER`, in place of the one before."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self.connector}-{self.peer}.txt"
        path.write_text("\n".join(self._lines()) + "\n", encoding="utf-8")
        return path

    def _lines(self) -> Iterable[str]:
        yield f"The connector {self.connector} (>) and {self._about} (<)."
        yield f"Recorded {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; seconds since the beginning."
        yield "Texts, secrets and numbers are masked as in the logs."
        for before, one in zip([None, *self.heard], self.heard, strict=False):
            if before is None or before.said.fields or one.said.fields or before.by_connector is not one.by_connector:
                yield ""
            yield f"{one.at:9.3f} {SAYS if one.by_connector else HEARS} {self._mask.line(one.said.what)}"
            for name, value in self._mask.fields(one.said.fields).items():
                yield f"{'':12}{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


class _Relay(Proxy):
    """Passes octets on and tells a conversation of them."""

    def __init__(self, conversation: Conversation, port: int, reader: Callable[[], Reader], from_peer: bool) -> None:
        super().__init__(port=port)
        self._conversation, self._reader, self._from_peer = conversation, reader, from_peer

    def listener(self) -> Callable[[bool, bytes], None]:
        """Reads one connection."""
        reader = self._reader()

        def hear(forth: bool, octets: bytes) -> None:
            for said in reader.hear(forth, octets):
                self._conversation.keep(said, by_connector=said.forth is not self._from_peer)

        return hear


def json_of(said: Said) -> Any:
    """The document that it carries."""
    return json.loads(said.body)
