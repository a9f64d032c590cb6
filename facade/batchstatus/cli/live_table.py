"""A table that moves: it is drawn over itself, at the bottom of a terminal."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from batchstatus import Batch, BatchRef, BatchState, Event, EventKind, WaitError, printable

from .output import Output
from .params import humanize
from .signals import on_resize, on_suspend
from .summary import Totals, summary
from .table import HEAD, Row, Table, Widths, cells, folded

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
INTERVAL = 1.0
"""Seconds between two drawings, at least."""
MAX_ERRORS = 2
MAX_AT_END = 1_000
"""Of more batches than these the end shows no more than the terminal has room for, as before."""
ORDER = (BatchState.REQUIRES_ACTION, BatchState.UNKNOWN, BatchState.RUNNING, BatchState.PENDING, None)
"""Sort order: needs action, unknown, running, pending, not read yet; the ended ones come last."""
PREDICTED = {BatchState.PENDING, BatchState.RUNNING, BatchState.UNKNOWN}
"""States of batches that end by themselves."""


class Frame:
    """Lines at the bottom of a terminal, which are drawn over those before."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._drawn: list[Text] = []
        """The lines above the cursor, the last one with the cursor at its end."""

    def draw(self, lines: list[Text]) -> None:
        """Draw lines over those that were drawn before, unless they are the same."""
        if lines != self._drawn:
            self._write(HIDE_CURSOR + self._back(), lines)
            self._drawn = lines

    def print_above(self, text: str) -> None:
        """Print a message, with the lines below it again."""
        back, lines, self._drawn = self._back(), self._drawn, []
        self._write(back, [Text(text)], end="\n")
        if lines:
            self.draw(lines)

    def leave(self) -> None:
        """Leave the lines as they are, with the cursor below them; the next ones are drawn there."""
        if self._drawn:
            self._write("\n" + SHOW_CURSOR, [])
        self._drawn = []

    def _back(self) -> str:
        """Return the controls that erase the lines.

        A terminal that has become narrower shows a line in several; which is why the width is that of now.
        """
        if not self._drawn:
            return ""
        rows = sum(max(1, math.ceil(cells(line.plain) / self._screen.width)) for line in self._drawn)
        return (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\r\x1b[J"

    def _write(self, controls: str, lines: Iterable[Text], end: str = "") -> None:
        """Write all at once, so that nothing is seen half drawn."""
        with self._screen.capture() as captured:
            for line in lines:
                self._screen.print(line, soft_wrap=True)
        self._screen.file.write(controls + captured.get().removesuffix("\n") + end)
        self._screen.file.flush()


class LiveTable:
    """A table that follows the events of a client.

    Args:
        output: Prints its messages above the table.
        refs: All batches.
        screen: A terminal.
        takes: Whether a batch has a row, once it is read; default: all have, unread ones too.
    """

    def __init__(
        self, output: Output, refs: Sequence[BatchRef], screen: Console, takes: Callable[[Batch], bool] | None = None
    ) -> None:
        self._output = output
        self._screen = screen
        self._takes = takes
        self._frame = Frame(screen)
        self._table = Table(screen, Widths.usual())
        self._place = {ref: number for number, ref in enumerate(refs)}
        self._batches: dict[BatchRef, Batch] = {}
        self._rows: dict[BatchState | None, dict[BatchRef, None]] = {state: {} for state in (*ORDER, *BatchState)}
        """The refs that have rows, by state, so that a drawing takes as long for 100,000 batches as for 100."""
        self._rows[None] = dict.fromkeys(refs if takes is None else ())
        self._totals = Totals()
        self._ends: dict[BatchRef, float] = {}
        """When each ends, as its counts or other batches predict."""
        self._errors: dict[BatchRef, str] = {}
        """Why the last attempt failed, of those that are read again."""
        self._given_up: set[BatchRef] = set()
        """Those that are given up; the user was told why."""
        self._changed = asyncio.Event()

    def note(self, event: Event) -> None:
        """Take an event in."""
        if event.kind not in {EventKind.ATTEMPT, EventKind.DONE}:
            return
        ref = event.ref
        if event.batch is not None:
            self._take(event.batch)
            self._errors.pop(ref, None)
            self._ends.pop(ref, None)
            if event.remaining is not None and event.batch.state in PREDICTED:
                self._ends[ref] = time.monotonic() + event.remaining
        elif event.kind is EventKind.DONE and not isinstance(event.error, WaitError):
            self._errors.pop(ref, None)
            self._ends.pop(ref, None)
            self._given_up.add(ref)
            self._rows[None].pop(ref, None)
        elif event.error is not None and event.kind is EventKind.ATTEMPT:
            self._errors[ref] = f"{type(event.error).__name__}: {event.error}"
        self._changed.set()

    def _take(self, batch: Batch) -> None:
        before = self._batches.get(batch.ref)
        if before is not None:
            self._totals.add(before, -1)
        self._totals.add(batch)
        self._batches[batch.ref] = batch
        state_before = None if before is None else before.state
        if self._takes is not None and not self._takes(batch):
            self._rows[state_before].pop(batch.ref, None)
        elif batch.ref not in self._rows[batch.state]:
            self._rows[state_before].pop(batch.ref, None)
            self._rows[batch.state][batch.ref] = None

    async def run(self) -> None:
        """Draw the table when it changes, and at most once a second."""
        while True:
            self.draw()
            self._changed.clear()
            await asyncio.sleep(INTERVAL)
            with suppress(TimeoutError):  # the time left changes by itself
                await asyncio.wait_for(self._changed.wait(), INTERVAL if self._ends else None)

    def draw(self) -> None:
        """Draw the table of now, unless the shell has put this process in the background."""
        if _is_in_foreground(self._screen):
            self._frame.draw([*self._lines(self._screen.height - 1)])

    def _lines(self, room: int | None) -> list[Text]:
        """Return the table as lines; at most so many."""
        now = time.monotonic()
        below = [*self._below(now)]
        most = None if room is None else max(room - len(below) - 1, 3)
        refs = [*self._first(most)]
        lines = [*self._table.lines([HEAD, *(self._row(ref, now) for ref in refs)])]
        hidden = sum(map(len, self._rows.values())) - len(refs)
        if most is not None and len(lines) > most:
            lines, hidden = self._cut(refs, most, now, hidden)
        if hidden:
            lines.append(Text(f"… and {hidden} more", style="dim"))
        return [*lines, *below][0 if room is None else -max(room, 1) :]

    def _cut(self, refs: list[BatchRef], most: int, now: float, hidden: int) -> tuple[list[Text], int]:
        """Return the lines of the rows that have room, and how many batches have none."""
        lines = [*self._table.lines([HEAD])]
        for number, ref in enumerate(refs):
            row = [*self._table.lines([self._row(ref, now)])]
            if len(lines) + len(row) > most:
                return lines, hidden + len(refs) - number
            lines += row
        return lines, hidden

    def _below(self, now: float) -> Iterator[Text]:
        """Yield the lines below the rows: errors and the summary."""
        for error in itertools.islice(self._errors.values(), MAX_ERRORS):
            line = Text(printable(error), style="red")
            line.truncate(self._screen.width, overflow="ellipsis")
            yield line
        if len(self._errors) > MAX_ERRORS:
            yield Text(f"… and {len(self._errors) - MAX_ERRORS} more that cannot be read", style="dim")
        yield Text("")
        total, given_up = len(self._place), len(self._given_up)
        left = time_left([end - now for end in self._ends.values()], total - given_up - self._totals.ended)
        yield from folded(summary(self._totals, total, errors=given_up, left=left), self._screen)

    def _first(self, number: int | None) -> list[BatchRef]:
        """Return the refs of the first rows; those of one state in the order in which they were given."""
        found: list[BatchRef] = []
        ended = [
            ref for state in BatchState if state.is_terminal for ref in itertools.islice(self._rows[state], number)
        ]
        for refs in (*(self._rows[state] for state in ORDER), ended):
            left = None if number is None else number - len(found)
            found += sorted(itertools.islice(refs, left), key=self._place.__getitem__)
        return found

    def _row(self, ref: BatchRef, now: float) -> Row:
        batch = self._batches.get(ref)
        if batch is None:
            return Row.of_unread(ref)
        return Row.of_batch(batch, self._ends[ref] - now if ref in self._ends else None)

    def _after_stop(self) -> None:
        """Draw again below whatever the shell has printed meanwhile."""
        self._frame.leave()
        self.draw()

    def __enter__(self) -> Self:
        on_resize(self.draw)
        on_suspend(self._frame.leave, self._after_stop)
        if sys.stderr.isatty():
            self._output.above = self._frame.print_above
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._output.above = None
        with suppress(OSError):  # the terminal may be gone
            self._frame.draw(self._lines(None if len(self._place) <= MAX_AT_END else self._screen.height - 1))
            self._frame.leave()


def time_left(rests: Sequence[float], number: int) -> str:
    """Return how long it takes until all are at their ends, or that this cannot be known.

    Args:
        rests: Seconds until the end of each open batch of which they are known.
        number: How many batches are open.
    """
    if not number:
        return ""
    if not rests:
        return "time left unknown"
    last = max(rests)
    rest = f"about {humanize(last)} left" if last >= 1 else "about to end"
    return rest if len(rests) >= number else f"{rest} for {len(rests)} of {number}, the rest unknown"


def _is_in_foreground(screen: Console) -> bool:
    """Return whether the terminal is this process's to draw on."""
    try:
        return os.tcgetpgrp(screen.file.fileno()) == os.getpgrp()
    except (AttributeError, OSError):  # Windows, or a terminal that is not the controlling one
        return True
