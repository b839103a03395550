"""Read and write SMPP PDUs, as a client and as a message centre.

It knows octets only: no socket, no alphabet, no idea what a receipt means. Texts of fields are Latin-1, so
that no octet of a careless peer makes it fail.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from sendpool.connectors.smpp.bodies import (
    NO_TLVS,
    RESPONSE,
    UDHI,
    Address,
    Bind,
    BindResp,
    Body,
    CancelSm,
    Command,
    MessageId,
    PduError,
    QuerySm,
    QuerySmResp,
    Raw,
    Sm,
    Tag,
    Tlvs,
)
from sendpool.connectors.smpp.status import Status

__all__ = [
    "HEADER",
    "HEADER_LENGTH",
    "LAST_SEQUENCE",
    "MAX_LENGTH",
    "NO_TLVS",
    "RESPONSE",
    "UDHI",
    "Address",
    "Bind",
    "BindResp",
    "Body",
    "CancelSm",
    "Command",
    "Framer",
    "MessageId",
    "Pdu",
    "PduError",
    "QuerySm",
    "QuerySmResp",
    "Raw",
    "Sm",
    "Status",
    "Tag",
    "Tlvs",
    "encode",
    "encode_body",
    "encode_tlvs",
    "header",
    "parse",
    "read_header",
    "read_tlvs",
    "relative_time",
]

#: sequence_number runs from 1 to this, then starts again (SMPP 3.4 §5.1.4).
LAST_SEQUENCE = 0x7FFFFFFF
#: The longest PDU we take: a message_payload of 64 KiB and room for the fields around it.
MAX_LENGTH = 65536 + 1024
HEADER = Struct(">IIII")
HEADER_LENGTH = 16

_LENGTH = Struct(">I")
_TLV = Struct(">HH")


class Pdu(NamedTuple):
    """One PDU. `body` is None where there is only a header: enquire_link and the like, and refused requests."""

    command: int
    status: int = 0
    sequence: int = 0
    body: Body | None = None


class Framer:
    """Cuts a stream of octets into PDUs, by their length field alone."""

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        self._max_length = max_length
        self._rest = b""
        #: A length was impossible: answer generic_nack RINVCMDLEN and close, nothing after it can be trusted.
        self.broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the whole PDUs that *data* completes; keep the beginning of the next. Sets `broken`, never raises."""
        if self.broken:
            return []
        if self._rest:
            data = self._rest + data
        frames: list[bytes] = []
        at, end = 0, len(data)
        while end - at >= 4:
            (length,) = _LENGTH.unpack_from(data, at)
            if not HEADER_LENGTH <= length <= self._max_length:
                self.broken = True
                break
            if at + length > end:
                break
            frames.append(data[at : at + length])
            at += length
        self._rest = data[at:]
        return frames


def parse(frame: bytes) -> Pdu:
    """Read one whole PDU (as `Framer` cuts them).

    Raises `PduError`: RINVCMDID for an unknown command_id, RINVTLVSTREAM for a TLV that runs over the end,
    RINVMSGLEN for an sm_length that does, RINVCMDLEN for any other body that is too short.
    Unknown TLVs are kept. A response may lack its body: many centres leave it out when the status is not 0.
    """
    length, command, status, sequence = read_header(frame)
    reader = _READERS.get(command)
    try:
        if command not in _KNOWN:
            raise PduError(Status.RINVCMDID, f"command_id 0x{command:08x} is unknown")
        if length != len(frame):
            raise PduError(Status.RINVCMDLEN, f"command_length {length} differs from the {len(frame)} octets given")
        body = reader(frame) if reader and length > HEADER_LENGTH else None
        if body is None and reader and not command & RESPONSE:
            raise PduError(Status.RINVCMDLEN, "the body is missing")
    except PduError as error:
        error.command, error.sequence = command, sequence
        raise
    except (ValueError, IndexError) as error:
        reason = "the body ends within a field"
        raise PduError(Status.RINVCMDLEN, reason, command=command, sequence=sequence) from error
    return Pdu(command, status, sequence, body)


def read_header(frame: bytes) -> tuple[int, int, int, int]:
    """command_length, command_id, command_status and sequence_number of a PDU. Raises `PduError` under 16 octets."""
    if len(frame) < HEADER_LENGTH:
        raise PduError(Status.RINVCMDLEN, f"{len(frame)} octets are no PDU")
    length, command, status, sequence = HEADER.unpack_from(frame)
    return length, command, status, sequence


def encode(pdu: Pdu) -> bytes:
    """Write one PDU. Raises `ValueError` for a short_message over 255 octets or a number that does not fit."""
    body = b"" if pdu.body is None else encode_body(pdu.body, pdu.command)
    return header(pdu.command, pdu.status, pdu.sequence, len(body)) + body


