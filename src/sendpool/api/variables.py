"""The `variables` of a recipient: what the Liquid of texts and tags is filled in with."""

from __future__ import annotations

from collections.abc import Mapping

from sendpool.api.checks import wrong_kind
from sendpool.api.problems import Findings

MAX_VARIABLES = 100
#: Characters of a name and of a value: a value may be the longest URL.
LONGEST_NAME = 128
LONGEST_VALUE = 2_048


def are_usable(variables: Mapping[str, str]) -> bool:
    """Whether nothing is wrong with texts by name."""
    return len(variables) <= MAX_VARIABLES and all(
        0 < len(name) <= LONGEST_NAME and len(value) <= LONGEST_VALUE and "\0" not in name and "\0" not in value
        for name, value in variables.items()
    )


def check_variables(value: object, context: str, findings: Findings) -> dict[str, str]:
    """Values by name. Contexts name the object only: names and values are the client's own words."""
    if not isinstance(value, dict):
        wrong_kind("variables", "an object", value, context, findings)
        return {}
    if len(value) > MAX_VARIABLES:
        findings.add(f"there are {len(value):,} variables; {MAX_VARIABLES} are allowed", context)
        return {}
    for name, text in value.items():
        if not 0 < len(name) <= LONGEST_NAME or "\0" in name:
            findings.add(f"a variable's name must have 1 to {LONGEST_NAME} characters, NUL not among them", context)
        if not isinstance(text, str):
            wrong_kind("a variable's value", "a string", text, context, findings)
        elif len(text) > LONGEST_VALUE or "\0" in text:
            findings.add(
                f"a variable's value may have {LONGEST_VALUE:,} characters at most, NUL not among them", context
            )
    return value
