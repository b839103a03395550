"""How the demo shows itself: a live table on a terminal, a line every two seconds elsewhere, a table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from sendpool.simulate import demo_figures as figures
from sendpool.simulate.demo_server import DemoSender

#: Seconds between lines where there is no terminal.
LINE_EVERY = 2.0
_BAR = 12
_NOTHING = figures.SenderAccount(0, 0, 0, 0, 0)


class SenderLine(NamedTuple):
    """A sender as the demo configured it, with the id that the API gave it."""

    id: str
    settings: DemoSender


class View:
    """Shows progress until it is left. Without a terminal it prints lines, so that a log can be read."""

    def __init__(self, console: Console, senders: Sequence[SenderLine]) -> None:
        self._console = console
        self._senders = senders
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._line_at = 0.0
        self._carriers: dict[str, str] = {line.settings.connection: "up" for line in senders}

    def __enter__(self) -> Self:
        """Begin."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, with the last state left standing."""
        if self._live is not None:
            self._live.stop()

    def say(self, at: float, event: str) -> None:
        """Tell what happened, above the live table or as a line."""
        self._console.print(f"{at:5.1f} s  [bold yellow]{event}[/]")

    def carrier(self, name: str, state: str) -> None:
        """Show a carrier as "up" or "down"."""
        self._carriers[name] = state

    def show(self, at: float, progress: figures.Progress, watch: figures.Watch) -> None:
        """Show the state at *at* seconds after the start."""
        if self._live is not None:
            self._live.update(Group(self._overall(at, progress), self._table(watch)), refresh=True)
        elif at >= self._line_at:
            self._line_at = at + LINE_EVERY
            self._console.print(self._line(at, progress, watch), soft_wrap=True, highlight=False)

    def _overall(self, at: float, progress: figures.Progress) -> Group:
        bar = Progress(TextColumn("{task.completed:>5} of {task.total} settled"), BarColumn(40), expand=False)
        bar.add_task("", total=progress.total, completed=progress.settled)
        words = (
            f"{at:5.1f} s   {progress.rate:.1f} messages/s   waiting {progress.waiting}   "
            f"on the way {progress.on_the_way}\n        delivered {progress.delivered}   failed {progress.failed}   "
            f"ambiguous {progress.ambiguous}   failed over {progress.failed_over}\n"
        )
        return Group(bar, Text(words))

    def _table(self, watch: figures.Watch) -> Table:
        table = _plain_table("sender", "via")
        for heading in ("a second", "", "delivered", "failed over"):
            table.add_column(heading, justify="right" if heading else "left")
        for line in self._senders:
            now, settings = watch.sender(line.id), line.settings
            state = self._carriers[settings.connection]
            rate = f"{now.rate:.1f} of {settings.mps}"
            table.add_row(
                settings.address,
                _via(settings) if state == "up" else f"[red]{_via(settings)} {state}[/]",
                rate,
                _bar(now.rate / settings.mps),
                str(now.delivered),
                str(now.failed_over),
            )
        return table

    def _line(self, at: float, progress: figures.Progress, watch: figures.Watch) -> str:
        rates = []
        for connection, state in self._carriers.items():
            lines = [line for line in self._senders if line.settings.connection == connection]
            now = " ".join(f"{watch.sender(line.id).rate:.0f}/{line.settings.mps}" for line in lines)
            rates.append(f"{connection}{'' if state == 'up' else f' ({state})'} {now}")
        return (
            f"{at:5.1f} s  {progress.delivered}/{progress.total} delivered, {progress.failed} failed, "
            f"{progress.ambiguous} ambiguous, {progress.failed_over} failed over, {progress.rate:.0f}/s; "
            f"rate/limit by sender: {'; '.join(rates)}"
        )


def senders_table(senders: Sequence[SenderLine]) -> Table:
    """The senders that `GET /v1/Senders?status=ACTIVATED` listed."""
    table = _plain_table("sender", "id", "via", "a second")
    for line in senders:
        table.add_row(line.settings.address, line.id, _via(line.settings), str(line.settings.mps))
    return table


def account_table(
    senders: Sequence[SenderLine], account: figures.Account, at_carrier: Mapping[str, int], seconds: float
) -> Table:
    """Who delivered what in *seconds*; *at_carrier* is what the carriers counted by source."""
    table = _plain_table("sender", "via")
    table.title, table.title_justify, table.title_style = "Who delivered what", "left", "bold"
    for heading in ("tried", "delivered", "failed\nover", "taken\nover", "accepted\nby carrier", "a second"):
        table.add_column(heading, justify="right")
    for line in senders:
        settings, did = line.settings, account.senders.get(line.id, _NOTHING)
        lost = did.failed_over + did.fell_back
        counts = (did.attempts, did.delivered, lost, did.taken_over, at_carrier.get(settings.address, "-"))
        rate = f"{did.delivered / seconds:.1f} of {settings.mps}"
        table.add_row(settings.address, _via(settings), *map(str, counts), rate)
    return table


def channels_table(account: figures.Account, taken_back: int, doubles: int) -> Table:
    """What each channel did, and what passed between senders and between channels.

    *taken_back* attempts were revoked before the next channel's turn; *doubles* people got their message twice.
    """
    table = _plain_table("channel")
    table.title, table.title_justify, table.title_style = "By channel", "left", "bold"
    for heading in ("tried", "delivered", "failovers", "fallbacks", "revokes", "doubles"):
        table.add_column(heading, justify="right")
    for channel, did in sorted(account.channels.items()):
        revokes = str(taken_back) if channel == "RCS" else "-"
        counts = (did.attempts, did.delivered, did.failed_over, did.fell_back)
        table.add_row(channel, *map(str, counts), revokes, "")
    totals = (account.delivered, account.failovers, account.fallbacks, taken_back, doubles)
    table.add_row("all", str(sum(did.attempts for did in account.channels.values())), *map(str, totals))
    return table


def _plain_table(*headings: str) -> Table:
    """A table that fits into 80 columns."""
    return Table(*headings, box=None, pad_edge=False, padding=(0, 1), collapse_padding=True)


def _via(settings: DemoSender) -> str:
    return f"{settings.connection} {settings.channel}"


def _bar(share: float) -> str:
    full = round(min(share, 1.0) * _BAR)
    return "█" * full + "·" * (_BAR - full)
