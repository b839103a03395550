"""What the words of `sendpool send` mean: the request, who sends it, and where recipients come from."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sendpool.cli.api import pool_of
from sendpool.cli.recipient_file import Mapped, Recipient, WrongLine, read_recipients
from sendpool.client import Client


class Source:
    """Where recipients come from; read twice, first to check everything."""

    def __init__(self, file: Path | None, to: Sequence[str], mapped: Mapped) -> None:
        self._file = file
        self._to = to
        self._mapped = mapped
        self._text = sys.stdin.read() if str(file) == "-" else None

    def check(self) -> tuple[list[WrongLine], int]:
        """Lines that are wrong, and how many are not. Raises WrongFile and OSError."""
        wrong, count = [], 0
        for found in self._read():
            if isinstance(found, WrongLine):
                wrong.append(found)
            else:
                count += 1
        return wrong, count

    def recipients(self) -> Iterator[Recipient]:
        """Those of lines that are right."""
        return (found for found in self._read() if isinstance(found, Recipient))

    def _read(self) -> Iterator[Recipient | WrongLine]:
        named = io.StringIO("address\n" + "\n".join(self._to))
        yield from read_recipients(named, self._mapped._replace(address=None, variables={}), json_lines=False)
        if self._file is None:
            return
        text = self._text
        with self._file.open(encoding="utf-8", newline="") if text is None else io.StringIO(text, newline="") as lines:
            first = (text or "")[:1] if text is not None else ""
            as_json = self._file.suffix in (".jsonl", ".ndjson") or first in ("{", '"')
            yield from read_recipients(lines, self._mapped, json_lines=as_json)


def said(text: str | None, file: Path | None) -> str | None:
    """What is said. Raises OSError."""
    return text if file is None else file.read_text(encoding="utf-8").removesuffix("\n")


def pairs(given: Sequence[str]) -> dict[str, str]:
    """Names and values of "name=value". Raises ValueError."""
    found = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not (sign and name and value):
            raise ValueError(f'"{one}" is not name=value')
        found[name] = value
    return found


def body_of(
    text: str | None,
    content_id: str | None,
    media: Sequence[str],
    tags: dict[str, str],
    send_at: str | None,
    more: dict[str, Any],
) -> dict[str, Any]:
    """The request without its recipients and its sender. Raises ValueError."""
    if (text is None and not media) == (content_id is None):
        raise ValueError("say what is sent: --text, --text-file or --media, or --content-id")
    said: dict[str, Any] = {"contentId": content_id} if content_id else {"text": text}
    if media:
        said["media"] = [{"url": one} for one in media]
    body = {
        "content": {name: value for name, value in said.items() if value is not None},
        "schedule": {"sendAt": [send_at]} if send_at else None,
        "tags": tags or None,
        **more,
    }
    return {name: value for name, value in body.items() if value is not None}


def sender_of(client: Client, named: str) -> dict[str, Any]:
    """The `from` of a pool or a sender. Raises ValueError and ClientError."""
    if named.startswith("comms_senderpool_"):
        return {"senderPoolId": named}
    if named.startswith("comms_sender_"):
        return {"senderId": named}
    if any(pool.name == named for pool in client.pools.list()):
        return {"senderPoolId": pool_of(client, named)}
    senders = [sender.id for sender in client.senders.list() if sender.address == named]
    if len(senders) == 1:
        return {"senderId": senders[0]}
    if senders:
        raise ValueError(f"{named} sends on {len(senders)} channels; give an id: {', '.join(senders)}")
    raise ValueError(f'no pool and no sender is called "{named}"; `sendpool pools list` names them')
