"""The `[[connections]]` of the file: which carriers there are and which senders each of them carries."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import msgspec

from sendpool.config.countries import check_countries, check_country
from sendpool.config.scopes import (
    BURST,
    DAILY,
    RECIPIENTS,
    SCOPES,
    ZONE,
    check_known,
    check_zone,
    limits_of,
)
from sendpool.config.setting import (
    ConfigError,
    FromEnvironment,
    Setting,
    check_printable,
    described,
    read_table,
    settings_of,
    tables_in,
)
from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.registry import connector_type
from sendpool.domain.keywords import Keywords, Use, Wish
from sendpool.domain.limits import PAIR_BURST, PAIR_SECONDS
from sendpool.domain.segments import is_gsm
from sendpool.domain.sender import Channel

_REPLY, _REPLY_HELP = "a text", 'What {} is answered. Else a sentence in the language of the word; "" answers nothing.'
CHANNEL_HELP = ('"SMS", "RCS", "WHATSAPP" or "EMAIL"', "How its messages travel.", "SMS")


class _ConnectionTable(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[
        str,
        described(
            "1 to 64 printable characters",
            "What logs and metrics call it; no two are the same.",
            "carrier-a",
            min_length=1,
            max_length=64,
        ),
    ]
    type: Annotated[str, described("the name of a connector", "Which connector speaks to the carrier.", "smpp")]
    account: Annotated[
        str | None,
        described(
            "the sid of an account",
            "The account that it and its senders belong to. Else the first one; `sendpool accounts` makes others.",
            "AC0123456789abcdef0123456789abcdef",
            min_length=1,
            max_length=64,
        ),
    ] = None
    mps: Annotated[
        float | None,
        described("a number above 0", "Segments a second over all its senders. Else only theirs count.", 500, gt=0),
    ] = None
    burst: Annotated[float | None, described("a number of at least 1", BURST, 25, ge=1)] = None
    window: Annotated[
        int | None,
        described(
            "a whole number from 1 to 100000", "Segments in flight. Else the connector's own.", 200, ge=1, le=100_000
        ),
    ] = None
    require_campaign: Annotated[
        tuple[str, ...],
        described(
            "a list of countries by their ISO codes",
            "Countries in which it takes messages only from senders with a registered `campaign`.",
            ["US"],
        ),
    ] = ()
    scopes: Annotated[tuple[str, ...], described("a list of names", SCOPES, ["account-a"])] = ()
    daily_limit: Annotated[int | None, described("a whole number of at least 1", DAILY, 100_000, ge=1)] = None
    day_zone: Annotated[str | None, described("a time zone", ZONE, "Europe/Amsterdam")] = None
    keywords: Annotated[
        str,
        described(
            '"answer", "record" or "ignore"',
            "What STOP, START, HELP and the like do that people send: write who has opted out and answer, only write it"
            " (where the carrier answers), or nothing.",
            "record",
        ),
    ] = Use.ANSWER
    stop_reply: Annotated[str | None, described(_REPLY, _REPLY_HELP.format("STOP"), "Bye.", max_length=1_600)] = None
    start_reply: Annotated[str | None, described(_REPLY, _REPLY_HELP.format("START"), "Hi.", max_length=1_600)] = None
    help_reply: Annotated[str | None, described(_REPLY, _REPLY_HELP.format("HELP"), "Acme.", max_length=1_600)] = None


class _SenderTable(msgspec.Struct, frozen=True, kw_only=True):
    channel: Annotated[str, described(*CHANNEL_HELP)]
    address: Annotated[
        str,
        described(
            "a text of 1 to 255 characters",
            "Its number (`+12034458910`), short code, name of up to 11 characters, agent or email address.",
            "+12034458910",
            min_length=1,
            max_length=255,
        ),
    ]
    display_name: Annotated[
        str | None,
        described("a text of up to 255 characters", "What people call it.", "Cool Support", max_length=255),
    ] = None
    mps: Annotated[
        float | None,
        described("a number above 0", "Segments a second. Else SMS 1, WHATSAPP 80, RCS 20, EMAIL 10.", 10, gt=0),
    ] = None
    burst: Annotated[float | None, described("a number of at least 1", BURST, 3, ge=1)] = None
    scopes: Annotated[tuple[str, ...], described("a list of names", SCOPES, ["campaign-x"])] = ()
    daily_limit: Annotated[int | None, described("a whole number of at least 1", DAILY, 2_000, ge=1)] = None
    day_zone: Annotated[
        str | None, described("a time zone", "Where the day begins and ends. Else as for its connection.", "UTC")
    ] = None
    recipient_limit: Annotated[int | None, described("a whole number of at least 1", RECIPIENTS, 1_000, ge=1)] = None
    pair_seconds: Annotated[
        float | None,
        described(
            "a number above 0",
            "Seconds between two messages to one recipient, in the long run. Else 6 on `whatsapp`, others no limit.",
            6,
            gt=0,
        ),
    ] = None
    pair_burst: Annotated[
        int | None,
        described(
            "a whole number of at least 1",
            "Messages to one recipient that may follow at once, borrowed from later. Else 45 on `whatsapp`, others 1.",
            45,
            ge=1,
        ),
    ] = None
    country: Annotated[
        str | None,
        described(
            "a country by its ISO code",
            "Where a short code or a name is at home; a short code stays there. A number tells its country itself.",
            "US",
        ),
    ] = None
    countries: Annotated[
        tuple[str, ...] | None,
        described("a list of countries by their ISO codes", "The only countries that it sends to.", ["US", "CA"]),
    ] = None
    not_countries: Annotated[
        tuple[str, ...],
        described("a list of countries by their ISO codes", "Countries that it does not send to.", ["FR"]),
    ] = ()
    campaign: Annotated[
        str | None,
        described(
            "a text of 1 to 64 characters",
            "The registered campaign that it belongs to.",
            "CXYZ123",
            min_length=1,
            max_length=64,
        ),
    ] = None


CONNECTION_SETTINGS = settings_of(_ConnectionTable)
SENDER_SETTINGS = settings_of(_SenderTable)

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")


def read_connections(source: str, tables: object, scopes: Sequence[str] = ()) -> tuple[ConnectionSettings, ...]:
    """Every connection, each checked by its own connector; *scopes* are those there are. Raises `ConfigError`."""
    connections = tuple(
        _connection(source, f"connections[{i}]", table)
        for i, table in enumerate(tables_in(source, "connections", tables, "connections"))
    )
    _check_names(source, connections)
    _check_addresses(source, connections)
    _check_scopes(source, connections, scopes)
    return connections


def _connection(source: str, path: str, table: Mapping[str, Any]) -> ConnectionSettings:
    common, options = _split(source, path, table, CONNECTION_SETTINGS)
    limits = limits_of(common)
    replies = {wish: text for wish in Wish if (text := common.pop(f"{wish}_reply", None)) is not None}
    keywords = Keywords(Use(common.pop("keywords", Use.ANSWER)), replies)
    senders = tuple(
        _sender(source, f"{path}.senders[{i}]", sender, common["type"], limits.zone)
        for i, sender in enumerate(
            tables_in(source, f"{path}.senders", options.pop("senders", []), "connections.senders")
        )
    )
    return _checked_by_connector(
        source, path, ConnectionSettings(**common, limits=limits, keywords=keywords, senders=senders, options=options)
    )


def _sender(source: str, path: str, table: Mapping[str, Any], kind: str, zone: str) -> SenderSettings:
    common, options = _split(source, path, table, SENDER_SETTINGS)
    if common["channel"] is Channel.SMS and (problem := _wrong_sms_address(common["address"])):
        raise ConfigError(source, f"{path}.address: {problem}")
    for key, usual in _USUAL.get(kind, {}).items():
        common.setdefault(key, usual)
    common.setdefault("day_zone", zone)
    return SenderSettings(limits=limits_of(common), **common, options=options)


#: By type of connection.
_USUAL: Mapping[str, Mapping[str, Any]] = {"whatsapp": {"pair_seconds": PAIR_SECONDS, "pair_burst": PAIR_BURST}}


def _split(
    source: str, path: str, table: Mapping[str, Any], settings: Sequence[Setting]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that every table of this kind has, checked, and the rest, which is its connector's own."""
    rest = dict(table)
    given = {setting.key: rest.pop(setting.key) for setting in settings if setting.key in rest}
    return read_table(source, path, given, settings, _CHECKS), rest


