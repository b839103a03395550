"""The options of a WhatsApp connection: their meaning, defaults and checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from sendpool.connectors.base import ConnectionSettings, SenderSettings
from sendpool.connectors.media import check_networks
from sendpool.connectors.web import is_base_url, read_options
from sendpool.domain.sender import Channel
from sendpool.domain.whatsapp_content import Name

#: Messages unanswered at a time, where the configuration says nothing: at 1 s an answer enough for the 80 a second
#: of one number.
DEFAULT_WINDOW = 100
HOST = "https://graph.facebook.com"

Seconds = Annotated[float, Meta(gt=0, le=86400)]
#: Ids are digits; a file may write them without quotes.
Id = Annotated[str, Meta(pattern=r"^[0-9]{1,32}\Z")] | Annotated[int, Meta(gt=0)]


class WindowTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approved template in which a text goes to somebody who has not written to us for 24 hours."""

    name: Name
    language: Annotated[str, Meta(min_length=2, max_length=15)] = "en_US"
    #: Its body has one parameter, which the text becomes; False: it says the same to everybody.
    text: bool = True
    #: How that parameter is called, where the template names its parameters.
    parameter_name: Name | None = None


class WhatsAppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every option of a `[[connections]]` table of type "whatsapp", besides those that all types have."""

    #: A token of a system user, which does not end.
    access_token: str
    #: Where the API is, up to its version; providers and tests stand in for Meta's host.
    base_url: str = HOST
    #: Of the Graph API; each lives about two years.
    version: Annotated[str, Meta(pattern=r"^v[0-9]{1,3}\.[0-9]\Z")] = "v23.0"
    #: The WhatsApp business account (WABA) that the numbers belong to.
    business_account_id: Id | None = None
    #: Every number of the account that can send is a sender, also where nobody declares it.
    all_numbers: bool = True
    #: The app's secret: it signs what is said to us. Without it everything said is refused.
    app_secret: str = ""
    #: What the webhook is asked for when it is set up.
    verify_token: str = ""
    #: Prove with each request that we know the app's secret (`appsecret_proof`).
    prove_secret: bool = False
    #: Let phones show a preview of the first link in a text.
    preview_urls: bool = False
    #: What a free text becomes that the platform refuses because the person has not written to us; None: nothing.
    window_template: WindowTemplate | None = None
    #: Look at the files that messages name by URL, and send none that the channel does not take for its type or size.
    check_media: bool = False
    #: Upload such files and send their ids, so that the platform need not reach their hosts.
    upload_media: bool = False
    #: Seconds for which an upload is used again; the platform keeps it for 30 days.
    keep_uploads: Annotated[float, Meta(ge=600, le=29 * 86_400)] = 86_400.0
    #: Private networks in which such files may be.
    media_networks: tuple[str, ...] = ()
    connect_timeout: Seconds = 5.0
    #: Seconds for one request.
    response_timeout: Seconds = 30.0
    #: Seconds without any answer before we see whether the host is there.
    idle: Seconds = 30.0
    #: Seconds between looks while it is not: from the first, doubling, up to the last.
    reconnect_min: Seconds = 1.0
    reconnect_max: Seconds = 60.0

    @property
    def root(self) -> str:
        """What every request's URL begins with, without a slash at its end."""
        return f"{self.base_url.rstrip('/')}/{self.version}"

    def __repr__(self) -> str:
        """Only where it is: the rest holds secrets."""
        return f"WhatsAppSettings({self.root})"


class NumberOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `[[connections.senders]]` table adds."""

    #: The API's id of the number; None: the business account tells.
    phone_number_id: Id | None = None
    #: Not from the configuration: the business account has told of it.
    found: bool = False
    #: The number's own; None: the connection's.
    window_template: WindowTemplate | None = None


def read_settings(settings: ConnectionSettings) -> WhatsAppSettings:
    """Read and check the options of *settings* and of its senders.

    Raises `ValueError` that begins with the key ("key 'access_token': ...").
    """
    options = read_options(settings.options, WhatsAppSettings)
    check_networks(options.media_networks)
    if not is_base_url(options.base_url):
        raise ValueError(f"key 'base_url': expected a URL without query, such as \"{HOST}\"")
    if not re.fullmatch(r"[\x21-\x7e]+", options.access_token):
        raise ValueError("key 'access_token': expected a text of printable ASCII characters without blanks")
    if options.prove_secret and not options.app_secret:
        raise ValueError("key 'prove_secret': there is no app_secret to prove")
    if options.reconnect_max < options.reconnect_min:
        raise ValueError("key 'reconnect_max': it must not be below reconnect_min")
    if settings.window is not None and settings.window < 1:
        raise ValueError(f"key 'window': expected 1 or more, got {settings.window}")
    for sender in settings.senders:
        _check_sender(sender, options)
    return options


def number_options(options: Mapping[str, object]) -> NumberOptions:
    """Read the options of one sender. Raises `ValueError` that begins with the key."""
    return read_options(options, NumberOptions)


def _check_sender(sender: SenderSettings, connection: WhatsAppSettings) -> None:
    if sender.channel is not Channel.WHATSAPP:
        raise ValueError(f"sender {sender.address}: key 'channel': a WhatsApp connection carries WHATSAPP senders only")
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", sender.address):
        raise ValueError(f"sender {sender.address}: key 'address': expected a number, such as +12034458910")
    try:
        options = number_options(sender.options)
    except ValueError as error:
        raise ValueError(f"sender {sender.address}: {error}") from None
    if options.phone_number_id is None and connection.business_account_id is None:
        wanted = "it is missing; give it, or business_account_id to the connection"
        raise ValueError(f"sender {sender.address}: key 'phone_number_id': {wanted}")
