"""The options of an SMTP connection: their meaning, defaults and checks."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.smtp.addresses import UnfitAddress, mailbox
from sendpool.connectors.smtp.signature import read_key
from sendpool.connectors.web import read_options
from sendpool.domain.sender import Channel

#: Connections to the relay at a time where the configuration says nothing; each carries one message at a time.
DEFAULT_WINDOW = 5

Seconds = Annotated[float, Meta(gt=0, le=86400)]
Port = Annotated[int, Meta(ge=1, le=65535)]
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
#: Fields that are written for each message and cannot be set.
_OWN_FIELDS = frozenset(
    "from to cc bcc sender reply-to subject date message-id mime-version content-type content-transfer-encoding"  # noqa: SIM905
    " dkim-signature list-unsubscribe list-unsubscribe-post return-path auto-submitted x-sendpool".split()
)


class Tls(StrEnum):
    """How the connection is encrypted. There is no "if the relay offers it": credentials would go out in clear."""

    #: From the first octet (RFC 8314), port 465.
    IMPLICIT = "implicit"
    #: By STARTTLS; without it nothing is sent.
    STARTTLS = "starttls_required"
    NONE = "none"


class Notify(StrEnum):
    """Of what a delivery status notification is asked for (RFC 3461 §4.1)."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Protocol(StrEnum):
    """What is spoken at the port that takes bounces."""

    SMTP = "smtp"
    LMTP = "lmtp"


class SmtpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every option of a `[[connections]]` table of type "smtp", besides those that all types have."""

    host: Annotated[str, Meta(min_length=1)]
    #: None: 465 for implicit TLS, 587 for STARTTLS, 25 without.
    port: Port | None = None
    #: None: implicit on port 465 and where no port is given, else STARTTLS.
    tls: Tls | None = None
    #: A file of certificates to trust instead of the system's.
    ca_file: str | None = None
    username: str | None = None
    password: str | None = None
    #: An OAuth 2 access token, instead of a password.
    token: str | None = None
    #: What we call ourselves in EHLO; None: this machine's full name.
    helo_name: str | None = None
    #: Where bounces go: `bounce+...@` this domain. None: they go to the sender's own mailbox.
    bounce_domain: str | None = None
    #: Signs what comes back to us: bounce addresses and links to unsubscribe.
    secret: str | None = None
    #: Of what to ask for notifications; None: of everything with a `bounce_domain`, else of nothing.
    notify: tuple[Notify, ...] | None = None
    #: The address and port at which bounces are taken; no port: nowhere.
    bounce_host: str = "127.0.0.1"
    bounce_port: Port | None = None
    bounce_protocol: Protocol = Protocol.SMTP
    #: What a relay that posts bounces by HTTP sends as bearer token; None: nothing is taken that way.
    bounce_token: str | None = None
    #: Where recipients reach this server: bulk messages then carry a link to unsubscribe with one click.
    public_url: str | None = None
    dkim_selector: str | None = None
    #: An RSA key as PEM. Each message is signed for its sender's domain, or for `dkim_domain`.
    dkim_key_file: str | None = None
    dkim_domain: str | None = None
    #: The header field in which the relay reads `ipPoolName`; None: it is not told.
    ip_pool_header: str | None = None
    #: Header fields of every message, beside the usual ones.
    headers: Mapping[str, str] = {}
    connect_timeout: Seconds = 30.0
    #: Seconds for the answer to a command.
    response_timeout: Seconds = 60.0
    #: Seconds for the answer to a whole message (RFC 5321 §4.5.3.2.6 asks for 10 minutes): a short wait makes doubles.
    final_timeout: Seconds = 300.0
    #: Seconds that closing waits for what is in flight.
    close_timeout: Seconds = 30.0
    #: Seconds that a connection without messages is kept.
    keep: Seconds = 30.0
    messages_per_connection: Annotated[int, Meta(ge=1)] = 100
    #: Seconds without any answer before we ask whether the relay is there.
    idle: Seconds = 60.0
    #: Seconds between looks while it is not: from the first, doubling, up to the last.
    reconnect_min: Seconds = 1.0
    reconnect_max: Seconds = 60.0
    #: Seconds to wait at least after a refusal that only a person can mend, such as a wrong password.
    refused_wait: Seconds = 300.0

    @property
    def encryption(self) -> Tls:
        """How the connection is encrypted."""
        return self.tls or (Tls.IMPLICIT if self.port in (None, 465) else Tls.STARTTLS)

    @property
    def reached_at(self) -> int:
        """The relay's port."""
        return self.port or {Tls.IMPLICIT: 465, Tls.STARTTLS: 587, Tls.NONE: 25}[self.encryption]

    @property
    def notified_of(self) -> tuple[Notify, ...]:
        """Of what notifications are asked for."""
        return self.notify if self.notify is not None else tuple(Notify) if self.bounce_domain else ()

    def __repr__(self) -> str:
        """Only where it is: the rest holds secrets."""
        return f"SmtpSettings({self.host})"


class MailboxOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `[[connections.senders]]` table may add."""

    #: It sends for every mailbox of its domain that a request names.
    whole_domain: bool = False
    #: Where answers go; None: to the sender.
    reply_to: str | None = None
    #: Header fields of its messages, beside those of the connection.
    headers: Mapping[str, str] = {}


def read_settings(settings: ConnectionSettings) -> SmtpSettings:
    """Read and check the options of *settings* and of its senders; reads the files that they name.

    Raises `ValueError` that begins with the key ("key 'token': ...").
    """
    options = read_options(settings.options, SmtpSettings)
    _check_link(options)
    _check_ways_back(options)
    _check_signature(options)
    _check_headers(options.headers)
    if options.ip_pool_header is not None:
        _check_headers({options.ip_pool_header: ""}, "ip_pool_header")
    if settings.window is not None and settings.window < 1:
        raise ValueError(f"key 'window': expected 1 or more, got {settings.window}")
    for sender in settings.senders:
        _check_sender(sender)
    return options


def mailbox_options(options: Mapping[str, object]) -> MailboxOptions:
    """Read the options of one sender. Raises `ValueError` that begins with the key."""
    return read_options(options, MailboxOptions)


def trusted(options: SmtpSettings) -> ssl.SSLContext:
    """What certificates are checked against. Raises `ValueError` where the file is no good."""
    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"key 'ca_file': {options.ca_file} cannot be used: {error.strerror or error}") from None


def _check_link(options: SmtpSettings) -> None:
    if options.ca_file is not None:
        trusted(options)
    if options.password is not None and options.token is not None:
        raise ValueError("key 'token': give either it or password")
    if (options.username is None) != (options.password is None and options.token is None):
        raise ValueError("key 'username': it takes a password or a token, and these take a username")
    if options.reconnect_max < options.reconnect_min:
        raise ValueError("key 'reconnect_max': it must not be below reconnect_min")
    if options.helo_name is not None and not _HOST_NAME.fullmatch(options.helo_name.strip("[]")):
        raise ValueError("key 'helo_name': expected the name of this machine, such as \"send.example.com\"")


def _check_ways_back(options: SmtpSettings) -> None:
    if options.bounce_domain is not None and not _HOST_NAME.fullmatch(options.bounce_domain):
        raise ValueError("key 'bounce_domain': expected a domain, such as \"bounces.example.com\"")
    for key in ("bounce_domain", "public_url"):
        if getattr(options, key) is not None and len(options.secret or "") < 16:
            raise ValueError(f"key 'secret': {key} needs one of 16 characters or more; keep it for good")
    for key in ("bounce_port", "bounce_token"):
        if getattr(options, key) is not None and options.bounce_domain is None:
            raise ValueError(f"key '{key}': it takes what is sent to bounce_domain; name that too")
    if options.public_url is not None:
        url = urlsplit(options.public_url)
        if url.scheme not in ("https", "http") or not url.netloc or url.query or url.fragment:
            raise ValueError("key 'public_url': expected a URL, such as \"https://send.example.com\"")


def _check_signature(options: SmtpSettings) -> None:
    if (options.dkim_selector is None) != (options.dkim_key_file is None):
        raise ValueError("key 'dkim_selector': it and dkim_key_file go together")
    if options.dkim_key_file is not None:
        try:
            read_key(options.dkim_key_file)
        except ValueError as error:
            raise ValueError(f"key 'dkim_key_file': {error}") from None


def _check_headers(headers: Mapping[str, str], key: str = "headers") -> None:
    for name, value in headers.items():
        if not _FIELD_NAME.fullmatch(name) or not value.isprintable():
            raise ValueError(f"key '{key}': \"{name[:64]}\" is no header field with a value on one line")
        if name.lower() in _OWN_FIELDS:
            raise ValueError(f"key '{key}': {name} is written for each message; leave it out")


def _check_sender(sender: SenderSettings) -> None:
    where = f"sender {sender.address}"
    if sender.channel is not Channel.EMAIL:
        raise ValueError(f"{where}: key 'channel': an SMTP connection carries EMAIL senders only")
    try:
        mailbox(sender.address)
        options = mailbox_options(sender.options)
        _check_headers(options.headers)
    except UnfitAddress:
        raise ValueError(f"{where}: key 'address': expected an address, such as shop@example.com") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    try:
        if options.reply_to is not None:
            mailbox(options.reply_to)
    except UnfitAddress:
        raise ValueError(f"{where}: key 'reply_to': expected an address, such as help@example.com") from None
