"""Pages that are made of the code say what the code does, and pages name what there is."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml  # type: ignore[import-untyped]

from sendpool import config
from sendpool.connectors.smpp.settings import SmppSettings
from sendpool.domain.states import AttemptState, MessageState, OperationState, message_may_become

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_diagrams_have_every_state_and_only_moves_that_are_made(pages: ModuleType) -> None:
    drawn = dict(re.findall(r"## (\w+)\n\n```mermaid\n(.*?)```", pages.states_page(), re.DOTALL))

    for name, kind in (("Message", MessageState), ("Attempt", AttemptState), ("Operation", OperationState)):
        assert {state.name for state in kind} <= set(re.findall(r"[A-Z]+", drawn[name]))
    moves = re.findall(r"(\w+) --> (\w+)", drawn["Message"])
    assert moves
    assert all(message_may_become(MessageState[old], MessageState[new]) for old, new in moves)


def test_every_setting_and_every_command_is_on_its_page(pages: ModuleType) -> None:
    settings, commands = pages.settings_page(), pages.commands_page()

    for setting in (*config.SERVER_SETTINGS, *config.CONNECTION_SETTINGS, *config.SCOPE_SETTINGS):
        assert f"| `{setting.key}` |" in settings
    for command in ("serve", "send", "watch", "connections check", "quarantine remove"):
        assert f"sendpool {command}" in commands


def test_every_page_is_in_the_navigation() -> None:
    text = re.sub(r"!!python\S+", "", (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8"))
    named = set(re.findall(r"[\w/-]+\.md", yaml.safe_dump(yaml.safe_load(text)["nav"])))
    written = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.parent.name != "adr"}

    assert written - named == set(), "name it under `nav` in mkdocs.yml"


def test_links_that_leave_the_pages_become_names(pages: ModuleType) -> None:
    page = DOCS / "operations" / "deploying.md"
    markdown = "[`deploy/Dockerfile`](../../deploy/Dockerfile), [alerts](alerts.md), [x](https://x.example)"

    assert pages.without_links_outside(markdown, page, DOCS) == (
        "`deploy/Dockerfile`, [alerts](alerts.md), [x](https://x.example)"
    )


def test_who_comes_from_elsewhere_finds_settings_that_there_are() -> None:
    known = {*SmppSettings.__struct_fields__}
    for settings in (config.CONNECTION_SETTINGS, config.SENDER_SETTINGS, config.MEMBER_SETTINGS):
        known |= {setting.key for setting in settings}
    page = (DOCS / "guides" / "migrating.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| .+ \| (.+) \|$", page, re.MULTILINE)
    named = {name for cell in tables for name in re.findall(r"`([a-z_]+)(?: = \"[^\"]*\")?`", cell)}

    assert {"mps", "bind", "enquire_link", "tier"} <= named
    assert named - known == {"smpp"}
