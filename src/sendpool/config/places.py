"""Where a server keeps its files: the database that its URL names, and the key that lies beside it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sendpool.config.setting import ConfigError


def database_path(url: str) -> Path:
    """The file of an `sqlite:///path` URL. Raises `ConfigError` for any other."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or len(url) == len(prefix):
        raise ConfigError(
            f'server.database: "{url}" is not available; use sqlite:///PATH, for example sqlite:///sendpool.db'
        )
    path = url.removeprefix(prefix)
    real = os.path.realpath(path)
    # Lock, socket and key lie beside the file itself: by way of a link there must not be others.
    return Path(path if real == os.path.abspath(path) else real)


def secret_key(configured: str | None, database: Path) -> bytes:
    """The key that stored secrets are encrypted with: SENDPOOL_SECRET_KEY, or a file that only we can read."""
    if configured:
        return configured.encode()
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
