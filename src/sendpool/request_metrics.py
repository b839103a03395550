"""HTTP requests as Prometheus sees them, counted in plain lists: a request costs no lock and no walk over buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class _Times:
    """How long the requests of one route took."""

    __slots__ = ("seconds", "within")

    def __init__(self, buckets: int) -> None:
        self.seconds = 0.0
        #: Requests by the first bucket that they fall into; the last one has no bound.
        self.within = [0] * (buckets + 1)


class RequestMetrics(Collector):
    """Requests by method, route and status, and how long they took by route. Counted on one thread."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """*bounds*: seconds, ascending."""
        self._bounds = bounds
        self._names = [*map(str, bounds), "+Inf"]
        self._counts: dict[tuple[str, str, int], int] = {}
        self._times: dict[str, _Times] = {}

    def count(self, method: str, route: str, status: int, *seconds: float) -> None:
        """Count requests that were answered alike, each with how long it took."""
        key = (method, route, status)
        self._counts[key] = self._counts.get(key, 0) + len(seconds)
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = _Times(len(self._bounds))
        times.seconds += sum(seconds)
        for one in seconds:
            times.within[bisect_left(self._bounds, one)] += 1

    def collect(self) -> Iterator[Metric]:
        """Everything so far."""
        requests = CounterMetricFamily(
            "sendpool_http_requests", "HTTP requests by method, route and status.", labels=["method", "route", "status"]
        )
        for (method, route, status), number in self._counts.items():
            requests.add_metric([method, route, str(status)], number)
        yield requests
        took = HistogramMetricFamily(
            "sendpool_http_request_seconds", "How long HTTP requests took, by route.", labels=["route"]
        )
        for route, times in self._times.items():
            buckets = [(name, float(n)) for name, n in zip(self._names, accumulate(times.within), strict=True)]
            took.add_metric([route], buckets, times.seconds)
        yield took
