"""What a connector is given, what it must do, and what it may say back.

A connector is a live link to one carrier account. It sees `domain/` and this file only: it is handed
an `Inbox` and never calls a stage of the pipeline itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec
import structlog

from sendpool.domain.failures import FailureClass, Repair
from sendpool.domain.keywords import Keywords
from sendpool.domain.limits import Limits
from sendpool.domain.message import Category, Content
from sendpool.domain.reassembly import Part
from sendpool.domain.sender import Channel

log = structlog.get_logger(__name__)


class SenderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A sender as its connection's configuration declares it."""

    channel: Channel
    address: str
    display_name: str | None = None
    #: Segments a second; None takes the channel's default.
    mps: float | None = None
    burst: float | None = None
    #: Where it is at home, where its address does not tell (a short code, a name).
    country: str | None = None
    #: The only countries that it sends to (None: all), and those that it does not.
    countries: tuple[str, ...] | None = None
    not_countries: tuple[str, ...] = ()
    #: The registered campaign that it belongs to.
    campaign: str | None = None
    #: The named scopes that it is in, beside those of its connection.
    scopes: tuple[str, ...] = ()
    limits: Limits = Limits()
    #: Whatever else the `[[connections.senders]]` table holds (for example `ton`, `npi`).
    options: Mapping[str, Any] = {}


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[connections]]` table; `options` holds the keys that belong to its type alone."""

    name: str
    type: str
    #: The sid of the account that it and its senders belong to; None: the first.
    account: str | None = None
    #: Segments a second over all senders of the connection; None: no limit of its own.
    mps: float | None = None
    burst: float | None = None
    #: The named scopes that all its senders are in.
    scopes: tuple[str, ...] = ()
    limits: Limits = Limits()
    #: Submits in flight; None takes the connector's default (10 for SMPP).
    window: int | None = None
    #: Countries in which it takes nothing from a sender without a campaign.
    require_campaign: tuple[str, ...] = ()
    #: What is done with the keywords that people send to its senders.
    keywords: Keywords = Keywords()
    senders: tuple[SenderSettings, ...] = ()
    options: Mapping[str, Any] = {}

    @property
    def named_scopes(self) -> set[str]:
        """The named scopes that it or any of its senders is in."""
        return {*self.scopes, *(name for sender in self.senders for name in sender.scopes)}


class AttemptKey(NamedTuple):
    """Attempt `n` (from 1) of a message; `message_id` is the store's integer."""

    message_id: int
    n: int


class Submission(NamedTuple):
    """One attempt to hand over: every segment of it goes through this one sender."""

    attempt: AttemptKey
    channel: Channel
    #: The sender's address as declared ("+12034458910", "INFO", "62442", an agent id).
    sender: str
    #: The recipient's address (E.164 with "+", or that of a mailbox).
    recipient: str
    #: Interned per operation: the same object for every recipient who gets the same text.
    content: Content
    #: How many carrier-sized parts the store charged for.
    segments: int
    #: Concatenation reference (0-255), stored with the attempt; meaningless for one segment.
    reference: int
    #: Seconds the message is still useful, or None for the carrier's own default.
    validity: int | None
    #: Bit i set: part i+1 is wanted. Normally all; fewer when only some parts go again.
    parts: int
    #: The sender's own options from the configuration.
    options: Mapping[str, Any]
    #: What the message is for, where the carrier wants to know.
    category: Category = Category.TRANSACTIONAL
    #: The attempt's own id ("SM" and 32 hex digits), unique everywhere; only for connectors that name attempts.
    public_id: str = ""
    #: The recipient's name beside an email address, where the request gave one.
    name: str | None = None
    #: The changed form to send it in, since the carrier refused it as it is; only for connectors that repair.
    repair: Repair | None = None
    #: The message's tags; only for connectors that read them.
    tags: Mapping[str, str] = {}


class CarrierId(NamedTuple):
    """The carrier took the segment and calls it so (normalised as receipts will name it)."""

    id: str
    #: Another name that the carrier has for it: the one that it made, where `id` is ours. Receipts may come under both.
    also: str = ""
    #: It names the whole message, which has several parts by our count: one receipt speaks of all of them.
    whole: bool = False


class Rejected(NamedTuple):
    """A firm no: nothing was accepted. `code` is the carrier's own, as text ("0x0A", "131026")."""

    failure: FailureClass
    code: str
    #: What the refusal indicts: message, pair, sender, sender_country, connection or account.
    scope: str = "message"
    #: `Classified.rule` of the row that decided ("smpp/0x0a"); "" where the connector knew the class by itself.
    rule: str = ""


class Throttled(NamedTuple):
    """Too fast; surely not accepted. Not a failure of the message: its scope pauses."""

    #: What was too fast: "sender", "connection", "pair" (this recipient), "segment" (this text alone), or a named scope
    #: of the sender; "scope" is all of those that it has.
    scope: str
    #: Seconds the carrier asked for, or None.
    retry_after: float | None
    code: str


class Unavailable(NamedTuple):
    """Nothing left us: the link was down."""

    reason: str


class Uncertain(NamedTuple):
    """It may have left: a timeout, a cut link, a crash of the peer after the write."""

    reason: str


class Recounted(NamedTuple):
    """Nothing left us: the text makes another number of segments here than it was charged for. It goes back to its
    place and comes again with the right one. Only for a submission whose parts are all wanted.
    """

    segments: int


Outcome = CarrierId | Rejected | Throttled | Unavailable | Uncertain | Recounted


class ReceiptState(IntEnum):
    """What a receipt says about one segment; the first two are not final."""

    PROGRESS = 0
    #: The carrier does not know (stat UNKNOWN); evidence, but no decision.
    UNKNOWN = 1
    DELIVERED = 2
    READ = 3
    UNDELIVERED = 4
    #: The carrier gave up because the validity period passed.
    EXPIRED = 5
    REVOKED = 6


class Receipt(NamedTuple):
    """The carrier's later word on one segment."""

    #: As `CarrierId.id` named it, normalised by the connector.
    carrier_id: str
    state: ReceiptState
    #: Set when the state is a failure.
    failure: FailureClass | None
    #: The carrier's own code as text ("034", "UNDELIV"); empty where there is none.
    code: str
    #: `Classified.rule` of the row that decided ("smpp.stat/UNDELIV"); "" where the state is no failure.
    rule: str = ""
    #: The addresses of our sender and of the recipient and the moment of the submit, as the carrier wrote them: they
    #: tell what it is about where nobody knows the id. Empty where the carrier need not be asked so.
    about: tuple[bytes, ...] = ()


class Inbound(NamedTuple):
    """A text that a person sent to one of our senders."""

    channel: Channel
    #: The person's address.
    sender: str
    #: Our sender's address.
    recipient: str
    text: str
    #: The carrier's id of it where it gave one, for dropping repeats.
    carrier_id: str | None = None
    #: Which part of a long text it is, where the phone sent several; they are joined before anybody sees them.
    part: Part | None = None
    #: What the button or suggestion stands for that the person chose, as it was sent with the message.
    postback: str | None = None
    #: URLs of what came with the text.
    media: tuple[str, ...] = ()


class OptedOut(NamedTuple):
    """A person who does not want to hear from us any more, and said so in a way that names no attempt (a link)."""

    channel: Channel
    #: The person's address.
    address: str
    #: `Classified.rule` of a row of class CONSENT ("smtp/unsubscribe"): it tells what of (domain/consent.py).
    rule: str


class Heard(NamedTuple):
    """The carrier said something about one of our senders, by the way in which it also tells what people write."""

    channel: Channel
    #: Our sender's address.
    sender: str
    #: Somebody may have written to it, or called, whose number we were not told.
    unplaced: bool = False


class Inbox(Protocol):
    """Where a connector says what happened. One per connection; call it from the event loop only.

    Hand over what one socket read brought in one call: everything behind it is set-based.
    """

    def outcomes(self, items: Sequence[tuple[AttemptKey, int, Outcome]]) -> None:
        """What became of segments; the int is the part, from 1. Each part gets exactly one final outcome.

        An outcome that comes later for a part already `Uncertain` (a late response) is welcome and settles it.
        """

    def receipts(self, items: Sequence[Receipt]) -> Awaitable[None]:
        """Store receipts. Acknowledge to the carrier when this resolves; on an exception ask for a repeat."""

    def inbound(self, items: Sequence[Inbound]) -> Awaitable[None]:
        """Store inbound texts. Acknowledge when this resolves."""

    def opted_out(self, items: Sequence[OptedOut]) -> Awaitable[None]:
        """Write who has opted out into the account's ledger. Acknowledge when this resolves."""

    def heard(self, items: Sequence[Heard]) -> Awaitable[None]:
        """Note whom the carrier tells of, for connectors that are `NeedsWindow`. Acknowledge when this resolves."""

    def pace(self, share: float) -> None:
        """Go on at this share (0.0 to 1.0) of the connection's throughput, as the carrier's load asks for.

        0.0: nothing for a moment, then little; say it again for as long as it holds. A link that comes up anew begins
        at 1.0.
        """

    def link(self, *, up: bool, window: int, detail: str = "") -> None:
        """Say how many segments may be in flight now (0 when down) and, in plain words, why."""


class Connector(Protocol):
    """A live link to one carrier account, shared by the senders behind it."""

    async def open(self, inbox: Inbox) -> None:
        """Start connecting and return at once; reconnect by yourself for ever. Say `inbox.link` on each change.

        Whatever the carrier says unasked goes to *inbox*.
        """

    async def submit(self, batch: Sequence[Submission]) -> None:
        """Hand over a batch; return when it is written (or queued behind a full window).

        What became of each segment comes to the inbox: a carrier id, `Rejected` (a firm no), `Throttled` (later,
        not counted as an attempt), `Unavailable` (nothing left us) or `Uncertain` (it may have: await a receipt).
        Never raises for what a carrier did.
        """

    async def close(self) -> None:
        """Finish what is in flight (bounded by the response timer), then disconnect."""


class CallbackRequest(NamedTuple):
    """A request that a carrier made to one of our callback endpoints."""

    #: The whole URL as the carrier called it; some carriers sign it.
    url: str
    #: By name; names are in lower case, or the mapping ignores case.
    headers: Mapping[str, str]
    body: bytes


class CallbackAnswer(NamedTuple):
    """What the carrier is answered."""

    status: int
    body: bytes = b""
    media_type: str = "text/plain"


class CallbackRoute(NamedTuple):
    """A callback endpoint of a connector; the server mounts it under /callbacks/<connection name>."""

    #: "POST" or "GET".
    method: str
    #: What follows the connection's name: "/events".
    path: str
    #: Resolves once what the carrier said is durable. Never raises: a failure is an answer that asks for a repeat.
    handle: Callable[[CallbackRequest], Awaitable[CallbackAnswer]]


@runtime_checkable
class TakesCallbacks(Protocol):
    """A connector whose carrier reports by HTTP."""

    def routes(self) -> Sequence[CallbackRoute]:
        """The endpoints that the carrier calls. They work from `open` to `close`."""


@runtime_checkable
class HearsUnopened(Protocol):
    """A connector that takes its carrier's reports also where it is never opened: another node sends by it."""

    def listen(self, inbox: Inbox) -> None:
        """Hand what `routes` take to *inbox*, and connect to nothing."""


@runtime_checkable
class KnowsCapabilities(Protocol):
    """A connector that can ask ahead who is reachable on its channel."""

    async def capabilities(self, addresses: Sequence[str], sender: str | None = None) -> Mapping[str, bool | None]:
        """Whether *sender* (None: the connection's first) reaches each address; None: nobody could say. Never raises.

        Bounded by the connector's own timers. The caller caches, and asks once for callers that want the same.
        """


@runtime_checkable
class CanRevoke(Protocol):
    """A connector that can take back what it has submitted."""

    async def revoke(self, carrier_id: str, recipient: str, sender: str) -> bool | None:
        """Take a submitted message back. True: the carrier says that it will not arrive. False: too late for that.

        None: it could not be asked, or its word is worth nothing. Never raises.
        """


@runtime_checkable
class KnowsFates(Protocol):
    """A connector that can ask what became of messages which its carrier has taken."""

    #: Seconds after the acceptance at which it asks first, where no report has told; 0: never.
    ask_after: float

    async def fates(self, carrier_ids: Sequence[str]) -> Mapping[str, Receipt | None]:
        """What became of each message, by the carrier's own id of it; None: that is still open.

        Leave out what the carrier has not answered about. Never raises.
        """


@runtime_checkable
class NamesAttempts(Protocol):
    """A connector that makes carrier ids of the attempts' own ids, so that they are known before a carrier answers."""

    @staticmethod
    def carrier_id(public_id: str) -> str:
        """The carrier id of the attempt that `Submission.public_id` names, whatever became of it, also after a restart:
        its receipts are recognised by it, and one of unknown fate can be taken back.
        """


@runtime_checkable
class WritesAhead(Protocol):
    """A connector that makes what it will write before it may leave, and then waits for nothing to write it."""

    def prepare(self, batch: Sequence[Submission]) -> Callable[[], None]:
        """`submit` in two parts: make what can be made ahead; what this returns hands it over in the caller's turn.

        It may never be called: then nothing of the batch leaves, and nobody is told anything.
        """


@runtime_checkable
class ReadsTags(Protocol):
    """A connector that sends some of a message's tags along, where its settings say so."""

    #: Always true: that it is there says it.
    reads_tags: bool


@runtime_checkable
class RepairsContent(Protocol):
    """A connector that can send in a changed form what its carrier refuses as it is."""

    @staticmethod
    def repairs(settings: ConnectionSettings, sender: SenderSettings) -> frozenset[Repair]:
        """The forms that a sender of a connection has by their settings, which have been checked."""


@runtime_checkable
class NeedsWindow(Protocol):
    """A connector whose carrier takes free content only for who has written to the sender within 24 hours."""

    @staticmethod
    def needs_window(content: Content) -> bool:
        """Whether the carrier takes *content*, as it is on the channel, for such people alone."""


@runtime_checkable
class FindsSenders(Protocol):
    """A connector whose carrier tells which senders the account has, so that nobody has to declare them."""

    @staticmethod
    def finds(settings: ConnectionSettings) -> bool:
        """Whether a connection of these settings, which have been checked, looks for senders."""

    async def inventory(self) -> Sequence[SenderSettings] | None:
        """The senders that the carrier lets it send by now; None: nobody could say. Never raises."""


class Caution(NamedTuple):
    """Settings that are allowed and unwise: what may happen, and what to do."""

    says: str
    remedy: str


@runtime_checkable
class GivesCautions(Protocol):
    """A connector that knows unwise settings."""

    @staticmethod
    def cautions(settings: ConnectionSettings) -> Sequence[Caution]:
        """What is unwise about settings, which have been checked."""


@runtime_checkable
class KnowsObjections(Protocol):
    """A connector whose link may be up though the carrier would take nothing from us."""

    async def objection(self) -> str:
        """What the carrier has against our credentials or senders, in plain words; "": nothing. Asked once connected.

        Sends no message and never raises.
        """
