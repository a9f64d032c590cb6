"""Batches for people: a table, a line for each change, a summary."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click
from attrs import frozen
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batchstatus import Batch, BatchRef, BatchState, Counts, printable

from .params import humanize

if TYPE_CHECKING:
    from batchstatus.service import Change, Tracked

STYLES = {
    BatchState.PENDING: "dim",
    BatchState.REQUIRES_ACTION: "bold black on yellow",
    BatchState.RUNNING: "cyan",
    BatchState.SUCCEEDED: "green",
    BatchState.FAILED: "bold red",
    BatchState.CANCELLED: "magenta",
    BatchState.UNKNOWN: "bold yellow",
}
NOT_READ = "not read yet"
MAX_FAILED_BATCHES, MAX_MESSAGES = 20, 3
"""How many batches with failures are named after all, and how many messages of each."""
MAX_DRAWN = 1_000
"""Rows that are drawn by rich, at 0.93 ms each; more are written as plain lines with the same columns."""
WIDE = 118
"""Columns from which on ids are shown whole and remarks have room."""


@frozen
class Row:
    """One row of the table."""

    ref: BatchRef
    state: str
    style: str
    word: str
    """The vendor's own."""
    counts: Counts
    progress: float | None
    remark: str

    @classmethod
    def of_batch(cls, batch: Batch, left: float | None = None) -> Row:
        """Return the row of a reading; `left` are the seconds that the counts predict."""
        remark = remark_on(batch.state, batch.counts.failed, [failure.message for failure in batch.failures])
        if not remark and not batch.has_ended and left is not None and left > 0:
            remark = f"{humanize(left)} left"
        return cls(
            batch.ref, batch.state.name, STYLES[batch.state], batch.vendor_status, batch.counts, batch.progress, remark
        )

    @classmethod
    def of_tracked(cls, tracked: Tracked) -> Row:
        """Return the row of a tracked batch, with its error and its labels."""
        state, counts = tracked.state, tracked.counts
        lost = tracked.lost_since is not None
        name = "LOST" if lost else state.name if state else NOT_READ
        style = STYLES[BatchState.UNKNOWN] if lost else STYLES[state] if state else "dim"
        share = counts.processed / counts.total if counts.total and counts.processed is not None else None
        labels = " ".join(f"{name}={value}" for name, value in tracked.labels.items())
        remark = "  ".join(filter(None, [tracked.error or remark_on(state, counts.failed, []), labels]))
        return cls(tracked.ref, name, style, tracked.vendor_status or "", counts, share, remark)

    @classmethod
    def of_unread(cls, ref: BatchRef) -> Row:
        """Return the row of a batch that was not read yet."""
        return cls(ref, NOT_READ, "dim", "", Counts(), None, "")


def remark_on(state: BatchState | None, failed: int | None, messages: Sequence[str]) -> str:
    """Return the remark on a batch: that it needs approval, or how many items failed and why the first did."""
    if state is BatchState.REQUIRES_ACTION:
        return "needs approval"
    return ": ".join([*([f"{failed} failed"] if failed else []), *messages[:1]])


def console(*, no_color: bool, stderr: bool = False) -> Console:
    """Return the console, in colour unless that is turned off; anything but a terminal has room for every column."""
    drawn = Console(no_color=no_color, stderr=stderr, highlight=False)
    if not drawn.is_terminal and "COLUMNS" not in os.environ:
        drawn.width = 200
    elif drawn.width < 1:
        drawn.width = 80  # set only here: a width that is set does not follow a resized terminal
    return drawn


def short(ref: BatchRef, most: int) -> str:
    """Return a ref that fits: of a long one the beginning and the end."""
    text = str(ref)
    return text if len(text) <= most else f"{text[: most - 7]}…{text[-6:]}"


def number(counts: Counts, progress: float | None = None) -> str:
    """Return how far a batch is: `50/200`, or `25%`."""
    if counts.total and counts.processed is not None:
        return f"{counts.processed}/{counts.total}"
    return "" if progress is None else f"{progress:.0%}"


def table(rows: Sequence[Row], screen: Console) -> Table:
    """Return the table of batches; a narrow one leaves the vendor's word out."""
    wide = screen.width >= WIDE
    refs = [short(row.ref, 46 if wide else 26) for row in rows]
    made = Table(box=None, expand=screen.is_terminal, padding=(0, 1), pad_edge=False, header_style="bold")
    made.add_column("BATCH", no_wrap=True, min_width=max(map(len, refs), default=0))
    made.add_column("STATE", no_wrap=True, min_width=len("REQUIRES_ACTION"))
    if wide:
        made.add_column("VENDOR'S WORD", no_wrap=True, overflow="ellipsis", max_width=14)
    made.add_column("DONE", no_wrap=True, min_width=12 if wide else 8)
    made.add_column("", no_wrap=True, min_width=9, justify="right")
    made.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for ref, row in zip(refs, rows, strict=True):
        made.add_row(
            Text(ref),
            Text(row.state, style=row.style),
            *([Text(printable(row.word), style="dim")] if wide else []),
            ""
            if row.progress is None
            else ProgressBar(1.0, row.progress, width=12 if wide else 8, complete_style=row.style),
            Text(number(row.counts, row.progress)),
            Text(printable(row.remark)),
        )
    return made


