"""Requests made from the contract's OpenAPI document against a real server, which must keep to it: `make fuzz`.

schemathesis makes the requests and checks the answers; this script starts the server, puts something into it, and
tells schemathesis of what is there, so that half of the requests reach further than "there is no such message".
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench.api import Api
from bench.rig import ACCOUNT_SID, AUTH_TOKEN, BUILD, ROOT, RigFailed, Server, wait_for

CONTRACT = ROOT / "tests" / "contract" / "openapi.yaml"
#: What every answer must keep to.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
ALL_PHASES = ("examples", "coverage", "fuzzing", "stateful")
SANDBOX = """
[[connections]]
name = "sandbox"
type = "sandbox"
[[connections.senders]]
channel = "SMS"
address = "+12034458910"
display_name = "Cool Support"
mps = MPS
[[connections.senders]]
channel = "RCS"
address = "cool_agent"
mps = MPS
[[connections.senders]]
channel = "WHATSAPP"
address = "+12034458910"
mps = MPS
[[connections.senders]]
channel = "EMAIL"
address = "support@example.com"
mps = MPS
"""
SUPPORT = "support@example.com"
EMAILS = ["ana@example.com", "ben@example.com"]
EMAIL = {"subject": "Hi", "html": "<p>Hi</p>"}
PHONES = [f"+1914318806{n}" for n in range(5)]
#: Pools: requests delete them one by one.
POOLS = 20
#: Recipients of the sandbox that fail in its ways, and one that can be reached on no channel.
OTHERS = ["+15005550001", "+15005550002", "+15005550003", "+15005550005", "+15005550006"]

#: Values of formats that a JSON Schema of strings does not tell.
WORDS: Mapping[str, Sequence[str | int]] = {
    "urls": ["https://example.com/a.png", "http://example.com/b.pdf?c=d"],
    "instants": ["2026-12-01T09:30:00Z", "2020-01-01T00:00:00+02:00", "2031-05-05T05:05:05"],
    "waits": [0, 1],
    "texts": ["Hi", "Hi {{ name | default: 'there' }}", "\u0635\u0628\u0627\u062d {% if a %}{{ a }}{% endif %}"],
}

#: uvicorn's word for a request that is not HTTP, which it answers itself.
_NOT_HTTP = "Invalid HTTP request received."


class Report(NamedTuple):
    """What a run found. `output` is schemathesis's own, with how to repeat each failure."""

    cases: int
    operations: int
    #: By operation: requests that were answered as asked.
    accepted: Mapping[str, int]
    failures: Sequence[Mapping[str, Any]]
    errors: Sequence[Any]
    complaints: Sequence[str]
    seconds: float
    output: str

    @property
    def clean(self) -> bool:
        """Whether nothing was wrong."""
        return not self.failures and not self.errors and not self.complaints


