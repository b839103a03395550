"""Kannel to compare with: bearerbox and smsbox of Debian's package, with SMPP to our carrier and `dlr-url` to our sink.

As quick as it goes by its own settings: one SMPP connection with a wide window, log level of errors, receipts kept in
memory. With `store-type = spool` it keeps each message as a file until it is done with it; without, it forgets what it
had when it ends.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from bench.api import TEXT, ask_all, recipient
from bench.event_sinks import DELIVERED, Tally
from bench.rig import START_WITHIN, Neighbours, Rig, RigFailed, Usage, _end, _spawn, family, free_port, wait_for
from bench.scenarios import PATIENCE, SENDER, WARM_UP, milliseconds

#: Where Debian has them.
BEARERBOX, SMSBOX = "/usr/sbin/bearerbox", "/usr/sbin/smsbox"
#: Submits that wait for their answer: no slower here than 500; its own default is 10.
WINDOW = 100


def configuration(folder: Path, ports: dict[str, int], *, spool: bool) -> str:
    """What both boxes read."""
    store = ["store-type = spool", f'store-location = "{folder / "spool"}"'] if spool else []
    groups = [
        [
            "group = core",
            f"admin-port = {ports['admin']}",
            'admin-password = "bench"',
            f"smsbox-port = {ports['smsbox']}",
            "dlr-storage = internal",
            "log-level = 3",
            f'log-file = "{folder / "bearerbox.log"}"',
            'box-deny-ip = "*.*.*.*"',
            'box-allow-ip = "127.0.0.1"',
            *store,
        ],
        [
            "group = smsc",
            "smsc = smpp",
            "smsc-id = carrier-a",
            'host = "127.0.0.1"',
            f"port = {ports['carrier']}",
            "transceiver-mode = true",
            'smsc-username = "bench"',
            'smsc-password = "secret08"',
            'system-type = ""',
            f"max-pending-submits = {WINDOW}",
        ],
        [
            "group = smsbox",
            'bearerbox-host = "127.0.0.1"',
            f"sendsms-port = {ports['http']}",
            "log-level = 3",
            f'log-file = "{folder / "smsbox.log"}"',
        ],
        ["group = sendsms-user", "username = bench", "password = bench", "max-messages = 1"],
    ]
    return "\n\n".join("\n".join(group) for group in groups) + "\n"


class Kannel:
    """Both boxes, started for one measurement; the rig ends them."""

    def __init__(self, rig: Rig, carrier: int, sink: int, *, spool: bool) -> None:
        """*carrier* and *sink* are ports."""
        if not (Path(BEARERBOX).exists() and Path(SMSBOX).exists()):
            raise RigFailed("there is no Kannel; `make show-speed` installs it, or apt-get install kannel")
        folder, self._sink = rig.folder, sink
        (folder / "spool").mkdir()
        ports = {name: free_port() for name in ("admin", "smsbox", "http")}
        config = folder / "kannel.conf"
        config.write_text(configuration(folder, {**ports, "carrier": carrier}, spool=spool), encoding="utf-8")
        self.base = f"http://127.0.0.1:{ports['http']}"
        self._boxes = []
        for box in (BEARERBOX, SMSBOX):
            name = Path(box).name
            self._boxes.append(_spawn([box, "--verbosity", "4", str(config)], folder / f"{name}.out", folder / "err"))
            wait_for(lambda: self._answers(ports["smsbox"]), START_WITHIN, f"{name} listens")
            self._check()
        wait_for(lambda: self._answers(ports["http"]), START_WITHIN, "smsbox takes requests")

    def _check(self) -> None:
        if any(box.poll() is not None for box in self._boxes):
            raise RigFailed("a box of Kannel has ended")

    def _answers(self, port: int) -> bool:
        self._check()
        listening = f":{port:04X} 00000000:0000 0A"
        return listening in Path("/proc/net/tcp").read_text()

    def request(self, number: int) -> bytes:
        """A request to send, with a call when it is delivered or failed."""
        call = f"http://127.0.0.1:{self._sink}/{DELIVERED}/%d?id={number}"
        words = {"username": "bench", "password": "bench", "from": SENDER, "to": recipient(number), "text": TEXT}
        query = urlencode({**words, "dlr-mask": 3}, quote_via=quote) + f"&dlr-url={quote(call, safe='')}"
        return f"GET /cgi-bin/sendsms?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    def usage(self) -> Usage:
        """What both have used."""
        return Usage(*map(sum, zip(*(family(box.pid) for box in self._boxes), strict=True)))

    def stop(self) -> None:
        """End both, the one that takes requests first."""
        for box in reversed(self._boxes):
            _end(box, signal.SIGTERM)


def kannel(messages: int, *, spool: bool, receipts_after: int = 100, connections: int = 50) -> dict[str, Any]:
    """One message a request: from the first HTTP byte until its last call has come to the sink."""
    with Rig() as rig:
        carrier = rig.sink("carrier-a", "--dlr", f"1/{receipts_after}")
        tally = Tally(rig.folder)
        boxes = Kannel(rig, carrier.port, tally.port, spool=spool)
        ask_all([boxes.base], [boxes.request(WARM_UP)], 1, PATIENCE)
        tally.wait(1, PATIENCE)
        requests = [boxes.request(number) for number in range(messages)]
        before, neighbours = boxes.usage(), Neighbours()
        sent = ask_all([boxes.base], requests, connections, PATIENCE)
        if refused := [answer for answer in sent.answers if answer.status != 202]:
            raise RigFailed(f"Kannel refused {len(refused)} requests, the first with {refused[0]}")
        done = tally.wait(messages + 1, PATIENCE)
        after, others = boxes.usage(), neighbours.cores()
        boxes.stop()
        totals = carrier.stop()
        if totals["accepted"] != messages + 1 or totals["duplicates"]:
            raise RigFailed(f"the carrier accepted {totals['accepted']} of {messages + 1}: {totals}")
        seconds = done - sent.began
        return {
            "messages": messages,
            "messages_per_second": round(messages / seconds),
            "seconds": round(seconds, 3),
            "seconds_to_last_event": round(seconds, 3),
            "accept_ms": milliseconds([answer.seconds for answer in sent.answers]),
            "cpu_seconds_per_1000": round((after.cpu_seconds - before.cpu_seconds) / messages * 1000, 4),
            "peak_rss_mb": round(after.peak_rss_mb, 1),
            "cores_of_neighbours": round(others, 2),
        }
