"""What the routes of messages and their operations are for."""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.api import schemas
from sendpool.api.reference.documented import (
    LOCATION,
    OPERATION_ACCEPTED,
    POOL,
    RESOURCE_ACCEPTED,
    TWO,
    Documented,
)
from sendpool.api.reference.parameters import CREATED, FILTERS, PAGE
from sendpool.domain.explanation import Explanation

_SENDS = {
    "pool": {"from": {"senderPoolId": POOL}, "to": TWO, "content": {"text": "Hello, World!"}},
    "richFallback": {
        "from": {"senderPoolId": POOL},
        "to": TWO[:1],
        "content": {
            "modules": [
                {"rcs": {"richCard": {"standaloneCard": {"cardContent": {"title": "Parcel on its way"}}}}},
                {"sms": {"text": "Parcel on its way: https://example.com/t/1"}},
            ]
        },
    },
}

MESSAGES: Mapping[str, Documented] = {
    "POST /Messages": Documented(
        "sendMessages",
        "Messages",
        "Send to up to 10,000 recipients",
        OPERATION_ACCEPTED,
        "202 means durable: neither a crash nor a power cut loses a message after it. Follow the operation.",
        body="SendMessagesRequest",
        examples=_SENDS,
        parameters=("Idempotency-Key",),
        more_errors=(403,),
    ),
    "GET /Messages": Documented(
        "listMessages",
        "Messages",
        "List messages, the newest first",
        schemas.MessagePage,
        "Without content and attempts. A page under a rare filter may be short, or empty, and still name a next one.",
        ("operationId", "operation_id", "sessionId", *CREATED, "profile", *FILTERS, "tags", "ambiguous", *PAGE),
    ),
    "GET /Messages/{message_id}": Documented(
        "fetchMessage", "Messages", "Fetch a message with its content and attempts", schemas.Message
    ),
    "DELETE /Messages/{message_id}": Documented(
        "redactMessage",
        "Messages",
        "Take what is personal out of a message for good",
        RESOURCE_ACCEPTED,
        "Text, variables and address go; states, attempts and counters stay.",
        ours=True,
    ),
    "POST /Messages/{message_id}/Cancel": Documented(
        "cancelMessage",
        "Messages",
        "Cancel a message that has not left",
        RESOURCE_ACCEPTED,
        "One that waits between two attempts may be canceled too; one that a carrier has, or just gets, is a 409.",
        ours=True,
    ),
    "GET /Messages/{message_id}/Explanation": Documented(
        "explainMessage",
        "Messages",
        "Why a message went the way it did, or what it waits for",
        Explanation,
        "Every step of its plan, every sender that was looked at with the reason, and what followed from each attempt.",
        fewer_errors=(409,),
        ours=True,
    ),
    "GET /Messages/{message_id}/Receipts": Documented(
        "listMessageReceipts",
        "Messages",
        "How far a message has come with each of its recipients",
        schemas.ReceiptPage,
        parameters=PAGE,
        fewer_errors=(409,),
    ),
    "GET /Messages/Seek/{message_sid}": Documented(
        "seekMessage", "Messages", "From an attempt's id to its message", LOCATION, fewer_errors=(409,)
    ),
    "GET /Messages/Operations": Documented(
        "listMessageOperations",
        "MessageOperations",
        "List the operations that made messages",
        schemas.MessageOperationPage,
        parameters=(*CREATED, "operationStatus", *PAGE),
    ),
    "GET /Messages/Operations/{operation_id}": Documented(
        "fetchMessageOperation",
        "MessageOperations",
        "Fetch an operation with its twelve counters",
        schemas.MessageOperation,
        "The eight states add up to `total`; `recipients` counts those without an address that can be reached as well.",
    ),
    "POST /Messages/Operations/{operation_id}/Cancel": Documented(
        "cancelMessageOperation",
        "MessageOperations",
        "Cancel what has not left of an operation",
        OPERATION_ACCEPTED,
        "What a carrier has, or is just getting, goes on. CANCELED is an operation of which everything was canceled.",
        ours=True,
    ),
    "POST /Messages/Operations/{operation_id}/Resume": Documented(
        "resumeMessageOperation",
        "MessageOperations",
        "Let an operation go on that is paused, since carriers had refused what it says",
        OPERATION_ACCEPTED,
        "It pauses again when three in a hundred of the next answers are such refusals.",
        ours=True,
    ),
    "GET /Messages/Operations/{operation_id}/Errors": Documented(
        "listMessageOperationErrors",
        "MessageOperations",
        "What went wrong in an operation: recipients without a message, then messages that failed",
        schemas.OperationErrorPage,
        parameters=PAGE,
        fewer_errors=(409,),
    ),
}
