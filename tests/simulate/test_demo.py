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
    # Enough is still to come on RCS when it falls silent, however late a busy machine looks.
    monkeypatch.setattr(demo, "SENDERS", (demo.SENDERS[0]._replace(mps=20), *demo.SENDERS[1:]))
    monkeypatch.setattr(demo, "SILENCE_AT", 0.01)
    monkeypatch.setattr(demo, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(demo, "FALLBACK_AFTER", 5.0)

    status = demo.run()

    said = capsys.readouterr().out
    assert status == 0, said
    assert "240 messages accepted in 3 requests" in said
    assert "RCS falls silent" in said
    assert "carrier-b goes down" in said
    assert "Who delivered what" in said
    _, tried, delivered, _, fallbacks, revokes = _row(said, "RCS")
    assert int(tried) == int(delivered) + int(fallbacks)
    assert int(fallbacks) == int(revokes) > 0
    assert _row(said, "all")[-1] == "0"
    assert "0 unaccounted for" in said


def _row(said: str, channel: str) -> list[str]:
    """The row of a channel in the closing table."""
    table = said[said.index("By channel") :]
    return next(cells for line in table.splitlines() if (cells := line.split()) and cells[0] == channel)


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
