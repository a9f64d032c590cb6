"""`batchstatus watch`: batches as they change."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from batchstatus import BatchRef, Outcome, WaitError

from ._exit import REACHED, TIMED_OUT, code_of, worst
from ._follow import follow, say_how_to_go_on
from ._options import options
from ._session import SESSION
from ._time import Span

if TYPE_CHECKING:
    from batchstatus.store import Store


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
    with ExitStack() as stack:
        if not all_of:
            return _watch(SESSION.refs(refs), SESSION.accounts(), timeout)
        store = stack.enter_context(SESSION.store(make=False))
        wanted = [str(tracked.ref) for tracked in store.tracked(open_only=True)]
        if wanted:
            return _watch(wanted, SESSION.accounts(), timeout, store)
        SESSION.note("nothing is tracked that is open: batchstatus track add REF")
        return REACHED


def _watch(wanted: list[str], accounts: list[Any], timeout: float, store: Store | None = None) -> int:
    SESSION.check_keys(wanted, accounts)
    codes = {BatchRef.parse(ref): TIMED_OUT for ref in wanted}
    last: dict[BatchRef, Outcome] = {}

    def take(outcome: Outcome) -> bool:
        if isinstance(outcome.error, WaitError):
            return False
        last[outcome.ref] = outcome
        if outcome.batch is None or outcome.batch.is_terminal:
            codes[outcome.ref] = code_of(outcome.error) if outcome.error else REACHED
        if outcome.batch is not None and store is not None:
            store.observe(outcome.batch)
        SESSION.tell(outcome)
        return False

    if store is not None:
        from batchstatus.watcher import paced  # noqa: PLC0415

        accounts = paced(store, accounts)
    came = follow(accounts, wanted, timeout=timeout, take=take)
    SESSION.tell_rest(last.values(), len(wanted))
    if came:
        left = [ref for ref, code in codes.items() if code == TIMED_OUT]
        say_how_to_go_on("batchstatus watch", left) if store is None else say_how_to_go_on(
            "batchstatus watch --all", []
        )
        return came
    return worst(codes.values())
