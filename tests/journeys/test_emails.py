"""Emails from the request to what became of them, through the sandbox."""

from __future__ import annotations

from tests.journeys.conftest import Rig

MAILBOX, OTHER = "support@coolcompany.test", "news@coolcompany.test"
CONTENT = {
    "subject": "Your order",
    "html": "<p>Dear {{ name | default: 'customer' }},</p><p>see <a href='https://shop.example/1'>your order</a>.</p>",
    "attachments": [{"filename": "order.txt", "content": "b25lIGNha2U=", "type": "text/plain"}],
}


async def test_emails_are_delivered_opened_and_refused_as_the_sandbox_says(rig: Rig) -> None:
    server = await rig.server(
        rig.sandbox([("EMAIL", MAILBOX, 100), ("EMAIL", OTHER, 100), ("SMS", "+12034458910", 10)])
    )
    to = [
        {"address": "ana@example.test", "name": "Ana Díaz", "variables": {"name": "Ana & Co"}},
        {"address": "+15005550007@example.test"},
        {"address": "+15005550001@example.test"},
        {"address": "+15005550003@example.test"},
    ]
    body = {"from": {"address": MAILBOX, "name": "Cool Support"}, "to": to, "content": CONTENT}

    operation = (await server.call("POST", "/v1/Emails", body, 202))["operationId"]

    async def ended() -> bool:
        stats = (await server.call("GET", f"/v1/Emails/Operations/{operation}"))["stats"]
        return bool(stats["opened"] and stats["delivered"] and stats["undelivered"] and stats["failed"])

    await rig.until(ended, what="every email has ended")
    emails = await server.pages(f"/v1/Emails?operationId={operation}", "emails")
    assert {one["to"][0]["address"]: one["status"] for one in emails} == {
        "ana@example.test": "DELIVERED",
        "+15005550007@example.test": "OPENED",
        "+15005550001@example.test": "UNDELIVERED",
        "+15005550003@example.test": "FAILED",
    }
    fetched = await server.call("GET", f"/v1/Emails/{emails[-1]['id']}")
    assert fetched["from"] == {"address": MAILBOX, "name": "Cool Support"}
    assert fetched["to"] == [{"address": "ana@example.test", "name": "Ana Díaz"}]
    assert fetched["content"]["text"] == "Dear Ana & Co,\n\nsee your order (https://shop.example/1)."
    assert fetched["content"]["html"].startswith("<p>Dear Ana &amp; Co,</p>")
    assert emails[0]["content"]["text"].startswith("Dear customer,")
    assert (await server.call("GET", f"/v1/Emails/Operations/{operation}"))["status"] == "COMPLETED"
    assert await server.pages("/v1/Messages", "messages") == []


async def test_a_pool_of_mailboxes_shares_a_large_send(rig: Rig) -> None:
    server = await rig.server(rig.sandbox([("EMAIL", MAILBOX, 1000), ("EMAIL", OTHER, 1000)], window=500))
    pool = await server.pool()
    to = [{"address": f"reader+{i}@example.test"} for i in range(1_000)]
    body = {"from": {"senderPoolId": pool}, "to": to, "content": CONTENT}

    operation = (await server.call("POST", "/v1/Emails", body, 202))["operationId"]

    async def delivered() -> bool:
        return bool((await server.call("GET", f"/v1/Emails/Operations/{operation}"))["stats"]["delivered"] == 1_000)

    await rig.until(delivered, 30, "every email is delivered")
    emails = await server.pages(f"/v1/Emails?operationId={operation}", "emails")
    assert {one["from"]["address"] for one in emails} == {MAILBOX, OTHER}
    assert {one["from"]["senderPoolId"] for one in emails} == {pool}
    assert sorted(one["to"][0]["address"] for one in emails) == sorted(one["address"] for one in to)
