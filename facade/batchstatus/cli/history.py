"""`batchstatus history`: the changes of one batch."""

from __future__ import annotations

import click

from ._exit import REACHED, UNKNOWN_BATCH
from ._options import options
from ._session import SESSION


@click.command("history")
@click.argument("ref")
@options
def command(ref: str) -> int:
    """Show the changes of a batch that the store has, oldest first; of one that is tracked no more, too."""
    [wanted] = SESSION.refs((ref,))
    with SESSION.store(make=False) as store:
        changes = store.history(wanted)
        is_tracked = bool(changes) or wanted in {str(tracked.ref) for tracked in store.tracked()}
    if not is_tracked:
        SESSION.say(f"the store knows no {wanted}: batchstatus track add {wanted}")
        return UNKNOWN_BATCH
    if SESSION.format == "json":
        SESSION.print(changes=[change.to_dict() for change in changes])
    else:
        for change in changes:
            SESSION.tell_change(change)
    if not changes:
        SESSION.note(f"{wanted} was not read yet: batchstatus run")
    return REACHED
