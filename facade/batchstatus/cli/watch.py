"""`batchstatus watch`: batches as they change."""

from __future__ import annotations

import click

from batchstatus import BatchRef, Outcome, WaitError

from ._exit import TIMED_OUT, code_of, worst
from ._follow import follow
from ._session import SESSION, options
from ._time import Span


@click.command("watch")
@click.argument("refs", nargs=-1)
@click.option("--timeout", type=Span(), default="1d", show_default=True, help="For all of them.")
@options
def command(refs: tuple[str, ...], *, timeout: float) -> int:
    """Show batches as they change, until all have ended.

    REFS are vendor:id or vendor/account:id; - reads them from stdin. On a terminal this is a table that moves;
    elsewhere a JSON object in a line for each change.
    """
    wanted, accounts = SESSION.refs(refs), SESSION.accounts()
    SESSION.check_keys(wanted, accounts)
    codes = {BatchRef.parse(ref): TIMED_OUT for ref in wanted}
    last: dict[BatchRef, Outcome] = {}

    def take(outcome: Outcome) -> bool:
        if isinstance(outcome.error, WaitError):
            return False
        last[outcome.ref] = outcome
        if outcome.batch is None or outcome.batch.is_terminal:
            codes[outcome.ref] = code_of(outcome.error) if outcome.error else 0
        SESSION.tell(outcome)
        return False

    came = follow(accounts, wanted, timeout=timeout, take=take)
    SESSION.tell_rest(last.values(), len(wanted))
    if came:
        left = " ".join(str(ref) for ref, code in codes.items() if code == TIMED_OUT)
        SESSION.say(f"interrupted; the batches go on, and so can you: batchstatus watch {left}")
        return came
    return worst(codes.values())
