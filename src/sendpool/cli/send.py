"""`sendpool send`: to everybody in a file, over the API of a server that runs here or anywhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sendpool.cli.api import ApiUrl, client_of
from sendpool.cli.asking import show_json
from sendpool.cli.options import FAILED, MISUSED, AsJson, failed

if TYPE_CHECKING:
    from sendpool.cli.recipient_file import WrongLine
    from sendpool.cli.send_order import Source
    from sendpool.cli.sending import Run, Sent
    from sendpool.client import Client

#: Wrong lines that are shown one by one.
_SHOWN = 20
_Named = Annotated[
    Sequence[str], Parameter(help='name=column, as often as you like: "--variable first=given_name". Else all.')
]


def send(
    file: Annotated[
        Path | None, Parameter(help='Recipients: CSV whose first line names its columns, or .jsonl; "-" is stdin.')
    ] = None,
    /,
    *,
    text: Annotated[
        str | None, Parameter(help="What is said, with Liquid: \"Hello {{ name | default: 'there' }}\".")
    ] = None,
    text_file: Annotated[Path | None, Parameter(help="A file with what is said.")] = None,
    content_id: Annotated[str | None, Parameter(help="A template's id instead of a text.")] = None,
    media: Annotated[Sequence[str], Parameter(help="The URL of a picture or file that goes with the text.")] = (),
    from_: Annotated[
        str | None, Parameter(name="--from", help="The name or id of a sender pool, or the id or address of a sender.")
    ] = None,
    to: Annotated[Sequence[str], Parameter(help="A recipient beside the file, or without one.")] = (),
    address: Annotated[str | None, Parameter(help="The column with the address. Else address, phone ...")] = None,
    channel: Annotated[str, Parameter(help="PHONE or WHATSAPP, where no column says so.")] = "PHONE",
    variable: _Named = (),
    tag: Annotated[Sequence[str], Parameter(help="name=value, kept with each message.")] = (),
    send_at: Annotated[str | None, Parameter(help="When, 2026-12-01T09:30:00Z; without Z by each one's clock.")] = None,
    category: Annotated[str | None, Parameter(help="transactional, otp or bulk (Sendpool).")] = None,
    priority: Annotated[str | None, Parameter(help="low, normal or high (Sendpool).")] = None,
    validity: Annotated[int | None, Parameter(help="Seconds for which it is worth delivering (Sendpool).")] = None,
    run: Annotated[str, Parameter(help="A name for this run. Another name sends to the same people again.")] = "",
    journal: Annotated[Path | None, Parameter(help="Where what was sent is kept. Else FILE.sent.jsonl.")] = None,
    at_once: Annotated[int, Parameter(help="Recipients of one request, at most 10,000.")] = 1_000,
    skip_wrong: Annotated[bool, Parameter(help="Leave out lines that are wrong, instead of sending nothing.")] = False,
    dry_run: Annotated[bool, Parameter(help="Check everything, show the first message, send nothing.")] = False,
    wait: Annotated[bool, Parameter(help="Stay until everything has left, and count what became of it.")] = False,
    url: ApiUrl = None,
    json: AsJson = False,
) -> int:
    """Send to everybody in a file.

    A run that was interrupted is run again, with the same words: nobody is sent to twice, nobody is left out.
    """
    from sendpool.cli.recipient_file import Mapped, WrongFile
    from sendpool.cli.send_order import Source, body_of, pairs, said, sender_of
    from sendpool.cli.sending import Run
    from sendpool.client import ClientError

    try:
        _check(channel, at_once, somebody=file is not None or bool(to))
        more = {"category": category, "priority": priority, "validity": validity}
        body = body_of(said(text, text_file), content_id, media, pairs(tag), send_at, more)
        mapped = Mapped(address, channel.upper(), pairs(variable))
        source = Source(file, to, mapped)
        wrong, count = source.check()
        if wrong:
            _show_wrong(wrong)
        if wrong and not skip_wrong:
            raise ValueError(f"{len(wrong)} lines are wrong, nothing was sent; correct them, or say --skip-wrong")
        if not count:
            raise ValueError("there is nobody to send to")
        with client_of(url) as client:
            if from_ is not None:
                body["from"] = sender_of(client, from_)
            order = Run(body, run, at_once)
            if dry_run:
                return _show_dry(order, source, count, len(wrong), as_json=json)
            kept = journal or (Path(f"{file}.sent.jsonl") if file is not None and str(file) != "-" else None)
            return _run(client, order, source, kept, count, len(wrong), wait=wait, as_json=json)
    except (ValueError, WrongFile) as error:
        return failed(error, MISUSED)
    except (ClientError, OSError) as error:
        return failed(error)


def _check(channel: str, at_once: int, *, somebody: bool) -> None:
    """Raises ValueError for options that cannot be."""
    from sendpool.cli.recipient_file import CHANNELS

    if channel.upper() not in CHANNELS:
        raise ValueError(f'channel "{channel}" is none of {", ".join(CHANNELS)}')
    if not 1 <= at_once <= 10_000:
        raise ValueError(f"--at-once {at_once} is not between 1 and 10,000")
    if not somebody:
        raise ValueError("name a file of recipients, or say --to +447700900123")


def _show_wrong(wrong: Sequence[WrongLine]) -> None:
    for line, message in wrong[:_SHOWN]:
        print(f"line {line}: {message}", file=sys.stderr)
    if len(wrong) > _SHOWN:
        print(f"and {len(wrong) - _SHOWN:,} more", file=sys.stderr)


def _show_dry(order: Run, source: Source, count: int, wrong: int, *, as_json: bool) -> int:
    first = next(source.recipients()).value
    requests = -(-count // order.at_once)
    shown = {"recipients": count, "wrong": wrong, "requests": requests, "first": {"to": [first], **order.body}}
    if as_json:
        show_json(shown)
        return 0
    print(f"{count:,} recipients in {requests:,} requests would be sent to; nothing was. The first request begins so:")
    show_json(shown["first"])
    return 0


def _run(
    client: Client, order: Run, source: Source, kept: Path | None, count: int, wrong: int, *, wait: bool, as_json: bool
) -> int:
    from sendpool.cli.journal import Journal
    from sendpool.cli.sending import Stopped, send_all

    sent: Sent | None = None

    with Journal(kept) as notes, _progress("Sending", count) as tell:

        def note(done: Sent) -> None:
            nonlocal sent
            sent = done
            tell(done.recipients)

        try:
            sent = send_all(client, order, source.recipients(), notes, note)
        except Stopped as stopped:
            done = sent.recipients if sent else 0
            print(f"sendpool: {stopped}", file=sys.stderr)
            print(f"sendpool: {done:,} of {count:,} were sent to; the same command goes on there", file=sys.stderr)
            return FAILED
    became = _wait(client, sent.operations, count) if wait else None
    _show(sent, wrong, became, as_json=as_json)
    return 0


def _wait(client: Client, operations: Iterable[str], count: int) -> dict[str, int]:
    """What became of all operations, once they are finished."""
    import msgspec

    totals: dict[str, int] = {}
    with _progress("Leaving", count) as tell:
        for operation in operations:
            before = totals.get("recipients", 0)
            stats: dict[str, int] = {}
            for found in client.operations.watch(operation):
                stats = msgspec.structs.asdict(found.stats)
                tell(before + stats["recipients"] - stats["queued"] - stats["scheduled"])
            totals = {name: totals.get(name, 0) + number for name, number in stats.items()}
    return totals


def _show(sent: Sent, wrong: int, became: dict[str, int] | None, *, as_json: bool) -> None:
    if as_json:
        found = {"recipients": sent.recipients, "before": sent.before, "wrong": wrong, "operations": sent.operations}
        show_json({**found, "stats": became} if became is not None else found)
        return
    before = f", {sent.before:,} of them in an earlier run" if sent.before else ""
    print(f"{sent.recipients:,} were sent to{before}")
    if sent.before == sent.recipients:
        print("Nothing was left to send. To send to the same people again, give this run a name: --run second")
    if became is not None:
        print(", ".join(f"{count:,} {name}" for name, count in became.items() if count and name != "total"))
    for operation in sent.operations[:_SHOWN]:
        print(operation)


@contextlib.contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
