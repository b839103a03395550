"""Who can send: one consistent picture of senders and pools."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, virtually, world

from sendpool.domain.pool import Member, Pool
from sendpool.domain.sender import Channel, Sender
from sendpool.pipeline.roster import Roster


def sender(key: int, *, channel: Channel = Channel.SMS, active: bool = True, account: int = 1) -> Sender:
    return Sender(
        id=key,
        uid=key.to_bytes(16, "big"),
        account_id=account,
        connection_id=1,
        channel=channel,
        address=f"+{key}",
        mps=1.0,
        active=active,
    )


def pool(key: int, *senders: int, hidden: bool = False, everyone: bool = False, deleted: bool = False) -> Pool:
    members = tuple(Member(sender_id=one) for one in senders)
    uid = key.to_bytes(16, "little")
    return Pool(id=key, uid=uid, account_id=1, members=members, hidden=hidden, everyone=everyone, deleted=deleted)


SENDERS = [
    sender(1),
    sender(2, active=False),
    sender(3, channel=Channel.RCS),
    sender(4, account=2),
    sender(5),
]


@pytest.mark.parametrize(
    ("asked", "channel", "wanted"),
    [
        (pool(1, 1, 2, 3, 99), Channel.SMS, [1]),
        (pool(1, 1, 2, 3, 99), Channel.RCS, [3]),
        (pool(1, 5, 1), Channel.SMS, [5, 1]),
        (pool(1, 1), Channel.EMAIL, []),
        (pool(1, everyone=True, hidden=True), Channel.SMS, [1, 5]),
        (pool(1, 1, deleted=True), Channel.SMS, [1]),
        (pool(2, 1), Channel.SMS, []),
    ],
)
def test_members_are_the_active_senders_of_a_pool_on_a_channel(
    asked: Pool, channel: Channel, wanted: list[int]
) -> None:
    roster = Roster(SENDERS, [asked])

    assert [one.id for one, _ in roster.members(1, channel)] == wanted


def test_a_pool_reaches_the_channels_of_its_active_members() -> None:
    roster = Roster(SENDERS, [pool(1, 1, 2, 3), pool(2, 2), pool(3, everyone=True)])

    assert roster.channels(1) == roster.channels(3) == {Channel.SMS, Channel.RCS}
    assert roster.channels(2) == roster.channels(99) == frozenset()


def test_hidden_and_deleted_pools_cannot_be_named() -> None:
    pools = [pool(1, 1), pool(2, 1, hidden=True), pool(3, 1, deleted=True), pool(4, everyone=True, hidden=True)]
    roster = Roster(SENDERS, pools)

    assert [one.id for one in roster.pool_by_uid.values()] == [1]
    assert {key: one.id for key, one in roster.hidden_by_sender.items()} == {1: 2}
    assert {key: one.id for key, one in roster.hidden_by_account.items()} == {1: 4}


def test_senders_are_found_by_what_clients_call_them() -> None:
    roster = Roster(SENDERS)

    assert roster.sender_by_uid[SENDERS[2].uid] is SENDERS[2]
    assert roster.sender_by_address[1, Channel.SMS, "+2"].active is False
    assert (1, Channel.SMS, "+4") not in roster.sender_by_address
    assert (2, Channel.SMS, "+4") in roster.sender_by_address


@virtually
async def test_the_roster_in_memory_is_what_the_store_says(fresh: Path) -> None:
    line = Line(Carrier(), {"+12030000001": 10, "+12030000002": 20})
    async with world(fresh, a=line) as w:
        assert {one.address: one.mps for one in w.engine.roster.senders.values()} == line.senders
        named = w.engine.roster.pool_by_uid[w.pool]
        assert len(named.members) == 2
        hidden = w.engine.roster.hidden_by_sender
        assert set(hidden) == set(w.engine.roster.senders)
        everyone = w.engine.roster.hidden_by_account[w.account_id]
        assert len(w.engine.roster.members(everyone.id, Channel.SMS)) == 2
