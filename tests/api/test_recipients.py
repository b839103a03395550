"""The three arms of a recipient, mixed as anybody likes, and everything that can be wrong with one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.measuring import seconds_of

from sendpool.api.recipients import Profiles, ProfilesWanted
from sendpool.api.sending import read_send
from sendpool.domain.profile import Profile
from sendpool.domain.request import Recipient, Refused, SendRequest

PHONE = {"address": "+15551230001", "channel": "PHONE"}
WHATSAPP = {"address": "+15551230002", "channel": "WHATSAPP"}
MAIL = {"address": "ana@example.test", "channel": "EMAIL"}
ANA, BEN = "mem_profile_01h9krwprkeee8fzqspvwy6nq8", "mem_profile_01h9krwprkeee8fzqspvwy6nq9"
STORE, OTHER = "mem_store_01h9krwprkeee8fzqspvwy6nq8", "mem_store_01h9krwprkeee8fzqspvwy6nq9"
FIELDS = {"firstName": "Ana", "long": "x" * 512}
PROFILE = Profile(ANA, STORE, [("+15551230001", "P"), ("ana@example.test", "E")], FIELDS)


def read(*to: Any, profiles: Profiles | None = None) -> SendRequest:
    body = {"to": list(to), "content": {"text": "Hi"}}
    return read_send(json.dumps(body).encode(), 7, profiles)


def recipients(*to: Any, known: tuple[Profile, ...] = ()) -> Any:
    return read(*to, profiles=Profiles(known)).recipients


def refused(*to: Any, known: tuple[Profile, ...] = ()) -> list[tuple[int, str | None]]:
    with pytest.raises(Refused) as caught:
        read(*to, profiles=Profiles(known))
    assert caught.value.status == 400
    return [(problem.code, problem.context) for problem in caught.value.problems]


def test_each_arm_is_read_beside_the_others() -> None:
    found = recipients(
        PHONE,
        {**WHATSAPP, "variables": {"name": "Ben"}},
        {"addresses": [PHONE, WHATSAPP, MAIL], "variables": {"name": "Cem"}},
        {"addresses": [MAIL]},
        {"profileId": ANA, "memoryStoreId": STORE},
        known=(PROFILE,),
    )

    assert found == [
        Recipient("+15551230001", "P"),
        Recipient("+15551230002", "W", {"name": "Ben"}),
        Recipient("+15551230001 +15551230002 ana@example.test", "PWE", {"name": "Cem"}),
        Recipient("ana@example.test", "E"),
        Recipient("+15551230001 ana@example.test", "PE", {"": f"{ANA} {STORE}"}),
    ]


def test_address_that_is_listed_twice_counts_once() -> None:
    lower = {**PHONE, "channel": "phone"}
    same_number = {**PHONE, "channel": "WHATSAPP"}

    assert recipients({"addresses": [PHONE, lower, same_number, PHONE]}) == [
        Recipient("+15551230001 +15551230001", "PW")
    ]


def test_ten_addresses_are_a_person() -> None:
    several = [{"address": f"+1555123000{n}", "channel": "PHONE"} for n in range(10)]

    assert recipients({"addresses": several})[0].space == "P" * 10


@pytest.mark.parametrize(
    ("to", "problems"),
    [
        ({"addresses": None}, [(60701, "$.to[0].addresses")]),
        ({"addresses": PHONE}, [(60701, "$.to[0].addresses")]),
        ({"addresses": []}, [(60701, "$.to[0].addresses")]),
        ({"addresses": [PHONE] * 11}, [(60701, "$.to[0].addresses")]),
        ({"addresses": [PHONE, "+15551230001"]}, [(60701, "$.to[0].addresses[1]")]),
        (
            {"addresses": [PHONE, {}]},
            [(60701, "$.to[0].addresses[1].channel"), (60701, "$.to[0].addresses[1].address")],
        ),
        ({"addresses": [{**PHONE, "channel": "SMS"}]}, [(60701, "$.to[0].addresses[0].channel")]),
        ({"addresses": [{**PHONE, "address": "x"}, MAIL]}, [(21211, "$.to[0].addresses[0].address")]),
        ({"addresses": [{**PHONE, "address": "+999123456789"}]}, [(21614, "$.to[0].addresses[0].address")]),
        ({"addresses": [{**MAIL, "address": "ana b@example.test"}]}, [(60701, "$.to[0].addresses[0].address")]),
        ({"addresses": [{**PHONE, "variables": {}}]}, [(60701, "$.to[0].addresses[0]")]),
        ({"addresses": [PHONE], "memoryStoreId": STORE}, [(60701, "$.to[0]")]),
        ({"addresses": [PHONE], **PHONE}, [(60701, "$.to[0]")]),
        ({"addresses": [PHONE], "profileId": ANA}, [(60701, "$.to[0]")]),
        ({**PHONE, "profileId": ANA}, [(60701, "$.to[0]")]),
        ({"connectedAddress": "comms_address_1"}, [(60701, "$.to[0]")]),
        ({**PHONE, "memoryStoreId": STORE}, [(60701, "$.to[0]")]),
        ({"profileId": None}, [(60701, "$.to[0].profileId")]),
        ({"profileId": {}}, [(60701, "$.to[0].profileId")]),
        ({"profileId": [ANA]}, [(60701, "$.to[0].profileId")]),
        ({"profileId": "mem_profile_1"}, [(60701, "$.to[0].profileId")]),
        ({"profileId": ANA.upper()}, [(60701, "$.to[0].profileId")]),
        ({"profileId": ANA + "0" * 1_000_000}, [(60701, "$.to[0].profileId")]),
        ({"profileId": STORE}, [(60701, "$.to[0].profileId")]),
        ({"profileId": ANA, "memoryStoreId": "x"}, [(60701, "$.to[0].memoryStoreId")]),
        ({"profileId": BEN}, [(20404, "$.to[0].profileId")]),
        ({"profileId": ANA, "memoryStoreId": OTHER}, [(20404, "$.to[0].profileId")]),
        ({"profileId": ANA, "variables": {"a": 1}}, [(60701, "$.to[0].variables")]),
        ({"profileId": ANA, "variables": {"": "a"}}, [(60701, "$.to[0].variables")]),
        ({"profileId": ANA, "variables": {"a": "${Twilio.Profile.long}" * 5}}, [(60701, "$.to[0].variables")]),
        ({"addresses": [PHONE], "variables": []}, [(60701, "$.to[0].variables")]),
        ({"addresses": [PHONE], "variables": {"a": "b\0"}}, [(60701, "$.to[0].variables")]),
    ],
)
def test_each_fault_is_named_where_it_is(to: Any, problems: list[Any]) -> None:
    assert refused(to, known=(PROFILE,)) == problems


def test_faults_of_all_recipients_come_in_one_answer() -> None:
    assert refused(PHONE, {"profileId": BEN}, {"addresses": []}, {"profileId": "x"}) == [
        (20404, "$.to[1].profileId"),
        (60701, "$.to[2].addresses"),
        (60701, "$.to[3].profileId"),
    ]


def test_profile_in_several_stores_needs_its_store() -> None:
    elsewhere = PROFILE._replace(store_id=OTHER, addresses=[("+15551230009", "W")])

    assert refused({"profileId": ANA}, known=(PROFILE, elsewhere)) == [(60701, "$.to[0].memoryStoreId")]
    assert recipients({"profileId": ANA, "memoryStoreId": OTHER}, known=(PROFILE, elsewhere))[0].space == "W"


def test_variables_may_name_fields_of_the_profile() -> None:
    (found,) = recipients(
        {"profileId": ANA, "variables": {"name": "Dear ${Twilio.Profile.firstName}", "x": "${Twilio.Profile.none}"}},
        known=(PROFILE,),
    )

    assert found.variables == {"": f"{ANA} {STORE}", "name": "Dear Ana", "x": ""}


def test_only_a_profile_fills_in_references() -> None:
    (found,) = recipients({**PHONE, "variables": {"name": "${Twilio.Profile.firstName}"}}, known=(PROFILE,))

    assert found.variables == {"name": "${Twilio.Profile.firstName}"}


def test_profiles_are_looked_for_before_anything_is_said() -> None:
    with pytest.raises(ProfilesWanted) as caught:
        read({"profileId": ANA}, {"profileId": BEN, "memoryStoreId": STORE}, {"addresses": []}, {"profileId": "x"})

    assert caught.value.ids == {ANA, BEN}


def test_profile_without_addresses_reaches_nobody() -> None:
    assert refused({"profileId": ANA}, known=(PROFILE._replace(addresses=[]),)) == [(60701, "$.to[0].profileId")]


def test_ten_thousand_recipients_of_all_arms_are_read_in_well_under_a_second() -> None:
    arms = [
        PHONE,
        {"addresses": [PHONE, WHATSAPP, MAIL]},
        {"profileId": ANA, "variables": {"a": "${Twilio.Profile.x}"}},
    ]
    body = json.dumps({"to": [arms[n % 3] for n in range(10_000)], "content": {"text": "Hi"}}).encode()

    assert len(read_send(body, 7, Profiles([PROFILE])).recipients) == 10_000
    assert seconds_of(lambda: read_send(body, 7, Profiles([PROFILE])), enough=1.0) <= 1.0
