"""Traces and metrics by OpenTelemetry: `pip install 'batchstatus[opentelemetry]'`.

telemetry = OpenTelemetryObserver()
client = BatchClient(account, on_event=telemetry, request_headers=telemetry.request_headers)

Each batch of a call has a span `batch.wait` (or `batch.get`, `batch.step`, `batch.check`), a child of the caller's, and
under it a CLIENT span for each exchange. In `follow`, which has no end, and so in the service, an exchange has no span
above it but the caller's. Refs are on spans, never on metrics; keys are nowhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from attrs import define

from batchstatus import BatchRef, Call, Event, EventKind, __version__

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context, get_current
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError as error:
    raise ImportError(
        f"{__name__} needs the extra: pip install 'batchstatus[opentelemetry]'", name=error.name
    ) from error

SPANS = {"get": "batch.get", "get_many": "batch.get", "step": "batch.step", "check": "batch.check"}
"""The name of a call's spans, by its method; that of the others is WAIT."""
WAIT = "batch.wait"
PORTS = {"http": 80, "https": 443}
PROPAGATOR = TraceContextTextMapPropagator()
"""`traceparent` and `tracestate`. Not the global one: it would send the caller's baggage to the vendor, too."""
OTHER_ERROR = "_OTHER"
"""What the semantic conventions say for an error without a class of its own."""
EXCHANGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The boundaries that the semantic conventions give for HTTP requests."""
QUEUE_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0)
WAIT_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 86_400.0)


class TrackedChange(Protocol):
    """A change of the service, as far as telemetry tells of it."""

    @property
    def id(self) -> str: ...
    @property
    def ref(self) -> BatchRef: ...
    @property
    def kind(self) -> str: ...
    @property
    def batch(self) -> Mapping[str, Any] | None: ...


class DeliveryAttempt(Protocol):
    """One attempt to deliver a change, as the service's `on_delivery` tells it."""

    @property
    def destination(self) -> str: ...
    @property
    def change(self) -> TrackedChange: ...
    @property
    def outcome(self) -> str: ...
    @property
    def status_code(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def duration(self) -> float: ...
    @property
    def attempts(self) -> int: ...


@define(eq=False)
class Ongoing:
    """A call about one batch that has begun."""

    span: Span
    context: Context
    open_at: float | None = None
    """Seconds after the beginning at which the batch was last read, and had not ended."""


class OpenTelemetryObserver:
    """Makes spans and metrics of events: for `on_event`, `request_headers` and `on_delivery`.

    One serves any number of clients, threads and tasks. A function of one's own may call it, and do more.

    Args:
        tracer_provider: Default: the global one.
        meter_provider: Default: the global one.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("batchstatus", __version__, tracer_provider)
        meter = metrics.get_meter("batchstatus", __version__, meter_provider)
        self._ongoing: dict[tuple[Call, BatchRef], Ongoing] = {}
        self._exchanges: dict[tuple[Call, BatchRef], Span] = {}
        """Those that `request_headers` has begun."""

        def seconds(name: str, description: str, boundaries: tuple[float, ...]) -> metrics.Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=boundaries)

        self._exchange_duration = seconds(
            "http.client.request.duration", "Duration of HTTP client requests.", EXCHANGE_SECONDS
        )
        self._call_duration = seconds(
            "batch.call.duration", "From the beginning of a call to its end for a batch, as done.", WAIT_SECONDS
        )
        self._queued = seconds(
            "batch.attempt.queued",
            "From when an exchange was due until it started: pacing, and other exchanges in flight.",
            QUEUE_SECONDS,
        )
        self._lateness = seconds(
            "batch.end.lateness",
            "How late the end of a batch was seen at most: the time since it was last read as open.",
            WAIT_SECONDS,
        )
        self._delivery_duration = seconds(
            "batch.delivery.duration", "Duration of attempts to deliver a change.", EXCHANGE_SECONDS
        )
        self._errors = meter.create_counter("batch.attempt.errors", "{attempt}", "Exchanges that brought no reading.")
        self._throttles = meter.create_counter("batch.throttles", "{response}", "Responses 429 that closed a pace.")

    def __call__(self, event: Event) -> None:
        """Take an event in: for `on_event`."""
        if event.kind is EventKind.START:
            span = self._tracer.start_span(SPANS.get(event.call.name, WAIT), attributes=about(event.ref))
            self._ongoing[event.call, event.ref] = Ongoing(span, trace.set_span_in_context(span))
        elif event.kind is EventKind.ATTEMPT:
            self._take_attempt(event)
        elif event.kind in {EventKind.DONE, EventKind.LEFT}:
            self._take_end(event)
        else:
            self._take_note(event)

    def request_headers(self, event: Event) -> dict[str, str]:
        """Begin the span of an exchange, and return its `traceparent`: for `request_headers`.

        Without it the same spans are made when the exchanges are over.
        """
        context = self._context(event)
        span = self._exchanges[event.call, event.ref] = self._start_exchange(event, context)
        headers: dict[str, str] = {}
        PROPAGATOR.inject(headers, trace.set_span_in_context(span, context))
        return headers

    def on_delivery(self, attempt: DeliveryAttempt) -> None:
        """Take in an attempt to deliver a change: for `on_delivery` of the service."""
        facts: dict[str, Any] = {
            "batch.destination": attempt.destination,
            "batch.delivery.outcome": str(attempt.outcome),
        }
        if attempt.status_code is not None:
            facts["http.response.status_code"] = attempt.status_code
        if attempt.reason is not None:
            facts["error.type"] = OTHER_ERROR if attempt.status_code is None else str(attempt.status_code)
        change = attempt.change
        attributes = (
            facts
            | about(change.ref)
            | {
                "batch.change.id": change.id,
                "batch.change.kind": change.kind,
                "batch.delivery.attempts": attempt.attempts,
            }
        )
        if change.batch is not None:
            attributes["batch.state"] = change.batch["state"]
        span = self._tracer.start_span("batch.deliver", attributes=attributes, start_time=ago(attempt.duration))
        if attempt.reason is not None:
            span.set_status(Status(StatusCode.ERROR, attempt.reason if attempt.status_code is None else None))
        span.end()
        self._delivery_duration.record(attempt.duration, facts)

    def _context(self, event: Event) -> Context:
        """Return the context of an exchange: that of its call, or the caller's."""
        ongoing = self._ongoing.get((event.call, event.ref))
        return get_current() if ongoing is None else ongoing.context

    def _start_exchange(self, event: Event, context: Context, start_time: int | None = None) -> Span:
        attributes = about(event.ref) | request_of(event) | {"url.full": event.url}
        return self._tracer.start_span(event.method, context, SpanKind.CLIENT, attributes, start_time=start_time)

    def _take_attempt(self, event: Event) -> None:
        error = event.error
        context, account = self._context(event), account_of(event.ref)
        if event.url:
            span = self._exchanges.pop((event.call, event.ref), None)
            span = span or self._start_exchange(event, context, ago(event.duration))
            response = response_of(event)
            span.set_attributes(response | states(event))
            if error is not None:
                span.set_status(Status(StatusCode.ERROR, None if response["error.type"].isdigit() else error.detail))
            span.end()
            self._exchange_duration.record(event.duration, request_of(event) | response, context)
        self._queued.record(event.queued, account, context)
        if error is not None:
            self._errors.add(1, account | {"error.type": type(error).__name__}, context)
        ongoing = self._ongoing.get((event.call, event.ref))
        if event.batch is not None and ongoing is not None:
            if not event.batch.state.is_terminal:
                ongoing.open_at = event.elapsed
            elif event.batch.has_ended and ongoing.open_at is not None:
                self._lateness.record(event.elapsed - ongoing.open_at, account, context)

    def _take_end(self, event: Event) -> None:
        key, error = (event.call, event.ref), event.error
        if (exchange := self._exchanges.pop(key, None)) is not None:
            exchange.set_attribute("error.type", "abandoned")
            exchange.set_status(Status(StatusCode.ERROR, "the call ended before its exchange"))
            exchange.end()
        if (ongoing := self._ongoing.pop(key, None)) is None:
            return
        span = ongoing.span
        span.set_attributes(states(event) | {"batch.attempts": event.attempts})
        if event.kind is EventKind.LEFT:
            span.add_event("batch.left")
        else:
            facts = account_of(event.ref) | {"batch.call": event.call.name}
            if error is not None:
                facts["error.type"] = type(error).__name__
                span.set_attribute("error.type", facts["error.type"])
                span.set_status(Status(StatusCode.ERROR, error.detail))
            elif event.batch is not None:
                facts["batch.state"] = event.batch.state.value
            self._call_duration.record(event.elapsed, facts, ongoing.context)
        span.end()

    def _take_note(self, event: Event) -> None:
        """Add an event to the span of its call."""
        context = self._context(event)
        if event.kind is EventKind.THROTTLE:
            self._throttles.add(1, account_of(event.ref), context)
        if (ongoing := self._ongoing.get((event.call, event.ref))) is None:
            return
        facts: dict[str, Any] = states(event)
        if event.pause is not None:
            facts |= {"batch.pause": event.pause, "batch.reason": event.reason}
        if event.error is not None:
            facts["error.type"] = type(event.error).__name__
        ongoing.span.add_event(f"batch.{event.kind.value}", facts)


def ago(seconds: float) -> int:
    """Return the time so many seconds ago, in nanoseconds since 1970."""
    return time.time_ns() - int(seconds * 1e9)


def about(ref: BatchRef) -> dict[str, Any]:
    """Return the attributes of a span about a batch."""
    return account_of(ref) | {"batch.ref": str(ref)}


def account_of(ref: BatchRef) -> dict[str, Any]:
    """Return the attributes of a metric about a batch: those of its account, of which there are few."""
    return {"batch.vendor": ref.vendor, "batch.account": ref.account_ref}


def request_of(event: Event) -> dict[str, Any]:
    """Return the attributes of the request of an exchange, for spans and metrics."""
    parts = urlsplit(event.url)
    port = parts.port or PORTS.get(parts.scheme)
    address = {"server.address": parts.hostname or "", **({} if port is None else {"server.port": port})}
    return {"http.request.method": event.method, **address}


def response_of(event: Event) -> dict[str, Any]:
    """Return the attributes of the response of an exchange, for spans and metrics."""
    status = event.status_code
    found: dict[str, Any] = {} if status is None else {"http.response.status_code": status}
    if event.error is not None:
        found["error.type"] = str(status) if status is not None and status >= 400 else type(event.error).__name__
    return found


def states(event: Event) -> dict[str, Any]:
    """Return the state of the batch, if it is known, and the one in the reading before."""
    batch = event.batch if event.error is None else event.error.last
    found = {} if batch is None else {"batch.state": batch.state.value}
    return found if event.previous_state is None else found | {"batch.previous_state": event.previous_state.value}
