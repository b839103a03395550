"""What a relay's answer means: its code as the class table spells it, and the outcome of the message. Pure.

The first digit says whether it is for good, the enhanced status code (RFC 3463) whose fault it is. Where that is
missing or vague (x.0.0, x.7.0, x.7.1), the words and the command that was refused tell.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from sendpool.connectors.base import Outcome, Rejected, Throttled
from sendpool.domain.failures import ROWS, Classified, FailureClass, classify

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
_RATE = re.compile(r"\b(?:rate|throttl\w*|too (?:many|fast|much)|limit(?:ed|s)?|exceed\w*|quota)\b", re.IGNORECASE)
_SENDER = re.compile(
    r"\b(?:relay\w*|senders?|spf|dkim|dmarc|block ?list\w*|blacklist\w*|rbl|dnsbl|listed|reputation|authenticat\w*)\b",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"\b(?:spam\w*|junk|content|virus|malware|phish\w*|url|attachments?)\b", re.IGNORECASE)
_VAGUE = ("0.0", "7.0", "7.1")


class Stage(StrEnum):
    """What was answered."""

    GREETING = "greeting"
    MAIL = "mail"
    RCPT = "rcpt"
    #: DATA, and the message itself.
    DATA = "data"
    #: A notification that came later.
    NOTIFICATION = "notification"


class Reply(NamedTuple):
    """An answer: its code, and its text without the codes of its lines."""

    code: int
    text: str

    @property
    def positive(self) -> bool:
        """Whether it is a yes."""
        return 200 <= self.code < 300

    @property
    def enhanced(self) -> str:
        """The enhanced status code at the beginning of its text, or ""."""
        found = _ENHANCED.match(self.text)
        return found[0] if found else ""


def enhanced_in(text: str) -> str:
    """The first enhanced status code anywhere in a text, or ""."""
    found = re.search(rf"(?<![\d.]){_ENHANCED.pattern}", text)
    return found[0] if found else ""


def code_of(reply: Reply, stage: Stage) -> str:
    """The code of a refusal as the table `smtp` spells it: "5.1.1", "550", "554/greeting", "5.7.1/content"."""
    code, enhanced = reply.code, reply.enhanced
    if code == 421 and (not enhanced or enhanced.startswith(("4.3.", "4.4.", "4.0."))):
        return "421"
    if enhanced == "4.4.7" and stage is not Stage.NOTIFICATION:
        return str(code)  # Only a relay that has tried gives up.
    if enhanced and enhanced[2:] not in _VAGUE:
        return enhanced
    return _by_words(reply) or _by_stage(reply, stage)


def _by_words(reply: Reply) -> str:
    """The code that a refusal for reasons of policy has by its words; "" where they say nothing."""
    code, enhanced, text = reply.code, reply.enhanced, reply.text
    if 400 <= code < 500:
        return "4.7.28" if enhanced.startswith("4.7.") and _RATE.search(text) else ""
    if enhanced.startswith("5.7.") or (code in (550, 554) and not enhanced):
        if _SENDER.search(text):
            return "5.7.1"
        if _CONTENT.search(text):
            return "5.7.1/content"
    return ""


def _by_stage(reply: Reply, stage: Stage) -> str:
    code, enhanced = reply.code, reply.enhanced
    staged = f"{code}/{stage}"
    if staged in ROWS["smtp"]:
        return staged
    if enhanced[2:] in ("7.0", "7.1") or (enhanced and str(code) not in ROWS["smtp"]):
        return enhanced
    return str(code)


def meaning_of(reply: Reply, stage: Stage) -> tuple[str, Classified]:
    """The code of a refusal and what it means. A code that no table knows means what its first digit says."""
    code = code_of(reply, stage)
    found = classify("smtp", code)
    if not found.known and str(reply.code) in ROWS["smtp"]:
        code = str(reply.code)
        found = classify("smtp", code)
    return code, found


def refusal(reply: Reply, stage: Stage) -> Outcome:
    """The outcome of a message that the relay has firmly not taken."""
    code, found = meaning_of(reply, stage)
    if found.failure is FailureClass.THROTTLED:
        return Throttled(found.scope, None, code)
    return Rejected(found.failure, code, found.scope, found.rule)
