"""What the documentation says is there, and what is there is documented."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from sendpool import __version__
from sendpool.config import (
    CONNECTION_SETTINGS,
    MEMBER_SETTINGS,
    POOL_SETTINGS,
    SCOPE_SETTINGS,
    SENDER_SETTINGS,
    SERVER_SETTINGS,
    Setting,
    load,
)
from sendpool.connectors.registry import BUILT_IN

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "sendpool"
EXAMPLE = ROOT / "sendpool.example.toml"
README = (ROOT / "README.md").read_text(encoding="utf-8")

ALL_SETTINGS = (
    *SERVER_SETTINGS,
    *CONNECTION_SETTINGS,
    *SENDER_SETTINGS,
    *POOL_SETTINGS,
    *MEMBER_SETTINGS,
    *SCOPE_SETTINGS,
)


def prose(text: str) -> str:
    """Comments of a TOML file as running text."""
    return " ".join(text.replace("#", " ").split())


@pytest.mark.parametrize("setting", ALL_SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_is_in_the_example_with_its_help(setting: Setting) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")

    assert re.search(rf"^(# )?{setting.key} = ", text, re.MULTILINE)
    assert setting.help in prose(text)


@pytest.mark.parametrize("setting", SERVER_SETTINGS, ids=lambda setting: setting.key)
def test_every_server_setting_is_in_the_readme_with_variable_and_default(setting: Setting) -> None:
    row = next((line for line in README.splitlines() if line.startswith(f"| `{setting.key}` ")), "")

    assert f"| `{setting.variable}` |" in row
    if isinstance(setting.default, str | int):
        assert f"| `{setting.default}` |" in row


def test_example_is_a_good_configuration_with_and_without_what_is_commented_out(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    everything = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    names = re.findall(r"(?<!\$)\$\{(\w+)\}", everything)
    environ = {name: "secret08" for name in names if name != "NAME"}
    (tmp_path / "all.toml").write_text(everything, encoding="utf-8")

    short = load(EXAMPLE, {"CARRIER_A_PASSWORD": "secret08"})
    full = load(tmp_path / "all.toml", environ)

    assert [connection.name for connection in short.connections] == ["carrier-a", "sandbox"]
    assert set(tomllib.loads(everything)["server"]) == {setting.key for setting in SERVER_SETTINGS}
    assert full.server.public_url == "https://sms.example.com"


def test_defaults_in_the_example_are_the_defaults() -> None:
    text = EXAMPLE.read_text(encoding="utf-8").partition("\n[server]\n")[2].partition("\n[[connections]]\n")[0]
    shown = tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE))

    for setting in SERVER_SETTINGS:
        if setting.default is not None:
            assert shown[setting.key] == (
                list(setting.default) if isinstance(setting.default, tuple) else setting.default
            )


def test_configuration_in_the_readme_is_good(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL) + re.findall(r"<<'END'\n(.*?)END\n", README, re.DOTALL)

    assert len(blocks) == 2
    for block in blocks:
        path = tmp_path / "sendpool.toml"
        path.write_text(block, encoding="utf-8")
        assert load(path, {"CARRIER_A_PASSWORD": "secret08"}).connections


def targets() -> dict[str, str]:
    """The public targets of the Makefile with their descriptions."""
    return dict(
        re.findall(r"^([a-z-]+):[^#\n]*## (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_every_target_is_phony_and_described_and_in_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.search(r"^\.PHONY: (help .*)$", makefile, re.MULTILINE)

    assert named is not None
    assert set(named[1].split()) == targets().keys()
    for target in targets().keys() - {"help"}:
        assert f"| `make {target}` |" in README


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/errors", "/docs/errors/<code>"])
def test_readme_says_where_the_server_tells_of_itself(path: str) -> None:
    assert f"| `{path}` |" in README


def test_changelog_has_this_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_connector_has_a_readme(name: str) -> None:
    assert f'type = "{name}"' in (SOURCE / "connectors" / name / "README.md").read_text(encoding="utf-8")


def test_every_decision_has_its_parts_and_the_numbers_run() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))

    for number, page in enumerate(pages, 1):
        text = page.read_text(encoding="utf-8")
        assert page.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_links_between_our_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]

    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_and_every_public_function_says_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)

    assert ast.get_docstring(tree) or not text.strip()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_lock_files_name_no_host_and_every_file_has_a_hash() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        pins = re.findall(r"^[a-z0-9.-]+==\S+.*$", text, re.MULTILINE)
        assert "://" not in text
        assert pins
        assert all(pin.endswith("\\") for pin in pins)


def test_both_locks_pin_the_same_versions() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))

    assert pins("runtime.txt").items() <= pins("dev.txt").items()


def test_every_dependency_of_the_project_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        "runtime.txt": [*project["project"]["dependencies"], *project["build-system"]["requires"]],
        "dev.txt": project["dependency-groups"]["dev"],
    }

    for name, requirements in wanted.items():
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        for requirement in requirements:
            package = re.split(r"[<>=!~; \[]", requirement)[0].lower()
            assert re.search(rf"^{re.escape(package)}==", text, re.MULTILINE), f"{name}: {package}"
