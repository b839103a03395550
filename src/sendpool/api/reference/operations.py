"""What each route is for: the table that the OpenAPI document and the pages are made of.

A route without an entry in one of the modules `of_...` fails a test. The key is method and path as they stand in
`api.app.ROUTES`.
"""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.api.reference.documented import Documented
from sendpool.api.reference.of_content import CONTENT
from sendpool.api.reference.of_emails import EMAILS
from sendpool.api.reference.of_messages import MESSAGES
from sendpool.api.reference.of_senders import POOLS, SENDERS
from sendpool.api.reference.of_streams import STREAMS

OPERATIONS: Mapping[str, Documented] = {**MESSAGES, **SENDERS, **POOLS, **EMAILS, **CONTENT, **STREAMS}
