"""Emails through the pipeline: what a connector is handed, and who may not send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.carriers import Carrier
from tests.pipeline.worlds import Line, World, virtually, world

from sendpool.domain.email_content import read_module, write_module
from sendpool.domain.message import Content
from sendpool.domain.request import (
    Accepted,
    AddressOrigin,
    Origin,
    PoolOrigin,
    Recipient,
    Refused,
    SenderOrigin,
    SendRequest,
)
from sendpool.domain.sender import Channel
from sendpool.pipeline.draft import AT_ONCE

MAILBOX, NUMBER = "support@coolcompany.test", "+12030000001"
MODULE = write_module({"subject": "Hello", "html": "<p>Hi</p>"}, "Cool Support")


def lines() -> dict[str, Line]:
    return {
        "mail": Line(Carrier(), {MAILBOX: 1000}, channel=Channel.EMAIL),
        "sms": Line(Carrier(), {NUMBER: 10}),
    }


async def mail(w: World, recipients: list[Recipient], origin: Origin | None = None, **more: Any) -> Accepted:
    content = Content(modules={Channel.EMAIL: MODULE})
    request = {"origin": origin or AddressOrigin(MAILBOX, Channel.EMAIL), "content": content, **more}
    return await w.engine.intake.accept(
        SendRequest(account_id=w.account_id, recipients=recipients, kind="email", **request)
    )


@virtually
@pytest.mark.parametrize("number", [3, AT_ONCE + 1])
async def test_a_connector_gets_the_module_and_the_names(number: int, fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        names = [None if i % 3 else f"Ana {i}" for i in range(number)]
        accepted = await mail(w, [Recipient(f"ana{i}@example.test", "E", None, name) for i, name in enumerate(names)])
        await w.until_states(DELIVERED=number)

        sent = {one.submission.recipient: one.submission for one in w.lines["mail"].carrier.sent}
        assert [sent[f"ana{i}@example.test"].name for i in range(number)] == names
        contents = {id(one.content) for one in sent.values()}
        assert len(contents) == 1
        (one, *_) = sent.values()
        assert one.content.rich is not None
        assert (read_module(one.content.rich).subject, read_module(one.content.rich).from_name) == (
            "Hello",
            "Cool Support",
        )
        assert one.content.text == "Hi"
        assert one.segments == 1
        rows = await w.rows("SELECT kind, delivered, attempts FROM operation WHERE id = ?", accepted.operation_id)
        assert tuple(rows[0]) == ("email", number, number)


@virtually
async def test_who_has_no_mailbox_is_told_where_the_request_is_wrong(fresh: Path) -> None:
    async with world(fresh, **lines()) as w:
        number = w.sender(NUMBER)
        pool = await w.make_pool([number.uid])
        cases: list[tuple[Origin, int, str]] = [
            (PoolOrigin(pool), 21703, "$.from.senderPoolId"),
            (SenderOrigin(number.uid), 21606, "$.from.senderId"),
            (AddressOrigin("other@coolcompany.test", Channel.EMAIL), 20404, "$.from.address"),
        ]
        for origin, code, context in cases:
            with pytest.raises(Refused) as caught:
                await mail(w, [Recipient("ana@example.test", "E")], origin)
            assert [(one.code, one.context) for one in caught.value.problems] == [(code, context)]
        mixed = await w.make_pool([number.uid, w.sender(MAILBOX).uid])
        await mail(w, [Recipient("ana@example.test", "E")], PoolOrigin(mixed))


@virtually
async def test_each_recipient_is_sent_their_own_email_with_values_as_text(fresh: Path) -> None:
    files = [{"content": "e3t9"}]
    module = write_module({"subject": "For {{ name }}", "html": "<p>{{ name }}</p>", "attachments": files})
    content = Content(modules={Channel.EMAIL: module}, liquid=True)
    recipients = [Recipient(f"ana{i}@example.test", "E", {"name": f"<{i}>\r\nBcc: x"}, f"Ana {i}") for i in range(3)]
    async with world(fresh, **lines()) as w:
        accepted = await mail(w, [*recipients, Recipient("ben@example.test", "E")], content=content)
        await w.until_states(DELIVERED=4, operation=accepted)

        sent = {one.submission.recipient: one.submission for one in w.lines["mail"].carrier.sent}
        one = sent["ana1@example.test"]
        assert one.name == "Ana 1"
        assert one.content.rich == {
            "subject": "For <1> Bcc: x",
            "html": "<p>&lt;1&gt;\r\nBcc: x</p>",
            "text": "<1>\r\nBcc: x",
            "attachments": files,
        }
        bens = sent["ben@example.test"].content.rich
        assert bens is not None
        assert bens["html"] == "<p></p>"


@virtually
async def test_who_has_nothing_to_read_gets_no_attempt(fresh: Path) -> None:
    content = Content(modules={Channel.EMAIL: write_module({"subject": "{{ s }}", "html": "x"})}, liquid=True)
    async with world(fresh, **lines()) as w:
        recipients = [Recipient("ana@example.test", "E", {"s": "x"}), Recipient("ben@example.test", "E", {"s": "\n"})]
        accepted = await mail(w, recipients, content=content)
        await w.until_states(DELIVERED=1, FAILED=1, operation=accepted)

        assert [one.submission.recipient for one in w.lines["mail"].carrier.sent] == ["ana@example.test"]
        rows = await w.rows(
            "SELECT error_code FROM message WHERE operation_id = ? AND state = 7", accepted.operation_id
        )
        assert [tuple(row) for row in rows] == [(21602,)]
