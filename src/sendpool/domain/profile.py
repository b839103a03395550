"""Profiles: people whose addresses and fields are known by an id, so that a request need not name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_REFERENCE = re.compile(r"\$\{Twilio\.Profile\.([^{}]{1,128})\}")


class Profile(NamedTuple):
    """One person in one memory store."""

    profile_id: str
    store_id: str
    #: (address, letter of its space) in order of preference.
    addresses: Sequence[tuple[str, str]]
    #: What references may name: text by name.
    fields: Mapping[str, str]


def fill_in(text: str, fields: Mapping[str, str]) -> str:
    """*text* with each `${Twilio.Profile.name}` replaced by that field; one that the profile has not reads empty."""
    if "${" not in text:
        return text
    return _REFERENCE.sub(lambda found: fields.get(found[1], ""), text)
