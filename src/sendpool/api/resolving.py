"""`/Senders/Resolve`: which senders could reach a human, by any of their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sendpool.api.addresses import check_address, is_email
from sendpool.api.bodies import decode_object
from sendpool.api.checks import check_fields, check_text, entries, wrong_kind
from sendpool.api.exchange import Reply, Request
from sendpool.api.origins import LONGEST_ADDRESS, check_channel, check_channels
from sendpool.api.problems import Findings
from sendpool.api.references import in_body, is_well_formed, unknown
from sendpool.api.schemas import ResolvedFrom, ResolvedPair, ResolvedTo, ResolveSendersResponse, encode
from sendpool.domain import ids
from sendpool.domain.resolving import Pair, Question
from sendpool.domain.sender import AddressSpace, Channel, Sender
from sendpool.store.candidates import activated
from sendpool.store.senders import SenderRow

MAX_RECIPIENTS = 100
MAX_SENDERS = 100
#: Characters of a channel's name, which the contract leaves open.
_LONGEST_CHANNEL = 64
_CREDENTIAL = "comms_credential"
_FIELDS = ("recipientAddresses", "senderPoolId", "senderAddresses", "channels")


async def resolve_senders(request: Request) -> Reply:
    """Name at most ten pairs of sender and address, the best first."""
    question = _read(await request.body())
    found = request.services.pairs(request.account_id, question)
    if found is None:
        findings = Findings()
        unknown("sender pool", "$.senderPoolId", findings)
        raise findings.as_refused()
    uids = list({pair.sender.uid for pair in found})
    rows = await request.services.database.read(activated(request.account_id, uids)) if uids else {}
    shown = [_shown(pair, rows[pair.sender.uid], question) for pair in found if pair.sender.uid in rows]
    return Reply(200, encode(ResolveSendersResponse(results=shown)))


def _shown(pair: Pair[Sender], row: SenderRow, question: Question) -> ResolvedPair:
    address, space = question.recipients[pair.place]
    return ResolvedPair(
        from_=ResolvedFrom(
            sender_id=ids.encode(ids.SENDER, row.uid),
            display_name=row.display_name,
            address=row.address,
            channel=row.channel,
        ),
        to=ResolvedTo(address=address, channel=space.value),
        priority=pair.priority,
    )


def _read(body: bytes) -> Question:
    """What a body asks for; recipients on channels that nobody of ours serves are left out.

    Raises Refused with everything that is wrong with it.
    """
    findings = Findings()
    fields = decode_object(body)
    check_fields(fields, _FIELDS, findings)
    recipients = _recipients(fields.get("recipientAddresses"), findings)
    source = _source(fields, findings)
    filter_in, priority = check_channels(fields.get("channels", {}), "$.channels", findings)
    findings.refuse()
    return Question(recipients, source, filter_in, dict(priority))


def _recipients(value: object, findings: Findings) -> list[tuple[str, AddressSpace]]:
    context = "$.recipientAddresses"
    if value is None:
        findings.add("recipientAddresses is missing", context)
        return []
    found = [
        _recipient(entry, place, findings)
        for _, place, entry in entries(value, "recipientAddresses", context, findings, least=1, most=MAX_RECIPIENTS)
    ]
    return list(dict.fromkeys(one for one in found if one is not None))


def _recipient(value: object, context: str, findings: Findings) -> tuple[str, AddressSpace] | None:
    if not isinstance(value, dict):
        wrong_kind("a recipient's address", "an object", value, context, findings)
        return None
    check_fields(value, ("address", "channel"), findings, context)
    address = check_text(value.get("address"), "address", f"{context}.address", findings, longest=LONGEST_ADDRESS)
    channel = check_text(value.get("channel"), "channel", f"{context}.channel", findings, longest=_LONGEST_CHANNEL)
    if address is None or channel is None or channel.upper() not in AddressSpace.__members__:
        return None  # A channel of which we know nothing is no mistake: no sender of ours reaches it.
    space = AddressSpace[channel.upper()]
    return (address, space) if check_address(address, space[0], f"{context}.address", findings) else None


def _source(fields: Mapping[str, Any], findings: Findings) -> bytes | list[tuple[Channel, str]] | None:
    if "senderPoolId" in fields and "senderAddresses" in fields:
        findings.add("give either senderPoolId or senderAddresses, not both", "$.senderPoolId")
        return None
    if "senderPoolId" in fields:
        return in_body(ids.POOL, fields["senderPoolId"], "sender pool", "$.senderPoolId", findings)
    if "senderAddresses" not in fields:
        return None
    listed = entries(
        fields["senderAddresses"], "senderAddresses", "$.senderAddresses", findings, least=1, most=MAX_SENDERS
    )
    found = [_sender(entry, place, findings) for _, place, entry in listed]
    return [one for one in found if one is not None]


def _sender(value: object, context: str, findings: Findings) -> tuple[Channel, str] | None:
    """A sender by its address: on a messaging channel, of an email, or (which we have none of) for push."""
    if not isinstance(value, dict):
        wrong_kind("a sender's address", "an object", value, context, findings)
        return None
    check_fields(value, ("address", "channel", "name", "fcm", "apn"), findings, context)
    if "address" not in value and ("fcm" in value or "apn" in value):
        for credential in (value[name] for name in ("fcm", "apn") if name in value):
            if not (isinstance(credential, str) and is_well_formed(_CREDENTIAL, credential)):
                findings.add("this is not the id of a credential", context)
        return None
    address = check_text(value.get("address"), "address", f"{context}.address", findings, longest=LONGEST_ADDRESS)
    if "name" in value:
        check_text(value["name"], "name", f"{context}.name", findings, longest=LONGEST_ADDRESS)
    if "channel" not in value and address is not None and is_email(address):
        return Channel.EMAIL, address
    channel = check_channel(value.get("channel"), f"{context}.channel", findings)
    if address is None or channel is None or channel not in Channel.__members__:
        return None
    return Channel(channel), address
