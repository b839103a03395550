"""Files are looked at before they are sent: type and size, once, and never in a private network unless allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.connectors.hosts import Host
from tests.connectors.rcs import conftest as rcs
from tests.connectors.twilio import conftest as twilio
from tests.connectors.whatsapp import conftest as whatsapp

from sendpool.connectors.base import CarrierId, Rejected
from sendpool.connectors.media import REMEMBERED, UNFIT, MediaCheck, check_networks
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Content

LIMITS = {"image/png": 1_000, "video/": 5_000}
LOOPBACK = ["127.0.0.0/8"]


class Files(Host):
    """A web server with files that are nothing but their heads."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        super().__init__()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        """`/STATUS/TYPE/SUBTYPE/OCTETS`."""
        self.asked.append((request.method, request.path))
        _, status, kind, sub, octets = request.path.split("/")
        return web.Response(status=int(status), headers={"Content-Type": f"{kind}/{sub}", "Content-Length": octets})


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    made = Files()
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/200/image/png/1000", ""),
        ("/200/image/png/1001", "the file has 1,001 octets; the channel takes 1,000 of its type"),
        ("/200/video/mp4/5000", ""),
        ("/200/image/gif/10", "the channel takes no files of type image/gif"),
        ("/404/image/png/10", "there is no file: status 404"),
        # They may have something against HEAD, or against us: the carrier will see.
        ("/405/image/gif/10", ""),
        ("/403/image/gif/10", ""),
        ("/302/image/gif/10", ""),
    ],
)
async def test_a_file_is_judged_by_what_its_server_says(path: str, why: str, files: Files) -> None:
    check = MediaCheck(LIMITS, LOOPBACK)

    assert await check.objection([files.url + path]) == why
    assert files.asked == [("HEAD", path)]
    await check.close()


async def test_files_in_private_networks_are_not_asked_for(files: Files) -> None:
    check = MediaCheck(LIMITS)

    assert "private network" in await check.objection([f"{files.url}/200/image/png/1"])
    assert not files.asked
    await check.close()


async def test_many_who_want_one_file_ask_once_until_that_is_long_ago(files: Files) -> None:
    now = [0.0]
    check = MediaCheck(LIMITS, LOOPBACK, clock=lambda: now[0])
    url = f"{files.url}/200/image/png/9999"

    found = await asyncio.gather(*(check.objection([url]) for _ in range(50)))
    assert len(files.asked) == 1
    assert len(set(found)) == 1
    now[0] = REMEMBERED + 1
    await check.objection([url])
    assert len(files.asked) == 2
    await check.close()


async def test_who_is_cancelled_takes_the_answer_from_nobody(files: Files) -> None:
    check = MediaCheck(LIMITS, LOOPBACK)
    url = f"{files.url}/200/image/png/9999"
    first = asyncio.create_task(check.objection([url]))
    second = asyncio.create_task(check.objection([url]))
    await asyncio.sleep(0)
    first.cancel()

    assert "9,999" in await second
    await check.close()


def test_networks_are_told_by_their_key() -> None:
    with pytest.raises(ValueError, match="key 'media_networks'"):
        check_networks(["10.0.0.1/8"])


class Rehearsed:
    """Each connector that takes files by URL: a rig, and its platform's messages."""

    def __init__(self, kind: str) -> None:
        self._module = {"rcs": rcs, "whatsapp": whatsapp, "twilio": twilio}[kind]
        self._rehearse = self._module.Rehearse()

    async def refuses(self, url: str) -> tuple[object, object]:
        """What becomes of a message with this file, and of one without."""
        rig = await self._rehearse()
        connector = await rig.opened(check_media=True, media_networks=LOOPBACK)
        with_file = rig.submission(1)._replace(content=Content(text="See", media=(url,)))
        return await rig.outcome(connector, with_file), await rig.outcome(connector, rig.submission(2))

    async def close(self) -> None:
        await self._rehearse.close()


@pytest.mark.parametrize("kind", ["rcs", "whatsapp", "twilio"])
async def test_a_message_whose_file_is_too_large_is_left_to_the_next_channel(kind: str, files: Files) -> None:
    made = Rehearsed(kind)
    try:
        refused, taken = await made.refuses(f"{files.url}/200/image/png/200000000")
    finally:
        await made.close()

    assert refused == Rejected(FailureClass.CONTENT, UNFIT)
    assert isinstance(taken, CarrierId)
