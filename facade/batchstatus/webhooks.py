"""Receive the changes that `batchstatus run --deliver URL` posts, as Standard Webhooks say.

    change = verify(request.headers, body, os.environ["HOOK_SECRET"])

It works in any web framework: give it the request's headers, and its body as it came, before anything parses it.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Iterable
from typing import Protocol

from batchstatus import BatchStatusError, ConfigurationError
from batchstatus.service import Change
from batchstatus.service.signing import ID, PREFIX, SIGNATURE, TIMESTAMP, SigningKeys

__all__ = ["TOLERANCE", "Change", "Headers", "WebhookVerificationError", "new_secret", "sign", "verify"]

TOLERANCE = 300.0
"""Seconds by which the time of an attempt and this machine's clock may differ, either way."""
SECRET_BYTES = 32


class WebhookVerificationError(BatchStatusError):
    """A request is not a delivery that was signed with the secret just now: answer 401, and do nothing else.

    The message says why, and shows nothing of the request.
    """


class Headers(Protocol):
    """The headers of a request, in any case: a dict, or an object of a web framework or of the standard library."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return pairs of names and values."""


def verify(headers: Headers, body: bytes, secret: str | Iterable[str], *, tolerance: float = TOLERANCE) -> Change:
    """Return the change that a request delivers.

    The same change may come more than once: drop an id that is known. Its batch is `Batch.from_dict(change.batch)`.

    Args:
        headers: The request's, in any case.
        body: The request's bytes as they came.
        secret: `whsec_...`; several while they rotate, as a list or in one text with white space between them.
        tolerance: Seconds by which the time of the attempt and this machine's clock may differ, either way.

    Raises:
        WebhookVerificationError: It is not signed with a secret, is too old or too new, or is not a change.
        ConfigurationError: The secret cannot be one, or the body is not bytes.
    """
    keys = SigningKeys(secret)
    del secret  # tracebacks with local variables must not show it
    keys.check("secret")
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise ConfigurationError(f"body is the request's bytes as they came, not {type(body).__name__}")
    content = bytes(body)
    found = {name.lower(): value.strip() for name, value in headers.items() if isinstance(value, str)}
    if missing := [name for name in (ID, TIMESTAMP, SIGNATURE) if not found.get(name)]:
        raise WebhookVerificationError(f"the request is not signed: it has no {', '.join(missing)}")
    if not re.fullmatch(r"[0-9]{1,12}", found[TIMESTAMP]):
        raise WebhookVerificationError(f"{TIMESTAMP} is not a number of seconds since 1970")
    timestamp = int(found[TIMESTAMP])
    if not keys.have_signed(found, timestamp, content):
        raise WebhookVerificationError(
            "the signature is by another secret, or the body is not as it was signed: give its bytes as they came"
        )
    off = time.time() - timestamp
    if abs(off) > tolerance:
        raise WebhookVerificationError(
            f"the delivery was signed {abs(off):.0f} s {'ago' if off > 0 else 'ahead of this clock'}, and "
            f"{tolerance:.0f} s are allowed: it was replayed, or a clock is wrong"
        )
    try:
        change = Change.from_dict(json.loads(content))
    except (ConfigurationError, ValueError, RecursionError) as error:
        detail = error.detail if isinstance(error, ConfigurationError) else "it is not JSON"
        raise WebhookVerificationError(f"the body is signed, and not a change: {detail}") from None
    if change.id != found[ID]:
        raise WebhookVerificationError(f"the body is signed, and is not the change that {ID} names")
    return change


def sign(change: Change, secret: str | Iterable[str]) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a delivery of a change, signed now: for tests of a receiver.

    Args:
        change: What is delivered.
        secret: As for `verify`; each signs.

    Raises:
        ConfigurationError: The secret cannot be one.
    """
    keys, body = SigningKeys(secret), json.dumps(change.to_dict()).encode()
    del secret  # tracebacks with local variables must not show it
    keys.check("secret")
    return {"content-type": "application/json", **keys.sign(change.id, int(time.time()), body)}, body


def new_secret() -> str:
    """Return a new secret, for both sides."""
    return PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
