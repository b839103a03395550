"""The figures of the whole contract, each measured on a real server process or counted from a run of the tests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from bench.api import AUTHORIZATION, recipient
from bench.figures import Figure, say
from bench.fuzz import Report, Target, run
from bench.hostile import BODIES, ODD_TEXTS
from bench.rig import BUILD, ROOT

BEHAVIOUR = ROOT / "tests" / "contract" / "behaviour.md"
#: The tables of the contract's behaviour, and where their rows are tested.
TABLES = {
    "15": ("Where sources disagree", "tests/api/test_where_sources_disagree.py"),
    "16": ("Limits", "tests/api/test_limits_of_the_contract.py"),
}
RECIPIENTS = 10_000
#: Seconds until the 202 of so many recipients, the slowest of `accepts`.
ACCEPTED_WITHIN = 1.5
#: Seconds until something hostile is answered, and MB that the server may grow by it.
ANSWERED_WITHIN, GROWTH = 5.0, 100.0
HUGE = 100_000_000
LIQUID = (
    "Hello {{ name | default: 'there' | capitalize }}, {% if city %}your parcel for {{ city }}{% else %}it{% endif %} "
    "arrives {{ day | default: 'today' }}."
)
#: Each a small text that would take a computer long, or much memory.
BOMBS = {
    "loops in loops": "{% for a in (1..9999) %}{% for b in (1..9999) %}{% for c in (1..9999) %}x"
    "{% endfor %}{% endfor %}{% endfor %}",
    "a long range": "{% for a in (1..99999999999) %}{% endfor %}x",
    "doubling": "{% assign x = 'xxxxxxxx' %}" + "{% assign x = x | append: x %}" * 40 + "{{ x }}",
    "deep nesting": "{% if name %}" * 1_000 + "x" + "{% endif %}" * 1_000,
    "long filter chain": "{{ name" + " | upcase | downcase" * 2_000 + " }}",
}


class ContractSizes(NamedTuple):
    """How much each figure takes."""

    examples: int = 50
    phases: Sequence[str] = ("examples", "coverage", "fuzzing", "stateful")
    accepts: int = 5


CONTRACT_QUICK = ContractSizes(10, ("examples", "fuzzing"), 3)


@contextmanager
def server(*, filled: bool = False, mps: float = 1000.0) -> Iterator[Target]:
    """A server of its own on the disk that the project is on."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="contract-", dir=BUILD) as folder:
        target = Target(Path(folder), mps)
        try:
            if filled:
                target.fill()
            yield target
        finally:
            target.stop()


# ---------------------------------------------------------------- a: made-up requests


