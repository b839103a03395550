"""The figures of connectors: who else speaks their protocols, how even the loop stays, and what nobody may see."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from bench.figures import Figure, say
from bench.rig import ROOT, Rig, RigFailed, wait_for

#: Tests in which a connector, or its platform here, talks to an implementation that is not ours, by connector.
PEERS = {
    "smpp: npm smpp, PyPI smpp34, smpplib and the compiled centre": (
        "tests/peers/test_smpp_npm.py",
        "tests/peers/test_smpp_smsc.py",
        "tests/connectors/smpp/test_against_smpp34.py",
        "tests/connectors/smpp/test_against_smpplib.py",
    ),
    "smtp: npm smtp-server, PyPI aiosmtpd": ("tests/peers/test_smtp_server.py", "tests/journeys/test_smtp.py"),
    "whatsapp: PyPI pywa": ("tests/simulate/test_whatsapp.py",),
    "rcs: PyPI google-auth": ("tests/simulate/test_rcs.py", "tests/connectors/rcs/test_access.py"),
    "twilio: npm Prism with Twilio's own description, PyPI twilio": (
        "tests/simulate/test_twilio.py",
        "tests/connectors/twilio/test_callbacks.py",
    ),
    "http: PyPI vonage-sms and telnyx": ("tests/connectors/http/test_examples.py",),
}
#: Tests of callbacks that somebody else made.
FORGED = (
    "tests/connectors/rcs/test_connector.py::test_forged_event_is_refused_and_counted",
    "tests/connectors/whatsapp/test_connector.py::test_forged_event_is_refused_and_counted",
    "tests/connectors/twilio/test_connector.py::test_what_is_forged_is_refused_counted_and_told_of_now_and_then",
    "tests/connectors/http/test_examples.py::test_what_is_forged_is_refused_counted_and_told_of_now_and_then",
    "tests/connectors/smtp/test_bounces.py::test_a_forged_notification_says_nothing",
    "tests/examples/test_connector_package.py::test_a_callback_without_the_key_is_refused_and_counted",
)
#: Messages a second over each connector of an HTTP platform, and milliseconds that the loop may be late.
RATE, STALL_MS = 200, 50
#: Where transcripts of the conversations with peers lie after a run.
RECORDS = ROOT / "build" / "connectors"
#: Tests that record conversations with peers, and where these lie.
RECORDERS = ("tests/peers/test_conversations.py",)
CONVERSATIONS = ROOT / "build" / "conversations"


class ConnectorSizes(NamedTuple):
    """How long the load lasts, in seconds."""

    seconds: int = 30


CONNECTOR_QUICK = ConnectorSizes(5)


# ---------------------------------------------------------------- a, d: from tests


def peers(_: ConnectorSizes) -> list[Figure]:
    """Each connector against an implementation of its protocol that is not ours; what passed is kept as a file."""
    return [
        _tests(f"{name}: tests that pass", tests, RECORDS / f"{name.partition(':')[0]}.txt")
        for name, tests in PEERS.items()
    ]


def conversations(_: ConnectorSizes) -> list[Figure]:
    """The life of a message with each peer, recorded anew: where that lies, and how much was said and heard."""
    shutil.rmtree(CONVERSATIONS, ignore_errors=True)
    made = _tests("conversations with peers: tests that pass", RECORDERS, RECORDS / "conversations.txt")
    return [made, *map(_conversation, sorted(CONVERSATIONS.glob("*.txt")))]


def _conversation(file: Path) -> Figure:
    text = file.read_text(encoding="utf-8")
    said, heard = (len(re.findall(rf"^ *[0-9]+\.[0-9]+ {who} ", text, re.MULTILINE)) for who in "><")
    name = f"{file.stem}: what the connector said and heard"
    return Figure(name, "both", f"{said} and {heard}", bool(said and heard), {"record": str(file.relative_to(ROOT))})


def forged(_: ConnectorSizes) -> list[Figure]:
    """Forged callbacks of each connector that has any: refused and counted."""
    return [_tests("forged callbacks are refused and counted: tests that pass", FORGED, RECORDS / "forged.txt")]


def _tests(name: str, tests: tuple[str, ...], record: Path) -> Figure:
    command = [sys.executable, "-m", "pytest", "-v", "-n", "0", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(done.stdout, encoding="utf-8")
    passed, skipped = done.stdout.count(" PASSED"), done.stdout.count(" SKIPPED")
    detail: dict[str, Any] = {"tests": list(tests), "record": str(record.relative_to(ROOT))}
    if done.returncode or skipped:
        detail["problem"] = (done.stdout.strip().splitlines() or ["nothing ran"])[-1]
    return Figure(name, "all, none skipped", passed, done.returncode == 0 and not skipped, detail)


# ---------------------------------------------------------------- b: an even load


def load(sizes: ConnectorSizes) -> list[Figure]:
    """200 messages a second through the RCS and the WhatsApp connector, on kept connections."""
    figures = []
    for kind in ("rcs", "whatsapp"):
        command = [sys.executable, str(ROOT / "bench" / "connector_load.py"), kind, str(RATE), str(sizes.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise RigFailed(f"the load over {kind} failed: {done.stderr.strip().splitlines()[-1:]}")
        found = json.loads(done.stdout.strip().splitlines()[-1])
        wanted = RATE * sizes.seconds
        whole = found["accepted"] == found["reported"] == wanted and found["rate"] >= 0.95 * RATE
        name = f"{kind}: {RATE} messages a second: the longest that the event loop is late, in ms"
        figures.append(
            Figure(name, f"at most {STALL_MS}", found["stall_ms"], whole and found["stall_ms"] <= STALL_MS, found)
        )
    return figures


# ---------------------------------------------------------------- c: secrets

_SECRETS = {kind: f"s3cret-of-{kind}-0123456789" for kind in ("smtp", "whatsapp", "app", "rcs", "twilio", "http")}
#: SMPP passwords have eight characters.
_SMPP = "sm9pPw5x"


def secrets(_: ConnectorSizes) -> list[Figure]:
    """A server with a connection of each type that reaches nobody: what of its secrets is in its log and its words."""
    with Rig() as rig:
        server = rig.server(more=_connections(rig.dead_port()), settings='log_level = "debug"\n')
        wait_for(lambda: _tried(rig), 30, "links are tried")
        names = ("smpp", "smtp", "whatsapp", "rcs", "twilio", "http")
        told = [_check(rig, name) for name in names]
        log = (rig.folder / "server.log").read_text(encoding="utf-8")
        server.stop()
    everything = log + "".join(told)
    found = [kind for kind, secret in {**_SECRETS, "smpp": _SMPP}.items() if secret in everything]
    say(f"  {len(log):,} bytes of log, {sum(map(len, told)):,} of words")
    name = "secrets in the log or in what `sendpool connections check` says, of six connections that reach nobody"
    return [Figure(name, "none", len(found), not found, {"found": found, "bytes": len(everything)})]


def _tried(rig: Rig) -> bool:
    return "smpp.reconnecting" in (rig.folder / "server.log").read_text(encoding="utf-8")


def _check(rig: Rig, name: str) -> str:
    command = [
        sys.executable,
        "-m",
        "sendpool",
        "connections",
        "check",
        name,
        "--config",
        str(rig.folder / "server.toml"),
    ]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if "no connection" not in done.stdout + done.stderr:
        raise RigFailed(
            f"connections check {name} does not say that nobody is there: {(done.stdout + done.stderr)[:200]}"
        )
    return done.stdout + done.stderr


def _connections(dead: int) -> str:
    url, own = f"http://127.0.0.1:{dead}", _SECRETS
    tables = {
        "smpp": f'host = "127.0.0.1"\nport = {dead}\nsystem_id = "bench"\npassword = "{_SMPP}"',
        "smtp": f'host = "127.0.0.1"\nport = {dead}\ntls = "none"\nusername = "bench"\npassword = "{own["smtp"]}"',
        "whatsapp": f'base_url = "{url}"\naccess_token = "{own["whatsapp"]}"\napp_secret = "{own["app"]}"',
        "rcs": f'base_url = "{url}"\ntoken = "{own["rcs"]}"\nclient_token = "{own["rcs"]}"',
        "twilio": f'base_url = "{url}"\naccount_sid = "AC{"1" * 32}"\nauth_token = "{own["twilio"]}"',
        "http": f'public_url = "https://me.example"\n[connections.secrets]\nkey = "{own["http"]}"\n'
        f'[connections.request]\nurl = "{url}/send"\n[connections.request.json]\nkey = "{{{{secret.key}}}}"\n'
        'to = "{{to}}"\ntext = "{{text}}"\n[connections.response]\nid = "id"',
    }
    senders = {
        "smpp": ("SMS", "+12025550101", ""),
        "smtp": ("EMAIL", "us@example.com", ""),
        "whatsapp": ("WHATSAPP", "+12025550102", 'phone_number_id = "1065"\n'),
        "rcs": ("RCS", "bench_agent", ""),
        "twilio": ("SMS", "+12025550103", ""),
        "http": ("SMS", "+12025550104", ""),
    }
    text = ""
    for name, table in tables.items():
        channel, address, more = senders[name]
        text += f'\n[[connections]]\nname = "{name}"\ntype = "{name}"\n{table}\n'
        text += f'[[connections.senders]]\nchannel = "{channel}"\naddress = "{address}"\n{more}'
    return text
