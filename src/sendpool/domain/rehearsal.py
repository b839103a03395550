"""What a rehearsal answers: what a send would do now. Shapes only; `pipeline.rehearse` fills them in."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from sendpool.domain.explanation import Candidate, Explained

_Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class RehearsedStep(Explained, frozen=True, kw_only=True):
    """A step of a recipient's plan, with who could carry it now."""

    channel: str
    address: str
    #: What one attempt costs.
    segments: int
    #: The sender that would take it; left out where none may.
    chosen: str | UnsetType = UNSET
    candidates: list[Candidate]
    candidates_left_out: int | UnsetType = UNSET


class RehearsedRecipient(Explained, frozen=True, kw_only=True):
    """What would become of one recipient."""

    #: Its place in the request.
    position: int
    address: str
    #: queued, scheduled, failed or unaddressable.
    outcome: str
    text: str
    #: The error, where it would get nothing.
    code: int | UnsetType = UNSET
    due_at: _Moment | UnsetType = UNSET
    plan: list[RehearsedStep]


class RehearsedChannel(Explained, frozen=True, kw_only=True):
    """What the first steps of all recipients come to on one channel."""

    channel: str
    messages: int
    segments: int
    #: Segments a second of the senders that are ready, as their connections allow it; left out: no limit.
    throughput: float | UnsetType = UNSET
    #: Segments that wait there already, as far as is known without counting: a message in a queue counts as one.
    waiting: int
    #: Seconds until the last one has left, behind what waits; left out while no sender is ready.
    seconds: float | UnsetType = UNSET


class Unaddressable(Explained, frozen=True, kw_only=True):
    """A recipient that nobody can reach."""

    position: int
    address: str
    code: int
    text: str


class Rehearsal(Explained, frozen=True, kw_only=True):
    """What a send would do now. Nothing was sent or stored."""

    sender_pool_id: str
    category: str
    #: Seconds.
    validity: int
    recipients: int
    #: Messages that the operation would have, and how many of them would be scheduled or fail where they begin.
    total: int
    scheduled: int
    failed: int
    unaddressable: int
    #: What the first attempts of all messages cost.
    segments: int
    #: Seconds until all have left at today's throughput, behind what waits; left out where that is not known.
    estimated_seconds: float | UnsetType = UNSET
    channels: list[RehearsedChannel]
    #: The first hundred of each.
    detail: list[RehearsedRecipient]
    unaddressable_detail: list[Unaddressable]
