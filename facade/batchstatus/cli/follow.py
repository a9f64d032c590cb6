"""Following batches to their ends: the live table on a terminal, data elsewhere; and what a signal does to it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, aclosing
from typing import Any

from batchstatus import AsyncBatchClient, BatchRef, Event, Outcome, WaitError

from .context import SESSION
from .exit_codes import OPEN, code_of
from .log import show_log
from .output import say, say_all
from .signals import on_signal

MOST_NAMED = 20
"""Refs from stdin that are named in what to type."""


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
    show_log()
    return asyncio.run(_follow(accounts, refs, timeout, take))


async def _follow(accounts: Sequence[Any], refs: list[str], timeout: float, take: Callable[[Outcome], bool]) -> int:
    with ExitStack() as stack:
        reading = asyncio.ensure_future(_read(accounts, refs, timeout, take, _live(stack, refs)))
        came = on_signal(reading.cancel)
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
    from .live_table import LiveTable  # noqa: PLC0415
    from .table import console  # noqa: PLC0415

    if not (screen := console()).is_terminal:
        return None
    show_log(table=True)
    return stack.enter_context(LiveTable([*map(BatchRef.parse, refs)], screen)).note


class Tally:
    """What became of each ref so far.

    Args:
        refs: What is followed.
        code: Returns the exit code of a batch as an outcome has it; OPEN where it is to be followed on.
    """

    def __init__(self, refs: Iterable[str], code: Callable[[Outcome], int]) -> None:
        self.codes = {BatchRef.parse(ref): OPEN for ref in refs}
        self.left = set(self.codes)
        """Those that are followed on."""
        self.last: dict[BatchRef, Outcome] = {}
        self._late: list[WaitError] = []
        self._code = code

    def take(self, outcome: Outcome) -> int | None:
        """Take an outcome in and return its exit code; None where it says nothing new about what is followed."""
        if isinstance(outcome.error, WaitError):
            self._late.append(outcome.error)
            self.codes[outcome.ref] = code_of(outcome.error)
            return None
        self.last[outcome.ref] = outcome
        if outcome.ref not in self.left:  # it was where it was wanted, and goes on
            return None
        code = self.codes[outcome.ref] = self._code(outcome)
        if code != OPEN:
            self.left.discard(outcome.ref)
        return code

    def say_how_to_go_on(self) -> None:
        """Tell a user who has interrupted the command what to type: the same without the refs that have ended."""
        ended = {str(ref) for ref in self.codes.keys() - self.left}
        words = [word for word in SESSION.arguments if word not in ended]
        if "-" in words and len(self.left) <= MOST_NAMED:  # stdin is read
            words = [*(word for word in words if word != "-"), *sorted({*map(str, self.left)} - {*words})]
        command = shlex.join(["batchstatus", *words])
        say(f"interrupted; the batches go on, and so can you: {command}")

    def say_what_is_left(self) -> None:
        """Say of each batch for which the time was up how it stands."""
        say_all(self._late, "batches have not ended in time")
