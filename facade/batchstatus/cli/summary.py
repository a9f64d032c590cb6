"""The end of a table for people: why batches ended badly, and how all of them stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from attrs import define
from rich.text import Text

from batchstatus import Batch, BatchState, printable

from .table import STYLES, console

MAX_FAILED_BATCHES, MAX_MESSAGES = 20, 3
"""How many batches with failures are named after all, and how many messages of each."""


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


@define
class Totals:
    """How many batches stand how, for their summary."""

    ended: int = 0
    bad: int = 0
    """Of the ended ones, those that failed or were cancelled."""
    partly: int = 0
    """Of the ended ones, those that succeeded with failed items."""
    waiting: int = 0
    """Those that need approval."""

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> Totals:
        """Return the totals of these batches."""
        totals = cls()
        for batch in batches:
            totals.add(batch)
        return totals

    def add(self, batch: Batch, number: int = 1) -> None:
        """Count a reading, or at -1 count it no more."""
        self.waiting += number * (batch.state is BatchState.REQUIRES_ACTION)
        if batch.has_ended:
            self.ended += number
            self.bad += number * (batch.state is not BatchState.SUCCEEDED)
            self.partly += number * (batch.state is BatchState.SUCCEEDED and batch.has_failures)


def summary(totals: Totals, total: int, *, errors: int = 0, left: str = "") -> Text:
    """Return a line that sums up `total` batches.

    Args:
        totals: Of those that were read.
        total: How many there are.
        errors: How many of them could not be read.
        left: How long they will take.
    """
    line = Text().append(f"{totals.ended} of {total} ended", style="bold")
    for many, text, style in (
        (totals.bad, "failed or cancelled", STYLES[BatchState.FAILED]),
        (totals.partly, "with failed items", STYLES[BatchState.FAILED]),
        (totals.waiting, f"need{'s' * (totals.waiting == 1)} approval", STYLES[BatchState.REQUIRES_ACTION]),
        (errors, "could not be read", STYLES[BatchState.UNKNOWN]),
    ):
        if many:
            line.append(" · ").append(f"{many} {text}", style=style)
    if left:
        line.append(f" · {left}", style="dim")
    return line


def print_summary(batches: Collection[Batch], total: int, *, errors: int, no_color: bool) -> None:
    """Print the summary of `total` batches to stderr."""
    console(no_color=no_color, stderr=True).print(summary(Totals.of(batches), total, errors=errors), soft_wrap=True)
