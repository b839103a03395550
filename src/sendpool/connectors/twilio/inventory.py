"""The numbers that a Twilio account has, as it tells of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from sendpool.connectors.base import SenderSettings
from sendpool.connectors.twilio.settings import TwilioSettings
from sendpool.domain.sender import Channel

#: Numbers of one page, and pages at most.
PAGE, MOST_PAGES = 1000, 50
#: Segments a second that Twilio sends on from one sender, where it says nothing else.
LONG_CODE_MPS, TOLL_FREE_MPS, SHORT_CODE_MPS, ELSEWHERE_MPS = 1.0, 3.0, 100.0, 10.0
_TOLL_FREE = ("+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888")


class _Capabilities(msgspec.Struct, frozen=True):
    sms: bool = False


class _Number(msgspec.Struct, frozen=True):
    phone_number: str
    friendly_name: str | None = None
    capabilities: _Capabilities = _Capabilities()
    status: str = "in-use"


class _ShortCode(msgspec.Struct, frozen=True):
    short_code: str
    friendly_name: str | None = None


class _Page(msgspec.Struct, frozen=True):
    incoming_phone_numbers: tuple[_Number, ...] = ()
    short_codes: tuple[_ShortCode, ...] = ()
    next_page_uri: str | None = None


def lists_of(options: TwilioSettings) -> tuple[str, str]:
    """The URLs of the first pages: numbers, and short codes."""
    root = options.root
    return f"{root}/IncomingPhoneNumbers.json?PageSize={PAGE}", f"{root}/SMS/ShortCodes.json?PageSize={PAGE}"


def read_page(body: bytes, options: TwilioSettings) -> tuple[list[SenderSettings], str | None]:
    """The senders of a page, and the URL of the next one (None: there is none). Raises `ValueError`."""
    try:
        page = msgspec.json.decode(body, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("the answer is no list of numbers") from None
    usable = [one for one in page.incoming_phone_numbers if one.capabilities.sms and one.status == "in-use"]
    senders = [_sender(one.phone_number, one.friendly_name, _mps(one.phone_number)) for one in usable]
    senders += [_sender(one.short_code, one.friendly_name, SHORT_CODE_MPS) for one in page.short_codes]
    return senders, _next(page.next_page_uri, options)


def _next(uri: str | None, options: TwilioSettings) -> str | None:
    """The next page of our own host and account, wherever the answer points."""
    if not uri:
        return None
    if not urlsplit(uri).path.startswith("/2010-04-01/Accounts/") or "//" in uri.partition("?")[0]:
        raise ValueError("the next page is none of the account's")
    return options.base_url.rstrip("/") + uri


def _mps(number: str) -> float:
    if number.startswith(_TOLL_FREE):
        return TOLL_FREE_MPS
    return LONG_CODE_MPS if number.startswith("+1") else ELSEWHERE_MPS


def _sender(address: str, name: str | None, mps: float) -> SenderSettings:
    return SenderSettings(
        channel=Channel.SMS, address=address, display_name=name or None, mps=mps, options={"found": True}
    )


def distinct(senders: Sequence[SenderSettings]) -> list[SenderSettings]:
    """Each sender once: pages shift while they are read."""
    return list({one.address: one for one in senders}.values())
