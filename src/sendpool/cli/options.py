"""What commands share: where the configuration is, how a failure is told, exit statuses."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sendpool.config import Config, load

#: Exit statuses besides 0: it did not work; it was asked for wrongly.
FAILED = 1
MISUSED = 2

ConfigPath = Annotated[
    Path | None,
    Parameter(help="The configuration file. Else the one that SENDPOOL_CONFIG names, else sendpool.toml."),
]
DatabaseUrl = Annotated[str | None, Parameter(help="Where everything is kept: sqlite:/// and a path.")]
AsJson = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON instead of a table.")]


def load_config(path: Path | None, **flags: object) -> Config:
    """The configuration with what the command line says. Raises `ConfigError`."""
    return load(path, os.environ, {key: str(value) for key, value in flags.items() if value is not None})


def failed(error: Exception, status: int = FAILED) -> int:
    """Say in a line why it did not work; returns the exit status."""
    print(f"sendpool: {' '.join(str(error).split())}", file=sys.stderr)
    return status
