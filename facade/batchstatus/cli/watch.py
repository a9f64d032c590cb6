"""`batchstatus watch`: batches as they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from batchstatus import Batch, BatchRef, Outcome, WaitError
from batchstatus.watcher import paced

from ._exit import INTERRUPTED, KEY, REACHED, TIMED_OUT, code_of, worst
from ._follow import MOST_NAMED, follow, say_how_to_go_on, say_what_is_left
from ._options import options
from ._session import SESSION
from ._tell import note, say, tell, tell_rest
from ._words import Span


@click.command("watch")
@click.argument("refs", nargs=-1)
@click.option("--all", "all_of", is_flag=True, help="Those that are tracked and open; what is seen is stored.")
@click.option("--timeout", type=Span(), default="1d", show_default=True, help="For all of them.")
@options
def command(refs: tuple[str, ...], *, all_of: bool, timeout: float) -> int:
    """Show batches as they change, until all have ended.

    REFS are vendor:id or vendor/account:id; - reads them from stdin. On a terminal this is a table that moves;
    elsewhere a JSON object in a line for each change.
    """
    if all_of and refs:
        raise click.UsageError("give refs or --all, not both")
    accounts = SESSION.accounts()
    if not all_of:
        wanted = SESSION.refs(refs)
        SESSION.check_keys(wanted, accounts)
        return _watch(wanted, accounts, timeout)
    with SESSION.store(make=False) as store:
        tracked = [str(found.ref) for found in store.tracked(open_only=True)]
        missing = [error for ref in tracked if (error := SESSION.missing_key(ref, accounts))]
        for error in missing[:MOST_NAMED]:
            say(error)
        wanted = [ref for ref in tracked if SESSION.missing_key(ref, accounts) is None]
        if not tracked:
            note("nothing is tracked that is open: batchstatus track add REF")
        code = _watch(wanted, paced(store, accounts), timeout, store.observe) if wanted else REACHED
        return worst([code, KEY]) if missing and code < INTERRUPTED else code


def _watch(
    wanted: list[str], accounts: list[Any], timeout: float, keep: Callable[[Batch], object] | None = None
) -> int:
    codes = {BatchRef.parse(ref): TIMED_OUT for ref in wanted}
    last: dict[BatchRef, Outcome] = {}
    late: list[WaitError] = []

    def take(outcome: Outcome) -> bool:
        if isinstance(outcome.error, WaitError):
            late.append(outcome.error)
            codes[outcome.ref] = code_of(outcome.error)
            return False
        last[outcome.ref] = outcome
        if outcome.batch is None or outcome.batch.is_terminal:
            codes[outcome.ref] = code_of(outcome.error) if outcome.error else REACHED
        if outcome.batch is not None and keep is not None:
            keep(outcome.batch)
        tell(outcome, lines=("ndjson", "json"))
        return False

    came = follow(accounts, wanted, timeout=timeout, take=take)
    if SESSION.format == "table":
        tell_rest(last.values(), len(wanted))
    if came:
        say_how_to_go_on({str(ref) for ref, code in codes.items() if code != TIMED_OUT})
        return came
    say_what_is_left(late)
    return worst(codes.values())
