"""46elks as its documentation has it (https://46elks.com/docs): `/a1/me`, `/a1/sms`, reports and incoming texts."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

LOGIN = "Basic " + b64encode(b"u1:secret").decode()
#: Seconds until a callback that was not taken is made again; 46elks itself takes longer.
AGAIN = 0.05


@dataclass
class Sms:
    """A message that it took."""

    id: str
    form: dict[str, Any]


class Elks:
    """A server on a real socket. By default it takes every message and reports it as sent, then as delivered."""

    def __init__(self) -> None:
        self.messages: list[Sms] = []
        self.reports: set[asyncio.Task[int]] = set()
        self.port = 0
        #: Where incoming texts go (`sms_url` of a number).
        self.sms_url = ""
        #: The status of its answers to sends, in place of 200; and what it reports.
        self.status = 200
        self.states: tuple[str, ...] = ("sent", "delivered")
        #: Where names lead, as a resolver would have it: what URLs begin with, and what is asked in its place.
        self.names: dict[str, str] = {}
        self.unanswered = self.most_unanswered = 0
        self._open = asyncio.Event()
        self._open.set()
        self._runner: web.AppRunner | None = None
        self._links: set[asyncio.Transport] = set()

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/a1/me", self._me)
        app.router.add_post("/a1/sms", self._sms)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Cut every connection and listen no more."""
        if self._runner is not None:
            for link in list(self._links):
                link.abort()
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def close(self) -> None:
        """The same, and report nothing more."""
        self.answer()
        for task in self.reports:
            task.cancel()
        await self.stop()

    def hold(self) -> None:
        """Take messages, and answer none."""
        self._open.clear()

    def answer(self) -> None:
        """Answer again."""
        self._open.set()

    async def send_text(self, sender: str, recipient: str, text: str) -> int:
        """Hand an incoming text over, once; the status of the answer."""
        form = {"direction": "incoming", "id": "s1", "from": sender, "to": recipient, "message": text}
        return await self._post(self.sms_url, form)

    def _note(self, request: web.Request) -> None:
        if request.transport is not None:
            self._links.add(request.transport)

    async def _me(self, request: web.Request) -> web.Response:
        self._note(request)
        if request.headers.get("Authorization") != LOGIN:
            return web.Response(status=401, text="API access requires Basic HTTP authentication. Access denied.")
        return web.json_response({"id": "u1", "balance": 1_000})

    async def _sms(self, request: web.Request) -> web.Response:
        self._note(request)
        form = {name: str(value) for name, value in (await request.post()).items()}
        if request.headers.get("Authorization") != LOGIN:
            return web.Response(status=401, text="API access requires Basic HTTP authentication. Access denied.")
        if missing := {"from", "to", "message"} - form.keys():
            return web.Response(status=400, text=f"Missing key {missing.pop()}")
        if not form["to"].startswith("+") or len(form["to"]) < 6:
            return web.Response(status=400, text="Invalid to number. Please use E.164 format")
        if self.status != 200:
            return web.Response(status=self.status, text="no", headers={"Retry-After": "2"})
        sms = Sms(f"s{len(self.messages)}", form)
        self.messages.append(sms)
        self.unanswered += 1
        self.most_unanswered = max(self.most_unanswered, self.unanswered)
        try:
            await self._open.wait()
        finally:
            self.unanswered -= 1
        task = asyncio.get_running_loop().create_task(self._report(sms))
        self.reports.add(task)
        task.add_done_callback(self.reports.discard)
        return web.json_response({"id": sms.id, "status": "created", "to": form["to"], "parts": 1})

    async def _report(self, sms: Sms) -> int:
        status = 0
        for state in self.states:
            form = {"id": sms.id, "status": state}
            while not 200 <= (status := await self._post(sms.form["whendelivered"], form)) < 205:
                await asyncio.sleep(AGAIN)
        return status

    async def _post(self, url: str, form: dict[str, str]) -> int:
        for name, place in self.names.items():
            url = url.replace(name, place, 1)
        try:
            async with aiohttp.ClientSession() as session, session.post(url, data=form) as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0
