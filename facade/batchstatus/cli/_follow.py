"""Following batches to their ends: the live table on a terminal, data elsewhere; and what a signal does to it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing, suppress
from typing import Any

from batchstatus import AsyncBatchClient, BatchRef, Event, Outcome

from ._exit import INTERRUPTED, TERMINATED
from ._session import SESSION

SIGNALS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


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
        came = _listen(reading)
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
    from ._view import LiveTable, console  # noqa: PLC0415

    if not console().is_terminal:
        return None
    SESSION.log(table=True)
    return stack.enter_context(LiveTable([BatchRef.parse(ref) for ref in refs])).note


def _listen(reading: asyncio.Future[None]) -> list[int]:
    """Let a signal end the reading; return where its exit code will be."""
    loop, came = asyncio.get_running_loop(), list[int]()

    def heard(number: signal.Signals) -> None:
        came.append(SIGNALS[number])
        reading.cancel()

    for number in SIGNALS:
        with suppress(NotImplementedError):  # Windows has none of these
            loop.add_signal_handler(number, heard, number)
    return came
