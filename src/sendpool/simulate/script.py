"""What a simulated carrier does wrong, and when: read from TOML or from `--fault`, decided by a seed. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase
from math import inf
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta

FAULT_HELP = """\
Faults are written as "KIND key=value ..."; each may be given several times:

  refuse status=0x45          answer the submit with this command_status;
                              always=true: any repeat of it too
  throttle mps=50             answer 0x58 above so many submits in any second
  silence                     take it, but never send a receipt
  undelivered err=001         take it, then report stat=UNDELIV (or another)
  no-answer                   take it, but never answer the submit
  slow-answer seconds=0.5-2   answer late, after a fixed or a drawn time
  slow-receipt seconds=10     report late
  early-receipt               report before the submit is answered
  repeat-receipt times=2      report so many times
  congested state=90          say in the answer that the centre is so busy, in
                              percent (SMPP 5)
  drop after=100 times=3      cut a link at its every 100th submit, 3 times in
                              all; answered=false: the 100th is taken, its
                              answer is lost
  outage from=10 until=20     close the port and cut every link meanwhile
  refuse-bind status=0x0e     refuse to bind

and narrowed by any of:

  share=0.1                   this share of the submits, drawn from the seed
                              and the submit itself
  source=1203*                from such addresses (destination=: to such)
  system_id=sendpool          on binds of this system_id
  from=10 until=20            during this time, in seconds after the start
"""

Share = Annotated[float, Meta(gt=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]


class ScriptError(ValueError):
    """A scenario or fault that cannot be read; the message names what is wrong."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """A fault and the submits that it befalls: all of them, unless narrowed."""

    share: Share = 1.0
    #: Patterns (`*`, `?`) over the digits, without "+".
    source: str = "*"
    destination: str = "*"
    system_id: str = "*"
    #: Seconds after the start.
    since: Seconds = msgspec.field(default=0.0, name="from")
    until: Seconds = inf

    def befalls(self, system_id: str, source: str, destination: str, elapsed: float) -> bool:
        """Whether a submit at *elapsed* seconds is one of those meant, share aside."""
        return (
            self.since <= elapsed < self.until
            and _matches(self.source, source)
            and _matches(self.destination, destination)
            and _matches(self.system_id, system_id)
        )


class Refuse(Fault, frozen=True, kw_only=True, tag="refuse"):
    """Answer with `status`; nothing is taken."""

    status: str | int = "0x45"
    #: True: the same submit again is refused again, as for a pair that the carrier will not serve.
    always: bool = False

    @property
    def code(self) -> int:
        """`status` as a number."""
        return int(str(self.status), 0)


class Throttle(Fault, frozen=True, kw_only=True, tag="throttle"):
    """Answer RTHROTTLED above `mps` submits in any second, counted per system_id."""

    mps: Annotated[float, Meta(ge=1)]


class Silence(Fault, frozen=True, kw_only=True, tag="silence"):
    """Take it and never report."""


class Undelivered(Fault, frozen=True, kw_only=True, tag="undelivered"):
    """Take it and report a failure."""

    stat: str = "UNDELIV"
    err: str = "001"


class NoAnswer(Fault, frozen=True, kw_only=True, tag="no-answer"):
    """Take it and never answer the submit; receipts come."""


class SlowAnswer(Fault, frozen=True, kw_only=True, tag="slow-answer"):
    """Answer after so long, instead of the centre's `answer_delay`."""

    seconds: str | float


class SlowReceipt(Fault, frozen=True, kw_only=True, tag="slow-receipt"):
    """Report after so long, instead of the centre's `receipt_delay`."""

    seconds: str | float


class EarlyReceipt(Fault, frozen=True, kw_only=True, tag="early-receipt"):
    """Report before the submit is answered."""


class RepeatReceipt(Fault, frozen=True, kw_only=True, tag="repeat-receipt"):
    """Report `times` times."""

    times: Count = 2


class Congested(Fault, frozen=True, kw_only=True, tag="congested"):
    """Tell in the answer how busy the centre is (congestion_state of SMPP 5)."""

    state: Annotated[int, Meta(ge=0, le=100)]


class Drop(Fault, frozen=True, kw_only=True, tag="drop"):
    """Cut a link at its every `after`-th submit, `times` times in all."""

    after: Count
    times: Count = 1
    #: False: that submit is taken, but its answer is lost with the link.
    answered: bool = True


class Outage(Fault, frozen=True, kw_only=True, tag="outage"):
    """Close the port and cut every link from `from` until `until`."""


class RefuseBind(Fault, frozen=True, kw_only=True, tag="refuse-bind"):
    """Refuse to bind, with `status`."""

    status: str | int = "0x0d"

    @property
    def code(self) -> int:
        """`status` as a number."""
        return int(str(self.status), 0)


