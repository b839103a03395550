"""The console of a whole server in Chromium. Whatever the page complains of on its console fails the test."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from tests.peers.npm import modules_with

expect.set_options(timeout=10_000)

SHOTS = Path(__file__).parents[2] / "build" / "console"
SOURCE = Path(__file__).parents[2] / "src"
SID, TOKEN = "AC" + "7" * 32, "browser-token-4711"
#: Failover: the magic recipient whose first attempt alone fails (`connectors/sandbox/README.md`).
CONFIG = """
[server]
database = "sqlite:///{folder}/console.db"
port = 0
log_format = "json"

[[connections]]
name = "carrier-a"
type = "sandbox"
delay = 0.2

[[connections.senders]]
channel = "SMS"
address = "+12034458910"
display_name = "Cool Support"
mps = 50

[[connections.senders]]
channel = "SMS"
address = "+12034458911"
mps = 20

[[connections]]
name = "carrier-b"
type = "sandbox"

[[connections.senders]]
channel = "SMS"
address = "+12034458920"
mps = 20

[[connections]]
name = "relay"
type = "sandbox"
delay = 0.2

[[connections.senders]]
channel = "EMAIL"
address = "shop@example.com"
"""


class Served(NamedTuple):
    """A server that runs."""

    base: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API as a program does."""
        basic = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        headers = {"content-type": "application/json", "authorization": f"Basic {basic}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with three numbers on two sandboxes and a mailbox on a third, as it is first started."""
    folder = tmp_path_factory.mktemp("console")
    (folder / "sendpool.toml").write_text(CONFIG.format(folder=folder), encoding="utf-8")
    out, log = folder / "out", folder / "log"
    command = [sys.executable, "-m", "sendpool", "serve", "--config", str(folder / "sendpool.toml"), "--port", "0"]
    credentials = {"SENDPOOL_ACCOUNT_SID": SID, "SENDPOOL_AUTH_TOKEN": TOKEN, "PYTHONPATH": str(SOURCE)}
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env={**os.environ, **credentials})
    try:
        end = time.monotonic() + 30
        while not (found := re.search(r"listening on (\S+)", out.read_text())):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, "the server did not start within 30 s"
            time.sleep(0.05)
        yield Served(found[1])
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, as the machine has it: nothing is downloaded."""
    path = shutil.which("chromium")
    assert path is not None, "no Chromium; ./bench/need-chromium says what to install"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Window(NamedTuple):
    """A page with what it was seen to do."""

    page: Page
    served: Served
    complaints: list[str]
    #: Every address that was asked for.
    asked: list[str]
    axe: str

    def go(self, path: str) -> None:
        """Show a page of the console, and wait until it is there."""
        self.page.goto(f"{self.served.base}/console/#/{path}")
        self.page.wait_for_selector(f'main[data-path="{path}"] h1')

    def sign_in(self) -> None:
        self.page.goto(f"{self.served.base}/console/")
        self.page.get_by_label("Account SID or API key SID").fill(SID)
        self.page.get_by_label("Auth token or key secret").fill(TOKEN)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_selector("main h1")

    def write(self, name: str, value: str) -> None:
        """Fill in a text. Just after the address has changed the browser may still move the focus between the driver's
        two steps, to focus and to insert, and what it inserts goes nowhere: then once more, as a person would.
        """
        box = self.page.get_by_role("textbox", name=name)
        for _ in range(3):
            box.fill(value)
            if box.input_value() == value:
                return
        raise AssertionError(f"{name} does not keep what is written into it")

    def shoot(self, name: str) -> None:
        """Keep a picture, in both schemes and on a phone; each is checked by axe and for what hangs over the edge."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        for scheme, width in (("light", 1360), ("dark", 1360), ("light", 360)):
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            self.page.set_viewport_size({"width": width, "height": 820})
            self.page.screenshot(path=SHOTS / f"{name}-{scheme}-{width}.png", full_page=True)
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide where {width} are there"
            # Colours are the same on a phone.
            assert width == 360 or self.violations() == [], f"{name}, {scheme}"
        self.page.set_viewport_size({"width": 1360, "height": 820})

    def violations(self) -> list[str]:
        """What axe finds fault with (WCAG 2.2 A and AA)."""
        # By the driver, past the page's policy, which lets in nothing of others.
        self.page.evaluate(self.axe)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = self.page.evaluate("tags => axe.run({runOnly: tags})", tags)
        return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]


@pytest.fixture(scope="session")
def axe() -> str:
    return (modules_with("axe-core", "4.10.3") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def window(chromium: Browser, served: Served, axe: str) -> Iterator[Window]:
    context = chromium.new_context(viewport={"width": 1360, "height": 820})
    page = context.new_page()
    page.set_default_timeout(10_000)
    shown = Window(page, served, [], [], axe)
    page.on("console", _noting(shown.complaints))
    page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    page.on("request", lambda request: shown.asked.append(request.url))
    yield shown
    context.close()
    assert shown.complaints == []
    assert [url for url in shown.asked if not url.startswith(served.base)] == []


def _noting(complaints: list[str]) -> Callable[[ConsoleMessage], None]:
    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    return note
