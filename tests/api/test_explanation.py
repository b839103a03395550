"""`GET /Messages/{id}/Explanation`: the format that design section 9 fixes, for one's own messages only."""

from __future__ import annotations

from tests.api.conftest import OTHER_SID, OTHER_TOKEN, PHONE, World

from sendpool.testing.explanations import KEYS


async def test_the_format_is_the_fixed_one(world: World) -> None:
    await world.client.sent(to=[PHONE])
    (one,) = await world.client.listed()

    answer = await world.client.get(f"/v1/Messages/{one['id']}/Explanation")

    assert answer.status == 200
    assert KEYS[""] <= answer.json.keys()
    assert answer.json["messageId"] == one["id"]
    for part in ("plan", "candidates", "attempts"):
        for entry in answer.json[part]:
            assert KEYS[part] <= entry.keys()
    assert answer.json["waiting"]["text"].endswith(".")
    assert {entry["verdict"] for entry in answer.json["candidates"]} <= {"taken", "waited", "skipped", "excluded"}


async def test_a_message_of_another_account_or_none_is_unknown(world: World) -> None:
    await world.client.sent(to=[PHONE])
    (one,) = await world.client.listed()
    other = world.client.as_account(OTHER_SID, OTHER_TOKEN)

    for client, name in ((other, one["id"]), (world.client, "comms_message_01h9krwprkeee8fzqspvwy6nq8")):
        answer = await client.get(f"/v1/Messages/{name}/Explanation")
        assert answer.status == 404


async def test_emails_are_no_messages_here_either(world: World) -> None:
    await world.client.mailed()
    (one,) = await world.client.mails()

    assert (await world.client.get(f"/v1/Messages/{one['id']}/Explanation")).status == 404
