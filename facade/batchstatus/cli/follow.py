"""Follow batches to their ends: a live table on a terminal, data elsewhere; a signal ends it in order."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING

from batchstatus import Account, BatchRef, Durations, Event, Outcome, WaitError

from .context import Context
from .exit_codes import OPEN, TIMED_OUT, code_of
from .log import show_log
from .output import check_reader
from .params import batches, humanize
from .signals import on_signal, run_tasks

if TYPE_CHECKING:
    from .live_table import LiveTable

SIGN_OF_LIFE = 60.0
"""Seconds between two lines that say how it stands, unless a table that moves shows it."""
LOOK_FOR_READER = 1.0
"""Seconds."""
MAX_NAMED = 20
"""Refs from stdin that are named in the command to type."""


def follow(
    context: Context,
    accounts: Sequence[Account],
    refs: list[str],
    *,
    timeout: float,
    take: Callable[[Outcome], bool],
    history: Callable[[BatchRef], Durations] | None = None,
) -> int:
    """Follow batches until they have ended, the time is up, `take` has had enough, or a signal comes.

    Args:
        context: The context of the command.
        accounts: The accounts of the client.
        refs: The batches to follow.
        timeout: Seconds.
        take: Called with each change, and with each error that ends a ref; True ends it all.
        history: How long batches like each one took.

    Returns:
        The exit code of the signal that came, or 0.
    """
    show_log(context.output)
    return run_tasks(_follow(context, accounts, refs, timeout, take=take, history=history))


async def _follow(
    context: Context,
    accounts: Sequence[Account],
    refs: list[str],
    timeout: float,
    *,
    take: Callable[[Outcome], bool],
    history: Callable[[BatchRef], Durations] | None,
) -> int:
    left, deadline = {*map(BatchRef.parse, refs)}, time.monotonic() + timeout
    with ExitStack() as stack:
        table = _live(context, stack, refs)
        on_event = None if table is None else table.note
        reading = asyncio.ensure_future(
            _read(context, accounts, refs, timeout, take=take, left=left, on_event=on_event, history=history)
        )
        beside = [_stop_without_reader()]
        beside.append(_show_life(context, left, deadline) if table is None else table.run())
        tasks = {reading, *map(asyncio.ensure_future, beside)}
        came = on_signal(reading.cancel)
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in ended:
            if not (task.cancelled() and came):
                task.result()
        return came[0] if came else 0


async def _read(
    context: Context,
    accounts: Sequence[Account],
    refs: list[str],
    timeout: float,
    *,
    take: Callable[[Outcome], bool],
    left: set[BatchRef],
    on_event: Callable[[Event], None] | None,
    history: Callable[[BatchRef], Durations] | None,
) -> None:
    """Read batches until all have ended, and take the ended ones out of `left`."""
    from batchstatus import AsyncBatchClient  # noqa: PLC0415 (help and completion need none)

    async with (
        AsyncBatchClient(*accounts, on_event=on_event, **context.policies()) as client,
        aclosing(client.watch(refs, timeout=timeout, history=history)) as all_,
    ):
        async for outcome in all_:
            if outcome.batch is None or outcome.batch.has_ended:
                left.discard(outcome.ref)
            if take(outcome):
                return


async def _show_life(context: Context, left: Collection[BatchRef], deadline: float) -> None:
    """Say each minute how it stands."""
    total = len(left)
    while True:
        await asyncio.sleep(SIGN_OF_LIFE)
        rest = humanize(deadline - time.monotonic())
        context.output.info(f"{len(left)} of {batches(total)} open; {rest} until the time is up")


async def _stop_without_reader() -> None:
    """Raise BrokenPipeError once the reader of stdout has left: nothing may be written for hours."""
    while True:
        await asyncio.sleep(LOOK_FOR_READER)
        check_reader()


def _live(context: Context, stack: ExitStack, refs: list[str]) -> LiveTable | None:
    """Return the table that moves, drawn from events; None if there is no terminal for it."""
    if not context.output.moves:
        return None
    from .live_table import LiveTable  # noqa: PLC0415
    from .table import console  # noqa: PLC0415

    show_log(context.output, table=True)
    screen, takes = console(no_color=context.output.no_color), context.output.selection.takes_batch
    return stack.enter_context(LiveTable(context.output, [*map(BatchRef.parse, refs)], screen, takes))


class Tally:
    """The outcome of each ref so far.

    Args:
        context: The context of the command.
        refs: The followed batches.
        code: Returns the exit code of an outcome; OPEN if the batch is to be followed further.
    """

    def __init__(self, context: Context, refs: Iterable[str], code: Callable[[Outcome], int]) -> None:
        self._context = context
        self.codes = {BatchRef.parse(ref): OPEN for ref in refs}
        self.left = set(self.codes)
        """Those that are followed further."""
        self.last: dict[BatchRef, Outcome] = {}
        self.late: list[WaitError] = []
        """Of those that have not ended in time."""
        self._code = code

    def take(self, outcome: Outcome) -> int | None:
        """Take an outcome in and return its exit code; None if it says nothing new about a followed batch."""
        if isinstance(outcome.error, WaitError):
            self.late.append(outcome.error)
            self.codes[outcome.ref] = code_of(outcome.error)
            return None
        self.last[outcome.ref] = outcome
        if outcome.ref not in self.left:  # it reached the state that was waited for, and goes on
            return None
        code = self.codes[outcome.ref] = self._code(outcome)
        if code != OPEN:
            self.left.discard(outcome.ref)
        return code

    def end_unsettled(self) -> list[Outcome]:
        """Return the batches that have ended, and whose counts were not final in time; they count as timed out.

        Say so for each.
        """
        found = [
            outcome
            for ref in sorted(self.left, key=str)
            if (outcome := self.last.get(ref)) is not None and outcome.batch is not None and outcome.batch.is_terminal
        ]
        self.codes |= {outcome.ref: TIMED_OUT for outcome in found}
        for outcome in found:
            why = outcome.unwrap().problems[0]
            self._context.output.error(f"{outcome.ref}: its counts were not final in time: {why}")
        return found

    def print_how_to_resume(self) -> None:
        """Print the command to type after an interrupt: the same without the refs that have ended."""
        ended = {str(ref) for ref in self.codes.keys() - self.left}
        words = [word for word in self._context.arguments if word not in ended]
        if "-" in words and len(self.left) <= MAX_NAMED:  # stdin is read
            words = [*(word for word in words if word != "-"), *sorted({*map(str, self.left)} - {*words})]
        command = shlex.join(["batchstatus", *words])
        self._context.output.error(f"interrupted; the batches go on, and so can you: {command}")

    def print_open(self) -> None:
        """Print the last state of each batch that has not ended in time."""
        self._context.output.errors(self.late, "batches have not ended in time")
