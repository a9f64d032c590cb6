"""A table that moves."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from batchstatus import Batch, BatchRef, BatchState, Event, EventKind, WaitError, printable

from .output import Output
from .table import Row, summary, table

MAX_ERRORS = 2
ORDER = (BatchState.REQUIRES_ACTION, BatchState.UNKNOWN, BatchState.RUNNING, BatchState.PENDING)
"""Sort order: needs action, unread, running, pending, ended."""


class LiveTable:
    """A table that follows the events of a client."""

    def __init__(self, output: Output, refs: Sequence[BatchRef], screen: Console) -> None:
        self._output = output
        self._refs = refs
        self._screen = screen
        self._batches: dict[BatchRef, Batch] = {}
        self._ends: dict[BatchRef, float] = {}
        """When each ends, as its counts predict."""
        self._errors: dict[BatchRef, str] = {}
        """Why the last attempt failed, of those that are read again."""
        self._given_up: set[BatchRef] = set()
        """Those that are given up; the user was told why."""
        often = max(0.5, min(8.0, 4_000 / max(len(refs), 1)))
        self._live = Live(console=screen, refresh_per_second=often, get_renderable=self.draw, transient=False)

    def note(self, event: Event) -> None:
        """Take an event in."""
        if event.kind not in {EventKind.ATTEMPT, EventKind.DONE}:
            return
        if event.batch is not None:
            self._batches[event.ref] = event.batch
            self._errors.pop(event.ref, None)
            self._ends.pop(event.ref, None)
            if event.remaining is not None and not event.batch.has_ended:
                self._ends[event.ref] = time.monotonic() + event.remaining
        elif event.kind is EventKind.DONE and not isinstance(event.error, WaitError):
            self._errors.pop(event.ref, None)
            self._given_up.add(event.ref)
        elif event.error is not None and event.kind is EventKind.ATTEMPT:
            self._errors[event.ref] = f"{type(event.error).__name__}: {event.error}"

    def draw(self) -> Group:
        """Return the table of now, as tall as the terminal."""
        now, batches = time.monotonic(), sorted(self._batches.values(), key=_urgency)
        last_open = sum(not batch.has_ended for batch in batches)
        room = max(self._screen.height - 7, 3)
        rows = [Row.of_batch(batch, self._left(batch.ref, now)) for batch in batches[:room]]
        unread = (ref for ref in self._refs if ref not in self._batches and ref not in self._given_up)
        rows[last_open:last_open] = [Row.of_unread(ref) for ref in itertools.islice(unread, max(room - last_open, 0))]
        parts: list[Any] = [table(rows[:room], self._screen)]
        if (hidden := len(self._refs) - len(self._given_up) - room) > 0:
            parts.append(Text(f"… and {hidden} more", style="dim"))
        errors = [*self._errors.values()]
        parts += [
            Text(printable(error), style="red", no_wrap=True, overflow="ellipsis") for error in errors[:MAX_ERRORS]
        ]
        if len(errors) > MAX_ERRORS:
            parts.append(Text(f"… and {len(errors) - MAX_ERRORS} more that cannot be read", style="dim"))
        last = max(self._ends.values()) - now if self._ends else None
        return Group(*parts, Text(""), summary(batches, len(self._refs), errors=len(self._given_up), rest=last))

    def _left(self, ref: BatchRef, now: float) -> float | None:
        return self._ends[ref] - now if ref in self._ends else None

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        if sys.stderr.isatty():
            self._output.above = lambda text: self._screen.print(Text(text), soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._output.above = None
        self._live.stop()
        sys.stdout.flush()


def _urgency(batch: Batch) -> tuple[int, str]:
    return ORDER.index(batch.state) if batch.state in ORDER else len(ORDER), str(batch.ref)
