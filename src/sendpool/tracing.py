"""Traces by OpenTelemetry: a span for each batch and its stages, never for a message.

Off unless the environment names an endpoint, as OpenTelemetry has it (`OTEL_EXPORTER_OTLP_ENDPOINT`); then the extra
`sendpool[otel]` has to be there. While it is off a batch costs a few calls that do nothing, and nothing is imported.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from sendpool import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = structlog.get_logger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Trace:
    """One batch: when each of its stages began. This one keeps nothing: tracing is off."""

    __slots__ = ()

    def begins(self, stage: str) -> None:
        """A stage begins, and the one before it ends; work that is done again begins with its first stage."""

    def ends(self, failed: str = "", **figures: int) -> None:
        """The batch ends; *figures* say how much was in it. *failed*: the kind of error that ended it."""


_OFF = Trace()


class _Kept(Trace):
    """A batch whose spans are written when it ends: until then it is a list of times."""

    __slots__ = ("_began", "_name", "_stages", "_tracer")

    def __init__(self, tracer: Tracer, name: str) -> None:
        self._tracer = tracer
        self._name = name
        self._began = time.time_ns()
        self._stages: list[tuple[str, int]] = []

    def begins(self, stage: str) -> None:
        if self._stages and self._stages[0][0] == stage:
            self._stages.clear()
        self._stages.append((stage, time.time_ns()))

    def ends(self, failed: str = "", **figures: int) -> None:
        from opentelemetry.trace import StatusCode, set_span_in_context

        now = time.time_ns()
        attributes = {f"sendpool.{name}": number for name, number in figures.items()}
        whole = self._tracer.start_span(self._name, start_time=self._began, attributes=attributes)
        inside = set_span_in_context(whole)
        ends = [began for _, began in self._stages[1:]] + [now]
        for (stage, began), end in zip(self._stages, ends, strict=False):
            self._tracer.start_span(f"{self._name}.{stage}", context=inside, start_time=began).end(end)
        if failed:
            whole.set_status(StatusCode.ERROR, failed)
        whole.end(now)


class Tracing:
    """What makes traces; off until `configure` finds an endpoint."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    def batch(self, name: str) -> Trace:
        """Begin a batch."""
        return _OFF if self._tracer is None else _Kept(self._tracer, name)

    def configure(self, environ: Mapping[str, str]) -> None:
        """Trace from now on, if the environment names an endpoint. A part that is missing is no reason to stop."""
        if not any(environ.get(name) for name in _ENDPOINTS) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            log.warning("no traces are made", remedy="install sendpool[otel], or leave OTEL_EXPORTER_OTLP_ENDPOINT out")
            return
        named = {"service.name": environ.get("OTEL_SERVICE_NAME") or "sendpool", "service.version": __version__}
        # It writes what is left when the process ends.
        provider = TracerProvider(resource=Resource.create(named))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = provider.get_tracer("sendpool", __version__)


#: The traces of this process.
TRACING = Tracing()
