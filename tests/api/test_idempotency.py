"""`Idempotency-Key`: one key, one operation, for a day (promise I2)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import func, select, update
from tests.api.conftest import LETTER, MAILBOX, OTHER_SID, OTHER_TOKEN, PHONE, Client, World

from sendpool.api.sending import read_send
from sendpool.domain.request import Refused
from sendpool.store.database import Script
from sendpool.store.idempotency import KEPT_FOR, Key, KeyTaken, find_key, forget_keys
from sendpool.store.tables import idempotency_key, operation, pool_operation

SEND = {"to": [PHONE], "content": {"text": "Hi"}}
EMAIL = {"from": {"address": MAILBOX}, "to": [{"address": "ana@example.test"}], "content": LETTER}
UNKNOWN_POOL = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"


def keyed(key: str | bytes = "k") -> dict[str, str | bytes]:
    return {"Idempotency-Key": key}


async def made(world: World) -> int:
    """How many operations of any kind there are."""

    def script() -> Script[int]:
        total = 0
        for table in (operation, pool_operation):
            ((rows,),) = yield select(func.count()).select_from(table)
            total += rows
        return total

    return await world.services.database.read(script())


@pytest.fixture
async def bodies(client: Client) -> dict[str, Any]:
    """A request to every path that takes a key."""
    pool_id = await client.pool_of()
    (sender_id, *_) = (await client.senders()).values()
    return {
        "/v1/Messages": SEND,
        "/v1/Emails": EMAIL,
        "/v1/SenderPools": {"name": "one"},
        f"/v1/SenderPools/{pool_id}/Senders": [{"senderId": sender_id}],
    }


@pytest.mark.parametrize("place", range(4))
async def test_the_same_request_gets_the_same_answer_byte_for_byte(
    place: int, world: World, bodies: dict[str, Any]
) -> None:
    path, body = list(bodies.items())[place]
    before = await made(world)

    first = await world.client.post(path, body, headers=keyed())
    again = await world.client.post(path, body, headers=keyed())

    assert first.status == 202
    assert again == first
    assert await made(world) == before + 1


@pytest.mark.parametrize("place", range(4))
async def test_requests_that_come_together_are_one(place: int, world: World, bodies: dict[str, Any]) -> None:
    path, body = list(bodies.items())[place]
    before = await made(world)

    answers = await asyncio.gather(*(world.client.post(path, body, headers=keyed()) for _ in range(20)))

    assert set(map(repr, answers)) == {repr(answers[0])}
    assert answers[0].status == 202
    assert await made(world) == before + 1


async def test_another_request_under_the_key_is_a_conflict(world: World, bodies: dict[str, Any], conforms: Any) -> None:
    first, *_ = await asyncio.gather(*(world.client.post("/v1/Messages", SEND, headers=keyed()) for _ in range(2)))
    other = {**SEND, "content": {"text": "Ho"}}
    meanwhile = await asyncio.gather(
        world.client.post("/v1/Messages", SEND, headers=keyed("two")),
        world.client.post("/v1/Messages", other, headers=keyed("two")),
    )

    answers = [await world.client.post(path, body, headers=keyed()) for path, body in bodies.items() if body != SEND]
    answers.append(await world.client.post("/v1/Messages", other, headers=keyed()))

    for answer in (*answers, meanwhile[1]):
        assert (answer.status, answer.codes) == (409, [20409])
        conforms(answer.json, "ErrorResponse")
    assert first.status == meanwhile[0].status == 202
    assert len(await world.client.listed()) == 2


async def test_both_versions_are_one_path_and_each_answers_with_its_own_urls(client: Client) -> None:
    first = await client.post("/v1/Messages", SEND, headers=keyed())
    again = await client.post("/preview/Messages", SEND, headers=keyed())

    assert again.status == 202
    assert again.json["operationId"] == first.json["operationId"]
    assert "/preview/" in again.json["operationLocation"]


async def test_a_key_is_its_accounts_own(world: World) -> None:
    mine = await world.client.post("/v1/SenderPools", {"name": "one"}, headers=keyed())
    yours = await world.client.as_account(OTHER_SID, OTHER_TOKEN).post(
        "/v1/SenderPools", {"name": "another"}, headers=keyed()
    )

    assert (mine.status, yours.status) == (202, 202)


async def test_a_key_whose_request_was_refused_is_free(client: Client) -> None:
    wrong = [
        await client.post("/v1/Messages", {**SEND, "to": []}, headers=keyed()),
        await client.post("/v1/Messages", {**SEND, "from": {"senderPoolId": UNKNOWN_POOL}}, headers=keyed()),
        await client.post("/v1/SenderPools", {"senders": [{"senderId": "x"}]}, headers=keyed()),
    ]

    assert [answer.status for answer in wrong] == [400, 400, 400]
    assert (await client.post("/v1/Messages", SEND, headers=keyed())).status == 202


async def test_waiting_requests_learn_what_is_wrong_as_well(client: Client) -> None:
    wrong = {**SEND, "to": []}

    answers = await asyncio.gather(*(client.post("/v1/Messages", wrong, headers=keyed()) for _ in range(3)))

    assert [answer.status for answer in answers] == [400] * 3
    assert len(set(map(repr, answers))) == 1


async def test_a_repeat_is_answered_whatever_became_of_the_pool(client: Client) -> None:
    pool_id = await client.pool_of("+12034458910")
    body = {**SEND, "from": {"senderPoolId": pool_id}}
    first = await client.post("/v1/Messages", body, headers=keyed())
    await client.delete(f"/v1/SenderPools/{pool_id}")

    assert await client.post("/v1/Messages", body, headers=keyed()) == first


@pytest.mark.parametrize("key", ["", " ", "é", b"\xff", "a\tb", "x" * 256])
async def test_what_is_no_key_is_refused(key: str | bytes, client: Client) -> None:
    answer = await client.post("/v1/Messages", SEND, headers=keyed(key))

    assert (answer.status, answer.codes) == (400, [60701])
    assert await client.listed() == []


@pytest.mark.parametrize("key", ["k", "x" * 255, "a b", "!~", '"3f2c"'])
async def test_any_printable_key_will_do(key: str, client: Client) -> None:
    first = await client.post("/v1/Messages", SEND, headers=keyed(key))

    assert first.status == 202
    assert await client.post("/v1/Messages", SEND, headers=keyed(f" {key} ")) == first


async def test_a_key_is_free_again_after_a_day(world: World) -> None:
    first = await world.client.post("/v1/Messages", SEND, headers=keyed())

    def age() -> Script[None]:
        yield update(idempotency_key).values(created_at=idempotency_key.c.created_at - KEPT_FOR)

    await world.write(age())
    other = {**SEND, "content": {"text": "Ho"}}
    second = await world.client.post("/v1/Messages", other, headers=keyed())

    assert second.status == 202
    assert second.json["operationId"] != first.json["operationId"]
    assert await world.client.post("/v1/Messages", other, headers=keyed()) == second


async def test_old_keys_are_dropped_and_young_ones_are_not(world: World) -> None:
    for key in ("a", "b", "c"):
        await world.client.post("/v1/Messages", SEND, headers=keyed(key))
    account_id, now = world.accounts[0].id, world.services.now()

    def script() -> Script[list[Any]]:
        yield (
            update(idempotency_key)
            .values(created_at=idempotency_key.c.created_at - KEPT_FOR)
            .where(idempotency_key.c.key != "b")
        )
        yield from forget_keys(now, 1)
        ((left,),) = yield select(func.count()).select_from(idempotency_key)
        yield from forget_keys(now, 10)
        return [left, (yield select(idempotency_key.c.key)), (yield from find_key(account_id, "b", now)) is not None]

    assert await world.write(script()) == [2, [("b",)], True]


class _Elsewhere:
    """A server whose read comes before another one's commit: it sees no key, and its insert is too late."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._blind = 1

    async def read(self, script: Script[Any], *, one: bool = False) -> Any:
        if self._blind:
            self._blind -= 1
            return None
        return await self._world.services.database.read(script)


