"""The settings of the server itself: the `[server]` table, the environment and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from sendpool.config.setting import ConfigError, FromEnvironment, described, did_you_mean, read_setting, settings_of


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The `[server]` table."""

    database: Annotated[
        str,
        described(
            "sqlite:/// and a path, or postgresql:// and a server",
            "Where everything is kept. Three slashes begin a path relative to the working directory, four an absolute"
            " one. On PostgreSQL: postgresql://USER:PASSWORD@HOST/NAME, for any number of server processes.",
            "sqlite:///sendpool.db",
        ),
    ] = "sqlite:///sendpool.db"
    host: Annotated[
        str,
        described(
            "a host name or address", "The address to listen on; `0.0.0.0` is all of them.", "127.0.0.1", min_length=1
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        described("a whole number from 0 to 65535", "The port to listen on; 0 takes a free one.", 8080, ge=0, le=65535),
    ] = 8080
    public_url: Annotated[
        str | None,
        described(
            "http:// or https://, a host and perhaps a path",
            "What URLs in answers begin with, as clients see this server. Else it is taken from each request.",
            "https://sms.example.com",
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        described(
            "a list of networks",
            "Proxies that may say in `Forwarded` or `X-Forwarded-Proto`, `-Host`, `-Port` and `-Prefix` what clients"
            " used, so that URLs in answers begin with it. They have to remove such headers of clients.",
            ["10.0.0.0/8"],
        ),
    ] = ()
    role: Annotated[
        str,
        described(
            '"all", "api" or "send"',
            "What this process does: take requests (`api`), send (`send`), or both. On SQLite one process does all.",
            "all",
        ),
    ] = "all"
    front_processes: Annotated[
        int,
        described(
            "a whole number from 0 to 16",
            "Processes beside this one that take connections and read requests to send, for many small requests a"
            " second on a machine with cores to spare. Linux.",
            1,
            ge=0,
            le=16,
        ),
    ] = 0
    account_sid: Annotated[
        str | None,
        described(
            "1 to 64 printable ASCII characters without a colon",
            "The user name of the first account. Else it is made once and printed once.",
            "AC0123456789abcdef0123456789abcdef",
            pattern=r"^[!-9;-~]{1,64}$",
        ),
    ] = None
    auth_token: Annotated[
        str | None,
        described(
            "a text that is not empty",
            "The password of the first account; a changed one replaces the old. Else it is made once and printed once.",
            "a-long-random-text",
            secret=True,
            min_length=1,
        ),
    ] = None
    secret_key: Annotated[
        str | None,
        described(
            "a text that is not empty",
            "Encrypts the secrets in the database. Else a key is made once and kept in a file beside the database.",
            "a-long-random-text",
            secret=True,
            min_length=1,
        ),
    ] = None
    metrics_token: Annotated[
        str | None,
        described(
            "a text that is not empty",
            "What `GET /metrics` asks for, as a bearer token. Without it anyone who reaches the server may read them.",
            "a-long-random-text",
            secret=True,
            min_length=1,
        ),
    ] = None
    allow_private_networks: Annotated[
        tuple[str, ...],
        described(
            "a list of networks",
            "Private networks that webhooks and media may reach. Hosts named in this file need no entry.",
            ["127.0.0.0/8"],
        ),
    ] = ()
    max_requests_per_second: Annotated[
        float | None,
        described(
            "a number above 0",
            "Requests a second that each account may make; what is more gets a 429. Else there is no limit.",
            100,
            gt=0,
        ),
    ] = None
    burst: Annotated[
        float | None,
        described(
            "a number of at least 1",
            "Requests that an account may make at once after a pause. Else those of one second.",
            200,
            ge=1,
        ),
    ] = None
    retention_days: Annotated[
        float,
        described(
            "a number of days from 0.001 to 3650",
            "How long messages, their operations and everything about them are kept after the last one of an operation"
            " has ended. Only days count in which the server runs.",
            7,
            ge=0.001,
            le=3650,
        ),
    ] = 7.0
    max_queued: Annotated[
        int,
        described(
            "a whole number above 0",
            "Messages of one account that may wait, scheduled ones included; who sends more gets a 429.",
            1_000_000,
            ge=1,
        ),
    ] = 10_000_000
    log_level: Annotated[
        str,
        described('"debug", "info", "warning" or "error"', "The least serious level that is logged.", "info"),
    ] = "info"
    log_format: Annotated[
        str,
        described(
            '"auto", "json" or "text"', "How log lines look; `auto` is text on a terminal, JSON elsewhere.", "json"
        ),
    ] = "auto"

    @property
    def log_json(self) -> bool | None:
        """`log_format` as `logs.configure` takes it."""
        return {"json": True, "text": False}.get(self.log_format)

    def __repr__(self) -> str:
        return f"ServerSettings(database={self.database!r}, host={self.host!r}, port={self.port})"


SERVER_SETTINGS = settings_of(ServerSettings)


def read_server(
    source: str, table: Mapping[str, Any], environ: Mapping[str, str], flags: Mapping[str, str]
) -> ServerSettings:
    """The server's settings: a flag goes before the environment, that before the file. Raises `ConfigError`."""
    known = tuple(setting.key for setting in SERVER_SETTINGS)
    for key in table:
        if key not in known:
            raise ConfigError(source, f"server.{key}: no such setting; {did_you_mean(key, known)}")
    values = {}
    for setting in SERVER_SETTINGS:
        key, variable = setting.key, setting.variable
        # A variable that is set to nothing counts as not set: that is how container files leave one out.
        given = environ.get(variable, "").strip()
        if key in flags:
            found = (FromEnvironment(flags[key]), "command line", f"--{key}", f"--{key} ")
        elif given:
            found = (FromEnvironment(given), "environment", variable, f"{variable}=")
        elif key in table:
            found = (table[key], source, f"server.{key}", f"{key} = ")
        else:
            continue
        values[key] = read_setting(setting, *found, _CHECKS)
    settings = ServerSettings(**values)
    if settings.role != "all" and settings.database.startswith("sqlite:"):
        raise ConfigError(
            source,
            f'server.role: role "{settings.role}" needs PostgreSQL, and server.database is {settings.database}; on'
            " SQLite one process does all: leave the role out",
        )
    return settings


def _check_database(url: str) -> str:
    if url.startswith(("postgresql://", "postgres://")):
        if not urlsplit(url).path.strip("/"):
            raise ValueError("it names no database; write postgresql://USER@HOST/NAME")
        return url
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path.startswith(":"):
        raise ValueError
    return url


def _check_public_url(url: str) -> str:
    parts = urlsplit(url)
    # `port` raises ValueError for what is no port.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("it has more than scheme, host and path; leave out user, query and fragment")
    return url.rstrip("/")


def _check_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f'"{network}" is no network ({error}); write for example "127.0.0.0/8"') from None
    return networks


def _check_role(role: str) -> str:
    return _one_of("all", "api", "send")(role)


def _one_of(*choices: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError
        return value.lower()

    return check


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "database": _check_database,
    "public_url": _check_public_url,
    "trusted_proxies": _check_networks,
    "allow_private_networks": _check_networks,
    "role": _check_role,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("auto", "json", "text"),
}
