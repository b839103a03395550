"""`sendpool send` against a whole server, also killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.running import ACCOUNT_SID, AUTH_TOKEN, SOURCE, running_server

from sendpool.client import Client

SENDER = "--from=+12034458910"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def client(url: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> Iterator[Client]:
    """A client of the server; commands find the server in the environment."""
    monkeypatch.setenv("SENDPOOL_URL", url)
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT_SID)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    with Client() as client:
        yield client


def phones(number: int) -> list[str]:
    return [f"+4477009{i:05d}" for i in range(number)]


def write_csv(number: int, name: str = "people.csv") -> Path:
    path = Path(name)
    lines = [f"{phone},Person {i},{i}" for i, phone in enumerate(phones(number))]
    path.write_text("phone,name,order\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def addresses(client: Client, operations: list[str]) -> Counter[str]:
    """Whom these operations have messages to."""
    return Counter(
        message.to[0].address or "" for operation in operations for message in client.messages.list(operation=operation)
    )


def test_everybody_in_a_file_gets_a_message_of_their_own(client: Client, run: Run) -> None:
    write_csv(25)
    done = run("send", "people.csv", "--text", "Hi {{ name }}, {{ nr }}", "--variable", "name=name", "--variable",
               "nr=order", SENDER, "--at-once", "10", "--tag", "campaign=launch", "--wait", "--json")  # fmt: skip
    told = json.loads(done.out)

    assert (done.status, told["recipients"], told["before"], len(told["operations"])) == (0, 25, 0, 3)
    assert told["stats"]["total"] == 25
    assert addresses(client, told["operations"]) == Counter(phones(25))
    message = next(
        one for one in client.messages.list(operation=told["operations"][2]) if one.to[0].address == phones(25)[24]
    )
    fetched = client.messages.fetch(message.id)
    assert (fetched.content, fetched.tags) == ({"text": "Hi Person 24, 24"}, {"campaign": "launch"})


def test_the_same_command_again_sends_nothing_and_another_run_does(client: Client, run: Run) -> None:
    write_csv(12)
    words = ("send", "people.csv", "--text", "Again", SENDER, "--json")
    first, second = json.loads(run(*words).out), json.loads(run(*words).out)
    Path("people.csv.sent.jsonl").unlink()
    without_journal = json.loads(run(*words).out)
    third = json.loads(run(*words, "--run", "second").out)

    assert first["operations"] == second["operations"] == without_journal["operations"] != third["operations"]
    assert (first["before"], second["before"], third["before"]) == (0, 12, 0)
    assert "Nothing was left to send" in run("send", "people.csv", "--text", "Again", SENDER).out


def test_killed_in_the_middle_it_goes_on_and_nobody_is_doubled_or_missing(
    client: Client, run: Run, tmp_path: Path
) -> None:
    write_csv(4_000)
    journal = Path("people.csv.sent.jsonl")
    words = ["send", "people.csv", "--text", "Killed", SENDER, "--at-once", "20", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sendpool", *words],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        stdout=subprocess.DEVNULL,
    )
    end = time.monotonic() + 30
    while not journal.exists() or journal.read_bytes().count(b"\n") < 10:
        assert time.monotonic() < end
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = journal.read_text(encoding="utf-8").splitlines()
    # The worst moment: a request was carried out, and the line about it is cut off.
    journal.write_text("\n".join(begun[:-2]) + "\n" + begun[-2][:30], encoding="utf-8")

    told = json.loads(run(*words).out)

    assert 10 <= len(begun) < 200
    assert (told["recipients"], told["before"]) == (4_000, 20 * (len(begun) - 2))
    assert addresses(client, told["operations"]) == Counter(phones(4_000))
    assert sum(operation.stats.total == 20 for operation in client.operations.list()) == 200


def test_json_lines_and_single_recipients_are_taken_too(client: Client, run: Run) -> None:
    lines = [
        phones(1)[0],
        {"phone": phones(2)[1], "name": "Ana"},
        {"address": phones(3)[2], "channel": "PHONE", "variables": {"name": "Bo"}},
    ]
    Path("people.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = run("send", "people.jsonl", "--to", "+447700900999", "--text", "Hi {{ name }}", SENDER, "--json")
    told = json.loads(done.out)

    assert addresses(client, told["operations"]) == Counter([*phones(3), "+447700900999"])


def test_wrong_lines_are_named_and_nothing_is_sent(client: Client, run: Run) -> None:
    Path("people.csv").write_text(
        "phone,name\n+447700900123,Ana\n0770,Bo\n+999123456,Cy\n+447700900124\n", encoding="utf-8"
    )
    before = len(list(client.operations.list()))
    refused = run("send", "people.csv", "--text", "Hi", SENDER)
    assert len(list(client.operations.list())) == before
    skipped = run("send", "people.csv", "--text", "Hi", SENDER, "--skip-wrong", "--json")

    assert refused.status == 2
    assert refused.err.splitlines() == [
        "line 3: its address is no number in international form (+447700900123)",
        "line 4: its number has a country code or a length that no number has",
        "line 5: it has 1 columns, the first line 2",
        "sendpool: 3 lines are wrong, nothing was sent; correct them, or say --skip-wrong",
    ]
    assert "0770" not in skipped.err
    assert (json.loads(skipped.out)["recipients"], json.loads(skipped.out)["wrong"]) == (1, 3)


def test_a_dry_run_shows_the_first_message_and_sends_nothing(client: Client, run: Run) -> None:
    write_csv(1_500)
    before = len(list(client.operations.list()))
    told = json.loads(run("send", "people.csv", "--text", "Hi {{ name }}", SENDER, "--dry-run", "--json").out)

    assert (told["recipients"], told["requests"], told["wrong"]) == (1_500, 2, 0)
    assert told["first"]["to"] == [
        {"address": phones(1)[0], "channel": "PHONE", "variables": {"name": "Person 0", "order": "0"}}
    ]
    assert len(list(client.operations.list())) == before
    assert not Path("people.csv.sent.jsonl").exists()


def test_what_the_server_refuses_is_told_by_its_line_and_can_be_gone_on_with(client: Client, run: Run) -> None:
    Path("people.jsonl").write_text(
        "\n".join(json.dumps({"address": phone, "channel": "PHONE", "variables": {"n": 1 if i == 3 else "1"}})
                  for i, phone in enumerate(phones(5))),
        encoding="utf-8",
    )  # fmt: skip
    words = ("send", "people.jsonl", "--text", "Hi", SENDER, "--at-once", "2")
    refused = run(*words)
    text = Path("people.jsonl").read_text(encoding="utf-8").replace('"n": 1', '"n": "1"')
    Path("people.jsonl").write_text(text, encoding="utf-8")
    told = json.loads(run(*words, "--json").out)

    assert refused.status == 1
    assert (
        "lines 3 to 4 were refused (400):\nline 4: $.to[1].variables: a variable's value must be a string"
        in refused.err
    )
    assert "2 of 5 were sent to; the same command goes on there" in refused.err
    assert (told["before"], addresses(client, told["operations"])) == (2, Counter(phones(5)))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "name a file of recipients, or say --to +447700900123"),
        (("--to", "+447700900123"), "say what is sent: --text, --text-file or --media, or --content-id"),
        (("--to", "+447700900123", "--text", "Hi", "--from", "Sales"), 'no pool and no sender is called "Sales"'),
        (("people.csv", "--text", "Hi", "--address", "tel"), 'there is no column "tel"; it has phone, name, order'),
        (("people.csv", "--text", "Hi", "--variable", "a=b"), 'there is no column "b"; it has phone, name, order'),
        (("people.csv", "--text", "Hi", "--tag", "a"), '"a" is not name=value'),
        (("--to", "+447700900123", "--text", "Hi", "--channel", "FAX"), 'channel "FAX" is none of PHONE, WHATSAPP'),
    ],
)
def test_what_is_wrong_is_said_in_a_line(client: Client, run: Run, words: tuple[str, ...], says: str) -> None:
    write_csv(1)
    done = run("send", *words)

    assert done.status == 2
    assert says in done.err


def test_without_credentials_and_without_a_server_it_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    done = run("send", "--to", "+447700900123", "--text", "Hi")

    assert done.status == 2
    assert "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN" in done.err
