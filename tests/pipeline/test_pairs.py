"""Which senders could reach a human keeps to the rules that a send keeps to."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.domain.destinations import Countries, Destinations
from sendpool.domain.pool import Choice, Member, Pool
from sendpool.domain.resolving import Question
from sendpool.domain.sender import AddressSpace, Channel, Sender
from sendpool.pipeline.pairs import pairs
from sendpool.pipeline.roster import Roster

US, GB, DE = "+12035550001", "+442071234567", "+493012345678"
MAIL = "ana@example.test"
POOL = b"p" * 16
PHONE, EMAIL = AddressSpace.PHONE, AddressSpace.EMAIL


def sender(key: int, address: str, channel: Channel = Channel.SMS, **rule: Any) -> Sender:
    return Sender(
        id=key,
        uid=b"%016d" % key,
        account_id=1,
        connection_id=1,
        channel=channel,
        address=address,
        mps=1.0,
        destinations=Destinations(**rule),
    )


def only(*countries: str) -> Countries:
    return Countries(only=frozenset(countries))


NUMBER = sender(1, "+12035550100", campaigns_in=frozenset({"US"}))
REGISTERED = sender(2, "+12035550101", campaigns_in=frozenset({"US"}), campaign="C1")
NAME = sender(3, "COOL")
SHORT = sender(4, "62442", country="GB")
BRITISH = sender(5, "+442071234000", countries=only("GB"))
AGENT = sender(6, "agent", Channel.RCS)
MAILBOX = sender(7, "a@b.example", Channel.EMAIL)
WHATSAPP = sender(8, "+12035550108", Channel.WHATSAPP)
ALL = (NUMBER, REGISTERED, NAME, SHORT, BRITISH, AGENT, MAILBOX, WHATSAPP)


def roster(account: Countries | None = None, tiers: dict[int, int] | None = None, **choice: Any) -> Roster:
    members = tuple(Member(sender_id=one.id, tier=(tiers or {}).get(one.id, 0)) for one in ALL)
    pools = [
        Pool(id=1, uid=b"h" * 16, account_id=1, hidden=True, everyone=True),
        Pool(id=2, uid=POOL, account_id=1, members=members, choice=Choice(**choice)),
        Pool(id=3, uid=b"H" * 16, account_id=2, hidden=True, everyone=True),
    ]
    return Roster(ALL, pools, {} if account is None else {1: account})


def found(roster: Roster, *addresses: str, account: int = 1, **asked: Any) -> list[tuple[str, str]] | None:
    recipients = [(one, EMAIL if "@" in one else PHONE) for one in addresses]
    answer = pairs(roster, account, Question(recipients, **asked))
    return None if answer is None else [(pair.sender.address, recipients[pair.place][0]) for pair in answer]


def of(address: str, *senders: Sender) -> list[tuple[str, str]]:
    return [(one.address, address) for one in senders]


@pytest.mark.parametrize("source", [None, POOL, [(Channel(one.channel), one.address) for one in ALL]])
def test_senders_come_only_where_they_may_send(source: Any) -> None:
    everyone = roster()

    # No names and no foreign short codes in the US, and nobody without a campaign.
    assert found(everyone, US, source=source) == of(US, AGENT, REGISTERED)
    assert found(everyone, GB, source=source) == of(GB, AGENT, NUMBER, REGISTERED, NAME, SHORT, BRITISH)
    assert found(everyone, DE, source=source) == of(DE, AGENT, NUMBER, REGISTERED, NAME)
    assert found(everyone, MAIL, source=source) == of(MAIL, MAILBOX)


def test_a_pools_reach_says_over_which_channels_and_in_which_order() -> None:
    reaching = roster(reach=(Channel.SMS, Channel.WHATSAPP))

    assert found(reaching, US, source=POOL) == of(US, REGISTERED, WHATSAPP)
    assert found(reaching, US) == of(US, AGENT, REGISTERED)


def test_countries_of_pool_and_account_bar_everybody() -> None:
    assert found(roster(countries=only("DE")), GB, source=POOL) == []
    assert found(roster(countries=only("DE")), GB) != []
    assert found(roster(account=only("DE")), GB) == []
    assert found(roster(account=only("DE")), GB, source=[(Channel.SMS, BRITISH.address)]) == []


def test_an_address_that_nobody_may_send_to_leaves_the_turn_to_the_next() -> None:
    british = [(Channel.SMS, BRITISH.address), (Channel.SMS, REGISTERED.address)]

    answer = pairs(roster(), 1, Question([(DE, PHONE), (GB, PHONE)], source=british[:1]))

    assert answer is not None
    assert [(pair.sender, pair.place, pair.priority) for pair in answer] == [(BRITISH, 1, 0)]
    assert found(roster(), US, GB, source=british) == [(REGISTERED.address, US), *of(GB, BRITISH, REGISTERED)]


def test_lower_tiers_of_a_pool_come_first() -> None:
    assert found(roster(tiers={1: 2, 2: 1}), DE, source=POOL) == of(DE, AGENT, NAME, REGISTERED, NUMBER)


def test_a_pool_of_another_account_is_none() -> None:
    assert found(roster(), US, source=b"x" * 16) is None
    assert found(roster(), US, source=POOL, account=2) is None
    assert found(roster(), US, account=2) == []
