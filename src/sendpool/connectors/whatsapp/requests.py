"""The requests of the Cloud API, as URLs and bodies."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from sendpool.connectors.base import Rejected, Submission
from sendpool.connectors.whatsapp.content import UnfitSubmission, as_template, message_object
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
        self._contents: dict[tuple[Content, WindowTemplate | None], bytes] = {}
        self._senders: dict[str, tuple[Mapping[str, Any], NumberOptions]] = {}

    def message(self, submission: Submission) -> Post:
        """The message of an attempt. Raises `UnfitSubmission`."""
        digits = digits_of(submission.recipient)
        if digits is None:
            raise UnfitSubmission(UNFIT_ADDRESS)
        number = self._number_of(submission.sender, submission.options)
        number_id = number.phone_number_id or self.ids.get(submission.sender)
        if number_id is None:
            raise UnfitSubmission(UNKNOWN_NUMBER)
        said = self._said(submission, number)
        body = (
            b'{"messaging_product":"whatsapp","recipient_type":"individual","to":"%s",%s,'
            b'"biz_opaque_callback_data":"%s"}' % (digits.encode(), said, submission.public_id.encode())
        )
        return Post(f"{self._root}/{number_id}/messages{self._proof}", body)

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

    def _said(self, submission: Submission, number: NumberOptions) -> bytes:
        """Type and object of a message as JSON, written once for all who get the same."""
        template = number.window_template or self._template if submission.repair is Repair.TEMPLATE else None
        key = (submission.content, template)
        written = self._contents.get(key)
        if written is None:
            content = submission.content
            kind, said = as_template(content, template) if template else message_object(content, preview=self._preview)
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
