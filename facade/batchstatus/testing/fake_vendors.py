"""Vendors that answer from scripts: waits of minutes play at once, through the real client."""

from __future__ import annotations

import functools
import threading
from typing import Any
from urllib.parse import urlsplit

from batchstatus import (
    Account,
    AsyncBatchClient,
    BatchClient,
    BatchRef,
    Request,
    Response,
    SendRequest,
    TransportFailure,
)

from .fake_clock import FakeClock
from .script import ScriptStep, Steplike, outcome, step
from .simulator.model import simulated_vendors


@functools.cache
def accounts() -> dict[str, Account]:
    """Return an account at each vendor's own address, with placeholder keys."""
    return {name: vendor.account(None) for name, vendor in simulated_vendors().items()}


class FakeVendors:
    """All vendors, as scripted, for clients whose time is `clock`.

        vendors = FakeVendors()
        vendors.script("shop:1748392", "pending", "pending", 503, refusal(429, retry_after=7), "completed")
        with vendors.client() as client:
            client.wait("shop:1748392")

    Attributes:
        clock: The clock of its clients.
        reads: Each exchange so far: when it began, in seconds of the clock, and the ref (without an account).
        transport: For `BatchClient(..., transport=...)`.
        async_transport: The same for AsyncBatchClient.
    """

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.reads: list[tuple[float, BatchRef]] = []
        self.transport = FakeTransport(self)
        self.async_transport = AsyncFakeTransport(self)
        self._scripts: dict[str, Script] = {}
        self._lock = threading.Lock()

    def script(self, ref: str | BatchRef, *steps: Steplike) -> BatchRef:
        """Set the responses about a batch: one step after the other; the last one repeats.

        Args:
            ref: The batch. Its account is not looked at: scripts go by vendor and id.
            *steps: A status word (a reading in the vendor's shape), an HTTP status (the vendor's error body), a dict
                (the JSON of a 200), bytes (its body as it is), TransportError or RequestTimeout, or a step by
                `reading`, `refusal`, `failure`.

        Raises:
            ValueError: Without a step, of a vendor that there is not, or for a ref that has a script.
        """
        ref = BatchRef.parse(ref)
        if ref.vendor not in accounts() or not steps:
            raise ValueError(f"{ref}: a script needs one of {', '.join(accounts())}, and at least one step")
        path = urlsplit(accounts()[ref.vendor].request(ref.id).url).path
        if path in self._scripts:
            raise ValueError(f"{ref} has a script already")
        self._scripts[path] = Script(BatchRef(ref.vendor, ref.id), [*map(step, steps)])
        return ref

    def client(self, *given: Account, **options: Any) -> BatchClient:
        """Return a client for all vendors; the arguments are those of BatchClient."""
        return BatchClient(*(given or accounts().values()), clock=self.clock, transport=self.transport, **options)

    def async_client(self, *given: Account, **options: Any) -> AsyncBatchClient:
        """Return a client for all vendors; the arguments are those of AsyncBatchClient."""
        return AsyncBatchClient(
            *(given or accounts().values()), clock=self.clock, transport=self.async_transport, **options
        )

    def assert_played(self) -> None:
        """Raise AssertionError if a script has steps that were never read."""
        left = {str(script.ref): len(script.steps) - script.played for script in self._scripts.values()}
        unread = ", ".join(f"{count} of {ref}" for ref, count in left.items() if count > 0)
        if unread:
            raise AssertionError(f"steps of a script that were never read: {unread}")

    def play(self, request: Request) -> tuple[BatchRef, ScriptStep]:
        """Return the step that a request meets, and count it; 404 if there is no script."""
        path = urlsplit(request.url).path
        while path not in self._scripts and "/" in path[1:]:  # a base_url may have a path of its own
            path = path[path.index("/", 1) :]
        script = self._scripts.get(path)
        if script is None:
            sent = {*request.keys}
            vendor = next((name for name, it in accounts().items() if {*it.KEY_HEADERS.values()} == sent), "unknown")
            return BatchRef(vendor, "unscripted"), ScriptStep(status=404)
        with self._lock:
            self.reads.append((self.clock.now, script.ref))
            script.played += 1
            return script.ref, script.steps[min(script.played, len(script.steps)) - 1]


class Script:
    """The responses about one batch, and how many of them were given."""

    def __init__(self, ref: BatchRef, steps: list[ScriptStep]) -> None:
        self.ref = ref
        self.steps = steps
        self.played = 0


class FakeTransport:
    """Answers BatchClient from the scripts."""

    def __init__(self, vendors: FakeVendors) -> None:
        self._vendors = vendors

    def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        """Return the outcome of the script's next step."""
        ref, played = self._vendors.play(step.request)
        self._vendors.clock.sleep(min(played.seconds, timeout))
        return outcome(ref, played, timeout, step.max_body)

    def discard_idle_connections(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class AsyncFakeTransport:
    """Answers AsyncBatchClient from the scripts."""

    def __init__(self, vendors: FakeVendors) -> None:
        self._vendors = vendors

    async def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        """Return the outcome of the script's next step."""
        ref, played = self._vendors.play(step.request)
        await self._vendors.clock.sleep_async(min(played.seconds, timeout))
        return outcome(ref, played, timeout, step.max_body)

    def discard_idle_connections(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
