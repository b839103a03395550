"""The requests of the Cloud API, as URLs and bodies."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from sendpool.connectors.base import Rejected, Submission
from sendpool.connectors.whatsapp.content import (
    UnfitSubmission,
    Upload,
    as_template,
    links_of,
    message_object,
    with_uploads,
)
from sendpool.connectors.whatsapp.inventory import FIELDS, page_query
from sendpool.connectors.whatsapp.settings import NumberOptions, WhatsAppSettings, WindowTemplate, number_options
from sendpool.domain.failures import FailureClass, Repair
from sendpool.domain.message import Content

#: Contents remembered as JSON; a campaign has one, so this only bounds memory.
_REMEMBERED = 1024

#: The recipient's address is no number that could be reached.
UNFIT_ADDRESS = Rejected(FailureClass.RECIPIENT, "unfit_address", "pair")

#: The business account has no such number.
UNKNOWN_NUMBER = Rejected(FailureClass.SENDER, "33", "sender", "whatsapp/33")


class Post(NamedTuple):
    """A message ready to be posted."""

    url: str
    body: bytes


class Requests:
    """Writes the requests of one connection by its options."""

    def __init__(self, settings: WhatsAppSettings) -> None:
        self._root = settings.root
        self._base = settings.base_url.rstrip("/")
        self._preview = settings.preview_urls
        self._proof = (
            f"?appsecret_proof={secret_proof(settings.app_secret, settings.access_token)}"
            if settings.prove_secret
            else ""
        )
        self._account = settings.business_account_id
        #: The ids of numbers by their addresses, as the business account tells.
        self.ids: Mapping[str, str] = {}
        self._template = settings.window_template
        self._contents: dict[tuple[Content, WindowTemplate | None, tuple[Upload, ...]], bytes] = {}
        self._links: dict[tuple[Content, WindowTemplate | None], tuple[str, ...]] = {}
        self._senders: dict[str, tuple[Mapping[str, Any], NumberOptions]] = {}

    def message(self, submission: Submission, uploads: tuple[Upload, ...] = ()) -> Post:
        """The message of an attempt, with these *uploads* in place of its `links`. Raises `UnfitSubmission`."""
        digits = digits_of(submission.recipient)
        if digits is None:
            raise UnfitSubmission(UNFIT_ADDRESS)
        number_id = self.number_id(submission)
        said = self._said(submission, uploads)
        body = (
            b'{"messaging_product":"whatsapp","recipient_type":"individual","to":"%s",%s,'
            b'"biz_opaque_callback_data":"%s"}' % (digits.encode(), said, submission.public_id.encode())
        )
        return Post(f"{self._root}/{number_id}/messages{self._proof}", body)

    def number_id(self, submission: Submission) -> str:
        """The API's id of the number that sends. Raises `UnfitSubmission`."""
        number_id = self._number_of(submission.sender, submission.options).phone_number_id
        found = number_id or self.ids.get(submission.sender)
        if found is None:
            raise UnfitSubmission(UNKNOWN_NUMBER)
        return str(found)

    def links(self, submission: Submission) -> tuple[str, ...]:
        """The URLs of the files that go along with a message. Raises `UnfitSubmission`."""
        key = (submission.content, self._template_of(submission))
        found = self._links.get(key)
        if found is None:
            found = links_of(self._object(submission)[1])
            if len(self._links) >= _REMEMBERED:
                self._links.clear()
            self._links[key] = found
        return found

    def media(self, number_id: str) -> str:
        """The URL at which a number takes files."""
        return f"{self._root}/{number_id}/media{self._proof}"

    def numbers(self, after: str | None) -> str:
        """The URL of a page of the business account's numbers; *after* is what the page before it ended with."""
        proof = f"&{self._proof[1:]}" if self._proof else ""
        return f"{self._root}/{self._account}/phone_numbers?{page_query(after)}{proof}"

    def number(self, number_id: str) -> str:
        """The URL at which the platform tells of one number."""
        proof = f"&{self._proof[1:]}" if self._proof else ""
        return f"{self._root}/{number_id}?fields={FIELDS}{proof}"

    def sign_of_life(self) -> str:
        """A URL that the host answers, whatever it says, and that counts against no limit."""
        return f"{self._base}/"

    def _template_of(self, submission: Submission) -> WindowTemplate | None:
        """The template in which a message goes; None: it goes as it is."""
        if submission.repair is not Repair.TEMPLATE:
            return None
        return self._number_of(submission.sender, submission.options).window_template or self._template

    def _object(self, submission: Submission) -> tuple[str, dict[str, Any]]:
        content, template = submission.content, self._template_of(submission)
        return as_template(content, template) if template else message_object(content, preview=self._preview)

    def _said(self, submission: Submission, uploads: tuple[Upload, ...]) -> bytes:
        """Type and object of a message as JSON, written once for all who get the same."""
        key = (submission.content, self._template_of(submission), uploads)
        written = self._contents.get(key)
        if written is None:
            kind, said = self._object(submission)
            if uploads:
                kind, said = with_uploads(kind, said, uploads, named=submission.content.rich is not None)
            written = b'"type":"%s","%s":%s' % (kind.encode(), kind.encode(), msgspec.json.encode(said))
            if len(self._contents) >= _REMEMBERED:
                self._contents.clear()
            self._contents[key] = written
        return written

    def _number_of(self, sender: str, options: Mapping[str, Any]) -> NumberOptions:
        known = self._senders.get(sender)
        if known is None or known[0] is not options:
            known = self._senders[sender] = (options, number_options(options))
        return known[1]


def digits_of(address: str) -> str | None:
    """An E.164 number without its "+", as the API has it; None for what is none."""
    digits = address[1:]
    good = address[:1] == "+" and 7 <= len(digits) <= 15 and digits.isascii() and digits.isdigit() and digits[0] != "0"
    return digits if good else None


def secret_proof(app_secret: str, access_token: str) -> str:
    """The `appsecret_proof` of a token: only who knows the app's secret can write it."""
    return hmac.digest(app_secret.encode(), access_token.encode(), "sha256").hex()
