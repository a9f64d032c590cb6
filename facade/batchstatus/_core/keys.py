"""Keys that show only in the request that they authenticate."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias
from urllib.parse import quote, quote_plus

from .errors import ConfigurationError

KeySource: TypeAlias = str | Callable[[], str]
"""A key, or a function that returns the current one (asked for every attempt, so that keys can rotate)."""

_SALT = secrets.token_bytes(16)

MIN_LENGTH_TO_HIDE = 12
"""Characters: a shorter key is found in innocent words too, so it is not searched for."""


class Secret:
    """A named key. Its repr shows nothing, and it does not pickle."""

    __slots__ = ("_source", "name")

    def __init__(self, name: str, source: KeySource) -> None:
        self.name = name
        self._source = source

    def check(self) -> None:
        """Raise ConfigurationError if the key cannot be sent; a function is not called yet."""
        if not callable(self._source):
            self.reveal()

    @property
    def rotates(self) -> bool:
        """Whether the key comes from a function, which is asked each time."""
        return callable(self._source)

    def reveal(self) -> str:
        """Return the key; raise ConfigurationError, which never shows it, if it cannot be sent."""
        value = self._source() if callable(self._source) else self._source
        problem = _problem(value)
        if problem is None:
            return value
        del value  # tracebacks with local variables must not show it
        raise ConfigurationError(f"{self.name} {problem}")

    def expire(self) -> None:
        """Let the source ask anew next time, if it remembers the key: the vendor has refused it."""
        owner = getattr(self._source, "__self__", self._source)
        if callable(expire := getattr(owner, "expire", None)):
            expire()

    def identity(self) -> Hashable:
        """Return a value that is equal for equal keys and tells nothing about them; a function is its own identity."""
        if callable(self._source):
            owner = getattr(self._source, "__self__", None)
            if isinstance(owner, Secret):
                return owner.identity()
            return self._source if isinstance(self._source, Hashable) else id(self._source)
        return hashlib.blake2b(self._source.encode(), key=_SALT, digest_size=16).digest()

    def __repr__(self) -> str:
        return f"<{self.name}: hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self.name} cannot be pickled: build the client in the process that uses it, from the environment"
        )

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


def _problem(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be text, or a function that returns text, not {type(value).__name__}"
    if not value:
        return "is empty"
    if value != value.strip():
        return "begins or ends with a blank or a line end; remove it"
    if not (value.isascii() and value.isprintable()):
        return "holds characters that no HTTP header can carry; only printable ASCII is possible"
    return None


BASIC = "basic"
"""The scheme that joins a user and a password by a colon, and encodes them (RFC 7617)."""


def header_value(scheme: str, keys: Sequence[str]) -> str:
    """Return the value of a header that carries keys: as they are, after a scheme, or as user and password."""
    if scheme.lower() == BASIC:
        user, password = [*keys, ""][:2]
        return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    return " ".join([scheme, *keys] if scheme else keys)


def keys_of_value(scheme: str, value: str, number: int) -> list[str]:
    """Return so many keys that a header's value carries; fewer or none if it is not of the scheme."""
    if not scheme:
        return [value]
    given, _, rest = value.partition(" ")
    if given.lower() != scheme.lower():
        return []
    if scheme.lower() != BASIC:
        return [rest]
    try:
        return base64.b64decode(rest, validate=True).decode().split(":", 1)[:number]
    except (binascii.Error, UnicodeDecodeError):
        return []


def derived(scheme: str, keys: Sequence[str]) -> list[str]:
    """Return all that tells the keys of a header's value: each alone and, of user and password, both together."""
    if scheme.lower() != BASIC:
        return [*keys]
    joined = ":".join([*keys, ""][:2])
    return [*keys, joined, header_value(scheme, keys).partition(" ")[2].rstrip("=")]


def hide_in_headers(headers: Mapping[str, str], keys: Iterable[str]) -> Mapping[str, str]:
    """Return headers without the keys of their request."""
    keys = [*keys]
    if is_echoed("".join(text for pair in headers.items() for text in pair).encode(errors="replace"), keys):
        hidden: Mapping[str, str] = hide_keys(dict(headers), keys)
        return hidden
    return headers


def hide_keys(value: Any, keys: Iterable[str]) -> Any:
    """Return a JSON value without the keys of its request: vendors have been seen to echo them."""
    long = [key for key in keys if len(key) >= MIN_LENGTH_TO_HIDE]
    spellings = {spelling for key in long for spelling in (key, quote(key, safe=""), quote_plus(key))}
    return _without(value, sorted(spellings, key=len, reverse=True))


def is_echoed(body: bytes, keys: Iterable[str]) -> bool:
    """Return whether a body may hold a key: as it is, or with JSON's escapes, a URL's, or wide characters."""
    return any(mark in body for mark in (b"\\", b"%", b"\x00", *(key.encode() for key in keys)))


def _without(value: Any, spellings: list[str]) -> Any:
    if isinstance(value, str):
        for spelling in spellings:
            value = value.replace(spelling, "[hidden]")
    elif isinstance(value, dict):
        return {_without(name, spellings): _without(item, spellings) for name, item in value.items()}
    elif isinstance(value, list):
        return [_without(item, spellings) for item in value]
    return value
