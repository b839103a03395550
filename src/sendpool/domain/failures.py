"""What a carrier's code means: one vocabulary of failure classes over one table, kept as data in `failures.toml`.

An attempt stores class, code, `rule` and `TABLE_VERSION`, so that a choice made years ago can be explained.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import resources
from types import MappingProxyType
from typing import Any

import msgspec


class FailureClass(StrEnum):
    """Why an attempt ended as it did; the class alone decides what is tried next (design §11)."""

    OK = "OK"
    TRANSIENT = "TRANSIENT"
    THROTTLED = "THROTTLED"
    CAP = "CAP"
    SENDER = "SENDER"
    ACCOUNT = "ACCOUNT"
    CHANNEL = "CHANNEL"
    RECIPIENT = "RECIPIENT"
    ABSENT = "ABSENT"
    CONSENT = "CONSENT"
    CONTENT = "CONTENT"
    POLICY = "POLICY"
    REQUEST = "REQUEST"
    EXPIRED = "EXPIRED"
    AMBIGUOUS = "AMBIGUOUS"


class SameSender(StrEnum):
    """Whether the same sender may try again."""

    NEVER = "never"
    #: Once at once (0.5 s), later ones after a back-off.
    ONCE = "once"
    LATER = "later"
    #: When the throttled scope resumes; it is no failure of the message.
    RESUME = "resume"


class OtherSender(StrEnum):
    """Whether another sender of the same channel may try."""

    NEVER = "never"
    NEXT = "next"
    #: Only one of another connection.
    ELSEWHERE = "elsewhere"


class OtherChannel(StrEnum):
    """Whether the next channel may try."""

    NEVER = "never"
    NEXT = "next"
    WHEN_VALID = "when_valid"
    WHEN_ASKED = "when_asked"
    WHEN_DIFFERENT = "when_different"
    UNLESS_BULK = "unless_bulk"


class Repair(StrEnum):
    """A changed form in which a refused message may be sent once more."""

    TEMPLATE = "template"
    PLAIN_TEXT = "plain_text"
    MESSAGE_PAYLOAD = "message_payload"
    UCS2 = "ucs2"
    NO_VALIDITY = "no_validity"


class Hard(StrEnum):
    """Who has to say the same before an address counts as one that does not exist."""

    #: Another connection, or the same one a day later.
    DAY = "day"
    #: Another connection: from this one alone it may also mean that it has no route.
    OTHER = "other"


class ClassActions(msgspec.Struct, frozen=True, kw_only=True):
    """What a class means and what it allows by default."""

    means: str
    same: SameSender
    sender: OtherSender
    channel: OtherChannel
    #: The `error.code` of an attempt; None only for OK.
    wire: int | None = None
    scope: str = "message"
    #: True: it counts against the route, so against the sender's in-flight limit and health.
    route: bool = False


class ApiCode(msgspec.Struct, frozen=True, kw_only=True):
    """An `error.code` as users see it: what it means and what they can do."""

    code: int
    meaning: str
    remedy: str


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier's code under our vocabulary, with what its row says beyond its class."""

    failure: FailureClass
    #: What it indicts: message, pair, sender, sender_country, connection or account.
    scope: str
    #: The `error.code` on the wire; None for OK.
    wire_code: int | None
    #: Which row decided: "smpp/0x0a", "smpp/?" (unknown code), "connection/SENDER" (its own setting), "class/SENDER".
    rule: str
    #: False: no row knows the code; list it for the operator.
    known: bool = True
    #: Tries that one sender gets with this code; None: as many as the class allows.
    cap: int | None = None
    #: How many senders may hear this code for one message; None: as many as the class allows.
    senders: int | None = None
    #: Seconds to wait at least before the same route is tried again.
    after: float | None = None
    repair: Repair | None = None
    #: Another word than the class has for the next channel.
    channel: OtherChannel | None = None
    #: True: the number itself is invalid, so no other channel of it can work.
    invalid: bool = False
    #: It says that the address does not exist; None: it says no such thing.
    hard: Hard | None = None
    #: Seconds that the recipient counts as not on the channel; None: as long as is usual.
    lasts: float | None = None
    meaning: str = ""

    @property
    def of_settings(self) -> bool:
        """Whether our settings of the connection were refused: nothing but other settings mends that."""
        return self.failure is FailureClass.ACCOUNT and self.scope == "connection"


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row as the file spells it."""

    failure: FailureClass = msgspec.field(name="class")
    means: str
    scope: str | None = None
    wire: int | None = None
    cap: int | None = None
    senders: int | None = None
    after: float | None = None
    repair: Repair | None = None
    channel: OtherChannel | None = None
    invalid: bool = False
    hard: Hard | None = None
    lasts: float | None = None


#: What a scope may be, from the narrowest to the widest.
SCOPES = ("message", "pair", "sender", "sender_country", "connection", "account")
#: Tables whose codes are hexadecimal, and those whose codes are decimal with or without leading zeros.
_HEXADECIMAL = frozenset({"smpp"})
_DECIMAL = frozenset({"smpp.map", "smpp.err", "smpp.reason"})
#: Letters that tell one `stat` word from another: some message centres cut it to 5, some write it out.
_STAT_LETTERS = 5


def _codes(key: str) -> Iterator[str]:
    """Yield the codes that a key of the file names: several apart by blanks, and ranges such as "5.7.20-5.7.27"."""
    for part in key.split():
        first, dash, last = part.partition("-")
        if not (dash and last[:1].isdigit()):
            yield part
            continue
        stem, _, low = first.rpartition(".")
        high = last.rpartition(".")[2]
        yield from (f"{stem}.{n}" if stem else str(n) for n in range(int(low), int(high) + 1))


def _wire(provider: str, code: str, row: _Row, actions: ClassActions) -> int | None:
    if row.wire is not None:
        return row.wire
    # Twilio's codes are the vocabulary of the wire itself; HTTP codes are not, nor is what is no failure.
    shown = provider == "twilio" and code.isdigit() and int(code) >= 10_000 and actions.wire is not None
    return int(code) if shown else actions.wire


def _classified(provider: str, code: str, row: _Row, actions: ClassActions) -> Classified:
    return Classified(
        failure=row.failure,
        scope=row.scope or actions.scope,
        wire_code=_wire(provider, code, row, actions),
        rule=f"{provider}/{code}",
        cap=row.cap,
        senders=row.senders,
        after=row.after,
        repair=row.repair,
        channel=row.channel,
        invalid=row.invalid,
        hard=row.hard,
        lasts=row.lasts,
        meaning=row.means,
    )


def _load() -> tuple[
    int,
    Mapping[FailureClass, ClassActions],
    Mapping[str, Mapping[str, Classified]],
    Mapping[int, ApiCode],
]:
    """Read the table that lies beside this module. Raises ValueError or msgspec.ValidationError if it is broken."""
    raw: dict[str, Any] = tomllib.loads(
        resources.files("sendpool.domain").joinpath("failures.toml").read_text(encoding="utf-8")
    )
    actions = {FailureClass(name): msgspec.convert(entry, ClassActions) for name, entry in raw["classes"].items()}
    rows: dict[str, Mapping[str, Classified]] = {}
    for provider, entries in raw["rows"].items():
        table: dict[str, Classified] = {}
        for key, entry in entries.items():
            row = msgspec.convert(entry, _Row)
            for code in _codes(key):
                if code in table:
                    raise ValueError(f'failures.toml: "{code}" stands twice in {provider}; keep one row')
                table[code] = _classified(provider, code, row, actions[row.failure])
        rows[provider] = MappingProxyType(table)
    wire = {
        int(code): ApiCode(code=int(code), meaning=e["means"], remedy=e["remedy"]) for code, e in raw["wire"].items()
    }
    return (
        raw["version"],
        MappingProxyType(actions),
        MappingProxyType(rows),
        MappingProxyType(wire),
    )


#: `TABLE_VERSION` is stored with each attempt; `CLASSES` says what each class allows; `ROWS` is the table itself by
#: provider and code; `API_CODES` explains codes of the wire.
TABLE_VERSION, CLASSES, ROWS, API_CODES = _load()

#: Classes that count against a route: its sender's in-flight limit and health.
ROUTE_FAULTS = frozenset(failure for failure, actions in CLASSES.items() if actions.route)

_STAT_BY_START = {word[:_STAT_LETTERS]: word for word in ROWS["smpp.stat"]}


def _spelled(provider: str, code: str) -> str:
    """Return *code* as the provider's table spells it."""
    if provider in _HEXADECIMAL:
        try:
            return f"0x{int(code, 16):02x}"
        except ValueError:
            return code
    if provider in _DECIMAL:
        return code.strip().lstrip("0") or "0"
    if provider == "smpp.stat":
        word = code.strip().upper()
        return _STAT_BY_START.get(word[:_STAT_LETTERS], word)
    if provider == "smtp" and code not in ROWS["smtp"] and code.count(".") == 2:
        return f"{code.rpartition('.')[0]}.x"
    return code


