"""What may be kept of a conversation: field by field, masked by the very rules of the logs."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sendpool.logs import HIDDEN, Redaction

#: Names of fields that hold numbers, links that act for a person, or credentials, where the logs know no such field.
_AS = {
    "wa_id": "phone",
    "recipient_id": "phone",
    "recipient_user_id": "phone",
    "user_id": "phone",
    "x_sendpool": "token",
    "input": "phone",
    "assertion": "token",
    "sig": "token",
    "envid": "token",
    "original_envelope_id": "token",
    "list_unsubscribe": "token",
    "dkim_signature": "token",
}


class Mask:
    """Makes fields safe to keep."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """*secrets* are hidden wherever they turn up."""
        self._redact = Redaction(secrets)

    def line(self, text: str) -> str:
        """A line that is no field."""
        return str(self.field("line", text))

    def field(self, name: str, value: object) -> object:
        """A field's value, by the last word of its name ("data.0.to" is an address, as "to" is)."""
        parts = [part for part in re.split(r"[. ?]", name) if not part.isdigit()]
        key = parts[-1].lower().replace("-", "_") if parts else ""
        key = _AS.get(key, key)
        return self._redact(None, "", {key: value})[key]

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Every field, made safe."""
        return {str(self.line(name)): self.field(name, value) for name, value in fields.items()}


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, object]]:
    """What stands in a document, each under its path: {"to": [{"a": 1}]} has "to.0.a"."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{name}.{number}")
    elif (event := _packed(name, value)) is not None:
        yield from leaves(event, name)
    else:
        yield name, value


def _packed(name: str, value: object) -> Any:
    """The document inside the data of a message of Pub/Sub; None: it is nothing like that."""
    if name != "message.data" or not isinstance(value, str):
        return None
    try:
        return json.loads(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return None


__all__ = ["HIDDEN", "Mask", "leaves"]
