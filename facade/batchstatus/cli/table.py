"""Batches for people: the rows and the columns of a table, and a line for each change."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from attrs import define, evolve, field, frozen
from rich.cells import cell_len, set_cell_size
from rich.console import Console
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
COLOURS = {STYLES[BatchState.REQUIRES_ACTION]: "yellow"}
"""Styles of bars, if they are not the state's: one with a background would look full."""
NOT_READ = "not read yet"
GAP = "  "
BAR, SHORTEST_BAR = 12, 6
"""Columns of a bar; it is left out rather than shorter than the second."""
WORD, LONGEST_WORD = 14, 80
"""Columns of the vendor's word on a terminal, unless all else leaves room for more, and off one: there a longer one
shifts the rest of its own line, since a vendor that sends a megabyte would widen every line by that."""
REMARK, SHORTEST_REMARK = 30, 8
"""Columns of a remark on a terminal: those that it has before the vendor's word has any, and the fewest."""


@frozen(kw_only=True)
class Row:
    """One row of the table."""

    time: str = ""
    ref: str
    state: str
    style: str
    word: str = field(default="", converter=printable)
    """The vendor's own."""
    progress: float | None = None
    done: str = ""
    done_width: int = 0
    """Columns that `done` has at the end, when all is done."""
    remark: str = field(default="", converter=printable)

    @classmethod
    def of_batch(cls, batch: Batch, left: float | None = None) -> Row:
        """Return the row of a reading; `left` are the seconds that the counts predict."""
        remark = remark_on(batch.state, batch.counts.failed, [failure.message for failure in batch.failures])
        if not remark and batch.state is BatchState.UNKNOWN:
            remark = f"unknown status {batch.vendor_status}"
        if not remark and not batch.has_ended and left is not None and left > 0:
            remark = f"{humanize(left)} left"
        return cls(
            ref=str(batch.ref),
            state=batch.state.name,
            style=STYLES[batch.state],
            word=batch.vendor_status,
            progress=batch.progress,
            remark=remark,
            **done(batch.counts, batch.progress),
        )

    @classmethod
    def of_tracked(cls, tracked: Tracked) -> Row:
        """Return the row of a tracked batch, with its labels, and its error, which may be long."""
        state, counts = tracked.state, tracked.counts
        lost = tracked.lost_since is not None
        labels = " ".join(f"{name}={value}" for name, value in tracked.labels.items())
        return cls(
            ref=str(tracked.ref),
            state="LOST" if lost else state.name if state else NOT_READ,
            style=STYLES[BatchState.UNKNOWN] if lost else STYLES[state] if state else "dim",
            word=tracked.vendor_status or "",
            progress=counts.processed / counts.total if counts.total and counts.processed is not None else None,
            remark=GAP.join(filter(None, [labels, tracked.error or remark_on(state, counts.failed, [])])),
            **done(counts),
        )

    @classmethod
    def of_unread(cls, ref: BatchRef) -> Row:
        """Return the row of a batch that was not read yet."""
        return cls(ref=str(ref), state=NOT_READ, style="dim")

    @classmethod
    def of_change(cls, change: Change) -> Row:
        """Return the row of a change: its time, batch, state, counts and error."""
        at, ref, batch = change.at.astimezone(), str(change.ref), change.batch
        time = f"{at:%H:%M:%S}" if at.date() == datetime.now().astimezone().date() else f"{at:%Y-%m-%d %H:%M:%S}"
        if batch is None:
            return cls(time=time, ref=ref, state="LOST", style=STYLES[BatchState.UNKNOWN], remark=change.error or "")
        state, counts = BatchState(batch["state"]), Counts(**batch["counts"])
        remark = remark_on(state, counts.failed, [failure["message"] for failure in batch["failures"] or ()])
        return cls(time=time, ref=ref, state=state.name, style=STYLES[state], remark=remark, **done(counts))


HEAD = Row(ref="BATCH", state="STATE", style="bold", word="VENDOR'S WORD", done="DONE")


