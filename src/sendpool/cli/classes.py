"""`sendpool classes`: why attempts fail, what follows, and what carriers have answered with."""

from __future__ import annotations

import json as json_module
from textwrap import fill
from typing import Annotated, Any

from cyclopts import Parameter

from sendpool.cli.asking import ask, listing
from sendpool.cli.options import AsJson, ConfigPath, DatabaseUrl

_WIDTH = 100


_SEEN = {
    "connection": "Connection",
    "where": "Where",
    "code": "Code",
    "class": "Class",
    "rule": "Rule",
    "count": "Count",
    "firstAt": "First",
    "lastAt": "Last",
}


def classes(
    *,
    seen: Annotated[bool, Parameter(help="Instead, the codes that carriers have answered with, with counts.")] = False,
    unclassified: Annotated[bool, Parameter(help="Of these only codes of which nobody knows the meaning.")] = False,
    json: AsJson = False,
    config: ConfigPath = None,
    database: DatabaseUrl = None,
) -> int:
    """List the failure classes and error codes, with what follows from each; or what carriers have answered with."""
    if seen or unclassified:
        nothing = "Every code that came is known." if unclassified else "No carrier has refused anything."
        show = listing(_SEEN, nothing, as_json=json)
        return ask(show, "codes.list", config=config, database=database, unclassified=unclassified)
    return _list_classes(json=json)


def _list_classes(*, json: bool) -> int:
    from sendpool.api.reference.codes import error_codes
    from sendpool.domain.consequences import what_follows
    from sendpool.domain.failures import CLASSES, TABLE_VERSION, FailureClass

    told = [
        {
            "class": failure.value,
            "means": CLASSES[failure].means,
            "follows": list(what_follows(failure)),
            "codes": [
                {"code": one.code, "means": one.attempt.means}
                for one in error_codes().values()
                if one.attempt is not None and one.attempt.failure is failure
            ],
        }
        for failure in FailureClass
    ]
    requests = [
        {"code": one.code, "status": one.request.status, "means": one.request.means}
        for one in error_codes().values()
        if one.request is not None
    ]
    if json:
        print(json_module.dumps({"version": TABLE_VERSION, "classes": told, "requests": requests}, indent=2))
    else:
        print("\n".join([*map(_class, told), "Answers to requests", *map(_code, requests)]))
    return 0


def _class(told: dict[str, Any]) -> str:
    follows = fill(" ".join(told["follows"]), _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([f"{told['class']}: {told['means']}", follows, *map(_code, told["codes"]), ""])


def _code(told: dict[str, Any]) -> str:
    status = f"{told['status']}  " if "status" in told else ""
    return fill(f"{told['code']}  {status}{told['means']}", _WIDTH, initial_indent="  ", subsequent_indent="         ")
