"""What is counted is shown, under names that do not change by accident."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from sendpool.metrics import CONTENT_TYPE, Metrics


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample of ours as `name{label="value"}`."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_everything_counted_is_shown() -> None:
    metrics = Metrics()

    metrics.accepted(1, 10_000)
    metrics.attempts("carrier-a", "accepted").inc(7)
    metrics.attempts("carrier-a", "accepted").inc(2)
    metrics.attempts("carrier-b", "rejected").inc()
    metrics.receipts("carrier-a", "delivered").inc(5)
    metrics.unmatched(3)
    metrics.in_flight("carrier-a").set(12)
    metrics.link_up("carrier-a").set(1)
    metrics.queue(400, 2.5)
    metrics.commit(0.002, 250)
    metrics.request("POST", "/v1/Messages", 202, 0.004)

    shown = values(metrics)
    assert shown["sendpool_operations_total"] == 1
    assert shown["sendpool_messages_total"] == 10_000
    assert shown['sendpool_attempts_total{connection="carrier-a",outcome="accepted"}'] == 9
    assert shown['sendpool_attempts_total{connection="carrier-b",outcome="rejected"}'] == 1
    assert shown['sendpool_receipts_total{connection="carrier-a",state="delivered"}'] == 5
    assert shown["sendpool_receipts_unmatched_total"] == 3
    assert shown['sendpool_in_flight{connection="carrier-a"}'] == 12
    assert shown['sendpool_link_up{connection="carrier-a"}'] == 1
    assert shown["sendpool_queue_depth"] == 400
    assert shown["sendpool_queue_oldest_age_seconds"] == 2.5
    assert shown["sendpool_commit_seconds_count"] == 1
    assert shown['sendpool_commit_seconds_bucket{le="0.0025"}'] == 1
    assert shown["sendpool_batch_size_sum"] == 250
    assert shown['sendpool_http_requests_total{method="POST",route="/v1/Messages",status="202"}'] == 1
    assert shown['sendpool_http_request_seconds_count{route="/v1/Messages"}'] == 1


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()

    one.unmatched(1)

    assert values(one)["sendpool_receipts_unmatched_total"] == 1
    assert values(other)["sendpool_receipts_unmatched_total"] == 0


def test_a_child_is_looked_up_once() -> None:
    metrics = Metrics()

    assert metrics.attempts("carrier-a", "accepted") is metrics.attempts("carrier-a", "accepted")


def test_a_connection_that_is_gone_can_be_forgotten() -> None:
    metrics = Metrics()
    metrics.in_flight("carrier-a").set(3)

    metrics.in_flight.forget("carrier-a")
    metrics.in_flight.forget("never there")

    assert not [name for name in values(metrics) if name.startswith("sendpool_in_flight")]


def test_format_is_the_text_format_and_every_metric_has_a_help_line() -> None:
    text = Metrics().render().decode()

    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
    types = re.findall(r"^# TYPE (sendpool_\S+)", text, re.MULTILINE)
    helps = dict(re.findall(r"^# HELP (sendpool_\S+) (.+)$", text, re.MULTILINE))
    assert types
    assert all(helps[name].endswith(".") for name in types)
    assert "_created" not in text