def check_channel(channel: str) -> str:
    """A channel by its name, in any case. Raises ValueError."""
    return Channel(channel.upper())


def _check_type(name: str) -> str:
    connector_type(name.lower())
    return name.lower()


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "name": check_printable,
    "type": _check_type,
    "keywords": lambda name: Use(name.lower()),
    "channel": check_channel,
    "address": check_printable,
    "country": check_country,
    "countries": check_countries,
    "not_countries": check_countries,
    "require_campaign": check_countries,
    "campaign": check_printable,
    "day_zone": check_zone,
}


def _wrong_sms_address(address: str) -> str:
    """What is wrong with the address of an SMS sender, or nothing."""
    if _NUMBER.fullmatch(address) or _SHORT_CODE.fullmatch(address):
        return ""
    if re.search(r"[A-Za-z]", address):
        if len(address) <= 11 and is_gsm(address):
            return ""
        return f'"{address}" is too long or has characters that phones cannot show; a name has 1 to 11 GSM characters'
    digits = re.sub(r"\D", "", address)
    example = f"+{digits}" if _NUMBER.fullmatch(f"+{digits}") and len(digits) > 8 else "+12034458910"
    return f'"{address}" is no number, short code or name; write a number in full, for example "{example}"'


_CONNECTOR_ERROR = re.compile(r"(?:sender (?P<address>.*?): )?key '(?P<key>[^']+)': (?P<problem>.*)", re.DOTALL)


