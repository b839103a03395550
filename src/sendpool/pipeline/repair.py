"""Repair: what a carrier refused as it was goes out once more in another form (failover rule 15), and what nobody knows
of once more under the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sendpool.connectors.base import ConnectionSettings, RepairsContent, SenderSettings
from sendpool.connectors.registry import UnknownConnector, connector_type
from sendpool.domain.failures import Repair, by_rule
from sendpool.domain.routing import REPAIR_RULE
from sendpool.domain.states import AttemptState
from sendpool.store.attempts import PastAttempt

#: What was decided after an attempt whose message is to go in another form.
DECIDED = f"later/{REPAIR_RULE}"


def repair_of(past: Sequence[PastAttempt], step: int) -> Repair | None:
    """The form in which a message goes on at a step of its plan, by its attempts so far; None: as it is.

    It holds for whoever tries next at that step, also after an attempt that was withdrawn.
    """
    decided = (one for one in past if one.step == step and one.next == DECIDED)
    return next((by_rule(one.rule).repair for one in decided if one.rule), None)


def repeated(past: Sequence[PastAttempt], sender_id: int) -> int | None:
    """The first attempt by a sender of which nobody knows what became: a carrier that drops repeats has to know one."""
    unknown = (one.n for one in past if one.sender_id == sender_id and one.state == AttemptState.AMBIGUOUS)
    return next(unknown, None)


def repairs_of(settings: ConnectionSettings, sender: SenderSettings) -> frozenset[Repair]:
    """The changed forms in which a sender of a connection can send what its carrier refuses as it is."""
    connector = _repairing(settings.type)
    return connector.repairs(settings, sender) if connector is not None else frozenset()


@cache
def _repairing(kind: str) -> type[RepairsContent] | None:
    """The connector of this name, if it can repair."""
    try:
        connector: object = connector_type(kind)
    except UnknownConnector:
        return None
    return connector if isinstance(connector, type) and issubclass(connector, RepairsContent) else None
