"""Following batches to their ends: the live table on a terminal, data elsewhere; and what a signal does to it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Container, Sequence
from contextlib import ExitStack, aclosing
from typing import Any

from batchstatus import AsyncBatchClient, BatchRef, Event, Outcome, WaitError

from ._log import listen as listen_to_log
from ._session import SESSION
from ._signals import listen
from ._tell import say

MOST_NAMED = 20
"""Batches that messages name one by one."""


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
    listen_to_log(table=True)
    return stack.enter_context(LiveTable([*map(BatchRef.parse, refs)], screen)).note


def say_what_is_left(errors: Sequence[WaitError]) -> None:
    """Say of each batch that the time was up for it, and how it stands."""
    for error in errors[:MOST_NAMED]:
        say(error)
    if len(errors) > MOST_NAMED:
        say(f"{len(errors) - MOST_NAMED} more batches have not ended in time")


def say_how_to_go_on(ended: Container[str]) -> None:
    """Tell a user who has interrupted a command what to type: the same without the refs that have ended."""
    command = shlex.join(["batchstatus", *(word for word in SESSION.arguments if word not in ended)])
    say(f"interrupted; the batches go on, and so can you: {command}")
