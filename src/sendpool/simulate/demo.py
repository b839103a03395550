"""`sendpool demo`: the main job in under a minute, through the public HTTP API, with a carrier that goes down.

RCS comes first for the third of the recipients who have it, and is silent for a while. Two simulated SMPP carriers
and a simulated RCS platform run in this process, the real server in a child process on SQLite in a temporary
folder. Exits 0 when every message is accounted for: delivered, failed with a reason, or stated ambiguous.
"""

from __future__ import annotations

import asyncio
import csv
import functools
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.demo_api import DemoApi, Json
from sendpool.simulate.demo_figures import Account, Progress, Watch, account_for
from sendpool.simulate.demo_server import (
    ACCOUNT_SID,
    DemoCarrier,
    DemoFailed,
    DemoPlatform,
    DemoSender,
    DemoServer,
    write_config,
)
from sendpool.simulate.demo_view import SenderLine, View, account_table, channels_table, senders_table
from sendpool.simulate.rcs import RcsPlatform
from sendpool.simulate.rcs_script import RcsScript, parse_rcs_fault
from sendpool.simulate.script import Script, parse_fault

SEED = 20261122
MPS = 16
RCS = "rcs"
SENDERS = (
    DemoSender("RCS", "parcel_agent", 60, RCS),
    *(DemoSender("SMS", f"+1202555010{n}", MPS, "carrier-a") for n in (1, 2, 3)),
    *(DemoSender("SMS", f"+1404555010{n}", MPS, "carrier-b") for n in (1, 2, 3)),
    DemoSender("WHATSAPP", "+13235550100", 20, "sandbox"),
)
#: What the carriers do wrong besides the outage. The first refuses some pairs of sender and recipient for good.
FAULTS = {
    "carrier-a": ("refuse status=0x45 share=0.03 always=true",),
    "carrier-b": ("undelivered err=001 share=0.01",),
}
#: A third of all recipients have RCS: 37 % of the phones, for the others are WhatsApp addresses.
RCS_FAULTS = ("no-rcs share=0.63",)
#: Seconds without a delivery after which the next channel has its turn: the pool's `fallbackAfter`.
FALLBACK_AFTER = 10.0
#: The RCS platform falls silent when so much is settled, for so many seconds.
SILENCE_AT = 0.2
SILENCE_SECONDS = 3.0
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
        platform = await stack.enter_async_context(RcsPlatform(_rcs_script()))
        server = DemoServer(_config(folder, centres, platform))
        try:
            await server.start()
            platform.webhook.url = f"{server.base}/callbacks/{RCS}/events"
            console.print(
                f"Sendpool runs on {server.base}, with {' and '.join(centres)} as simulated carriers and a simulated "
                "RCS platform."
            )
            api = await stack.enter_async_context(DemoApi(server.base, ACCOUNT_SID, server.token))
            problems = await Demo(console, api, centres, platform).run()
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


def _rcs_script() -> RcsScript:
    """An RCS platform that answers and reports in the time that the real one takes."""
    return RcsScript(
        name=RCS,
        port=0,
        seed=SEED,
        token="demo-token",  # noqa: S106 - it opens nothing but this simulated platform
        client_token=secrets.token_hex(16),
        answer_delay="0.05-0.2",
        receipt_delay="0.3-1.5",
        faults=tuple(map(parse_rcs_fault, RCS_FAULTS)),
    )


def _config(folder: Path, centres: Mapping[str, MessageCentre], platform: RcsPlatform) -> Path:
    carriers = [DemoCarrier(name, centre.port) for name, centre in centres.items()]
    script = platform.script
    return write_config(folder, carriers, DemoPlatform(RCS, platform.url, script.token, script.client_token), SENDERS)


