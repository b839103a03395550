"""Traces: a span for each batch and its stages, never for a message; nothing at all while no endpoint is named."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.running import ACCOUNT_SID, AUTH_TOKEN, SOURCE, running_server

from sendpool.client import Client
from sendpool.tracing import _OFF, Tracing

STAGES = ("accept", "settle", "expand", "claim", "tell", "store")


class Collector(ThreadingHTTPServer):
    """Keeps the spans that it is sent by OTLP over HTTP; any other path is a sink that takes all."""

    daemon_threads = True

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = ExportTraceServiceRequest.FromString(body if self.path == "/v1/traces" else b"")
        for resource in said.resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.server.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, args=(0.01,))
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


def test_a_campaign_makes_spans_by_batches_and_stages_that_name_nobody(collector: Collector, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_address[1]}"
    phones = [f"+4477009{i:05d}" for i in range(3_000)]
    with (
        running_server(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as url,
        Client(base_url=url, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN) as client,
    ):
        sent = client.messages.send(phones, "A secret text", from_={"address": "+12034458910", "channel": "SMS"})
        client.operations.wait(sent.operation_id, within=30)

    names = Counter(span.name for span in collector.spans)
    wholes = {span.span_id: span for span in collector.spans if span.name == "commit"}
    stages = [span for span in collector.spans if span.name != "commit"]
    figures = Counter[str]()
    for span in wholes.values():
        figures.update({one.key: one.value.int_value for one in span.attributes})
    assert collector.services == {"sendpool"}
    assert set(names) == {"commit", *(f"commit.{stage}" for stage in STAGES)}
    assert names["commit"] < 1_000
    assert figures["sendpool.started"] == 3_000
    assert figures["sendpool.accepted"] == 1
    for span in stages:
        whole = wholes[span.parent_span_id]
        assert whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= whole.end_time_unix_nano
    assert {one.key for span in wholes.values() for one in span.attributes} == {
        f"sendpool.{name}" for name in ("accepted", "results", "reported", "started")
    }
    assert not any(span.attributes for span in stages)


def test_events_that_are_handed_over_make_a_span_for_each_batch(collector: Collector, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_address[1]}"
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "SENDPOOL_ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8",
    }
    with (
        running_server(tmp_path, **variables) as url,
        Client(base_url=url, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN) as client,
    ):
        configuration = {"destination": f"{endpoint}/sink", "method": "POST"}
        sink = form(url, "Sinks", Description="x", SinkType="webhook", SinkConfiguration=json.dumps(configuration))
        types = json.dumps([{"type": "com.twilio.comms-api.message.delivered"}])
        form(url, "Subscriptions", Description="x", SinkSid=sink["sid"], Types=types)
        sent = client.messages.send([f"+4477009{i:05d}" for i in range(200)], "Hi")
        client.operations.wait(sent.operation_id, within=30)
        end = time.monotonic() + 20
        while sum(delivered(collector)) < 200:
            assert time.monotonic() < end
            time.sleep(0.05)

    assert sum(delivered(collector)) == 200
    assert len(delivered(collector)) < 200


def delivered(collector: Collector) -> list[int]:
    """Events of each batch that was handed over."""
    return [span.attributes[0].value.int_value for span in list(collector.spans) if span.name == "deliver"]


def form(url: str, path: str, **fields: str) -> dict[str, Any]:
    answer = httpx2.post(f"{url}/v1/{path}", data=fields, auth=(ACCOUNT_SID, AUTH_TOKEN))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_without_an_endpoint_nothing_is_imported_and_nothing_kept() -> None:
    tracing = Tracing()
    tracing.configure({"OTEL_SERVICE_NAME": "x"})
    tracing.configure({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"})
    program = "import sys, sendpool.runtime; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"

    assert tracing.batch("commit") is _OFF
    assert not hasattr(_OFF, "__dict__")
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(SOURCE)})


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    tracing = Tracing()
    with structlog.testing.capture_logs() as logs:
        tracing.configure({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})

    assert "install sendpool[otel]" in logs[0]["remedy"]
    assert tracing.batch("commit") is _OFF
