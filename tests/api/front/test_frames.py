"""Whatever a request may be, a front's server gets the same one; and frames come whole however they are torn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendpool.api.exchange import TooOften
from sendpool.api.front.faults import error_of, fault_of
from sendpool.api.front.frames import Ask, Credentials, Fate, Frames, FrontSays, ServerSays, Settings, frame
from sendpool.domain.message import Category, Content
from sendpool.domain.request import (
    AccountOrigin,
    AddressOrigin,
    PoolOrigin,
    Problem,
    Recipient,
    Refused,
    SenderOrigin,
    SendRequest,
)
from sendpool.domain.schedule import Moment
from sendpool.domain.sender import Channel
from sendpool.pipeline.backlog import QueueFull
from sendpool.pipeline.waiter import StoreUnavailable
from sendpool.store.accounts import Account
from sendpool.store.database import DatabaseAway
from sendpool.store.idempotency import Key, KeyTaken
from sendpool.store.keys import ApiKey

texts = st.text(max_size=20)
channels = st.sampled_from(list(Channel))
uids = st.binary(min_size=16, max_size=16)
origins = st.one_of(
    st.builds(
        PoolOrigin,
        uids,
        st.none() | st.frozensets(channels),
        st.lists(st.tuples(channels, st.integers(0, 9)), max_size=3).map(tuple),
    ),
    st.builds(SenderOrigin, uids),
    st.builds(AddressOrigin, texts, channels),
    st.just(AccountOrigin()),
)
recipients = st.builds(
    Recipient, texts, st.sampled_from(["P", "W", "PP"]), st.none() | st.dictionaries(texts, texts), st.none() | texts
)
modules = st.dictionaries(
    st.sampled_from(["RCS", "WHATSAPP"]), st.dictionaries(texts, st.none() | texts | st.booleans())
)
contents = st.builds(
    Content, text=texts, media=st.lists(texts, max_size=2).map(tuple), modules=modules, liquid=st.booleans()
)
requests = st.builds(
    SendRequest,
    account_id=st.integers(1, 2**40),
    origin=origins,
    recipients=st.lists(recipients, max_size=3),
    content=contents,
    tags=st.dictionaries(texts, texts),
    category=st.none() | st.sampled_from(list(Category)),
    validity=st.none() | st.integers(1, 172_800),
    priority=st.sampled_from(["low", "normal", "high"]),
    send_at=st.none() | st.builds(Moment, st.integers(0, 2**60), local=st.booleans()),
)


def told(said: FrontSays) -> FrontSays:
    """What the server hears."""
    (heard,) = Frames(FrontSays).read(frame(said))
    return heard


@given(requests, st.none() | st.builds(Key, st.integers(1, 9), texts, uids))
def test_a_request_is_the_same_on_the_other_side(request: SendRequest, key: Key | None) -> None:
    (ask,) = told(FrontSays([Ask(7, request, key)])).asks

    # Contents are compared by identity.
    content, other = ask.request.content, request.content
    assert (content.text, content.media, content.modules, content.liquid) == (
        other.text,
        other.media,
        other.modules,
        other.liquid,
    )
    for name in set(SendRequest.__struct_fields__) - {"content"}:
        found, wanted = getattr(ask.request, name), getattr(request, name)
        assert list(found) == list(wanted) if name == "recipients" else found == wanted, name
    assert type(ask.request.origin) is type(request.origin)
    assert (ask.number, ask.key) == (7, key)


@given(st.lists(st.integers(1, 2**31), max_size=20), st.data())
def test_frames_come_whole_however_they_are_torn(numbers: list[int], data: Any) -> None:
    raw = b"".join(frame(ServerSays([Fate(number, b"u" * 16, number)] * (number % 5))) for number in numbers)
    frames, heard = Frames(ServerSays), []
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        heard += list(frames.read(raw[:size]))
        raw = raw[size:]

    assert [[fate.number for fate in said.fates] for said in heard] == [[number] * (number % 5) for number in numbers]


def test_who_may_call_and_settings_are_the_same_on_the_other_side() -> None:
    account = Account(id=1, sid="AC1", auth_token="t", old_auth_token="o", old_auth_token_until=5)
    credentials = Credentials(3, [account], [ApiKey("SK1", 1, b"d" * 32)])
    settings = Settings(
        database="x.db", file=True, public_url=None, trusted_proxies=("10.0.0.0/8",), log_level="info", log_json=None
    )

    (heard,) = Frames(ServerSays).read(frame(ServerSays((), credentials, settings, True)))

    assert heard.credentials is not None
    assert list(heard.credentials.accounts) == [account]
    assert list(heard.credentials.keys) == [ApiKey("SK1", 1, b"d" * 32)]
    assert (heard.settings, heard.close) == (settings, True)


@pytest.mark.parametrize(
    "error",
    [
        Refused(Problem(20404, "no such pool", "$.from"), Problem(60701, "too far ahead"), status=404),
        TooOften(1.5),
        QueueFull("10 messages wait"),
        StoreUnavailable("the database did not take it"),
        DatabaseAway("it is away"),
        KeyTaken(),
    ],
)
def test_what_the_server_raises_is_raised_in_the_front(error: Exception) -> None:
    (heard,) = Frames(ServerSays).read(frame(ServerSays([Fate(1, fault=fault_of(error))])))
    fault = heard.fates[0].fault

    assert fault is not None
    raised = error_of(fault)
    assert type(raised) is type(error)
    assert str(raised) == str(error)
    if isinstance(error, Refused) and isinstance(raised, Refused):
        assert (tuple(raised.problems), raised.status) == (error.problems, error.status)


def test_a_fault_of_the_server_tells_the_front_no_details() -> None:
    fault = fault_of(ValueError("secret text"))

    assert "secret" not in repr(fault)
    assert isinstance(error_of(fault), RuntimeError)
