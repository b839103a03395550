"""Countries in settings: ISO 3166-1 codes, as phone numbers know them."""

from __future__ import annotations

from phonenumbers import SUPPORTED_REGIONS


def check_country(code: str) -> str:
    """A country's code in capitals. Raises ValueError, with a remedy."""
    if code.upper() not in SUPPORTED_REGIONS:
        hint = 'the United Kingdom is "GB"' if code.upper() == "UK" else 'write an ISO 3166-1 code, for example "US"'
        raise ValueError(f'"{code[:20]}" is no country; {hint}')
    return code.upper()


def check_countries(codes: tuple[str, ...]) -> tuple[str, ...]:
    """The same of several, each once."""
    return tuple(dict.fromkeys(map(check_country, codes)))
