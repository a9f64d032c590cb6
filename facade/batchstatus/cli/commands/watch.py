"""`batchstatus watch`: batches as they change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from batchstatus import Account, Batch, BatchRef, Durations, Outcome
from batchstatus.cli.completion import refs_and_accounts
from batchstatus.cli.context import Context, check_keys, missing_key
from batchstatus.cli.exit_codes import AUTH, INTERRUPTED, MEANINGS, OK, OPEN, READ, TIMED_OUT, code_of, combine
from batchstatus.cli.follow import Tally, follow
from batchstatus.cli.help import Command
from batchstatus.cli.options import global_options, max_body, option, selection
from batchstatus.cli.params import Duration


@click.command(
    "watch",
    cls=Command,
    examples=("watch {ref}", "watch --all --timeout 8h"),
    exit_codes={OK: "all have ended", TIMED_OUT: MEANINGS[TIMED_OUT], **READ},
)
@click.argument("refs", nargs=-1, shell_complete=refs_and_accounts)
@option("--all", "all_of", is_flag=True, help="Show the tracked batches that are open, and store their changes.")
@option("--timeout", type=Duration(), default="1d", show_default=True, help="For all of them.")
@selection("batch")
@max_body
@global_options
@click.pass_obj
def command(context: Context, refs: tuple[str, ...], *, all_of: bool, timeout: float) -> int:
    """Show batches as they change, until all have ended.

    On a terminal this is a table that moves; elsewhere a JSON object in a line for each change.
    """
    if all_of and refs:
        raise click.UsageError("give refs or --all, not both")
    if not all_of:
        wanted, accounts = context.refs(refs), context.accounts_at_pace()
        check_keys(wanted, accounts)
        return _watch(context, wanted, accounts, timeout)
    from batchstatus.service import paced  # noqa: PLC0415

    accounts = context.accounts()
    with context.store(make=False) as store:
        tracked = [str(found.ref) for found in store.tracked(open_only=True)]
        missing = [error for ref in tracked if (error := missing_key(ref, accounts))]
        context.output.errors(missing, "batches are of accounts without a key")
        wanted = [ref for ref in tracked if missing_key(ref, accounts) is None]
        if not tracked:
            context.output.info("no tracked batch is open: batchstatus track add REF")
        paced_accounts = paced(store, accounts)
        code = _watch(context, wanted, paced_accounts, timeout, store.record, history=store.past()) if wanted else OK
        return combine([code, AUTH]) if missing and code < INTERRUPTED else code


def _watch(
    context: Context,
    wanted: list[str],
    accounts: Sequence[Account],
    timeout: float,
    keep: Callable[[Batch], object] | None = None,
    *,
    history: Callable[[BatchRef], Durations] | None = None,
) -> int:
    tally, output = Tally(context, wanted, _code), context.output
    formats = ("ndjson", "json", "table") if output.selection.fields else ("ndjson", "json")

    def take(outcome: Outcome) -> bool:
        if tally.take(outcome) is not None:
            if outcome.batch is not None and keep is not None:
                keep(outcome.batch)
            output.print_outcome(outcome, formats=formats)
        return False

    came = follow(context, accounts, wanted, timeout=timeout, take=take, history=history)
    if output.format == "table" and not output.selection.fields:
        output.print_summary(tally.last.values(), len(wanted))
    if came:
        tally.print_how_to_resume()
        return came
    tally.end_unsettled()
    tally.print_open()
    return combine(tally.codes.values())


def _code(outcome: Outcome) -> int:
    if outcome.error is not None:
        return code_of(outcome.error)
    return OK if outcome.unwrap().has_ended else OPEN
