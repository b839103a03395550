"""The phone numbers that a business account has, as the platform tells of them. Pure."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

import msgspec

from sendpool.connectors.base import SenderSettings
from sendpool.domain.limits import PAIR_BURST, PAIR_SECONDS, Limits
from sendpool.domain.sender import Channel

#: What is asked of each number.
FIELDS = "id,display_phone_number,verified_name,status,account_mode,platform_type,throughput"
#: Numbers of one page; the platform allows no more.
PAGE = 100
#: Pages at most: an account has 20 numbers, or a few hundred.
MOST_PAGES = 50
#: Messages a second that a number is upgraded to, and how many it has before (Graph API, throughput).
_UPGRADED_MPS, _USUAL_MPS = 1000.0, 80.0
#: Statuses in which a number sends; a restricted or flagged one sends less (Graph API, phone numbers).
_SENDING = frozenset({"CONNECTED", "LINKED", "RESTRICTED", "FLAGGED"})


class Number(NamedTuple):
    """One phone number of the account."""

    id: str
    #: E.164.
    address: str
    #: Why it sends nothing, in words; "": it sends.
    fault: str
    #: What people see in place of the number.
    name: str
    #: Messages a second.
    mps: float


class _Throughput(msgspec.Struct, frozen=True, kw_only=True):
    level: str = ""


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    display_phone_number: str = ""
    status: str = ""
    account_mode: str = ""
    platform_type: str = ""
    verified_name: str = ""
    throughput: _Throughput = _Throughput()


class _Cursors(msgspec.Struct, frozen=True, kw_only=True):
    after: str = ""


class _Paging(msgspec.Struct, frozen=True, kw_only=True):
    cursors: _Cursors = _Cursors()
    next: str | None = None


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    data: tuple[_Told, ...]
    paging: _Paging = _Paging()


def page_query(after: str | None) -> str:
    """The query of a page; *after* is what the page before it ended with."""
    begins = f"&after={quote(after, safe='')}" if after else ""
    return f"fields={FIELDS}&limit={PAGE}{begins}"


def read_page(body: bytes) -> tuple[list[Number], str | None]:
    """The numbers of a page, and where the next one begins (None: there is none). Raises `ValueError`."""
    try:
        page = msgspec.json.decode(body, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("the answer is no list of phone numbers") from None
    numbers = [_number(one) for one in page.data]
    return numbers, page.paging.cursors.after if page.paging.next and page.paging.cursors.after else None


def read_number(body: bytes) -> Number:
    """One number. Raises `ValueError`."""
    try:
        return _number(msgspec.json.decode(body, type=_Told))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("the answer is no phone number") from None


def _number(told: _Told) -> Number:
    mps = _UPGRADED_MPS if told.throughput.level == "HIGH" else _USUAL_MPS
    return Number(told.id, _address(told), _fault(told), told.verified_name, mps)


def sender_of(number: Number) -> SenderSettings:
    """A number as a sender that nobody has declared."""
    return SenderSettings(
        channel=Channel.WHATSAPP,
        address=number.address,
        display_name=number.name or None,
        mps=number.mps,
        limits=Limits(pair_seconds=PAIR_SECONDS, pair_burst=PAIR_BURST),
        options={"phone_number_id": number.id, "found": True},
    )


def _address(told: _Told) -> str:
    """The number as E.164; it is told as people write it ("+1 631-555-5555")."""
    return "+" + "".join(one for one in told.display_phone_number if one in "0123456789")


def _fault(told: _Told) -> str:
    """Why a number sends nothing. A status that nobody knows counts as one."""
    if told.status not in _SENDING:
        return f"its status is {told.status or 'not told'}"
    if told.account_mode == "SANDBOX":
        return "it is a sandbox's"
    if told.platform_type not in ("CLOUD_API", ""):
        return f"it is on {told.platform_type}"
    return ""