def _unknown(provider: str) -> Classified:
    # An unknown code acts once as transient, on another sender, and is listed for the operator (design §4).
    actions = CLASSES[FailureClass.TRANSIENT]
    return Classified(
        failure=FailureClass.TRANSIENT,
        scope="message",
        wire_code=actions.wire,
        rule=f"{provider}/?",
        known=False,
        cap=1,
        senders=2,
        meaning="a code that no table knows",
    )


def _by_class(origin: str, failure: FailureClass) -> Classified:
    actions = CLASSES[failure]
    return Classified(
        failure=failure,
        scope=actions.scope,
        wire_code=actions.wire,
        rule=f"{origin}/{failure}",
        meaning=actions.means,
    )


_OF_CLASS = {failure: _by_class("class", failure) for failure in FailureClass}
_OF_CONNECTION = {failure: _by_class("connection", failure) for failure in FailureClass}


def _plain(code: str) -> str:
    return code.strip().casefold().lstrip("0") or "0"


def overrides_from(settings: Mapping[str, str]) -> Mapping[str, FailureClass]:
    """Read a connection's own codes, such as `receipt_errors`: code to class, spelled with or without leading zeros.

    Raises ValueError naming the code when a class does not exist.
    """
    overrides = {}
    for code, name in settings.items():
        try:
            overrides[_plain(code)] = FailureClass(name)
        except ValueError:
            choices = ", ".join(FailureClass)
            raise ValueError(f'code "{code}" has class "{name}"; it must be one of {choices}') from None
    return MappingProxyType(overrides)


