"""The only user of httpx: one exchange over real HTTP, sync and async.

It speaks to httpx's transports, not to its Client: they follow no redirect, keep no cookie and read no netrc, so a
key reaches the vendor's origin alone. Every outcome is returned, none raised: httpx's exceptions hold requests,
and requests hold keys.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import ssl
import threading
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

ERROR_BODY_TIME = 2.0
"""Seconds for the body of any status but 200, which says little more than the status."""

T = TypeVar("T", httpx.HTTPTransport, httpx.AsyncHTTPTransport)


class _Pools(Generic[T]):
    """One TLS context, and one connection pool for each scheme and proxy in use, made at first use.

    Pools belong to one process and, if async, to one event loop. In another they are forgotten, not closed: their
    sockets may still serve where they came from.
    """

    def __init__(
        self, make: Callable[..., T], verify: bool | str | ssl.SSLContext, proxy: str | None, home: object = None
    ) -> None:
        self._make: Callable[..., T] = make
        self._verify = _checked_verify(verify)
        self._proxy = None if proxy is None else _checked_proxy(proxy, "proxy")
        self._context: ssl.SSLContext | None = None
        self._home = home
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self._pools: dict[tuple[str, str | None], T] = {}
        self._by_origin: dict[tuple[str, str], T] = {}
        self._lock = threading.Lock()

    def for_url(self, url: httpx.URL, home: object) -> T:
        """Return the pool that reaches the URL's host from this process or event loop."""
        if home != self._home:
            self._forget()
            self._home = home
        origin = (url.scheme, url.host)
        pool = self._by_origin.get(origin)
        if pool is None:
            with self._lock:
                if self._closed:
                    raise ConfigurationError("this client was closed while it read")
                pool = self._by_origin[origin] = self._pool(url.scheme, self._proxy or _environment_proxy(*origin))
        return pool

    def _pool(self, scheme: str, proxy: str | None) -> T:
        if (scheme, proxy) not in self._pools:
            context = self._tls() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._pools[scheme, proxy] = self._make(verify=context, limits=LIMITS, proxy=proxy)
        return self._pools[scheme, proxy]

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = _context(self._verify)
        return self._context

    def close(self, home: object) -> list[T]:
        """Make no pool any more; return those that are to be closed here."""
        with self._lock:
            self._closed = True
            pools = list(self._pools.values()) if home == self._home else []
            self._pools.clear()
            self._by_origin.clear()
            return pools


