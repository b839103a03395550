"""Profiles: stored once by their ids, read in sets, apart by account and memory store."""

from __future__ import annotations

from sendpool.domain.profile import Profile
from sendpool.store.database import Database
from sendpool.store.profiles import Saved, delete_profiles, list_profiles, load_profiles, save_profiles

STORE, OTHER = "mem_store_a", "mem_store_b"
ANA = Profile("mem_profile_a", STORE, [("+15551230001", "P"), ("ana@example.test", "E")], {"firstName": "Ana"})
BEN = Profile("mem_profile_b", STORE, [("+15551230002", "W")], {})
ANA_ELSEWHERE = ANA._replace(store_id=OTHER, addresses=[("+15551230003", "P")])


async def test_the_same_profiles_again_change_nothing(database: Database) -> None:
    assert await database.write(save_profiles(1, [ANA, BEN], 1)) == Saved(2, 0, 0)
    assert await database.write(save_profiles(1, [ANA, BEN], 2)) == Saved(0, 0, 2)
    renamed = BEN._replace(fields={"firstName": "Ben"})
    assert await database.write(save_profiles(1, [ANA, renamed, ANA_ELSEWHERE], 3)) == Saved(1, 1, 1)

    assert await database.read(list_profiles(1, None, 10)) == [ANA, ANA_ELSEWHERE, renamed]


async def test_a_profile_is_found_in_every_memory_store_of_its_account_alone(database: Database) -> None:
    await database.write(save_profiles(1, [ANA, ANA_ELSEWHERE, BEN], 1))
    await database.write(save_profiles(2, [BEN], 1))

    found = await database.read(load_profiles(1, ["mem_profile_a", "mem_profile_none"]))

    assert sorted(found, key=lambda one: one.store_id) == [ANA, ANA_ELSEWHERE]
    assert await database.read(load_profiles(2, ["mem_profile_a", "mem_profile_b"])) == [BEN]
    assert await database.read(load_profiles(1, [])) == []


async def test_thousands_are_read_at_once(database: Database) -> None:
    many = [BEN._replace(profile_id=f"mem_profile_{n:05}") for n in range(10_000)]
    await database.write(save_profiles(1, many, 1))

    found = await database.read(load_profiles(1, [one.profile_id for one in many]))

    assert sorted(found) == many


async def test_a_list_goes_on_behind_a_profile(database: Database) -> None:
    await database.write(save_profiles(1, [ANA, BEN], 1))

    assert await database.read(list_profiles(1, None, 1)) == [ANA]
    await database.write(save_profiles(1, [ANA_ELSEWHERE], 1))
    assert await database.read(list_profiles(1, None, 1)) == [ANA, ANA_ELSEWHERE]
    assert await database.read(list_profiles(1, "mem_profile_a", 10)) == [BEN]


async def test_a_profile_is_forgotten_in_one_memory_store_or_in_all(database: Database) -> None:
    await database.write(save_profiles(1, [ANA, ANA_ELSEWHERE, BEN], 1))
    await database.write(save_profiles(2, [ANA], 1))

    assert await database.write(delete_profiles(1, "mem_profile_a", "mem_store_none")) == []
    assert await database.write(delete_profiles(1, "mem_profile_a", OTHER)) == [OTHER]
    assert await database.write(delete_profiles(1, "mem_profile_a", None)) == [STORE]
    assert await database.read(list_profiles(1, None, 10)) == [BEN]
    assert await database.read(list_profiles(2, None, 10)) == [ANA]
