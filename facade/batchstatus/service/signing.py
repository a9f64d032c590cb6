"""Signatures of deliveries, as Standard Webhooks say: HMAC-SHA256 over id, time of the attempt, and body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from batchstatus import ConfigurationError

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64
"""Of a secret."""
VERSION = "v1"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

SecretSource: TypeAlias = str | Iterable[str] | Callable[[], str]
"""A secret, several, also in one text with white space between them, or a function that returns such a text."""

log = logging.getLogger("batchstatus")


class SigningKeys:
    """The keys of some secrets. Its repr shows nothing, and nothing is raised as long as a caller holds the secrets.

    Args:
        source: One secret or several, also in one text with white space between them.
    """

    __slots__ = ("_keys",)

    def __init__(self, source: str | Iterable[str]) -> None:
        texts = [source] if isinstance(source, str) else source if isinstance(source, Iterable) else ()
        self._keys = [_key(word) for text in texts for word in str(text).split()]

    def check(self, setting: str) -> None:
        """Raise ConfigurationError if there is no secret, or one that cannot be; it shows none of them.

        Args:
            setting: The name of the setting with them, for the message.
        """
        if self._keys and all(self._keys):
            return
        fault = f"has a secret (number {self._keys.index(b'') + 1}) that is not one" if self._keys else "has no secret"
        raise ConfigurationError(
            f"{setting} {fault}: it is written whsec_ and {MIN_BYTES} to {MAX_BYTES} bytes in base64; "
            'python -c "from batchstatus.webhooks import new_secret; print(new_secret())" makes one'
        )

    def sign(self, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the headers that sign a delivery, with each key."""
        signatures = " ".join(_signature(key, id_, timestamp, body) for key in self._keys)
        return {ID: id_, TIMESTAMP: str(timestamp), SIGNATURE: signatures}

    def have_signed(self, headers: Mapping[str, str], timestamp: int, body: bytes) -> bool:
        """Return whether one of the signatures is by one of the keys; how long that takes does not tell which."""
        given = [each.encode(errors="replace") for each in headers[SIGNATURE].split()]
        expected = [_signature(key, headers[ID], timestamp, body).encode() for key in self._keys]
        return any([hmac.compare_digest(one, other) for one in expected for other in given])  # noqa: C419 (each)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return "<signing keys: hidden>"


def _key(secret: str) -> bytes:
    """Return the bytes of a secret, none if it is not one."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX).encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
    return key if secret.startswith(PREFIX) and MIN_BYTES <= len(key) <= MAX_BYTES else b""


def _signature(key: bytes, id_: str, timestamp: int, body: bytes) -> str:
    digest = hmac.digest(key, b"%s.%d.%s" % (id_.encode(errors="replace"), timestamp, body), hashlib.sha256)
    return f"{VERSION},{base64.b64encode(digest).decode()}"


class RotatingSecrets:
    """Secrets that may change while a service runs; if the new ones cannot be, the last ones go on."""

    def __init__(self, source: SecretSource) -> None:
        self._source = source
        self._text: str | None = None
        self._keys: SigningKeys | None = None if callable(source) else SigningKeys(source)

    def check(self) -> None:
        """Raise ConfigurationError if the first ones are not secrets."""
        self.keys().check(_setting(self._source))

    def keys(self) -> SigningKeys:
        """Return the keys to sign with now."""
        if callable(self._source) and (text := self._source()) != self._text:
            self._text, found = text, SigningKeys(text)
            del text  # tracebacks with local variables must not show it
            self._keys = found if self._keys is None else self._checked(found, self._keys)
        assert self._keys is not None
        return self._keys

    def _checked(self, new: SigningKeys, old: SigningKeys) -> SigningKeys:
        try:
            new.check(_setting(self._source))
        except ConfigurationError as error:
            log.warning("the previous secrets stay in use: %s", error)
            return old
        signers = "1 secret signs" if len(new) == 1 else f"{len(new)} secrets sign"
        log.warning("%s has changed: %s deliveries from now on", _setting(self._source), signers)
        return new

    def __repr__(self) -> str:
        return "<secrets: hidden>"


def _setting(source: object) -> str:
    """Return the name of the setting with the secrets."""
    return getattr(source, "setting", "secret")
