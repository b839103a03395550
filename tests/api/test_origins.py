from __future__ import annotations

from typing import Any

import pytest

from sendpool.api.origins import check_origin
from sendpool.api.problems import Findings
from sendpool.domain import ids
from sendpool.domain.request import AddressOrigin, Origin, PoolOrigin, Refused, SenderOrigin
from sendpool.domain.sender import Channel

UID = bytes(range(16))
POOL = ids.encode(ids.POOL, UID)
SENDER = ids.encode(ids.SENDER, UID)
SMS, RCS, WHATSAPP = Channel.SMS, Channel.RCS, Channel.WHATSAPP


def checked(value: Any) -> tuple[Origin, list[tuple[int, str | None]]]:
    findings = Findings()
    origin = check_origin(value, findings)
    try:
        findings.refuse()
    except Refused as refused:
        return origin, [(problem.code, problem.context) for problem in refused.problems]
    return origin, []


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ({"address": "+12034458910", "channel": "SMS"}, AddressOrigin("+12034458910", SMS)),
        ({"address": "INFO", "channel": "sms"}, AddressOrigin("INFO", SMS)),
        ({"address": "agent", "channel": "Rcs"}, AddressOrigin("agent", RCS)),
        ({"address": "a@b.example", "channel": "EMAIL"}, AddressOrigin("a@b.example", Channel.EMAIL)),
        ({"senderId": SENDER}, SenderOrigin(UID)),
        ({"senderPoolId": POOL}, PoolOrigin(UID)),
        ({"senderPoolId": POOL, "channels": {}}, PoolOrigin(UID)),
        ({"senderPoolId": POOL, "channels": {"filterIn": []}}, PoolOrigin(UID)),
        ({"senderPoolId": POOL, "channels": {"filterIn": ["SMS", "rcs"]}}, PoolOrigin(UID, frozenset({SMS, RCS}))),
        ({"senderPoolId": POOL, "channels": {"filterIn": ["PUSH"]}}, PoolOrigin(UID, frozenset())),
        (
            {"senderPoolId": POOL, "channels": {"priority": [{"channel": "WHATSAPP", "priority": 7}]}},
            PoolOrigin(UID, None, ((WHATSAPP, 7),)),
        ),
        (
            {
                "senderPoolId": POOL,
                "channels": {
                    "filterIn": ["RCS", "SMS"],
                    "priority": [{"channel": "rcs", "priority": 0}, {"channel": "SMS", "priority": 1}],
                },
            },
            PoolOrigin(UID, frozenset({SMS, RCS}), ((RCS, 0), (SMS, 1))),
        ),
        ({"senderPoolId": POOL, "channelFilter": ["SMS"], "priority": 50}, PoolOrigin(UID, frozenset({SMS}))),
        ({"senderPoolId": POOL, "priority": 0}, PoolOrigin(UID)),
    ],
)
def test_each_arm_is_read(value: Any, origin: Origin) -> None:
    assert checked(value) == (origin, [])


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        (None, [(60701, "$.from")]),
        ("+12034458910", [(60701, "$.from")]),
        ([], [(60701, "$.from")]),
        ({}, [(60701, "$.from")]),
        ({"channel": "SMS"}, [(60701, "$.from")]),
        ({"senderId": SENDER, "senderPoolId": POOL}, [(60701, "$.from")]),
        ({"address": "+1", "channel": "SMS", "senderId": SENDER}, [(60701, "$.from")]),
        ({"address": "+12034458910"}, [(60701, "$.from.channel")]),
        ({"address": "", "channel": "SMS"}, [(60701, "$.from.address")]),
        ({"address": None, "channel": "x"}, [(60701, "$.from.address"), (60701, "$.from.channel")]),
        ({"address": "a\0b", "channel": "SMS"}, [(60701, "$.from.address")]),
        ({"address": "a" * 321, "channel": "SMS"}, [(60701, "$.from.address")]),
        ({"address": "x", "channel": "PUSH"}, [(60701, "$.from.channel")]),
        ({"address": "x", "channel": 1}, [(60701, "$.from.channel")]),
        ({"senderId": "comms_sender_123"}, [(60701, "$.from.senderId")]),
        ({"senderId": POOL}, [(60701, "$.from.senderId")]),
        ({"senderId": SENDER.upper()}, [(60701, "$.from.senderId")]),
        ({"senderId": SENDER + "\n"}, [(60701, "$.from.senderId")]),
        ({"senderId": None}, [(60701, "$.from.senderId")]),
        ({"senderId": {}}, [(60701, "$.from.senderId")]),
        ({"senderId": SENDER + "0"}, [(20404, "$.from.senderId")]),
        ({"senderId": SENDER, "channel": "SMS"}, [(60701, "$.from")]),
        ({"senderPoolId": "comms_senderpool_12345"}, [(60701, "$.from.senderPoolId")]),
        ({"senderPoolId": "x" * 1_000_000}, [(60701, "$.from.senderPoolId")]),
        ({"senderPoolId": POOL + "000000000"}, [(20404, "$.from.senderPoolId")]),
        ({"senderPoolId": POOL + "0000000000"}, [(60701, "$.from.senderPoolId")]),
        ({"senderPoolId": POOL, "chanels": {}}, [(60701, "$.from")]),
        ({"senderPoolId": POOL, "channels": []}, [(60701, "$.from.channels")]),
        ({"senderPoolId": POOL, "channels": {"filterOut": []}}, [(60701, "$.from.channels")]),
        ({"senderPoolId": POOL, "channels": {"filterIn": "SMS"}}, [(60701, "$.from.channels.filterIn")]),
        ({"senderPoolId": POOL, "channels": {"filterIn": ["SMS", "sms"]}}, [(60701, "$.from.channels.filterIn[1]")]),
        (
            {"senderPoolId": POOL, "channels": {"filterIn": ["MMS", 1]}},
            [(60701, "$.from.channels.filterIn[0]"), (60701, "$.from.channels.filterIn[1]")],
        ),
        ({"senderPoolId": POOL, "channels": {"priority": {}}}, [(60701, "$.from.channels.priority")]),
        ({"senderPoolId": POOL, "channels": {"priority": ["SMS"]}}, [(60701, "$.from.channels.priority[0]")]),
        (
            {"senderPoolId": POOL, "channels": {"priority": [{}]}},
            [(60701, "$.from.channels.priority[0].channel"), (60701, "$.from.channels.priority[0].priority")],
        ),
        (
            {"senderPoolId": POOL, "channels": {"priority": [{"channel": "SMS", "priority": -1}]}},
            [(60701, "$.from.channels.priority[0].priority")],
        ),
        (
            {"senderPoolId": POOL, "channels": {"priority": [{"channel": "SMS", "priority": True}]}},
            [(60701, "$.from.channels.priority[0].priority")],
        ),
        (
            {"senderPoolId": POOL, "channels": {"priority": [{"channel": "SMS", "priority": i} for i in (0, 1)]}},
            [(60701, "$.from.channels.priority[1].channel")],
        ),
        ({"senderPoolId": POOL, "channels": {}, "channelFilter": ["SMS"]}, [(60701, "$.from.channels")]),
        ({"senderPoolId": POOL, "priority": 101}, [(60701, "$.from.priority")]),
        ({"senderPoolId": POOL, "priority": "high"}, [(60701, "$.from.priority")]),
        ({"senderPoolId": POOL, "channelFilter": "SMS"}, [(60701, "$.from.channels")]),
    ],
)
def test_what_names_no_sender_is_refused(value: Any, problems: list[Any]) -> None:
    assert checked(value)[1] == problems
