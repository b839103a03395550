"""Webhooks to measure with: one that keeps every event, one that only counts, and how a server is told of them."""

from __future__ import annotations

import atexit
import base64
import json
import os
import re
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.rig import ACCOUNT_SID, AUTH_TOKEN, ROOT, RigFailed, _spawn, wait_for

ANYWHERE = 'allow_private_networks = ["127.0.0.0/8"]\n'
TYPES = ("message.queued", "message.sent", "message.delivered")
#: Said once in each event that a message was delivered, and in what other systems are told to call then.
DELIVERED = "comms-api.message.delivered"
_PREFIX = "com.twilio.comms-api."


def _keep_in_memory(file: Path) -> None:
    """Let a file lie in memory: a sink has a disk of its own, and must not make the server's commits wait for it."""
    memory = Path("/dev/shm")
    if memory.is_dir():
        handle, there = tempfile.mkstemp(dir=memory, prefix="sendpool-bench-", suffix=file.suffix)
        os.close(handle)
        atexit.register(Path(there).unlink, missing_ok=True)
        file.symlink_to(there)


class EventSink:
    """An `event_sink.py` process."""

    def __init__(self, folder: Path, *, fail: float = 0.0, stall: float = 0.0, seed: int = 1, word: str = "") -> None:
        self._file, self._out = folder / "events.jsonl", folder / "event-sink.out"
        _keep_in_memory(self._file)
        words = [str(self._file), str(fail), str(stall), str(seed), *([word] if word else [])]
        _spawn([sys.executable, str(ROOT / "bench" / "event_sink.py"), *words], self._out, folder / "event-sink.err")
        self.port = 0
        wait_for(self._listens, 30, "the event sink listens")

    def _listens(self) -> bool:
        found = re.search(r"listening on (\d+)\n", self._out.read_text())
        self.port = int(found[1]) if found else 0
        return bool(found)

    def size(self) -> int:
        """Bytes taken so far."""
        return self._file.stat().st_size if self._file.exists() else 0

    def taken(self) -> Iterator[dict[str, Any]]:
        """Every event that came, as often as it came."""
        for line in self._file.read_bytes().splitlines():
            yield from json.loads(line)


class Tally(EventSink):
    """An `event_sink.py` process that only counts how many messages it is told are delivered."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, word=DELIVERED)
        self._read = 0
        self._delivered = 0

    def delivered(self) -> int:
        """Messages of which it was told so far."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            lines = file.read().rpartition(b"\n")[0]
        self._read += len(lines) + 1 if lines else 0
        self._delivered += sum(map(int, lines.split()))
        return self._delivered

    def wait(self, messages: int, seconds: float) -> float:
        """Wait until it was told of so many; the time (since 1970) of the last request. Raises `RigFailed`."""
        wait_for(lambda: self.delivered() >= messages, seconds, f"the sink is told of {messages} deliveries", 0.05)
        if self.delivered() > messages:
            raise RigFailed(f"the sink was told of {self.delivered()} deliveries of {messages} messages")
        return self._file.stat().st_mtime


def subscribe(base: str, port: int) -> None:
    """Subscribe a webhook to the events of messages."""
    where = json.dumps({"destination": f"http://127.0.0.1:{port}/events", "method": "POST"})
    sink = _post(base, "/v1/Sinks", {"Description": "bench", "SinkType": "webhook", "SinkConfiguration": where})
    types = [json.dumps({"type": _PREFIX + name}) for name in TYPES]
    _post(base, "/v1/Subscriptions", {"Description": "bench", "SinkSid": sink["sid"], "Types": types})


def _post(base: str, path: str, form: dict[str, Any]) -> Any:
    basic = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    body = urllib.parse.urlencode(form, doseq=True).encode()
    request = urllib.request.Request(base + path, body, {"Authorization": f"Basic {basic}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
