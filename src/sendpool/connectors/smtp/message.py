"""An email as octets: headers, text, html and files, by the standard library's `email`. Pure but for the signature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import NamedTuple

from sendpool.connectors.smtp.addresses import Mailbox
from sendpool.domain.email_content import UNKNOWN_TYPE, Attachment, Email
from sendpool.domain.message import Category

#: Types that hold messages or further parts: as a file they are octets like others.
_COMPOSED = frozenset({"message", "multipart"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u0085]+")
_BARE = re.compile(rb"\r\n|\r|\n")


class Addressed(NamedTuple):
    """Who writes to whom, and what else stands in the headers of one message."""

    sender: Mailbox
    sender_name: str | None
    recipient: Mailbox
    recipient_name: str | None
    reply_to: str | None
    message_id: str
    #: Seconds since 1970.
    date: float
    category: Category
    #: Further fields as they are written, in front of the others: never folded.
    fields: Mapping[str, str]


def policy_of(*, eight_bit: bool, utf8: bool) -> EmailPolicy[EmailMessage]:
    """How a message is written for a relay that takes octets above 127 in texts (8BITMIME), in headers (SMTPUTF8)."""
    return SMTP.clone(cte_type="8bit" if eight_bit else "7bit", utf8=utf8)


def compose(email: Email, to: Addressed, policy: EmailPolicy[EmailMessage]) -> bytes:
    """The message, with CRLF line ends. Raises `ValueError` where a header cannot hold what it is to say."""
    message = EmailMessage(policy)
    message["From"] = _address(to.sender, email.from_name or to.sender_name)
    message["To"] = _address(to.recipient, to.recipient_name)
    if to.reply_to:
        message["Reply-To"] = to.reply_to
    message["Subject"] = one_line(email.subject)
    message["Date"] = format_datetime(datetime.fromtimestamp(to.date, UTC))
    if to.category is not Category.BULK:
        # RFC 3834 §5: what a machine sends is not answered by another one.
        message["Auto-Submitted"] = "auto-generated"
    _fill(message, email)
    front = {"Message-ID": to.message_id, **to.fields}
    head = "".join(f"{name}: {value}\r\n" for name, value in front.items()).encode()
    return head + _BARE.sub(b"\r\n", message.as_bytes())


def one_line(text: str) -> str:
    """A text without line ends and other control characters: in a header they would begin another one."""
    return _CONTROL.sub(" ", text).strip()


def _address(mailbox: Mailbox, name: str | None) -> Address:
    return Address(one_line(name or ""), mailbox.local, mailbox.domain)


def _fill(message: EmailMessage, email: Email) -> None:
    message.set_content(email.text or "")
    message.add_alternative(email.html, subtype="html")
    *_, html = message.iter_parts()
    for one in email.attachments:
        if one.content_id is not None:
            _attach(html, one)
    for one in email.attachments:
        if one.content_id is None:
            _attach(message, one)


def _attach(part: MIMEPart, one: Attachment) -> None:
    main, _, sub = one.media_type.partition("/")
    if main.lower() in _COMPOSED or not sub:
        main, _, sub = UNKNOWN_TYPE.partition("/")
    name = one_line(one.filename)
    if one.content_id is None:
        part.add_attachment(one.data, main, sub, filename=name)
    else:
        part.add_related(one.data, main, sub, filename=name, cid=f"<{one.content_id}>", disposition="inline")
