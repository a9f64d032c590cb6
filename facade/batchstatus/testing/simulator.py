"""Both vendors' APIs on loopback, over real HTTP: authentication, lifecycles, error bodies, rate limits, quirks.

    with Simulator() as simulator, BatchClient(*simulator.accounts()) as client:
        ref = simulator.add("gameball", total=200, failed=2, seconds=10)
        client.get(ref)

It needs the extra `simulator` (Starlette and uvicorn).
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from batchstatus import BatchRef, Believe, Gameball

from ._bodies import Quirk, SimulatedBatch, believe_error, body, gameball_error, is_uuid

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route
except ModuleNotFoundError as error:
    raise ImportError(f"{__name__} needs the extra: pip install 'batchstatus[simulator]'", name=error.name) from error

__all__ = ["BELIEVE_KEY", "BELIEVE_KEY_WITHOUT_SCOPE", "GAMEBALL_KEY", "GAMEBALL_SECRET", "Quirk", "Simulator"]

GAMEBALL_KEY = "test-gameball-key"
GAMEBALL_SECRET = "test-gameball-secret"  # noqa: S105 (a placeholder that opens nothing)
BELIEVE_KEY = "test-believe-key"
BELIEVE_KEY_WITHOUT_SCOPE = "test-believe-key-without-scope"

FIRST_UUID = uuid.UUID("be11e7e0-ba7c-4000-8000-000000000000").int
"""Believe's ids count from here; they have letters, so that Quirk.UPPER_CASE_ID shows in them."""

GAMEBALL_LIMITS = ((30, 1.0), (360, 30.0))
"""Requests, and the seconds in which an account may send them (vendor docs, rate-limiting: "Others")."""
BELIEVE_LIMITS = ((10, 1.0),)
"""The same per key (P-B L27)."""