def header(command: int, status: int, sequence: int, body_length: int = 0) -> bytes:
    """The 16 octets in front of a body of *body_length* octets."""
    return HEADER.pack(HEADER_LENGTH + body_length, command, status, sequence)


def encode_body(body: Body, command: int = Command.SUBMIT_SM) -> bytes:
    """Write a body; *command* matters for `Sm` alone, since data_sm leaves fields out."""
    if isinstance(body, Sm):
        return _write_data_sm(body) if command == Command.DATA_SM else _write_sm(body)
    if isinstance(body, MessageId):
        return _cstr(body.message_id) + encode_tlvs(body.tlvs)
    if isinstance(body, Raw):
        return body.octets
    return _write_session_body(body)


def encode_tlvs(tlvs: Tlvs) -> bytes:
    """Write TLVs in the order given. Raises `ValueError` for a value over 65,535 octets."""
    if any(len(value) > 0xFFFF for value in tlvs.values()):
        raise ValueError("a TLV value takes 65,535 octets at most")
    return b"".join(_TLV.pack(tag, len(value)) + value for tag, value in tlvs.items())


def relative_time(seconds: int) -> str:
    """A validity period as SMPP's relative time, "000001000000000R" for a day (SMPP 3.4 §7.1.1.2).

    *seconds* from 0 up to 99 days; the months and years of the format have no fixed length, so they stay 0.
    """
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    if not 0 <= day <= 99:
        raise ValueError(f"a relative time spans 0 to 99 days, not {seconds} seconds")
    return f"0000{day:02}{hour:02}{minute:02}{second:02}000R"


def _cstr(value: str) -> bytes:
    return value.encode("latin-1", "replace").replace(b"\0", b"") + b"\0"


def _address(address: Address) -> bytes:
    return bytes((address.ton, address.npi)) + _cstr(address.value)


def _write_sm(sm: Sm) -> bytes:
    if len(sm.short_message) > 0xFF:
        raise ValueError("short_message takes 254 octets; use the TLV message_payload for more")
    return b"".join(
        (
            _cstr(sm.service_type),
            _address(sm.source),
            _address(sm.destination),
            bytes((sm.esm_class, sm.protocol_id, sm.priority)),
            _cstr(sm.schedule),
            _cstr(sm.validity),
            bytes((sm.registered_delivery, sm.replace_if_present, sm.data_coding, sm.default_message)),
            bytes((len(sm.short_message),)),
            sm.short_message,
            encode_tlvs(sm.tlvs),
        )
    )


def _write_data_sm(sm: Sm) -> bytes:
    flags = bytes((sm.esm_class, sm.registered_delivery, sm.data_coding))
    tlvs = {Tag.MESSAGE_PAYLOAD: sm.short_message, **sm.tlvs} if sm.short_message else sm.tlvs
    return _cstr(sm.service_type) + _address(sm.source) + _address(sm.destination) + flags + encode_tlvs(tlvs)


def _write_session_body(body: Bind | BindResp | QuerySm | QuerySmResp | CancelSm) -> bytes:
    if isinstance(body, Bind):
        numbers = bytes((body.interface_version, body.addr_ton, body.addr_npi))
        names = _cstr(body.system_id) + _cstr(body.password) + _cstr(body.system_type)
        return names + numbers + _cstr(body.address_range)
    if isinstance(body, BindResp):
        return _cstr(body.system_id) + encode_tlvs(body.tlvs)
    if isinstance(body, QuerySm):
        return _cstr(body.message_id) + _address(body.source)
    if isinstance(body, QuerySmResp):
        ends = bytes((body.message_state, body.error_code))
        return _cstr(body.message_id) + _cstr(body.final_date) + ends
    return _cstr(body.service_type) + _cstr(body.message_id) + _address(body.source) + _address(body.destination)


def _text(frame: bytes, at: int) -> tuple[str, int]:
    """The C string at *at* and where the next field begins. Raises `ValueError` without a NUL."""
    end = frame.index(0, at)
    return frame[at:end].decode("latin-1"), end + 1


def _read_address(frame: bytes, at: int) -> tuple[Address, int]:
    value, after = _text(frame, at + 2)
    return Address(frame[at], frame[at + 1], value), after


def read_tlvs(frame: bytes, at: int = 0) -> Tlvs:
    """The TLVs from *at* to the end. Raises `PduError` RINVTLVSTREAM for one that runs over it."""
    end = len(frame)
    if at >= end:
        return NO_TLVS
    tlvs: dict[int, bytes] = {}
    while at < end:
        if at + 4 > end:
            raise PduError(Status.RINVTLVSTREAM, "the PDU ends within a TLV header")
        tag, length = _TLV.unpack_from(frame, at)
        at += 4 + length
        if at > end:
            raise PduError(Status.RINVTLVSTREAM, f"TLV 0x{tag:04x} runs over the end of the PDU")
        tlvs[tag] = frame[at - length : at]
    return tlvs


