"""What is personal goes for good."""

from __future__ import annotations

from sendpool.store import cancel, redaction
from sendpool.store.database import Database
from sendpool.store.history import MessagePlace
from sendpool.testing.store_rig import ask
from sendpool.testing.store_rows import AT, accept


async def test_a_redacted_message_keeps_nothing_personal(database: Database) -> None:
    await database.write(accept(100, 1))
    await database.write(cancel.cancel_messages(100, 100, AT))
    place = MessagePlace((100).to_bytes(16, "big"), 0)

    assert await database.write(redaction.redact_message(1, place, AT)) is redaction.Redaction.DONE
    assert await ask(database, "SELECT address, deleted_at FROM message") == [("", AT)]
    assert await ask(database, "SELECT content FROM operation_content") == [("{}",)]
