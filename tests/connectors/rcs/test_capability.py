"""Look-ups: one number with its features, pages of 10,000, and nobody's guess where the platform does not say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.measuring import seconds_of

from sendpool.connectors.rcs.capability import PAGE, PAGE_EVERY, Capability, LookUps
from sendpool.connectors.rcs.requests import Requests
from sendpool.connectors.rcs.settings import RcsSettings
from sendpool.connectors.web import Reply

ONE, OTHER = "+447700900123", "+447700900124"


def reply(value: object, status: int = 200) -> Reply:
    return Reply(status, {}, json.dumps(value).encode())


class Platform:
    """Answers bulk look-ups by a rule, and keeps what it was asked."""

    def __init__(self, answer: Callable[[list[str]], Reply | None] | Reply | None) -> None:
        self._answer = answer
        self.asked: list[tuple[str, str, float]] = []
        self.pages: list[list[str]] = []

    async def ask(self, method: str, url: str, body: bytes, within: float) -> Reply | None:
        self.asked.append((method, url, within))
        users = json.loads(body)["users"] if body else []
        self.pages += [users] if users else []
        return self._answer(users) if callable(self._answer) else self._answer

    @property
    def look_ups(self) -> LookUps:
        return LookUps(Requests(RcsSettings(token="t")), self.ask, one_within=2, many_within=10)


def numbers(count: int, start: int = 447700000000) -> list[str]:
    return [f"+{start + n}" for n in range(count)]


def everybody(users: list[str]) -> Reply:
    return reply({"reachableUsers": users})


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            reply({"features": ["REVOCATION", "SOMETHING_NEW"]}),
            Capability(True, frozenset({"REVOCATION", "SOMETHING_NEW"})),
        ),
        (reply({}), Capability(True)),
        (reply({}, 404), Capability(False)),
        (reply({}, 403), Capability(None)),
        (reply({}, 503), Capability(None)),
        (reply([]), Capability(None)),
        (None, Capability(None)),
    ],
)
async def test_one_number(answer: Reply | None, found: Capability) -> None:
    platform = Platform(answer)

    assert await platform.look_ups.one(ONE, "a1") == found
    assert platform.asked[0][0] == "GET"
    assert platform.asked[0][2] == 2


async def test_every_look_up_has_an_id_of_its_own() -> None:
    platform = Platform(reply({}))
    look_ups = platform.look_ups

    await look_ups.one(ONE, "a1")
    await look_ups.one(ONE, "a1")

    assert platform.asked[0][1] != platform.asked[1][1]


async def test_golden_bulk_answer(vectors: Any) -> None:
    platform = Platform(Reply(200, {}, vectors["capabilities"]["bulk answer"].encode()))

    assert await platform.look_ups.many([ONE, OTHER], "a1") == {ONE: True, OTHER: False}
    assert platform.asked == [("POST", "https://rcsbusinessmessaging.googleapis.com/v1/users:batchGet", 10)]


async def test_pages_keep_to_the_platforms_pace() -> None:
    platform = Platform(reply({"reachableUsers": []}))
    began = asyncio.get_running_loop().time()

    look_ups = platform.look_ups
    await asyncio.gather(*(look_ups.many([ONE, OTHER], "a1") for _ in range(4)))

    assert asyncio.get_running_loop().time() - began >= 3 * PAGE_EVERY - 0.01
    assert len(platform.asked) == 4


async def test_a_single_number_is_looked_up_alone() -> None:
    platform = Platform(reply({}, 404))

    assert await platform.look_ups.many([ONE, ONE], "a1") == {ONE: False}
    assert [method for method, _, _ in platform.asked] == ["GET"]


async def test_numbers_of_the_united_states_are_reachable_by_carrier() -> None:
    by_carrier = {"reachableUsers": [], "reachableUsersMap": {"310260": {"reachableUsers": ["+12034458910"]}}}
    platform = Platform(reply(by_carrier))

    assert await platform.look_ups.many(["+12034458910", "+12034458911"], "a1") == {
        "+12034458910": True,
        "+12034458911": False,
    }


async def test_many_go_in_pages_each_number_once() -> None:
    platform = Platform(everybody)
    wanted = numbers(2 * PAGE + 5)

    found = await platform.look_ups.many(wanted + wanted[:100], "a1")

    assert [len(page) for page in platform.pages] == [PAGE, PAGE, 5]
    assert found == dict.fromkeys(wanted, True)


async def test_what_is_no_number_is_not_asked_for() -> None:
    platform = Platform(everybody)

    found = await platform.look_ups.many(["nobody", "", ONE, OTHER], "a1")

    assert found == {"nobody": False, "": False, ONE: True, OTHER: True}
    assert platform.pages == [[ONE, OTHER]]
    assert await platform.look_ups.many([], "a1") == {}
    assert await platform.look_ups.one("nobody", "a1") == Capability(False)


@pytest.mark.parametrize("answer", [None, reply({}, 429), reply({}, 503), reply({}, 403), Reply(200, {}, b"<html>")])
async def test_without_an_answer_nobody_can_say(answer: Reply | None) -> None:
    assert await Platform(answer).look_ups.many([ONE, OTHER], "a1") == {ONE: None, OTHER: None}


async def test_numbers_of_other_regions_do_not_spoil_the_page() -> None:
    american, british, thai = numbers(3, 12034458910), numbers(3), numbers(3, 66800000000)

    def only_europe(users: list[str]) -> Reply:
        return everybody(users) if all(user.startswith("+4") for user in users) else reply({}, 400)

    platform = Platform(only_europe)
    found = await platform.look_ups.many([*thai, *american, *british], "a1")

    assert found == {**dict.fromkeys(british, True), **dict.fromkeys([*american, *thai], None)}
    assert len(platform.pages) == 4


async def test_a_page_of_one_zone_that_is_refused_is_not_asked_again() -> None:
    platform = Platform(reply({}, 400))

    assert await platform.look_ups.many(numbers(3), "a1") == dict.fromkeys(numbers(3))
    assert len(platform.pages) == 1


def test_a_page_of_10_000_holds_up_the_loop_for_a_moment_only() -> None:
    platform = Platform(everybody)
    wanted = numbers(PAGE)

    assert seconds_of(lambda: asyncio.run(platform.look_ups.many(wanted, "a1")), enough=0.5) <= 0.5
