"""Templates: apart by account, listed newest first, and gone with their texts when they are deleted."""

from __future__ import annotations

from sendpool.store.database import Database
from sendpool.store.templates import (
    NewTemplate,
    create_template,
    delete_template,
    find_template,
    list_templates,
    update_template,
)

NEW = NewTemplate("order", "en", {"1": "customer"}, {"twilio/text": {"body": "Dear {{1}}"}})
OTHER = NewTemplate("", "de", {}, {"twilio/text": {"body": "Hallo"}})


async def test_a_template_is_what_was_written_last(database: Database) -> None:
    made = await database.write(create_template(1, "HX1", NEW, 10))
    changed = await database.write(update_template(1, "HX1", OTHER, 20))

    assert (made.name, made.variables, made.types) == ("order", NEW.variables, NEW.types)
    assert changed == made._replace(name="", language="de", variables={}, types=OTHER.types, updated_at=20)
    assert await database.read(find_template(1, "HX1")) == changed


async def test_another_accounts_template_can_be_neither_seen_nor_changed(database: Database) -> None:
    await database.write(create_template(1, "HX1", NEW, 10))

    assert await database.read(find_template(2, "HX1")) is None
    assert await database.read(list_templates(2, None, 10)) == []
    assert await database.write(update_template(2, "HX1", OTHER, 20)) is None
    assert not await database.write(delete_template(2, "HX1", 20))
    assert (await database.read(find_template(1, "HX1"))) is not None


async def test_a_deleted_template_is_gone(database: Database) -> None:
    for sid in ("HX1", "HX2", "HX3"):
        await database.write(create_template(1, sid, NEW, 10))

    assert await database.write(delete_template(1, "HX2", 20))
    assert not await database.write(delete_template(1, "HX2", 30))

    listed = await database.read(list_templates(1, None, 10))
    assert [one.sid for one in listed] == ["HX3", "HX1"]
    assert [one.sid for one in await database.read(list_templates(1, listed[0].id, 10))] == ["HX1"]
    assert await database.write(update_template(1, "HX2", OTHER, 40)) is None
