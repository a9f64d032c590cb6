"""Deliver a range of stored changes again, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from attrs import define

from batchstatus.service import Change, DeliveryFailed

ATTEMPTS = 3
PAUSE = 2.0
"""Seconds before a second attempt, and twice as many before a third, unless the receiver asks for more."""
MAX_PAUSE = 60.0
"""Seconds: a receiver that asks for a longer pause is given up."""


@define
class Replay:
    """What became of the changes."""

    delivered: int = 0
    refused: int = 0
    """Changes that the receiver has answered with a refusal; the others after them were delivered all the same."""
    last: str | None = None
    """The id of the last change that is done with."""
    failure: str | None = None
    """Why it ended early."""


async def replay(
    changes: Iterable[Change],
    deliver: Callable[[Change], Awaitable[Any]],
    tell: Callable[[str], object],
    into: Replay,
) -> None:
    """Deliver changes in their order, until one cannot be delivered for another reason than a refusal.

    Args:
        changes: In the order in which they were stored.
        deliver: As `to_url` returns it.
        tell: Told of each refusal.
        into: Gets the outcome, also while it runs.
    """
    for change in changes:
        error = await _tried(change, deliver)
        if error is None:
            into.delivered += 1
        elif error.is_refusal and not error.is_gone:
            into.refused += 1
            tell(f"{change} is refused: {error} (its id is {change.id})")
        else:
            into.failure = f"{change} is not delivered: {error}"
            return
        into.last = change.id


async def _tried(change: Change, deliver: Callable[[Change], Awaitable[Any]]) -> DeliveryFailed | None:
    """Return why a change could not be delivered, or None."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            await deliver(change)
        except DeliveryFailed as error:
            pause = max(PAUSE * attempt, error.retry_after or 0.0)
            if error.is_refusal or attempt == ATTEMPTS or pause > MAX_PAUSE:
                return error
        else:
            return None
        await asyncio.sleep(pause)
    raise AssertionError("the last attempt returns")
