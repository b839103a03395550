"""`sendpool demo`: the main job in under a minute, through the public HTTP API, with a carrier that goes down.

Two simulated SMPP carriers run in this process, the real server in a child process on SQLite in a temporary
folder. Exits 0 when every message is accounted for: delivered, failed with a reason, or stated ambiguous.
"""

from __future__ import annotations

import asyncio
import csv
import functools
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.demo_api import DemoApi, Json
from sendpool.simulate.demo_figures import Account, Progress, Watch, account_for
from sendpool.simulate.demo_server import ACCOUNT_SID, DemoCarrier, DemoFailed, DemoSender, DemoServer, write_config
from sendpool.simulate.demo_view import SenderLine, View, account_table, senders_table
from sendpool.simulate.script import Script, parse_fault

SEED = 20261122
MPS = 16
SENDERS = (
    *(DemoSender("SMS", f"+1202555010{n}", MPS, "carrier-a") for n in (1, 2, 3)),
    *(DemoSender("SMS", f"+1404555010{n}", MPS, "carrier-b") for n in (1, 2, 3)),
    DemoSender("WHATSAPP", "+13235550100", 20, "sandbox"),
)
#: What the carriers do wrong besides the outage. The first refuses some pairs of sender and recipient for good.
FAULTS = {
    "carrier-a": ("refuse status=0x45 share=0.03 always=true",),
    "carrier-b": ("undelivered err=001 share=0.01",),
}
OUTAGE_OF = "carrier-b"
#: The outage begins when so much is settled, and lasts so many seconds.
OUTAGE_AT = 0.5
OUTAGE_SECONDS = 6.0
#: Recipients in one request.
REQUEST_SIZE = 1000
LOOK_EVERY = 0.5
#: Seconds after the first request within which every message has to be settled.
SETTLED_WITHIN = 50.0
TEXT = "Your parcel is on its way. Track it at example.com/track"


