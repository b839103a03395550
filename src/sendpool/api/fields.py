"""The kinds of values that answers are made of, as our OpenAPI document tells them. They cost nothing when encoded."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw

#: Marks what the contract does not know: an addition of ours.
OURS = Meta(extra_json_schema={"x-sendpool": True})

_ULID = "01h9krwprkeee8fzqspvwy6nq8"


def _id(prefix: str) -> Meta:
    return Meta(pattern=f"^{prefix}_[0-7][a-hjkmnpqrstv-z0-9]{{25,34}}$", examples=[f"{prefix}_{_ULID}"])


def _one_of(*values: str) -> Meta:
    return Meta(extra_json_schema={"enum": list(values)})


MessageId = Annotated[str, _id("comms_message")]
OperationId = Annotated[str, _id("comms_operation")]
SenderId = Annotated[str, _id("comms_sender")]
PoolId = Annotated[str, _id("comms_senderpool")]
EmailId = Annotated[str, _id("comms_email")]
CredentialId = Annotated[str, _id("comms_credential")]
ProfileId = Annotated[str, _id("mem_profile")]
StoreId = Annotated[str, _id("mem_store")]
#: An attempt's id.
AttemptId = Annotated[str, Meta(pattern="^(SM|MM)[0-9a-fA-F]{32}$", examples=["SM0123456789abcdef0123456789abcdef"])]
TemplateId = Annotated[str, Meta(pattern="^HX[0-9a-zA-Z]{26,34}$", examples=["HX0123456789abcdef0123456789abcdef"])]

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-12-01T09:30:00.000Z"])]
MaybeTimestamp = Annotated[str | None, Meta(extra_json_schema={"format": "date-time"})]
Url = Annotated[str, Meta(extra_json_schema={"format": "uri"})]
Count = Annotated[int, Meta(ge=0)]

#: Stored as JSON and answered as it stands.
Tags = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/Tags"})]
ResolvedContent = Annotated[Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/ResolvedContent"})]

#: Channels that messages are sent on, spaces of recipients' addresses (EMAIL is an addition of ours to both), and
#: channels of every sender.
MessageChannel = Annotated[str, _one_of("SMS", "RCS", "WHATSAPP", "EMAIL")]
RecipientChannel = Annotated[str, _one_of("PHONE", "WHATSAPP", "EMAIL")]
SenderChannel = Annotated[str, _one_of("SMS", "RCS", "EMAIL", "WHATSAPP", "PUSH")]
SenderStatus = Annotated[str, _one_of("ACTIVATED", "DEACTIVATED")]
MessageStatus = Annotated[
    str,
    _one_of(
        "SCHEDULED", "QUEUED", "SENT", "DELIVERED", "READ", "UNDELIVERED", "FAILED", "CANCELED", "GROUP", "INBOUND"
    ),
]
EmailStatus = Annotated[
    str,
    _one_of("SCHEDULED", "QUEUED", "SENT", "DELIVERED", "UNDELIVERED", "OPENED", "FAILED", "CANCELED", "INBOUND"),
]
OperationStatus = Annotated[str, _one_of("SCHEDULED", "PROCESSING", "COMPLETED", "CANCELED")]
PoolOperationStatus = Annotated[str, _one_of("PROCESSING", "COMPLETED", "CANCELED")]

TAGS: dict[str, Any] = {
    "type": "object",
    "maxProperties": 10,
    "propertyNames": {"minLength": 1, "maxLength": 128, "pattern": "^[a-zA-Z0-9._~-]+$"},
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[a-zA-Z0-9._~-]+$"},
    "examples": [{"campaign": "launch"}],
}
