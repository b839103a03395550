"""Sends to people with several addresses and to stored profiles, from the request to what reads show of them."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.domain.profile import Profile
from sendpool.domain.sender import Channel
from sendpool.domain.states import AttemptState, MessageState
from sendpool.store.profiles import save_profiles

PHONE = {"address": "+19143188062", "channel": "PHONE"}
WHATSAPP = {"address": "+19143188063", "channel": "WHATSAPP"}
ANA, BEN = "mem_profile_01h9krwprkeee8fzqspvwy6nq8", "mem_profile_01h9krwprkeee8fzqspvwy6nq9"
STORE = "mem_store_01h9krwprkeee8fzqspvwy6nq8"
BOTH = Profile(ANA, STORE, [("+19143188062", "P"), ("+19143188063", "W")], {"firstName": "Ana"})
SMS_NUMBER, WHATSAPP_NUMBER = "+12034458910", "+12034458912"


async def test_message_to_several_addresses_shows_the_one_of_its_step_and_attempts_theirs(
    world: Any, conforms: Any
) -> None:
    client = world.client
    origin = {"senderPoolId": await client.pool_of(SMS_NUMBER, WHATSAPP_NUMBER)}
    operation_id = await client.sent(to=[{"addresses": [PHONE, WHATSAPP]}], origin=origin)
    (before,) = await client.listed()
    await world.tried(operation_id, 1, SMS_NUMBER, AttemptState.REJECTED, failure="RECIPIENT", code="x", step=0)
    await world.tried(operation_id, 2, WHATSAPP_NUMBER, AttemptState.DELIVERED, step=1)
    await world.change(operation_id, 0, address=WHATSAPP_NUMBER, state=int(MessageState.DELIVERED), step=1)

    (after,) = await client.listed()
    fetched = (await client.get(f"/v1/Messages/{after['id']}")).json

    assert (before["to"], after["to"], fetched["to"]) == ([PHONE], [WHATSAPP], [WHATSAPP])
    assert [attempt["to"] for attempt in fetched["attempts"]] == [[PHONE], [WHATSAPP]]
    assert [attempt["channel"] for attempt in fetched["attempts"]] == [Channel.SMS, Channel.WHATSAPP]
    conforms(after, "MessageMetadata")
    conforms(fetched, "Message")
    operation = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json
    assert (operation["stats"]["total"], operation["stats"]["recipients"]) == (1, 1)


async def test_failed_message_is_told_with_the_address_it_ended_at(world: Any) -> None:
    client = world.client
    origin = {"senderPoolId": await client.pool_of(SMS_NUMBER, WHATSAPP_NUMBER)}
    operation_id = await client.sent(to=[{"addresses": [PHONE, WHATSAPP]}], origin=origin)
    await world.change(operation_id, 0, state=int(MessageState.FAILED), error_code=30005, step=1)

    (error,) = (await client.get(f"/v1/Messages/Operations/{operation_id}/Errors")).json["errors"]

    assert error["to"] == WHATSAPP


async def test_person_whom_no_sender_reaches_is_unaddressable_once(world: Any) -> None:
    client = world.client
    pool_id = await client.pool_of(WHATSAPP_NUMBER)
    other = {"address": "+19143188064", "channel": "PHONE"}
    operation_id = await client.sent(to=[{"addresses": [PHONE, other]}], origin={"senderPoolId": pool_id})

    operation = (await client.get(f"/v1/Messages/Operations/{operation_id}")).json
    (error,) = (await client.get(f"/v1/Messages/Operations/{operation_id}/Errors")).json["errors"]

    assert operation["status"] == "COMPLETED"
    assert (operation["stats"]["total"], operation["stats"]["unaddressable"]) == (0, 1)
    assert (error["context"], error["to"]) == ("$.to[0]", PHONE)


async def test_profile_names_the_addresses_and_is_named_in_turn(world: Any, conforms: Any) -> None:
    client = world.client
    await world.write(save_profiles(world.accounts[0].id, [BOTH], 1))
    await client.sent(to=[{"profileId": ANA, "memoryStoreId": STORE}, {"profileId": ANA}])
    await client.sent()

    found = await client.listed(f"?profile={ANA}")
    fetched = (await client.get(f"/v1/Messages/{found[0]['id']}")).json

    assert [one["to"] for one in found] == [[{**PHONE, "profileId": ANA, "memoryStoreId": STORE}]] * 2
    assert fetched["to"] == found[0]["to"]
    conforms(found[0], "MessageMetadata")
    conforms(fetched, "Message")
    assert len(await client.listed()) == 3
    assert await client.listed(f"?profile={BEN}") == []


async def test_text_reads_as_the_profile_says(world: Any) -> None:
    client = world.client
    await world.write(save_profiles(world.accounts[0].id, [BOTH], 1))
    variables = {"name": "${Twilio.Profile.firstName}"}
    await client.sent(to=[{"profileId": ANA, "variables": variables}], content={"text": "Hi {{ name }}"})

    (one,) = await client.listed()
    fetched = (await client.get(f"/v1/Messages/{one['id']}")).json

    assert fetched["content"] == {"text": "Hi Ana"}


@pytest.mark.parametrize("profile_id", [ANA, BEN])
async def test_profile_of_another_account_is_unknown(profile_id: str, world: Any) -> None:
    await world.write(save_profiles(world.accounts[0].id, [BOTH], 1))

    answer = await world.other.post(
        "/v1/Messages", {"to": [PHONE, {"profileId": profile_id}], "content": {"text": "Hi"}}
    )

    assert (answer.status, answer.codes, answer.contexts) == (400, [20404], ["$.to[1].profileId"])
