"""Scripts say what goes wrong, in TOML or on the command line; what cannot be read is explained."""

from __future__ import annotations

from math import inf
from typing import get_args

import pytest

from sendpool.simulate.script import (
    FAULT_HELP,
    KINDS,
    AnyFault,
    Drop,
    Fault,
    Outage,
    Refuse,
    Script,
    ScriptError,
    SlowReceipt,
    Throttle,
    parse_fault,
    parse_scenario,
    span,
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("refuse", Refuse(status="0x45")),
        ("refuse status=0x0a share=0.1 source=1203*", Refuse(status="0x0a", share=0.1, source="1203*")),
        ("throttle mps=50", Throttle(mps=50)),
        ("slow-receipt seconds=1-2 destination=44??", SlowReceipt(seconds="1-2", destination="44??")),
        ("drop after=100 times=3 answered=false", Drop(after=100, times=3, answered=False)),
        ("outage from=10 until=20", Outage(since=10, until=20)),
    ],
)
def test_faults_are_read_from_the_command_line(text: str, fault: Fault) -> None:
    parsed = parse_fault(text)

    assert type(parsed) is type(fault)
    assert parsed == fault


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is none of refuse, throttle"),
        ("explode", '"explode" is none of refuse, throttle'),
        ("refuse 0x45", '"0x45" is not of the form key=value'),
        ("refuse status=", '"status=" is not of the form key=value'),
        ("refuse status=zz", 'status "zz" is no number such as 0x45'),
        ("refuse speed=1", "unknown field `speed`"),
        ("refuse share=2", "share"),
        ("refuse share=0", "share"),
        ("throttle", "`mps`"),
        ("drop after=0", "after"),
        ("slow-answer seconds=soon", '"soon" is no time in seconds'),
        ("slow-answer seconds=3-2", "it must begin at 0 or later and not end before"),
        ("outage", "an outage needs from= or until="),
        ("outage from=3 until=2", "until=2 is not after from=3"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_fault(text: str, complaint: str) -> None:
    with pytest.raises(ScriptError, match=complaint) as error:
        parse_fault(text)

    assert f'fault "{text}"' in str(error.value)


def test_a_scenario_describes_several_centres() -> None:
    first, second = parse_scenario("""
        seed = 7

        [[centre]]
        name = "carrier-a"
        port = 2775
        receipt_delay = "0.1-0.5"
        accounts = { sendpool = "secret" }

        [[centre.faults]]
        kind = "refuse"
        status = 0x45
        share = 0.1

        [[centre.faults]]
        kind = "outage"
        from = 10
        until = 20

        [[centre]]
        name = "carrier-b"
        port = 2776
        seed = 8
    """)

    refuse, outage = first.faults
    assert (first.name, first.seed, second.name, second.seed) == ("carrier-a", 7, "carrier-b", 8)
    assert isinstance(refuse, Refuse)
    assert refuse.code == 0x45
    assert outage == Outage(since=10, until=20)
    assert second.faults == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed = ", "scenario"),
        ("seed = 1", r"\[\[centre\]\]"),
        ("colour = 1\n[[centre]]", r"\[\[centre\]\]"),
        ("[centre]\nport = 1", "scenario"),
        ('centre = "a"', "scenario"),
        ("[[centre]]\nport = 99999", "port"),
        ('[[centre]]\nids = "octal"', "ids"),
        ('[[centre]]\nanswer_delay = "x"', "no time in seconds"),
        ('[[centre]]\n[[centre.faults]]\nkind = "refuse"\nstatus = "zz"', "no number"),
    ],
)
def test_a_scenario_that_cannot_be_read_says_why(text: str, complaint: str) -> None:
    with pytest.raises(ScriptError, match=complaint):
        parse_scenario(text)


@pytest.mark.parametrize(
    ("text", "bounds"), [("0.2", (0.2, 0.2)), (1, (1.0, 1.0)), ("0.1-0.5", (0.1, 0.5)), ("0-0", (0.0, 0.0))]
)
def test_times_are_fixed_or_ranges(text: str | float, bounds: tuple[float, float]) -> None:
    assert span(text) == bounds


@pytest.mark.parametrize(
    ("narrowing", "befallen"),
    [
        ({}, True),
        ({"source": "1203*"}, True),
        ({"source": "+1203*"}, True),
        ({"source": "INFO"}, False),
        ({"destination": "4477?0900001"}, True),
        ({"destination": "4477"}, False),
        ({"system_id": "send*"}, True),
        ({"system_id": "other"}, False),
        ({"since": 5.0}, True),
        ({"since": 5.1}, False),
        ({"until": 5.0}, False),
        ({"until": inf}, True),
    ],
)
def test_a_fault_befalls_what_it_is_narrowed_to(narrowing: dict[str, object], befallen: bool) -> None:
    fault = Refuse(**narrowing)  # type: ignore[arg-type]

    assert fault.befalls("sendpool", "+12034458910", "+447700900001", elapsed=5.0) is befallen


def test_the_help_names_every_kind_and_every_example_in_it_can_be_read() -> None:
    examples = [line.split("  ")[1] for line in FAULT_HELP.splitlines() if line.startswith("  ") and line[2].isalpha()]
    faults = [example for example in examples if example.split()[0] in KINDS]

    assert {fault.split()[0] for fault in faults} == set(KINDS)
    assert len(KINDS) == len(get_args(AnyFault))
    for fault in faults:
        parse_fault(fault)


def test_a_script_checks_its_faults_and_times_when_it_is_made() -> None:
    with pytest.raises(ScriptError, match="no time in seconds"):
        Script(receipt_delay="later")
    with pytest.raises(ScriptError, match="no number"):
        Script(faults=(Refuse(status="x"),))
