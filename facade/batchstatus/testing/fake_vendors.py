"""Vendors that answer from scripts: waits of minutes play at once, through the real client."""

from __future__ import annotations

import threading
from collections.abc import Iterable
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
from .simulator.model import SimulatedVendor, simulated_vendors


class FakeVendors:
    """All vendors, as scripted, for clients whose time is `clock`.

        vendors = FakeVendors()
        vendors.script("shop:1748392", "pending", "pending", 503, refusal(429, retry_after=7), "completed")
        with vendors.client() as client:
            client.wait("shop:1748392")

    Args:
        clock: The clock of its clients; default: a new one.
        vendors: The vendors' models; default: those of all vendors that are installed and have one.

    Attributes:
        clock: The clock of its clients.
        reads: Each exchange so far: when it began, in seconds of the clock, and the ref (without an account).
        transport: For `BatchClient(..., transport=...)`.
        async_transport: The same for AsyncBatchClient.
    """

    def __init__(self, clock: FakeClock | None = None, *, vendors: Iterable[SimulatedVendor] | None = None) -> None:
        self.clock = clock or FakeClock()
        self._vendors = simulated_vendors() if vendors is None else {vendor.name: vendor for vendor in vendors}
        self._accounts = {name: vendor.account(None) for name, vendor in self._vendors.items()}
        self.reads: list[tuple[float, BatchRef]] = []
        self.transport = FakeTransport(self)
        self.async_transport = AsyncFakeTransport(self)
        self._scripts: dict[tuple[str, str], Script] = {}
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
        if ref.vendor not in self._vendors or not steps:
            raise ValueError(f"{ref}: a script needs one of {', '.join(self._vendors)}, and at least one step")
        if (ref.vendor, ref.id) in self._scripts:
            raise ValueError(f"{ref} has a script already")
        self._scripts[ref.vendor, ref.id] = Script(BatchRef(ref.vendor, ref.id), [*map(step, steps)])
        return ref

    def client(self, *given: Account, **options: Any) -> BatchClient:
        """Return a client for all vendors; the arguments are those of BatchClient."""
        return BatchClient(*(given or self._accounts.values()), clock=self.clock, transport=self.transport, **options)

    def async_client(self, *given: Account, **options: Any) -> AsyncBatchClient:
        """Return a client for all vendors; the arguments are those of AsyncBatchClient."""
        return AsyncBatchClient(
            *(given or self._accounts.values()), clock=self.clock, transport=self.async_transport, **options
        )

    def assert_played(self) -> None:
        """Raise AssertionError if a script has steps that were never read."""
        left = {str(script.ref): len(script.steps) - script.played for script in self._scripts.values()}
        unread = ", ".join(f"{count} of {ref}" for ref, count in left.items() if count > 0)
        if unread:
            raise AssertionError(f"steps of a script that were never read: {unread}")

    def play(self, request: Request) -> tuple[BatchRef, ScriptStep]:
        """Return the step that a request meets, and count it; 404 if there is no script."""
        vendor, batch_id = self._asked(request)
        script = self._scripts.get((vendor, batch_id))
        if script is None:
            return BatchRef(vendor, "unscripted"), ScriptStep(status=404)
        with self._lock:
            self.reads.append((self.clock.now, script.ref))
            script.played += 1
            return script.ref, script.steps[min(script.played, len(script.steps)) - 1]

    def _asked(self, request: Request) -> tuple[str, str]:
        """Return the vendor and the id that a request is about; paths of several vendors may be the same."""
        path = urlsplit(request.url).path
        found = [(name, id_) for name, vendor in self._vendors.items() if (id_ := vendor.asked(path)) is not None]

        def likeness(asked: tuple[str, str]) -> tuple[bool, bool, bool]:
            account = self._accounts[asked[0]]
            same_keys = {*account.KEY_HEADERS.values()} == {*request.keys}
            return request.url.startswith(f"{account.base_url}/"), same_keys, asked in self._scripts

        return max(found, key=likeness, default=("unknown", "unscripted"))

    def outcome(self, ref: BatchRef, played: ScriptStep, timeout: float, max_body: int) -> Response | TransportFailure:
        """Return the outcome of an exchange about a batch that meets a step."""
        return outcome(self._vendors.get(ref.vendor), ref, played, timeout, max_body)


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
        return self._vendors.outcome(ref, played, timeout, step.max_body)

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
        return self._vendors.outcome(ref, played, timeout, step.max_body)

    def discard_idle_connections(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
