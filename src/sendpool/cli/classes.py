"""`sendpool classes`: why attempts fail, and what follows."""

from __future__ import annotations

import json as json_module
from textwrap import fill
from typing import Any

from sendpool.cli.options import AsJson

_WIDTH = 100


def classes(*, json: AsJson = False) -> int:
    """List the failure classes and error codes, with what follows from each."""
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