class Simulator:
    """Simulates both vendors.

    Args:
        quirks: What both vendors do otherwise than their pages say, for every batch.
        limits: Whether the documented rate limits hold.
        clock: Seconds, for lifecycles and limits; a test may put its own there.
        epoch: When every batch was created, as its body tells it; default: now.

    Attributes:
        app: The ASGI application, for use in process.
        url: Where it listens, or listened last; empty before that.
        reads: The path of each request so far, percent signs decoded.
    """

    def __init__(
        self,
        *,
        quirks: Iterable[Quirk] = (),
        limits: bool = True,
        clock: Callable[[], float] = time.monotonic,
        epoch: datetime | None = None,
    ) -> None:
        self.quirks = frozenset(quirks)
        self.app = Starlette(
            routes=[
                Route("/api/v4.0/integrations/batches/{batch_id:path}/status", self._gameball),
                Route("/v1/flywheel/batch/{batch_id:path}", self._believe),
            ]
        )
        self.url = ""
        self.reads: list[str] = []
        self._clock = clock
        self._epoch = epoch or datetime.now(UTC)
        self._limited = limits
        self._batches: dict[tuple[str, str], SimulatedBatch] = {}
        self._recent: dict[tuple[str, float], deque[float]] = {}
        self._numbers = itertools.count(1)
        self._listener: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def add(
        self,
        vendor: str,
        *,
        id: str | None = None,  # noqa: A002 (the field's name)
        status: str | None = None,
        ends: str | None = None,
        seconds: float = 10.0,
        total: int = 8,
        failed: int = 0,
        quirks: Iterable[Quirk] = (),
    ) -> BatchRef:
        """Add a batch and return its ref.

        Args:
            vendor: "gameball" or "believe".
            id: Its id; default: a new one in the vendor's form.
            status: A word, of whatever table, in which it stands still; default: it moves, from now on.
            ends: The word with which a moving batch ends; default: the vendor's word for success.
            seconds: How long a moving batch takes: pending for a fifth of it, then under way. 0: it has ended.
            total: Its items.
            failed: How many of them fail.
            quirks: What the vendor does otherwise for this batch.
        """
        if not 0 <= failed <= total:
            raise ValueError(f"of {total} items {failed} cannot fail; Quirk.CONTRADICTION has such counts")
        number = next(self._numbers)
        made = {"gameball": str(1748000 + number), "believe": str(uuid.UUID(int=FIRST_UUID + number))}[vendor]
        batch = SimulatedBatch(
            vendor=vendor,
            id=made if id is None else id,
            status=status,
            ends=ends,
            seconds=seconds,
            total=total,
            failed=failed,
            quirks=self.quirks | frozenset(quirks),
            added=self._clock(),
        )
        self._batches[vendor, batch.id] = batch
        return BatchRef(vendor, batch.id)

    def accounts(self, **options: Any) -> tuple[Gameball, Believe]:
        """Return an account at each vendor, with keys that the simulator takes; unpaced, if it has no limits.

        Args:
            **options: What both classes take by keyword, such as `rate_limit` or `states`.
        """
        if not self.url:
            raise RuntimeError("the simulator has no address yet: enter it, or start it")  # else: the vendors' own
        if not self._limited:
            options = {"rate_limit": None, **options}
        return (
            Gameball(GAMEBALL_KEY, GAMEBALL_SECRET, base_url=self.url, **options),
            Believe(BELIEVE_KEY, base_url=self.url, **options),
        )

    # Coroutines, so that one thread answers all: limits and the numbers of requests are then exact.
    async def _gameball(self, request: Request) -> Response:
        batch, quirks = self._asked("gameball", request)
        key, secret = request.headers.get("apikey"), request.headers.get("secretkey")
        fault: tuple[int, int | None, str, str] | None = None
        if key != GAMEBALL_KEY:
            fault = 401, 1000, "AUTHENTICATION_ERROR", "The API key is missing or wrong"
        elif secret != GAMEBALL_SECRET:
            fault = 401, 1001, "AUTHENTICATION_ERROR", "The secret key is missing or wrong"
        elif self._over(key, GAMEBALL_LIMITS):
            fault = 429, None, "RATE_LIMIT_ERROR", "Too many requests"
        elif Quirk.OUTAGE in quirks:
            fault = 503, 5003, "SERVER_ERROR", "Service unavailable"
        if batch is None or fault is not None:
            status, code, kind, message = fault or (404, 4004, "NOT_FOUND_ERROR", "The batch was not found")
            number = f"sim-{len(self.reads)}"
            error = gameball_error(status, code, kind=kind, message=message, request_id=number, quirks=quirks)
            return self._answer(status, error, quirks)
        return self._answer(200, body(batch, *batch.at(self._clock()), self._epoch), quirks)

    async def _believe(self, request: Request) -> Response:
        batch, quirks = self._asked("believe", request)
        key = request.headers.get("x-believe-api-key")
        fault: tuple[int, str, str] | None = None
        if key is None:
            fault = 401, "ERR_UNAUTHORIZED", "API key is missing"
        elif key not in {BELIEVE_KEY, BELIEVE_KEY_WITHOUT_SCOPE}:
            fault = 401, "ERR_KEY_NOT_FOUND", "API key not found"
        elif self._over(key, BELIEVE_LIMITS):
            fault = 429, "ERR_RATE_LIMITED", "Too many requests"
        elif key == BELIEVE_KEY_WITHOUT_SCOPE:
            status = 401 if Quirk.SCOPE_IS_401 in quirks else 403
            fault = status, "ERR_KEY_SCOPES_UNAUTHORIZED", "API key lacks the scope"
        elif Quirk.OUTAGE in quirks:
            fault = 503, "ERR_UNAVAILABLE", "Service unavailable"
        elif Quirk.ONLY_UUIDS in quirks and not is_uuid(request.path_params["batch_id"]):
            fault = 400, "ERR_INVALID_ID", "The batch id must be a UUID"
        if batch is None or fault is not None:
            status, code, message = fault or (404, "ERR_BATCH_NOT_FOUND", "Batch not found")
            return self._answer(status, believe_error(code, status, message, quirks), quirks)
        return self._answer(200, body(batch, *batch.at(self._clock()), self._epoch), quirks)

    def _asked(self, vendor: str, request: Request) -> tuple[SimulatedBatch | None, frozenset[Quirk]]:
        self.reads.append(request.scope["path"])
        batch = self._batches.get((vendor, request.path_params["batch_id"]))
        return batch, batch.quirks if batch else self.quirks

    def _over(self, key: str, limits: Iterable[tuple[int, float]]) -> bool:
        """Return whether one request more is over a limit; a request that is not is counted."""
        now = self._clock()
        windows = [(most, span, self._recent.setdefault((key, span), deque())) for most, span in limits]
        for _, span, recent in windows:
            while recent and recent[0] <= now - span:
                recent.popleft()
        if self._limited and any(len(recent) >= most for most, _, recent in windows):
            return True
        for *_, recent in windows:
            recent.append(now)
        return False

    def _answer(self, status: int, content: dict[str, Any], quirks: frozenset[Quirk]) -> Response:
        headers = {"server": "batchstatus-simulator", "x-request-id": f"sim-{len(self.reads)}"}
        if Quirk.RETRY_AFTER in quirks and status in {429, 503}:
            headers["retry-after"] = "1"
        if Quirk.HTML_ERRORS in quirks and status != 200:
            return HTMLResponse(f"<html><body><h1>Error {status}</h1></body></html>", status, headers)
        return JSONResponse(content, status, headers)

    def start(self, port: int = 0) -> Self:
        """Listen on 127.0.0.1, on a free port or the given one, until `stop`."""
        if self._listener is not None:
            raise RuntimeError(f"the simulator listens already, at {self.url}")
        self._listener = socket.create_server(("127.0.0.1", port))
        # asyncio sets it only on sockets that name their protocol; without it every answer is 40 ms late.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(self.app, log_config=None, log_level="error", server_header=False, lifespan="off")
        config.timeout_graceful_shutdown = 1  # a client's idle connection must not hold up the end
        self._server = uvicorn.Server(config)
        run, sockets = self._server.run, [self._listener]
        self._thread = threading.Thread(target=run, args=(sockets,), name="simulator", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Listen no more; a second time does nothing."""
        if self._listener is not None and self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._listener.close()  # a server that is stopped before it has begun leaves it open
            self._listener = self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
