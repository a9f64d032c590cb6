"""An SDK of OpenTelemetry that keeps in memory what it is given."""

from __future__ import annotations

import pytest
from batchstatus.telemetry.opentelemetry import OpenTelemetryObserver
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Recorded:
    """An observer, and what it has made."""

    def __init__(self):
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(shutdown_on_exit=False), MeterProvider([self._reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.observer = OpenTelemetryObserver(tracer_provider=self.tracers, meter_provider=self.meters)
        self.options = {"on_event": self.observer, "request_headers": self.observer.request_headers}

    def caller(self, name="caller"):
        """Return a span of the caller's, to be entered."""
        return self.tracers.get_tracer("test").start_as_current_span(name)

    @property
    def spans(self):
        return self._exporter.get_finished_spans()

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def tree(self):
        """Return the names of all spans: pairs of a name and the trees below it, in the order of their ends."""

        def below(parent):
            return [(span.name, below(span.context.span_id)) for span in self.spans if span_parent(span) == parent]

        return below(None)

    @property
    def points(self):
        """The points of each metric, by its name."""
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}

    def metrics_json(self):
        data = self._reader.get_metrics_data()
        return data.to_json() if data else ""

    @property
    def is_idle(self):
        """Whether the observer keeps nothing of calls that are over."""
        return not self.observer._ongoing and not self.observer._exchanges

    def close(self):
        self.tracers.shutdown()
        self.meters.shutdown()


def span_parent(span):
    return span.parent.span_id if span.parent is not None else None


@pytest.fixture
def recorded():
    made = Recorded()
    yield made
    made.close()