def _read_sm(frame: bytes) -> Sm:
    service_type, at = _text(frame, HEADER_LENGTH)
    source, at = _read_address(frame, at)
    destination, at = _read_address(frame, at)
    esm_class, protocol_id, priority = frame[at], frame[at + 1], frame[at + 2]
    schedule, at = _text(frame, at + 3)
    validity, at = _text(frame, at)
    registered, replace, coding, default, length = (
        frame[at],
        frame[at + 1],
        frame[at + 2],
        frame[at + 3],
        frame[at + 4],
    )
    at += 5
    if at + length > len(frame):
        raise PduError(Status.RINVMSGLEN, f"sm_length {length} runs over the end of the PDU")
    return Sm(
        service_type,
        source,
        destination,
        esm_class,
        protocol_id,
        priority,
        schedule,
        validity,
        registered,
        replace,
        coding,
        default,
        frame[at : at + length],
        read_tlvs(frame, at + length),
    )


def _read_data_sm(frame: bytes) -> Sm:
    service_type, at = _text(frame, HEADER_LENGTH)
    source, at = _read_address(frame, at)
    destination, at = _read_address(frame, at)
    return Sm(
        service_type=service_type,
        source=source,
        destination=destination,
        esm_class=frame[at],
        registered_delivery=frame[at + 1],
        data_coding=frame[at + 2],
        tlvs=read_tlvs(frame, at + 3),
    )


def _read_bind(frame: bytes) -> Bind:
    system_id, at = _text(frame, HEADER_LENGTH)
    password, at = _text(frame, at)
    system_type, at = _text(frame, at)
    address_range, _ = _text(frame, at + 3)
    return Bind(
        system_id=system_id,
        password=password,
        system_type=system_type,
        interface_version=frame[at],
        addr_ton=frame[at + 1],
        addr_npi=frame[at + 2],
        address_range=address_range,
    )


def _read_bind_resp(frame: bytes) -> BindResp:
    system_id, at = _text(frame, HEADER_LENGTH)
    return BindResp(system_id=system_id, tlvs=read_tlvs(frame, at))


def _read_message_id(frame: bytes) -> MessageId:
    message_id, at = _text(frame, HEADER_LENGTH)
    return MessageId(message_id, read_tlvs(frame, at))


def _read_query_sm(frame: bytes) -> QuerySm:
    message_id, at = _text(frame, HEADER_LENGTH)
    source, _ = _read_address(frame, at)
    return QuerySm(message_id, source)


def _read_query_sm_resp(frame: bytes) -> QuerySmResp:
    message_id, at = _text(frame, HEADER_LENGTH)
    final_date, at = _text(frame, at)
    return QuerySmResp(message_id, final_date, frame[at], frame[at + 1])


def _read_cancel_sm(frame: bytes) -> CancelSm:
    service_type, at = _text(frame, HEADER_LENGTH)
    message_id, at = _text(frame, at)
    source, at = _read_address(frame, at)
    destination, _ = _read_address(frame, at)
    return CancelSm(service_type, message_id, source, destination)


def _read_raw(frame: bytes) -> Raw:
    return Raw(frame[HEADER_LENGTH:])


_KNOWN = frozenset(Command)
_READERS: dict[int, Callable[[bytes], Body]] = {
    Command.BIND_RECEIVER: _read_bind,
    Command.BIND_TRANSMITTER: _read_bind,
    Command.BIND_TRANSCEIVER: _read_bind,
    Command.BIND_RECEIVER_RESP: _read_bind_resp,
    Command.BIND_TRANSMITTER_RESP: _read_bind_resp,
    Command.BIND_TRANSCEIVER_RESP: _read_bind_resp,
    Command.SUBMIT_SM: _read_sm,
    Command.DELIVER_SM: _read_sm,
    Command.DATA_SM: _read_data_sm,
    Command.SUBMIT_SM_RESP: _read_message_id,
    Command.DELIVER_SM_RESP: _read_message_id,
    Command.DATA_SM_RESP: _read_message_id,
    Command.QUERY_SM: _read_query_sm,
    Command.QUERY_SM_RESP: _read_query_sm_resp,
    Command.CANCEL_SM: _read_cancel_sm,
    Command.REPLACE_SM: _read_raw,
    Command.SUBMIT_MULTI: _read_raw,
    Command.SUBMIT_MULTI_RESP: _read_raw,
    Command.ALERT_NOTIFICATION: _read_raw,
    Command.OUTBIND: _read_raw,
}
