"""What a person sees: a table of batches, and how it moves."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchstatus import Batch, BatchRef, BatchState, Event, EventKind

from ._session import SESSION
from ._time import spoken

STYLES = {
    BatchState.PENDING: "dim",
    BatchState.REQUIRES_ACTION: "bold black on yellow",
    BatchState.RUNNING: "cyan",
    BatchState.SUCCEEDED: "green",
    BatchState.FAILED: "bold red",
    BatchState.CANCELLED: "magenta",
    BatchState.UNKNOWN: "bold yellow",
}
WIDE = 110
"""Columns from which on ids are shown whole and remarks have room."""


def print_table(batches: Sequence[Batch], total: int | None) -> None:
    """Print readings as a table, unless a live one shows them already; and below it what became of `total`."""
    if total and console().is_terminal:
        return
    if batches:
        console().print(table([*map(Row, batches)]))
    if total:
        console(stderr=True).print(summary(batches, total))


def console(*, stderr: bool = False) -> Console:
    """Return where to draw, with colours unless they are not wanted."""
    return Console(no_color=SESSION.no_color, stderr=stderr, highlight=False)


class Row:
    """What the table says of one batch."""

    def __init__(self, batch: Batch, remaining: float | None = None, seen_at: float = 0.0) -> None:
        self.batch = batch
        self.ends_at = None if remaining is None else seen_at + remaining

    def cells(self, now: float, *, wide: bool) -> list[Any]:
        """Return the cells of the table; a narrow one leaves the vendor's word out."""
        batch, counts = self.batch, self.batch.counts
        share = batch.progress
        bar = (
            Text("")
            if share is None
            else ProgressBar(total=1.0, completed=share, width=12 if wide else 8, complete_style=STYLES[batch.state])
        )
        number = f"{counts.processed}/{counts.total}" if counts.total and counts.processed is not None else ""
        if share is not None and not number:
            number = f"{share:.0%}"
        word = [Text(batch.vendor_status, style="dim")] if wide else []
        state = Text(batch.state.name, style=STYLES[batch.state])
        return [Text(short(batch.ref, wide=wide)), state, *word, bar, Text(number), Text(self.remark(now))]

    def remark(self, now: float) -> str:
        """Return what a person wants to know besides."""
        batch = self.batch
        if batch.state is BatchState.REQUIRES_ACTION:
            return "needs approval"
        failed = f"{batch.counts.failed} failed" if batch.counts.failed else ""
        first = batch.failures[0].message if batch.failures else ""
        left = f"about {spoken(self.ends_at - now)} left" if self.ends_at and self.ends_at > now else ""
        return ": ".join(filter(None, [failed, first])) or ("" if batch.is_terminal else left)


def short(ref: BatchRef, *, wide: bool) -> str:
    """Return a ref that fits: of a long one the beginning and the end."""
    text, most = str(ref), 46 if wide else 26
    return text if len(text) <= most else f"{text[: most - 7]}…{text[-6:]}"


def table(rows: Sequence[Row], *, now: float = 0.0) -> Table:
    """Return the table of batches."""
    wide = console().width >= WIDE
    made = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    made.add_column("BATCH", no_wrap=True, min_width=max([0, *(len(short(row.batch.ref, wide=wide)) for row in rows)]))
    made.add_column("STATE", no_wrap=True, min_width=len("REQUIRES_ACTION"))
    if wide:
        made.add_column("VENDOR'S WORD", no_wrap=True, overflow="ellipsis", max_width=18)
    made.add_column("DONE", no_wrap=True)
    made.add_column("", no_wrap=True, min_width=9, justify="right")
    made.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        made.add_row(*row.cells(now, wide=wide))
    return made


class LiveTable:
    """A table that follows the events of a client; the batches that want somebody first, the ended ones last."""

    ORDER = (BatchState.REQUIRES_ACTION, BatchState.UNKNOWN, BatchState.RUNNING, BatchState.PENDING)

    def __init__(self, refs: list[BatchRef]) -> None:
        self._console = console()
        self._rows: dict[BatchRef, Row] = {}
        self._errors: dict[BatchRef, str] = {}
        self._refs = refs
        self._live = Live(console=self._console, refresh_per_second=8, get_renderable=self.draw, transient=False)

    def note(self, event: Event) -> None:
        """Take an event in."""
        if event.batch is not None and event.kind in {EventKind.READ, EventKind.DONE}:
            self._rows[event.ref] = Row(event.batch, event.remaining, time.monotonic())
            self._errors.pop(event.ref, None)
        elif event.error is not None and event.kind in {EventKind.READ, EventKind.DONE}:
            self._errors[event.ref] = f"{type(event.error).__name__}: {event.error}"

    def draw(self) -> Group:
        """Return the picture of now, as tall as the terminal."""
        now, rows = time.monotonic(), sorted(self._rows.values(), key=self._urgency)
        room = max(self._console.height - 6, 3)
        hidden = len(rows) - room
        parts: list[Any] = [table(rows[:room], now=now)]
        if hidden > 0:
            parts.append(Text(f"… and {hidden} more", style="dim"))
        parts += [Text(error, style="red", no_wrap=True, overflow="ellipsis") for error in [*self._errors.values()][:2]]
        return Group(*parts, Text(""), self.summary(now))

    def _urgency(self, row: Row) -> tuple[int, str]:
        state = row.batch.state
        return self.ORDER.index(state) if state in self.ORDER else len(self.ORDER), str(row.batch.ref)

    def summary(self, now: float) -> Text:
        """Return a line: what is done, what is left, what needs somebody, and when the last one ends."""
        return summary([row.batch for row in self._rows.values()], len(self._refs), self._last_end(now))

    def _last_end(self, now: float) -> float | None:
        ends = [row.ends_at for row in self._rows.values() if row.ends_at and not row.batch.is_terminal]
        return max(ends) - now if ends else None

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        sys.stdout.flush()


def summary(batches: Collection[Batch], total: int, rest: float | None = None) -> Text:
    """Return what became of batches, in a line."""
    ended = [batch for batch in batches if batch.is_terminal]
    bad = sum(batch.state is not BatchState.SUCCEEDED or batch.has_failures for batch in ended)
    waiting = sum(batch.state is BatchState.REQUIRES_ACTION for batch in batches)
    line = Text(f"{len(ended)} of {total} ended", style="bold")
    for number, text, style in (
        (bad, f"{bad} with failures", "bold red"),
        (waiting, f"{waiting} need{'s' if waiting == 1 else ''} approval", STYLES[BatchState.REQUIRES_ACTION]),
    ):
        if number:
            line.append(" · ").append(text, style=style)
    if rest is not None and rest > 0:
        line.append(f" · about {spoken(rest)} left by the counts", style="dim")
    return line
