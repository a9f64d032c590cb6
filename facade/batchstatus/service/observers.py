"""What a watcher tells its observers: its attempts to deliver, and the batches that come and go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypeVar, get_args

from attrs import field, frozen

from .store import Change

T = TypeVar("T")
AttemptOutcome: TypeAlias = Literal["delivered", "failed", "set_aside", "stopped"]
OUTCOMES: tuple[AttemptOutcome, ...] = get_args(AttemptOutcome)

log = logging.getLogger("batchstatus")


@frozen(kw_only=True)
class DeliveryAttempt:
    """One attempt to deliver a change, after it."""

    destination: str
    """Its name; that of a URL tells nothing about it."""
    change: Change
    outcome: AttemptOutcome
    """"failed" is tried again; "set_aside" has failed for 3 days; "stopped" means that the receiver wants no more."""
    status_code: int | None = None
    """The receiver's HTTP status; None if there was none, or the destination is not a URL."""
    reason: str | None = None
    """Why it was not delivered, in words of this package; None if it was."""
    duration: float
    """Seconds."""
    attempts: int
    """How often it was tried, this one included."""


@frozen(kw_only=True)
class ClaimUpdate:
    """Batches that came to a watcher, or left it for others; those that it has seen end are not among them."""

    watcher: str
    gained: Mapping[str, int] = field(factory=dict, hash=False)
    """How many, by account ref: {"shop/acme": 3}."""
    lost: Mapping[str, int] = field(factory=dict, hash=False)
    """The same."""


def tell(observer: Callable[[T], object] | None, event: T) -> None:
    """Call an observer; if it fails, that is logged."""
    if observer is None:
        return
    try:
        observer(event)
    except Exception as error:  # noqa: BLE001 (an observer is the caller's, and ends no service)
        log.error("an observer failed at a %s: %s", type(event).__name__, type(error).__name__)  # noqa: TRY400