def print_table(rows: Sequence[Row], *, no_color: bool) -> None:
    """Print the table of batches, if there are any: very many as plain lines, which are cut nowhere."""
    if len(rows) > MAX_DRAWN:
        click.echo("".join(plain_lines(rows)), nl=False)
    elif rows:
        screen = console(no_color=no_color)
        screen.print(table(rows, screen))


def plain_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table, its head first."""
    refs = [str(row.ref) for row in rows]
    numbers = [number(row.counts, row.progress) for row in rows]
    widest, count = min(max(map(len, refs), default=0), 46), max(9, *map(len, numbers))
    word = "VENDOR'S WORD"
    yield f"{'BATCH':<{widest}}  {'STATE':<15}  {word:<14}  DONE\n"
    for ref, done, row in zip(refs, numbers, rows, strict=True):
        bar = "━" * int(12 * (row.progress or 0.0))
        line = f"{ref:<{widest}}  {row.state:<15}  {printable(row.word):<14}  {bar:<12}  {done:>{count}}"
        yield f"{line}  {printable(row.remark)}".rstrip() + "\n"


def print_failures(batches: Collection[Batch], *, no_color: bool) -> None:
    """Print to stderr why batches ended badly, each message once for each batch."""
    bad = [batch for batch in batches if batch.has_ended and batch.failures]
    screen = console(no_color=no_color, stderr=True)
    for batch in bad[:MAX_FAILED_BATCHES]:
        messages = Counter(failure.message for failure in batch.failures).most_common()
        texts = [f"{many} x {message}" if many > 1 else message for message, many in messages[:MAX_MESSAGES]]
        more = [f"and {len(messages) - MAX_MESSAGES} other messages"] if len(messages) > MAX_MESSAGES else []
        line = Text(f"{batch.ref}: ", style="red").append(printable("; ".join([*texts, *more])), style="default")
        screen.print(line, soft_wrap=True)
    if len(bad) > MAX_FAILED_BATCHES:
        screen.print(Text(f"… and {len(bad) - MAX_FAILED_BATCHES} more with failures", style="dim"))


def print_change(change: Change, *, no_color: bool) -> None:
    """Print a change as a line: its time, batch, state, progress and error."""
    screen, at, batch = console(no_color=no_color), change.at.astimezone(), change.batch
    most = 46 if screen.width >= WIDE else 26
    when = f"{at:%H:%M:%S}" if at.date() == datetime.now().astimezone().date() else f"{at:%m-%d %H:%M}"
    line = Text(f"{when:<11}  {short(change.ref, most):<{most}}  ")
    if batch is None:
        line.append("LOST             ", style=STYLES[BatchState.UNKNOWN])
        rest = change.error or ""
    else:
        state, counts = BatchState(batch["state"]), Counts(**batch["counts"])
        line.append(state.name, style=STYLES[state]).append(" " * (len("REQUIRES_ACTION") + 2 - len(state.name)))
        messages = [failure["message"] for failure in batch["failures"]]
        rest = "  ".join(filter(None, [number(counts), remark_on(state, counts.failed, messages)]))
    line.append(printable(rest))
    if screen.is_terminal:
        screen.print(line, no_wrap=True, overflow="ellipsis")
    else:
        click.echo(line.plain.rstrip())


def summary(batches: Collection[Batch], total: int, *, errors: int = 0, rest: float | None = None) -> Text:
    """Return a line that sums up `total` batches.

    Args:
        batches: Those that were read.
        total: How many there are.
        errors: How many of them could not be read.
        rest: Seconds until the last end, as the counts predict.
    """
    ended = [batch for batch in batches if batch.has_ended]
    partly = sum(batch.state is BatchState.SUCCEEDED and batch.has_failures for batch in ended)
    bad = sum(batch.state is not BatchState.SUCCEEDED for batch in ended)
    waiting = sum(batch.state is BatchState.REQUIRES_ACTION for batch in batches)
    line = Text(f"{len(ended)} of {total} ended", style="bold")
    for many, text, style in (
        (bad, f"{bad} failed or cancelled", STYLES[BatchState.FAILED]),
        (partly, f"{partly} with failed items", STYLES[BatchState.FAILED]),
        (waiting, f"{waiting} need{'s' if waiting == 1 else ''} approval", STYLES[BatchState.REQUIRES_ACTION]),
        (errors, f"{errors} could not be read", STYLES[BatchState.UNKNOWN]),
    ):
        if many:
            line.append(" · ").append(text, style=style)
    if rest is not None and rest > 0:
        line.append(f" · about {humanize(rest)} left by the counts", style="dim")
    return line


def print_summary(batches: Collection[Batch], total: int, *, errors: int, no_color: bool) -> None:
    """Print the summary of `total` batches to stderr."""
    console(no_color=no_color, stderr=True).print(summary(batches, total, errors=errors))
