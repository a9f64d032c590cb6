"""The simulated vendors over real HTTP, on loopback."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from batchstatus import Account, BatchRef

from .model import Query, Quirk, SimulatedBatch, SimulatedVendor, simulated_vendors

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route
except ModuleNotFoundError as error:
    raise ImportError(
        f"{__package__} needs the extra: pip install 'batchstatus[simulator]'", name=error.name
    ) from error


class Simulator:
    """Simulates vendors.

    Args:
        vendors: Their models; default: those of all vendors that are installed and have one.
        quirks: How the vendors depart from their pages, for every batch.
        limits: Whether the documented rate limits hold.
        clock: Seconds, for lifecycles and limits; a test may put its own there.
        epoch: The creation time in every body; default: now.

    Attributes:
        vendors: The models by the vendor's name.
        app: The ASGI application, for use in process.
        url: Its address, or the last one; empty before it has started.
        reads: The path of each request so far, percent signs decoded.
    """

    def __init__(
        self,
        *,
        vendors: Iterable[SimulatedVendor] | None = None,
        quirks: Iterable[Enum] = (),
        limits: bool = True,
        clock: Callable[[], float] = time.monotonic,
        epoch: datetime | None = None,
    ) -> None:
        self.quirks = frozenset(quirks)
        self.vendors = simulated_vendors() if vendors is None else {vendor.name: vendor for vendor in vendors}
        self._prefixes = prefixes(self.vendors.values())
        self.app = Starlette(
            routes=[
                Route(self._prefixes[name] + path, self._serve(vendor), methods=[method])
                for name, vendor in self.vendors.items()
                for method, path in [vendor.route]
            ]
        )
        self.url = ""
        self.reads: list[str] = []
        self._clock = clock
        self._epoch = epoch or datetime.now(UTC)
        self._limited = limits
        self._batches: dict[tuple[str, str], SimulatedBatch] = {}
        self._recent: dict[tuple[str, str, float], deque[float]] = {}
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
        quirks: Iterable[Enum] = (),
    ) -> BatchRef:
        """Add a batch and return its ref.

        Args:
            vendor: Its name in refs.
            id: Its id; default: a new one in the vendor's form.
            status: A word, of whatever table, in which it stands still; default: it moves, from now on.
            ends: The word with which a moving batch ends; default: the vendor's word for success.
            seconds: How long a moving batch takes: pending for a fifth of it, then running. 0: it has ended.
            total: Its items.
            failed: How many of them fail.
            quirks: How the vendor departs from its page for this batch.
        """
        if not 0 <= failed <= total:
            raise ValueError(f"of {total} items {failed} cannot fail; Quirk.CONTRADICTION has such counts")
        new_id = self.vendors[vendor].new_id(next(self._numbers))
        batch = SimulatedBatch(
            vendor=vendor,
            id=new_id if id is None else id,
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

    def accounts(self, **options: Any) -> tuple[Account, ...]:
        """Return an account at each vendor, with keys that the simulator accepts; unpaced, if it has no limits.

        Args:
            **options: Keyword arguments of all account classes, such as `rate_limit` or `states`.
        """
        if not self._limited:
            options = {"rate_limit": None, **options}
        return tuple(vendor.account(self.address(name), **options) for name, vendor in self.vendors.items())

    def account(self, vendor: str, **options: Any) -> Account:
        """Return such an account at one vendor."""
        return next(account for account in self.accounts(**options) if account.vendor == vendor)

    def environment(self) -> dict[str, str]:
        """Return the environment variables of such accounts, for `from_env` and the command line."""
        return {
            name: value
            for each, vendor in self.vendors.items()
            for name, value in vendor.environment(self.address(each)).items()
        }

    def address(self, vendor: str) -> str:
        """Return the base URL of a vendor: `url` itself, unless another vendor's batches have the same path."""
        if not self.url:
            raise RuntimeError("the simulator has no address yet: enter it, or start it")  # else: the vendors' own
        return self.url + self._prefixes[vendor]

    def _serve(self, vendor: SimulatedVendor) -> Callable[[Request], Awaitable[Response]]:
        # A coroutine, so that one thread answers all: limits and the numbers of requests are then exact.
        async def answer(request: Request) -> Response:
            self.reads.append(request.scope["path"])
            settings = dict(request.path_params)
            batch_id = settings.pop("batch_id")
            batch = self._batches.get((vendor.name, batch_id))
            quirks = batch.quirks if batch else self.quirks
            query = Query(
                id=batch_id,
                headers=request.headers,
                settings=settings,
                number=len(self.reads),
                known=batch is not None,
                quirks=quirks,
                is_over_limit=lambda key: self._is_over(vendor, key),
            )
            refusal = vendor.refuse(query)
            if refusal is not None or batch is None:
                status, body = refusal or (404, vendor.error_body(404))
                return self._answer(status, body, quirks, vendor.RETRY_AFTER)
            word, share = vendor.phase(batch, self._clock())
            return self._answer(200, vendor.status_body(batch, word, share, self._epoch), quirks)

        return answer

    def _is_over(self, vendor: SimulatedVendor, key: str) -> bool:
        """Return whether one request more is over a limit; a request that is not is counted."""
        now = self._clock()
        windows = [
            (most, span, self._recent.setdefault((vendor.name, key, span), deque())) for most, span in vendor.LIMITS
        ]
        for _, span, recent in windows:
            while recent and recent[0] <= now - span:
                recent.popleft()
        if self._limited and any(len(recent) >= most for most, _, recent in windows):
            return True
        for *_, recent in windows:
            recent.append(now)
        return False

    def _answer(
        self, status: int, content: dict[str, Any], quirks: frozenset[Enum], retry_after: int | None = None
    ) -> Response:
        headers = {"server": "batchstatus-simulator", "x-request-id": f"sim-{len(self.reads)}"}
        retry_after = 1 if Quirk.RETRY_AFTER in quirks else retry_after
        if retry_after is not None and status in {429, 503}:
            headers["retry-after"] = str(retry_after)
        if Quirk.HTML_ERRORS in quirks and status != 200:
            return HTMLResponse(f"<html><body><h1>Error {status}</h1></body></html>", status, headers)
        return JSONResponse(content, status, headers)

    def start(self, port: int = 0) -> Self:
        """Listen on 127.0.0.1, on a free port or the given one, until `stop`."""
        if self._listener is not None:
            raise RuntimeError(f"the simulator listens already, at {self.url}")
        self._listener = socket.create_server(("127.0.0.1", port))
        # asyncio sets it only on sockets that name their protocol; without it every response is 40 ms late.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        # A level would be that of the application's own uvicorn, too.
        config = uvicorn.Config(self.app, log_config=None, log_level=None, server_header=False, lifespan="off")
        config.timeout_graceful_shutdown = 1  # a client's idle connection must not hold up the end
        self._server = uvicorn.Server(config)
        run, sockets = self._server.run, [self._listener]
        self._thread = threading.Thread(target=run, args=(sockets,), name="simulator", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening; a second time does nothing."""
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


def prefixes(vendors: Iterable[SimulatedVendor]) -> dict[str, str]:
    """Return a path for each vendor, below which it is served: "", or its name if its paths could be another's."""
    placed: dict[str, str] = {}
    paths: list[tuple[SimulatedVendor, str]] = []
    for vendor in vendors:
        path = urlsplit(vendor.account(None).request(vendor.ACCOUNT.EXAMPLE_ID).url).path
        clashes = any(other.asked(path) or vendor.asked(theirs) for other, theirs in paths)
        placed[vendor.name] = f"/{vendor.name}" if clashes else ""
        paths.append((vendor, path))
    return placed
