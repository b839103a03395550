"""What the routes of templates are for."""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.api import schemas
from sendpool.api.reference.documented import (
    TEMPLATE_DELETED,
    TEMPLATE_MADE,
    Documented,
)
from sendpool.api.reference.parameters import PAGE

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
CONTENT: Mapping[str, Documented] = {
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
