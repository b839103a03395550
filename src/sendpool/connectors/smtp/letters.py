"""From a submission to what goes over the wire: commands and octets, with everything that leads back to us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.header import Header
from typing import NamedTuple

from sendpool.connectors.base import ConnectionSettings, Outcome, Rejected, Submission
from sendpool.connectors.smtp import unsubscribe
from sendpool.connectors.smtp.addresses import Mailbox, UnfitAddress, mailbox, to_xtext
from sendpool.connectors.smtp.bounces import SEALED_FIELD
from sendpool.connectors.smtp.message import Addressed, compose, one_line, policy_of
from sendpool.connectors.smtp.session import Envelope, Offers, wired
from sendpool.connectors.smtp.settings import MailboxOptions, SmtpSettings, mailbox_options
from sendpool.connectors.smtp.signature import Signer
from sendpool.connectors.smtp.tokens import LOCAL, Tokens, message_uid
from sendpool.domain.email_content import Email, read_module
from sendpool.domain.failures import FailureClass, classify, of_class
from sendpool.domain.message import Category, Content

#: Characters of html, text and files from which an email is made beside the event loop.
SLOW = 100_000


class UnfitSubmission(Exception):
    """It cannot be sent by this relay; `outcome` says why."""

    def __init__(self, failure: FailureClass, code: str) -> None:
        super().__init__(code)
        found = classify("smtp", code)
        if not found.known:
            found = of_class(failure)
        self.outcome: Outcome = Rejected(failure, code, found.scope, found.rule)


class Letter(NamedTuple):
    """An email, ready for the wire."""

    uid: str
    envelope: Envelope
    #: As `session.wired` made it.
    message: bytes


class _Sender(NamedTuple):
    mailbox: Mailbox
    name: str | None
    options: MailboxOptions


class Letters:
    """Writes for one connection. May be called on any thread."""

    def __init__(
        self, settings: ConnectionSettings, options: SmtpSettings, tokens: Tokens | None, wall: Callable[[], float]
    ) -> None:
        """*wall*: seconds since 1970."""
        self._options = options
        self._connection = settings.name
        self._tokens = tokens
        self._wall = wall
        self._senders = {
            one.address: _Sender(mailbox(one.address), one.display_name, mailbox_options(one.options))
            for one in settings.senders
        }
        self._signer: Signer | None = None
        if options.dkim_selector is not None and options.dkim_key_file is not None:
            self._signer = Signer(options.dkim_selector, options.dkim_key_file, options.dkim_domain)
        #: The email of the latest operation: all its messages share the content.
        self._latest: tuple[Content, Email] | None = None

    def is_slow(self, submission: Submission) -> bool:
        """Whether writing it takes so long that others would wait."""
        if self._signer is not None:
            return True
        module = submission.content.rich or {}
        files = sum(len(one["content"]) for one in module.get("attachments") or ())
        return len(module.get("html", "")) + files > SLOW

    def write(self, submission: Submission, offers: Offers) -> Letter:
        """The email of a submission for a relay that offers this. Raises `UnfitSubmission`."""
        try:
            recipient = mailbox(submission.recipient)
            sender = self._named(self._sender(submission), submission.content)
        except UnfitAddress:
            raise UnfitSubmission(FailureClass.RECIPIENT, "unfit_address") from None
        if not offers.utf8 and (recipient.international or sender.mailbox.international):
            raise UnfitSubmission(FailureClass.RECIPIENT, "no-utf8")
        uid = message_uid(submission.public_id)
        message = self._octets(submission, sender, recipient, offers, uid)
        if offers.size and len(message) > offers.size:
            raise UnfitSubmission(FailureClass.CONTENT, "5.3.4")
        return Letter(uid, self._envelope(sender.mailbox, recipient, offers, uid, message), wired(message))

    def _sender(self, submission: Submission) -> _Sender:
        known = self._senders.get(submission.sender)
        options = mailbox_options(submission.options)
        if known is None:
            return _Sender(mailbox(submission.sender), None, options)
        return known._replace(options=options) if submission.options else known

    def _named(self, sender: _Sender, content: Content) -> _Sender:
        """The sender with the mailbox that the request names, where it sends for its whole domain."""
        if not sender.options.whole_domain:
            return sender
        address = self._email(content).from_address
        try:
            named = mailbox(address) if address is not None else sender.mailbox
        except UnfitAddress:
            raise UnfitSubmission(FailureClass.REQUEST, "unfit_from") from None
        return sender._replace(mailbox=named) if named.domain.lower() == sender.mailbox.domain.lower() else sender

    # ---------------------------------------------------------------- commands

    def _envelope(self, sender: Mailbox, recipient: Mailbox, offers: Offers, uid: str, message: bytes) -> Envelope:
        mail = [f"MAIL FROM:<{self._return_path(sender, uid)}>"]
        rcpt = [f"RCPT TO:<{recipient.address}>"]
        if offers.size:
            mail.append(f"SIZE={len(message)}")
        if offers.eight_bit:
            mail.append("BODY=8BITMIME")
        if recipient.international or sender.international:
            mail.append("SMTPUTF8")
        notify = self._options.notified_of
        if offers.notifications and notify:
            mail += ["RET=HDRS", f"ENVID={to_xtext(self._tokens.token(uid) if self._tokens else uid)}"]
            kind = "utf-8" if recipient.international else "rfc822"
            rcpt += [f"NOTIFY={','.join(notify)}", f"ORCPT={kind};{to_xtext(recipient.address)}"]
        elif offers.notifications and self._options.notify == ():
            rcpt.append("NOTIFY=NEVER")
        return Envelope(" ".join(mail).encode(), " ".join(rcpt).encode())

    def _return_path(self, sender: Mailbox, uid: str) -> str:
        domain = self._options.bounce_domain
        if domain is None or self._tokens is None:
            return sender.address
        return f"{LOCAL}+{self._tokens.token(uid)}@{domain}"

    # ---------------------------------------------------------------- octets

    def _octets(self, submission: Submission, sender: _Sender, recipient: Mailbox, offers: Offers, uid: str) -> bytes:
        email = self._email(submission.content)
        domain = self._options.bounce_domain or sender.mailbox.domain
        to = Addressed(
            sender=sender.mailbox,
            sender_name=sender.name,
            recipient=recipient,
            recipient_name=submission.name,
            reply_to=sender.options.reply_to,
            message_id=f"<{uid}@{domain}>",
            date=self._wall(),
            category=submission.category,
            fields=self._fields(submission, sender, email, uid),
        )
        international = recipient.international or sender.mailbox.international
        # What is signed must arrive as it left: relays that pass it on to one without 8BITMIME would encode it anew.
        policy = policy_of(eight_bit=offers.eight_bit and self._signer is None, utf8=international)
        try:
            message = compose(email, to, policy)
        except (ValueError, UnicodeError, LookupError):
            raise UnfitSubmission(FailureClass.CONTENT, "unfit_content") from None
        return message if self._signer is None else self._signer.signed(message, sender.mailbox.domain)

    def _email(self, content: Content) -> Email:
        latest = self._latest
        if latest is None or latest[0] is not content:
            if content.rich is None:
                raise UnfitSubmission(FailureClass.CONTENT, "unfit_content")
            self._latest = latest = (content, read_module(content.rich))
        return latest[1]

    def _fields(self, submission: Submission, sender: _Sender, email: Email, uid: str) -> Mapping[str, str]:
        options = self._options
        found = {name: _encoded(value) for name, value in {**options.headers, **sender.options.headers}.items()}
        if options.ip_pool_header is not None and email.ip_pool is not None:
            found[options.ip_pool_header] = _encoded(one_line(email.ip_pool))
        if self._tokens is not None:
            sealed = self._tokens.seal(uid, submission.recipient)
            found[SEALED_FIELD] = sealed
            if options.public_url is not None and submission.category is Category.BULK:
                found |= unsubscribe.fields(unsubscribe.link(options.public_url, self._connection, sealed))
        return found


def _encoded(value: str) -> str:
    """A value of a header field in ASCII (RFC 2047 where it has to be)."""
    return value if value.isascii() else Header(value, "utf-8", maxlinelen=75).encode(linesep="\r\n")
