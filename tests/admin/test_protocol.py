from __future__ import annotations

import os
import socket

import pytest

from sendpool.admin.protocol import Answer, Ask, line, may_command, peer_user, read_answer, read_ask, trusted


@pytest.mark.parametrize(
    ("peer", "own", "allowed"),
    [(1000, 1000, True), (0, 1000, True), (0, 0, True), (1001, 1000, False), (1000, 0, False)],
)
def test_the_same_user_may_command_and_so_may_root(peer: int, own: int, allowed: bool) -> None:
    assert may_command(peer, own) is allowed


def test_the_system_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_user(ours) == os.geteuid()
        assert trusted(ours)


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    ask, answer = Ask("a.b", {"name": "two\nlines"}), Answer(result=["\r\n"])

    assert line(ask).count(b"\n") == line(answer).count(b"\n") == 1
    assert read_ask(line(ask)) == ask
    assert read_answer(line(answer)) == answer
