"""The check of a base URL, to which keys are sent."""

from __future__ import annotations

import encodings.idna  # noqa: F401 (else `encode("idna")` imports it, in a thread that may be about to be forked away)
import ipaddress
from urllib.parse import urlsplit

from .errors import ConfigurationError

EXAMPLE = "such as 'https://api.example.com'"


def check_base_url(url: object, *, allow_insecure: bool) -> str:
    """Return the URL without slashes at its end; raise ConfigurationError if no key may go there or no path can follow.

    A URL may hold a password or a key by mistake, so no message shows more of it than scheme and host.
    """
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        raise ConfigurationError(f"base_url must be a URL without blanks, {EXAMPLE}")
    if "@" in url or "?" in url or "#" in url:
        raise ConfigurationError(f"base_url holds no user, password, '?' or '#': keys have parameters of their own; "
                                 f"give one {EXAMPLE}")  # fmt: skip
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"base_url has no host and port that work; give one {EXAMPLE}") from None
    if parts.scheme not in {"http", "https"} or not _is_host(host) or port == 0:
        raise ConfigurationError(f"base_url needs http or https and a host, {EXAMPLE}")
    if parts.scheme == "http" and not allow_insecure and not is_loopback(host):
        raise ConfigurationError(f"base_url http://{host} would send keys unencrypted: "
                                 "use https (or allow_insecure=True, in a test network)")  # fmt: skip
    return url.rstrip("/")


def _is_host(host: str) -> bool:
    """Return whether a look-up of the host can be tried at all: no empty label, none over 63 characters."""
    try:
        return bool(host) and bool(host.encode("idna"))
    except UnicodeError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: 127.0.0.0/8, ::1 or localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
