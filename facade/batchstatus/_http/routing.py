"""How to reach a vendor: certificates and proxies."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import os
import re
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import httpcore

from batchstatus._core.errors import ConfigurationError
from batchstatus._core.urls import is_loopback
from batchstatus._fork import ForkLock
from batchstatus._lazy import loading

from .pool import Origin

NATIVE_STORES = frozenset({"darwin", "win32"})
"""Platforms whose trust store OpenSSL cannot read, or only in part."""
PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Routes:
    """How to reach an origin: the TLS context, made at first use, and the proxy."""

    def __init__(self, verify: bool | str | ssl.SSLContext, proxy: str | None) -> None:
        self._verify = _check_verify(verify)
        self._proxy = None if proxy is None else _parse_proxy(proxy, "proxy")
        self._context: ssl.SSLContext | None = None
        self._lock = ForkLock()

    def to(self, origin: Origin) -> dict[str, Any]:
        """Return the options of httpcore's pools."""
        proxy = self._proxy or _environment_proxy(*origin)
        # Without TLS any context will do; httpcore would load certificates of its own.
        return {"ssl_context": self._tls() if origin[0] == "https" else NO_TLS, "proxy": proxy}

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                with loading():  # a fork meanwhile would leave OpenSSL's own locks locked in the child
                    self._context = _context(self._verify)
            return self._context


def _context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    try:
        if isinstance(verify, str):
            return ssl.create_default_context(cafile=verify)
        if isinstance(verify, ssl.SSLContext):
            return verify
        return _trusted_context() if verify else _blind_context()
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or type(error).__name__
    raise ConfigurationError(f"the certificates of verify=, SSL_CERT_FILE or SSL_CERT_DIR cannot be loaded: {reason}")


def _blind_context() -> ssl.SSLContext:
    """Return a context that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusted_context() -> ssl.SSLContext:
    """Return a context that trusts SSL_CERT_FILE, or SSL_CERT_DIR, or the system's store, or else certifi's bundle."""
    if file := os.environ.get("SSL_CERT_FILE"):
        return ssl.create_default_context(cafile=file)
    if folder := os.environ.get("SSL_CERT_DIR"):
        if not any(Path(each).is_dir() for each in folder.split(os.pathsep)):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return ssl.create_default_context(capath=folder)
    if sys.platform in NATIVE_STORES:
        import truststore  # noqa: PLC0415 (a dependency there only)

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context()
    # Certificates in a folder are loaded when they are needed, so they are not counted here.
    system = ssl.get_default_verify_paths().capath
    if not context.cert_store_stats()["x509_ca"] and not (system and any(Path(system).iterdir())):
        context.load_verify_locations(cafile=certifi.where())
    return context


def _check_verify(verify: bool | str | ssl.SSLContext) -> bool | str | ssl.SSLContext:
    if isinstance(verify, str) and not Path(verify).is_file():
        raise ConfigurationError(f"verify names {verify!r:.200}, which is not a file; give the path of a CA bundle")
    return verify


def _parse_proxy(proxy: str, source: str) -> httpcore.Proxy:
    """Return the proxy of a URL; raise ConfigurationError, which does not show it: it may hold a password."""
    try:
        parts = urlsplit(proxy)
        scheme, name, port = parts.scheme, (parts.hostname or "").encode("idna"), parts.port
    except (ValueError, TypeError, AttributeError):
        name = b""
    if not name or scheme not in PROXY_SCHEMES:
        raise ConfigurationError(f"{source} must be a URL such as 'http://proxy.example.com:3128'")
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigurationError(
            f"{source} is a SOCKS proxy, which needs the package socksio: pip install 'httpcore[socks]'"
        )
    user, password = parts.username or "", parts.password or ""
    auth = (unquote(user).encode(), unquote(password).encode()) if user or password else None
    return httpcore.Proxy(httpcore.URL(scheme=scheme, host=name, port=port, target=b"/"), auth)


def _environment_proxy(scheme: str, host: str, port: int) -> httpcore.Proxy | None:
    """Return the proxy that HTTPS_PROXY, ALL_PROXY and NO_PROXY ask for; loopback is always reached directly."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    if any(_is_excepted(host, port, exception) for exception in re.split(r"[\s,]+", proxies.get("no", ""))):
        return None
    source = f"{scheme}_proxy or all_proxy in the environment"
    return _parse_proxy(proxy if "://" in proxy else f"http://{proxy}", source)


def _is_excepted(host: str, port: int, exception: str) -> bool:
    """Return whether an entry of NO_PROXY names a host: by itself or its domain, with a port, or as a network."""
    name, _, its_port = exception.rpartition(":") if re.search(r"[^:]:[0-9]+$", exception) else (exception, "", "")
    if its_port and int(its_port) != port:
        return False
    name = name.strip("[]").lower()
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        domain = name.removeprefix("*").removeprefix(".")
        return name == "*" or (domain != "" and (host.lower() == domain or host.lower().endswith(f".{domain}")))
