"""The ASGI application: it answers requests for a name of its own only, and only reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batchstatus.service.health import Health

from .feed import Feed
from .hosts import is_own
from .metrics import Metrics
from .page import Page, asset

MAX_STREAMS = 64
"""Pages that are kept up to date at once."""
LIFE_INTERVAL = 5.0
"""Seconds after which there is a sign of life if nothing is new: 15 s of silence are a lost connection to the page."""
RETRY = 2.0
"""Seconds after which a browser connects again."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


class Guard:
    """Refuses requests for another host, and adds the headers."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        local, _ = scope.get("server") or ("", None)
        host = Headers(scope=scope).get("host", "")
        app: ASGIApp = self._app if is_own(host, local, self._names) else STRANGER
        await app(scope, receive, send_guarded)


STRANGER = PlainTextResponse("this service does not know the host of the request: allow it with --http-host\n", 421)


class Application:
    """Shows one watcher and its store.

    Args:
        health: Of the watcher.
        feed: The newest overviews of the store.
        metrics: They are written when they are asked for.
        page: The page about the store.

    Attributes:
        ending: When it is set, streams end.
    """

    def __init__(self, health: Health, feed: Feed, metrics: Metrics, page: Page) -> None:
        self._health = health
        self._feed = feed
        self._metrics = metrics
        self._page = page
        self._streams = 0
        self.ending = asyncio.Event()

    def guarded(self, names: Collection[str]) -> ASGIApp:
        """Return the ASGI application for these hosts, beside loopback and the own address."""
        routes = [
            Route("/livez", self._livez),
            Route("/readyz", self._readyz),
            Route("/metrics", self._measure),
            Route("/events", self._stream),
            Route("/", self._show),
            *(Route(f"/{name}", _file(asset(name), kind)) for name, kind in ASSETS.items()),
        ]
        return Guard(Starlette(routes=routes), names)

    async def _livez(self, _: Request) -> Response:
        if self._health.is_alive():
            return PlainTextResponse("alive\n")
        return PlainTextResponse("the watcher does not go on\n", 503)

    async def _readyz(self, _: Request) -> Response:
        problems = self._health.problems()
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    async def _measure(self, _: Request) -> Response:
        text = self._metrics.text(await self._feed.newest(), self._health)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _show(self, _: Request) -> Response:
        return HTMLResponse(self._page.whole(await self._feed.newest(), self._health))

    async def _stream(self, _: Request) -> Response:
        if self._streams >= MAX_STREAMS:
            return PlainTextResponse("too many pages are open\n", 503)
        return StreamingResponse(self._follow(), media_type="text/event-stream")

    async def _follow(self) -> AsyncIterator[str]:
        """Yield the changes of the page, or else a sign of life, once in each interval."""
        self._streams += 1
        try:
            yield f"retry: {RETRY * 1000:.0f}\n\n"
            shown: dict[str, str] = {}
            while not self.ending.is_set():
                parts = self._page.parts(await self._feed.newest(), self._health)
                changed = {name: html for name, html in parts.items() if shown.get(name) != html}
                shown = parts
                yield f"data: {json.dumps({'at': self._page.now(), 'parts': changed})}\n\n"
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.ending.wait(), min(self._feed.interval, LIFE_INTERVAL))
        finally:
            self._streams -= 1


def _file(content: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return answer
