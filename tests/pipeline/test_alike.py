"""A small request of a kind that was met before comes to exactly what it would have come to by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sendpool.domain.destinations import Countries, Destinations
from sendpool.domain.message import Category, Content
from sendpool.domain.pool import Choice, Member, Pool
from sendpool.domain.request import (
    Accepted,
    AccountOrigin,
    AddressOrigin,
    Origin,
    PoolOrigin,
    Recipient,
    Refused,
    SenderOrigin,
    SendRequest,
)
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.accept import Acceptor
from sendpool.pipeline.acceptance import Acceptance
from sendpool.pipeline.alike import MOST_TOGETHER, kind_of, runs
from sendpool.pipeline.book import QueueBook
from sendpool.pipeline.crowd import Crowd
from sendpool.pipeline.roster import Roster
from sendpool.pipeline.waiter import NOBODY

NUMBERS = ("+447700900001", "+12025550123")
CHANNELS = (Channel.SMS, Channel.RCS, Channel.WHATSAPP)
ORIGINS: list[Origin] = [
    PoolOrigin(b"p" * 16),
    PoolOrigin(b"p" * 16, frozenset({Channel.SMS})),
    PoolOrigin(b"p" * 16, None, ((Channel.SMS, 1), (Channel.RCS, 2))),
    PoolOrigin(b"q" * 16),
    SenderOrigin(bytes([1]) * 16),
    AddressOrigin("+447900000001", Channel.SMS),
    AccountOrigin(),
]


def roster(destinations: Destinations) -> Roster:
    senders = [
        Sender(
            id=n,
            uid=bytes([n]) * 16,
            account_id=1,
            connection_id=n,
            channel=channel,
            address=f"+4479000000{n:02}",
            mps=10.0,
            destinations=destinations,
        )
        for n, channel in enumerate(CHANNELS, 1)
    ]
    members = tuple(Member(sender_id=one.id) for one in senders)
    pools = [
        Pool(id=1, uid=b"p" * 16, account_id=1, members=members, choice=Choice(reach=CHANNELS)),
        Pool(id=2, uid=b"q" * 16, account_id=1, members=members[:1], category=Category.OTP),
        Pool(id=3, uid=b"h" * 16, account_id=1, members=members, hidden=True, everyone=True),
        Pool(id=4, uid=b"s" * 16, account_id=1, members=members[:1], hidden=True),
    ]
    return Roster(senders, pools)


def acceptor(of: Roster) -> Acceptor:
    made = Acceptor(QueueBook(), lambda: 1_700_000_000_000_000)
    made.roster = of
    made.numbers.endless()
    return made


_usual = st.builds(
    SendRequest,
    account_id=st.just(1),
    origin=st.sampled_from(ORIGINS),
    recipients=st.tuples(st.sampled_from(NUMBERS), st.sampled_from("PW")).map(lambda one: [Recipient(*one)]),
    content=st.builds(Content, text=st.sampled_from(["Hi", "a" * 161, "\u20ac" * 81, "\u4f60" * 71])),
)
#: By what a request may differ from another one: most of it alone decides what the request comes to.
_OTHERS: list[dict[str, Any]] = [
    {"category": Category.OTP},
    {"category": Category.BULK},
    {"validity": 60},
    {"priority": "high"},
    {"tags": {"a": "b"}},
    {"recipients": [Recipient(NUMBERS[0], "P"), Recipient(NUMBERS[1], "P")]},
    {"recipients": [Recipient(NUMBERS[0], "W")]},
    {"recipients": [Recipient(f"{NUMBERS[0]} {NUMBERS[1]}", "PW")]},
    {"recipients": [Recipient(NUMBERS[1], "P")]},
    {"recipients": [Recipient(NUMBERS[0], "P", {"a": "b"})]},
    {"content": Content(text="Hi", media=("https://example.com/a.png",))},
    {"content": Content(media=("https://example.com/a.png",))},
    {"content": Content(modules={Channel.SMS: {"text": "Hi"}})},
    *({"origin": origin} for origin in ORIGINS),
]


@st.composite
def _requests(draw: st.DrawFn) -> list[SendRequest]:
    """A request, and others that differ from it in a thing or two."""
    usual = draw(_usual)
    others = draw(st.lists(st.lists(st.sampled_from(_OTHERS), max_size=2), max_size=12))
    return [usual, *[replace(usual, **{name: v for one in some for name, v in one.items()}) for some in others]]


def told(made: Acceptance) -> list[Any]:
    """Everything of an acceptance but its uid, which is new each time, and who waits for it."""
    fields = made._replace(operation=made.operation._replace(uid=b""), done=None)  # type: ignore[arg-type]
    return [tuple(value) if isinstance(value, list) else value for value in fields]


@pytest.mark.parametrize("destinations", [Destinations(), Destinations(countries=Countries(only=frozenset({"GB"})))])
@given(_requests())
def test_what_was_met_before_changes_nothing(destinations: Destinations, requests: list[SendRequest]) -> None:
    knowing, forgetful = acceptor(roster(destinations)), acceptor(roster(destinations))
    loop = asyncio.new_event_loop()
    loop.close()

    for request in requests:
        forgetful.roster.alike.clear()
        outcomes: list[list[Any]] = []
        for one in (knowing, forgetful):
            try:
                outcomes.append(told(one.prepare(request, asyncio.Future(loop=loop))))
            except Refused as refused:
                outcomes.append([refused.problems])

        assert outcomes[0] == outcomes[1]


def each(made: Acceptance | Crowd) -> list[Any]:
    """Everything that each request adds, whether it was accepted by itself or together with others."""
    contexts, waits = made.contexts(), made.accepted()
    several = [waits] if isinstance(waits, Accepted) else waits
    return [
        (
            operation._replace(uid=b""),
            message,
            row,
            contexts[operation.id]._replace(uid=""),
            accepted.queued is not None,
        )
        for operation, message, row, accepted in zip(made.operations, made.messages, made.rows, several, strict=True)
    ]


@pytest.mark.parametrize("destinations", [Destinations(), Destinations(countries=Countries(only=frozenset({"GB"})))])
@given(st.lists(_requests(), min_size=1, max_size=3).map(lambda several: [one for some in several for one in some]))
def test_requests_accepted_together_come_to_what_each_comes_to(
    destinations: Destinations, requests: list[SendRequest]
) -> None:
    together, apart = acceptor(roster(destinations)), acceptor(roster(destinations))
    found: list[list[Any]] = [[], []]

    def by_itself(one: Acceptor, request: SendRequest) -> list[Any]:
        try:
            made = one.prepare(request, NOBODY)
        except Refused as refused:
            return [refused.problems]
        # Whom nobody reaches gets no message, and is of no kind that is known.
        return each(made) if kind_of(request) is not None and made.messages else [told(made)]

    for first, end, alike in runs(requests, together.roster.alike):
        if alike is None:
            assert end == first + 1
            found[0] += by_itself(together, requests[first])
        else:
            found[0] += each(together.together(requests[first:end], alike, NOBODY))
    for request in requests:
        found[1] += by_itself(apart, request)

    assert found[0] == found[1]


def test_a_run_is_of_one_known_kind() -> None:
    one = acceptor(roster(Destinations()))
    recipients = [Recipient("+447700900001", "P")]
    request = SendRequest(account_id=1, origin=ORIGINS[0], recipients=recipients, content=Content(text="Hi"))
    other = replace(request, priority="high")
    known = one.roster.alike

    assert [run[:2] for run in runs([request, request, other], known)] == [(0, 1), (1, 2), (2, 3)]

    for asked in (request, other):
        one.prepare(asked, NOBODY)

    many = [request] * (MOST_TOGETHER + 1)
    assert [run[:2] for run in runs([request, request, other, request], known)] == [(0, 2), (2, 3), (3, 4)]
    assert [run[:2] for run in runs(many, known)] == [(0, MOST_TOGETHER), (MOST_TOGETHER, MOST_TOGETHER + 1)]
    assert list(runs([], known)) == []


def test_a_kind_is_known_once_it_was_met() -> None:
    one = acceptor(roster(Destinations()))
    loop = asyncio.new_event_loop()
    loop.close()
    recipients = [Recipient("+447700900001", "P")]
    request = SendRequest(account_id=1, origin=ORIGINS[0], recipients=recipients, content=Content(text="Hi"))

    one.prepare(request, asyncio.Future(loop=loop))

    (kind,), (alike,) = one.roster.alike, one.roster.alike.values()
    assert kind == kind_of(request)
    assert (alike.pool_id, alike.plan, alike.category) == (1, "SRW", "transactional")


def test_what_hangs_on_the_country_is_not_kept() -> None:
    one = acceptor(roster(Destinations(countries=Countries(only=frozenset({"GB"})))))
    loop = asyncio.new_event_loop()
    loop.close()
    made = []
    for number in NUMBERS:
        recipients = [Recipient(number, "P")]
        request = SendRequest(account_id=1, origin=ORIGINS[0], recipients=recipients, content=Content(text="Hi"))
        made.append(one.prepare(request, asyncio.Future(loop=loop)))

    assert [len(acceptance.messages) for acceptance in made] == [1, 0]
    assert one.roster.alike == {}