def fuzzed(sizes: ContractSizes) -> list[Figure]:
    """Requests that schemathesis makes up from the contract: answers that break it."""
    with server(filled=True) as target:
        theirs = run(target, phases=sizes.phases, examples=sizes.examples)
        ours = run(target, phases=("examples", "fuzzing"), examples=max(1, sizes.examples // 5), own=True)
    return [
        _kept("answers that break the contract", theirs, sizes.phases),
        _kept("answers that break our own document, additions included", ours, ("examples", "fuzzing")),
    ]


def _kept(name: str, found: Report, phases: Sequence[str]) -> Figure:
    say(found.output[-4000:] if not found.clean else f"{found.cases} requests to {found.operations} operations")
    wrong = len(found.failures) + len(found.errors) + len(found.complaints)
    detail = {"requests": found.cases, "operations": found.operations, "phases": list(phases)}
    return Figure(name, "0", wrong, wrong == 0, detail)


# ---------------------------------------------------------------- b: rows with tests


def rows(section: str) -> list[str]:
    """The first cells of a table of the contract's behaviour."""
    title, _ = TABLES[section]
    found = re.search(rf"^## {section}\. {title}.*?\n(.*?)(?=^## |\Z)", BEHAVIOUR.read_text(), re.DOTALL | re.MULTILINE)
    lines = found[1].splitlines() if found else []
    return [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:]


def plain(name: str) -> str:
    """A row's or test's name with nothing but its words."""
    return "_".join(word for word in re.findall(r"[a-z0-9]+", name.lower()) if word not in ("and", "test"))


def rows_with_tests(_: ContractSizes) -> list[Figure]:
    """Rows of the tables of disagreements and limits whose test passes."""
    found = []
    for section, (title, path) in TABLES.items():
        passed = _passed(path)
        wanted = rows(section)
        tested = [row for row in wanted if plain(row) in passed]
        missing = [row for row in wanted if row not in tested]
        name = f'rows of §{section} "{title}" with a test that passes'
        found.append(Figure(name, f"{len(wanted)}", len(tested), bool(wanted) and not missing, {"without": missing}))
    return found


def _passed(path: str) -> set[str]:
    """The plain names of the tests of a file of which no case failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", path, f"--junitxml={report}"]
        subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL, timeout=300)
        cases = list(ET.parse(report).iter("testcase"))
    names = {plain(case.attrib["name"].partition("[")[0]) for case in cases}
    return names - {plain(case.attrib["name"].partition("[")[0]) for case in cases if len(case)}


# ---------------------------------------------------------------- c, d: Liquid


def personal(count: int, text: str) -> bytes:
    """A request with variables of its own for each recipient."""
    to = [
        {
            "address": recipient(n),
            "channel": "PHONE",
            "variables": {"name": f"name {n}", **({"city": f"city {n}"} if n % 2 else {}), "day": "tomorrow"},
        }
        for n in range(count)
    ]
    return json.dumps({"to": to, "content": {"text": text}}).encode()


def many_with_liquid(sizes: ContractSizes) -> list[Figure]:
    """10,000 recipients with variables of their own in one request: seconds until the 202."""
    body = personal(RECIPIENTS, LIQUID)
    with server(mps=0.1) as target:
        before = target.server.usage().cpu_seconds
        times = [target.api.send(body)[1] for _ in range(sizes.accepts)]
        spent = target.server.usage().cpu_seconds - before
    name = f"seconds until {RECIPIENTS:,} recipients with Liquid text are accepted, slowest of {sizes.accepts}"
    worst = round(max(times), 3)
    # On a busy machine the first says little: the server's own time says what is its fault.
    detail = {"each": [round(seconds, 3) for seconds in times], "cpu_seconds_each": round(spent / sizes.accepts, 3)}
    return [Figure(name, f"< {ACCEPTED_WITHIN}", worst, worst < ACCEPTED_WITHIN, detail)]


def bombs(_: ContractSizes) -> list[Figure]:
    """Liquid that would run for ever: seconds until it is answered, growth of the server, and that it goes on."""
    with server() as target:
        target.api.send(personal(1, "Hi {{ name }}"))
        before = target.server.usage().peak_rss_mb
        found = {kind: _hostile(target, personal(1, text)) for kind, text in BOMBS.items()}
        grown = target.server.usage().peak_rss_mb - before
        target.api.call("GET", "/healthz")
        complaints = target.complaints()
    slowest = max(told["seconds"] for told in found.values())
    fine = all(told["status"] in (202, 400) for told in found.values()) and not complaints
    return [
        Figure(
            "seconds until the slowest Liquid bomb is answered, with 400 or 202",
            f"< {ANSWERED_WITHIN:.0f}",
            slowest,
            fine and slowest < ANSWERED_WITHIN,
            {"each": found, "complaints": complaints},
        ),
        Figure("MB that Liquid bombs make the server grow", f"< {GROWTH:.0f}", round(grown, 1), grown < GROWTH),
    ]


def _hostile(target: Target, body: bytes, path: str = "/v1/Messages") -> dict[str, Any]:
    began = time.monotonic()
    status, _ = target.api.ask("POST", path, body)
    return {"status": status, "seconds": round(time.monotonic() - began, 3)}


# ---------------------------------------------------------------- e, f: hostile bodies


def huge(_: ContractSizes) -> list[Figure]:
    """A body of 100 MB: its answer, and how much the server grows."""
    import http.client

    with server() as target:
        before = target.server.usage().peak_rss_mb
        connection = http.client.HTTPConnection(target.server.base.removeprefix("http://"), timeout=60)
        headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}
        statuses = {}
        for kind, encode in (("with its length", False), ("in chunks", True)):
            length = {} if encode else {"Content-Length": str(HUGE)}
            chunks = (b" " * 1_000_000 for _ in range(HUGE // 1_000_000))
            connection.request("POST", "/v1/Messages", chunks, {**headers, **length}, encode_chunked=encode)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            statuses[kind] = answer.status
        grown = target.server.usage().peak_rss_mb - before
        target.api.call("GET", "/healthz")
    return [
        Figure("answers to a body of 100 MB", "413", statuses, set(statuses.values()) == {413}),
        Figure("MB that it makes the server grow", f"< {GROWTH:.0f}", round(grown, 1), grown < GROWTH),
    ]


def hostile(_: ContractSizes) -> list[Figure]:
    """Nesting, lone surrogates, NULs and marks of other writings: refused, or carried as they are."""
    with server() as target:
        refused = {kind: target.api.ask("POST", "/v1/Messages", body)[0] for kind, body in BODIES.items()}
        carried = [text for text in ODD_TEXTS if _carried(target, text) == text]
        complaints = target.complaints()
    wrong = {kind: status for kind, status in refused.items() if status != 400}
    detail = {"kinds": len(BODIES), "complaints": complaints}
    return [
        Figure("hostile bodies that are not answered with 400", "0", len(wrong), not (wrong or complaints), detail),
        Figure(
            "odd texts that arrive as they were sent", f"{len(ODD_TEXTS)}", len(carried), len(carried) == len(ODD_TEXTS)
        ),
    ]


def _carried(target: Target, text: str) -> object:
    """What a fetch shows of a text that was sent."""
    body = {"to": [{"address": recipient(1), "channel": "PHONE"}], "content": {"text": text}}
    operation, _ = target.api.send(json.dumps(body).encode())
    (message,) = target.api.pages("/v1/Messages", "messages", operationId=operation)
    return target.api.call("GET", f"/v1/Messages/{message['id']}")["content"].get("text")
