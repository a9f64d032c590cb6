"""Data goes to stdout, in the requested format; messages go to stderr."""

from __future__ import annotations

import errno
import functools
import os
import select
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from batchstatus import BatchStatusError
from batchstatus.cli.exit_codes import INTERNAL, code_of

if TYPE_CHECKING:
    from rich.console import Console

    from batchstatus import Outcome
    from batchstatus.cli.table import Table
    from batchstatus.service import Change

MAX_PRINTED = 20
SCHEMA = 1
"""The version of every JSON object that is printed."""


class Output:
    """How one run of the command line prints."""

    def __init__(self) -> None:
        self.requested = "auto"
        """The value of --output."""
        self.verbosity = 0
        """-1 with -q, else how often -v was given."""
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self.above: Callable[[str], None] | None = None
        """Prints a message above a table that moves."""

    @property
    def format(self) -> str:
        """How data is printed: a table for a person, a JSON object in each line for a program."""
        if self.requested == "auto":
            return "table" if sys.stdout.isatty() else "ndjson"
        return self.requested

    @property
    def moves(self) -> bool:
        """Whether a table moves: on a terminal that can do so."""
        return self.format == "table" and sys.stdout.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}

    def error(self, message: object) -> None:
        """Print a message or an error in one line: on stderr, or above a table that moves."""
        if self.requested == "json":
            text = to_json({"schema": SCHEMA, **error_fields(message)})
        elif isinstance(message, BaseException) and not isinstance(
            message, (BatchStatusError, click.ClickException, OSError)
        ):
            text = f"batchstatus: internal error, please report it: {type(message).__name__}: {message}"
        else:
            text = f"batchstatus: {message}"
        if self.above is not None:
            self.above(text)
            return
        try:
            click.echo(text, err=True)
        except OSError:  # stderr is closed; that ends nothing
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (until the process ends)

    def errors(self, errors: Sequence[BaseException], others: str) -> None:
        """Print errors; of very many the first, and how many more `others` there are."""
        for error in errors[:MAX_PRINTED]:
            self.error(error)
        if len(errors) > MAX_PRINTED:
            self.error(f"{len(errors) - MAX_PRINTED} more {others}")

    def info(self, message: str) -> None:
        """Print a message that -q leaves out."""
        if self.verbosity >= 0:
            self.error(message)

    def print_json(self, **fields: Any) -> None:
        """Print data as a JSON object in one line."""
        click.echo(to_json({"schema": SCHEMA, **fields}))

    def print_outcome(self, outcome: Outcome, *, formats: tuple[str, ...] = ("ndjson",)) -> None:
        """Print a batch as it comes if the format is one of these; print an error as such."""
        if outcome.error is not None:
            self.error(outcome.error)
        elif outcome.batch is not None and self.format == "id":
            click.echo(str(outcome.ref))
        elif outcome.batch is not None and self.format in formats:
            self.print_json(**outcome.batch.to_dict())

    def print_change(self, change: Change) -> None:
        """Print a stored change: a line for a person, its id, or a JSON object in a line."""
        self.print_changes([change])

    def print_changes(self, changes: Iterable[Change]) -> None:
        """Print stored changes, in the same columns."""
        if self.format != "table":
            for change in changes:
                click.echo(change.id if self.format == "id" else to_json(change.to_dict()))
        else:
            from batchstatus.cli.table import Row, print_lines  # noqa: PLC0415

            print_lines(self._table.lines(map(Row.of_change, changes)), self._screen)

    def print_all(self, name: str, items: Iterable[dict[str, Any]]) -> None:
        """Print items that are there at once: a JSON object with all of them, or one for each."""
        if self.requested == "json":
            self.print_json(**{name: [*items]})
        else:
            for item in items:
                self.print_json(**item)

    def print_summary(self, outcomes: Collection[Outcome], total: int | None = None) -> None:
        """Print all outcomes at once if the format is JSON, or a table unless one has moved already.

        Args:
            outcomes: The readings and errors.
            total: How many batches were followed, for a summary; default: each was only read once.
        """
        batches = [outcome.batch for outcome in outcomes if outcome.batch is not None]
        if self.format == "json":
            self.print_json(batches=[batch.to_dict() for batch in batches])
        elif self.format == "table":
            from batchstatus.cli import table  # noqa: PLC0415

            has_moved = total is not None and self.moves
            if not has_moved:
                table.print_table([*map(table.Row.of_batch, batches)], no_color=self.no_color)
            if self.verbosity >= 0:
                table.print_failures(batches, no_color=self.no_color)
                if total is not None and not has_moved:
                    table.print_summary(batches, total, errors=len(outcomes) - len(batches), no_color=self.no_color)

    @functools.cached_property
    def _screen(self) -> Console:
        from batchstatus.cli.table import console  # noqa: PLC0415

        return console(no_color=self.no_color)

    @functools.cached_property
    def _table(self) -> Table:
        """The table of the changes that come one after the other."""
        from batchstatus.cli.table import Table, Widths  # noqa: PLC0415

        return Table(self._screen, Widths.usual())


def error_fields(message: object) -> dict[str, Any]:
    text = message.format_message() if isinstance(message, click.ClickException) else str(message)
    if not isinstance(message, BaseException):
        return {"message": text}
    fields: dict[str, Any] = {
        "error": type(message).__name__,
        "message": text,
        "exit_code": code_of(message, INTERNAL),
    }
    if (ref := getattr(message, "ref", None)) is not None:
        fields["ref"] = str(ref)
    return fields


def to_json(value: dict[str, Any]) -> str:
    """Return a value as JSON; characters that stdout cannot encode are escaped."""
    import json  # noqa: PLC0415

    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not is_utf8)


def check_reader() -> None:
    """Raise BrokenPipeError if nobody reads stdout any more, as a write would, which may not come for hours."""
    if not hasattr(select, "poll"):  # Windows
        return
    try:
        stdout = sys.stdout.fileno()
        if not (os.isatty(stdout) or stat.S_ISFIFO(os.fstat(stdout).st_mode)):
            return
        reader = select.poll()
        reader.register(stdout, 0)
        events = reader.poll(0)
    except (OSError, ValueError):  # stdout has no descriptor
        return
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in events):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
