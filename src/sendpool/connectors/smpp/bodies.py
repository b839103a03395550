"""What SMPP PDUs carry: commands, tags, addresses and bodies as values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from sendpool.connectors.smpp.status import Status


class Command(IntEnum):
    """command_id (SMPP 3.4 §5.1.2.1). A response is its request's id with bit 31 set."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER = 0x00000002
    BIND_TRANSMITTER_RESP = 0x80000002
    QUERY_SM = 0x00000003
    QUERY_SM_RESP = 0x80000003
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    REPLACE_SM = 0x00000007
    REPLACE_SM_RESP = 0x80000007
    CANCEL_SM = 0x00000008
    CANCEL_SM_RESP = 0x80000008
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015
    SUBMIT_MULTI = 0x00000021
    SUBMIT_MULTI_RESP = 0x80000021
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    DATA_SM_RESP = 0x80000103


class Tag(IntEnum):
    """TLV tags that we read or write (SMPP 3.4 §5.3.2)."""

    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428


RESPONSE = 0x80000000
#: The bit of esm_class that says: a user data header precedes the text (SMPP 3.4 §5.2.12).
UDHI = 0x40

Tlvs = Mapping[int, bytes]
NO_TLVS: Tlvs = MappingProxyType({})


class PduError(ValueError):
    """A PDU that cannot be read. `status` is what to answer; `command` and `sequence` say to what."""

    def __init__(self, status: Status, reason: str, *, command: int = 0, sequence: int = 0) -> None:
        super().__init__(reason)
        self.status = status
        self.command = command
        self.sequence = sequence


class Address(NamedTuple):
    """An address with its type of number and numbering plan (SMPP 3.4 §5.2.5-5.2.9)."""

    ton: int = 0
    npi: int = 0
    value: str = ""


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """Body of bind_receiver, bind_transmitter and bind_transceiver (SMPP 3.4 §4.1)."""

    system_id: str
    password: str = ""
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


class BindResp(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the three bind responses; often absent when the bind is refused."""

    system_id: str = ""
    tlvs: Tlvs = NO_TLVS


class Sm(msgspec.Struct, frozen=True):
    """Body of submit_sm, deliver_sm and data_sm (SMPP 3.4 §4.4, §4.6, §4.7): the message itself.

    data_sm has neither times nor short_message; its text is the TLV message_payload.
    """

    service_type: str = ""
    source: Address = Address()
    destination: Address = Address()
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule: str = ""
    validity: str = ""
    registered_delivery: int = 0
    replace_if_present: int = 0
    data_coding: int = 0
    default_message: int = 0
    short_message: bytes = b""
    tlvs: Tlvs = NO_TLVS

    @property
    def text(self) -> bytes:
        """The octets of the text with its user data header, wherever they came: short_message or message_payload."""
        return self.short_message or self.tlvs.get(Tag.MESSAGE_PAYLOAD, b"")


class MessageId(msgspec.Struct, frozen=True):
    """Body of submit_sm_resp, deliver_sm_resp, data_sm_resp and submit_multi_resp's first field."""

    message_id: str = ""
    tlvs: Tlvs = NO_TLVS


class QuerySm(msgspec.Struct, frozen=True):
    """Body of query_sm (SMPP 3.4 §4.8)."""

    message_id: str = ""
    source: Address = Address()


class QuerySmResp(msgspec.Struct, frozen=True):
    """Body of query_sm_resp."""

    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0


class CancelSm(msgspec.Struct, frozen=True):
    """Body of cancel_sm (SMPP 3.4 §4.9)."""

    service_type: str = ""
    message_id: str = ""
    source: Address = Address()
    destination: Address = Address()


class Raw(msgspec.Struct, frozen=True):
    """The body of a PDU whose fields we have no use for, as it came."""

    octets: bytes = b""


Body = Bind | BindResp | Sm | MessageId | QuerySm | QuerySmResp | CancelSm | Raw
