"""Public ids: TypeIDs over 128 bits, and where message and attempt numbers stand in them.

An operation's uid is a UUIDv7 whose last 20 bits are cleared. Message i of it has the same first 108 bits, i in
the next 14 and 0 in the last 6; attempt n of that message puts n into those 6. The operation itself is index
16,383. So ids sort by time, and nobody learns our volumes from the integers inside.
"""

from __future__ import annotations

import re

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUE = {letter: i for i, letter in enumerate(ALPHABET)}
_BODY = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_ATTEMPT = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")

MESSAGE = "comms_message"
OPERATION = "comms_operation"
SENDER = "comms_sender"
POOL = "comms_senderpool"
EMAIL = "comms_email"
#: What a person and one of our senders write to each other.
SESSION = "comms_session"

#: Messages an operation can hold: 14 bits, of which the last value names the operation itself.
MAX_MESSAGES = 16_383
#: Attempts a message can have: 6 bits, 0 names the message.
MAX_ATTEMPTS = 63

_TAIL = (1 << 20) - 1
#: Each octet without its lower four bits.
_UPPER = [bytes((octet & 0xF0,)) for octet in range(256)]
#: Two letters of an id by the ten bits that they stand for.
LETTERS = [a + b for a in ALPHABET for b in ALPHABET]


def encode(prefix: str, uid: bytes) -> str:
    """The TypeID of 16 bytes: prefix, underscore, 26 characters of lower-case Crockford base 32."""
    number = int.from_bytes(uid, "big")
    pairs = LETTERS
    return f"{prefix}_" + "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def stem(uid: bytes) -> str:
    """The 22 characters that the ids of an operation and of its messages have in common, after their prefixes."""
    # 48 bits and 60: numbers of that size are shifted at half the cost of one of 128 bits.
    a, b, two = int.from_bytes(uid[:6], "big"), int.from_bytes(uid[6:14], "big") >> 4, LETTERS
    first = f"{two[a >> 40]}{two[a >> 30 & 1023]}{two[a >> 20 & 1023]}{two[a >> 10 & 1023]}{two[a & 1023]}"
    then = f"{two[b >> 50]}{two[b >> 40 & 1023]}{two[b >> 30 & 1023]}"
    return f"{first}{then}{two[b >> 20 & 1023]}{two[b >> 10 & 1023]}{two[b & 1023]}"


def decode(prefix: str, text: str) -> bytes | None:
    """The 16 bytes of a TypeID with this prefix, or None where *text* is not one."""
    head, _, body = text.rpartition("_")
    if head != prefix or not _BODY.fullmatch(body):
        return None
    number = 0
    for letter in body:
        number = number << 5 | _VALUE[letter]
    return number.to_bytes(16, "big")


def clear(uid: bytes) -> bytes:
    """A UUIDv7 as an operation's uid: the last 20 bits make room for message and attempt numbers."""
    return uid[:13] + _UPPER[uid[13]] + b"\0\0"


def split(uid: bytes) -> tuple[bytes, int, int]:
    """The operation's uid, the message's index and the attempt's number that 16 bytes name."""
    number = int.from_bytes(uid, "big")
    return (number & ~_TAIL).to_bytes(16, "big"), (number >> 6) & 0x3FFF, number & 0x3F


def _placed(operation_uid: bytes, index: int, attempt: int) -> bytes:
    return (int.from_bytes(operation_uid, "big") | index << 6 | attempt).to_bytes(16, "big")


def operation_id(operation_uid: bytes) -> str:
    """`comms_operation_...` of an operation's uid."""
    return f"{OPERATION}_{stem(operation_uid)}{WHOLE}"


#: What follows the stem in an operation's own id.
WHOLE = encode("", _placed(bytes(16), MAX_MESSAGES, 0))[-4:]


def message_id(operation_uid: bytes, index: int, prefix: str = MESSAGE) -> str:
    """`comms_message_...` (or `comms_email_...`) of message *index* of an operation."""
    return encode(prefix, _placed(operation_uid, index, 0))


def attempt_id(operation_uid: bytes, index: int, n: int) -> str:
    """`SM` and 32 hex digits: attempt *n* (from 1) of message *index* of an operation."""
    return "SM" + _placed(operation_uid, index, n).hex()


def parse_operation(text: str) -> bytes | None:
    """The uid that an operation's public id names, or None where *text* is not the id of one."""
    uid = decode(OPERATION, text)
    if uid is None:
        return None
    operation_uid, index, attempt = split(uid)
    return operation_uid if (index, attempt) == (MAX_MESSAGES, 0) else None


def parse_message(text: str, prefix: str = MESSAGE) -> tuple[bytes, int] | None:
    """The operation's uid and the index that a message's (or email's) id names, or None where it is not one."""
    uid = decode(prefix, text)
    if uid is None:
        return None
    operation_uid, index, attempt = split(uid)
    return (operation_uid, index) if attempt == 0 and index != MAX_MESSAGES else None


def parse_attempt(text: str) -> tuple[bytes, int, int] | None:
    """The operation's uid, the index and the number that an attempt's public id names, or None where it is not one.

    `MM` names the same attempt as `SM`: which of them a client met depends on whether media went along.
    """
    return split(bytes.fromhex(text[2:])) if _ATTEMPT.fullmatch(text) else None
