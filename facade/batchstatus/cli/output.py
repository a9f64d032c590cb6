"""Where data and messages go: data to stdout, in the form that is wanted, and all else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from batchstatus import BatchStatusError

from .context import SESSION
from .exit_codes import FAULT, code_of

if TYPE_CHECKING:
    from batchstatus import Outcome
    from batchstatus.service.store import Change

MAX_PRINTED = 20
SCHEMA = 1
"""The version of every JSON object that is printed."""


def emit(**fields: Any) -> None:
    """Print data as a JSON object in one line."""
    click.echo(_json({"schema": SCHEMA, **fields}))


def say(what: object) -> None:
    """Tell the user something that is no data, in one line: on stderr, or above a table that moves."""
    if SESSION.output == "json":
        said = what.format_message() if isinstance(what, click.ClickException) else str(what)
        fields: dict[str, Any] = {"message": said}
        if isinstance(what, BaseException):
            fields = {"error": type(what).__name__, **fields, "exit_code": code_of(what, FAULT)}
            if (ref := getattr(what, "ref", None)) is not None:
                fields["ref"] = str(ref)
        text = _json({"schema": SCHEMA, **fields})
    elif isinstance(what, BaseException) and not isinstance(what, (BatchStatusError, click.ClickException, OSError)):
        text = f"batchstatus: a fault of ours, please report it: {type(what).__name__}: {what}"
    else:
        text = f"batchstatus: {what}"
    if SESSION.above is not None:
        SESSION.above(text)
        return
    try:
        click.echo(text, err=True)
    except OSError:  # nobody listens any more; that ends nothing
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (until the process ends)


def say_all(errors: Sequence[BaseException], what: str) -> None:
    """Say errors, of very many the first; `what` says what the others are."""
    for error in errors[:MAX_PRINTED]:
        say(error)
    if len(errors) > MAX_PRINTED:
        say(f"{len(errors) - MAX_PRINTED} more {what}")


def note(what: str) -> None:
    """Tell the user something that -q leaves out."""
    if SESSION.verbosity >= 0:
        say(what)


def tell(outcome: Outcome, *, lines: tuple[str, ...] = ("ndjson",)) -> None:
    """Print a batch as it comes, where the form is one of `lines`; say an error."""
    if outcome.error is not None:
        say(outcome.error)
    elif outcome.batch is not None and SESSION.format == "id":
        click.echo(str(outcome.ref))
    elif outcome.batch is not None and SESSION.format in lines:
        emit(**outcome.batch.to_dict())


def tell_change(change: Change) -> None:
    """Print a change that the store has: a line for a person, its id, or a JSON object in a line."""
    if SESSION.format == "table":
        from .table import print_change  # noqa: PLC0415

        print_change(change)
    else:
        click.echo(change.id if SESSION.format == "id" else _json(change.to_dict()))


def tell_rest(outcomes: Collection[Outcome], total: int | None = None) -> None:
    """Print what was read where the form is one picture of all: JSON, or a table unless one has moved already.

    Args:
        outcomes: What was read.
        total: How many batches were followed, for a summary; default: they were only looked at.
    """
    batches = [outcome.batch for outcome in outcomes if outcome.batch is not None]
    if SESSION.format == "json":
        emit(batches=[batch.to_dict() for batch in batches])
    elif SESSION.format == "table":
        from .table import Row, console, print_failures, print_summary, print_table  # noqa: PLC0415

        has_moved = total is not None and console().is_terminal
        if not has_moved:
            print_table([*map(Row.of_batch, batches)])
        if SESSION.verbosity >= 0:
            print_failures(batches)
            if total is not None and not has_moved:
                print_summary(batches, total, errors=len(outcomes) - len(batches))


def tell_all(name: str, items: Iterable[dict[str, Any]]) -> None:
    """Print items that are there at once: a JSON object with all of them, or one for each."""
    if SESSION.output == "json":
        emit(**{name: [*items]})
    else:
        for item in items:
            emit(**item)


def _json(value: dict[str, Any]) -> str:
    import json  # noqa: PLC0415

    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not is_utf8)
