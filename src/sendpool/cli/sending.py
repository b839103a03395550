"""A run of `sendpool send`: recipients in requests of a thousand, each under the key that a repetition has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from sendpool.cli.journal import Journal
from sendpool.cli.recipient_file import Recipient
from sendpool.client import Client, ClientError, Refused, requests

_PLACE = re.compile(r"^\$\.to\[(\d+)\]")


class Run(NamedTuple):
    """What is sent, and how."""

    #: The request without its recipients, as the contract has it.
    body: Mapping[str, Any]
    #: Its name; another one sends the same recipients again.
    name: str
    #: Recipients of one request, at most 10,000.
    at_once: int


class Sent(NamedTuple):
    """What a run has done so far."""

    recipients: int
    #: Of them, those of requests that an earlier run had made.
    before: int
    operations: tuple[str, ...]


class Stopped(Exception):
    """A request was not carried out; what went before it was. The text says which lines it was about."""


def send_all(
    client: Client, run: Run, recipients: Iterable[Recipient], journal: Journal, tell: Callable[[Sent], None]
) -> Sent:
    """Send to all of them; *tell* hears of each request that is durable. Raises Stopped."""
    done = Sent(0, 0, ())
    for number, part in enumerate(_parts(recipients, run.at_once)):
        key = key_of(run, number, part, client.settings.base_url)
        operation = journal.find(key)
        made_before = operation is not None
        if operation is None:
            operation = _send(client, run, part, key)
            journal.note(key, operation, len(part))
        before = done.before + (len(part) if made_before else 0)
        done = Sent(done.recipients + len(part), before, (*done.operations, operation))
        tell(done)
    return done


def key_of(run: Run, number: int, part: Sequence[Recipient], server: str) -> str:
    """The idempotency key of a request: the same whenever the same command is run again, and no other."""
    said = [server, run.name, number, dict(run.body), [recipient.value for recipient in part]]
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:48]


def _parts(recipients: Iterable[Recipient], size: int) -> Iterator[list[Recipient]]:
    left = iter(recipients)
    while part := list(islice(left, size)):
        yield part


def _send(client: Client, run: Run, part: Sequence[Recipient], key: str) -> str:
    body = {"to": [recipient.value for recipient in part], **run.body}
    try:
        return client.do(requests.send_body(body, idempotency_key=key)).operation_id
    except Refused as refused:
        problems = "\n".join(_told(problem.context, str(problem), part) for problem in refused.problems[:20])
        raise Stopped(f"{_lines(part)} were refused ({refused.status}):\n{problems}\n{refused.advice}") from None
    except ClientError as error:
        raise Stopped(f"{_lines(part)} were not sent: {error}") from None


def _told(context: str | None, problem: str, part: Sequence[Recipient]) -> str:
    place = _PLACE.match(context or "")
    return f"line {part[int(place[1])].line}: {problem}" if place and int(place[1]) < len(part) else problem


def _lines(part: Sequence[Recipient]) -> str:
    return f"lines {part[0].line} to {part[-1].line}"
