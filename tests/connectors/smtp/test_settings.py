"""Settings that cannot work are refused before anything is connected, with the key and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.connectors.smtp.conftest import BOUNCES, SECRET, settings

from sendpool.connectors.base import SenderSettings
from sendpool.connectors.smtp.connector import SmtpConnector
from sendpool.connectors.smtp.settings import Notify, Tls, read_settings
from sendpool.domain.sender import Channel


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"host": None}, "host"),
        ({"colour": "red"}, "colour"),
        ({"tls": "maybe"}, "tls"),
        ({"username": "u"}, "username"),
        ({"password": "p"}, "username"),
        ({"username": "u", "password": "p", "token": "t"}, "token"),
        ({"helo_name": "a b"}, "helo_name"),
        ({"ca_file": "/nowhere.pem"}, "ca_file"),
        ({"bounce_domain": "b_c"}, "bounce_domain"),
        ({"bounce_domain": BOUNCES}, "secret"),
        ({"bounce_domain": BOUNCES, "secret": "short"}, "secret"),
        ({"public_url": "https://a.example"}, "secret"),
        ({"public_url": "a.example", "secret": SECRET}, "public_url"),
        ({"bounce_port": 2525}, "bounce_port"),
        ({"bounce_token": "t"}, "bounce_token"),
        ({"dkim_selector": "s1"}, "dkim_selector"),
        ({"dkim_selector": "s1", "dkim_key_file": "/nowhere.pem"}, "dkim_key_file"),
        ({"headers": {"X-A": "a\r\nb"}}, "headers"),
        ({"headers": {"X A": "a"}}, "headers"),
        ({"headers": {"From": "a"}}, "headers"),
        ({"reconnect_min": 5.0, "reconnect_max": 1.0}, "reconnect_max"),
        ({"window": 0}, "window"),
    ],
)
def test_a_refusal_names_the_key(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=f"key '{key}'"):
        SmtpConnector.check(settings(25, **options))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channel": Channel.SMS, "address": "+12034458910"}, "key 'channel'"),
        ({"address": "shop"}, "key 'address'"),
        ({"options": {"reply_to": "help"}}, "key 'reply_to'"),
        ({"options": {"colour": "red"}}, "key 'colour'"),
        ({"options": {"headers": {"Subject": "a"}}}, "key 'headers'"),
    ],
)
def test_a_refusal_names_the_sender(changes: dict[str, Any], words: str) -> None:
    given = {"channel": Channel.EMAIL, "address": "shop@example.com", **changes}
    made = msgspec.structs.replace(settings(25), senders=(SenderSettings(**given),))

    with pytest.raises(ValueError, match=f"sender {given['address'].replace('+', '.')}: {words}"):
        SmtpConnector.check(made)


@pytest.mark.parametrize(
    ("given", "encryption", "port"),
    [
        ({}, Tls.IMPLICIT, 465),
        ({"port": 465}, Tls.IMPLICIT, 465),
        ({"port": 587}, Tls.STARTTLS, 587),
        ({"port": 2525}, Tls.STARTTLS, 2525),
        ({"tls": "starttls_required"}, Tls.STARTTLS, 587),
        ({"tls": "none"}, Tls.NONE, 25),
    ],
)
def test_encryption_and_port_follow_from_each_other(given: dict[str, Any], encryption: Tls, port: int) -> None:
    made = settings(25)
    options = read_settings(msgspec.structs.replace(made, options={"host": "relay.example", **given}))

    assert (options.encryption, options.reached_at) == (encryption, port)


def test_notifications_are_asked_for_where_they_can_come_in() -> None:
    assert read_settings(settings(25)).notified_of == ()
    assert read_settings(settings(25, bounce_domain=BOUNCES, secret=SECRET)).notified_of == tuple(Notify)
    chosen = read_settings(settings(25, bounce_domain=BOUNCES, secret=SECRET, notify=["FAILURE"]))
    assert chosen.notified_of == (Notify.FAILURE,)


def test_settings_show_no_secret() -> None:
    shown = repr(read_settings(settings(25, username="u", password="p4ssw0rd", secret=SECRET)))

    assert "p4ssw0rd" not in shown
    assert SECRET not in shown


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("no key", encoding="utf-8")

    with pytest.raises(ValueError, match="holds no private key"):
        SmtpConnector.check(settings(25, dkim_selector="s", dkim_key_file=str(path)))
