"""`batchstatus wait`: until batches have ended, or are where they are wanted."""

from __future__ import annotations

import click

from batchstatus import BatchState, Outcome
from batchstatus.cli.context import SESSION
from batchstatus.cli.exit_codes import OPEN, OTHERWISE, REACHED, code_of, worst
from batchstatus.cli.follow import Tally, follow
from batchstatus.cli.options import options
from batchstatus.cli.output import tell, tell_rest
from batchstatus.cli.params import Span

from .status import read_all

GOALS = ["terminal", *(state.value for state in BatchState if state is not BatchState.UNKNOWN)]

LOOK = 90.0
"""Seconds that --timeout 0 has for its one reading of each."""


@click.command("wait")
@click.argument("refs", nargs=-1)
@click.option(
    "--for",
    "goal",
    type=click.Choice(GOALS),
    default="terminal",
    show_default=True,
    help="What to wait for.",
)
@click.option("--timeout", type=Span(), default="30m", show_default=True, help="For all of them; 0 looks once.")
@click.option("--any", "any_of", is_flag=True, help="End when one is there.")
@click.option(
    "--fail-fast",
    is_flag=True,
    help="End when one has ended otherwise; what is waited for is succeeded, unless --for says else.",
)
@options
def command(refs: tuple[str, ...], *, goal: str, timeout: float, any_of: bool, fail_fast: bool) -> int:
    """Wait until batches have ended.

    REFS are vendor:id or vendor/account:id; - reads them from stdin. One with failed items counts as ended otherwise
    under --for succeeded.
    """
    wanted, accounts = SESSION.refs(refs), SESSION.accounts()
    SESSION.check_keys(wanted, accounts)
    if fail_fast and goal == "terminal":
        goal = "succeeded"
    tally = Tally(wanted, lambda outcome: _code(outcome, goal))

    def take(outcome: Outcome) -> bool:
        code = tally.take(outcome)
        if code is None:
            return False
        if code != OPEN or not timeout:
            tell(outcome)
        return (any_of and code == REACHED) or (fail_fast and code not in (REACHED, OPEN)) or not tally.left

    came = follow(accounts, wanted, timeout=timeout, take=take) if timeout else 0
    if not timeout:
        for outcome in read_all(accounts, wanted, LOOK):
            take(outcome)
    tell_rest(tally.last.values(), len(wanted))
    if came:
        tally.say_how_to_go_on()
        return came
    if any_of and REACHED in tally.codes.values():
        return REACHED
    tally.say_what_is_left()
    ended = [code for code in tally.codes.values() if code not in (REACHED, OPEN)]
    return worst(ended if fail_fast and ended else tally.codes.values())


def _code(outcome: Outcome, goal: str) -> int:
    """Return the exit code for one batch as it stands."""
    if outcome.error is not None:
        return code_of(outcome.error)
    batch = outcome.unwrap()
    if goal == "terminal":
        return REACHED if batch.is_terminal else OPEN
    if batch.state == goal and not (goal == "succeeded" and batch.has_failures):
        return REACHED
    return OTHERWISE if batch.is_terminal else OPEN
