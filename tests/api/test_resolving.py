from __future__ import annotations

from typing import Any

import pytest

PATH = "/v1/Senders/Resolve"
PHONE = {"address": "+15551230001", "channel": "PHONE"}
WHATSAPP = {"address": "+15551230002", "channel": "WHATSAPP"}
EMAIL = {"address": "ana@example.test", "channel": "EMAIL"}
UNKNOWN_POOL = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"

RCS_AGENT, FIRST, SECOND = "coolsupport_x12gb_agent", "+12034458910", "+12034458911"
WA_NUMBER, MAILBOX = "+12034458912", "support@coolcompany.com"


async def resolved(client: Any, conforms: Any, *recipients: dict[str, Any], **more: Any) -> list[tuple[str, str, int]]:
    """(sender's address, recipient's address, priority) of each pair."""
    answer = await client.post(PATH, {"recipientAddresses": list(recipients), **more})
    assert answer.status == 200, answer.body
    conforms(answer.json, "ResolveSendersResponse")
    return [(pair["from"]["address"], pair["to"]["address"], pair["priority"]) for pair in answer.json["results"]]


async def test_without_a_source_every_activated_sender_is_a_candidate(still: Any, conforms: Any) -> None:
    assert await resolved(still, conforms, PHONE, WHATSAPP, EMAIL) == [
        (RCS_AGENT, PHONE["address"], 0),
        (FIRST, PHONE["address"], 1),
        (SECOND, PHONE["address"], 1),
        (WA_NUMBER, WHATSAPP["address"], 2),
        (MAILBOX, EMAIL["address"], 3),
    ]


async def test_a_pair_names_sender_and_recipient_in_full(still: Any) -> None:
    senders = {one["address"]: one for one in (await still.get("/v1/Senders")).json["senders"]}

    answer = await still.post(
        "/preview/Senders/Resolve",
        {
            "recipientAddresses": [{"address": "+15551230001", "channel": "phone"}],
            "channels": {"filterIn": ["sms"]},
        },
    )

    assert answer.json["results"][0] == {
        "from": {
            "senderId": senders[FIRST]["id"],
            "displayName": "Cool Support",
            "address": FIRST,
            "channel": "SMS",
        },
        "to": {"address": "+15551230001", "channel": "PHONE"},
        "priority": 0,
    }
    assert answer.json["results"][1]["from"]["displayName"] is None


async def test_a_pools_members_are_the_candidates(client: Any, conforms: Any) -> None:
    pool_id = await client.pool_of(SECOND, MAILBOX)

    found = await resolved(client, conforms, PHONE, EMAIL, senderPoolId=pool_id)

    assert found == [(SECOND, PHONE["address"], 0), (MAILBOX, EMAIL["address"], 1)]
    assert await resolved(client, conforms, WHATSAPP, senderPoolId=pool_id) == []


async def test_the_contracts_own_example_prefers_email(client: Any, conforms: Any) -> None:
    pool_id = await client.pool_of(FIRST, RCS_AGENT, MAILBOX)

    found = await resolved(
        client,
        conforms,
        PHONE,
        EMAIL,
        senderPoolId=pool_id,
        channels={
            "filterIn": ["SMS", "EMAIL"],
            "priority": [{"channel": "EMAIL", "priority": 0}, {"channel": "SMS", "priority": 1}],
        },
    )

    assert found == [(MAILBOX, EMAIL["address"], 0), (FIRST, PHONE["address"], 1)]


async def test_explicit_addresses_are_the_candidates_in_their_order(still: Any, conforms: Any) -> None:
    senders = [
        {"address": SECOND, "channel": "SMS"},
        {"address": FIRST, "channel": "sms"},
        {"address": SECOND, "channel": "SMS"},
        {"address": MAILBOX, "name": "Cool Support"},
        {"address": "+12034450000", "channel": "SMS"},
        {"address": FIRST, "channel": "WHATSAPP"},
        {"fcm": "comms_credential_01h9krwprkeee8fzqspvwy6nq8"},
        {"address": "x", "channel": "PUSH"},
    ]

    found = await resolved(still, conforms, PHONE, EMAIL, senderAddresses=senders)

    assert found == [(SECOND, PHONE["address"], 0), (FIRST, PHONE["address"], 0), (MAILBOX, EMAIL["address"], 1)]


async def test_at_most_ten_pairs_come_back(still: Any, conforms: Any) -> None:
    recipients = [{"address": f"+155512300{i:02d}", "channel": "PHONE"} for i in range(100)]

    found = await resolved(still, conforms, *recipients)

    assert len(found) == 10
    assert [priority for _, _, priority in found] == [0, 1, 1, 2, 3, 3, 4, 5, 5, 6]


async def test_an_address_given_twice_counts_once(still: Any, conforms: Any) -> None:
    assert len(await resolved(still, conforms, WHATSAPP, WHATSAPP, {**WHATSAPP, "channel": "whatsapp"})) == 1


@pytest.mark.parametrize("channel", ["PUSH", "FAX", "x" * 64])
async def test_a_channel_that_no_sender_of_ours_serves_brings_no_pair(channel: str, still: Any, conforms: Any) -> None:
    assert await resolved(still, conforms, {"address": "whoever", "channel": channel}) == []


