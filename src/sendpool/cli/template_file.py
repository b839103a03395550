"""Reading a file that describes a template."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from sendpool.api.bodies import decode_object
from sendpool.api.problems import Findings
from sendpool.api.template_bodies import check_template
from sendpool.domain.request import Refused


class WrongFile(Exception):
    """The file describes no template; the message names what is wrong and where."""


def read_file(file: Path) -> dict[str, Any]:
    """The template of a file, as the command takes it. Raises WrongFile and OSError."""
    findings = Findings()
    try:
        new = check_template(_decoded(file), findings)
        findings.refuse()
    except Refused as error:
        told = "; ".join(
            f"{problem.context}: {problem.message}" if problem.context else problem.message
            for problem in error.problems
        )
        raise WrongFile(f"{file}: {told}") from None
    return {"name": new.name, "language": new.language, "variables": dict(new.variables), "types": dict(new.types)}


def _decoded(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    if file.suffix.lower() != ".toml":
        return decode_object(content)
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongFile(f"{file}: {error}") from None
