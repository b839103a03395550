"""Templates from files: made, shown, changed and deleted by command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

JSON = '{"friendly_name": "order", "variables": {"1": "customer"}, "types": {"twilio/text": {"body": "Dear {{1}}"}}}'
TOML = """
friendly_name = "order"
language = "de"

[types."twilio/text"]
body = "Hallo {{1}}"
"""


@pytest.fixture(autouse=True)
def _account(run: Run) -> None:
    run("accounts", "create")


def write(content: str, name: str = "order.json") -> str:
    Path(name).write_text(content, encoding="utf-8")
    return name


def test_a_template_is_made_shown_changed_and_deleted(run: Run) -> None:
    sid = run("templates", "create", write(JSON)).out.strip()
    shown = json.loads(run("templates", "show", sid).out)
    changed = run("templates", "update", sid, write(TOML, "order.toml"))
    listed = json.loads(run("templates", "list", "--json").out)
    deleted = run("templates", "delete", sid)

    assert sid.startswith("HX")
    assert len(sid) == 34
    assert (shown["friendlyName"], shown["language"], shown["variables"]) == ("order", "en", {"1": "customer"})
    assert changed == (0, f"{sid} is changed\n", "")
    assert [(one["sid"], one["types"]) for one in listed] == [(sid, {"twilio/text": {"body": "Hallo {{1}}"}})]
    assert deleted == (0, f"{sid} is deleted\n", "")
    assert run("templates", "list").out == "No template.\n"
    for command in (("show", sid), ("delete", sid), ("update", sid, "order.json")):
        gone = run("templates", *command)
        assert gone.status == 1
        assert "sendpool templates list" in gone.err


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.json", "{", "not valid JSON"),
        ("x.toml", "= 1", "x.toml"),
        ("x.json", '{"types": {"twilio/text": {"body": "{{1"}}}', "$.types.twilio/text.body"),
        ("x.json", '{"name": "x", "types": {"twilio/text": {"body": "x"}}}', 'unknown field "name"'),
    ],
)
def test_a_file_that_is_no_template_is_told_in_one_line(run: Run, name: str, content: str, told: str) -> None:
    refused = run("templates", "create", write(content, name))

    assert refused.status == 2
    assert told in refused.err
    assert refused.err.count("\n") == 1
