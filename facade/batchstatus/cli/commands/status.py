"""`batchstatus status`: one reading each."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from batchstatus import Account, BatchRef, BatchState, Outcome
from batchstatus.cli.completion import refs_and_accounts
from batchstatus.cli.context import Context, check_keys
from batchstatus.cli.exit_codes import ENDED_BADLY, OK, OPEN, READ, code_of, combine
from batchstatus.cli.help import Command
from batchstatus.cli.log import show_log
from batchstatus.cli.options import global_options, max_body, option, selection
from batchstatus.cli.params import Duration
from batchstatus.cli.signals import run_tasks


@click.command(
    "status",
    cls=Command,
    examples=("status {ref}", "status --exit-status - < refs.txt", "status {ref} -o json"),
    exit_codes={
        OK: "every batch was read",
        ENDED_BADLY: "with --exit-status: one failed, was cancelled or has failed items",
        OPEN: "with --exit-status: one is still open",
        **READ,
    },
)
@click.argument("refs", nargs=-1, shell_complete=refs_and_accounts)
@option("--exit-status", is_flag=True, help="Leave with 1 if any ended badly, with 8 if any is open.")
@option("--raw", is_flag=True, help="Print the vendor's own JSON, as it came.")
@option("--timeout", type=Duration(), default="90s", show_default=True, help="For all of them.")
@selection("batch")
@max_body
@global_options
@click.pass_obj
def command(context: Context, refs: tuple[str, ...], *, exit_status: bool, raw: bool, timeout: float) -> int:
    """Read batches once."""
    if raw and (context.output.selection.fields or context.output.selection.conditions):
        raise click.UsageError("--raw prints all of the vendor's JSON: give --fields and --where without it")
    wanted, accounts = context.refs(refs), context.accounts_at_pace()
    check_keys(wanted, accounts)

    outcomes = read_all(context, accounts, wanted, timeout)
    for outcome in outcomes:
        if raw and outcome.batch is not None:
            click.echo(json.dumps(outcome.batch.payload))
        else:
            context.output.print_outcome(outcome)
    if not raw:
        context.output.print_summary(outcomes)
    return combine(_code(outcome, exit_status=exit_status) for outcome in outcomes)


def read_all(context: Context, accounts: Sequence[Account], refs: list[str], timeout: float) -> list[Outcome]:
    """Read each ref once, all within so many seconds; in their order."""
    from batchstatus import AsyncBatchClient  # noqa: PLC0415 (help and completion need none)

    async def read() -> dict[BatchRef, Outcome]:
        async with AsyncBatchClient(*accounts, **context.policies()) as client:
            return await client.get_many(refs, timeout=timeout)

    show_log(context.output)
    found = run_tasks(read())
    return [found[BatchRef.parse(ref)] for ref in refs]


def _code(outcome: Outcome, *, exit_status: bool) -> int:
    if outcome.error is not None:
        return code_of(outcome.error)
    assert outcome.batch is not None
    if not exit_status:
        return OK
    if not outcome.batch.has_ended:
        return OPEN
    return ENDED_BADLY if outcome.batch.state is not BatchState.SUCCEEDED or outcome.batch.has_failures else OK
