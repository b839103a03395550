"""The options of an RCS connection: their meaning, defaults and checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.media import check_networks
from sendpool.connectors.rcs.access import read_account
from sendpool.connectors.web import is_base_url, read_options
from sendpool.domain.sender import Channel

#: Messages unanswered at a time, where the configuration says nothing: at 0.25 s an answer, 400 a second.
DEFAULT_WINDOW = 100
#: Google's host; an agent that is hosted in a region is reached under that region's name in front of it.
HOST = "rcsbusinessmessaging.googleapis.com"

Seconds = Annotated[float, Meta(gt=0, le=86400)]


class Region(StrEnum):
    """Where an agent is hosted; fixed when it is made."""

    US = "us"
    EUROPE = "europe"
    ASIA = "asia"


class Traffic(StrEnum):
    """What a message is for, in Google's words. An agent for several uses must say it with each message."""

    AUTHENTICATION = "AUTHENTICATION"
    TRANSACTION = "TRANSACTION"
    PROMOTION = "PROMOTION"
    SERVICEREQUEST = "SERVICEREQUEST"
    ACKNOWLEDGEMENT = "ACKNOWLEDGEMENT"


class RcsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every option of a `[[connections]]` table of type "rcs", besides those that all types have."""

    #: Where the API is, without path; None: Google's host in `region`.
    base_url: str | None = None
    #: None: the global host.
    region: Region | None = None
    #: The JSON file of a Google service account. It or `token`.
    service_account_file: str | None = None
    #: An access token that does not end, for other providers of the same API.
    token: str | None = None
    #: The webhook's clientToken: it signs what is said to us. Without it everything said is refused.
    client_token: str = ""
    #: What messages are for, where their sender says nothing.
    traffic_type: Traffic = Traffic.TRANSACTION
    #: Look at the files that messages name by URL, and send none that the channel does not take for its type or size.
    check_media: bool = False
    #: Private networks in which such files may be.
    media_networks: tuple[str, ...] = ()
    connect_timeout: Seconds = 5.0
    #: Seconds for one request to send or to revoke.
    response_timeout: Seconds = 15.0
    #: Seconds for a look-up of one number, and of up to 10,000.
    lookup_timeout: Seconds = 2.0
    bulk_lookup_timeout: Seconds = 10.0
    #: Seconds without any answer before we ask whether the carrier is there.
    idle: Seconds = 30.0
    #: Seconds between looks while it is not: from the first, doubling, up to the last.
    reconnect_min: Seconds = 1.0
    reconnect_max: Seconds = 60.0
    #: Seconds to wait at least after the service account was refused, which only a person can mend.
    refused_wait: Seconds = 300.0

    @property
    def root(self) -> str:
        """The base URL, without a slash at its end."""
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        return f"https://{self.region}-{HOST}" if self.region else f"https://{HOST}"

    def __repr__(self) -> str:
        """Only where it is: the rest holds secrets."""
        return f"RcsSettings({self.root})"


class AgentOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `[[connections.senders]]` table may add."""

    #: What this agent's messages are for; None: as the connection says.
    traffic_type: Traffic | None = None


def read_settings(settings: ConnectionSettings) -> RcsSettings:
    """Read and check the options of *settings* and of its senders; reads the service account's file.

    Raises `ValueError` that begins with the key ("key 'token': ...").
    """
    options = read_options(settings.options, RcsSettings)
    check_networks(options.media_networks)
    _check_address(options)
    _check_credentials(options)
    if options.reconnect_max < options.reconnect_min:
        raise ValueError("key 'reconnect_max': it must not be below reconnect_min")
    if settings.window is not None and settings.window < 1:
        raise ValueError(f"key 'window': expected 1 or more, got {settings.window}")
    for sender in settings.senders:
        _check_sender(sender)
    return options


def agent_options(options: Mapping[str, object]) -> AgentOptions:
    """Read the options of one sender. Raises `ValueError` that begins with the key."""
    return read_options(options, AgentOptions)


def _check_address(options: RcsSettings) -> None:
    if options.base_url is None:
        return
    if options.region is not None:
        raise ValueError("key 'region': base_url says already where the API is; leave one of the two out")
    if not _is_root(options.base_url):
        raise ValueError(f"key 'base_url': expected a URL without path, such as \"https://{HOST}\"")


def _is_root(base_url: str) -> bool:
    """Whether it names a host, and perhaps a port, and nothing else."""
    return is_base_url(base_url) and not urlsplit(base_url).path.strip("/")


def _check_credentials(options: RcsSettings) -> None:
    if (options.token is None) == (options.service_account_file is None):
        raise ValueError("key 'service_account_file': give either it or token")
    if options.service_account_file is not None:
        try:
            read_account(options.service_account_file)
        except ValueError as error:
            raise ValueError(f"key 'service_account_file': {error}") from None
    elif not re.fullmatch(r"[\x21-\x7e]+", options.token or ""):
        raise ValueError("key 'token': expected a text of printable ASCII characters without blanks")


def _check_sender(sender: SenderSettings) -> None:
    if sender.channel is not Channel.RCS:
        raise ValueError(f"sender {sender.address}: key 'channel': an RCS connection carries RCS senders only")
    if not sender.address.isascii() or any(c in sender.address for c in "/ "):
        raise ValueError(f"sender {sender.address}: key 'address': expected an agent id, such as agent@rbm.goog")
    try:
        agent_options(sender.options)
    except ValueError as error:
        raise ValueError(f"sender {sender.address}: {error}") from None
