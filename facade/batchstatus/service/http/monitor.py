"""The HTTP server of a service, in the service's own event loop: `/`, `/events`, `/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from batchstatus import Account, Event
from batchstatus.service.observers import DeliveryAttempt
from batchstatus.service.store import Store
from batchstatus.service.watcher import Watcher

from .app import Application
from .feed import Feed
from .hosts import check_names, listen, url_of
from .metrics import Metrics
from .page import Page

log = logging.getLogger("batchstatus")


class Monitor:
    """Shows one running watcher and its store. It listens from the beginning, and answers while `serving`.

    Args:
        store: The watcher's.
        accounts: The watcher's, so that their metrics begin at zero.
        address: "127.0.0.1:9464", "[::1]:9464" or "9464"; port 0: any free one.
        hosts: Further names by which browsers may ask for it, such as that of a proxy; an address and loopback's names
            need not be named.
        remote: Whether other machines may reach it. It has no password.

    Attributes:
        url: The address of the page.

    Raises:
        ConfigurationError: The address is wrong or in use, or leads off loopback without `remote`.
    """

    def __init__(
        self,
        store: Store,
        accounts: Iterable[Account],
        address: str = "127.0.0.1:9464",
        *,
        hosts: Collection[str] = (),
        remote: bool = False,
    ) -> None:
        self._store = store
        self._hosts = check_names(hosts)
        self._metrics = Metrics(store, accounts)
        self._listener = listen(address, remote=remote)
        self.url = url_of(self._listener)

    def on_event(self, event: Event) -> None:
        """Count an event of the watcher: its `on_event`."""
        self._metrics.on_event(event)

    def on_delivery(self, attempt: DeliveryAttempt) -> None:
        """Count an attempt to deliver a change."""
        self._metrics.on_delivery(attempt)

    @asynccontextmanager
    async def serving(self, watcher: Watcher) -> AsyncIterator[None]:
        """Answer while the block runs."""
        page = Page(str(self._store.path))
        app = Application(watcher.health, Feed(self._store.overview), self._metrics, page)
        config = uvicorn.Config(
            app.guarded(self._hosts),
            http=_Protocol,
            log_config=None,
            log_level=None,  # as access_log=False it would change the loggers of the application's own uvicorn
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[self._listener]))
        task.add_done_callback(_tell_failure)
        try:
            yield
        finally:
            app.ending.set()  # the streams end first
            server.should_exit = True
            await asyncio.wait([task])

    def close(self) -> None:
        """Listen no more; a second time does nothing."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Protocol(H11Protocol):
    """A connection whose requests are not in the access log, which may be that of an application."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.access_log = False


class _Server(uvicorn.Server):
    """A server that leaves signals to the service."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _tell_failure(task: asyncio.Task[None]) -> None:
    """Log why the server has ended, which ends nothing else."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the HTTP server has ended: %s: %s", type(error).__name__, error)
