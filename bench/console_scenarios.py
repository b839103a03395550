"""The figures of the console in Chromium: weight, requests off the machine, 10,000 live messages a minute."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from bench.api import Api, recipient
from bench.figures import Figure, say
from bench.rig import ACCOUNT_SID, AUTH_TOKEN, Rig, RigFailed
from playwright.sync_api import Page, sync_playwright

#: Bytes of the first page. Milliseconds that nothing may hold the page up for, and that an update may be old.
WEIGHT, BLOCK, LATE = 150_000, 200, 2_500
#: Seconds of a newcomer.
NEWCOMER = 300
_SANDBOX = """
[[connections]]
name = "sandbox"
type = "sandbox"
[[connections.senders]]
channel = "SMS"
address = "+12034458910"
mps = 500
[[connections.senders]]
channel = "SMS"
address = "+12034458911"
mps = 500
"""
#: Kept by the page: every long task, every frame that came late, and how old what it shows is.
_WATCH = """
window.seen = {tasks: [], gaps: [], ages: []};
new PerformanceObserver(list => list.getEntries().forEach(one => seen.tasks.push(one.duration)))
  .observe({type: "longtask", buffered: true});
let before = performance.now();
(function frame(now) { seen.gaps.push(now - before); before = now; requestAnimationFrame(frame); })(before);
const Source = window.EventSource;
window.EventSource = class extends Source {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", event => {
      const at = JSON.parse(event.data).at;
      requestAnimationFrame(() => requestAnimationFrame(() => seen.ages.push(Date.now() - at)));
    });
  }
};
"""


class ConsoleSizes(NamedTuple):
    """How long and how busy."""

    seconds: int = 60
    a_minute: int = 10_000


CONSOLE_QUICK = ConsoleSizes(12, 10_000)


class _Shown(NamedTuple):
    page: Page
    base: str
    asked: list[Any]
    api: Api


@contextmanager
def _console() -> Iterator[_Shown]:
    """A new server on a sandbox, and a window of Chromium in which nothing is open yet."""
    path = shutil.which("chromium")
    if path is None:
        raise RigFailed("there is no Chromium; ./bench/need-chromium says what to install")
    with Rig() as rig, sync_playwright() as playwright:
        server = rig.server(more=_SANDBOX)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        asked: list[Any] = []
        page.on("response", lambda answer: asked.append(answer))  # noqa: PLW0108
        yield _Shown(page, server.base, asked, Api(server.base))
        browser.close()


def _sign_in(shown: _Shown) -> None:
    page = shown.page
    page.goto(f"{shown.base}/console/")
    page.get_by_label("Account SID or API key SID").fill(ACCOUNT_SID)
    page.get_by_label("Auth token or key secret").fill(AUTH_TOKEN)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector(".live.on")


def first_page(_: ConsoleSizes) -> list[Figure]:
    """What the first page weighs, and where it comes from."""
    with _console() as shown:
        _sign_in(shown)
        stream = f"{shown.base}/console/api/Live"
        bodies = [one for one in shown.asked if one.url != stream and one.status == 200]
        weight = sum(len(one.body()) for one in bodies)
        away = sorted({one.url for one in shown.asked if not one.url.startswith(shown.base)})
    return [
        Figure(
            "the first page in all, sign-in and overview with their data: bytes",
            f"under {WEIGHT:,}",
            weight,
            weight < WEIGHT,
            {"files": len(bodies)},
        ),
        Figure("requests that leave the machine", "none", away, not away),
    ]


def live(sizes: ConsoleSizes) -> list[Figure]:
    """10,000 messages a minute while the overview is open."""
    with _console() as shown:
        shown.page.add_init_script(_WATCH)
        _sign_in(shown)
        say(f"  {sizes.a_minute:,} messages a minute for {sizes.seconds} s")
        sent = _send_evenly(shown, sizes)
        shown.page.wait_for_timeout(3_000)
        seen = shown.page.evaluate("seen")
        counted = shown.page.locator(".figure", has_text="Sent now").inner_text()
    gaps, ages = sorted(seen["gaps"]), sorted(seen["ages"])
    longest = max(seen["tasks"], default=0.0)
    return [
        Figure(
            f"{sizes.a_minute:,} live messages a minute: longest that the page's thread was held up, ms",
            f"under {BLOCK}",
            round(longest),
            longest < BLOCK,
            {"tasks_over_50_ms": len(seen["tasks"]), "frame_p99_ms": round(gaps[len(gaps) * 99 // 100]), "sent": sent},
        ),
        Figure(
            "from a figure at the server until it is painted, ms: the oldest",
            f"under {LATE}",
            round(ages[-1]),
            ages[-1] < LATE and len(ages) >= sizes.seconds * 0.8,
            {"median": round(statistics.median(ages)), "updates": len(ages), "shown_at_the_end": counted.split("\n")},
        ),
    ]


def _send_evenly(shown: _Shown, sizes: ConsoleSizes) -> int:
    """Requests of 25 recipients each, at their times; the page goes on between them."""
    every, sent, began = 25 * 60 / sizes.a_minute, 0, time.monotonic()
    while time.monotonic() - began < sizes.seconds:
        to = [{"address": recipient(sent + one), "channel": "PHONE"} for one in range(25)]
        body = {"to": to, "content": {"text": "Your parcel arrives today."}}
        shown.api.send(json.dumps(body).encode())
        sent += 25
        shown.page.wait_for_timeout(max(0.0, (began + sent / 25 * every - time.monotonic()) * 1_000))
    return sent


def newcomer(_: ConsoleSizes) -> list[Figure]:
    """From the first look to a delivered message, at a person's pace: typing, and 3 s before each click."""
    began = time.monotonic()
    with _console() as shown:
        page = shown.page
        page.goto(f"{shown.base}/console/")
        for label, text in (("Account SID or API key SID", ACCOUNT_SID), ("Auth token or key secret", AUTH_TOKEN)):
            page.get_by_label(label).press_sequentially(text, delay=120)
        _click(page, "button", "Sign in")
        page.wait_for_selector(".live.on")
        _click(page, "link", "Make a pool")
        page.get_by_label("Name").press_sequentially("Alerts", delay=200)
        _click(page, "button", "Make the pool")
        _click(page, "button", "Add to the pool")
        page.locator("tbody tr").first.wait_for()
        _click(page, "link", "Send from it")
        page.get_by_role("textbox", name="To Numbers").press_sequentially("+19143188062", delay=200)
        page.get_by_role("textbox", name="Text").press_sequentially("Hello, World!", delay=200)
        _click(page, "button", "Send")
        page.get_by_text("100 % delivered").wait_for()
    seconds = time.monotonic() - began
    return [
        Figure(
            "a newcomer, from starting the server to a delivered message in the console: seconds",
            f"under {NEWCOMER}",
            round(seconds),
            seconds < NEWCOMER,
        )
    ]


def _click(page: Page, role: Any, name: str) -> None:
    page.wait_for_timeout(3_000)
    page.get_by_role(role, name=name, exact=True).first.click()
