"""Read what mail servers send to bounce addresses: notifications (RFC 3464), plain bounces, complaints (RFC 5965).

Nothing is believed that does not name one of our messages by a token which only we can have written. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from typing import NamedTuple

from sendpool.connectors.base import OptedOut, Receipt, ReceiptState
from sendpool.connectors.smtp.addresses import from_xtext
from sendpool.connectors.smtp.replies import Reply, Stage, enhanced_in, meaning_of
from sendpool.connectors.smtp.tokens import Tokens
from sendpool.domain.failures import classify
from sendpool.domain.sender import Channel

#: The header field of ours that names message and recipient where a notification quotes our headers.
SEALED_FIELD = "X-Sendpool"
#: Octets of a plain bounce in which a code is looked for.
_READ = 64 * 1024
_REPLY_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?![\d.])")


class Heard(NamedTuple):
    """What a message to a bounce address says; nothing, where it says nothing of ours."""

    receipts: Sequence[Receipt] = ()
    opted_out: Sequence[OptedOut] = ()


class BounceReader:
    """Reads for one connection."""

    def __init__(self, tokens: Tokens, domain: str) -> None:
        """*domain*: that of bounce addresses."""
        self._tokens = tokens
        self._domain = domain

    def ours(self, address: str) -> bool:
        """Whether an address is a bounce address of ours."""
        return self._tokens.bounced(address, self._domain) is not None

    def read(self, raw: bytes, recipients: Iterable[str] = (), sender: str | None = None) -> Heard:
        """What a message says that came to *recipients* with the return path *sender* (None: unknown). Never raises."""
        message = message_from_bytes(raw, policy=compat32)
        kind = _parameter(message, "report-type")
        parts = list(message.walk())
        uid = self._addressed(message, recipients)
        if kind == "feedback-report" or any(one.get_content_type() == "message/feedback-report" for one in parts):
            return self._complaint(parts)
        status = next((one for one in parts if one.get_content_type() == "message/delivery-status"), None)
        if status is not None:
            return self._notification(_groups(status), uid or self._quoted(parts))
        uid = uid or self._quoted(parts)
        if uid is None or _is_automatic(message) or not _from_a_server(message, sender):
            return Heard()
        return self._plain(raw, uid)

    def _notification(self, groups: Sequence[Message], uid: str | None) -> Heard:
        if not groups:
            return Heard()
        envelope = from_xtext(_field(groups[0], "Original-Envelope-Id"))
        uid = uid or self._tokens.uid_of(envelope)
        if uid is None:
            return Heard()
        # One recipient a message: where an alias made several of them, each says something about ours.
        found = [receipt for group in groups if (receipt := _receipt(uid, group)) is not None]
        return Heard(receipts=found)

    def _complaint(self, parts: Sequence[Message]) -> Heard:
        report = next((one for one in parts if one.get_content_type() == "message/feedback-report"), None)
        feedback = next(iter(_groups(report)), report) if report is not None else None
        if feedback is None or _field(feedback, "Feedback-Type").lower() not in ("abuse", "fraud", "opt-out"):
            return Heard()
        for sealed in _quoted_fields(parts, SEALED_FIELD):
            said = self._tokens.unseal(sealed)
            if said is not None:
                return Heard(opted_out=[OptedOut(Channel.EMAIL, said.address, "smtp/complaint")])
        return Heard()

    def _plain(self, raw: bytes, uid: str) -> Heard:
        """A bounce in a form of its own: the first code in it is believed."""
        text = raw[:_READ].partition(b"\r\n\r\n" if b"\r\n\r\n" in raw else b"\n\n")[2].decode("utf-8", "replace")
        receipt = _failed(uid, enhanced_in(text), text)
        return Heard(receipts=[receipt]) if text.strip() and receipt.state is ReceiptState.UNDELIVERED else Heard()

    def _addressed(self, message: Message, recipients: Iterable[str]) -> str | None:
        """The message whose bounce address this went to, by its envelope or by what servers note of that."""
        noted = [value for name in ("Delivered-To", "X-Original-To", "To") for value in message.get_all(name, [])]
        for one in (*recipients, *noted):
            uid = self._tokens.bounced(str(one), self._domain)
            if uid is not None:
                return uid
        return None

    def _quoted(self, parts: Sequence[Message]) -> str | None:
        """The message whose headers are quoted."""
        sealed = (self._tokens.unseal(one) for one in _quoted_fields(parts, SEALED_FIELD))
        return next((one.uid for one in sealed if one is not None), None)


def _receipt(uid: str, group: Message) -> Receipt | None:
    """What one group of fields says about its recipient (RFC 3464 §2.3); None where it is no recipient's."""
    action, status = _field(group, "Action").lower(), enhanced_in(_field(group, "Status"))
    if action == "delivered":
        return Receipt(uid, ReceiptState.DELIVERED, None, status)
    if action in ("relayed", "expanded", "delayed"):
        # Relayed is not delivered: from there on nobody tells.
        return Receipt(uid, ReceiptState.PROGRESS, None, status)
    if action == "failed":
        return _failed(uid, status, _field(group, "Diagnostic-Code").partition(";")[2])
    return None


def _failed(uid: str, status: str, words: str) -> Receipt:
    """A failure by its status, or by the answer that the last server gave where the status says nothing."""
    if status in ("", "5.0.0", "4.0.0"):
        status = enhanced_in(words) or status
    if status.startswith("4."):
        # It was tried until its time was over, whatever the reason was at the last try.
        found = classify("smtp", "4.4.7")
        return Receipt(uid, ReceiptState.EXPIRED, found.failure, status, found.rule)
    number = _REPLY_CODE.search(words)
    if not status and number is None:
        code, found = "5.0.0", classify("smtp", "5.0.0")
    else:
        reply = Reply(int(number[1]) if number else 550, f"{status} {words}".strip())
        code, found = meaning_of(reply, Stage.NOTIFICATION)
    return Receipt(uid, ReceiptState.UNDELIVERED, found.failure, code, found.rule)


def _groups(status: Message) -> list[Message]:
    payload = status.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _quoted_fields(parts: Sequence[Message], name: str) -> Iterable[str]:
    """The values of a field in the headers that a report quotes, as a message or as bare headers."""
    for part in parts[1:]:
        if part.get_content_type() in ("text/rfc822-headers", "message/rfc822-headers"):
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                yield from _values(message_from_bytes(payload, policy=compat32), name)
        else:
            yield from _values(part, name)


def _values(message: Message, name: str) -> list[str]:
    return [re.sub(r"\s", "", str(value)) for value in message.get_all(name, [])]


def _field(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())


def _parameter(message: Message, name: str) -> str:
    return str(message.get_param(name, "") or "").lower()


def _is_automatic(message: Message) -> bool:
    """Whether a machine answers for somebody who is away, which is no bounce (RFC 3834)."""
    said = _field(message, "Auto-Submitted").lower()
    replied = said.startswith("auto-replied") and not _field(message, "X-Failed-Recipients")
    return replied or "X-Autoreply" in message or _field(message, "Precedence").lower() == "auto_reply"


def _from_a_server(message: Message, sender: str | None) -> bool:
    """Whether it has no return path, as bounces have none (RFC 5321 §4.5.5): what people write says nothing here."""
    path = sender if sender is not None else message.get("Return-Path")
    if path is not None:
        return str(path).strip() in ("", "<>")
    return re.search(r"mailer-daemon|postmaster", _field(message, "From"), re.IGNORECASE) is not None
