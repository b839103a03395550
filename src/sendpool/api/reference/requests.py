"""The bodies that requests may have. Every limit is the constant that the readers check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sendpool.api import email_sending, fields, resolving, template_bodies
from sendpool.api.checks import MAX_TAGS
from sendpool.api.contents import LONGEST_SOURCE, LONGEST_URL, MAX_MEDIA, MAX_MODULES
from sendpool.api.email_contents import DISPOSITIONS, MAX_ATTACHMENTS, MAX_FILENAME
from sendpool.api.email_sending import LEAST_POOL_NAME, MOST_POOL_NAME
from sendpool.api.fields import TAGS
from sendpool.api.origins import LONGEST_ADDRESS
from sendpool.api.pool_bodies import (
    MAX_ADDED,
    MAX_NAME,
    MAX_SENDERS,
)
from sendpool.api.pool_choices import MAX_COUNTRIES
from sendpool.api.query import MAX_PAGE_SIZE
from sendpool.api.recipients import MAX_ADDRESSES
from sendpool.api.reference.parameters import schema_of
from sendpool.api.schedules import MAX_EXPRESSIONS
from sendpool.api.sending import MAX_RECIPIENTS, MAX_VALIDITY
from sendpool.api.variables import LONGEST_NAME, LONGEST_VALUE, MAX_VARIABLES
from sendpool.domain.email_content import LONGEST_SUBJECT
from sendpool.domain.fairness import PRIORITIES
from sendpool.domain.health import LEAST, MOST
from sendpool.domain.message import CATEGORIES, LONGEST_TEXT, LONGEST_WITH_MEDIA
from sendpool.domain.policy import Duplicates, OpenOutcome
from sendpool.domain.pool import (
    LEAST_FALLBACK_AFTER,
    LEAST_GRACE,
    LEAST_WEIGHT,
    MOST_FALLBACK_AFTER,
    MOST_GRACE,
    MOST_TIER,
    MOST_WEIGHT,
    REACHABLE,
)
from sendpool.domain.preference import Preference
from sendpool.domain.rcs_content import RcsModule
from sendpool.domain.schedule import HORIZON_DAYS
from sendpool.domain.template import Types

REFERENCE = "#/components/schemas/{name}"

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": REFERENCE.format(name=name)}


def an_object(required: tuple[str, ...] = (), without: tuple[str, ...] = (), /, **properties: Any) -> Schema:
    """An object with these properties; those in *without* must not stand beside them."""
    shown = {name.rstrip("_"): schema for name, schema in properties.items()} | dict.fromkeys(without, False)
    return {"type": "object", **({"required": list(required)} if required else {}), "properties": shown}


def an_array(items: Schema, least: int = 0, most: int | None = None, **more: Any) -> Schema:
    """An array of *least* to *most* entries."""
    limits = {"minItems": least} if least else {}
    return {"type": "array", **limits, **({} if most is None else {"maxItems": most}), "items": items, **more}


def ours(schema: Schema, description: str) -> Schema:
    """An addition of ours."""
    return {**schema, "description": description, "x-sendpool": True}


def _either_case(*values: str) -> Schema:
    return {"type": "string", "enum": [*values, *map(str.lower, values)]}


_TEXT: Schema = {"type": "string", "minLength": 1}
_LIQUID: Schema = {
    **_TEXT,
    "maxLength": LONGEST_SOURCE,
    "description": f"Liquid; at most {LONGEST_TEXT:,} characters once it is filled in, or without any markup.",
    "examples": ["Hello {{ name | default: 'there' }}"],
}
_MEDIA: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_MEDIA,
    "items": {
        "type": "object",
        "required": ["url"],
        "properties": {"url": {**_TEXT, "maxLength": LONGEST_URL, "description": "http or https."}},
    },
    "description": f"By SMS their URLs follow the text, together {LONGEST_WITH_MEDIA:,} characters at most.",
}
_WHATSAPP: Schema = {
    "type": "object",
    "description": "The Cloud API's message object without whom it goes to: text, template, image, video, audio,"
    " document, sticker, interactive or location; or `text` alone, as a string.",
    "examples": [{"type": "text", "text": {"body": "Hello"}}],
}
_ADDRESS: Schema = {**_TEXT, "maxLength": LONGEST_ADDRESS}
_RECIPIENTS = _either_case("PHONE", "WHATSAPP", "EMAIL")
_CHANNELS = _either_case("SMS", "RCS", "EMAIL", "WHATSAPP", "PUSH")
_MESSAGE_CHANNELS = _either_case("SMS", "RCS", "WHATSAPP")
_CATEGORY = ours(
    {"type": "string", "enum": [*CATEGORIES, *(category.upper() for category in CATEGORIES)]},
    "What the messages are for; it chooses validity, fallback and duplicates.",
)
_FALLBACK_AFTER = ours(
    {"type": "number", "minimum": LEAST_FALLBACK_AFTER, "maximum": MOST_FALLBACK_AFTER},
    "Seconds to wait for a receipt on a channel before the next one is tried.",
)
_VALIDITY = ours({"type": "integer", "minimum": 1, "maximum": MAX_VALIDITY}, "Seconds for which the message is useful.")
_MAILBOX: Schema = {"type": "string", "format": "email"}
#: An empty one is none.
_MAILBOX_NAME: Schema = {"type": "string", "maxLength": email_sending.MAX_NAME}
_SCHEDULE = an_object(
    ("sendAt",),
    sendAt=an_array(
        {
            **_TEXT,
            "description": "An RFC 3339 date and time. Without a zone it is local to each recipient's number; a number"
            " that may be in several zones has the clock that most of them show, one that is in none has UTC.",
            "examples": ["2026-12-01T09:30:00Z", "2026-12-01T09:30:00"],
        },
        1,
        MAX_EXPRESSIONS,
        description=f"Equal times are one, others are refused. At most {HORIZON_DAYS} days ahead; a past one is now.",
    ),
)
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
_ORDER = an_object(("channel", "priority"), channel=_CHANNELS, priority={"type": "integer", "minimum": 0})


_COUNTRIES = an_array({"type": "string", "pattern": "^[A-Z]{2}$", "examples": ["US"]}, 0, MAX_COUNTRIES)
_TIME_OF_DAY: Schema = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["21:00"]}


def _settings() -> Schema:
    return {
        "category": _CATEGORY,
        "fallbackAfter": _FALLBACK_AFTER,
        "duplicates": ours(
            {"type": "string", "enum": list(Duplicates)},
            "While it is unknown whether a carrier took a message: wait for a receipt, or send it once more.",
        ),
        "openOutcome": ours(
            {"type": "string", "enum": list(OpenOutcome)},
            "What becomes of a message whose fate stays unknown: it is reported so, or goes to the next channel.",
        ),
        "preference": ours({"type": "string", "enum": list(Preference)}, "How the pool chooses among its senders."),
        "grace": ours(
            {"type": "number", "minimum": LEAST_GRACE, "maximum": MOST_GRACE},
            "Seconds that a message waits for the sender or tier that should have it, before others may take it.",
        ),
        "reach": ours(
            an_array({"type": "string", "enum": list(REACHABLE)}, 1, len(REACHABLE), uniqueItems=True),
            "Channels that a PHONE recipient is tried on, in this order; else RCS, then SMS.",
        ),
        "countries": ours(
            {**an_object((), allow=_COUNTRIES, deny=_COUNTRIES), "minProperties": 1},
            "Countries that the pool sends to: none of deny, and only those in allow, if it is given.",
        ),
        "quietHours": ours(
            an_object(
                ("start", "end"),
                start=_TIME_OF_DAY,
                end=_TIME_OF_DAY,
                exempt=an_array({"type": "string", "enum": list(CATEGORIES)}, 0, len(CATEGORIES), uniqueItems=True),
            ),
            "From start to end nothing is sent, by the recipient's own clock, but what is exempt (else: otp).",
        ),
        "health": ours(
            {
                **an_object(
                    (),
                    off={"type": "boolean"},
                    minSample={"type": "integer", "minimum": LEAST.min_sample, "maximum": MOST.min_sample},
                    **{
                        name: {"type": "number", "minimum": least, "maximum": most}
                        for name, least, most in zip(("worseBy", "trickle", "step"), LEAST[1:], MOST[1:], strict=True)
                    },
                ),
                "minProperties": 1,
            },
            "off true: senders that do worse than their peers get as much of the pool's messages as ever. Else: the"
            " messages that a judgement needs, by how much a share of faults or losses has to be above the peers', the"
            " part that an unhealthy sender is left with, and the seconds of each step of its return.",
        ),
    }


def _nullable(schema: Schema) -> Schema:
    """A setting that null takes away."""
    kept = {name: schema[name] for name in ("description", "x-sendpool")}
    return {**kept, "anyOf": [{k: v for k, v in schema.items() if k not in kept}, {"type": "null"}]}


#: What the provider's schema has beyond the contract's.
_PROVIDERS_OWN = {"OpenUrl": ("application", "webviewViewMode"), "Action": ("fallbackUrl",)}


def _rcs() -> tuple[Schema, Mapping[str, Schema]]:
    (module,), components = msgspec.json.schema_components([RcsModule], ref_template=REFERENCE)
    for name, added in _PROVIDERS_OWN.items():
        for property_ in added:
            components[name]["properties"][property_]["x-sendpool"] = True
    # Names a file that only the provider has; the API knows files by URL.
    del components["Media"]["properties"]["fileName"]
    return module, components


RCS_MODULE, RCS_SCHEMAS = _rcs()


def _types() -> tuple[Schema, Mapping[str, Schema]]:
    (types,), components = msgspec.json.schema_components([Types], ref_template=REFERENCE)
    told = {"type": "object", "description": "A template that WhatsApp has approved, as its Cloud API takes it."}
    components["Types"]["properties"]["whatsapp/template"] = told
    kept = ("Types", "TextType", "MediaType", "ActionsType", "CardType", "TemplateAction")
    return types, {name: components[name] for name in kept}


TYPES, TYPES_SCHEMAS = _types()
_PRIORITY = ours(
    {"type": "string", "enum": [*PRIORITIES, *(name.upper() for name in PRIORITIES)]},
    "The weight of the operation's turn in its pool: a quarter, one, or four. Nobody waits for ever.",
)

REQUESTS: Mapping[str, Schema] = {
    "SendMessagesRequest": an_object(
        ("to", "content"),
        to=an_array(ref("MessageRecipientInput"), 1, MAX_RECIPIENTS),
        content=ref("MessageContentInput"),
        from_=ref("MessageFromInput"),
        schedule=_SCHEDULE,
        tags=ref("TagsInput"),
        category=_CATEGORY,
        validity=_VALIDITY,
        priority=_PRIORITY,
    ),
    "SendEmailsRequest": an_object(
        ("from", "to", "content"),
        from_=ref("EmailFromInput"),
        to=an_array(ref("EmailRecipientInput"), 1, MAX_RECIPIENTS),
        content=ref("EmailContentInput"),
        schedule=_SCHEDULE,
        tags=ref("TagsInput"),
        ipPoolName={"type": "string", "minLength": LEAST_POOL_NAME, "maxLength": MOST_POOL_NAME},
        category=_CATEGORY,
        validity=_VALIDITY,
        priority=_PRIORITY,
    ),
    "SearchEmailsRequest": an_object(
        (),
        address={"type": "string", "description": "That of the recipient or of the sender."},
        operationId=schema_of(fields.OperationId),
        sessionId={"type": "string"},
        profile=schema_of(fields.ProfileId),
        startDate={"type": "string", "format": "date-time"},
        endDate={"type": "string", "format": "date-time"},
        status={"type": "string", "examples": ["OPENED"]},
        tags=ref("Tags"),
    ),
    "SearchSendersRequest": an_object(
        ("address", "channel"),
        address=_ADDRESS,
        channel=_CHANNELS,
        status=_either_case("ACTIVATED", "DEACTIVATED"),
        pageToken={"type": "string"},
        pageSize={"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
    ),
    "ResolveSendersRequest": {
        **an_object(
            ("recipientAddresses",),
            recipientAddresses=an_array(
                an_object(("address", "channel"), address=_ADDRESS, channel=_TEXT), 1, resolving.MAX_RECIPIENTS
            ),
            senderPoolId=schema_of(fields.PoolId),
            senderAddresses=an_array(ref("SenderAddressInput"), 1, resolving.MAX_SENDERS),
            channels=ref("SenderChannelControl"),
        ),
        "not": {"required": ["senderPoolId", "senderAddresses"]},
    },
    "ContentTemplateInput": an_object(
        ("types",),
        friendly_name={"type": "string", "maxLength": template_bodies.MAX_NAME},
        language={"type": "string", "examples": ["en", "pt_BR"]},
        variables={**ref("Variables"), "description": "Values of slots where a recipient has none."},
        types={
            **TYPES,
            "description": "By content type. Slots are {{1}}, {{2}} and so on; any Liquid may stand there.",
        },
    ),
    "CreateSenderPoolRequest": an_object(
        (),
        name=_NAME,
        tags=ref("Tags"),
        senders=an_array(ref("SenderPoolMember"), 0, MAX_SENDERS, uniqueItems=True),
        **_settings(),
    ),
    "UpdateSenderPoolRequest": {
        **an_object(
            (), name=_NAME, tags=ref("Tags"), **{name: _nullable(schema) for name, schema in _settings().items()}
        ),
        "minProperties": 1,
    },
    "AddSenderPoolSendersRequest": {
        "oneOf": [an_array(ref("SenderPoolMember"), 1, MAX_ADDED, uniqueItems=True), ref("SenderPoolMember")]
    },
}

#: What the bodies above are made of.
PARTS: Mapping[str, Schema] = {
    **RCS_SCHEMAS,
    **TYPES_SCHEMAS,
    "Tags": {**TAGS, "maxProperties": MAX_TAGS},
    "TagsInput": {
        **TAGS,
        "maxProperties": MAX_TAGS,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256},
        "description": "As Tags; a value is checked after it is rendered.",
    },
    "MessageRecipientInput": {
        "oneOf": [ref("AddressRecipient"), ref("ConnectedAddressRecipient"), ref("ProfileRecipient")]
    },
    "AddressRecipient": an_object(
        ("address", "channel"),
        ("addresses", "profileId"),
        address=_TEXT,
        channel=_RECIPIENTS,
        variables=ref("Variables"),
    ),
    "ConnectedAddressRecipient": {
        **an_object(
            ("addresses",),
            ("address", "profileId"),
            addresses=an_array(ref("MessagingAddressInput"), 1, MAX_ADDRESSES),
            variables=ref("Variables"),
        ),
        "description": "Several addresses of one person, the preferred one first: one message, to whichever works.",
    },
    "ProfileRecipient": {
        **an_object(
            ("profileId",),
            ("address", "addresses"),
            profileId=schema_of(fields.ProfileId),
            memoryStoreId=schema_of(fields.StoreId),
            variables=ref("Variables"),
        ),
        "description": "A person whose addresses are stored. Variables may name fields of the profile, as in"
        " `${Twilio.Profile.firstName}`.",
    },
    "MessagingAddressInput": an_object(("address", "channel"), address=_TEXT, channel=_RECIPIENTS),
    "Variables": {
        "type": "object",
        "maxProperties": MAX_VARIABLES,
        "propertyNames": {"minLength": 1, "maxLength": LONGEST_NAME},
        "additionalProperties": {"type": "string", "maxLength": LONGEST_VALUE},
        "description": "What the Liquid of texts and tags is filled in with.",
    },
    "MessageFromInput": {
        "oneOf": [
            an_object(
                ("address", "channel"), ("senderId", "senderPoolId"), address=_ADDRESS, channel=_MESSAGE_CHANNELS
            ),
            an_object(("senderId",), ("address", "senderPoolId"), senderId=schema_of(fields.SenderId)),
            an_object(
                ("senderPoolId",),
                ("address", "senderId"),
                senderPoolId=schema_of(fields.PoolId),
                channels=ref("SenderChannelControl"),
            ),
        ]
    },
    "EmailFromInput": {
        "oneOf": [
            an_object(("address",), ("senderId", "senderPoolId"), address=_MAILBOX, name=_MAILBOX_NAME),
            ours(
                an_object(
                    ("senderId",),
                    ("address", "senderPoolId"),
                    senderId=schema_of(fields.SenderId) | {"x-sendpool": True},
                    name=_MAILBOX_NAME,
                ),
                "One sender, by its id.",
            ),
            ours(
                an_object(
                    ("senderPoolId",),
                    ("address", "senderId"),
                    senderPoolId=schema_of(fields.PoolId) | {"x-sendpool": True},
                    name=_MAILBOX_NAME,
                ),
                "Any sender of a pool.",
            ),
        ]
    },
    "EmailRecipientInput": an_object(("address",), address=_MAILBOX, name=_MAILBOX_NAME, variables=ref("Variables")),
    "EmailContentInput": an_object(
        ("subject", "html"),
        subject={**_TEXT, "maxLength": LONGEST_SUBJECT},
        html=_TEXT,
        text={"type": "string", "description": "Where it is missing or empty, it comes from the html."},
        attachments=an_array(ref("EmailAttachmentInput"), 0, MAX_ATTACHMENTS),
    ),
    "EmailAttachmentInput": an_object(
        ("filename", "content"),
        filename={**_TEXT, "maxLength": MAX_FILENAME},
        content={"type": "string", "contentEncoding": "base64"},
        type={**_TEXT, "examples": ["image/png"]},
        contentType={**_TEXT, "description": "Another spelling of type."},
        disposition={"type": "string", "enum": list(DISPOSITIONS)},
        contentId={**_TEXT, "description": "What `cid:` URLs of the html call it."},
        content_id={**_TEXT, "description": "Another spelling of contentId."},
    ),
    "SenderAddressInput": {
        "anyOf": [
            an_object(("address", "channel"), address=_ADDRESS, channel=_MESSAGE_CHANNELS),
            an_object(("address", "name"), address=_ADDRESS, name=_ADDRESS),
            {
                **an_object((), fcm=schema_of(fields.CredentialId), apn=schema_of(fields.CredentialId)),
                "anyOf": [{"required": ["fcm"]}, {"required": ["apn"]}],
            },
        ]
    },
    "SenderChannelControl": an_object(
        (),
        filterIn=an_array(_CHANNELS, uniqueItems=True),
        priority=an_array(_ORDER, description="The lower value goes first; each channel at most once."),
    ),
    "MessageContentInput": {"oneOf": [ref("TextMediaContent"), ref("TemplateContent"), ref("ModulesContent")]},
    "TemplateContent": an_object(
        ("contentId",),
        ("text", "media", "modules"),
        contentId={"type": "string", "pattern": "^HX[0-9a-fA-F]{26,34}$", "description": "A template's sid."},
    ),
    "TextMediaContent": {
        **an_object((), ("modules", "contentId"), text=_LIQUID, media=_MEDIA),
        "anyOf": [{"required": ["text"]}, {"required": ["media"]}],
    },
    "ModulesContent": an_object(
        ("modules",),
        ("text", "media", "contentId"),
        modules=an_array(ref("ChannelModule"), 1, MAX_MODULES, description="Each channel at most once."),
    ),
    "ChannelModule": {
        "oneOf": [
            {**an_object(("sms",), sms=ref("SmsModule")), "additionalProperties": False},
            {**an_object(("rcs",), rcs=RCS_MODULE), "additionalProperties": False},
            {**an_object(("whatsapp",), whatsapp=_WHATSAPP), "additionalProperties": False},
        ]
    },
    "SmsModule": {
        **an_object((), text=_LIQUID, media=_MEDIA),
        "anyOf": [{"required": ["text"]}, {"required": ["media"]}],
    },
    "ResolvedContent": an_object(
        (),
        text={"type": "string"},
        media=an_array(an_object(("url",), url=_TEXT)),
        contentId={"type": "string"},
        modules=an_array({"type": "object"}),
    ),
    "SenderPoolMember": an_object(
        ("senderId",),
        senderId=schema_of(fields.SenderId),
        weight=ours(
            {"type": "number", "minimum": LEAST_WEIGHT, "maximum": MOST_WEIGHT},
            "Its share of the pool's messages, relative to the others; else 1.",
        ),
        tier=ours(
            {"type": "integer", "minimum": 0, "maximum": MOST_TIER},
            "The lowest is used; a higher one only while no lower one can take a message within the grace. Else 0.",
        ),
    ),
}
