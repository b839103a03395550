"""Options are read, and a bad one is named in words that help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sendpool.connectors import smpp
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.smpp.connector import SmppConnector
from sendpool.connectors.smpp.settings import (
    Alphabet,
    IdFormat,
    IdSpelling,
    SmppSettings,
    read_settings,
    status_overrides,
)
from sendpool.domain.failures import FailureClass
from sendpool.domain.sender import Channel

GOOD = {"host": "smsc.example", "system_id": "sendpool"}


def connection(*senders: SenderSettings, window: int | None = None, **options: Any) -> ConnectionSettings:
    return ConnectionSettings(name="a", type="smpp", window=window, senders=senders, options={**GOOD, **options})


def sender(address: str, **options: Any) -> SenderSettings:
    return SenderSettings(channel=Channel.SMS, address=address, options=options)


def test_two_options_are_enough() -> None:
    options = read_settings(connection())

    assert (options.port, options.response_timeout, options.enquire_link) == (2775, 30.0, 30.0)
    assert (options.default_alphabet, options.id_format) == (Alphabet.GSM, IdFormat())


def test_every_kind_of_option_is_read() -> None:
    options = read_settings(
        connection(
            sender("+12034458910"),
            sender("INFO", ton=5, npi=1),
            port=3550,
            default_alphabet="latin1",
            id_format={"resp": "hex", "receipt": "dec"},
            receipt_errors={"034": "TRANSIENT"},
            receipt_states={"SENTOK": "DELIVRD"},
            status_errors={"0x400": "ACCOUNT", "401": "THROTTLED"},
            receipt_error_table="map",
            connect_timeout=5,
        )
    )

    assert options.id_format == IdFormat(resp=IdSpelling.HEX, receipt=IdSpelling.DEC)
    assert set(status_overrides(options).values()) == {FailureClass.ACCOUNT, FailureClass.THROTTLED}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": "2775"}, "key 'port': expected int, got str"),
        ({"port": 0}, "key 'port': expected int >= 1"),
        ({"prot": 2775}, "key 'prot': not a setting here; known are host, system_id, port"),
        ({"default_alphabet": "utf8"}, "key 'default_alphabet': invalid enum value 'utf8'"),
        ({"id_format": {"resp": "hexa"}}, "key 'id_format.resp': invalid enum value 'hexa'"),
        ({"id_format": {"answer": "hex"}}, "key 'id_format.answer': not a setting here; known are resp, receipt, tlv"),
        ({"receipt_errors": {"034": "PASSING"}}, 'key \'receipt_errors\': code "034" has class "PASSING"'),
        ({"receipt_errors": {"034": "OK"}}, "key 'receipt_errors': a failure cannot have class \"OK\""),
        ({"receipt_errors": {"034": 1}}, "key 'receipt_errors"),
        ({"receipt_states": {"X": "GONE"}}, 'key \'receipt_states\': "X" reads "GONE"; it must be one of DELIVRD'),
        ({"status_errors": {"400h": "SENDER"}}, "key 'status_errors': \"400h\" is no hexadecimal code"),
        ({"window": 0}, "key 'window': expected 1 or more"),
        ({"enquire_link": 0}, "key 'enquire_link': expected float > 0"),
        ({"reconnect_min": 5, "reconnect_max": 2}, "key 'reconnect_max'"),
        ({"system_id": "x" * 16}, "key 'system_id': expected str of length <= 15"),
        ({"host": "a..b"}, "key 'host': \"a..b\" is no host name"),
        ({"default_alphabet": "latin1", "packed": True}, "key 'packed': only default_alphabet \"gsm\" has septets"),
        ({"data_coding": {"ucs2": 3}}, "key 'data_coding': default, latin1 and ucs2 must differ"),
        ({"data_coding": {"gsm": 0}}, "key 'data_coding.gsm': not a setting here; known are default, latin1, ucs2"),
        ({"long_messages": "tlv"}, "key 'long_messages': invalid enum value 'tlv'"),
        ({"tlvs": [{"tag": 0}]}, "key 'tlvs[0].tag': expected int >= 1"),
        ({"tlvs": [{"tag": 0x1400, "name": "a"}]}, "key 'tlvs[0].name': not a setting here; known are tag, text"),
        ({"tlvs": [{"tag": 0x1400}]}, "key 'tlvs': tag 0x1400: give it one of text, number, hex and from_tag"),
        ({"tlvs": [{"tag": 0x1400, "text": "a", "hex": "00"}]}, "key 'tlvs': tag 0x1400: give it one of text"),
        (
            {"tlvs": [{"tag": 0x1400, "number": 1, "from_tag": "a"}]},
            "key 'tlvs': tag 0x1400: beside from_tag only text",
        ),
        ({"tlvs": [{"tag": 0x1400, "number": 256}]}, "key 'tlvs': tag 0x1400: number 256 does not fit 1 octets"),
        ({"tlvs": [{"tag": 0x1400, "hex": "0g"}]}, "key 'tlvs': tag 0x1400: \"0g\" is no hexadecimal text"),
        ({"tlvs": [{"tag": 0x1400, "text": "a"}] * 2}, "key 'tlvs': tag 0x1400: it stands there twice"),
        ({"tlvs": [{"tag": 0x0424, "text": "a"}]}, "key 'tlvs': tag 0x0424: Sendpool writes it itself"),
        ({"tlvs": [{"tag": 0x1400, "text": "a" * 1025}]}, "key 'tlvs': tag 0x1400: its value is longer than 1024"),
        ({"host": ""}, "key 'host': expected str of length >= 1"),
    ],
)
def test_bad_option_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        SmppConnector.check(connection(**changes))

    assert str(caught.value).startswith(message)


def test_missing_option_is_named() -> None:
    with pytest.raises(ValueError, match="key 'host': it is missing"):
        SmppConnector.check(ConnectionSettings(name="a", type="smpp"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (sender("INFO", tno=5), "sender INFO: key 'tno': not a setting here; known are ton, npi, tlvs"),
        (sender("INFO", ton=256), "sender INFO: key 'ton': expected int <= 255"),
        (sender("x" * 21), "sender xxxxxxxxxxxxxxxxxxxxx: key 'address': SMPP takes up to 20 ASCII characters"),
        (
            sender("INFO", tlvs=[{"tag": 0x1401}]),
            "sender INFO: key 'tlvs': tag 0x1401: give it one of text, number, hex and from_tag",
        ),
        (sender("Café"), "sender Café: key 'address': SMPP takes up to 20 ASCII characters"),
    ],
)
def test_bad_sender_is_named(bad: SenderSettings, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        SmppConnector.check(connection(bad))

    assert str(caught.value) == message


def test_readme_names_every_option() -> None:
    readme = (Path(smpp.__file__).parent / "README.md").read_text("utf-8")

    missing = [name for name in SmppSettings.__struct_fields__ if f"`{name}`" not in readme]
    assert not missing