AnyFault = (
    Refuse
    | Throttle
    | Silence
    | Undelivered
    | NoAnswer
    | SlowAnswer
    | SlowReceipt
    | EarlyReceipt
    | RepeatReceipt
    | Congested
    | Drop
    | Outage
    | RefuseBind
)
KINDS = tuple(str(kind.__struct_config__.tag) for kind in get_args(AnyFault))
FaultT = TypeVar("FaultT", bound=Fault)


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated message centre: how it behaves when all is well, and its faults."""

    name: str = "centre"
    host: str = "127.0.0.1"
    #: 0 takes a free port.
    port: Annotated[int, Meta(ge=0, le=65535)] = 2775
    seed: int = 1
    #: Who may bind; empty: everybody, with any password.
    accounts: dict[str, str] = {}
    #: Seconds, fixed ("0.2") or drawn from a range ("0.1-0.5").
    answer_delay: str | float = 0.0
    receipt_delay: str | float = 0.1
    #: Send receipts although registered_delivery does not ask for them.
    always_report: bool = False
    #: How ids are written in answers, and in the text of receipts: "dec" or "hex".
    ids: Annotated[str, Meta(pattern="^(dec|hex)$")] = "dec"
    receipt_ids: Annotated[str, Meta(pattern="^(dec|hex)$")] = "dec"
    #: Name the message and its state in TLVs of the receipt too.
    receipt_tlvs: bool = True
    #: Receipts in flight on one link.
    receipt_window: Count = 500
    #: Seconds after which a receipt that was not acknowledged is sent again.
    resend_after: Annotated[float, Meta(gt=0)] = 30.0
    #: Seconds between the centre's own enquire_link; 0: never. A link that does not answer one is cut.
    enquire_link: Seconds = 0.0
    #: PEM files of the centre's certificate and key: it then speaks TLS. With a client_ca_file it wants a certificate
    #: from its peers that these authorities have signed.
    certificate_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    faults: tuple[AnyFault, ...] = ()

    def __post_init__(self) -> None:
        if self.certificate_file is None and (self.key_file or self.client_ca_file):
            raise ScriptError("key_file and client_ca_file need a certificate_file")
        span(self.answer_delay)
        span(self.receipt_delay)
        for fault in self.faults:
            _check(fault)


def span(text: str | float) -> tuple[float, float]:
    """Read a time in seconds, fixed ("0.2") or a range ("0.1-0.5"). Raises `ScriptError`."""
    low, dash, high = str(text).partition("-")
    try:
        seconds = (float(low), float(high) if dash else float(low))
    except ValueError:
        raise ScriptError(f'"{text}" is no time in seconds, such as 0.2 or 0.1-0.5') from None
    if not 0 <= seconds[0] <= seconds[1]:
        raise ScriptError(f'"{text}" is no time in seconds: it must begin at 0 or later and not end before')
    return seconds


def parse_fault(text: str) -> AnyFault:
    """Read one fault as `--fault` gives it: "refuse status=0x45 share=0.1". Raises `ScriptError`."""
    fault: AnyFault = read_fault(text, KINDS, AnyFault, _check)
    return fault


def read_fault(text: str, kinds: Collection[str], form: Any, check: Callable[[Any], None]) -> Any:
    """Read one fault, "KIND key=value ...", of one of these *kinds* as a value of *form*, a union of faults.

    *check* raises `ScriptError` where it makes no sense. Raises `ScriptError`, which names the fault.
    """
    kind, *pairs = text.split() or [""]
    if kind not in kinds:
        raise ScriptError(f'fault "{text}": "{kind}" is none of {", ".join(kinds)}')
    fields: dict[str, Any] = {"kind": kind}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (equals and value):
            raise ScriptError(f'fault "{text}": "{pair}" is not of the form key=value')
        fields[key] = value
    try:
        fault = msgspec.convert(fields, form, strict=False)
        check(fault)
    except (msgspec.ValidationError, ScriptError) as error:
        raise ScriptError(f'fault "{text}": {error}') from None
    return fault


def parse_scenario(text: str) -> list[Script]:
    """Read a TOML scenario: a `seed` and `[[centre]]` tables with `[[centre.faults]]`. Raises `ScriptError`."""
    try:
        raw = tomllib.loads(text)
        seed = raw.pop("seed", 1)
        centres = raw.pop("centre", [])
        if raw or not centres:
            raise ScriptError("a scenario holds seed and [[centre]] tables, nothing else")
        return [msgspec.convert({"seed": seed, **centre}, Script, strict=False) for centre in centres]
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, TypeError, ScriptError) as error:
        raise ScriptError(f"scenario: {error}") from None


def pick(faults: Sequence[AnyFault], kind: type[FaultT]) -> list[FaultT]:
    """The faults of one kind."""
    return [fault for fault in faults if isinstance(fault, kind)]


def _check(fault: AnyFault) -> None:
    if fault.until <= fault.since:
        raise ScriptError(f"until={fault.until:g} is not after from={fault.since:g}")
    if isinstance(fault, SlowAnswer | SlowReceipt):
        span(fault.seconds)
    if isinstance(fault, Refuse | RefuseBind):
        try:
            int(str(fault.status), 0)
        except ValueError:
            raise ScriptError(f'status "{fault.status}" is no number such as 0x45') from None
    if isinstance(fault, Outage) and fault.until == inf and fault.since == 0:
        raise ScriptError("an outage needs from= or until=")


def _matches(pattern: str, value: str) -> bool:
    return pattern == "*" or fnmatchcase(value.removeprefix("+"), pattern.removeprefix("+"))
