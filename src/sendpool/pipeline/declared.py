"""What a node's configuration declares, as digests that other nodes compare: secrets included, and told to nobody."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from sendpool.connectors.base import ConnectionSettings
from sendpool.pipeline.nodes import lease_of


def declared_by(wanted: Mapping[int, tuple[ConnectionSettings, int]], key: bytes) -> dict[str, dict[str, str]]:
    """{lease: {connection's key: digests}} of what a configuration wants to run.

    There is a digest for how the link is dialled, one for how fast it goes and one for its senders, in the order of
    `domain.ownership.ASPECTS`, then one for each named scope that it shares. They are made with *key*, which all nodes
    have, so that nobody guesses a password by them.
    """
    return {lease_of(number): {str(number): _digests(settings, key)} for number, (settings, _) in wanted.items()}


def _digests(settings: ConnectionSettings, key: bytes) -> str:
    senders = sorted(settings.senders, key=lambda one: (one.channel, one.address))
    dialled = (settings.name, settings.type, settings.window, dict(settings.options))
    throughput = [settings.mps, settings.burst, *((one.mps, one.burst) for one in senders)]
    who = [(one.channel, one.address, one.display_name, dict(one.options)) for one in senders]
    return " ".join([_digest(part, key) for part in (dialled, throughput, who, *sorted(settings.named_scopes))])


def _digest(value: object, key: bytes) -> str:
    encoded = msgspec.json.encode(value, order="deterministic", enc_hook=str)
    return blake2b(encoded, key=blake2b(key).digest(), digest_size=6).hexdigest()
