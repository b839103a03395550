"""The rules for alerts are rules, ask only for what there is, and somebody who is woken finds what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from sendpool.metrics import Metrics

PLACE = Path(__file__).parents[2] / "docs" / "operations"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PLACE / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
#: Metrics that Prometheus itself makes.
MADE_BY_PROMETHEUS = {"up"}
_DURATION = re.compile(r"[0-9]+(s|m|h|d)")


def exposed() -> dict[str, str]:
    """Types of metrics by the names that queries may use."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", Metrics().render().decode(), re.MULTILINE))
    parts = {
        f"{name}_{part}": kind for name, kind in types.items() if kind == "histogram" for part in ("bucket", "sum")
    }
    return {**types, **parts}


def metrics_in(expression: str) -> set[str]:
    """Names that may be metrics: words that are followed by no bracket, outside of braces and texts."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\bby \([^)]*\)', "", expression)
    names = re.findall(r"\b([a-z_:][a-z0-9_:]*)\b(?!\s*\()", bare)
    return set(names) - {"and", "or", "unless", "by", "sum", "e6", "e9"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_has_its_parts_and_asks_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert _DURATION.fullmatch(rule.get("for", "0m"))
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    names = metrics_in(rule["expr"])
    assert names
    assert names <= exposed().keys() | MADE_BY_PROMETHEUS
    for name in names - MADE_BY_PROMETHEUS:
        counts = re.search(rf"(rate|increase)\({name}\b", rule["expr"]) is not None
        assert counts == (exposed()[name] in {"counter", "histogram"}), f"{name} is a {exposed()[name]}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_groups_by_labels_that_its_metrics_have(rule: dict[str, Any]) -> None:
    known = {
        "sendpool_attempts_total": {"connection", "outcome"},
        "sendpool_receipts_total": {"connection", "state"},
        "sendpool_restrained_routes": {"condition"},
        "sendpool_events_offered_total": {"sink", "outcome"},
    }
    for name, labels in re.findall(r"(sendpool_\w+)\{([^}]*)\}", rule["expr"]):
        assert set(re.findall(r"(\w+)=", labels)) <= known[name]
    for labels in re.findall(r"by \(([^)]*)\)", rule["expr"]):
        assert labels in {"connection", "sink"}


def test_each_alert_has_a_section_that_says_what_to_do() -> None:
    page = (PLACE / "alerts.md").read_text()

    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_no_two_rules_are_of_one_name() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_what_is_not_there_is_noticed() -> None:
    assert metrics_in('sum by (connection) (rate(sendpool_x_total{a="b"}[5m])) > 0.2 * sendpool_y and up') == {
        "sendpool_x_total",
        "sendpool_y",
        "up",
    }
