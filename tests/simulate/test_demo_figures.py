"""The demo's figures: rates from one look to the next, and an account that lets no message slip."""

from __future__ import annotations

from typing import Any

import pytest

from sendpool.simulate.demo_figures import SenderAccount, SenderProgress, Watch, account_for


def listed(number: int, status: str, sender: str | None = "A", **more: Any) -> dict[str, Any]:
    source = {"senderId": sender, "address": "+1", "channel": "SMS"} if sender else {"senderPoolId": "pool"}
    return {"id": f"message{number}", "status": status, "from": source, **more}


def fetched(status: str, *attempts: tuple[str, str, int | None], **more: Any) -> dict[str, Any]:
    """A fetched message; an attempt is (sender, status, error code). The sender "R" is an RCS agent."""
    tried = [
        {
            "from": {"senderId": sender},
            "channel": "RCS" if sender == "R" else "SMS",
            "status": state,
            **({"error": {"code": code}} if code else {}),
        }
        for sender, state, code in attempts
    ]
    return {"id": "message", "status": status, "attempts": tried, **more}


def test_every_message_is_in_one_state_and_what_is_not_listed_yet_waits() -> None:
    watch = Watch(total=7)

    progress = watch.look(
        1.0,
        [
            listed(1, "QUEUED", None),
            listed(2, "SENT"),
            listed(3, "SENT", ambiguous=True),
            listed(4, "DELIVERED"),
            listed(5, "READ"),
            listed(6, "FAILED", None),
        ],
    )

    assert (progress.waiting, progress.on_the_way, progress.ambiguous) == (2, 1, 1)
    assert (progress.delivered, progress.failed, progress.settled) == (2, 1, 4)


def test_rates_are_taken_over_the_last_seconds_alone() -> None:
    watch = Watch(total=100)
    messages = [listed(n, "SENT", "A" if n % 4 else "B") for n in range(48)]
    progress = watch.look(0.0, [])
    for second in range(1, 6):
        progress = watch.look(float(second), messages[: second * 8])

    assert progress.rate == pytest.approx(8.0)
    assert watch.sender("A").rate == pytest.approx(6.0)
    assert watch.sender("B").rate == pytest.approx(2.0)
    for second in range(6, 10):
        progress = watch.look(float(second), messages[:40])
    assert progress.rate == 0.0


def test_a_message_that_changes_its_sender_has_failed_over() -> None:
    watch = Watch(total=2)
    watch.look(1.0, [listed(1, "QUEUED", "A"), listed(2, "SENT", "A")])
    progress = watch.look(2.0, [listed(1, "DELIVERED", "B"), listed(2, "DELIVERED", "A")])

    assert progress.failed_over == 1
    assert watch.sender("A")._replace(rate=0.0) == SenderProgress(0.0, delivered=1, failed_over=1)
    assert watch.sender("B")._replace(rate=0.0) == SenderProgress(0.0, delivered=1, failed_over=0)


def test_the_first_look_has_a_rate_and_an_unknown_sender_has_none() -> None:
    watch = Watch(total=1)

    assert watch.look(0.0, []).rate == 0.0
    assert watch.sender("nobody") == SenderProgress(0.0, 0, 0)


def test_messages_are_delivered_failed_with_a_reason_or_stated_ambiguous() -> None:
    account = account_for(
        [
            fetched("DELIVERED", ("A", "DELIVERED", None)),
            fetched("READ", ("A", "READ", None)),
            fetched("UNDELIVERED", ("A", "UNDELIVERED", 30005)),
            fetched("FAILED", ("A", "FAILED", 21606), ("B", "FAILED", 21614)),
            fetched("SENT", ("A", "SENT", 30410), ambiguous=True),
        ]
    )

    assert (account.delivered, account.ambiguous) == (2, 1)
    assert account.failed == {30005: 1, 21614: 1}
    assert account.unaccounted == []


@pytest.mark.parametrize(
    "message",
    [
        fetched("QUEUED"),
        fetched("SENT", ("A", "SENT", None)),
        fetched("SENT", ("A", "SENT", None), ambiguous=False),
        fetched("FAILED"),
        fetched("UNDELIVERED", ("A", "UNDELIVERED", None)),
    ],
)
def test_what_is_still_open_or_failed_without_a_reason_is_unaccounted(message: dict[str, Any]) -> None:
    account = account_for([message])

    assert account.unaccounted == [f"{message['status']} message"]


def test_failovers_are_counted_where_they_left_and_where_they_arrived() -> None:
    account = account_for(
        [
            fetched("DELIVERED", ("A", "FAILED", 1), ("A", "FAILED", 1), ("B", "DELIVERED", None)),
            fetched("DELIVERED", ("A", "FAILED", 1), ("B", "FAILED", 1), ("A", "DELIVERED", None)),
        ]
    )

    assert account.failovers == 3
    assert account.senders["A"] == SenderAccount(attempts=4, delivered=1, failed_over=2, fell_back=0, taken_over=1)
    assert account.senders["B"] == SenderAccount(attempts=2, delivered=1, failed_over=1, fell_back=0, taken_over=2)
    assert account.fallbacks == 0


def test_another_channel_is_a_fallback_and_what_two_attempts_delivered_is_a_double() -> None:
    account = account_for(
        [
            fetched("DELIVERED", ("R", "UNDELIVERED", 30036), ("A", "DELIVERED", None)),
            fetched("DELIVERED", ("R", "DELIVERED", None), ("A", "FAILED", 1), ("B", "DELIVERED", None)),
            fetched("DELIVERED", ("R", "DELIVERED", None)),
        ]
    )

    assert (account.failovers, account.fallbacks, account.doubles) == (1, 2, 1)
    assert account.channels == {
        "RCS": SenderAccount(attempts=3, delivered=2, failed_over=0, fell_back=2, taken_over=0),
        "SMS": SenderAccount(attempts=3, delivered=2, failed_over=1, fell_back=0, taken_over=3),
    }
