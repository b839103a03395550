"""What lies under deploy/ fits what is deployed: files, settings, paths and metrics that it names are there."""

from __future__ import annotations

import configparser
import fnmatch
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from tests.docs.test_alerts import exposed, metrics_in

from sendpool.cli import app as command
from sendpool.config import SERVER_SETTINGS
from sendpool.metrics import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIABLES = {setting.variable for setting in SERVER_SETTINGS}
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "sendpool.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
MANIFESTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((DEPLOY / "kubernetes" / "sendpool.yaml").read_text(encoding="utf-8"))
)


def unknown(names: set[str]) -> set[str]:
    """Variables of ours that are no setting."""
    return {name for name in names if name.startswith("SENDPOOL_")} - VARIABLES


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile, an instruction a pair."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def in_context(path: str) -> bool:
    """Whether .dockerignore leaves a path in; the last rule that fits decides."""
    left_in = True
    for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = rule.removeprefix("!")
        if rule and not rule.startswith("#") and (path == pattern or fnmatch.fnmatch(path, pattern)):
            left_in = rule.startswith("!")
    return left_in


def test_the_image_copies_what_there_is_and_runs_as_nobody_special() -> None:
    steps = instructions()
    copied = [
        name
        for word, rest in steps
        if word == "COPY" and "--from" not in rest
        for name in shlex.split(rest)[:-1]
    ]  # fmt: skip

    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert in_context(name), f"{name} is left out by .dockerignore"
    assert not in_context("sendpool.db")
    assert [rest for word, rest in steps if word == "USER"] == ["10001"]
    assert dict(steps)["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(dict(steps)["ENTRYPOINT"]) == ["sendpool"]
    assert json.loads(dict(steps)["CMD"])[0] in command
    named = {pair.partition("=")[0] for word, rest in steps if word == "ENV" for pair in shlex.split(rest)}
    assert "SENDPOOL_DATABASE" in named
    assert unknown(named) == set()


def test_the_project_is_installed_as_it_is_built() -> None:
    """`pip install --no-build-isolation` needs what builds it, and what the build reads."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    copied = " ".join(rest for word, rest in instructions() if word == "COPY")

    for name in re.findall(r'readme = "(.+)"', project) + re.findall(r'"(LICENSE|NOTICE)"', project):
        assert name in copied
    runtime = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    assert re.search(r"^hatchling==", runtime, re.MULTILINE)


def test_the_compose_file_names_files_variables_and_services_that_there_are() -> None:
    composed = yaml.safe_load((DEPLOY / "compose.yml").read_text(encoding="utf-8"))
    services = composed["services"]

    for name, service in services.items():
        assert unknown(set(service["environment"])) == set(), name
        for other in service.get("depends_on", ()):
            assert "healthcheck" in services[other]
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source.startswith("./") or source in composed["volumes"]
        if "build" in service:
            context = (DEPLOY / service["build"]["context"]).resolve()
            assert (context / service["build"]["dockerfile"]).exists()
            assert service["stop_grace_period"] == "60s"
    assert {services[name]["environment"].get("SENDPOOL_ROLE") for name in ("api", "send")} == {"api", "send"}
    for name in ("api", "send"):
        assert services[name]["environment"]["SENDPOOL_DATABASE"].startswith("postgresql://")
        assert "SENDPOOL_SECRET_KEY" in services[name]["environment"]


def test_the_unit_is_one() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "sendpool.service")
    words = shlex.split(unit["Service"]["ExecStart"])

    assert words[1] in command
    assert unknown({unit["Service"]["Environment"].partition("=")[0]}) == set()
    assert unit["Service"]["ExecReload"].startswith("/bin/kill -HUP")
    if shutil.which("systemd-analyze"):
        checked = subprocess.run(
            ["systemd-analyze", "verify", str(DEPLOY / "sendpool.service")], capture_output=True, text=True, check=False
        )
        about_us = [line for line in checked.stderr.splitlines() if "sendpool.service" in line]
        assert [line for line in about_us if "is not executable" not in line] == []


def containers() -> list[dict[str, Any]]:
    pods = [one["spec"]["template"]["spec"] for one in MANIFESTS if one["kind"] == "Deployment"]
    return [container for pod in pods for container in pod["containers"]]


def test_the_manifests_fit_together_and_name_settings_and_paths_that_there_are() -> None:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for one in MANIFESTS:
        by_kind.setdefault(one["kind"], []).append(one)
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in by_kind["Deployment"]]
    selectors = [one["spec"]["selector"] for one in by_kind["Service"]]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in by_kind["PodDisruptionBudget"]]

    for selector in selectors:
        assert any(selector.items() <= one.items() for one in labels)
    assert unknown(set(by_kind["Secret"][0]["stringData"])) == set()
    for container in containers():
        assert unknown({one["name"] for one in container["env"]}) == set()
        assert container["args"][0] in command
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert {one["secretRef"]["name"] for one in container["envFrom"]} == {"sendpool"}
    assert [container["env"][0]["value"] for container in containers()] == ["api", "send"]


def test_the_configuration_of_the_manifests_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sendpool.config import load

    (found,) = (one["data"] for one in MANIFESTS if one["kind"] == "ConfigMap")
    (secret,) = (one["stringData"] for one in MANIFESTS if one["kind"] == "Secret")
    (tmp_path / "sendpool.toml").write_text(found["sendpool.toml"], encoding="utf-8")

    loaded = load(tmp_path / "sendpool.toml", {**secret, "SENDPOOL_ROLE": "send"})

    assert [connection.name for connection in loaded.connections] == ["carrier-a"]


@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_draws_metrics_that_there_are(query: str) -> None:
    names = metrics_in(query) - {"histogram_quantile", "le"}

    assert names
    assert names <= exposed().keys()
    for name in names:
        counts = re.search(rf"(rate|increase)\({name}\b", query) is not None
        assert counts == (exposed()[name] in {"counter", "histogram"}), f"{name} is a {exposed()[name]}"


def test_a_panel_groups_by_labels_and_names_them_in_its_legend() -> None:
    labels = {collector._name: set(collector._labelnames) for collector in labelled()}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            (name,) = metrics_in(target["expr"]) - {"histogram_quantile", "le"}
            known = labels.get(re.sub(r"_(total|bucket)$", "", name), set())
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert shown <= known, f"{name} has {known}"
            for grouped in re.findall(r"by \(([^)]*)\)", target["expr"]):
                assert set(grouped.split(", ")) <= known | {"le"}


def labelled() -> list[Any]:
    registry = Metrics()._registry
    return [one for one in registry._collector_to_names if hasattr(one, "_labelnames")]


def test_the_dashboard_is_what_its_script_writes() -> None:
    path = DEPLOY / "grafana" / "make_dashboard.py"
    spec = importlib.util.spec_from_file_location("make_dashboard", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert path.with_name("sendpool.json").read_text(encoding="utf-8") == module.written()


def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
        (points,) = (archive.read(name).decode() for name in packed if name.endswith("entry_points.txt"))
    source = ROOT / "src"
    files = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert files <= packed
    assert "sendpool/py.typed" in packed
    assert "sendpool = sendpool.cli:main" in points
