"""What has not left is taken back."""

from __future__ import annotations

from sendpool.domain.states import MessageState
from sendpool.store import cancel, chunks, schedule
from sendpool.store.chunks import NewChunk
from sendpool.store.database import Database
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept


async def test_chunks_are_canceled_as_rows(database: Database) -> None:
    body = '[["+4477100","P","S",3,{"name":"Ana"}],["+4477101","P","S",1]]'
    await database.write(accept(100, 1))
    await database.write(chunks.insert_chunks([NewChunk(100, 200, 2, body, AT, 4, "S")]))

    assert await database.write(schedule.release_chunks([(100, AT)])) == {100: 2}
    assert await database.write(cancel.cancel_chunks(100, AT)) == {int(MessageState.QUEUED): 2}
    assert await ask(database, "SELECT segments, variables FROM message WHERE id >= 200 ORDER BY id") == [
        (3, '{"name":"Ana"}'),
        (1, None),
    ]