def classify(provider: str, code: str, overrides: Mapping[str, FailureClass] | None = None) -> Classified:
    """Return what *code* means in the table *provider* ("smpp", "smpp.stat", "sandbox", ...).

    *overrides* (from `overrides_from`) wins over the table: vendors disagree about their own codes. A code that no
    table knows is TRANSIENT with `known` False. Never raises.
    """
    if overrides:
        failure = overrides.get(_plain(code))
        if failure is not None:
            return _OF_CONNECTION[failure]
    table = ROWS.get(provider)
    found = None
    if table is not None:
        found = table.get(code) or table.get(_spelled(provider, code))
    return found or _unknown(provider)


def of_class(failure: FailureClass) -> Classified:
    """Return the plain meaning of a class, for outcomes that come with no code of a known table."""
    return _OF_CLASS[failure]


def by_rule(rule: str) -> Classified:
    """Return the row that a stored *rule* names; a rule that is gone reads as an unknown code."""
    provider, _, code = rule.partition("/")
    if provider in ("class", "connection") and code in FailureClass.__members__:
        failure = FailureClass(code)
        return _OF_CLASS[failure] if provider == "class" else _OF_CONNECTION[failure]
    found = ROWS.get(provider, {}).get(code)
    return found or _unknown(provider)


def api_code(code: int) -> ApiCode:
    """Return what an `error.code` of the wire means and what to do about it. Never raises."""
    known = API_CODES.get(code)
    if known is not None:
        return known
    row = ROWS["twilio"].get(str(code))
    if row is None:
        return ApiCode(
            code=code,
            meaning="An error without a description.",
            remedy="Look at the attempt's own code.",
        )
    remedy = API_CODES[CLASSES[row.failure].wire or 30008].remedy
    return ApiCode(code=code, meaning=f"{row.meaning[:1].upper()}{row.meaning[1:]}.", remedy=remedy)
