"""`batchstatus history`: the changes of one batch."""

from __future__ import annotations

import click

from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import OK, NotTracked
from batchstatus.cli.options import global_options


@click.command("history")
@click.argument("ref")
@global_options
@click.pass_obj
def command(context: Context, ref: str) -> int:
    """Show the stored changes of a batch, oldest first; also of one that is not tracked any more."""
    wanted, *others = context.refs((ref,))
    if others:
        raise click.UsageError("history takes one ref")
    with context.store(to_read=True) as store:
        changes = store.history(wanted)
        is_tracked = bool(changes) or wanted in {str(tracked.ref) for tracked in store.tracked()}
    if not is_tracked:
        raise NotTracked(f"the store knows no {wanted}: batchstatus track add {wanted}")
    if context.output.format == "json":
        context.output.print_json(changes=[change.to_dict() for change in changes])
    else:
        for change in changes:
            context.output.print_change(change)
    if not changes:
        context.output.info(f"{wanted} was not read yet: batchstatus run")
    return OK
