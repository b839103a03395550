"""The magic recipients +1500555NNNN: what the sandbox does with each. The README lists them as its contract.

Over EMAIL they are addresses of any domain: +1500555NNNN@example.com.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from sendpool.connectors.base import ReceiptState
from sendpool.domain.sender import Channel

PREFIX = "+1500555"
#: Characters of a magic recipient: the prefix and four digits.
LENGTH = len(PREFIX) + 4


class Answer(Enum):
    """How the sandbox answers a submit."""

    TAKEN = "taken"
    REFUSED = "refused"
    THROTTLED = "throttled"
    UNCERTAIN = "uncertain"


class When(Enum):
    """For which submits the answer holds; the others are taken and delivered."""

    ALWAYS = "always"
    #: Only for the first attempt of a message.
    FIRST_ATTEMPT = "first attempt"
    #: Only the first time that this connection sees the message.
    FIRST_SIGHT = "first sight"


class Word(NamedTuple):
    """A receipt to come: `after` seconds, on top of the connection's `delay` unless it is `early`."""

    state: ReceiptState
    code: str = ""
    after: float = 0.0
    #: True: it overtakes the answer to the submit.
    early: bool = False


DELIVERED = (Word(ReceiptState.DELIVERED),)
ANY_CHANNEL = frozenset(Channel)


class Treatment(NamedTuple):
    """What becomes of a submit to one recipient. `code` is a row of the class table's sandbox section."""

    answer: Answer = Answer.TAKEN
    code: str = ""
    words: tuple[Word, ...] = DELIVERED
    when: When = When.ALWAYS
    channels: frozenset[Channel] = ANY_CHANNEL
    #: Seconds until the submit is answered with a carrier id; after `UNCERTAIN`, the late answer. None: never.
    answered_after: float | None = 0.0


def _refused(code: str, when: When = When.ALWAYS, channels: frozenset[Channel] = ANY_CHANNEL) -> Treatment:
    return Treatment(Answer.REFUSED, code, when=when, channels=channels)


def _reported(state: ReceiptState, code: str) -> Treatment:
    return Treatment(words=(Word(state, code),))


def _read_later(channels: frozenset[Channel]) -> Treatment:
    return Treatment(words=(*DELIVERED, Word(ReceiptState.READ, after=0.2)), channels=channels)


#: Seconds that the late answers and early receipts leave for others to overtake them.
OVERTAKING = 0.3

PLAIN = Treatment()
MAGIC: dict[str, Treatment] = {
    "0001": _reported(ReceiptState.UNDELIVERED, "undelivered"),
    "0002": _refused("no_rcs", channels=frozenset({Channel.RCS})),
    "0003": _refused("refused"),
    "0004": Treatment(words=()),
    "0005": Treatment(Answer.UNCERTAIN, words=(), answered_after=None),
    "0006": Treatment(Answer.THROTTLED, "throttled", when=When.FIRST_SIGHT),
    "0007": _read_later(ANY_CHANNEL - {Channel.SMS}),
    "0008": Treatment(words=(Word(ReceiptState.DELIVERED, after=10.0),)),
    "0009": _refused("sender", When.FIRST_ATTEMPT),
    "0010": _refused("consent"),
    "0011": _reported(ReceiptState.EXPIRED, "expired"),
    "0012": Treatment(Answer.UNCERTAIN, answered_after=2.0),
    "0013": Treatment(words=(Word(ReceiptState.DELIVERED, early=True),), answered_after=OVERTAKING),
    "0014": Treatment(words=DELIVERED * 2),
    "0015": _refused("transient", When.FIRST_ATTEMPT),
    "0016": _refused("content"),
    "0017": _reported(ReceiptState.UNDELIVERED, "policy"),
    "0018": _refused("no_whatsapp", channels=frozenset({Channel.WHATSAPP})),
    "0019": _reported(ReceiptState.UNDELIVERED, "absent"),
    "0020": Treatment(
        words=(Word(ReceiptState.UNDELIVERED, "undelivered"), Word(ReceiptState.DELIVERED, after=OVERTAKING))
    ),
}


def treatment(recipient: str, channel: Channel) -> Treatment:
    """What a submit to *recipient* over *channel* gets, before `when` is looked at."""
    if channel is Channel.EMAIL:
        recipient = recipient.partition("@")[0]
    if len(recipient) != LENGTH or not recipient.startswith(PREFIX):
        return PLAIN
    magic = MAGIC.get(recipient[len(PREFIX) :], PLAIN)
    return magic if channel in magic.channels else PLAIN
