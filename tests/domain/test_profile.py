from __future__ import annotations

import pytest

from sendpool.domain.profile import fill_in

FIELDS = {"firstName": "Ana", "${Twilio.Profile.firstName}": "no", "two words": "b"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${Twilio.Profile.firstName}", "Ana"),
        ("Dear ${Twilio.Profile.firstName}, ${Twilio.Profile.firstName}!", "Dear Ana, Ana!"),
        ("${Twilio.Profile.two words}", "b"),
        ("Dear ${Twilio.Profile.lastName}!", "Dear !"),
        ("$${Twilio.Profile.firstName}$", "$Ana$"),
        ("${Twilio.Profile.}", "${Twilio.Profile.}"),
        (
            "${twilio.profile.firstName} ${firstName} ${Twilio.Profile.firstName",
            "${twilio.profile.firstName} ${firstName} ${Twilio.Profile.firstName",
        ),
        ("${Twilio.Profile.${Twilio.Profile.firstName}}", "${Twilio.Profile.Ana}"),
    ],
)
def test_references_read_as_the_profiles_fields(text: str, filled: str) -> None:
    assert fill_in(text, FIELDS) == filled


def test_what_a_field_holds_is_not_read_as_a_reference_again() -> None:
    fields = {"a": "${Twilio.Profile.b}", "b": "secret"}

    assert fill_in("${Twilio.Profile.a}", fields) == "${Twilio.Profile.b}"
