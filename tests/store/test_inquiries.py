"""What carriers are to be asked about, on both databases."""

from __future__ import annotations

from sendpool.domain.states import AttemptState
from sendpool.store.database import Database, Query, Script
from sendpool.store.inquiries import due_inquiries, forget_inquiries, note_inquiries, put_off

LINE, OTHER = 7, 8


def attempt(key: int, connection_id: int, state: AttemptState) -> Script[None]:
    yield Query(
        "INSERT INTO attempt (id, sender_id, connection_id, channel, state, segments, reference, marks, started_at,"
        " updated_at) VALUES (?, 1, ?, 'SMS', ?, 1, 0, 0, 0, 0)",
        (key, connection_id, int(state)),
    )


async def test_what_is_due_comes_in_order_with_how_the_attempt_stands(database: Database) -> None:
    await database.write(attempt(1 * 64 + 1, LINE, AttemptState.ACCEPTED))
    await database.write(attempt(2 * 64 + 1, LINE, AttemptState.DELIVERED))
    await database.write(attempt(3 * 64 + 1, OTHER, AttemptState.ACCEPTED))
    rows = [(LINE, 1, 1, "SM1", 300), (LINE, 2, 1, "SM2", 200), (LINE, 3, 1, "SM3", 100), (OTHER, 4, 1, "SM4", 100)]
    await database.write(note_inquiries(rows))
    await database.write(note_inquiries([(LINE, 1, 1, "SM9", 999)]))

    found = await database.read(due_inquiries(LINE, 300, 10))

    # The third one's attempt was made anew over another connection.
    assert [one.due_at for one in found] == [100, 200, 300]
    assert [(one.attempt_id, one.carrier_id, one.asked, one.state) for one in found] == [
        (3 * 64 + 1, "SM3", 0, None),
        (2 * 64 + 1, "SM2", 0, AttemptState.DELIVERED),
        (1 * 64 + 1, "SM1", 0, AttemptState.ACCEPTED),
    ]
    assert len(await database.read(due_inquiries(LINE, 200, 10))) == 2
    assert len(await database.read(due_inquiries(LINE, 300, 1))) == 1


async def test_what_was_asked_waits_or_is_forgotten(database: Database) -> None:
    await database.write(note_inquiries([(LINE, n, 1, f"SM{n}", 100) for n in (1, 2, 3)]))

    await database.write(put_off([(1 * 64 + 1, 500)]))
    await database.write(forget_inquiries([2 * 64 + 1]))

    assert [one.carrier_id for one in await database.read(due_inquiries(LINE, 499, 10))] == ["SM3"]
    found = await database.read(due_inquiries(LINE, 500, 10))
    assert [(one.carrier_id, one.asked) for one in found] == [("SM3", 0), ("SM1", 1)]
