"""The options of an SMPP connection: their meaning, defaults and checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.smpp.tlvs import Tlv
from sendpool.connectors.smpp.tlvs import check as check_tlvs
from sendpool.domain.failures import ROWS, FailureClass, overrides_from

#: Submits in flight where the configuration says nothing.
DEFAULT_WINDOW = 10
#: What a password field holds besides its NUL (SMPP 3.4 §5.2.2). Some carriers issue longer ones.
PASSWORD_OCTETS = 8
#: What an address field holds besides its NUL (SMPP 3.4 §5.2.8).
ADDRESS_OCTETS = 20

Seconds = Annotated[float, Meta(gt=0, le=86400)]
Octet = Annotated[int, Meta(ge=0, le=255)]
Name = Annotated[str, Meta(min_length=1)]


class Alphabet(StrEnum):
    """What a carrier means by data_coding 0, "SMSC default"."""

    GSM = "gsm"
    LATIN1 = "latin1"
    ASCII = "ascii"
    UCS2 = "ucs2"


class LongMessages(StrEnum):
    """How the parts of a long text find together again."""

    #: By a user data header in front of each part.
    UDH = "udh"
    #: By the TLVs sar_msg_ref_num, sar_total_segments and sar_segment_seqnum.
    SAR = "sar"
    #: The carrier gets it whole, in the TLV message_payload, and cuts it itself.
    PAYLOAD = "payload"


class BindAs(StrEnum):
    """What a connection binds as."""

    TRANSCEIVER = "transceiver"
    #: A pair of sessions: submits leave by one, receipts and inbound texts come by the other.
    PAIR = "transmitter+receiver"


class Share(StrEnum):
    """Whose `window` is."""

    BIND = "bind"
    CONNECTION = "connection"


class IdSpelling(StrEnum):
    """How a carrier writes a message id: a number in hex or decimal, or a plain text."""

    HEX = "hex"
    DEC = "dec"
    TEXT = "text"


class ErrorTable(StrEnum):
    """How to read `err` in receipts where `receipt_errors` does not name it."""

    #: Not at all: `stat` decides.
    NONE = "none"
    #: As a GSM MAP error.
    MAP = "map"
    #: By the set of one vendor that resembles MAP.
    VENDOR = "vendor"


class IdFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How ids are written in submit responses and in the text of receipts; both are compared as one."""

    resp: IdSpelling = IdSpelling.TEXT
    receipt: IdSpelling = IdSpelling.TEXT
    #: The TLV receipted_message_id; None: as in submit responses, which is what the specification says.
    tlv: IdSpelling | None = None


