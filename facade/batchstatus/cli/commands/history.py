"""`batchstatus history`: the changes of one batch."""

from __future__ import annotations

import click

from batchstatus.cli.context import SESSION
from batchstatus.cli.exit_codes import REACHED, NotTracked
from batchstatus.cli.options import options
from batchstatus.cli.output import emit, note, tell_change


@click.command("history")
@click.argument("ref")
@options
def command(ref: str) -> int:
    """Show the changes of a batch that the store has, oldest first; of one that is tracked no more, too."""
    wanted, *others = SESSION.refs((ref,))
    if others:
        raise click.UsageError("history takes one ref")
    with SESSION.store(make=False) as store:
        changes = store.history(wanted)
        is_tracked = bool(changes) or wanted in {str(tracked.ref) for tracked in store.tracked()}
    if not is_tracked:
        raise NotTracked(f"the store knows no {wanted}: batchstatus track add {wanted}")
    if SESSION.format == "json":
        emit(changes=[change.to_dict() for change in changes])
    else:
        for change in changes:
            tell_change(change)
    if not changes:
        note(f"{wanted} was not read yet: batchstatus run")
    return REACHED
