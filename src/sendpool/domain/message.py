"""What is sent: content and the recipient's ordered plan."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sendpool.domain.sender import Channel


class Category(StrEnum):
    """What a message is for; it chooses the policy for duplicates, budgets and validity (design §4)."""

    TRANSACTIONAL = "transactional"
    OTP = "otp"
    BULK = "bulk"


class Content(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What one operation says. Compared by identity, so that connectors can key caches by it."""

    text: str


#: One letter per channel, so that a plan is a short string in a row: "RS" is RCS, then SMS.
STEP_LETTER = {Channel.RCS: "R", Channel.SMS: "S", Channel.WHATSAPP: "W", Channel.EMAIL: "E"}
LETTER_CHANNEL = {letter: channel for channel, letter in STEP_LETTER.items()}
