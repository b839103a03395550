"""Write the dashboard that lies beside: `python deploy/grafana/make_dashboard.py`. A panel is a line here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PLACE = Path(__file__).with_name("sendpool.json")
WIDTH, HEIGHT, COLUMNS = 8, 8, 3

#: Title, unit of Grafana, and what is drawn: legend and query.
PANELS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("Messages accepted", "cps", (("messages", "sum(rate(sendpool_messages_total[1m]))"),)),
    (
        "Attempts by outcome",
        "cps",
        (("{{connection}} {{outcome}}", "sum by (connection, outcome) (rate(sendpool_attempts_total[1m]))"),),
    ),
    (
        "Receipts by state",
        "cps",
        (("{{connection}} {{state}}", "sum by (connection, state) (rate(sendpool_receipts_total[1m]))"),),
    ),
    ("Links up", "short", (("{{connection}}", "sendpool_link_up"),)),
    ("In flight", "short", (("{{connection}}", "sendpool_in_flight"),)),
    ("Waiting for a sender", "short", (("all", "sendpool_queue_depth"), ("{{pool}}", "sendpool_pool_queue_depth"))),
    (
        "Longest wait",
        "s",
        (("all", "sendpool_queue_oldest_age_seconds"), ("{{pool}}", "sendpool_pool_queue_age_seconds")),
    ),
    (
        "Time of a commit",
        "s",
        (
            ("half", "histogram_quantile(0.5, sum by (le) (rate(sendpool_commit_seconds_bucket[5m])))"),
            ("99 of 100", "histogram_quantile(0.99, sum by (le) (rate(sendpool_commit_seconds_bucket[5m])))"),
        ),
    ),
    ("Commits that failed", "short", (("failed", "increase(sendpool_commits_failed_total[5m])"),)),
    ("Nobody knows whether they left", "short", (("messages", "sendpool_ambiguous_messages"),)),
    ("Receipts that wait for their segment", "short", (("receipts", "sendpool_receipts_waiting"),)),
    ("Operations that are paused", "short", (("operations", "sendpool_paused_operations"),)),
    (
        "Events offered to sinks",
        "cps",
        (("{{sink}} {{outcome}}", "sum by (sink, outcome) (rate(sendpool_events_offered_total[1m]))"),),
    ),
    ("How far sinks are behind", "s", (("{{sink}}", "sendpool_sink_oldest_age_seconds"),)),
    ("Routes held back for their health", "short", (("{{condition}}", "sendpool_restrained_routes"),)),
)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "title": "Sendpool",
        "uid": "sendpool",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "tags": ["sendpool"],
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, *panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, title: str, unit: str, drawn: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(65 + i), "datasource": source, "expr": query, "legendFormat": legend}
            for i, (legend, query) in enumerate(drawn)
        ],
    }


def written() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    PLACE.write_text(written(), encoding="utf-8")