async def test_a_deactivated_sender_is_no_candidate(world: Any, conforms: Any) -> None:
    pool_id = await world.client.pool_of(FIRST, SECOND)
    await world.deactivate(FIRST)

    for source in (
        {"senderPoolId": pool_id},
        {"senderAddresses": [{"address": one, "channel": "SMS"} for one in (FIRST, SECOND)]},
        {"channels": {"filterIn": ["SMS"]}},
    ):
        assert await resolved(world.client, conforms, PHONE, **source) == [(SECOND, PHONE["address"], 0)]


@pytest.mark.parametrize(
    ("body", "contexts"),
    [
        ({}, ["$.recipientAddresses"]),
        ({"recipientAddresses": []}, ["$.recipientAddresses"]),
        ({"recipientAddresses": [PHONE] * 101}, ["$.recipientAddresses"]),
        ({"recipientAddresses": {}}, ["$.recipientAddresses"]),
        ({"recipientAddresses": [1]}, ["$.recipientAddresses[0]"]),
        ({"recipientAddresses": [{}]}, ["$.recipientAddresses[0].address", "$.recipientAddresses[0].channel"]),
        ({"recipientAddresses": [{**PHONE, "address": "5551230001"}]}, ["$.recipientAddresses[0].address"]),
        ({"recipientAddresses": [PHONE, {**EMAIL, "address": "x"}]}, ["$.recipientAddresses[1].address"]),
        ({"recipientAddresses": [{**PHONE, "channel": ""}]}, ["$.recipientAddresses[0].channel"]),
        ({"recipientAddresses": [{**PHONE, "variables": {}}]}, ["$.recipientAddresses[0]"]),
        ({"recipientAddresses": [PHONE], "senderPoolId": "comms_senderpool_123"}, ["$.senderPoolId"]),
        ({"recipientAddresses": [PHONE], "senderPoolId": UNKNOWN_POOL}, ["$.senderPoolId"]),
        ({"recipientAddresses": [PHONE], "senderPoolId": UNKNOWN_POOL, "senderAddresses": []}, ["$.senderPoolId"]),
        ({"recipientAddresses": [PHONE], "senderAddresses": []}, ["$.senderAddresses"]),
        (
            {"recipientAddresses": [PHONE], "senderAddresses": [{"address": "a@b.c", "name": "c"}] * 101},
            ["$.senderAddresses"],
        ),
        ({"recipientAddresses": [PHONE], "senderAddresses": [None]}, ["$.senderAddresses[0]"]),
        ({"recipientAddresses": [PHONE], "senderAddresses": [{"address": FIRST}]}, ["$.senderAddresses[0].channel"]),
        (
            {"recipientAddresses": [PHONE], "senderAddresses": [{}]},
            ["$.senderAddresses[0].address", "$.senderAddresses[0].channel"],
        ),
        ({"recipientAddresses": [PHONE], "senderAddresses": [{"fcm": "x"}]}, ["$.senderAddresses[0]"]),
        ({"recipientAddresses": [PHONE], "channels": []}, ["$.channels"]),
        ({"recipientAddresses": [PHONE], "channels": {"filterIn": ["SMS", "sms"]}}, ["$.channels.filterIn[1]"]),
        (
            {"recipientAddresses": [PHONE], "channels": {"priority": [{"channel": "MMS", "priority": -1}]}},
            ["$.channels.priority[0].channel", "$.channels.priority[0].priority"],
        ),
        ({"recipientAddresses": [PHONE], "tags": {}}, [None]),
    ],
)
async def test_a_question_that_cannot_be_read_is_a_400(
    body: dict[str, Any], contexts: list[str | None], still: Any, conforms: Any
) -> None:
    answer = await still.post(PATH, body)

    assert (answer.status, answer.contexts) == (400, contexts)
    conforms(answer.json, "ErrorResponse")


async def test_a_pools_reach_and_countries_are_kept_to(client: Any, conforms: Any) -> None:
    pool_id = await client.pool_of(FIRST, RCS_AGENT, WA_NUMBER)
    change = {"reach": ["WHATSAPP", "SMS"], "countries": {"allow": ["US"]}}
    assert (await client.patch(f"/v1/SenderPools/{pool_id}", change)).status == 202
    american, british = (
        {"address": "+12035550001", "channel": "PHONE"},
        {"address": "+442071234567", "channel": "PHONE"},
    )

    found = await resolved(client, conforms, british, american, senderPoolId=pool_id)

    assert found == [(WA_NUMBER, american["address"], 0), (FIRST, american["address"], 1)]


async def test_another_accounts_pool_and_senders_look_unknown(world: Any, conforms: Any) -> None:
    pool_id = await world.client.pool_of(FIRST)
    body = {"recipientAddresses": [PHONE]}

    foreign = await world.other.post(PATH, {**body, "senderPoolId": pool_id})
    nobodys = await world.other.post(PATH, {**body, "senderPoolId": UNKNOWN_POOL})
    assert (foreign.status, foreign.body) == (nobodys.status, nobodys.body) == (400, nobodys.body)
    assert await resolved(world.other, conforms, PHONE) == []
    assert await resolved(world.other, conforms, PHONE, senderAddresses=[{"address": FIRST, "channel": "SMS"}]) == []
