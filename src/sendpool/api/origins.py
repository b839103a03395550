"""The `from` of a send: an address, a sender, a pool, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sendpool.api.checks import check_fields, check_text, entries, wrong_kind
from sendpool.api.problems import Findings
from sendpool.api.references import in_body
from sendpool.domain import ids
from sendpool.domain.request import AccountOrigin, AddressOrigin, Origin, PoolOrigin, SenderOrigin
from sendpool.domain.sender import Channel

#: Channels of the contract that no sender of ours can have.
_ELSEWHERE = "PUSH"
#: Characters: the longest of an email address.
LONGEST_ADDRESS = 320
_ARMS = ("address", "senderId", "senderPoolId")
#: What may stand beside each arm. `channelFilter` and `priority` are an older client's spelling of `channels`.
_BESIDE = {
    "address": ("address", "channel"),
    "senderId": ("senderId",),
    "senderPoolId": ("senderPoolId", "channels", "channelFilter", "priority"),
}


def check_origin(value: object, findings: Findings) -> Origin:
    """Who is to send. What is wrong is noted; the result is then of no use."""
    if not isinstance(value, dict):
        wrong_kind("from", "an object", value, "$.from", findings)
        return AccountOrigin()
    arms = [arm for arm in _ARMS if arm in value]
    if len(arms) != 1:
        findings.add("from must have exactly one of address (with channel), senderId and senderPoolId", "$.from")
        return AccountOrigin()
    check_fields(value, _BESIDE[arms[0]], findings, "$.from")
    if arms[0] == "address":
        return _address(value, findings)
    if arms[0] == "senderId":
        uid = in_body(ids.SENDER, value["senderId"], "sender", "$.from.senderId", findings)
        return SenderOrigin(uid or b"")
    return _pool(value, findings)


def _address(value: Mapping[str, Any], findings: Findings) -> Origin:
    address = check_text(value["address"], "address", "$.from.address", findings, longest=LONGEST_ADDRESS)
    channel = check_channel(value.get("channel"), "$.from.channel", findings)
    if channel == _ELSEWHERE:
        findings.add("messages cannot be sent over PUSH", "$.from.channel")
    if address is None or channel is None or channel == _ELSEWHERE:
        return AccountOrigin()
    return AddressOrigin(address, Channel(channel))


def check_channel(value: object, context: str, findings: Findings) -> str | None:
    """A sender's channel in upper case; PUSH, which no sender of ours has, among them."""
    name = value.upper() if isinstance(value, str) else ""
    if name == _ELSEWHERE or name in Channel.__members__:
        return name
    findings.add(f"channel must be one of {', '.join(Channel)}", context)
    return None


def _pool(value: Mapping[str, Any], findings: Findings) -> PoolOrigin:
    uid = in_body(ids.POOL, value["senderPoolId"], "sender pool", "$.from.senderPoolId", findings)
    if "channels" not in value:
        return PoolOrigin(uid or b"", _older(value, findings))
    if "channelFilter" in value:
        findings.add("channelFilter is the older spelling of channels.filterIn; give one of them", "$.from.channels")
    return PoolOrigin(uid or b"", *check_channels(value["channels"], "$.from.channels", findings))


def check_channels(
    value: object, context: str, findings: Findings
) -> tuple[frozenset[Channel] | None, tuple[tuple[Channel, int], ...]]:
    """`channels`: which to use (None: any), and their order; what is left out of it comes after."""
    if not isinstance(value, dict):
        wrong_kind("channels", "an object", value, context, findings)
        return None, ()
    check_fields(value, ("filterIn", "priority"), findings, context)
    filter_in = _filter(value["filterIn"], f"{context}.filterIn", findings) if "filterIn" in value else None
    priority = _priority(value["priority"], f"{context}.priority", findings) if "priority" in value else ()
    return filter_in, priority


def _older(value: Mapping[str, Any], findings: Findings) -> frozenset[Channel] | None:
    """The filter as an older client writes it. Its `priority` (0 to 100) orders nothing and is only checked."""
    priority = value.get("priority", 0)
    if isinstance(priority, bool) or not isinstance(priority, int | float) or not 0 <= priority <= 100:
        findings.add("priority must be a number from 0 to 100", "$.from.priority")
    if "channelFilter" not in value:
        return None
    return _filter(value["channelFilter"], "$.from.channels", findings)


def _filter(value: object, context: str, findings: Findings) -> frozenset[Channel] | None:
    """Channels to use; an empty list is what a client without a wish writes, so it filters nothing."""
    names: list[str] = []
    for _, place, entry in entries(value, "the channel filter", context, findings, least=0, most=5):
        name = check_channel(entry, place, findings)
        if name in names:
            findings.add("each channel may stand in the filter once", place)
        elif name is not None:
            names.append(name)
    return frozenset(Channel(name) for name in names if name != _ELSEWHERE) if names else None


def _priority(value: object, context: str, findings: Findings) -> tuple[tuple[Channel, int], ...]:
    order: dict[str, int] = {}
    for _, place, entry in entries(value, "priority", context, findings, least=0, most=5):
        if not isinstance(entry, dict):
            wrong_kind("an entry of priority", "an object", entry, place, findings)
            continue
        check_fields(entry, ("channel", "priority"), findings, place)
        name = check_channel(entry.get("channel"), f"{place}.channel", findings)
        rank = entry.get("priority")
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 0:
            findings.add("priority must be a whole number from 0", f"{place}.priority")
        elif name in order:
            findings.add("each channel may have one priority", f"{place}.channel")
        elif name is not None:
            order[name] = rank
    return tuple((Channel(name), rank) for name, rank in order.items() if name != _ELSEWHERE)
