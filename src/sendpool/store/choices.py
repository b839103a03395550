"""How a pool chooses and where a sender sends, as their columns hold it."""

from __future__ import annotations

import msgspec

from sendpool.domain.destinations import EVERYWHERE, Countries, Destinations
from sendpool.domain.health import USUAL, Thresholds
from sendpool.domain.message import Category
from sendpool.domain.pool import GRACE, Choice
from sendpool.domain.preference import Preference
from sendpool.domain.quiet import QuietHours, minute_of
from sendpool.domain.sender import Channel


class CountriesSetting(msgspec.Struct, frozen=True, omit_defaults=True):
    """Countries by code: only those allowed (None: all), and none of those denied."""

    allow: list[str] | None = None
    deny: list[str] = []

    @property
    def value(self) -> Countries:
        """The same as a value."""
        return Countries(only=None if self.allow is None else frozenset(self.allow), never=frozenset(self.deny))


class QuietHoursSetting(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times of day ("21:00"), and categories that go out all the same (None: one-time passwords)."""

    start: str
    end: str
    exempt: list[Category] | None = None

    @property
    def value(self) -> QuietHours:
        """The same as a value."""
        hours = QuietHours(start=minute_of(self.start), end=minute_of(self.end))
        return hours if self.exempt is None else msgspec.structs.replace(hours, exempt=frozenset(self.exempt))


class HealthSetting(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Whether the health of senders is left out of account, and by what else than usual they are judged."""

    off: bool = False
    min_sample: int = USUAL.min_sample
    worse_by: float = USUAL.worse_by
    trickle: float = USUAL.trickle
    step: float = USUAL.step

    @property
    def thresholds(self) -> Thresholds:
        """The same as a value."""
        return Thresholds(self.min_sample, self.worse_by, self.trickle, self.step)


class ChoiceSettings(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Those of a pool's settings that say how it chooses; what is not given is as a `Choice` has it."""

    preference: Preference = Preference.SPREAD
    grace: float = GRACE
    reach: tuple[Channel, ...] | None = None
    countries: CountriesSetting | None = None
    quiet_hours: QuietHoursSetting | None = None
    health: HealthSetting | None = None


def read_choice(settings: str) -> Choice:
    """How a pool with these settings (a JSON object, of which other fields are ignored) chooses."""
    found = msgspec.json.decode(settings, type=ChoiceSettings)
    return Choice(
        preference=found.preference,
        grace=found.grace,
        reach=found.reach,
        countries=EVERYWHERE if found.countries is None else found.countries.value,
        quiet=None if found.quiet_hours is None else found.quiet_hours.value,
        heeds_health=found.health is None or not found.health.off,
        thresholds=USUAL if found.health is None else found.health.thresholds,
    )


def read_countries(raw: str | None) -> Countries:
    """An account's countries."""
    return EVERYWHERE if raw is None else msgspec.json.decode(raw, type=CountriesSetting).value


class DestinationSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a declaration says of where a sender sends."""

    country: str = ""
    countries: list[str] | None = None
    not_countries: list[str] = []
    campaign: str = ""
    #: Of its connection.
    require_campaign: list[str] = []


def read_destinations(raw: str) -> Destinations:
    """Where a sender sends, as far as its declaration says."""
    found = msgspec.json.decode(raw, type=DestinationSettings)
    only = None if found.countries is None else frozenset(found.countries)
    return Destinations(
        country=found.country,
        countries=Countries(only=only, never=frozenset(found.not_countries)),
        campaign=found.campaign,
        campaigns_in=frozenset(found.require_campaign),
    )
