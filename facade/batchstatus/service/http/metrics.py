"""The metrics of one service for Prometheus: its own polls and deliveries, and the state of its store.

No id of a batch is in any label. Services that share a store show the same `batches`, `outbox` and ages: take their
maximum, and the sum of all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from batchstatus import Account, Event, EventKind, RateLimited, __version__
from batchstatus.service.health import Health
from batchstatus.service.observers import OUTCOMES, DeliveryAttempt
from batchstatus.service.store import Destination, Overview, Store
from batchstatus.service.store.overview import LATE

Labels: TypeAlias = tuple[str, ...]

UNREAD = "unread"
READING = "reading"
"""The outcome of a poll that brought one; else it is the name of the error's class."""
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Buckets for the durations of exchanges."""
LONG_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Buckets for waits."""
ACCOUNT = ("vendor", "account")
"""Labels of an account; one without a name has an empty `account`, which Prometheus takes as none."""


class Metrics:
    """The metrics of one service."""

    def __init__(self, store: Store, accounts: Iterable[Account]) -> None:
        self._store = store
        self._registry = registry = CollectorRegistry()
        self._stored = _Stored()
        registry.register(self._stored)
        ProcessCollector(registry=registry)
        Info("batchstatus_build", "The version of batchstatus.", registry=registry).info({"version": __version__})
        self._ready = Gauge(
            "batchstatus_ready", "Whether polls and writes succeed, as /readyz says.", registry=registry
        )
        self._polls = Counter(
            "batchstatus_polls",
            "HTTP exchanges about batches, by outcome: reading, or the class of the error, such as RateLimited.",
            (*ACCOUNT, "outcome"),
            registry=registry,
        )
        self._duration = Histogram(
            "batchstatus_poll_duration_seconds", "How long a poll took.", ACCOUNT, buckets=SECONDS, registry=registry
        )
        self._lateness = Histogram(
            "batchstatus_poll_lateness_seconds",
            "From when a poll was due until it started: pace, and other polls in flight.",
            ACCOUNT,
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self._pace_closed = Counter(
            "batchstatus_pace_closed_seconds",
            "For how long the vendor's 429s closed the pace of an account.",
            ACCOUNT,
            registry=registry,
        )
        self._closed = Gauge(
            "batchstatus_account_closed",
            "Whether an account is left alone but for a probe, as all its polls fail.",
            ACCOUNT,
            registry=registry,
        )
        self._unknown_words = Counter(
            "batchstatus_unknown_words",
            "Status words of the vendor that are in no table, each counted once.",
            ACCOUNT,
            registry=registry,
        )
        self._deliveries = Counter(
            "batchstatus_deliveries",
            "Attempts to deliver a change, by outcome: delivered, failed, set_aside, stopped.",
            ("destination", "outcome"),
            registry=registry,
        )
        self._delivery_duration = Histogram(
            "batchstatus_delivery_duration_seconds",
            "How long an attempt to deliver a change took.",
            ("destination",),
            buckets=SECONDS,
            registry=registry,
        )
        self._store_errors = Counter(
            "batchstatus_store_errors",
            "Accesses to the store that failed: it was locked, the disk was full, or the file is damaged.",
            registry=registry,
        )
        self._store_errors_counted = 0
        # A rate needs a zero before the first one.
        for account in accounts:
            labels = _labels(account.account_ref)
            for outcome in (READING, RateLimited.__name__):
                self._polls.labels(*labels, outcome)
            for metric in (self._duration, self._lateness, self._pace_closed, self._closed, self._unknown_words):
                metric.labels(*labels)

    def on_event(self, event: Event) -> None:
        """Count an event of the client."""
        labels = _labels(event.ref.account_ref)
        if event.kind is EventKind.ATTEMPT:
            outcome = READING if event.error is None else type(event.error).__name__
            self._polls.labels(*labels, outcome).inc()
            self._duration.labels(*labels).observe(event.duration)
            self._lateness.labels(*labels).observe(event.queued)
        elif event.kind is EventKind.THROTTLE:
            self._pace_closed.labels(*labels).inc(event.pause or 0.0)
        elif event.kind is EventKind.UNKNOWN_WORD:
            self._unknown_words.labels(*labels).inc()
        elif event.kind in {EventKind.CLOSED, EventKind.REOPENED}:
            self._closed.labels(*labels).set(event.kind is EventKind.CLOSED)

    def on_delivery(self, attempt: DeliveryAttempt) -> None:
        """Count an attempt to deliver a change."""
        self._deliveries.labels(attempt.destination, str(attempt.outcome)).inc()
        self._delivery_duration.labels(attempt.destination).observe(attempt.duration)

    def text(self, overview: Overview | None, health: Health) -> bytes:
        """Return all of them in Prometheus' text format, without those of the store if it cannot be read."""
        self._ready.set(not health.problems())
        count = self._store.faults.count
        self._store_errors.inc(count - self._store_errors_counted)
        self._stored.overview, self._store_errors_counted = overview, count
        for found in () if overview is None else overview.destinations:  # a rate needs a zero before the first one
            for outcome in OUTCOMES:
                self._deliveries.labels(found.name, outcome)
            self._delivery_duration.labels(found.name)
        return generate_latest(_WithoutCreated(self._registry))


class _WithoutCreated(CollectorRegistry):
    """The same without the times at which series began: they double the number of series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._all = registry

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for metric in self._all.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class _Stored(Collector):
    """The metrics that stand in the store."""

    def __init__(self) -> None:
        self.overview: Overview | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield them, as of the overview."""
        if (overview := self.overview) is None:
            return
        now, groups = overview.at.timestamp(), overview.groups
        yield _gauge(
            "batches",
            "Tracked batches by state; unread before the first reading.",
            (*ACCOUNT, "state"),
            _summed(((*_labels(group.account_ref), group.state or UNREAD), group.batches) for group in groups),
        )
        for name, text in (
            ("lost", "Open batches that the vendor denies."),
            ("troubled", "Open batches that could not be read the last time."),
            ("late", f"Other open batches that have not been read for {LATE:.0f} s."),
        ):
            yield _gauge(
                f"{name}_batches",
                text,
                ACCOUNT,
                _summed((_labels(group.account_ref), getattr(group, name)) for group in groups),
            )
        oldest: dict[str, float] = {}
        for group in groups:
            oldest[group.account_ref] = max(oldest.get(group.account_ref, 0.0), _age(group.oldest_reading, now))
        yield _gauge(
            "oldest_reading_age_seconds",
            "Since when the open batch was read, or added, that was read longest ago; 0: none is open.",
            ACCOUNT,
            {_labels(account_ref): age for account_ref, age in oldest.items()},
        )
        values: dict[str, tuple[str, Callable[[Destination], float]]] = {
            "changes": ("Changes that have not arrived at a destination.", lambda found: found.waiting),
            "failed_changes": ("Those of them whose delivery has failed.", lambda found: found.failed),
            "oldest_age_seconds": ("Age of the oldest of them; 0: there is none.", lambda found: found.oldest_age),
            "set_aside_changes": ("Changes that are not tried any more.", lambda found: found.set_aside),
            "stopped": ("Whether the destination has answered 410.", lambda found: found.stopped_at is not None),
        }
        for name, (text, value) in values.items():
            samples = (((found.name,), float(value(found))) for found in overview.destinations)
            yield _gauge(f"outbox_{name}", text, ("destination",), dict(samples))


def _gauge(name: str, text: str, labels: Sequence[str], samples: Mapping[Labels, float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"batchstatus_{name}", text, labels=labels)
    for values, value in samples.items():
        gauge.add_metric(values, value)
    return gauge


def _summed(samples: Iterable[tuple[Labels, float]]) -> dict[Labels, float]:
    found: dict[Labels, float] = {}
    for labels, value in samples:
        found[labels] = found.get(labels, 0.0) + value
    return found


def _age(moment: datetime | None, now: float) -> float:
    return 0.0 if moment is None else max(now - moment.timestamp(), 0.0)


def _labels(account_ref: str) -> Labels:
    vendor, _, account = account_ref.partition("/")
    return vendor, account
