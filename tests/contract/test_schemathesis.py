"""A real server keeps to the contract, whatever is asked of it: `make fuzz` in short."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.fuzz import Target, run

from sendpool.api.reference.operations import OPERATIONS as OWN_OPERATIONS

#: Operations of the contract: none is left out.
OPERATIONS = 29
#: Requests for each operation and phase, and seconds that a busy machine may take for all.
EXAMPLES, WITHIN = 10, 300.0
#: The same requests each time: once in a hundred runs others are of megabytes and take minutes to make. `make fuzz`
#: draws anew.
SEED = ("--seed", "1")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with messages in it."""
    found = Target(tmp_path_factory.mktemp("fuzz"))
    found.fill()
    yield found
    found.stop()


def test_a_server_keeps_to_the_contract(target: Target) -> None:
    report = run(target, phases=("examples", "fuzzing"), examples=EXAMPLES, seconds=WITHIN, more=SEED)

    assert report.clean, f"{report.complaints}\n{report.output}"
    assert report.operations == OPERATIONS
    assert report.cases > report.operations * EXAMPLES / 2
    # The requests reach what they are about: with so few of each, not every operation is asked well once.
    assert sum(accepted > 0 for accepted in report.accepted.values()) > report.operations / 2


def test_a_server_keeps_to_the_document_that_it_serves(target: Target) -> None:
    report = run(target, phases=("examples", "fuzzing"), examples=4, seconds=WITHIN, own=True, more=SEED)

    assert report.clean, f"{report.complaints}\n{report.output}"
    assert report.operations == len(OWN_OPERATIONS)
