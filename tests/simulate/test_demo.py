"""The demo, smaller than `make demo` runs it: the real server, simulated carriers, the public API."""

from __future__ import annotations

import pytest

from sendpool.simulate import demo


def test_a_small_demo_accounts_for_every_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipients = demo.read_recipients()[:240]
    monkeypatch.setattr(demo, "read_recipients", lambda: recipients)
    monkeypatch.setattr(demo, "REQUEST_SIZE", 100)
    monkeypatch.setattr(demo, "OUTAGE_SECONDS", 1.0)

    status = demo.run()

    said = capsys.readouterr().out
    assert status == 0, said
    assert "240 messages accepted in 3 requests" in said
    assert "carrier-b goes down" in said
    assert "Who delivered what" in said
    assert "0 unaccounted for" in said


def test_the_recipients_are_named_as_requests_name_them() -> None:
    recipients = demo.read_recipients()

    assert len(recipients) == 2000
    assert recipients[0] == {"address": "+393200000029", "channel": "PHONE"}


def test_a_server_that_fails_makes_the_demo_fail_with_its_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "SENDERS", (*demo.SENDERS, demo.SENDERS[0]))

    assert demo.run() == 1

    said = capsys.readouterr().out
    assert "The demo failed: the server ended with exit code 2" in said
    assert "The end of the server's log:" in said
    assert demo.SENDERS[0].address in said
