"""Make recipients.csv: 2,000 distinct recipients in 20 countries, the same on every run.

    python examples/make_recipients.py

writes examples/recipients.csv and the copy that ships inside the package for `sendpool demo`. Where a country
keeps numbers for fiction, those are used (North America 555-01xx, United Kingdom 07700 900xxx, France 06 39 98,
Germany 0176 0406 90xx, Sweden 070 174 06xx); elsewhere the subscriber part begins with zeros. The demo sends to
simulated carriers alone, so nobody is called.
"""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import phonenumbers

SEED = 20261122
TOTAL = 2000
#: Every tenth recipient is reached on WhatsApp, the others as PHONE.
WHATSAPP_EVERY = 10
#: Country -> (share, patterns). In a pattern `#` is any digit.
RANGES: dict[str, tuple[int, tuple[str, ...]]] = {
    "United States": (
        300,
        ("+121255501##", "+131055501##", "+141555501##", "+171355501##", "+130555501##", "+120655501##"),
    ),
    "Canada": (100, ("+141655501##", "+160455501##", "+151455501##")),
    "United Kingdom": (240, ("+447700900###",)),
    "France": (180, ("+3363998####",)),
    "Germany": (60, ("+49176040690##",)),
    "Sweden": (40, ("+467017406##",)),
    "Netherlands": (100, ("+31600####00",)),
    "Belgium": (60, ("+3246000####",)),
    "Spain": (110, ("+3460000####",)),
    "Italy": (110, ("+39320000####",)),
    "Poland": (80, ("+4850000####",)),
    "Switzerland": (40, ("+4176000####",)),
    "India": (160, ("+9170000#####",)),
    "Singapore": (60, ("+658000####",)),
    "Japan": (60, ("+819000####00",)),
    "Brazil": (100, ("+551190000####", "+552190000####")),
    "Mexico": (70, ("+525500######",)),
    "Nigeria": (50, ("+234800000####",)),
    "South Africa": (50, ("+276000#####",)),
    "Australia": (30, ("+61491570###",)),
}


def numbers(chance: random.Random) -> list[str]:
    """`TOTAL` distinct numbers in E.164, mixed over the countries by their share."""
    drawn: dict[str, None] = {}
    for share, patterns in RANGES.values():
        wanted = len(drawn) + share
        while len(drawn) < wanted:
            number = "".join(chance.choice("0123456789") if c == "#" else c for c in chance.choice(patterns))
            if phonenumbers.is_possible_number(phonenumbers.parse(number)):
                drawn[number] = None
    mixed = list(drawn)
    chance.shuffle(mixed)
    assert len(mixed) == TOTAL, f"the shares add up to {len(mixed)}, not to {TOTAL}"
    return mixed


def recipients_csv() -> str:
    """The file's text: a header, then `number,channel`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("number", "channel"))
    for index, number in enumerate(numbers(random.Random(SEED)), start=1):
        writer.writerow((number, "PHONE" if index % WHATSAPP_EVERY else "WHATSAPP"))
    return out.getvalue()


def main() -> None:
    """Write both copies."""
    examples = Path(__file__).resolve().parent
    text = recipients_csv()
    for path in (examples / "recipients.csv", examples.parent / "src/sendpool/simulate/recipients.csv"):
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