class Demo:
    """One run against a server that is up."""

    def __init__(
        self, console: Console, api: DemoApi, centres: dict[str, MessageCentre], platform: RcsPlatform
    ) -> None:
        self._console = console
        self._api = api
        self._centres = centres
        self._platform = platform
        self._started_at = 0.0

    async def run(self) -> list[str]:
        """Create the pool, send, watch, account. Returns what is wrong; empty when all is well."""
        senders = await self._list_senders()
        pool = await self._api.create_pool(
            "Demo", {"purpose": "demo"}, [line.id for line in senders], fallback_after=FALLBACK_AFTER
        )
        recipients = read_recipients()
        self._console.print(
            f"\nCreated sender pool {pool} with {len(senders)} senders: RCS first for the third of the recipients who "
            f"have it, and SMS when RCS has not delivered after {FALLBACK_AFTER:g} s.",
            highlight=False,
        )
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
        """Show progress until everything is settled or time is up; let RCS fall silent, and a carrier go down."""
        watch = Watch(total)
        troubles = [(SILENCE_AT, self._silence), (OUTAGE_AT, self._outage)]
        under_way: list[asyncio.Task[None]] = []
        while True:
            messages = [m for operation in operations for m in await self._api.messages(operation)]
            progress = watch.look(self._elapsed, messages)
            view.show(self._elapsed, progress, watch)
            while troubles and progress.settled >= troubles[0][0] * total:
                under_way.append(asyncio.create_task(troubles.pop(0)[1](view)))
            if await self._settled(progress, operations) or self._elapsed > SETTLED_WITHIN:
                break
            await asyncio.sleep(LOOK_EVERY)
        for trouble in under_way:
            trouble.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _settled(self, progress: Progress, operations: Sequence[str]) -> bool:
        """Whether nothing more is to come, by the messages and by the operations' own counters."""
        if progress.settled < progress.total:
            return False
        counters = [(await self._api.operation(operation))["stats"] for operation in operations]
        return not any(stats["queued"] or stats["scheduled"] for stats in counters)

    async def _silence(self, view: View) -> None:
        self._platform.deliveries.silent = True
        view.carrier(RCS, "silent")
        view.say(self._elapsed, "RCS falls silent: it takes messages, but delivers none and says nothing")
        await asyncio.sleep(SILENCE_SECONDS)
        self._platform.deliveries.silent = False
        view.carrier(RCS, "up")
        view.say(self._elapsed, "RCS delivers again; what it kept back is taken back and goes out as SMS")

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
        at_carrier[SENDERS[0].address] = self._platform.totals().accepted
        revokes = await self._api.revokes()
        self._console.print(account_table(senders, account, at_carrier, seconds))
        self._console.print(channels_table(account, revokes, self._doubles(account)))
        self._tell(account, total, seconds)
        return self._problems(account, len(ids), total)

    def _doubles(self, account: Account) -> int:
        """People who got their message twice: by the API's word, or as RCS platform and carriers saw it."""
        by_rcs = {message.phone for message in self._platform.messages if message.state == "delivered"}
        by_sms = {s.destination for centre in self._centres.values() for s in centre.submits if s.status == 0}
        return max(account.doubles, len(by_rcs & by_sms))

    def _tell(self, account: Account, total: int, seconds: float) -> None:
        """Sum up in a few sentences."""
        codes = ", ".join(f"{count} with error {code}" for code, count in sorted(account.failed.items()))
        failed = f"{account.failed.total()} failed{f' ({codes})' if codes else ''}"
        sms, first, last = self._at_carriers()
        rate = sms / (last - first)
        say = functools.partial(self._console.print, highlight=False)
        say(
            f"{total} messages: {account.delivered} delivered, {failed}, {account.ambiguous} ambiguous (in flight when "
            f"the links were cut), {len(account.unaccounted)} unaccounted for. {account.failovers} failovers, "
            f"{account.fallbacks} fallbacks to another channel."
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
        if doubles := self._doubles(account):
            problems.append(f"{doubles} people got their message twice")
        seen = [(s.destination, s.place.part) for c in self._centres.values() for s in c.submits if s.status == 0]
        copies = len(seen) - len(set(seen))
        if copies > account.ambiguous:
            problems.append(f"the carriers took {copies} messages twice, but only {account.ambiguous} are ambiguous")
        return problems
