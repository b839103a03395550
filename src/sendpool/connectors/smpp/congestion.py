"""How far a carrier's congestion_state slows a connection down (SMPP 5.0 §4.8.4.18)."""

from __future__ import annotations

from sendpool.connectors.smpp import pdu
from sendpool.connectors.smpp.bodies import PduError, Tag

#: Up to this state, in percent, a carrier is busy as it should be: 80 to 89 is "optimum load".
FULL_PACE_BELOW = 80
#: From this state on it wants nothing for a moment; 100 is "congested".
STOP_AT = 96
#: The pace just below that.
_LEAST = 0.05


def pace_at(state: int) -> float:
    """The share of its throughput that a connection has at a congestion_state: 1.0 under 80, then less, 0.0 from 96."""
    if state < FULL_PACE_BELOW:
        return 1.0
    if state >= STOP_AT:
        return 0.0
    return 1.0 - (1.0 - _LEAST) * (state - FULL_PACE_BELOW) / (STOP_AT - FULL_PACE_BELOW)


def state_in(octets: bytes) -> int | None:
    """The congestion_state among these TLVs, 0 to 100; None where they hold none or cannot be read."""
    try:
        value = pdu.read_tlvs(octets).get(Tag.CONGESTION_STATE)
    except PduError:
        return None
    return min(value[0], 100) if value else None
