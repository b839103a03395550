"""Where a server keeps its things: its database, the key that encrypts its secrets, the socket that takes commands."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from sendpool.config.setting import ConfigError

_SQLITE = "sqlite:///"


def database_of(url: str) -> Path | str:
    """The file of an `sqlite:///path` URL; that of a PostgreSQL server as it is. Raises `ConfigError` for any other."""
    if url.startswith(("postgresql://", "postgres://")):
        return url
    if not url.startswith(_SQLITE) or len(url) == len(_SQLITE):
        raise ConfigError(
            f'server.database: "{url}" is not available; use sqlite:///PATH, for example sqlite:///sendpool.db, or'
            " postgresql://USER@HOST/NAME"
        )
    path = url.removeprefix(_SQLITE)
    real = os.path.realpath(path)
    # Lock, socket and key lie beside the file itself: by way of a link there must not be others.
    return Path(path if real == os.path.abspath(path) else real)


def command_socket(url: str) -> Path:
    """Where the server of a database listens for commands: beside its file, else in this user's temporary files."""
    database = database_of(url)
    if isinstance(database, Path):
        return Path(f"{database}.sock")
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sendpool-{os.getuid()}-{name}.sock"


def secret_key(configured: str | None, url: str) -> bytes:
    """The key that stored secrets are encrypted with: SENDPOOL_SECRET_KEY, or a file that only we can read.

    Raises `ConfigError` for PostgreSQL without a key: there is no file beside it, and every process needs the same.
    """
    if configured:
        return configured.encode()
    database = database_of(url)
    if isinstance(database, str):
        raise ConfigError(
            "server.secret_key: a PostgreSQL database has no key file beside it; set SENDPOOL_SECRET_KEY to a long"
            " random text and keep it, or what is stored cannot be read any more"
        )
    path = Path(f"{database}.key")
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        pass
    key = secrets.token_urlsafe(32).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key + b"\n")
    return key