def _checked_by_connector(source: str, path: str, connection: ConnectionSettings) -> ConnectionSettings:
    """The connection as its connector takes it: `port = "${PORT}"` has become a number where one is wanted."""
    try:
        connector_type(connection.type).check(connection)
    except ValueError as error:
        said = _CONNECTOR_ERROR.fullmatch(str(error))
        if said and not said["address"] and (number := _number(connection.options.get(said["key"]))) is not None:
            options = {**connection.options, said["key"]: number}
            return _checked_by_connector(source, path, msgspec.structs.replace(connection, options=options))
        raise ConfigError(source, _in_our_words(path, connection, str(error), said)) from None
    return connection


def _number(option: object) -> int | float | None:
    if not isinstance(option, FromEnvironment):
        return None
    for kind in (int, float):
        with suppress(ValueError):
            return kind(option)
    return None


def _in_our_words(path: str, connection: ConnectionSettings, problem: str, said: re.Match[str] | None) -> str:
    """A connector's "sender INFO: key 'ton': ..." as a path of the file, with a remedy if it names none."""
    if said:
        addresses = [sender.address for sender in connection.senders]
        if said["address"] in addresses:
            path += f".senders[{addresses.index(said['address'])}]"
        path, problem = f"{path}.{said['key']}", said["problem"]
    remedy = "" if ";" in problem else f'; mend it in connection "{connection.name}"'
    return f"{path}: {problem}{remedy}"


def _check_names(source: str, connections: Sequence[ConnectionSettings]) -> None:
    seen: dict[str, int] = {}
    for i, connection in enumerate(connections):
        if connection.name in seen:
            taken = f'connections[{seen[connection.name]}] is called "{connection.name}" too'
            raise ConfigError(source, f"connections[{i}].name: {taken}; give each connection a name of its own")
        seen[connection.name] = i


def _check_addresses(source: str, connections: Sequence[ConnectionSettings]) -> None:
    # Accounts know nothing of each other, so that the same number may stand in several.
    seen: dict[tuple[str | None, Channel, str], str] = {}
    for i, connection in enumerate(connections):
        for j, sender in enumerate(connection.senders):
            identity = (connection.account, sender.channel, sender.address)
            if identity in seen:
                taken = f'{sender.channel} sender {sender.address} stands in connection "{seen[identity]}" already'
                raise ConfigError(source, f"connections[{i}].senders[{j}].address: {taken}; leave one of the two out")
            seen[identity] = connection.name


def _check_scopes(source: str, connections: Sequence[ConnectionSettings], known: Sequence[str]) -> None:
    for i, connection in enumerate(connections):
        check_known(source, f"connections[{i}].scopes", connection.scopes, known)
        for j, sender in enumerate(connection.senders):
            check_known(source, f"connections[{i}].senders[{j}].scopes", sender.scopes, known)
