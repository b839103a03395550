"""What the routes of senders and sender pools are for."""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.api import schemas
from sendpool.api.reference.documented import (
    OPERATION_ACCEPTED,
    POOL,
    RESOURCE_ACCEPTED,
    SENDER,
    TWO,
    Documented,
)
from sendpool.api.reference.parameters import CREATED, PAGE
from sendpool.domain.rehearsal import Rehearsal

SENDERS: Mapping[str, Documented] = {
    "GET /Senders": Documented(
        "listSenders",
        "Senders",
        "List senders",
        schemas.SenderPage,
        "They appear by themselves from what the connections declare.",
        ("senderChannel", "senderStatus", *CREATED, *PAGE),
    ),
    "POST /Senders/Search": Documented(
        "searchSenders",
        "Senders",
        "Find senders by address and channel",
        schemas.SenderPage,
        "A POST, so that addresses stay out of URLs; it answers at once.",
        body="SearchSendersRequest",
        examples={"number": {"address": "+12034458910", "channel": "SMS"}},
    ),
    "POST /Senders/Resolve": Documented(
        "resolveSenders",
        "Senders",
        "Which senders could reach a human, the best first",
        schemas.ResolveSendersResponse,
        "The addresses are those of one human. At most ten pairs come back, the lowest priority first. As by a send,"
        " a pool's `reach` and countries, those of the account, and where each sender sends are kept to.",
        body="ResolveSendersRequest",
        examples={
            "pool": {
                "senderPoolId": POOL,
                "recipientAddresses": [
                    {"address": "+19143188062", "channel": "PHONE"},
                    {"address": "ana@example.com", "channel": "EMAIL"},
                ],
                "channels": {"priority": [{"channel": "EMAIL", "priority": 0}, {"channel": "SMS", "priority": 1}]},
            }
        },
    ),
    "GET /Senders/{sender_id}": Documented("fetchSender", "Senders", "Fetch a sender", schemas.Sender),
}

POOLS: Mapping[str, Documented] = {
    "POST /SenderPools": Documented(
        "createSenderPool",
        "SenderPools",
        "Make a sender pool",
        OPERATION_ACCEPTED,
        "The pool is there when this is answered: find its id with GET /SenderPools?operationId=...",
        body="CreateSenderPoolRequest",
        examples={"named": {"name": "Sales Leads - APAC", "tags": {"region": "APAC"}}},
        parameters=("Idempotency-Key",),
    ),
    "GET /SenderPools": Documented(
        "listSenderPools",
        "SenderPools",
        "List sender pools",
        schemas.SenderPoolPage,
        parameters=(*CREATED, "operationId", *PAGE),
    ),
    "GET /SenderPools/{pool_id}": Documented(
        "fetchSenderPool", "SenderPools", "Fetch a sender pool", schemas.SenderPool
    ),
    "PATCH /SenderPools/{pool_id}": Documented(
        "updateSenderPool",
        "SenderPools",
        "Change a pool's name, tags or settings",
        RESOURCE_ACCEPTED,
        "Tags replace the whole map; a setting of null is taken away.",
        body="UpdateSenderPoolRequest",
        examples={"renamed": {"name": "Sales Leads"}},
    ),
    "DELETE /SenderPools/{pool_id}": Documented(
        "deleteSenderPool", "SenderPools", "Delete a sender pool; its senders stay", RESOURCE_ACCEPTED
    ),
    "POST /SenderPools/{pool_id}/Rehearsal": Documented(
        "rehearseSend",
        "SenderPools",
        "What a send from this pool would do now; nothing is sent or stored",
        Rehearsal,
        "The body is that of a send, and what is wrong with it is answered as a send would be. `from` may be left out.",
        body="SendMessagesRequest",
        examples={"text": {"to": TWO, "content": {"text": "Hello, World!"}}},
        fewer_errors=(409,),
        ours=True,
    ),
    "GET /SenderPools/{pool_id}/Senders": Documented(
        "listSenderPoolSenders",
        "SenderPools",
        "List the senders of a pool",
        schemas.SenderPage,
        parameters=("senderChannel", "senderStatus", *CREATED, *PAGE),
    ),
    "POST /SenderPools/{pool_id}/Senders": Documented(
        "addSenderPoolSenders",
        "SenderPools",
        "Add senders to a pool",
        OPERATION_ACCEPTED,
        parameters=("Idempotency-Key",),
        body="AddSenderPoolSendersRequest",
        examples={"array": [{"senderId": SENDER}], "object": {"senderId": SENDER}},
    ),
    "DELETE /SenderPools/{pool_id}/Senders/{sender_id}": Documented(
        "removeSenderPoolSender",
        "SenderPools",
        "Take a sender out of a pool",
        RESOURCE_ACCEPTED,
        "The answer names the sender, which goes on to exist.",
    ),
    "GET /SenderPools/Operations": Documented(
        "listSenderPoolOperations",
        "SenderPoolOperations",
        "List the operations that changed pools",
        schemas.SenderPoolOperationPage,
        parameters=(*CREATED, "operationStatus", *PAGE),
    ),
    "GET /SenderPools/Operations/{operation_id}": Documented(
        "fetchSenderPoolOperation",
        "SenderPoolOperations",
        "Fetch an operation that changed a pool",
        schemas.SenderPoolOperation,
    ),
    "GET /SenderPools/{pool_id}/Senders/Operations/{operation_id}": Documented(
        "fetchSenderPoolMemberOperation",
        "SenderPoolOperations",
        "The same operation, under the address that adding senders answers",
        schemas.SenderPoolOperation,
    ),
}
