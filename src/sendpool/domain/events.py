"""What customers are told: each event as a CloudEvent (contract behaviour §14). `event_types` has the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sendpool.domain.event_types import ATTEMPT_ENDED, LATE_RECEIPT, NOTICE_EVENT, OPERATION_EVENT, kind_of

__all__ = ["ATTEMPT_ENDED", "LATE_RECEIPT", "NOTICE_EVENT", "OPERATION_EVENT", "CloudEvent", "cloud_event"]


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as it is handed over (CloudEvents 1.0, JSON)."""

    specversion: str
    #: The same each time that it is told.
    id: str
    source: str
    type: str
    datacontenttype: str
    #: RFC 3339 in UTC.
    time: str
    data: Mapping[str, Any]
    dataschema: str | None = None


def cloud_event(
    subject: str, number: int, account_sid: str, time: str, data: Mapping[str, Any], notice: str = ""
) -> CloudEvent:
    """The event that *number* is of a *subject* (public id of a message or an operation). Raises KeyError."""
    kind = kind_of(number, notice)
    return CloudEvent(
        specversion="1.0",
        id=f"{subject}.{number}",
        source=f"urn:sendpool:{account_sid}",
        type=kind.name,
        datacontenttype="application/json",
        time=time,
        data={name: value for name, value in data.items() if value is not None},
        dataschema=kind.schema,
    )
