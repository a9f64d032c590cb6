"""Where keys may be sent: the check of a base URL."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ._errors import ConfigurationError

EXAMPLE = "such as 'https://api.example.com'"


def checked_base_url(url: object, *, allow_insecure: bool) -> str:
    """Return the URL without slashes at its end; raise ConfigurationError where no key may go or no path can follow."""
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        raise ConfigurationError(f"base_url must be a URL without blanks, {EXAMPLE}, not {url!r:.80}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"base_url is no URL ({error}); give one {EXAMPLE}") from None
    if "@" in parts.netloc:
        raise ConfigurationError("base_url must not hold a user name or password: keys have parameters of their own")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise ConfigurationError(f"base_url needs http or https and a host, and no query, {EXAMPLE}, not {url!r:.200}")
    if parts.scheme == "http" and not allow_insecure and not is_loopback(host):
        raise ConfigurationError(
            f"base_url {url!r:.200} would send keys unencrypted: use https (or allow_insecure=True, in a test network)"
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: 127.0.0.0/8, ::1 or localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
