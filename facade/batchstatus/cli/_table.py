"""What a person sees of batches: a table, a line for each change, a summary."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click
from attrs import frozen
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchstatus import Batch, BatchRef, BatchState, Counts

from ._session import SESSION
from ._time import spoken

if TYPE_CHECKING:
    from batchstatus.store import Change, Tracked

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


@frozen
class Row:
    """What the table says of one batch."""

    ref: BatchRef
    state: BatchState | None
    """None before the first reading."""
    word: str | None
    counts: Counts
    progress: float | None
    remark: str

    @classmethod
    def of_batch(cls, batch: Batch, left: float | None = None) -> Row:
        """Return the row of a reading; `left` are the seconds that the counts predict."""
        remark = problems(batch.counts.failed, [failure.message for failure in batch.failures])
        if batch.state is BatchState.REQUIRES_ACTION:
            remark = "needs approval"
        elif not remark and not batch.is_terminal and left is not None and left > 0:
            remark = f"about {spoken(left)} left"
        return cls(batch.ref, batch.state, batch.vendor_status, batch.counts, batch.progress, remark)

    @classmethod
    def of_tracked(cls, tracked: Tracked) -> Row:
        """Return the row of what is tracked: its labels, or what is wrong."""
        counts, labels = tracked.counts, " ".join(f"{name}={value}" for name, value in tracked.labels.items())
        share = counts.processed / counts.total if counts.total and counts.processed is not None else None
        return cls(tracked.ref, tracked.state, tracked.vendor_status, counts, share, tracked.error or labels)


def problems(failed: int | None, messages: Sequence[str]) -> str:
    """Return how many items failed, and the first message of why."""
    return ": ".join([*([f"{failed} failed"] if failed else []), *messages[:1]])


def console(*, stderr: bool = False) -> Console:
    """Return where to draw, with colours unless they are not wanted."""
    return Console(no_color=SESSION.no_color, stderr=stderr, highlight=False)


def short(ref: BatchRef, most: int) -> str:
    """Return a ref that fits: of a long one the beginning and the end."""
    text = str(ref)
    return text if len(text) <= most else f"{text[: most - 7]}…{text[-6:]}"


def number(counts: Counts, progress: float | None = None) -> str:
    """Return how far a batch is: `50/200`, or `25%`."""
    if counts.total and counts.processed is not None:
        return f"{counts.processed}/{counts.total}"
    return "" if progress is None else f"{progress:.0%}"


def table(rows: Sequence[Row], width: int) -> Table:
    """Return the table of batches; a narrow one leaves the vendor's word out."""
    wide = width >= WIDE
    refs = [short(row.ref, 46 if wide else 26) for row in rows]
    made = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    made.add_column("BATCH", no_wrap=True, min_width=max(map(len, refs), default=0))
    made.add_column("STATE", no_wrap=True, min_width=len("REQUIRES_ACTION"))
    if wide:
        made.add_column("VENDOR'S WORD", no_wrap=True, overflow="ellipsis", max_width=18)
    made.add_column("DONE", no_wrap=True)
    made.add_column("", no_wrap=True, min_width=9, justify="right")
    made.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for ref, row in zip(refs, rows, strict=True):
        style = STYLES[row.state] if row.state else "dim"
        made.add_row(
            Text(ref),
            Text(row.state.name if row.state else "not read yet", style=style),
            *([Text(row.word or "", style="dim")] if wide else []),
            ""
            if row.progress is None
            else ProgressBar(1.0, row.progress, width=12 if wide else 8, complete_style=style),
            Text(number(row.counts, row.progress)),
            Text(row.remark),
        )
    return made


def print_table(rows: Sequence[Row]) -> None:
    """Print the table of batches, if there are any."""
    if rows:
        console().print(table(rows, console().width))


def print_change(change: Change) -> None:
    """Print a change as a line: when, which batch, its state, how far it is, what is wrong."""
    screen, at, said = console(), change.at.astimezone(), change.batch or {}
    state = BatchState(said["state"]) if said else BatchState.FAILED
    most = 46 if screen.width >= WIDE else 26
    when = f"{at:%H:%M:%S}" if at.date() == datetime.now().astimezone().date() else f"{at:%m-%d %H:%M}"
    line = Text(f"{when:<11}  {short(change.ref, most):<{most}}  ")
    line.append(state.name if said else "REFUSED", style=STYLES[state]).append("  ")
    line.pad_right(11 + 2 + most + 2 + len("REQUIRES_ACTION") + 2 - len(line))
    if state is BatchState.REQUIRES_ACTION:
        line.append("needs approval")
    elif said:
        failed, messages = said["counts"]["failed"], [failure["message"] for failure in said["failures"]]
        line.append("  ".join(filter(None, [number(Counts(**said["counts"])), problems(failed, messages)])))
    else:
        line.append(change.error or "")
    if screen.is_terminal:
        screen.print(line, no_wrap=True, overflow="ellipsis")
    else:
        click.echo(line.plain.rstrip())


def summary(batches: Collection[Batch], total: int, rest: float | None = None) -> Text:
    """Return what became of `total` batches, in a line; `rest` are the seconds until the last end, as predicted."""
    ended = [batch for batch in batches if batch.is_terminal]
    bad = sum(batch.state is not BatchState.SUCCEEDED or batch.has_failures for batch in ended)
    waiting = sum(batch.state is BatchState.REQUIRES_ACTION for batch in batches)
    line = Text(f"{len(ended)} of {total} ended", style="bold")
    for many, text, style in (
        (bad, f"{bad} with failures", "bold red"),
        (waiting, f"{waiting} need{'s' if waiting == 1 else ''} approval", STYLES[BatchState.REQUIRES_ACTION]),
    ):
        if many:
            line.append(" · ").append(text, style=style)
    if rest is not None and rest > 0:
        line.append(f" · about {spoken(rest)} left by the counts", style="dim")
    return line


def print_summary(batches: Collection[Batch], total: int) -> None:
    """Print what became of `total` batches, where it is no data."""
    console(stderr=True).print(summary(batches, total))
