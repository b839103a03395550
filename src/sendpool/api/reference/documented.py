"""What the OpenAPI document and the pages tell of one operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

#: An answer of 202: the references of what was made or changed.
OPERATION_ACCEPTED, RESOURCE_ACCEPTED = "OperationAccepted", "ResourceAccepted"
#: Answers of 201 and 204.
TEMPLATE_MADE, TEMPLATE_DELETED = "TemplateMade", "TemplateDeleted"
#: An answer of 204.
GONE = "Gone"
#: An answer of 301.
LOCATION = "MessageLocation"


class Documented(NamedTuple):
    """One operation. Errors are those of every operation (see `document.errors_of`) and `more_errors`."""

    id: str
    tag: str
    summary: str
    #: The shape of its 200, or the name of a response in `document.RESPONSES`.
    answer: type[msgspec.Struct] | str
    description: str = ""
    #: Names in `parameters.PARAMETERS`; those in the path need not be listed.
    parameters: tuple[str, ...] = ()
    #: A name in `requests.REQUESTS`.
    body: str | None = None
    #: The body is a form.
    form: bool = False
    #: Of its success, where the answer is a shape.
    status: int = 200
    #: Bodies to start from, by name.
    examples: Mapping[str, Any] = {}
    more_errors: tuple[int, ...] = ()
    fewer_errors: tuple[int, ...] = ()
    #: Those that the contract does not know here.
    our_errors: tuple[int, ...] = ()
    #: Our own addition: the contract does not know it.
    ours: bool = False


#: For examples.
POOL = "comms_senderpool_01h9krwprkeee8fzqspvwy6nq8"
SENDER = "comms_sender_01h9krwprkeee8fzqspvwy6nq8"
TWO = [{"address": "+19143188062", "channel": "PHONE"}, {"address": "+19143188063", "channel": "WHATSAPP"}]
