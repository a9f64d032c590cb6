"""`batchstatus watch`: batches as they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from batchstatus import Batch, Outcome
from batchstatus.cli.context import SESSION
from batchstatus.cli.exit_codes import INTERRUPTED, KEY, OPEN, REACHED, code_of, worst
from batchstatus.cli.follow import Tally, follow
from batchstatus.cli.options import options
from batchstatus.cli.output import note, say_all, tell, tell_rest
from batchstatus.cli.params import Span


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
    from batchstatus.service import paced  # noqa: PLC0415

    with SESSION.store(make=False) as store:
        tracked = [str(found.ref) for found in store.tracked(open_only=True)]
        missing = [error for ref in tracked if (error := SESSION.missing_key(ref, accounts))]
        say_all(missing, "batches are of accounts without a key")
        wanted = [ref for ref in tracked if SESSION.missing_key(ref, accounts) is None]
        if not tracked:
            note("nothing is tracked that is open: batchstatus track add REF")
        code = _watch(wanted, paced(store, accounts), timeout, store.observe) if wanted else REACHED
        return worst([code, KEY]) if missing and code < INTERRUPTED else code


def _watch(
    wanted: list[str], accounts: list[Any], timeout: float, keep: Callable[[Batch], object] | None = None
) -> int:
    tally = Tally(wanted, _code)

    def take(outcome: Outcome) -> bool:
        if tally.take(outcome) is not None:
            if outcome.batch is not None and keep is not None:
                keep(outcome.batch)
            tell(outcome, lines=("ndjson", "json"))
        return False

    came = follow(accounts, wanted, timeout=timeout, take=take)
    if SESSION.format == "table":
        tell_rest(tally.last.values(), len(wanted))
    if came:
        tally.say_how_to_go_on()
        return came
    tally.say_what_is_left()
    return worst(tally.codes.values())


def _code(outcome: Outcome) -> int:
    if outcome.error is not None:
        return code_of(outcome.error)
    return REACHED if outcome.unwrap().is_terminal else OPEN
