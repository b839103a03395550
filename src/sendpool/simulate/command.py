"""`sendpool simulate`: message centres in the foreground, a line of figures a second, and totals at the end."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sendpool.simulate.centre import MessageCentre
from sendpool.simulate.record import SubmitLog, Totals
from sendpool.simulate.script import FAULT_HELP, Script, ScriptError, parse_fault, parse_scenario

HELP = f"""\
Run an SMPP 3.4 message centre to rehearse against: it takes every bind and
submit, reports every message delivered, and fails where you tell it to. The
same seed gives the same submits the same fate on every run.

{FAULT_HELP}
Several centres, or many faults, go into a file for --scenario:

  seed = 7
  [[centre]]
  name = "carrier-a"
  port = 2775
  [[centre.faults]]
  kind = "refuse"
  status = 0x45
  share = 0.1

A centre also takes host, accounts, answer_delay, receipt_delay, ids,
receipt_ids, receipt_tlvs, always_report, receipt_window, resend_after and
enquire_link; for TLS certificate_file, key_file and, where peers are to show
a certificate, client_ca_file.

SIGINT or SIGTERM ends it with a line of JSON: the totals of each centre.
"""


class SimulateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `sendpool simulate`. With *scenario*, those that describe one centre are not used."""

    host: str = "127.0.0.1"
    port: int = 2775
    faults: Sequence[str] = ()
    scenario: Path | None = None
    seed: int = 1
    #: Seconds, fixed ("0.2") or drawn from a range ("0.1-0.5").
    answer_delay: str = "0"
    receipt_delay: str = "0.1"
    #: How ids are written in answers, and in the text of receipts: "dec" or "hex".
    ids: str = "dec"
    receipt_ids: str = "dec"
    #: A file with a line per submit.
    log: Path | None = None
    #: False: no line of figures a second.
    stats: bool = True


async def run(options: SimulateOptions) -> int:
    """Run until SIGINT or SIGTERM; return the exit code.

    Raises `ScriptError` for a scenario or fault that cannot be read, `OSError` for a port that is taken or a file
    that cannot be opened.
    """
    scripts = read_scripts(options)
    log = SubmitLog(options.log) if options.log else None
    centres = [MessageCentre(script, log=log, keep_submits=False) for script in scripts]
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        for centre in centres:
            await centre.start()
            print(f"{centre.script.name} is listening on {centre.script.host}:{centre.port}", flush=True)
        await _tell(centres, stop, stats=options.stats)
    finally:
        for centre in centres:
            await centre.stop()
        if log is not None:
            log.close()
    print(json.dumps({centre.script.name: totals_of(centre) for centre in centres}), flush=True)
    return 0


def read_scripts(options: SimulateOptions) -> list[Script]:
    """The centres that *options* ask for. Raises `ScriptError`, or `OSError` if the scenario cannot be read."""
    if options.scenario is not None:
        return parse_scenario(options.scenario.read_text(encoding="utf-8"))
    described = {name: getattr(options, name) for name in ("host", "port", "seed", "answer_delay", "receipt_delay")}
    spelled = {"ids": options.ids, "receipt_ids": options.receipt_ids}
    try:
        # `convert` checks what a constructor does not: ports and spellings.
        script = msgspec.convert({**described, **spelled}, Script)
    except msgspec.ValidationError as error:
        raise ScriptError(str(error)) from None
    return [msgspec.structs.replace(script, faults=tuple(map(parse_fault, options.faults)))]


def totals_of(centre: MessageCentre) -> dict[str, object]:
    """A centre's totals, and accepted submits by source, for JSON."""
    return {**centre.totals()._asdict(), "by_source": centre.accepted_by_source}


async def _tell(centres: Sequence[MessageCentre], stop: asyncio.Event, *, stats: bool) -> None:
    """Print a line per centre and second in which something happened, until *stop*."""
    last = [centre.totals() for centre in centres]
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), 1.0)
        except TimeoutError:
            now = [centre.totals() for centre in centres]
            for centre, before, after in zip(centres, last, now, strict=True):
                if stats and after != before:
                    print(_line(centre, before, after), flush=True)
            last = now


def _line(centre: MessageCentre, before: Totals, after: Totals) -> str:
    """One second of one centre in words."""
    figures = (
        f"submits {after.submits - before.submits}/s",
        f"accepted {after.accepted - before.accepted}",
        f"refused {after.refused - before.refused}",
        f"throttled {after.throttled - before.throttled}",
        f"receipts {after.receipts_acked - before.receipts_acked}",
        f"waiting {centre.unacknowledged}",
        f"links {len(centre.links)}",
        f"in all {after.submits}",
    )
    return f"{centre.script.name}: {', '.join(figures)}"