class HttpTransport:
    """Performs exchanges in the calling thread; any number of threads may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._deadline = Deadline()
        self._pools = _Pools(self._make, verify, proxy, home=os.getpid())

    def _make(self, **options: Any) -> httpx.HTTPTransport:
        transport = httpx.HTTPTransport(**options)
        # httpx has no parameter for it, and its own timeouts bound each socket operation, never the sum of them.
        transport._pool._network_backend = DeadlineBackend(self._deadline)  # noqa: SLF001
        return transport

    def send(self, step: Send, timeout: float) -> Answer | Failure:
        """Return the whole answer, or why there is none within so many seconds."""
        self._deadline.set(timeout)
        content: Content | None = None
        try:
            url = httpx.URL(step.request.url)
            response = self._pools.for_url(url, os.getpid()).handle_request(_message(url, step.request, timeout))
            try:
                content = Content(response.status_code, response.headers.multi_items(), step.max_body)
                if content.is_refusal:
                    self._deadline.shorten(ERROR_BODY_TIME)
                for chunk in response.stream:  # type: ignore[union-attr]
                    if content.feed(chunk):
                        break
                return content.answer()
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, BadContent) as error:
            return _outcome(content, error, timeout)

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.close(os.getpid()):
            pool.close()


class AsyncHttpTransport:
    """Performs exchanges in the calling task; any number of tasks of one event loop at a time may share it."""

    def __init__(self, *, verify: bool | str | ssl.SSLContext = True, proxy: str | None = None) -> None:
        self._pools = _Pools(httpx.AsyncHTTPTransport, verify, proxy)

    async def send(self, step: Send, timeout: float) -> Answer | Failure:
        """Return the whole answer, or why there is none within so many seconds."""
        content: Content | None = None
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        try:
            async with asyncio.timeout_at(end) as limit:
                url = httpx.URL(step.request.url)
                pool = self._pools.for_url(url, loop)
                # A handshake that is cancelled leaks its socket in httpcore, one that times out does not: be first.
                request = _message(url, step.request, max(end - loop.time(), 0.0) * 0.95)
                response = await pool.handle_async_request(request)
                try:
                    content = Content(response.status_code, response.headers.multi_items(), step.max_body)
                    if content.is_refusal:
                        limit.reschedule(min(end, loop.time() + ERROR_BODY_TIME))
                    async for chunk in response.stream:  # type: ignore[union-attr]
                        if content.feed(chunk):
                            break
                    return content.answer()
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, BadContent, TimeoutError) as error:
            return _outcome(content, error, timeout)

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.close(asyncio.get_running_loop()):
            await pool.aclose()


def _message(url: httpx.URL, request: Request, timeout: float) -> httpx.Request:
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
    return httpx.Request("GET", url, headers=HEADERS | dict(request.keys), extensions={"timeout": timeouts})


def _outcome(content: Content | None, error: Exception, timeout: float) -> Answer | Failure:
    """Return what an exception leaves of an exchange, in words of ours: its own may be empty, or hold a header."""
    if content is not None and content.is_refusal:
        return content.answer()  # the vendor's no stands, even where its body breaks off
    if isinstance(error, BadContent):
        return Failure(error=InvalidResponse, reason=str(error), status=error.status, cut_short=error.cut_short)
    cause = _system_error(error)
    detail = f"{cause or error or type(error).__name__}"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        reason = f"no complete answer within {timeout:.3g} s"
        return Failure(
            error=RequestTimeout, reason=f"{reason}; the vendor or the network is slow, or a firewall is silent"
        )
    if isinstance(error, (httpx.LocalProtocolError, httpx.InvalidURL)):
        reason = f"the request cannot be sent as HTTP ({type(error).__name__})"
    elif isinstance(error, httpx.ConnectError):
        reason = f"cannot connect; check base_url, the network and the proxy ({detail})"
    elif isinstance(error, httpx.ProxyError):
        reason = f"the proxy refused; check its address and rights ({detail})"
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
    try:
        if isinstance(verify, str):
            return ssl.create_default_context(cafile=verify)
        return httpx.create_ssl_context(verify=verify)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or type(error).__name__
    raise ConfigurationError(f"the certificates of verify=, SSL_CERT_FILE or SSL_CERT_DIR cannot be loaded: {reason}")


def _checked_verify(verify: bool | str | ssl.SSLContext) -> bool | str | ssl.SSLContext:
    if isinstance(verify, str) and not Path(verify).is_file():
        raise ConfigurationError(f"verify names {verify!r:.200}, which is no file; give the path of a CA bundle")
    return verify


def _checked_proxy(proxy: str, source: str) -> str:
    """Return the proxy's URL; raise ConfigurationError, which does not show it: it may hold a password."""
    try:
        scheme = httpx.Proxy(proxy).url.scheme
    except (ValueError, TypeError, httpx.InvalidURL):
        raise ConfigurationError(f"{source} must be a URL such as 'http://proxy.example.com:3128'") from None
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigurationError(
            f"{source} is a SOCKS proxy, which needs the package socksio: pip install 'httpx[socks]'"
        )
    return proxy


def _environment_proxy(scheme: str, host: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, ALL_PROXY and NO_PROXY ask for; loopback is always reached directly."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    source = f"{scheme}_proxy or all_proxy in the environment"
    return _checked_proxy(proxy if "://" in proxy else f"http://{proxy}", source)
