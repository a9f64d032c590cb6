"""Addresses: the one to listen on, and those by which a browser may ask."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from batchstatus import ConfigurationError, printable
from batchstatus._http.post import is_loopback

LOOPBACK = "127.0.0.1"
NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?")


def listen(address: str, *, remote: bool = False) -> socket.socket:
    """Return a socket that listens.

    Args:
        address: "127.0.0.1:9464", "[::1]:9464", "localhost:9464", "9464"; port 0: any free one.
        remote: Whether it may be reached from other machines.

    Raises:
        ConfigurationError: The address is wrong or in use, or leads off loopback without `remote`.
    """
    host, port = _parsed(address)
    if not remote and not is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached from other machines, and whoever reaches it reads the refs and errors of all "
            f"batches: listen on {LOOPBACK}, or allow it with --http-remote"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno or 0)  # `error` repeats the address
        raise ConfigurationError(f"cannot listen on {address}: {reason}; name another address, or port") from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address of a socket as a person opens it."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else LOOPBACK
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def check_names(names: Collection[str]) -> frozenset[str]:
    """Return the names of this machine in lower case.

    Raises:
        ConfigurationError: One is not a name or an address without a port.
    """
    found = set()
    for name in names:
        lower = name.lower().strip("[]")
        if not NAME.fullmatch(lower) and not _is_address(lower):
            raise ConfigurationError(f"{printable(name)[:80]} is not a host's name: write status.example.com")
        found.add(lower)
    return frozenset(found)


def is_own(header: str, local: str, names: Collection[str]) -> bool:
    """Return whether a Host header names this service: otherwise another site's page may have rebound its name.

    Args:
        header: With or without a port, which may be that of a tunnel.
        local: The address to which the request came.
        names: Further names, in lower case.
    """
    try:
        parts = urlsplit(f"//{header}")
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        return False
    return host == local or host in names or is_loopback(host)


def _parsed(address: str) -> tuple[str, int]:
    """Return host and port."""
    text = f"{LOOPBACK}:{address}" if address.isascii() and address.isdecimal() else address
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or f"//{text}" != parts.geturl() or parts.path or "@" in text:
        raise ConfigurationError(
            f"{printable(address)[:80]} is not an address to listen on: write {LOOPBACK}:9464, [::1]:9464 or 9464"
        )
    host = LOOPBACK if host == "localhost" else host
    if not _is_address(host):
        raise ConfigurationError(f"{printable(host)[:80]} is a name: listen on an address, such as {LOOPBACK}")
    return host, port


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
