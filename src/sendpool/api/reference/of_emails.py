"""What the routes of emails are for."""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.api import email_schemas
from sendpool.api.reference.documented import (
    OPERATION_ACCEPTED,
    RESOURCE_ACCEPTED,
    Documented,
)
from sendpool.api.reference.parameters import CREATED, PAGE

EMAILS: Mapping[str, Documented] = {
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
    "POST /Emails/Operations/{operation_id}/Resume": Documented(
        "resumeEmailOperation",
        "Emails",
        "Let an operation go on that is paused, since carriers had refused what it says",
        OPERATION_ACCEPTED,
        "It pauses again when three in a hundred of the next answers are such refusals.",
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