class Target:
    """A server with something in it."""

    def __init__(self, folder: Path, mps: float = 1000.0) -> None:
        """*mps* is the throughput of each sender: with little, the server is idle after it has accepted."""
        self.folder = folder
        self.server = Server(folder, (), more=SANDBOX.replace("MPS", str(mps)))
        self.server.start()
        self.api = Api(self.server.base)
        self.known: dict[str, Sequence[str | int]] = {}

    def fill(self) -> None:
        """Make what requests can name: a pool, and messages that were delivered, failed and await their fate."""
        senders = self.api.call("GET", "/v1/Senders")["senders"]
        pools = [self.api.create_pool() for _ in range(POOLS)]
        to = [{"address": one, "channel": "PHONE"} for one in (*PHONES, *OTHERS)]
        body = {"from": {"senderPoolId": pools[0]}, "to": to, "content": {"text": "Hi"}}
        operation, _ = self.api.send(json.dumps(body).encode())
        mail = {"from": {"address": SUPPORT}, "to": [{"address": one} for one in EMAILS], "content": EMAIL}
        mailing = self.api.call("POST", "/v1/Emails", json.dumps(mail).encode())["operationId"]
        wait_for(lambda: self._delivered(operation) >= len(PHONES), 20.0, "messages are delivered")
        messages = self.api.call("GET", f"/v1/Messages?operationId={operation}")["messages"]
        fetched = [self.api.call("GET", f"/v1/Messages/{one['id']}") for one in messages]
        emails = self.api.call("GET", f"/v1/Emails?operationId={mailing}")["emails"]
        changes = self.api.call("GET", "/v1/SenderPools/Operations")["operations"]
        self.known = {
            "messages": [one["id"] for one in messages],
            "operations": [operation],
            "pools": pools,
            "poolOperations": [one["id"] for one in changes],
            "senders": [one["id"] for one in senders],
            "attempts": [one["id"] for message in fetched for one in message["attempts"]],
            "phones": [*PHONES, *OTHERS],
            "emails": [one["id"] for one in emails],
            **WORDS,
            "mailings": [mailing],
            "emailAddresses": [*EMAILS, SUPPORT],
            "emailSender": [SUPPORT],
            "senderAddresses": ["+12034458910", "cool_agent", SUPPORT],
        }

    def _delivered(self, operation: str) -> int:
        stats: Mapping[str, int] = self.api.call("GET", f"/v1/Messages/Operations/{operation}")["stats"]
        return stats["delivered"]

    def stop(self) -> None:
        """End the server."""
        self.api.close()
        self.server.stop()

    def complaints(self) -> list[str]:
        """What the server's log has of warnings and errors."""
        return [said for said in self.server.complaints() if said != _NOT_HTTP]


#: Where requests may name what is there: a parameter, or a place in a body, by the list of values; for all paths, and
#: for those that an expression fits.
_NAMED: Mapping[str, Mapping[str, str]] = {
    "": {
        "path.messageId": "messages",
        "path.messageSid": "attempts",
        "path.senderId": "senders",
        "path.senderPoolId": "pools",
        "path.operationId": "operations",
        "path.emailId": "emails",
        "query.operationId": "operations",
        "body.to[*].address": "phones",
        "body.from.senderPoolId": "pools",
        "body.from.senderId": "senders",
        "body.from.address": "senderAddresses",
        "body.senderPoolId": "pools",
        "body.senderId": "senders",
        "body.senders[*].senderId": "senders",
        "body.address": "senderAddresses",
        "body.recipientAddresses[*].address": "phones",
        "body.to[*].addresses[*].address": "phones",
        "body.content.text": "texts",
        "body.content.media[*].url": "urls",
        "body.schedule.sendAt[*]": "instants",
    },
    "/SenderPools/.*Operations/": {"path.operationId": "poolOperations"},
    "^/Emails": {
        "path.operationId": "mailings",
        "query.operationId": "mailings",
        "body.to[*].address": "emailAddresses",
        "body.from.address": "emailSender",
    },
}

#: Where requests name nothing else: a page of events that waits a minute for what will not happen tells nothing more.
_ALWAYS: Mapping[str, Mapping[str, str]] = {"^/Events": {"query.wait": "waits"}}
#: Seconds after which a request without an answer is a failure.
_ANSWERED_WITHIN = 20


#: To make 10,001 distinct members takes schemathesis hours. That limit has a test of its own, at both edges:
#: tests/api/test_limits_of_the_contract.py.
_TOO_DEAR = """
[[operations]]
include-operation-id = "createSenderPool"
phases.coverage.enabled = false
"""


def settings(known: Mapping[str, Sequence[str | int]]) -> str:
    """The configuration of schemathesis: what is known, and that three of four requests name it."""
    lines = ["[parameters]", *_bindings(_NAMED[""])]
    for name, values in known.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(list(values))}"]
    for share, places in ((0.75, _NAMED), (1.0, _ALWAYS)):
        for expression, named in places.items():
            if expression:
                lines += ["[[operations]]", f'include-path-regex = "{expression}"', "[operations.parameters]"]
                lines += _bindings(named, share)
    return "\n".join(lines) + "\n" + _TOO_DEAR


def _bindings(named: Mapping[str, str], share: float = 0.75) -> list[str]:
    return [f'"{place}" = {{ dictionary = "{name}", probability = {share} }}' for place, name in named.items()]


