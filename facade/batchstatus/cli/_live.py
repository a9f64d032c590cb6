"""The table that moves."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from batchstatus import Batch, BatchRef, BatchState, Event, EventKind

from ._table import Row, summary, table

ORDER = (BatchState.REQUIRES_ACTION, BatchState.UNKNOWN, BatchState.RUNNING, BatchState.PENDING)
"""The batches that want somebody come first, the ended ones last."""


class LiveTable:
    """A table that follows the events of a client."""

    def __init__(self, total: int, screen: Console) -> None:
        self._total = total
        self._screen = screen
        self._batches: dict[BatchRef, Batch] = {}
        self._ends: dict[BatchRef, float] = {}
        """When the counts predict the end."""
        self._errors: dict[BatchRef, str] = {}
        often = max(0.5, min(8.0, 4_000 / max(total, 1)))
        self._live = Live(console=screen, refresh_per_second=often, get_renderable=self.draw, transient=False)

    def note(self, event: Event) -> None:
        """Take an event in."""
        if event.kind not in {EventKind.READ, EventKind.DONE}:
            return
        if event.batch is not None:
            self._batches[event.ref] = event.batch
            self._errors.pop(event.ref, None)
            self._ends.pop(event.ref, None)
            if event.remaining is not None and not event.batch.is_terminal:
                self._ends[event.ref] = time.monotonic() + event.remaining
        elif event.error is not None:
            self._errors[event.ref] = f"{type(event.error).__name__}: {event.error}"

    def draw(self) -> Group:
        """Return the picture of now, as tall as the terminal."""
        now, batches = time.monotonic(), sorted(self._batches.values(), key=_urgency)
        room = max(self._screen.height - 6, 3)
        rows = [Row.of_batch(batch, self._left(batch.ref, now)) for batch in batches[:room]]
        parts: list[Any] = [table(rows, self._screen.width)]
        if len(batches) > room:
            parts.append(Text(f"… and {len(batches) - room} more", style="dim"))
        parts += [Text(error, style="red", no_wrap=True, overflow="ellipsis") for error in [*self._errors.values()][:2]]
        last = max(self._ends.values()) - now if self._ends else None
        return Group(*parts, Text(""), summary(batches, self._total, last))

    def _left(self, ref: BatchRef, now: float) -> float | None:
        return self._ends[ref] - now if ref in self._ends else None

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        sys.stdout.flush()


def _urgency(batch: Batch) -> tuple[int, str]:
    return ORDER.index(batch.state) if batch.state in ORDER else len(ORDER), str(batch.ref)
