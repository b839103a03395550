"""Every setting: type, default, help. Read once from the TOML file and the environment, then frozen and passed down."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from sendpool.config.connections import CONNECTION_SETTINGS, SENDER_SETTINGS, read_connections
from sendpool.config.pools import MEMBER_SETTINGS, POOL_SETTINGS, read_pools
from sendpool.config.scopes import SCOPE_SETTINGS, read_scopes
from sendpool.config.server import SERVER_SETTINGS, ServerSettings, read_server
from sendpool.config.setting import ConfigError, Setting, as_toml, did_you_mean, substitute, tables_in
from sendpool.connectors.base import ConnectionSettings
from sendpool.domain.pool import DeclaredPool
from sendpool.domain.scopes import ScopeSettings

__all__ = [
    "CONNECTION_SETTINGS",
    "DEFAULT_FILE",
    "FILE_VARIABLE",
    "MEMBER_SETTINGS",
    "POOL_SETTINGS",
    "SCOPE_SETTINGS",
    "SENDER_SETTINGS",
    "SERVER_SETTINGS",
    "Config",
    "ConfigError",
    "ServerSettings",
    "Setting",
    "load",
    "reload",
]

#: The file that is read where none is named and this one is there.
DEFAULT_FILE = Path("sendpool.toml")
_TABLES = ("server", "connections", "pools", "scopes")
#: The environment variable that names another one.
FILE_VARIABLE = "SENDPOOL_CONFIG"

_SECRET_OPTION = re.compile(r"(^|_)(password|secret|token|key)($|_)")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration."""

    server: ServerSettings = ServerSettings()
    connections: tuple[ConnectionSettings, ...] = ()
    pools: tuple[DeclaredPool, ...] = ()
    #: Limits that senders share.
    scopes: tuple[ScopeSettings, ...] = ()
    #: The file that was read, if any.
    source: Path | None = None
    #: What the command line said, kept for `reload`.
    flags: Mapping[str, str] = {}

    def secrets(self) -> list[str]:
        """Every secret in it, for `logs.configure` to hide."""
        given = [getattr(self.server, setting.key) for setting in SERVER_SETTINGS if setting.secret]
        for connection in self.connections:
            given += [value for key, value in connection.options.items() if _SECRET_OPTION.search(key)]
        return [secret for secret in given if isinstance(secret, str) and secret]

    def __repr__(self) -> str:
        return f"Config(source={self.source}, connections={[connection.name for connection in self.connections]})"


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Config:
    """Read the configuration: *path*, else the file that SENDPOOL_CONFIG names, else ./sendpool.toml if it is there.

    *flags* are settings of `[server]` that the command line gave, as texts by key. Raises `ConfigError`.
    """
    named = path or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    source = named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    tables = _read_file(source, environ) if source else {}
    server = tables.get("server", {})
    if not isinstance(server, dict):
        raise ConfigError(str(source), f"server: expected a table, got {as_toml(server)}; write [server] above it")
    scopes = read_scopes(str(source), tables_in(str(source), "scopes", tables.get("scopes", []), "scopes"))
    names = [scope.name for scope in scopes]
    return Config(
        server=read_server(str(source), server, environ, flags or {}),
        connections=read_connections(str(source), tables.get("connections", []), names),
        pools=read_pools(str(source), tables.get("pools", [])),
        scopes=scopes,
        source=source,
        flags=dict(flags or {}),
    )


def reload(config: Config, environ: Mapping[str, str]) -> Config:
    """The configuration as its file says now. Raises `ConfigError`; the one at hand is as good as before."""
    return load(config.source, environ, config.flags)


def _read_file(source: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    tables = _parse(source)
    for key in tables:
        if key not in _TABLES:
            raise ConfigError(str(source), f"{key}: no such table; {did_you_mean(key, _TABLES)}")
    try:
        read: dict[str, Any] = substitute(tables, environ)
    except ValueError as error:
        step, problem = error.args
        raise ConfigError(str(source), f"{step.removeprefix('.')}: {problem}") from None
    return read


def _parse(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problem = f"it cannot be read ({error.strerror}); mend that, or name another file with --config"
    except UnicodeDecodeError:
        problem = "it is not UTF-8; save it as UTF-8"
    except RecursionError:
        problem = "it is nested too deeply; write tables instead"
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        problem = f"{where.rstrip(')')}: {what}; correct the TOML there"
    raise ConfigError(str(source), problem)
