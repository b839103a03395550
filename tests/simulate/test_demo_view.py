"""The demo can be read on a terminal and in a log."""

from __future__ import annotations

import io

from rich.console import Console

from sendpool.simulate.demo_figures import SenderAccount, Watch, account_for
from sendpool.simulate.demo_server import DemoSender
from sendpool.simulate.demo_view import SenderLine, View, account_table, channels_table, senders_table

SENDERS = (
    SenderLine("sender-a", DemoSender("SMS", "+12025550101", 16, "carrier-a")),
    SenderLine("sender-b", DemoSender("SMS", "+14045550101", 16, "carrier-b")),
)


def messages(count: int) -> list[dict[str, object]]:
    return [{"id": str(n), "status": "DELIVERED", "from": {"senderId": "sender-a"}} for n in range(count)]


def test_a_log_gets_a_line_every_two_seconds() -> None:
    out, watch = io.StringIO(), Watch(total=100)
    with View(Console(file=out, width=80), SENDERS) as view:
        for tenth in range(0, 50, 5):
            view.show(tenth / 10, watch.look(tenth / 10, messages(tenth)), watch)
            if tenth == 30:
                view.carrier("carrier-b", "down")
                view.say(3.0, "carrier-b goes down")

    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("  0.0 s  0/100 delivered")
    assert "20/100 delivered, 0 failed, 0 ambiguous, 0 failed over, 10/s" in lines[1]
    assert "carrier-a 10/16; carrier-b 0/16" in lines[1]
    assert lines[2].endswith("carrier-b goes down")
    assert "carrier-b (down) 0/16" in lines[3]


def test_a_terminal_gets_a_table_that_names_every_sender_with_rate_and_limit() -> None:
    out, watch = io.StringIO(), Watch(total=100)
    console = Console(file=out, width=140, force_terminal=True, color_system=None, legacy_windows=False)
    with View(console, SENDERS) as view:
        view.show(1.0, watch.look(1.0, messages(8)), watch)
        view.carrier("carrier-b", "down")
        view.show(2.0, watch.look(2.0, messages(16)), watch)

    text = out.getvalue()
    assert "+12025550101" in text
    assert "8.0 of 16" in text
    assert "carrier-b SMS down" in text
    assert "16 of 100 settled" in text


def test_the_tables_name_who_delivered_what() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80)
    tried = [
        {"from": {"senderId": "sender-a"}, "channel": "SMS", "status": "FAILED", "error": {"code": 21606}},
        {"from": {"senderId": "sender-b"}, "channel": "SMS", "status": "DELIVERED"},
    ]
    account = account_for([{"id": "1", "status": "DELIVERED", "attempts": tried}])

    console.print(senders_table(SENDERS))
    console.print(account_table(SENDERS, account, {"+14045550101": 1}, seconds=2.0))

    assert account.senders["sender-b"] == SenderAccount(1, 1, 0, 0, 1)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    first, second = lines[-2:]
    assert first.split() == ["+12025550101", "carrier-a", "SMS", "1", "0", "1", "0", "-", "0.0", "of", "16"]
    assert second.split() == ["+14045550101", "carrier-b", "SMS", "1", "1", "0", "1", "1", "0.5", "of", "16"]


def test_the_table_of_channels_sums_up_what_passed_between_them() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80)
    taken_back = {"from": {"senderId": "agent"}, "channel": "RCS", "status": "UNDELIVERED", "error": {"code": 30036}}
    followed = {"from": {"senderId": "sender-a"}, "channel": "SMS", "status": "DELIVERED"}
    account = account_for([{"id": "1", "status": "DELIVERED", "attempts": [taken_back, followed]}])

    console.print(channels_table(account, taken_back=1, doubles=0))

    rows = [line.split() for line in out.getvalue().splitlines()[2:]]
    assert rows == [
        ["RCS", "1", "0", "0", "1", "1"],
        ["SMS", "1", "1", "0", "0", "-"],
        ["all", "2", "1", "0", "1", "1", "0"],
    ]
