"""Carriers are asked which senders there are, now and then; what is new is taken over, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.sandbox.connector import SandboxConnector
from sendpool.domain.sender import Channel
from sendpool.domain.throughput import Bucket
from sendpool.pipeline.find import ASK_AGAIN, ASK_SOON, Finder
from sendpool.pipeline.links import Link

ONE, TWO = (SenderSettings(channel=Channel.WHATSAPP, address=f"+1203445891{n}") for n in range(2))
KEY = 5


class Telling(SandboxConnector):
    """A connector whose carrier tells what a test says."""

    def __init__(self) -> None:
        super().__init__(ConnectionSettings(name="a", type="sandbox"))
        self.told: list[SenderSettings] | None = [ONE]
        self.asked = 0

    @staticmethod
    def finds(settings: ConnectionSettings) -> bool:
        return True

    async def inventory(self) -> list[SenderSettings] | None:
        self.asked += 1
        return self.told


class Desk:
    """A finder over one link, at a time that the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.taken: list[tuple[int, list[SenderSettings]]] = []
        self.wanted = True
        self.connector = Telling()
        self.link = self.new_link()
        engine = SimpleNamespace(clock=SimpleNamespace(monotonic=lambda: self.now))
        self.finder = Finder(cast(Any, engine), self._take, lambda key: self.wanted)

    def new_link(self) -> Link:
        link = Link(KEY, "a", "sandbox", self.connector, Bucket(None))
        link.up = True
        return link

    async def _take(self, key: int, senders: Any) -> None:
        self.taken.append((key, list(senders)))

    async def look(self, after: float = 0.0) -> list[tuple[int, list[SenderSettings]]]:
        self.now += after
        await self.finder.look(self.link)
        return self.taken


async def test_what_is_told_is_taken_over_once_and_again_where_it_has_changed() -> None:
    desk = Desk()

    assert await desk.look() == [(KEY, [ONE])]
    assert await desk.look(ASK_AGAIN - 1) == [(KEY, [ONE])]
    assert desk.connector.asked == 1
    assert await desk.look(1) == [(KEY, [ONE])]
    assert desk.connector.asked == 2
    desk.connector.told = [ONE, TWO]
    assert await desk.look(ASK_AGAIN) == [(KEY, [ONE]), (KEY, [ONE, TWO])]


async def test_an_account_without_numbers_is_taken_at_its_word() -> None:
    desk = Desk()
    desk.connector.told = []

    assert await desk.look() == [(KEY, [])]


async def test_a_carrier_that_could_not_say_changes_nothing_and_is_asked_soon() -> None:
    desk = Desk()
    desk.connector.told = None

    assert await desk.look() == []
    desk.connector.told = [ONE]
    assert await desk.look(ASK_SOON - 1) == []
    assert await desk.look(1) == [(KEY, [ONE])]


async def test_nobody_is_asked_who_is_down_or_does_not_look_for_senders() -> None:
    desk = Desk()
    desk.link.up = False
    assert await desk.look() == []
    desk.link.up, desk.wanted = True, False

    assert await desk.look() == []
    assert desk.connector.asked == 0


async def test_a_link_that_is_dialled_anew_is_asked_at_once() -> None:
    desk = Desk()
    await desk.look()
    desk.link = desk.new_link()

    await desk.look()

    assert desk.connector.asked == 2
    assert desk.taken == [(KEY, [ONE])]