def remark_on(state: BatchState | None, failed: int | None, messages: Sequence[str]) -> str:
    """Return the remark on a batch: that it needs approval, or how many items failed and why the first did."""
    if state is BatchState.REQUIRES_ACTION:
        return "needs approval"
    return ": ".join([*([f"{failed} failed"] if failed else []), *messages[:1]])


def done(counts: Counts, progress: float | None = None) -> dict[str, Any]:
    """Return how far a batch is, `50/200` or `25%`, and the columns that it takes at the end."""
    if counts.total and counts.processed is not None:
        return {"done": f"{counts.processed}/{counts.total}", "done_width": 2 * len(str(counts.total)) + 1}
    return {} if progress is None else {"done": f"{progress:.0%}", "done_width": len("100%")}


@define
class Widths:
    """The widths of a table's columns, in characters of a terminal; 0 leaves a column out."""

    time: int = 0
    ref: int = 0
    state: int = 0
    word: int = 0
    bar: int = 0
    done: int = 0
    remark: int = 0

    @classmethod
    def usual(cls) -> Widths:
        """Return the widths that most rows need, so that few of those that come later widen a column."""
        return cls(state=len("REQUIRES_ACTION"), done=len("100/1000"))

    def take(self, row: Row) -> None:
        """Make each column as wide as its content in a row; the head makes no column of its own."""
        if row is HEAD:
            self.word = max(self.word, len(row.word)) if self.word else 0
            self.done = max(self.done, len(row.done)) if self.done else 0
            return
        self.time = max(self.time, len(row.time))
        self.ref = max(self.ref, cells(row.ref) or bool(row.ref))
        self.state = max(self.state, len(row.state))
        self.word = max(self.word, cells(row.word) or bool(row.word))  # one that takes no column has one all the same
        self.bar = BAR if row.progress is not None else self.bar
        self.done = max(self.done, len(row.done), row.done_width)
        self.remark = max(self.remark, cells(row.remark))

    def fit(self, width: int) -> tuple[Widths, bool]:
        """Return the widths on a terminal, and whether each ref has a line of its own.

        The remark gives way first, then the bar; ref, state and counts never do.
        """
        needed = _sum(self.time, self.ref, self.state, self.done)
        is_stacked = needed > width
        if is_stacked:
            needed = len(GAP) + _sum(self.state, self.done)
        bar = min(self.bar, width - needed - len(GAP))
        bar = bar if bar >= SHORTEST_BAR else 0
        needed = _sum(needed, bar)
        word, least = min(self.word, WORD), min(self.remark, REMARK)
        word = word if _sum(needed, word, least) <= width else 0
        remark = min(self.remark, width - _sum(needed, word) - len(GAP))
        remark = remark if remark >= min(SHORTEST_REMARK, self.remark) else 0
        word = min(self.word, width - _sum(needed, remark) - len(GAP)) if word else 0
        return Widths(self.time, self.ref, self.state, word, bar, self.done, remark), is_stacked


def _sum(*widths: int) -> int:
    """Return the width of columns with gaps between them."""
    return sum(width + len(GAP) for width in widths if width > 0) - len(GAP)