def run() -> int:
    """Run the demo; return its exit code. It needs nothing and leaves nothing behind."""
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="sendpool-demo-") as folder:
            return asyncio.run(_run(console, Path(folder)))
    except DemoFailed as error:
        console.print(f"[bold red]The demo failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return 130


def read_recipients() -> list[Json]:
    """The recipients of recipients.csv as requests name them."""
    text = resources.files("sendpool.simulate").joinpath("recipients.csv").read_text(encoding="utf-8")
    return [{"address": row["number"], "channel": row["channel"]} for row in csv.DictReader(text.splitlines())]


async def _run(console: Console, folder: Path) -> int:
    async with AsyncExitStack() as stack:
        centres = {name: await stack.enter_async_context(MessageCentre(_script(name))) for name in FAULTS}
        carriers = [DemoCarrier(name, centre.port) for name, centre in centres.items()]
        server = DemoServer(write_config(folder, carriers, SENDERS))
        try:
            await server.start()
            console.print(f"Sendpool runs on {server.base}, with {' and '.join(centres)} as simulated carriers.")
            api = await stack.enter_async_context(DemoApi(server.base, ACCOUNT_SID, server.token))
            problems = await Demo(console, api, centres).run()
        except DemoFailed as error:
            raise DemoFailed(f"{error}\nThe end of the server's log:\n{server.tail()}") from error
        finally:
            exit_code = await server.stop()
        if exit_code != 0:
            problems.append(f"the server ended with exit code {exit_code}\n{server.tail()}")
    for problem in problems:
        console.print(f"[bold red]Not as it should be:[/] {escape(problem)}", highlight=False, soft_wrap=True)
    return 1 if problems else 0


def _script(name: str) -> Script:
    """A carrier that answers and reports in the time that real ones take."""
    return Script(
        name=name,
        port=0,
        seed=SEED,
        accounts={"demo": "secret08"},
        answer_delay="0.02-0.1",
        receipt_delay="0.2-1",
        faults=tuple(map(parse_fault, FAULTS[name])),
    )


class Demo:
    """One run against a server that is up."""

    def __init__(self, console: Console, api: DemoApi, centres: dict[str, MessageCentre]) -> None:
        self._console = console
        self._api = api
        self._centres = centres
        self._started_at = 0.0

    async def run(self) -> list[str]:
        """Create the pool, send, watch, account. Returns what is wrong; empty when all is well."""
        senders = await self._list_senders()
        pool = await self._api.create_pool("Demo", {"purpose": "demo"}, [line.id for line in senders])
        recipients = read_recipients()
        self._console.print(f"\nCreated sender pool {pool} with {len(senders)} senders.", highlight=False)
        self._started_at = asyncio.get_running_loop().time()
        operations = [
            await self._api.send(pool, recipients[at : at + REQUEST_SIZE], TEXT)
            for at in range(0, len(recipients), REQUEST_SIZE)
        ]
        took = self._elapsed
        self._console.print(f"{len(recipients)} messages accepted in {len(operations)} requests and {took:.2f} s.\n")
        with View(self._console, senders) as view:
            await self._watch(view, operations, len(recipients))
        return await self._conclude(senders, operations, len(recipients), self._elapsed)

    @property
    def _elapsed(self) -> float:
        """Seconds since the first request."""
        return asyncio.get_running_loop().time() - self._started_at

    async def _list_senders(self) -> list[SenderLine]:
        ids = {(sender["channel"], sender["address"]): sender["id"] for sender in await self._api.active_senders()}
        missing = [sender.address for sender in SENDERS if (sender.channel, sender.address) not in ids]
        if missing:
            raise DemoFailed(f"GET /v1/Senders?status=ACTIVATED does not list {', '.join(missing)}")
        lines = [SenderLine(ids[sender.channel, sender.address], sender) for sender in SENDERS]
        self._console.print(senders_table(lines))
        return lines

    async def _watch(self, view: View, operations: Sequence[str], total: int) -> None:
        """Show progress until everything is settled or time is up; take a carrier down half-way."""
        watch = Watch(total)
        outage: asyncio.Task[None] | None = None
        while True:
            messages = [m for operation in operations for m in await self._api.messages(operation)]
            progress = watch.look(self._elapsed, messages)
            view.show(self._elapsed, progress, watch)
            if outage is None and progress.settled >= OUTAGE_AT * total:
                outage = asyncio.create_task(self._outage(view))
            if await self._settled(progress, operations) or self._elapsed > SETTLED_WITHIN:
                break
            await asyncio.sleep(LOOK_EVERY)
        if outage is not None:
            outage.cancel()
            await asyncio.gather(outage, return_exceptions=True)

    async def _settled(self, progress: Progress, operations: Sequence[str]) -> bool:
        """Whether nothing more is to come, by the messages and by the operations' own counters."""
        if progress.settled < progress.total:
            return False
        counters = [(await self._api.operation(operation))["stats"] for operation in operations]
        return not any(stats["queued"] or stats["scheduled"] for stats in counters)

    async def _outage(self, view: View) -> None:
        centre = self._centres[OUTAGE_OF]
        await centre.begin_outage()
        view.carrier(OUTAGE_OF, "down")
        view.say(self._elapsed, f"{OUTAGE_OF} goes down: its port is closed and its links are cut")
        await asyncio.sleep(OUTAGE_SECONDS)
        await centre.end_outage()
        view.carrier(OUTAGE_OF, "up")
        view.say(self._elapsed, f"{OUTAGE_OF} takes links again")

    async def _conclude(
        self, senders: Sequence[SenderLine], operations: Sequence[str], total: int, seconds: float
    ) -> list[str]:
        ids = [str(m["id"]) for operation in operations for m in await self._api.messages(operation)]
        account = account_for(await self._api.fetch_all(ids))
        at_carrier = {s: n for centre in self._centres.values() for s, n in centre.accepted_by_source.items()}
        self._console.print(account_table(senders, account, at_carrier, seconds))
        self._tell(account, total, seconds)
        return self._problems(account, len(ids), total)

    def _tell(self, account: Account, total: int, seconds: float) -> None:
        """Sum up in a few sentences."""
        codes = ", ".join(f"{count} with error {code}" for code, count in sorted(account.failed.items()))
        failed = f"{account.failed.total()} failed{f' ({codes})' if codes else ''}"
        sms, first, last = self._at_carriers()
        rate = sms / (last - first)
        say = functools.partial(self._console.print, highlight=False)
        say(
            f"{total} messages: {account.delivered} delivered, {failed}, {account.ambiguous} ambiguous (in flight when "
            f"the links were cut), {len(account.unaccounted)} unaccounted for. {account.failovers} failovers."
        )
        say(f"All were settled after {seconds:.1f} s, {total / seconds:.1f} messages a second.")
        say(
            f"The carriers took {sms} SMS in {last - first:.1f} s, {rate:.1f} a second. One number alone may send "
            f"{MPS} a second and would have needed {sms / MPS:.0f} s: the pool was {rate / MPS:.1f} times as fast."
        )

    def _at_carriers(self) -> tuple[int, float, float]:
        """SMS that the carriers accepted, and when the first and the last came, in seconds since 1970."""
        totals = [centre.totals() for centre in self._centres.values()]
        first = min(t.first_submit for t in totals if t.first_submit is not None)
        last = max(t.last_submit for t in totals if t.last_submit is not None)
        return sum(t.accepted for t in totals), first, last

    def _problems(self, account: Account, listed: int, total: int) -> list[str]:
        problems = []
        if listed != total:
            problems.append(f"{total} messages were accepted, {listed} are listed")
        if account.unaccounted:
            some = "; ".join(account.unaccounted[:5])
            problems.append(f"{len(account.unaccounted)} messages are unaccounted for, among them: {some}")
        seen = [(s.destination, s.place.part) for c in self._centres.values() for s in c.submits if s.status == 0]
        copies = len(seen) - len(set(seen))
        if copies > account.ambiguous:
            problems.append(f"the carriers took {copies} messages twice, but only {account.ambiguous} are ambiguous")
        return problems
