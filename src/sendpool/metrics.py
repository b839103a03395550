"""Every counter, gauge and histogram, named in one place. A leaf: it measures nothing by itself."""

from __future__ import annotations

from typing import Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.process_collector import ProcessCollector

from sendpool import __version__
from sendpool.request_metrics import RequestMetrics

#: The media type of what `Metrics.render` returns.
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

#: Seconds: a commit on a fast disk takes 0.2 ms, on a slow one 20 ms.
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_REQUEST_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_TAKEOVER_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_BATCH_SIZES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)

# A creation time beside every counter doubles the series and tells nobody anything.
disable_created_metrics()  # type: ignore[no-untyped-call]

M = TypeVar("M", bound=MetricWrapperBase)


class Family(Generic[M]):
    """A metric with labels; called with their values it gives the child for them.

    A child is looked up in a plain dictionary. Fetch it once per batch and count with `inc(n)`, never once per message.
    """

    def __init__(self, metric: M) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], M] = {}

    def __call__(self, *values: str) -> M:
        """The child with these label values, in the order in which the metric names its labels."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._metric.labels(*values)
        return child

    def forget(self, *values: str) -> None:
        """Stop showing the child with these label values, as when its connection is no more."""
        if self._children.pop(values, None) is not None:
            self._metric.remove(*values)


class Metrics:
    """The metrics of one server. Each instance has a registry of its own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        Info("sendpool_build", "What is running.", registry=registry).info({"version": __version__})
        self._operations = Counter("sendpool_operations", "Requests to send that were accepted.", registry=registry)
        self._messages = Counter("sendpool_messages", "Messages of accepted operations.", registry=registry)
        #: By connection and outcome: accepted, rejected, throttled, unavailable, uncertain or recounted.
        self.attempts = Family(
            Counter(
                "sendpool_attempts",
                "What became of submits, one count per segment.",
                ["connection", "outcome"],
                registry=registry,
            )
        )
        #: By connection and state: progress, unknown, delivered, read, undelivered, expired or revoked.
        self.receipts = Family(
            Counter(
                "sendpool_receipts",
                "Receipts that carriers sent, one count per segment.",
                ["connection", "state"],
                registry=registry,
            )
        )
        #: By answer: revoked, too_late or unanswered.
        self.revokes = Family(
            Counter(
                "sendpool_revokes", "Attempts that carriers were asked to take back.", ["answer"], registry=registry
            )
        )
        #: By what they were: messages, attempts, segments, events, operations, receipts (that never found their
        #: segment), arrivals, pool_operations, notices or scenes.
        self.removed = Family(
            Counter("sendpool_removed", "Rows that were removed for their age.", ["what"], registry=registry)
        )
        #: By condition: unhealthy, returning or healthy (again).
        self.health_changes = Family(
            Counter(
                "sendpool_health_changes",
                "Changes of a sender's health in a country.",
                ["condition"],
                registry=registry,
            )
        )
        self.paused_operations = Gauge(
            "sendpool_paused_operations",
            "Operations that are paused since carriers refuse what they say.",
            registry=registry,
        )
        self.receipts_broken = Gauge(
            "sendpool_receipts_broken_senders", "Senders whose receipts do not come any more.", registry=registry
        )
        #: By condition: unhealthy or returning.
        self.restrained = Family(
            Gauge(
                "sendpool_restrained_routes",
                "Senders that get little of what goes to a country, for the sake of their health.",
                ["condition"],
                registry=registry,
            )
        )
        #: By connection and place (submit or receipt).
        self.unclassified = Family(
            Counter(
                "sendpool_unclassified_codes",
                "Codes of carriers that no table knows, each counted when it comes for the first time.",
                ["connection", "place"],
                registry=registry,
            )
        )
        #: By the sid of a sink and outcome: taken or refused (each time that they were offered).
        self.events = Family(
            Counter(
                "sendpool_events_offered", "Events that sinks were offered.", ["sink", "outcome"], registry=registry
            )
        )
        #: By the sid of a sink.
        self.sink_down = Family(
            Gauge(
                "sendpool_sink_down",
                "Whether the sink takes nothing, so that it is left alone but for probes.",
                ["sink"],
                registry=registry,
            )
        )
        self.sink_dead = Family(
            Gauge(
                "sendpool_sink_dead_events",
                "Events at most that were given up for the sink and can be replayed.",
                ["sink"],
                registry=registry,
            )
        )
        self.sink_age = Family(
            Gauge(
                "sendpool_sink_oldest_age_seconds",
                "How long ago the oldest event happened that the sink has not taken and that was not given up.",
                ["sink"],
                registry=registry,
            )
        )
        self._unmatched = Counter(
            "sendpool_receipts_unmatched", "Receipts that named no known segment when they came.", registry=registry
        )
        self.quarantined = Counter(
            "sendpool_quarantined",
            "Addresses that carriers have called unknown twice, so that nothing is sent there for 30 days.",
            registry=registry,
        )
        self._placed = Counter(
            "sendpool_receipts_placed",
            "Segments whose id was lost and that a receipt named by its addresses.",
            registry=registry,
        )
        #: By connection.
        self.in_flight = Family(
            Gauge(
                "sendpool_in_flight",
                "Segments submitted and not yet answered by the carrier.",
                ["connection"],
                registry=registry,
            )
        )
        #: By what is limited: the name of a connection, or "scope:" and that of a named scope.
        self.throughput = Family(
            Gauge(
                "sendpool_throughput_mps",
                "Segments a second that are allowed now: less than configured after a throttle answer.",
                ["scope"],
                registry=registry,
            )
        )
        #: By connection: 1 while its link is up, 0 while it is down.
        self.link_up = Family(
            Gauge("sendpool_link_up", "Whether the connection's link is up.", ["connection"], registry=registry)
        )
        #: By connection: 1 while its carrier refuses the account or the settings.
        self.link_refused = Family(
            Gauge(
                "sendpool_link_refused",
                "Whether the carrier refuses the connection's account or settings, so that its senders are stopped.",
                ["connection"],
                registry=registry,
            )
        )
        #: By connection.
        self.drained_senders = Family(
            Gauge(
                "sendpool_drained_senders",
                "Senders of the connection that are drained and start nothing new.",
                ["connection"],
                registry=registry,
            )
        )
        self._queue_depth = Gauge(
            "sendpool_queue_depth", "Messages that are due and wait for a sender.", registry=registry
        )
        self._queue_age = Gauge(
            "sendpool_queue_oldest_age_seconds", "How long the message that waits longest is due.", registry=registry
        )
        #: By pool: the public ids of those with most waiting, "other", and "direct" for sends without a pool.
        self.pool_depth = Family(
            Gauge(
                "sendpool_pool_queue_depth",
                "Messages that are due and wait for a sender, by pool.",
                ["pool"],
                registry=registry,
            )
        )
        self.pool_age = Family(
            Gauge(
                "sendpool_pool_queue_age_seconds",
                "How long the message that is next in the pool has been due.",
                ["pool"],
                registry=registry,
            )
        )
        self._waiting = Gauge(
            "sendpool_messages_waiting",
            "Messages that are scheduled or queued, also those that are no rows yet.",
            registry=registry,
        )
        self._ambiguous = Gauge(
            "sendpool_ambiguous_messages", "Messages of which nobody knows whether they have left.", registry=registry
        )
        self._parked = Gauge(
            "sendpool_receipts_waiting", "Receipts that wait for a segment that they name.", registry=registry
        )
        self._parked_age = Gauge(
            "sendpool_receipts_waiting_age_seconds", "How long the oldest of these has waited.", registry=registry
        )
        self._held_seconds = Gauge(
            "sendpool_database_oldest_transaction_seconds",
            "How long the oldest open transaction of the PostgreSQL server has been open, whosever it is.",
            registry=registry,
        )
        self._held_transactions = Gauge(
            "sendpool_database_horizon_transactions",
            "How many transactions ago the oldest snapshot was taken that PostgreSQL has to keep dead rows for.",
            registry=registry,
        )
        self._commits = Histogram(
            "sendpool_commit_seconds",
            "How long a commit took, from begin to durable; its count is the number of commits.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self._leases = Gauge("sendpool_leases_held", "Leases that this node holds.", registry=registry)
        self._flaps = Counter(
            "sendpool_lease_flaps", "Leases that came back within a minute after they had gone.", registry=registry
        )
        self._renewals_failed = Counter(
            "sendpool_lease_renewals_failed", "Renewals that the database did not answer in time.", registry=registry
        )
        self._differences = Gauge(
            "sendpool_config_differences", "In how many things nodes are configured differently.", registry=registry
        )
        self._takeovers = Histogram(
            "sendpool_lease_takeover_seconds",
            "For how long leases had been over that were taken without a hand-over.",
            buckets=_TAKEOVER_SECONDS,
            registry=registry,
        )
        self._failed_commits = Counter(
            "sendpool_commits_failed", "Commits that the database did not take.", registry=registry
        )
        self._batch_size = Histogram(
            "sendpool_batch_size", "Changes that one commit carried.", buckets=_BATCH_SIZES, registry=registry
        )
        self._requests = RequestMetrics(_REQUEST_SECONDS)
        registry.register(self._requests)

    def accepted(self, operations: int, messages: int) -> None:
        """Count accepted operations and the messages in them."""
        self._operations.inc(operations)
        self._messages.inc(messages)

    def unmatched(self, receipts: int) -> None:
        """Count receipts that matched no segment at first sight."""
        self._unmatched.inc(receipts)

    def placed(self, segments: int) -> None:
        """Count segments that receipts of unknown ids turned out to name."""
        self._placed.inc(segments)

    def queue(self, depth: int, oldest_age: float) -> None:
        """Show how many messages wait to be sent, and how many seconds the oldest of them has been due."""
        self._queue_depth.set(depth)
        self._queue_age.set(oldest_age)

    def waiting(self, messages: int) -> None:
        """Show how many messages are scheduled or queued."""
        self._waiting.set(messages)

    def doubts(self, ambiguous: int, receipts: int, oldest_age: float) -> None:
        """Show how many messages are of unknown fate, how many receipts wait, and for how many seconds the oldest."""
        self._ambiguous.set(ambiguous)
        self._parked.set(receipts)
        self._parked_age.set(oldest_age)

    def held(self, transactions: int, seconds: float) -> None:
        """Show how far back the database's oldest snapshot reaches, and how long its oldest transaction is open."""
        self._held_transactions.set(transactions)
        self._held_seconds.set(seconds)

    def leases_held(self, number: int) -> None:
        """Show how many leases this node holds."""
        self._leases.set(number)

    def lease_taken(self, held: int, overdue: float) -> None:
        """Count a lease that was taken; *overdue* are the seconds since it was over, 0 where it was handed over."""
        self._leases.set(held)
        if overdue:
            self._takeovers.observe(overdue)

    def config_differences(self, number: int) -> None:
        """Show in how many things nodes are configured differently."""
        self._differences.set(number)

    def lease_flapped(self) -> None:
        """Count a lease that came back within a minute."""
        self._flaps.inc()

    def renewal_failed(self) -> None:
        """Count a renewal that the database did not answer in time."""
        self._renewals_failed.inc()

    def failed_commit(self) -> None:
        """Count a commit that the database did not take."""
        self._failed_commits.inc()

    def commit(self, seconds: float, size: int) -> None:
        """Count a commit that took *seconds* and carried *size* changes."""
        self._commits.observe(seconds)
        self._batch_size.observe(size)

    def request(self, method: str, route: str, status: int, *seconds: float) -> None:
        """Count HTTP requests that were answered alike, each with how long it took.

        *route* is the route's template ("/v1/Messages/{id}"), never the path: each value makes a series.
        """
        self._requests.count(method, route, status, *seconds)

    def render(self) -> bytes:
        """Everything in the Prometheus text format, to be served as `CONTENT_TYPE`."""
        return generate_latest(self._registry)
