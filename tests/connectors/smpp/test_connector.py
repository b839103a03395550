"""The connector keeps its link up, says why when it is down, and leaves no part without an outcome."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from sendpool.connectors.base import CarrierId, Recounted, Rejected, Unavailable
from sendpool.connectors.smpp.line import in_words
from sendpool.connectors.smpp.pdu import Command, Pdu, Sm, Status
from sendpool.domain.failures import FailureClass

if TYPE_CHECKING:
    from tests.connectors.smpp.conftest import Rig


def now() -> float:
    return asyncio.get_running_loop().time()


async def bind_times(rig: Rig, count: int, timeout: float = 2000.0) -> list[float]:
    """When the next *count* connections came, in seconds from now."""
    began, times = now(), list[float]()
    while len(times) < count:
        seen = len(rig.centre.links)
        await rig.until_more_links_than(seen, timeout)
        times.append(now() - began)
    return times


async def test_open_returns_before_the_link_is_up(rig: Rig) -> None:
    connector = rig.connector()

    await connector.open(rig.inbox)
    assert rig.inbox.links == []
    await connector.submit([rig.submission(1)])

    assert rig.inbox.outcome_list[0][2] == Unavailable("no bound session")


async def test_every_wanted_part_is_unavailable_without_a_link(rig: Rig) -> None:
    rig.centre.stop_listening()
    connector = rig.connector()
    await connector.open(rig.inbox)

    await connector.submit([rig.submission(1, "A" * 400, parts=0b101), rig.submission(2)])

    assert [(attempt.message_id, part) for attempt, part, _ in rig.inbox.outcome_list] == [(1, 1), (1, 3), (2, 1)]


async def test_carrier_that_does_not_listen_is_named_once_and_tried_again(rig: Rig) -> None:
    rig.centre.stop_listening()
    await rig.connector().open(rig.inbox)
    await asyncio.sleep(20)

    assert [link.detail for link in rig.inbox.links] == [
        f"no connection to 127.0.0.1:{rig.centre.port}: Connection refused"
    ]
    await rig.centre.listen()
    await rig.until(lambda: rig.inbox.is_up, timeout=60)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (OSError("Multiple exceptions: one, another"), "Multiple exceptions: one, another"),
    ],
)
def test_failed_connection_is_explained(error: OSError, words: str) -> None:
    assert in_words(error) == words


async def test_lost_link_comes_back_and_carries_messages(rig: Rig) -> None:
    rig.centre.answers_submits = True
    connector = await rig.opened()

    rig.centre.link.cut()
    await rig.until(lambda: not rig.inbox.is_up)
    await rig.until(lambda: rig.inbox.is_up)
    await connector.submit([rig.submission(1)])
    await rig.until(lambda: bool(rig.inbox.outcome_list))

    assert isinstance(rig.inbox.outcome_list[0][2], CarrierId)
    assert [link.up for link in rig.inbox.links] == [True, False, True]


async def test_waits_between_binds_double(rig: Rig) -> None:
    rig.centre.bind_status = Status.RSYSERR
    await rig.connector(reconnect_max=8).open(rig.inbox)

    times = await bind_times(rig, 6)

    assert [round(later - sooner) for sooner, later in pairwise(times)] == [1, 2, 4, 8, 8]


async def test_refusal_that_only_a_person_can_mend_is_not_hammered(rig: Rig) -> None:
    rig.centre.bind_status = Status.RINVPASWD
    await rig.connector().open(rig.inbox)

    times = await bind_times(rig, 3)

    assert times[1] - times[0] >= 300
    assert times[2] - times[1] >= 300
    assert rig.inbox.links[-1] == (False, 0, "bind refused: wrong password (0x0e)")
    assert len(rig.inbox.links) == 1


async def test_wait_after_such_a_refusal_can_be_configured(rig: Rig) -> None:
    rig.centre.bind_status = Status.RINVSYSID
    await rig.connector(refused_wait=20, random=lambda: 0.0).open(rig.inbox)

    times = await bind_times(rig, 2)

    assert 19.9 <= times[1] - times[0] < 21


async def test_failed_bind_waits_a_minute(rig: Rig) -> None:
    rig.centre.bind_status = Status.RBINDFAIL
    await rig.connector(random=lambda: 0.0).open(rig.inbox)

    times = await bind_times(rig, 2)

    assert 59.9 <= times[1] - times[0] < 61


async def test_link_that_was_good_for_a_minute_starts_the_waits_anew(rig: Rig) -> None:
    await rig.opened()
    for _ in range(3):
        rig.centre.link.cut()
        await bind_times(rig, 1)
    await asyncio.sleep(61)

    rig.centre.link.cut()

    assert (await bind_times(rig, 1))[0] == pytest.approx(1.0, abs=0.1)


async def test_what_smpp_cannot_carry_is_refused_and_the_rest_of_the_batch_leaves(rig: Rig) -> None:
    rig.centre.answers_submits = True
    connector = await rig.opened(default_alphabet="latin1")

    await connector.submit(
        [
            rig.submission(1, recipient="+" + "1" * 30),
            rig.submission(2),
            rig.submission(3, "€" * 71),
        ]
    )
    await rig.until(lambda: len(rig.inbox.outcome_list) == 3)

    assert [(attempt.message_id, part, outcome) for attempt, part, outcome in rig.inbox.outcome_list] == [
        (1, 1, Rejected(FailureClass.RECIPIENT, "unfit_address", "pair")),
        (3, 1, Recounted(2)),
        (2, 1, CarrierId("1")),
    ]


async def test_long_and_unicode_texts_arrive_in_parts(rig: Rig) -> None:
    connector = await rig.opened()

    await connector.submit([rig.submission(7, "я" * 100), rig.submission(8, "€" * 100)])
    await rig.until(lambda: len(rig.centre.link.submits) == 4)

    bodies = [pdu.body for pdu in rig.centre.link.submits if isinstance(pdu.body, Sm)]
    assert [(sm.data_coding, sm.esm_class, sm.short_message[:6].hex()) for sm in bodies] == [
        (8, 0x40, "050003070201"),
        (8, 0x40, "050003070202"),
        (0, 0x40, "050003080201"),
        (0, 0x40, "050003080202"),
    ]


async def test_password_longer_than_smpp_knows_is_sent_whole_with_a_warning(rig: Rig) -> None:
    with capture_logs() as logs:
        await rig.opened(password="a-longer-password")

    assert "smpp.long_password" in [entry["event"] for entry in logs]
    assert b"a-longer-password" in repr(rig.centre.link.received[0]).encode()
    assert "a-longer-password" not in repr(logs)


async def test_receipts_without_an_id_are_counted(rig: Rig) -> None:
    connector = await rig.opened()

    nameless = Sm(esm_class=0x04, short_message=b"stat:DELIVRD err:000")
    rig.centre.link.send(Pdu(Command.DELIVER_SM, 0, 1, nameless))
    await rig.until(lambda: bool(rig.inbox.stored))

    assert connector.receipts_without_id == 1
    assert rig.inbox.stored[0].carrier_id == ""


async def test_submit_before_open_is_a_mistake(rig: Rig) -> None:
    with pytest.raises(RuntimeError, match="before open"):
        await rig.connector().submit([rig.submission(1)])


async def test_close_twice_and_close_without_open_are_quiet(rig: Rig) -> None:
    opened, never = await rig.opened(), rig.connector()

    await opened.close()
    await opened.close()
    await never.close()

    assert len(rig.centre.link.of(Command.UNBIND)) == 1
    assert [link.detail for link in rig.inbox.links[1:]] == ["closing"]
