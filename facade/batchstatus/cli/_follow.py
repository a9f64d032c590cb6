"""Following batches to their ends: the live table on a terminal, data elsewhere; and what a signal does to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing
from typing import Any

from batchstatus import AsyncBatchClient, BatchRef, Event, Outcome

from ._session import SESSION
from ._signals import listen

MOST_NAMED = 20
"""Refs that a message names."""


def follow(accounts: Sequence[Any], refs: list[str], *, timeout: float, take: Callable[[Outcome], bool]) -> int:
    """Follow batches until they have ended, the time is up, `take` has had enough, or a signal comes.

    Args:
        accounts: The accounts of the client.
        refs: What to follow.
        timeout: Seconds.
        take: Called with each change, and with each error that ends a ref; True ends it all.

    Returns:
        The exit code of the signal that came, or 0.
    """
    return asyncio.run(_follow(accounts, refs, timeout, take))


async def _follow(accounts: Sequence[Any], refs: list[str], timeout: float, take: Callable[[Outcome], bool]) -> int:
    with ExitStack() as stack:
        reading = asyncio.ensure_future(_read(accounts, refs, timeout, take, _live(stack, refs)))
        came = listen(reading.cancel)
        try:
            await reading
        except asyncio.CancelledError:
            if not came:
                raise
        return came[0] if came else 0


async def _read(
    accounts: Sequence[Any],
    refs: list[str],
    timeout: float,
    take: Callable[[Outcome], bool],
    note: Callable[[Event], None] | None,
) -> None:
    async with (
        AsyncBatchClient(*accounts, on_event=note) as client,
        aclosing(client.watch(refs, timeout=timeout)) as all_,
    ):
        async for outcome in all_:
            if take(outcome):
                return


def _live(stack: ExitStack, refs: list[str]) -> Callable[[Event], None] | None:
    """Return what draws a live table from events; None where there is no terminal for it."""
    if SESSION.format != "table":
        return None
    from ._live import LiveTable  # noqa: PLC0415
    from ._table import console  # noqa: PLC0415

    if not (screen := console()).is_terminal:
        return None
    SESSION.log(table=True)
    return stack.enter_context(LiveTable(len(refs), screen)).note


def say_how_to_go_on(command: str, left: Sequence[BatchRef]) -> None:
    """Tell a user who has interrupted a command what to type."""
    if len(left) <= MOST_NAMED:
        SESSION.say(f"interrupted; the batches go on, and so can you: {command} {' '.join(map(str, left))}".rstrip())
    else:
        SESSION.say(f"interrupted; {len(left)} batches are open and go on, and so can you, by the same command")
