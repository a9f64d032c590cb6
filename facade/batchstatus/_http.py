"""The only user of httpx: one exchange over real HTTP, sync and async.

It speaks to httpx's transports, not to its Client: they follow no redirect, keep no cookie and read no netrc, so a
key reaches the vendor's origin alone. Every outcome is returned, none raised: httpx's exceptions hold requests,
and requests hold keys.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

from ._content import BadContent, Content
from ._deadline import Deadline, DeadlineBackend
from ._errors import ConfigurationError, InvalidResponse, RequestTimeout, TransportError
from ._exchange import Answer, Failure, Request, Send
from ._url import is_loopback
from ._version import __version__

HEADERS = {"accept": "application/json", "accept-encoding": "gzip", "user-agent": f"batchstatus/{__version__}"}
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=256, keepalive_expiry=90.0)
"""Idle connections outlive the longest gap between two reads of a wait (30 s)."""

T = TypeVar("T", httpx.HTTPTransport, httpx.AsyncHTTPTransport)


class _Pools(Generic[T]):
    """One TLS context, and one connection pool for each proxy in use (mostly: none), made at first use."""

    def __init__(self, make: Callable[..., T], verify: bool | str | ssl.SSLContext, proxy: str | None) -> None:
        self._make: Callable[..., T] = make
        self._verify = _checked_verify(verify)
        self._proxy = _checked_proxy(proxy)
        self._context: ssl.SSLContext | None = None
        self._by_proxy: dict[str | None, T] = {}
        self._by_origin: dict[tuple[str, str], T] = {}
        self._lock = threading.Lock()

    def for_url(self, url: httpx.URL) -> T:
        """Return the pool that reaches the URL's host."""
        origin = (url.scheme, url.host)
        pool = self._by_origin.get(origin)
        if pool is None:
            with self._lock:
                pool = self._by_origin[origin] = self._pool(self._proxy or _environment_proxy(*origin))
        return pool

    def _pool(self, proxy: str | None) -> T:
        if self._context is None:
            self._context = _context(self._verify)
        if proxy not in self._by_proxy:
            self._by_proxy[proxy] = self._make(
                verify=self._context, trust_env=False, limits=LIMITS, proxy=httpx.Proxy(proxy) if proxy else None
            )
        return self._by_proxy[proxy]

    def take_all(self) -> list[T]:
        """Return every pool made so far, and forget them."""
        with self._lock:
            pools = list(self._by_proxy.values())
            self._by_proxy.clear()
            self._by_origin.clear()
            return pools


class HttpTransport:
    """Performs exchanges in the calling thread; any number of threads may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._deadline = Deadline()
        self._pools = _Pools(self._make, verify, proxy)

    def _make(self, **options: Any) -> httpx.HTTPTransport:
        transport = httpx.HTTPTransport(**options)
        # httpx has no parameter for it, and its own timeouts bound each socket operation, never the sum of them.
        transport._pool._network_backend = DeadlineBackend(self._deadline)  # noqa: SLF001
        return transport

    def send(self, step: Send) -> Answer | Failure:
        """Return the whole answer, or why there is none within the step's time."""
        self._deadline.at = time.monotonic() + step.timeout
        try:
            request = _message(step.request, step.timeout)
            response = self._pools.for_url(request.url).handle_request(request)
            try:
                content = Content(response.status_code, response.headers.multi_items(), step.max_body)
                for chunk in response.stream:  # type: ignore[union-attr]
                    if content.feed(chunk):
                        break
                return content.answer()
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, BadContent) as error:
            return _failure(error, step)

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.take_all():
            pool.close()


class AsyncHttpTransport:
    """Performs exchanges in the calling task; any number of tasks of one event loop may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._pools = _Pools(httpx.AsyncHTTPTransport, verify, proxy)

    async def send(self, step: Send) -> Answer | Failure:
        """Return the whole answer, or why there is none within the step's time."""
        try:
            async with asyncio.timeout(step.timeout):
                request = _message(step.request, None)
                response = await self._pools.for_url(request.url).handle_async_request(request)
                try:
                    content = Content(response.status_code, response.headers.multi_items(), step.max_body)
                    async for chunk in response.stream:  # type: ignore[union-attr]
                        if content.feed(chunk):
                            break
                    return content.answer()
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, BadContent, TimeoutError) as error:
            return _failure(error, step)

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.take_all():
            await pool.aclose()


def _message(request: Request, timeout: float | None) -> httpx.Request:
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
    return httpx.Request("GET", request.url, headers=HEADERS | dict(request.keys), extensions={"timeout": timeouts})


def _failure(error: Exception, step: Send) -> Failure:
    """Return what an exception means, in words of ours: its own may be empty, or hold a header."""
    if isinstance(error, BadContent):
        return Failure(error=InvalidResponse, reason=str(error), status=error.status, cut_short=error.cut_short)
    cause = _system_error(error)
    detail = f"{cause or error or type(error).__name__}"[:200]
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        reason = f"no complete answer within {step.timeout:.3g} s"
        return Failure(
            error=RequestTimeout, reason=f"{reason}; the vendor or the network is slow, or a firewall is silent"
        )
    if isinstance(error, (httpx.LocalProtocolError, httpx.InvalidURL)):
        reason = f"the request cannot be sent as HTTP ({type(error).__name__})"
    elif isinstance(error, httpx.ConnectError):
        reason = f"cannot connect ({detail}); check base_url, the network and the proxy"
    elif isinstance(error, httpx.ProxyError):
        reason = f"the proxy refused ({detail}); check the proxy's address and rights"
    else:
        reason = f"the connection broke before the answer was whole ({detail})"
    return Failure(error=TransportError, reason=reason, cause=cause)


def _system_error(error: BaseException) -> OSError | None:
    """Return the operating system's error at the root, cut loose from frames and exceptions that hold the request."""
    found: OSError | None = None
    seen: BaseException | None = error
    while seen is not None:
        found = seen if isinstance(seen, OSError) else found
        seen = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else seen.__cause__ or seen.__context__
    if found is not None:
        found.__cause__ = found.__context__ = found.__traceback__ = None
    return found


def _context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return httpx.create_ssl_context(verify=verify)


def _checked_verify(verify: bool | str | ssl.SSLContext) -> bool | str | ssl.SSLContext:
    if isinstance(verify, str) and not Path(verify).is_file():
        raise ConfigurationError(f"verify names {verify!r:.200}, which is no file; give the path of a CA bundle")
    return verify


def _checked_proxy(proxy: str | None) -> str | None:
    if proxy is not None:
        try:
            httpx.Proxy(proxy)
        except (ValueError, TypeError, httpx.InvalidURL):
            raise ConfigurationError("proxy must be a URL such as 'http://proxy.example.com:3128'") from None
    return proxy


def _environment_proxy(scheme: str, host: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, ALL_PROXY and NO_PROXY ask for; loopback is always reached directly."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
