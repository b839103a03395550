"""What an email says: the module of the channel EMAIL, as it is kept and as connectors read it.

The module is the API's object (subject, html, text, attachments) with what else of the request goes onto the wire:
`fromName`, `fromAddress` and `ipPoolName`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sendpool.domain.plain_text import plain_text

#: The fields that the API shows of a module, in its order.
SHOWN = ("subject", "html", "text", "attachments")
#: Characters of a subject: those of the longest line that mail allows (RFC 5322 §2.1.1).
LONGEST_SUBJECT = 998
#: Where an attachment has the type of its file, and the name by which the html refers to it: several APIs' spellings.
TYPE_FIELDS = ("type", "contentType")
ID_FIELDS = ("contentId", "content_id")
UNKNOWN_TYPE = "application/octet-stream"


class Attachment(NamedTuple):
    """A file that goes with an email."""

    filename: str
    #: "image/png".
    media_type: str
    data: bytes
    #: What `cid:` URLs of the html call it; None: it is shown as a file, not inside the text.
    content_id: str | None


class Email(NamedTuple):
    """An email as it is written, before it is addressed."""

    subject: str
    html: str
    text: str
    attachments: tuple[Attachment, ...]
    #: The name beside the sender's address; None: the sender's own.
    from_name: str | None
    #: The mailbox that it is from, of the domain of its sender; None: the sender's own.
    from_address: str | None
    #: Of the addresses to send from, where the carrier has several.
    ip_pool: str | None


def domain_of(address: str) -> str:
    """The domain of a mailbox, as domains are compared."""
    return address.rpartition("@")[2].lower()


def write_module(
    content: Mapping[str, Any], from_name: str | None = None, ip_pool: str | None = None
) -> dict[str, Any]:
    """The module for a checked `content` of the API. A text that it has not comes from the html."""
    module = dict(content)
    if not module.get("text"):
        module["text"] = plain_text(content["html"])
    if from_name is not None:
        module["fromName"] = from_name
    if ip_pool is not None:
        module["ipPoolName"] = ip_pool
    return module


def read_module(module: Mapping[str, Any]) -> Email:
    """The email that a module holds. Decodes attachments, so keep the result for all messages of an operation."""
    return Email(
        module["subject"],
        module["html"],
        module.get("text", ""),
        tuple(_attachment(one) for one in module.get("attachments") or ()),
        module.get("fromName"),
        module.get("fromAddress"),
        module.get("ipPoolName"),
    )


def first_of(entry: Mapping[str, Any], fields: Sequence[str]) -> Any:
    """The value of the first of *fields* that an object has, or None."""
    return next((entry[field] for field in fields if entry.get(field) is not None), None)


def _attachment(entry: Mapping[str, Any]) -> Attachment:
    media_type = first_of(entry, TYPE_FIELDS) or UNKNOWN_TYPE
    content_id = first_of(entry, ID_FIELDS)
    inline = entry.get("disposition") == "inline" or (content_id is not None and "disposition" not in entry)
    return Attachment(entry["filename"], media_type, base64.b64decode(entry["content"]), content_id if inline else None)