def write_with_too_large(contract: Path, to: Path) -> None:
    """Write the contract's document to *to*, with the answer 413 to each body.

    Its page allows 413 for what is over the size limit ("413 or 400"); the document forgets it,
    and schemathesis makes a body of over five megabytes once in a while.
    """
    document = yaml.safe_load(contract.read_text(encoding="utf-8"))
    for path in document["paths"].values():
        for operation in path.values():
            if "requestBody" in operation:
                operation["responses"]["413"] = operation["responses"]["400"]
    to.write_text(json.dumps(document), encoding="utf-8")


def run(
    target: Target,
    *,
    phases: Sequence[str] = ALL_PHASES,
    examples: int = 100,
    own: bool = False,
    seconds: float = 3600.0,
    more: Sequence[str] = (),
    shown: bool = False,
) -> Report:
    """Run schemathesis over the contract, or over the document that the server serves (*own*).

    *shown*: its output goes to the terminal as it comes.

    Raises `RigFailed` when it did not come to its end within *seconds*.
    """
    config, report = target.folder / "schemathesis.toml", target.folder / "report.json"
    contract = target.folder / "contract.json"
    config.write_text(settings(target.known), encoding="utf-8")
    write_with_too_large(CONTRACT, contract)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    # What stands without a version in our document is not below this URL.
    command += [f"{target.server.base}/openapi.json", "--exclude-tag", "Server"] if own else [str(contract)]
    command += ["--url", f"{target.server.base}/v1", "--auth", f"{ACCOUNT_SID}:{AUTH_TOKEN}"]
    command += ["--phases", ",".join(phases), "--checks", ",".join(CHECKS), "--max-examples", str(examples)]
    command += ["--request-timeout", str(_ANSWERED_WITHIN)]
    command += ["--continue-on-failure", "--generation-database", "none", "--warnings", "off"]
    command += ["--report", "json", "--report-json-path", str(report), *([] if shown else ["--no-color"]), *more]
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=target.folder, timeout=seconds, check=False, text=True, capture_output=not shown
        )
    except subprocess.TimeoutExpired as error:
        last = str(error.stdout or "")[-2_000:]
        raise RigFailed(f"schemathesis did not end within {seconds:.0f} s; it said last: {last}") from error
    output = "" if shown else done.stdout + done.stderr
    if not report.exists():
        raise RigFailed(f"schemathesis left no report: {output[-2000:]}")
    found = json.loads(report.read_text(encoding="utf-8"))
    target.server.check()
    return Report(
        cases=found["test_cases"]["generated"],
        operations=found["operations"]["tested"],
        accepted={
            operation: sum(rates["accepted"] for rates in by_phase.values())
            for operation, by_phase in found["valid_rates"].items()
        },
        failures=found["failures"],
        errors=found["errors"],
        complaints=target.complaints(),
        seconds=time.monotonic() - began,
        output=output,
    )


def main() -> int:
    """Fuzz, show schemathesis's own progress, and say by the exit status whether the server kept to the contract."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phases", default=",".join(ALL_PHASES), help="of schemathesis; all by default")
    parser.add_argument("--examples", type=int, default=100, help="requests for each operation and phase")
    parser.add_argument("--own", action="store_true", help="ask by the server's own document, additions included")
    parser.add_argument("--seconds", type=float, default=3600.0, help="when to give up")
    given, more = parser.parse_known_args()
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=BUILD) as folder:
        target = Target(Path(folder))
        try:
            target.fill()
            phases = given.phases.split(",")
            found = run(
                target,
                phases=phases,
                examples=given.examples,
                own=given.own,
                seconds=given.seconds,
                more=more,
                shown=True,
            )
        finally:
            target.stop()
    for said in found.complaints:
        print(f"the server's log: {said}", file=sys.stderr)
    print(f"{found.cases} requests to {found.operations} operations in {found.seconds:.0f} s", file=sys.stderr)
    return 0 if found.clean else 1


if __name__ == "__main__":
    sys.exit(main())
