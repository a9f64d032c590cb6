"""`batchstatus wait`: until batches have ended, or are where they are wanted."""

from __future__ import annotations

import click

from batchstatus import BatchRef, BatchState, Outcome, WaitError

from ._exit import OPEN, OTHERWISE, REACHED, TIMED_OUT, code_of, worst
from ._follow import follow, say_how_to_go_on, say_what_is_left
from ._options import options
from ._session import SESSION
from ._tell import tell, tell_rest
from ._words import Span
from .status import read_all

GOALS = ["terminal", *(state.value for state in BatchState if state is not BatchState.UNKNOWN)]


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
    codes = {BatchRef.parse(ref): OPEN for ref in wanted}
    left = set(codes)
    last: dict[BatchRef, Outcome] = {}
    late: list[WaitError] = []

    def take(outcome: Outcome) -> bool:
        if isinstance(outcome.error, WaitError):
            late.append(outcome.error)
            codes[outcome.ref] = code_of(outcome.error)
            return False
        last[outcome.ref] = outcome
        if outcome.ref not in left:  # it was where it was wanted, and goes on
            return False
        code = codes[outcome.ref] = _code(outcome, goal)
        if code != OPEN or not timeout:
            tell(outcome)
        if code != OPEN:
            left.discard(outcome.ref)
        return (any_of and code == REACHED) or (fail_fast and code not in (REACHED, OPEN)) or not left

    came = 0
    if timeout:
        came = follow(accounts, wanted, timeout=timeout, take=take)
    else:
        for outcome in read_all(accounts, wanted, 90.0):
            take(outcome)
    tell_rest(last.values(), len(wanted))
    if came:
        say_how_to_go_on({str(ref) for ref, code in codes.items() if code not in (OPEN, TIMED_OUT)})
        return came
    if any_of and REACHED in codes.values():
        return REACHED
    say_what_is_left(late)
    if fail_fast and (ended := [code for code in codes.values() if code not in (REACHED, OPEN)]):
        return worst(ended)
    return worst(codes.values())


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
