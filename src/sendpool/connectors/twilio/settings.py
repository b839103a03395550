"""The options of a Twilio connection: their meaning, defaults and checks."""

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

#: Messages unanswered at a time where the configuration says nothing; Twilio refuses (429) far above it.
DEFAULT_WINDOW = 50
HOST = "https://api.twilio.com"

Seconds = Annotated[float, Meta(gt=0, le=86400)]
ServiceSid = Annotated[str, Meta(pattern=r"^MG[0-9a-fA-F]{32}\Z")]
_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
#: A number, a short code, a name (one letter at least), or a service.
_ADDRESSES = {
    Channel.SMS: re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &_+-]{1,11}|MG[0-9a-fA-F]{32}"),
    Channel.WHATSAPP: re.compile(r"\+[1-9][0-9]{6,14}"),
}


class TwilioSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every option of a `[[connections]]` table of type "twilio", besides those that all types have."""

    account_sid: str
    #: Signs callbacks, and is the password where no API key is given.
    auth_token: str = ""
    #: An API key (SK...) and its secret in place of the account's token.
    api_key_sid: str = ""
    api_key_secret: str = ""
    #: Secrets of shared keys that sign callbacks with HMAC-SHA256, by their ids.
    signing_keys: Mapping[str, str] = {}
    #: Where the API is; other regions and tests stand in for Twilio's host.
    base_url: str = HOST
    #: How Twilio reaches this server. Without it no message asks for status callbacks.
    public_url: str | None = None
    #: The service that senders are in, sent along with their number.
    messaging_service_sid: ServiceSid | None = None
    #: Every number of the account that can send is a sender, also where nobody declares it.
    all_numbers: bool = True
    #: Look at the files that messages name by URL, and send none that the channel does not take for its type or size.
    check_media: bool = False
    #: Private networks in which such files may be.
    media_networks: tuple[str, ...] = ()
    connect_timeout: Seconds = 5.0
    #: Seconds for one request.
    response_timeout: Seconds = 15.0
    #: Seconds for which a message whose answer is missing is looked for in the account.
    search_timeout: Annotated[float, Meta(ge=0, le=3600)] = 15.0
    #: Seconds after which a message without a final status is asked for, then ever more rarely; 0: never. None: 900
    #: with `public_url`, where callbacks get lost now and then, and 60 without, where there are none.
    ask_after: Annotated[float, Meta(ge=0, le=86400)] | None = None
    #: Seconds without any answer before we see whether the host is there.
    idle: Seconds = 30.0
    #: Seconds between looks while it is not: from the first, doubling, up to the last.
    reconnect_min: Seconds = 1.0
    reconnect_max: Seconds = 60.0

    @property
    def root(self) -> str:
        """What every request's URL begins with."""
        return f"{self.base_url.rstrip('/')}/2010-04-01/Accounts/{self.account_sid}"

    @property
    def first_question(self) -> float:
        """Seconds after which a message without a final status is asked for first; 0: never."""
        if self.ask_after is not None:
            return self.ask_after
        return 60.0 if self.public_url is None else 900.0

    @property
    def credentials(self) -> tuple[str, str]:
        """User and password."""
        if self.api_key_sid:
            return self.api_key_sid, self.api_key_secret
        return self.account_sid, self.auth_token

    def __repr__(self) -> str:
        """Only where it is: the rest holds secrets."""
        return f"TwilioSettings({self.root})"


class SenderOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `[[connections.senders]]` table adds."""

    #: The service that it is in; None: the connection's.
    messaging_service_sid: ServiceSid | None = None
    #: Not from the configuration: the account has told of it.
    found: bool = False


def read_settings(settings: ConnectionSettings) -> TwilioSettings:
    """Read and check the options of *settings* and of its senders.

    Raises `ValueError` that begins with the key ("key 'account_sid': ...").
    """
    options = read_options(settings.options, TwilioSettings)
    check_networks(options.media_networks)
    if not _ACCOUNT.fullmatch(options.account_sid):
        raise ValueError("key 'account_sid': expected AC and 32 hex digits, as the console shows it")
    if bool(options.api_key_sid) != bool(options.api_key_secret):
        raise ValueError("key 'api_key_secret': an API key has both api_key_sid and api_key_secret; give both")
    if not options.api_key_sid and not options.auth_token:
        raise ValueError("key 'auth_token': it is missing; give it, or api_key_sid and api_key_secret")
    for key in ("base_url", "public_url"):
        url = getattr(options, key)
        if url is not None and not is_base_url(url):
            raise ValueError(f"key '{key}': expected a URL without query, such as \"{HOST}\"")
    if options.reconnect_max < options.reconnect_min:
        raise ValueError("key 'reconnect_max': it must not be below reconnect_min")
    if settings.window is not None and settings.window < 1:
        raise ValueError(f"key 'window': expected 1 or more, got {settings.window}")
    for sender in settings.senders:
        _check_sender(sender)
    return options


def sender_options(options: Mapping[str, object]) -> SenderOptions:
    """Read the options of one sender. Raises `ValueError` that begins with the key."""
    return read_options(options, SenderOptions)


def is_service(address: str) -> bool:
    """Whether a sender is a messaging service, of which Twilio picks the number."""
    return _SERVICE.fullmatch(address) is not None


def _check_sender(sender: SenderSettings) -> None:
    pattern = _ADDRESSES.get(sender.channel)
    if pattern is None:
        raise ValueError(f"sender {sender.address}: key 'channel': a Twilio connection carries SMS and WHATSAPP")
    if not pattern.fullmatch(sender.address):
        wanted = "a number such as +12034458910" + (
            ", a short code, a name of up to 11 characters or a service (MG...)"
            if sender.channel is Channel.SMS
            else ""
        )
        raise ValueError(f"sender {sender.address}: key 'address': expected {wanted}")
    try:
        sender_options(sender.options)
    except ValueError as error:
        raise ValueError(f"sender {sender.address}: {error}") from None
