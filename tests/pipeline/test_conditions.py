"""Why a sender takes nothing: the weightiest reason is told, and what passes in a moment is no condition."""

from __future__ import annotations

import pytest
from tests.pipeline.carriers import Carrier

from sendpool.domain.closure import REFUSALS_TO_STOP
from sendpool.domain.inflight import FAULTS_TO_STOP, FIRST_STOP
from sendpool.domain.reasons import Reason, Remark, say
from sendpool.domain.sender import Channel, Sender
from sendpool.domain.throughput import Bucket
from sendpool.pipeline.conditions import condition, momentary
from sendpool.pipeline.links import Gate, Link

NOW = 1_000.0
HORIZON = 0.05


def _link(mps: float | None = None) -> Link:
    link = Link(1, "carrier-a", "scripted", Carrier(), Bucket(mps))
    link.up, link.window = True, 10
    return link


def _gate(mps: float = 10.0) -> Gate:
    sender = Sender(id=3, uid=bytes(16), account_id=1, connection_id=1, channel=Channel.SMS, address="+15", mps=mps)
    return Gate(sender, Bucket(mps), {})


def test_a_sender_that_may_send_is_ready() -> None:
    assert condition(_gate(), _link(), NOW) == Remark(Reason.READY)
    assert momentary(_gate(), _link(), NOW, HORIZON) == Remark(Reason.READY)


def test_a_sender_without_a_connection_says_so() -> None:
    assert condition(None, _link(), NOW).reason is Reason.UNCONFIGURED
    assert condition(_gate(), None, NOW).reason is Reason.UNCONFIGURED


def test_a_link_that_drains_and_is_down_counts_as_draining() -> None:
    link = _link()
    link.up = False
    assert condition(_gate(), link, NOW).reason is Reason.LINK_DOWN

    link.draining = True

    assert condition(_gate(), link, NOW).reason is Reason.DRAINING


def test_a_stopped_sender_names_the_end_of_its_stop_and_then_probes() -> None:
    gate = _gate()
    gate.flights.started(FAULTS_TO_STOP)
    gate.flights.faulted(FAULTS_TO_STOP, NOW)

    assert condition(gate, _link(), NOW) == Remark(Reason.STOPPED, NOW + FIRST_STOP)
    assert condition(gate, _link(), NOW + FIRST_STOP).reason is Reason.PROBING


@pytest.mark.parametrize(("of_settings", "reason"), [(False, Reason.ACCOUNT_REFUSED), (True, Reason.MISCONFIGURED)])
def test_a_refused_account_or_setting_is_told_of_every_sender_and_then_probed(
    of_settings: bool, reason: Reason
) -> None:
    link = _link()
    link.closure.refused(REFUSALS_TO_STOP, NOW, of_settings=of_settings)

    assert condition(_gate(), link, NOW) == Remark(reason, link.closure.until)
    assert condition(_gate(), link, link.closure.until).reason is Reason.PROBING


def test_the_later_of_the_pauses_of_sender_and_connection_counts() -> None:
    gate, link = _gate(), _link()
    gate.bucket.pause(NOW, 5.0)
    link.bucket.pause(NOW, 90.0)

    assert condition(gate, link, NOW) == Remark(Reason.PAUSED, NOW + 90.0)
    assert condition(gate, link, NOW + 90.0) == Remark(Reason.READY)


def test_a_full_window_and_used_up_throughput_are_told_apart() -> None:
    gate, link = _gate(mps=2.0), _link()
    gate.bucket.take(1, NOW)
    assert momentary(gate, link, NOW, HORIZON) == Remark(Reason.USED_UP, NOW + 0.5)

    link.in_flight = link.window

    assert momentary(gate, link, NOW, HORIZON).reason is Reason.WINDOW_FULL


def test_throughput_of_a_connection_is_its_own_reason() -> None:
    link = _link(mps=1.0)
    link.bucket.take(1, NOW)

    assert momentary(_gate(), link, NOW, HORIZON) == Remark(Reason.CONNECTION_USED_UP, NOW + 1.0)


def test_whose_connection_another_node_runs_is_not_down_and_not_unconfigured() -> None:
    assert condition(_gate(), None, NOW, "host:7") == Remark(Reason.ELSEWHERE, about="host:7")
    assert condition(_gate(), None, NOW, "") == Remark(Reason.UNLEASED)
    assert condition(_gate(), None, NOW, None) == condition(None, None, NOW, "host:7") == Remark(Reason.UNCONFIGURED)
    assert say(Reason.ELSEWHERE, about="host:7") == "Its connection is run by another process (host:7), which decides."