class DataCoding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data_coding that this carrier wants for each alphabet (SMPP 3.4 §5.2.19)."""

    #: Its default alphabet.
    default: Octet = 0
    latin1: Octet = 3
    ucs2: Octet = 8


class SmppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every option of a `[[connections]]` table of type "smpp", besides those that all types have."""

    host: Name
    system_id: Annotated[str, Meta(min_length=1, max_length=15)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 2775
    password: str = ""
    bind: BindAs = BindAs.TRANSCEIVER
    #: How many binds (or pairs) are kept. The carrier must allow so many sessions of one system_id.
    binds: Annotated[int, Meta(ge=1, le=64)] = 1
    #: Whether each bind may have `window` submits unanswered, or all of them together.
    window_of: Share = Share.BIND
    #: Encrypt from the first octet. The carrier's certificate is checked, unless `tls_verify` is off.
    tls: bool = False
    tls_verify: bool = True
    #: PEM file of the authorities that the carrier's certificate is checked against; None: those of the system.
    ca_file: Name | None = None
    #: The name in the carrier's certificate, where it is not `host`.
    server_name: Name | None = None
    #: PEM files of the certificate that we show, and of its key where that is not in the same file.
    certificate_file: Name | None = None
    key_file: Name | None = None
    system_type: Annotated[str, Meta(max_length=12)] = ""
    interface_version: Octet = 0x34
    #: The alphabet behind data_coding 0.
    default_alphabet: Alphabet = Alphabet.GSM
    data_coding: DataCoding = DataCoding()
    long_messages: LongMessages = LongMessages.UDH
    #: Sent with every submit.
    tlvs: tuple[Tlv, ...] = ()
    #: Send GSM text packed, eight septets in seven octets.
    packed: bool = False
    id_format: IdFormat = IdFormat()
    #: This carrier's `err` codes in receipts, where they differ from its stat: code to class name.
    receipt_errors: Mapping[str, str] = {}
    #: This carrier's own words for `stat`: word to the standard one ("SENTOK" = "DELIVRD").
    receipt_states: Mapping[str, str] = {}
    receipt_error_table: ErrorTable = ErrorTable.NONE
    #: This carrier's own command_status values: hex code to class name.
    status_errors: Mapping[str, str] = {}
    #: Take a deliver_sm without the receipt flag for a receipt if it reads like one.
    sniff_receipts: bool = False
    registered_delivery: Octet = 1
    service_type: Annotated[str, Meta(max_length=5)] = ""
    #: Type of number and numbering plan for every sender; None: by the kind of address.
    source_ton: Octet | None = None
    source_npi: Octet | None = None
    destination_ton: Octet | None = None
    destination_npi: Octet | None = None
    #: The longest validity period that the carrier takes, in seconds.
    max_validity: Annotated[int, Meta(ge=60, le=99 * 86400)] = 7 * 86400
    connect_timeout: Seconds = 10.0
    bind_timeout: Seconds = 10.0
    response_timeout: Seconds = 30.0
    #: Seconds without a word from the carrier before we ask whether it is there.
    enquire_link: Seconds = 30.0
    #: Seconds that the answer to it may take.
    enquire_timeout: Seconds = 10.0
    unbind_timeout: Seconds = 5.0
    #: Seconds between tries to connect: from the first, doubling, up to the last.
    reconnect_min: Seconds = 1.0
    reconnect_max: Seconds = 60.0
    #: Seconds to wait at least after a refusal that only a person can mend (a wrong password).
    refused_wait: Seconds = 300.0


#: What has no meaning without `tls`.
_OF_TLS = ("ca_file", "server_name", "certificate_file", "key_file")


class SenderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `[[connections.senders]]` table may add: the numbering of this one sender, and TLVs of its own."""

    ton: Octet | None = None
    npi: Octet | None = None
    #: In place of the connection's with the same tag.
    tlvs: tuple[Tlv, ...] = ()


#: Tables inside a connection's or a sender's.
_TABLES: Mapping[str, type[msgspec.Struct]] = {"id_format": IdFormat, "data_coding": DataCoding, "tlvs": Tlv}

_Options = TypeVar("_Options", bound=msgspec.Struct)


def read_settings(settings: ConnectionSettings) -> SmppSettings:
    """Read and check the options of *settings* and of its senders.

    Raises `ValueError` that begins with the key ("key 'port': expected an integer, got a string").
    """
    options = _convert(settings.options, SmppSettings)
    try:
        options.host.encode("idna")
    except UnicodeError:
        raise ValueError(f"key 'host': \"{options.host}\" is no host name or address") from None
    _check_tls(options)
    check_tlvs(options.tlvs)
    if options.packed and options.default_alphabet is not Alphabet.GSM:
        raise ValueError("key 'packed': only default_alphabet \"gsm\" has septets to pack")
    known = options.data_coding
    if len({known.default, known.latin1, known.ucs2}) < 3:
        raise ValueError("key 'data_coding': default, latin1 and ucs2 must differ, or nobody can tell them apart")
    for sender in settings.senders:
        _check_sender(sender)
    _check_failures("receipt_errors", options.receipt_errors)
    _check_failures("status_errors", options.status_errors)
    _check_receipt_states(options.receipt_states)
    _check_status_codes(options.status_errors)
    if settings.window is not None and settings.window < 1:
        raise ValueError(f"key 'window': expected 1 or more, got {settings.window}")
    if options.reconnect_max < options.reconnect_min:
        raise ValueError("key 'reconnect_max': it must not be below reconnect_min")
    return options


def sender_options(options: Mapping[str, object]) -> SenderOptions:
    """Read the options of one sender. Raises `ValueError` that begins with the key."""
    return _convert(options, SenderOptions)


def status_overrides(options: SmppSettings) -> Mapping[str, FailureClass]:
    """The carrier's own command_status values, spelled as `classify` is asked ("0x0a")."""
    return overrides_from({f"0x{int(code, 16):02x}": name for code, name in options.status_errors.items()})


def _check_tls(options: SmppSettings) -> None:
    idle = [key for key in _OF_TLS if getattr(options, key) is not None]
    if not options.tls and (idle or not options.tls_verify):
        raise ValueError(f"key '{(idle or ['tls_verify'])[0]}': it needs tls = true")
    if options.key_file is not None and options.certificate_file is None:
        raise ValueError("key 'key_file': it needs certificate_file")
    if not options.tls_verify and (options.ca_file or options.server_name):
        raise ValueError("key 'tls_verify': without it ca_file and server_name check nothing; leave them out")


def _check_failures(key: str, codes: Mapping[str, str]) -> None:
    try:
        overrides = overrides_from(codes)
    except ValueError as error:
        raise ValueError(f"key '{key}': {error}") from None
    if FailureClass.OK in overrides.values():
        raise ValueError(f"key '{key}': a failure cannot have class \"OK\"; leave the code out or name a failure")


def _check_sender(sender: SenderSettings) -> None:
    try:
        check_tlvs(sender_options(sender.options).tlvs)
    except ValueError as error:
        raise ValueError(f"sender {sender.address}: {error}") from None
    if not (sender.address.isascii() and len(sender.address.removeprefix("+")) <= ADDRESS_OCTETS):
        raise ValueError(f"sender {sender.address}: key 'address': SMPP takes up to {ADDRESS_OCTETS} ASCII characters")


def _check_receipt_states(states: Mapping[str, str]) -> None:
    for word, standard in states.items():
        if standard not in ROWS["smpp.stat"]:
            choices = ", ".join(ROWS["smpp.stat"])
            raise ValueError(f'key \'receipt_states\': "{word}" reads "{standard}"; it must be one of {choices}')


def _check_status_codes(codes: Mapping[str, str]) -> None:
    for code in codes:
        try:
            int(code, 16)
        except ValueError:
            raise ValueError(f'key \'status_errors\': "{code}" is no hexadecimal code such as "0x400"') from None


_PATH = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_FIELD = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>[^`]*)`(?P<rest>.*)")


def _convert(options: Mapping[str, object], kind: type[_Options]) -> _Options:
    try:
        return msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(str(error), kind)) from None


def _in_words(problem: str, kind: type[msgspec.Struct]) -> str:
    """Turn msgspec's sentence about a value into ours, which begins with the key."""
    where = _PATH.search(problem)
    path = where["path"] if where else ""
    what = problem[: where.start()] if where else problem
    field = _FIELD.match(what)
    if field is None:
        return f"key '{path}': {what[:1].lower()}{what[1:].replace('`', '')}"
    key = f"{path}.{field['name']}" if path else field["name"]
    if field["what"] == "missing required":
        return f"key '{key}': it is missing"
    known = ", ".join(_TABLES.get(re.split(r"[.\[]", path)[0], kind).__struct_fields__)
    return f"key '{key}': not a setting here; known are {known}"
