"""The options of an HTTP connection: their meaning, defaults and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sendpool.connectors.base import ConnectionSettings
from sendpool.connectors.web import read_options

#: Messages unanswered at a time where the configuration says nothing.
DEFAULT_WINDOW = 20

Seconds = Annotated[float, Meta(gt=0, le=86400)]
Text = Annotated[str, Meta(min_length=1)]
#: Names and indices with dots between: "messages.0.message-id".
Path = Annotated[str, Meta(pattern=r"^[^.\s]+(\.[^.\s]+)*\Z")]
HeaderName = Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_|~0-9A-Za-z-]+\Z")]
Status = Annotated[int, Meta(ge=200, le=599)]
Algorithm = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64"]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; what it holds may be secret."""

    def __repr__(self) -> str:
        """Only what it is."""
        return type(self).__name__


class Basic(_Table, frozen=True, kw_only=True, tag_field="type", tag="basic"):
    """User and password (RFC 7617)."""

    username: str
    password: str = ""


class Bearer(_Table, frozen=True, kw_only=True, tag_field="type", tag="bearer"):
    """A token (RFC 6750)."""

    token: Text


class Header(_Table, frozen=True, kw_only=True, tag_field="type", tag="header"):
    """A header with a secret."""

    name: HeaderName
    value: Text


class Hmac(_Table, frozen=True, kw_only=True, tag_field="type", tag="hmac"):
    """A header with a keyed hash (RFC 2104) over `input`."""

    secret: Text
    header: HeaderName
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    #: A template of body, timestamp, method, url and path.
    input: Text = "{{body}}"
    #: What stands before the hash: "sha256=".
    prefix: str = ""
    #: Holds the seconds since 1970.
    timestamp_header: HeaderName | None = None
    #: Of a callback: seconds by which its timestamp may be off.
    max_skew: Seconds = 300.0


class Ed25519(_Table, frozen=True, kw_only=True, tag_field="type", tag="ed25519"):
    """A header with a signature by the carrier's key (RFC 8032), in base64."""

    public_key: Text
    header: HeaderName
    input: Text = "{{timestamp}}|{{body}}"
    timestamp_header: HeaderName | None = None
    max_skew: Seconds = 300.0


class SignedFields(_Table, frozen=True, kw_only=True, tag_field="type", tag="fields"):
    """A field with a keyed hash over all others, sorted by name: "&a=1&b=2", where values have "_" for "&" and "="."""

    secret: Text
    field: Text = "sig"
    algorithm: Algorithm = "sha256"
    #: A field that holds the seconds since 1970.
    timestamp_field: Text | None = None
    max_skew: Seconds = 300.0


class Token(_Table, frozen=True, kw_only=True, tag_field="type", tag="token"):
    """A secret that comes with each callback: in a header, or in the query of the address that the carrier is given."""

    value: Annotated[str, Meta(min_length=16)]
    header: HeaderName | None = None
    query: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z")] | None = None


class Request(_Table, frozen=True, kw_only=True):
    """The request that sends a message."""

    url: Text
    method: Literal["POST", "PUT", "GET"] = "POST"
    headers: Mapping[HeaderName, str] = {}
    #: The body, as JSON or as a form; neither: there is none.
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str | int | list[str]] | None = None
    #: What {{encoding}} is for texts that GSM-7 can write, and for others.
    gsm: str = "GSM-7"
    ucs2: str = "UCS-2"
    #: Seconds that {{validity}} is at least and at most.
    shortest_validity: Annotated[int, Meta(ge=1)] = 1
    longest_validity: Annotated[int, Meta(ge=1)] = 172_800
    #: Characters of a text at most.
    longest_text: Annotated[int, Meta(ge=1)] = 1_600
    #: The carrier drops a repeat of the same message id, so that one without an answer is repeated.
    idempotent: bool = False


class Success(_Table, frozen=True, kw_only=True):
    """What else an answer has to say."""

    path: Path
    equals: Annotated[list[str | int | bool], Meta(min_length=1)]


class Response(_Table, frozen=True, kw_only=True):
    """What the answer to a message means."""

    accepted: Annotated[list[Status], Meta(min_length=1)] = msgspec.field(default_factory=lambda: [200, 201, 202])
    success: Success | None = None
    #: Where the carrier's own id stands; without it answers are taken to have none.
    id: Path | None = None
    #: Where an error code may stand; the first that is there counts.
    codes: list[Path] = []
    #: Failure classes by code, or by HTTP status.
    classes: Mapping[str, str] = {}
    #: A table of `sendpool classes` that knows the codes as well.
    table: str | None = None
    #: What a throttled answer pauses.
    throttles: Literal["connection", "sender"] = "connection"
    retry_after: HeaderName = "Retry-After"


class Received(_Table, frozen=True, kw_only=True):
    """Where a message of a person stands in a callback."""

    sender: Path
    recipient: Path
    text: Path
    id: Path | None = None
    media: Path | None = None
    #: What tells it from a status; without it: that there is no status.
    when: Success | None = None


class Callback(_Table, frozen=True, kw_only=True):
    """What the carrier tells us, and how we know that it is the carrier."""

    verify: Hmac | Ed25519 | SignedFields | Token | Basic
    method: Literal["POST", "GET"] = "POST"
    #: Where a list of reports stands in a body; None: the body is one report, or a list of them.
    events: Path | None = None
    #: Where the carrier's id stands, and our own ({{message_id}}), which wins.
    id: Path | None = None
    reference: Path | None = None
    status: Path | None = None
    #: PROGRESS, DELIVERED, READ, UNDELIVERED, EXPIRED or REVOKED by the carrier's word; others say nothing for us.
    statuses: Mapping[str, str] = {}
    codes: list[Path] = []
    classes: Mapping[str, str] = {}
    table: str | None = None
    inbound: Received | None = None
    answer: Status = 200
    answer_body: str = ""


class HttpSettings(_Table, frozen=True, kw_only=True):
    """Every option of a `[[connections]]` table of type "http", besides those that all types have."""

    request: Request
    response: Response = Response()
    auth: Basic | Bearer | Header | Hmac | None = None
    callback: Callback | None = None
    #: For templates, as {{secret.NAME}}.
    secrets: Mapping[str, str] = {}
    #: How the carrier reaches this server.
    public_url: str | None = None
    connect_timeout: Seconds = 5.0
    response_timeout: Seconds = 15.0
    #: Seconds without any answer before we see whether the host is there.
    idle: Seconds = 30.0
    #: Seconds between looks while it is not: from the first, doubling, up to the last.
    reconnect_min: Seconds = 1.0
    reconnect_max: Seconds = 60.0


def read_tables(settings: ConnectionSettings) -> HttpSettings:
    """Read the options of *settings*, each by itself. Raises `ValueError` that begins with the key."""
    return read_options(settings.options, HttpSettings)