async def test_the_insert_decides_where_two_servers_have_one_key(world: World) -> None:
    first = await world.client.post("/v1/Messages", SEND, headers=keyed())
    now, account_id = world.services.now(), world.accounts[0].id
    kept = await world.services.database.read(find_key(account_id, "k", now))
    assert kept is not None
    send: Any = _request_of(world)

    async def act(key: Key) -> bytes:
        return (await world.services.accept(send, key)).uid

    same = Key(account_id, "k", kept.digest)
    uid = await world.services.once.carry_out(same, _Elsewhere(world), now, act)
    with pytest.raises(Refused) as caught:
        await world.services.once.carry_out(same._replace(digest=b"x"), _Elsewhere(world), now, act)

    assert uid == kept.operation_uid
    assert caught.value.status == 409
    (one,) = await world.client.listed()
    assert one["related"][0]["id"] == first.json["operationId"]


async def test_a_key_that_is_taken_undoes_its_own_request_alone(world: World) -> None:
    await world.client.post("/v1/Messages", SEND, headers=keyed())
    send = _request_of(world)
    key = Key(world.accounts[0].id, "k", b"digest")

    results = await asyncio.gather(
        world.services.accept(send, None),
        world.services.accept(send, key),
        world.services.accept(send, key._replace(key="another")),
        return_exceptions=True,
    )

    assert isinstance(results[1], KeyTaken)
    assert len(await world.client.listed()) == 3
    assert world.engine.book.total() == 3


async def test_a_key_outlives_a_commit_that_failed_by_being_free(world: World, monkeypatch: Any) -> None:
    write = world.engine.database.write
    fails = iter([True])

    async def fail_once(script: Script[Any], **how: Any) -> Any:
        if next(fails, False):
            script.close()
            raise OSError("disk full")
        return await write(script, **how)

    monkeypatch.setattr(world.engine.database, "write", fail_once)
    first = await world.client.post("/v1/Messages", SEND, headers=keyed())
    second = await world.client.post("/v1/Messages", SEND, headers=keyed())

    assert (first.status, second.status) == (503, 202)
    assert len(await world.client.listed()) == 1


def _request_of(world: World) -> Any:
    return read_send(json.dumps(SEND).encode(), world.accounts[0].id)
