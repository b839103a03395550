"""What each route is for: the table that the OpenAPI document and the pages are made of.

A route without an entry here fails a test. The key is method and path as they stand in `api.app.ROUTES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sendpool.api import email_schemas, schemas
from sendpool.api.reference.parameters import CREATED, FILTERS, PAGE

#: An answer of 202: the references of what was made or changed.
OPERATION_ACCEPTED, RESOURCE_ACCEPTED = "OperationAccepted", "ResourceAccepted"
#: Answers of 201 and 204.
TEMPLATE_MADE, TEMPLATE_DELETED = "TemplateMade", "TemplateDeleted"
#: An answer of 301.
LOCATION = "MessageLocation"


class Documented(NamedTuple):
    """One operation. Errors are those of every operation (see `document.errors_of`) and `more_errors`."""

    id: str
    tag: str
    summary: str
    #: The shape of its 200, or the name of a response in `document.RESPONSES`.
    answer: type[schemas.Shape] | str
    description: str = ""
    #: Names in `parameters.PARAMETERS`; those in the path need not be listed.
    parameters: tuple[str, ...] = ()
    #: A name in `requests.REQUESTS`.
    body: str | None = None
    #: Bodies to start from, by name.
    examples: Mapping[str, Any] = {}
    more_errors: tuple[int, ...] = ()
    fewer_errors: tuple[int, ...] = ()
    #: Those that the contract does not know here.
    our_errors: tuple[int, ...] = ()
    #: Our own addition: the contract does not know it.
    ours: bool = False


_POOL = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"
_SENDER = "comms_sender_01h9krwprkeee8fzqspvwy6nq8"
_TWO = [{"address": "+19143188062", "channel": "PHONE"}, {"address": "+19143188063", "channel": "WHATSAPP"}]
_SENDS = {
    "pool": {"from": {"senderPoolId": _POOL}, "to": _TWO, "content": {"text": "Hello, World!"}},
    "richFallback": {
        "from": {"senderPoolId": _POOL},
        "to": _TWO[:1],
        "content": {
            "modules": [
                {"rcs": {"richCard": {"standaloneCard": {"cardContent": {"title": "Parcel on its way"}}}}},
                {"sms": {"text": "Parcel on its way: https://example.com/t/1"}},
            ]
        },
    },
}

_MESSAGES = {
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
    "GET /Messages/Operations/{operation_id}/Errors": Documented(
        "listMessageOperationErrors",
        "MessageOperations",
        "What went wrong in an operation: recipients without a message, then messages that failed",
        schemas.OperationErrorPage,
        parameters=PAGE,
        fewer_errors=(409,),
    ),
}

_SENDERS = {
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
        "The addresses are those of one human. At most ten pairs come back, the lowest priority first.",
        body="ResolveSendersRequest",
        examples={
            "pool": {
                "senderPoolId": _POOL,
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

_POOLS = {
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
        examples={"array": [{"senderId": _SENDER}], "object": {"senderId": _SENDER}},
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

_EMAILS = {
    "POST /Emails": Documented(
        "sendEmails",
        "Emails",
        "Send emails to up to 10,000 recipients",
        OPERATION_ACCEPTED,
        "202 means durable. The whole request may have 5 MB. Where there is no text, it comes from the html.",
        body="SendEmailsRequest",
        examples={
            "mailbox": {
                "from": {"address": "support@example.com", "name": "Support"},
                "to": [{"address": "ana@example.com", "name": "Ana Díaz"}],
                "content": {"subject": "Your order", "html": "<p>It is on its way.</p>"},
            }
        },
        parameters=("Idempotency-Key",),
        more_errors=(403, 404),
    ),
    "GET /Emails": Documented(
        "listEmails",
        "Emails",
        "List emails with their contents, the newest first",
        email_schemas.EmailPage,
        "Attachments come without their bytes. A page of long contents, or under a rare filter, may be short and still"
        " name a next one.",
        ("operationId", "emailOperation_id", *CREATED, "emailStatus", "tags", "ambiguous", *PAGE),
        fewer_errors=(409,),
    ),
    "POST /Emails/Search": Documented(
        "searchEmails",
        "Emails",
        "Find emails by an address, or by what lists are filtered by",
        email_schemas.EmailPage,
        "A POST, so that addresses stay out of URLs; it answers at once.",
        parameters=PAGE,
        body="SearchEmailsRequest",
        examples={"address": {"address": "ana@example.com"}},
        ours=True,
    ),
    "GET /Emails/{email_id}": Documented(
        "fetchEmail", "Emails", "Fetch an email with its content", email_schemas.Email, fewer_errors=(409,)
    ),
    "DELETE /Emails/{email_id}": Documented(
        "deleteEmail",
        "Emails",
        "Take what is personal out of an email for good",
        RESOURCE_ACCEPTED,
        "Content, address and name go; states and counters stay. An email that is still to be sent is a 409.",
        our_errors=(409,),
    ),
    "POST /Emails/{email_id}/Cancel": Documented(
        "cancelEmail",
        "Emails",
        "Cancel an email that has not left",
        RESOURCE_ACCEPTED,
        "One that the mail server has, or is just getting, is a 409.",
        ours=True,
    ),
    "POST /Emails/Operations/{operation_id}/Cancel": Documented(
        "cancelEmailOperation",
        "Emails",
        "Cancel what has not left of an operation",
        OPERATION_ACCEPTED,
        "What the mail server has, or is just getting, goes on.",
        ours=True,
    ),
    "GET /Emails/Operations": Documented(
        "listEmailOperations",
        "Emails",
        "List the operations that made emails",
        email_schemas.EmailOperationPage,
        parameters=(*CREATED, "operationStatus", *PAGE),
        fewer_errors=(409,),
    ),
    "GET /Emails/Operations/{operation_id}": Documented(
        "fetchEmailOperation",
        "Emails",
        "Fetch an operation with its eleven counters",
        email_schemas.EmailOperation,
        fewer_errors=(409,),
    ),
}

_NEW_TEMPLATE = {
    "card": {
        "friendly_name": "order on its way",
        "language": "en",
        "variables": {"1": "customer", "2": "4711"},
        "types": {
            "twilio/card": {
                "title": "Your order {{2}}",
                "body": "Dear {{1}}, it is on its way.",
                "actions": [{"type": "URL", "title": "Track", "url": "https://shop.example/orders/{{2}}"}],
            },
            "twilio/text": {"body": "Dear {{1}}, your order {{2}} is on its way."},
        },
    }
}
_CONTENT = {
    "POST /Content": Documented(
        "createContent",
        "Content",
        "Make a template",
        TEMPLATE_MADE,
        "Each recipient gets the richest of its types that their channel shows.",
        body="ContentTemplateInput",
        examples=_NEW_TEMPLATE,
        ours=True,
    ),
    "GET /Content": Documented(
        "listContent",
        "Content",
        "List templates, the newest first",
        schemas.ContentTemplatePage,
        parameters=PAGE,
        ours=True,
    ),
    "GET /Content/{content_sid}": Documented(
        "fetchContent", "Content", "Fetch a template", schemas.ContentTemplate, ours=True
    ),
    "PUT /Content/{content_sid}": Documented(
        "updateContent",
        "Content",
        "Let a template say something else",
        schemas.ContentTemplate,
        "What was accepted before keeps what it said.",
        body="ContentTemplateInput",
        examples=_NEW_TEMPLATE,
        ours=True,
    ),
    "DELETE /Content/{content_sid}": Documented(
        "deleteContent",
        "Content",
        "Delete a template",
        TEMPLATE_DELETED,
        "Messages that were accepted with it go on.",
        ours=True,
    ),
}

OPERATIONS: Mapping[str, Documented] = {**_MESSAGES, **_SENDERS, **_POOLS, **_EMAILS, **_CONTENT}