class Table:
    """Lays rows out in columns, which later rows widen.

    Off a terminal a line is as long as its content; on one, no line is longer than the terminal is wide.

    Args:
        screen: The console of stdout.
        widths: The least widths of the columns, if rows come one after the other.
    """

    def __init__(self, screen: Console, widths: Widths | None = None) -> None:
        self._screen = screen
        self._widths = widths or Widths()
        self._full, self._empty, self._ellipsis = "█░…" if screen.encoding.startswith("utf") else "#.~"

    def lines(self, rows: Iterable[Row]) -> Iterator[Text]:
        """Yield the lines of rows."""
        rows, widths, is_stacked = [*rows], self._widths, False
        for row in sorted(rows, key=lambda row: row is HEAD):
            widths.take(row)
        width = terminal_width(self._screen)
        if width is None:
            widths = evolve(widths, word=min(widths.word, LONGEST_WORD), remark=sys.maxsize)
        else:
            widths, is_stacked = widths.fit(width)
        for row in rows:
            first = [
                self._column(row.time, "", widths.time),
                self._column(row.ref, row.style if row is HEAD else "", widths.ref),
            ]
            rest = [
                self._column(row.state, row.style, widths.state),
                self._column(row.word, row.style if row is HEAD else "dim", widths.word),
                self._bar(row, widths.bar),
                [(row.done.rjust(widths.done), row.style if row is HEAD else "")] if widths.done else [],
                [(self._cut(row.remark, widths.remark), "")] if widths.remark else [],
            ]
            for columns in (first, [[("", "")], *rest]) if is_stacked else ([*first, *rest],):
                yield from folded(_joined(columns), self._screen)

    def _column(self, text: str, style: str, width: int) -> list[tuple[str, str]]:
        """Return a text in a column."""
        if not width:
            return []
        text = self._cut(text, width) if terminal_width(self._screen) else text
        return [(text, style), (" " * (width - cells(text)), "")]

    def _cut(self, text: str, width: int) -> str:
        """Return a text that has room; one that is too long ends with an ellipsis."""
        return text if cells(text) <= width else set_cell_size(text, width - 1).rstrip() + self._ellipsis

    def _bar(self, row: Row, width: int) -> list[tuple[str, str]]:
        """Return a bar in the colour of the state; its rest is of another character, so that it needs no colour."""
        if not width:
            return []
        if row.progress is None:
            return [(" " * width, "")]
        full = int(min(max(row.progress, 0.0), 1.0) * width + 1e-9)
        return [(self._full * full, COLOURS.get(row.style, row.style)), (self._empty * (width - full), "dim")]


def cells(text: str) -> int:
    """Return the columns that a text takes on a terminal: two for a character of full width."""
    return len(text) if text.isascii() else cell_len(text)


def _joined(columns: Iterable[list[tuple[str, str]]]) -> Text:
    """Return columns as a line that does not end in blanks."""
    first, *others = (column for column in columns if column)
    line = Text().append_tokens([*first, *(token for column in others for token in ((GAP, ""), *column))])
    line.rstrip()
    return line


def terminal_width(screen: Console) -> int | None:
    """Return the columns of the terminal; None off one, even if FORCE_COLOR wants colours there."""
    return screen.width if screen.file.isatty() else None


def folded(line: Text, screen: Console) -> Iterable[Text]:
    """Return a line in as many as it takes on a terminal."""
    width = terminal_width(screen)
    return (line,) if width is None or cells(line.plain) <= width else line.wrap(screen, width, overflow="fold")


def print_lines(lines: Iterable[Text], screen: Console) -> None:
    """Print lines as they are."""
    if screen.is_terminal:
        for line in lines:
            screen.print(line, soft_wrap=True)
    else:
        click.echo("".join(f"{line.plain}\n" for line in lines), nl=False)


def print_cells(rows: Sequence[Sequence[str]], widths: list[int]) -> None:
    """Print texts in columns; `widths` are those of the columns, which these rows may widen."""
    rows = [[printable(text) for text in row] for row in rows]
    for number in range(len(widths)):
        widths[number] = max([widths[number], *(min(cells(row[number]), LONGEST_WORD) for row in rows)])
    for row in rows:
        padded = (text + " " * (width - cells(text)) for text, width in zip(row, widths, strict=True))
        click.echo(GAP.join(padded).rstrip())


def console(*, no_color: bool, stderr: bool = False) -> Console:
    """Return the console, in colour unless that is turned off."""
    drawn = Console(no_color=no_color, stderr=stderr, highlight=False)
    if drawn.width < 1:
        drawn.width = 80  # set only here: a width that is set does not follow a resized terminal
    return drawn


def print_table(rows: Sequence[Row], *, no_color: bool) -> None:
    """Print the table of batches, if there are any."""
    if rows:
        screen = console(no_color=no_color)
        print_lines(Table(screen).lines([HEAD, *rows]), screen)
