"""The answers with which changes are accepted: 202 with where to look."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from sendpool.api.exchange import Reply
from sendpool.api.schemas import OperationReference, ResourceReference, encode


def operation_accepted(
    operation_id: str, location: str, resources: str, estimate: str | UnsetType | None = UNSET
) -> Reply:
    """An operation was made: its reference in the body, and in every spelling of the headers that clients read.

    *location* is the operation's absolute URL, *resources* that of the list of what it makes, *estimate* when it will
    be complete.
    """
    key, url = operation_id.encode(), location.encode()
    return Reply(
        202,
        encode(
            OperationReference(operation_id=operation_id, operation_location=location, estimated_completion=estimate)
        ),
        (
            (b"operationid", key),
            (b"operation-id", key),
            (b"operationlocation", url),
            (b"operation-location", url),
            (b"resource-location", resources.encode()),
        ),
    )


def resource_accepted(resource_id: str, location: str) -> Reply:
    """A resource was changed, removed or taken out of another."""
    return Reply(202, encode(ResourceReference(resource_id=resource_id, resource_location=location)))
