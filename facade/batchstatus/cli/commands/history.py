"""`batchstatus history`: the changes of one batch, or how long batches took."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from batchstatus import printable
from batchstatus.cli.completion import refs
from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import MEANINGS, OK, UNKNOWN_BATCH, NotTracked
from batchstatus.cli.help import Command
from batchstatus.cli.options import global_options, option, selection
from batchstatus.cli.params import batches, humanize

if TYPE_CHECKING:
    from batchstatus import Durations

BAR = 40
"""Characters of the longest bar."""


@click.command(
    "history",
    cls=Command,
    examples=("history {ref}", "history --durations"),
    exit_codes={OK: MEANINGS[OK], UNKNOWN_BATCH: "the store does not know the batch"},
)
@click.argument("ref", required=False, shell_complete=refs)
@option("--durations", "of_durations", is_flag=True, help="How long ended batches took, of each account and kind.")
@selection("change")
@global_options
@click.pass_obj
def command(context: Context, ref: str | None, *, of_durations: bool) -> int:
    """Show the stored changes of a batch, oldest first; also of one that is not tracked any more.

    With --durations it shows how long batches took instead, by which polls are placed. The label `kind` keeps batches
    apart that take different times: track add --label kind=mint REF.
    """
    if of_durations:
        if ref is not None:
            raise click.UsageError("give a ref or --durations, not both")
        if context.output.selection.fields or context.output.selection.conditions:
            raise click.UsageError("--fields and --where are about changes: give them without --durations")
        return _show_durations(context)
    if ref is None:
        raise click.UsageError("history takes one ref, or --durations")
    wanted, *others = context.refs((ref,))
    if others:
        raise click.UsageError("history takes one ref")
    with context.store(to_read=True) as store:
        changes = store.history(wanted)
        is_tracked = bool(changes) or wanted in {str(tracked.ref) for tracked in store.tracked()}
    if not is_tracked:
        raise NotTracked(f"the store knows no {wanted}: batchstatus track add {wanted}")
    if context.output.format == "json":
        context.output.print_all("changes", map(context.output.change, changes))
    else:
        context.output.print_changes(changes)
    if not changes:
        context.output.info(f"{wanted} was not read yet: batchstatus run")
    return OK


def _show_durations(context: Context) -> int:
    with context.store(to_read=True) as store:
        learned = store.durations()
    found = [_fields(account_ref, kind, durations) for (account_ref, kind), durations in learned.items()]
    if context.output.format == "json":
        context.output.print_json(durations=found)
    for fields in found if context.output.format != "json" else ():
        if context.output.format == "ndjson":
            context.output.print_json(**fields)
        elif context.output.format == "id":
            click.echo(fields["account_ref"])
        else:
            click.echo("\n".join(_plot(fields)))
    if not found:
        context.output.info("no batch was seen to end yet: batchstatus run")
    return OK


def _fields(account_ref: str, kind: str, durations: Durations) -> dict[str, Any]:
    """Return what was learned of a kind as JSON-ready values."""
    return {
        "account_ref": account_ref,
        "kind": kind or None,
        "batches": durations.batches,
        "median": durations.remaining(),
        "shares": [
            {"until": until if math.isfinite(until) else None, "share": round(share, 4)}
            for until, share in durations.shares
        ],
    }


def _plot(fields: dict[str, Any]) -> list[str]:
    """Return the lines of a bar chart: for each range of durations the share of batches within it."""
    of_kind = f", kind {printable(fields['kind'])}" if fields["kind"] else ""
    half = "" if fields["median"] is None else f"; half of them within {humanize(fields['median'])}"
    lines = [f"{fields['account_ref']}{of_kind}: {batches(fields['batches'])}{half}"]
    most = max((each["share"] for each in fields["shares"]), default=0.0)
    for each in fields["shares"]:
        until = "longer" if each["until"] is None else f"up to {humanize(each['until'])}"
        bar = "█" * round(BAR * each["share"] / most) if most else ""
        lines.append(f"  {until:>18}  {each['share']:>5.1%}  {bar}".rstrip())
    return lines
