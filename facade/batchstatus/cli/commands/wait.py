"""`batchstatus wait`: wait until batches have ended, or have reached a state."""

from __future__ import annotations

import click

from batchstatus import BatchState, Outcome
from batchstatus.cli.completion import refs_and_accounts
from batchstatus.cli.context import Context, check_keys
from batchstatus.cli.exit_codes import ENDED_BADLY, MEANINGS, OK, OPEN, READ, TIMED_OUT, code_of, combine
from batchstatus.cli.follow import Tally, follow
from batchstatus.cli.help import Command
from batchstatus.cli.options import global_options, max_body, option, selection
from batchstatus.cli.params import Duration, Word

from .status import read_all

GOALS = ["terminal", *(state.value for state in BatchState if state is not BatchState.UNKNOWN)]

LOOK = 90.0
"""Seconds that --timeout 0 has for its one reading of each."""


@click.command(
    "wait",
    cls=Command,
    examples=(
        "wait {ref} --timeout 30m",
        "wait {ref} --for succeeded && echo good",
        "wait - --any < refs.txt",
    ),
    exit_codes={
        OK: "all have reached the state, or with --any one has",
        ENDED_BADLY: "one ended otherwise",
        OPEN: "with --timeout 0: one is still open",
        TIMED_OUT: MEANINGS[TIMED_OUT],
        **READ,
    },
)
@click.argument("refs", nargs=-1, shell_complete=refs_and_accounts)
@option(
    "--for",
    "goal",
    type=Word(GOALS),
    default="terminal",
    show_default=True,
    help="The state to wait for.",
)
@option("--timeout", type=Duration(), default="30m", show_default=True, help="For all of them; 0 looks once.")
@option("--any", "any_of", is_flag=True, help="End when one has reached it.")
@option(
    "--fail-fast",
    is_flag=True,
    help="End when one has ended otherwise; implies --for succeeded, unless --for is given.",
)
@selection("batch")
@max_body
@global_options
@click.pass_obj
def command(
    context: Context, refs: tuple[str, ...], *, goal: str, timeout: float, any_of: bool, fail_fast: bool
) -> int:
    """Wait until batches have ended.

    A batch with failed items counts as ended otherwise under --for succeeded.
    """
    wanted, accounts = context.refs(refs), context.accounts_at_pace()
    check_keys(wanted, accounts)
    if fail_fast and goal == "terminal":
        goal = "succeeded"
    tally = Tally(context, wanted, lambda outcome: _code(outcome, goal))

    def take(outcome: Outcome) -> bool:
        code = tally.take(outcome)
        if code is None:
            return False
        if code != OPEN or not timeout:
            context.output.print_outcome(outcome)
        return (any_of and code == OK) or (fail_fast and code not in (OK, OPEN)) or not tally.left

    came = follow(context, accounts, wanted, timeout=timeout, take=take) if timeout else 0
    if not timeout:
        for outcome in read_all(context, accounts, wanted, LOOK):
            take(outcome)
    context.output.print_summary(tally.last.values(), len(wanted), tally.late)
    if came:
        tally.print_how_to_resume()
        return came
    if any_of and OK in tally.codes.values():
        return OK
    for outcome in tally.end_unsettled() if timeout else ():
        context.output.print_outcome(outcome)
    tally.print_open()
    ended = [code for code in tally.codes.values() if code not in (OK, OPEN)]
    return combine(ended if fail_fast and ended else tally.codes.values())


def _code(outcome: Outcome, goal: str) -> int:
    """Return the exit code for one batch as it stands."""
    if outcome.error is not None:
        return code_of(outcome.error)
    batch = outcome.unwrap()
    if batch.is_terminal and not batch.has_ended:  # its counts may still change
        return OPEN
    if goal == "terminal":
        return OK if batch.has_ended else OPEN
    if batch.state == goal and not (goal == "succeeded" and batch.has_failures):
        return OK
    return ENDED_BADLY if batch.has_ended else OPEN
