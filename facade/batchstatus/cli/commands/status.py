"""`batchstatus status`: one reading each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import click

from batchstatus import AsyncBatchClient, BatchRef, BatchState, BatchStatusError, Outcome
from batchstatus.cli.context import SESSION
from batchstatus.cli.exit_codes import OPEN, OTHERWISE, REACHED, code_of, worst
from batchstatus.cli.log import show_log
from batchstatus.cli.options import options
from batchstatus.cli.output import tell, tell_rest
from batchstatus.cli.params import Span


@click.command("status")
@click.argument("refs", nargs=-1)
@click.option("--exit-status", is_flag=True, help="Leave with 1 if any ended badly, with 8 if any is open.")
@click.option("--raw", is_flag=True, help="Print the vendor's own JSON, as it came.")
@click.option("--timeout", type=Span(), default="90s", show_default=True, help="For all of them.")
@options
def command(refs: tuple[str, ...], *, exit_status: bool, raw: bool, timeout: float) -> int:
    """Read batches once.

    REFS are vendor:id or vendor/account:id; - reads them from stdin.
    """
    wanted, accounts = SESSION.refs(refs), SESSION.accounts()
    SESSION.check_keys(wanted, accounts)

    outcomes = read_all(accounts, wanted, timeout)
    for outcome in outcomes:
        if raw and outcome.batch is not None:
            click.echo(json.dumps(outcome.batch.payload))
        else:
            tell(outcome)
    if not raw:
        tell_rest(outcomes)
    return worst(_code(outcome, exit_status=exit_status) for outcome in outcomes)


def read_all(accounts: Sequence[Any], refs: list[str], timeout: float) -> list[Outcome]:
    """Read each ref once, all within so many seconds; in their order."""

    async def read() -> list[Outcome]:
        async with AsyncBatchClient(*accounts) as client:
            return await asyncio.gather(*[_read(client, BatchRef.parse(ref), timeout) for ref in refs])

    show_log()
    return asyncio.run(read())


async def _read(client: AsyncBatchClient, ref: BatchRef, timeout: float) -> Outcome:
    try:
        return Outcome(ref, await client.get(ref, timeout=timeout))
    except BatchStatusError as error:
        return Outcome(ref, error=error)


def _code(outcome: Outcome, *, exit_status: bool) -> int:
    if outcome.error is not None:
        return code_of(outcome.error)
    assert outcome.batch is not None
    if not exit_status:
        return REACHED
    if not outcome.batch.is_terminal:
        return OPEN
    return OTHERWISE if outcome.batch.state is not BatchState.SUCCEEDED or outcome.batch.has_failures else REACHED
