"""What connections can do by their types, wherever they run: a node decides also about those that others have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from sendpool.connectors.base import CanRevoke, KnowsCapabilities
from sendpool.connectors.registry import UnknownConnector, connector_type


class Kinds:
    """The types of all connections, by key."""

    def __init__(self, types: Mapping[int, str]) -> None:
        self._types = types

    def can_be_asked(self, connection_id: int) -> bool:
        """Whether it can be asked ahead who is reachable."""
        return _can(self._types.get(connection_id, ""))[0]

    def can_revoke(self, connection_id: int) -> bool:
        """Whether it can take back what it has submitted."""
        return _can(self._types.get(connection_id, ""))[1]


@cache
def _can(kind: str) -> tuple[bool, bool]:
    try:
        connector = connector_type(kind)
    except UnknownConnector:
        return False, False
    return isinstance(connector, type) and issubclass(connector, KnowsCapabilities), _revokes(connector)


def _revokes(connector: object) -> bool:
    return isinstance(connector, type) and issubclass(connector, CanRevoke)
