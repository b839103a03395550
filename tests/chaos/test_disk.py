"""The model of a disk: what was synced is there, of the rest anything may be."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from tests.chaos.disk import SYNC, TRUNCATE, WRITE, Disk, Done, power_cuts, read

OLD, NEW = b"o" * 1024, b"n" * 1024


def write(octets: bytes, offset: int = 0, file: str = "-wal") -> Done:
    return Done(1.0, WRITE, file, offset, octets)


SYNCED = Done(2.0, SYNC, "-wal", 0, b"")


def test_what_was_synced_is_there_whatever_the_seed() -> None:
    disk = Disk()
    disk.do(write(OLD))
    disk.do(SYNCED)

    assert {disk.cut(random.Random(seed))["-wal"] for seed in range(20)} == {OLD}


def test_what_was_not_synced_is_there_by_sectors_or_not() -> None:
    disk = Disk()
    for done in (write(OLD), SYNCED, write(NEW)):
        disk.do(done)

    found = {disk.cut(random.Random(seed))["-wal"] for seed in range(50)}

    halves = (OLD[:512], NEW[:512])
    assert found == {first + second for first in halves for second in halves}


def test_a_later_write_may_be_there_without_an_earlier_one() -> None:
    disk = Disk()
    for done in (write(OLD), SYNCED, write(b"1" * 512), write(b"2" * 512, 512)):
        disk.do(done)

    found = {disk.cut(random.Random(seed))["-wal"] for seed in range(50)}

    assert OLD[:512] + b"2" * 512 in found


def test_a_cut_file_may_be_as_long_as_before() -> None:
    disk = Disk()
    for done in (write(OLD), SYNCED, Done(3.0, TRUNCATE, "-wal", 10, b"")):
        disk.do(done)

    assert {len(disk.cut(random.Random(seed))["-wal"]) for seed in range(20)} == {10, 1024}


def test_a_sync_is_of_its_own_file() -> None:
    disk = Disk()
    for done in (write(OLD, file=""), SYNCED):
        disk.do(done)

    assert {disk.cut(random.Random(seed))[""] for seed in range(50)} > {b"", OLD}


def test_a_journal_is_read_and_what_is_cut_off_at_its_end_is_not(tmp_path: Path) -> None:
    def record(kind: int, name: bytes, offset: int, octets: bytes) -> bytes:
        return struct.pack("<QBBQI", 1_500_000_000, kind, len(name), offset, len(octets)) + name + octets

    path = tmp_path / "journal"
    whole = record(WRITE, b"-wal", 32, b"abc") + record(WRITE, b"-shm", 0, b"x") + record(SYNC, b"", 0, b"")
    path.write_bytes(whole + record(WRITE, b"", 0, b"lost")[:-1])

    assert read(path) == [Done(1.5, WRITE, "-wal", 32, b"abc"), Done(1.5, SYNC, "", 0, b"")]


def test_power_cuts_come_in_the_order_of_time_and_by_the_seed() -> None:
    journal = [step for n in range(20) for step in (write(OLD, n * 1024)._replace(at=n), SYNCED._replace(at=n + 0.5))]

    cuts = list(power_cuts(journal, 30, 7))

    assert cuts == list(power_cuts(journal, 30, 7))
    assert [at for at, _ in cuts] == sorted(at for at, _ in cuts)
    assert all(len(files["-wal"]) >= int(at) * 1024 for at, files in cuts)
