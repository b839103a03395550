"""The recipients of the demo are plausible, distinct, and the same in both places."""

from __future__ import annotations

import csv
import runpy
from collections import Counter
from importlib import resources
from pathlib import Path

import phonenumbers
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    text = resources.files("sendpool.simulate").joinpath("recipients.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_the_example_file_and_the_shipped_one_are_equal() -> None:
    shipped = resources.files("sendpool.simulate").joinpath("recipients.csv").read_bytes()

    assert (ROOT / "examples/recipients.csv").read_bytes() == shipped


def test_the_script_makes_the_same_file_again() -> None:
    script = runpy.run_path(str(ROOT / "examples/make_recipients.py"))

    assert script["recipients_csv"]() == (ROOT / "examples/recipients.csv").read_text(encoding="utf-8")


def test_there_are_2000_distinct_recipients(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 2000
    assert len({row["number"] for row in rows}) == 2000


def test_a_tenth_is_on_whatsapp_and_the_rest_are_phones(rows: list[dict[str, str]]) -> None:
    assert Counter(row["channel"] for row in rows) == {"PHONE": 1800, "WHATSAPP": 200}


def test_every_number_is_possible_and_none_is_magic_in_the_sandbox(rows: list[dict[str, str]]) -> None:
    parsed = [phonenumbers.parse(row["number"]) for row in rows]

    assert all(phonenumbers.is_possible_number(number) for number in parsed)
    assert len({number.country_code for number in parsed}) >= 15
    assert not any(row["number"].startswith("+1500555") for row in rows)
