"""`batchstatus wait`: until batches have ended, or are where they are wanted."""

from __future__ import annotations

import click

from batchstatus import BatchRef, BatchState, Outcome, WaitError

from ._exit import OPEN, OTHERWISE, REACHED, TIMED_OUT, code_of, worst
from ._follow import follow, say_how_to_go_on
from ._options import options
from ._session import SESSION
from ._time import Span
from .status import read_all

GOALS = ["terminal", *(state.value for state in BatchState if state is not BatchState.UNKNOWN)]


@click.command("wait")
@click.argument("refs", nargs=-1)
@click.option(
    "--for",
    "goal",
    type=click.Choice(GOALS),
    envvar="BATCHSTATUS_WAIT_FOR",
    default="terminal",
    show_default=True,
    help="What to wait for.",
)
@click.option("--timeout", type=Span(), default="30m", show_default=True, help="For all of them; 0 looks once.")
@click.option("--any", "any_of", is_flag=True, help="End when one is there.")
@click.option("--fail-fast", is_flag=True, help="End when one has ended otherwise.")
@options
def command(refs: tuple[str, ...], *, goal: str, timeout: float, any_of: bool, fail_fast: bool) -> int:
    """Wait until batches have ended.

    REFS are vendor:id or vendor/account:id; - reads them from stdin. One with failed items counts as ended otherwise
    under --for succeeded.
    """
    wanted, accounts = SESSION.refs(refs), SESSION.accounts()
    SESSION.check_keys(wanted, accounts)
    codes = {BatchRef.parse(ref): OPEN for ref in wanted}
    last: dict[BatchRef, Outcome] = {}
    still_open = TIMED_OUT if timeout else OPEN

    def take(outcome: Outcome) -> bool:
        if isinstance(outcome.error, WaitError):
            return False
        last[outcome.ref] = outcome
        code = codes[outcome.ref] = _code(outcome, goal)
        if code != OPEN:
            SESSION.tell(outcome)
        return (any_of and code == REACHED) or (fail_fast and code not in (REACHED, OPEN)) or OPEN not in codes.values()

    if timeout:
        came = follow(accounts, wanted, timeout=timeout, take=take)
    else:
        came = 0
        for outcome in read_all(accounts, wanted, 90.0):
            take(outcome)
    SESSION.tell_rest(last.values(), len(wanted))
    if came:
        what = "batchstatus wait" if goal == "terminal" else f"batchstatus wait --for {goal}"
        say_how_to_go_on(what, [ref for ref, code in codes.items() if code == OPEN])
        return came
    if any_of and REACHED in codes.values():
        return REACHED
    if not fail_fast or OPEN not in codes.values():
        return worst(still_open if code == OPEN else code for code in codes.values())
    return worst(code for code in codes.values() if code != OPEN) or still_open


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
