"""Data goes to stdout, in the requested format; messages go to stderr."""

from __future__ import annotations

import errno
import functools
import logging
import os
import select
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from batchstatus import BatchStatusError
from batchstatus.cli.exit_codes import INTERNAL, code_of
from batchstatus.cli.selection import Selection

if TYPE_CHECKING:
    from rich.console import Console

    from batchstatus import Batch, Outcome
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
        self.selection = Selection()
        self._widths: list[int] = []
        """The columns of --fields in a table."""
        self.line: Callable[[int, dict[str, Any]], str] | None = None
        """Makes the line of a message in the log of a service, from its level and its fields."""

    @property
    def format(self) -> str:
        """How data is printed: a table for a person, a JSON object in each line for a program."""
        if self.requested == "auto":
            return "table" if sys.stdout.isatty() else "ndjson"
        return self.requested

    @property
    def moves(self) -> bool:
        """Whether a table moves: on a terminal that can do so, unless --fields makes lines of it."""
        if self.format != "table" or self.selection.fields:
            return False
        return sys.stdout.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}

    def error(
        self, message: object, *, level: int = logging.ERROR, fields: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Print a message or an error in one line, in JSON with more fields: on stderr, or above a table that moves."""
        if self.line is not None:
            text = self.line(level, {**error_fields(message), "message": _sentence(message), **fields})
        elif self.requested == "json":
            text = to_json({"schema": SCHEMA, **error_fields(message), **fields})
        else:
            text = f"batchstatus: {_sentence(message)}"
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

    def info(self, message: str, *, fields: Mapping[str, str] = MappingProxyType({})) -> None:
        """Print a message that -q leaves out."""
        if self.verbosity >= 0:
            self.error(message, level=logging.INFO, fields=fields)

    def print_json(self, **fields: Any) -> None:
        """Print data as a JSON object in one line."""
        click.echo(to_json({"schema": SCHEMA, **fields}))

    def print_outcome(self, outcome: Outcome, *, formats: tuple[str, ...] = ("ndjson",)) -> None:
        """Print a batch as it comes if the format is one of these; print an error as such."""
        if outcome.error is not None:
            self.error(outcome.error)
        elif outcome.batch is not None and self.format in {"id", *formats}:
            fields = self._fields(outcome.batch)
            if not self.selection.takes(fields):
                return
            if self.format == "id":
                click.echo(str(outcome.ref))
            elif self.format == "table":
                self._print_cells([fields])
            else:
                self.print_json(**self.selection.of(fields))

    def print_change(self, change: Change) -> None:
        """Print a stored change: a line for a person, its id, or a JSON object in a line."""
        self.print_changes([change])

    def print_changes(self, changes: Iterable[Change]) -> None:
        """Print stored changes, in the same columns."""
        found = [(change, self.change(change)) for change in changes if self.takes(change)]
        if self.format != "table":
            for change, fields in found:
                click.echo(change.id if self.format == "id" else to_json(self.selection.of(fields)))
        elif self.selection.fields:
            self._print_cells(fields for _, fields in found)
        else:
            from batchstatus.cli.table import Row, print_lines  # noqa: PLC0415

            print_lines(self._table.lines([Row.of_change(change) for change, _ in found]), self._screen)

    def takes(self, change: Change) -> bool:
        """Return whether a change is one of those asked for."""
        return self.selection.takes(self.change(change))

    def change(self, change: Change) -> dict[str, Any]:
        """Return a change as JSON-ready values, with results only if they are asked for."""
        fields = change.to_dict()
        if fields["batch"] is not None and not self.selection.results:
            fields["batch"] = {**fields["batch"], "results": None}
        return fields

    def print_all(self, name: str, items: Iterable[dict[str, Any]], **others: Any) -> None:
        """Print items that are there at once: a JSON object with all of them, or one for each."""
        found = [item for item in items if self.selection.takes(item)]
        if self.requested == "json":
            self.print_json(**{name: [self.selection.of(item) for item in found]}, **others)
        elif self.format == "table":
            self._print_cells(found)
        else:
            for item in found:
                self.print_json(**self.selection.of(item))

    def print_summary(
        self, outcomes: Collection[Outcome], total: int | None = None, late: Iterable[BaseException] = ()
    ) -> None:
        """Print all outcomes at once if the format is JSON, or a table unless one has moved already.

        Args:
            outcomes: The readings and errors.
            total: How many batches were followed, for a summary; default: each was only read once.
            late: The errors of those that have not ended in time.
        """
        found = [outcome.batch for outcome in outcomes if outcome.batch is not None]
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        if self.format == "json":
            self.print_all("batches", map(self._fields, found), errors=[*map(error_fields, [*errors, *late])])
        elif self.format == "table":
            from batchstatus.cli import summary, table  # noqa: PLC0415

            has_moved = total is not None and self.moves
            takes = self.selection.takes_batch
            shown = [*filter(takes, found)] if takes is not None else found
            if self.selection.fields:
                self._print_cells(map(self._fields, shown))
            elif not has_moved:
                table.print_table([*map(table.Row.of_batch, shown)], no_color=self.no_color)
            if self.verbosity >= 0:
                summary.print_failures(shown, no_color=self.no_color)
                if total is not None and not has_moved:
                    summary.print_summary(found, total, errors=len(errors), no_color=self.no_color)

    def _fields(self, batch: Batch) -> dict[str, Any]:
        return batch.to_dict(results=self.selection.results)

    @functools.cached_property
    def _screen(self) -> Console:
        from batchstatus.cli.table import console  # noqa: PLC0415

        return console(no_color=self.no_color)

    @functools.cached_property
    def _table(self) -> Table:
        """The table of the changes that come one after the other."""
        from batchstatus.cli.table import Table, Widths  # noqa: PLC0415

        return Table(self._screen, Widths.usual())

    def _print_cells(self, objects: Iterable[dict[str, Any]]) -> None:
        """Print the values of --fields in columns; objects that come later widen them."""
        rows = [*map(self.selection.cells, objects)]
        if rows and not self._widths:
            self._widths = [0] * len(self.selection.fields)
            rows.insert(0, [name.upper() for name, _ in self.selection.fields])
        from batchstatus.cli.table import print_cells  # noqa: PLC0415

        print_cells(rows, self._widths)


def _sentence(message: object) -> str:
    known = (BatchStatusError, click.ClickException, OSError)
    if isinstance(message, BaseException) and not isinstance(message, known):
        return f"internal error, please report it: {type(message).__name__}: {message}"
    return str(message)


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
    """Raise BrokenPipeError if the reader of stdout has left, as a write would, which may not come for hours."""
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
