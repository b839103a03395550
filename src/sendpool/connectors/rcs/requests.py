"""The requests of the RBM API, as URLs and bodies: sending, taking back, and looking up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec

from sendpool.connectors.base import Rejected, Submission
from sendpool.connectors.rcs.content import LARGEST_MESSAGE, LONGEST_TEXT, ContentMessage, read_module
from sendpool.connectors.rcs.settings import RcsSettings, Traffic, agent_options
from sendpool.domain.failures import FailureClass
from sendpool.domain.message import Category, Content

#: Seconds that a message may at most and should at least be given (RBM API, AgentMessage.ttl): with less than 10 s
#: the notice that it was taken back and the notice that it was delivered cross more often.
LONGEST_TTL, SHORTEST_TTL = 15 * 86_400, 10
#: Contents remembered as JSON; a campaign has one, so this only bounds memory.
_REMEMBERED = 1024

#: The recipient's address is no number that could be reached.
UNFIT_ADDRESS = Rejected(FailureClass.RECIPIENT, "unfit_address", "pair")
#: The content breaks a limit of the platform.
UNFIT_CONTENT = Rejected(FailureClass.CONTENT, "unfit_content", "message")


class UnfitSubmission(Exception):
    """A submission that RCS cannot carry; `outcome` says why."""

    def __init__(self, outcome: Rejected) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


class AgentMessage(NamedTuple):
    """A message ready to be posted, as often as it takes."""

    message_id: str
    url: str
    #: The body but for the time to live and the closing brace.
    start: bytes
    #: Seconds that it is still useful when it is first posted; None: the platform's 30 days.
    useful: float | None

    def body(self, elapsed: float) -> bytes:
        """The body, *elapsed* seconds after the first try: a repeat must not live longer than the first."""
        if self.useful is None:
            return self.start + b"}"
        ttl = min(max(math.ceil(self.useful - elapsed), SHORTEST_TTL), LONGEST_TTL)
        return b'%s,"ttl":"%ds"}' % (self.start, ttl)


def message_id(public_id: str) -> str:
    """The UUID under which the platform knows the attempt "SM...": the same for every try, so that it drops repeats.

    The attempt's own id is as unique as any UUID, and the same after a restart. Nothing else says how ids are made.
    """
    return str(UUID(hex=public_id[2:]))


def content_message(content: Content) -> ContentMessage:
    """What *content* says over RCS. Raises `UnfitSubmission`."""
    if content.rich is not None:
        try:
            return read_module(content.rich)
        except (msgspec.ValidationError, ValueError) as error:
            raise UnfitSubmission(UNFIT_CONTENT) from error
    if not 0 < len(content.text) <= LONGEST_TEXT:
        raise UnfitSubmission(UNFIT_CONTENT)
    return ContentMessage(text=content.text)


#: What the platform calls our categories, where no sender says otherwise.
_TRAFFIC = {Category.OTP: Traffic.AUTHENTICATION, Category.BULK: Traffic.PROMOTION}


class Requests:
    """Writes the requests of one connection by its options."""

    def __init__(self, settings: RcsSettings, new_id: Callable[[], UUID] = uuid4) -> None:
        """*new_id* names look-ups."""
        self._root = settings.root
        self._traffic = settings.traffic_type
        self._new_id = new_id
        self._contents: dict[Content, bytes] = {}
        self._senders: dict[str, tuple[Mapping[str, Any], Traffic | None]] = {}

    def message(self, submission: Submission) -> AgentMessage:
        """The message of an attempt. Raises `UnfitSubmission`."""
        phone = phone_path(submission.recipient)
        if phone is None:
            raise UnfitSubmission(UNFIT_ADDRESS)
        sender, content = submission.sender, submission.content
        said = self._contents.get(content) or self._write_content(content)
        traffic = self._traffic_of(sender, submission.options) or _TRAFFIC.get(submission.category, self._traffic)
        name = message_id(submission.public_id)
        url = f"{self._root}/v1/phones/{phone}/agentMessages?messageId={name}&agentId={_quoted(sender)}"
        start = b'{"contentMessage":%s,"messageTrafficType":"%s"' % (said, traffic.encode())
        return AgentMessage(name, url, start, submission.validity)

    def revocation(self, carrier_id: str, recipient: str, sender: str) -> str | None:
        """The URL whose DELETE takes a message back; None where there can be no such message."""
        phone = phone_path(recipient)
        if phone is None:
            return None
        return f"{self._root}/v1/phones/{phone}/agentMessages/{quote(carrier_id, safe='')}?agentId={_quoted(sender)}"

    def look_up(self, phone: str, sender: str) -> str:
        """The URL that tells what the phone at *phone* (from `phone_path`) can do; a repeat needs a new one."""
        return f"{self._root}/v1/phones/{phone}/capabilities?requestId={self._new_id()}&agentId={_quoted(sender)}"

    def bulk_look_up(self, addresses: Sequence[str], sender: str) -> tuple[str, bytes]:
        """URL and body that ask which of up to 10,000 numbers are reachable."""
        return f"{self._root}/v1/users:batchGet", msgspec.json.encode({"users": addresses, "agentId": sender})

    def sign_of_life(self) -> str:
        """A URL that the host answers, whatever it says, and that costs nothing."""
        return f"{self._root}/"

    def _write_content(self, content: Content) -> bytes:
        said = msgspec.json.encode(content_message(content))
        if len(said) > LARGEST_MESSAGE:
            raise UnfitSubmission(UNFIT_CONTENT)
        if len(self._contents) >= _REMEMBERED:
            self._contents.clear()
        self._contents[content] = said
        return said

    def _traffic_of(self, sender: str, options: Mapping[str, Any]) -> Traffic | None:
        known = self._senders.get(sender)
        if known is None or known[0] is not options:
            known = (options, agent_options(options).traffic_type)
            self._senders[sender] = known
        return known[1]


def phone_path(address: str) -> str | None:
    """An E.164 number as the API's paths have it ("%2B447700900123"); None for what is none."""
    digits = address[1:]
    good = address[:1] == "+" and 7 <= len(digits) <= 15 and digits.isascii() and digits.isdigit() and digits[0] != "0"
    return f"%2B{digits}" if good else None


@lru_cache(maxsize=1024)
def _quoted(sender: str) -> str:
    return quote(sender, safe="")
