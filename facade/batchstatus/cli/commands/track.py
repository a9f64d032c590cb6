"""`batchstatus track`: which batches the store follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from batchstatus.cli.completion import accounts, labels
from batchstatus.cli.completion import refs as refs_of_store
from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import MEANINGS, OK, UNKNOWN_BATCH, NotTracked
from batchstatus.cli.help import Group
from batchstatus.cli.options import global_options, option, selection
from batchstatus.cli.params import batches, changes

F = TypeVar("F", bound=Callable[..., Any])


class Label(click.ParamType[tuple[str, str]]):
    """`campaign=spring`."""

    name = "K=V"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return the name and the value."""
        name, equals, text = str(value).partition("=")
        if not name or not equals or not str(value).isprintable():
            self.fail(f"{value!r} is not a label; use campaign=spring", param, ctx)
        return name, text


def labelled(help_text: str) -> Callable[[F], F]:
    """Return the option --label."""
    return option("--label", "labels", type=Label(), multiple=True, help=help_text, shell_complete=labels)


from_file = option("--from-file", "file", type=click.Path(allow_dash=True, dir_okay=False),
                         help="Refs in lines; # begins a comment; - is stdin.")  # fmt: skip


@click.group("track", cls=Group, examples=("track add {ref} --label campaign=spring", "track list --open"))
@global_options
def command() -> None:
    """Add batches to follow, remove and list them; batchstatus run reads them until they have ended."""


@command.command(
    "add",
    examples=("track add {ref} --label campaign=spring", "track add --from-file refs.txt"),
    exit_codes={OK: MEANINGS[OK]},
)
@click.argument("refs", nargs=-1, shell_complete=accounts)
@labelled("A label for the batches; it replaces one of the same name.")
@from_file
@global_options
@click.pass_obj
def add(context: Context, refs: tuple[str, ...], *, labels: tuple[tuple[str, str], ...], file: str | None) -> int:
    """Follow batches from now on, all or none of them."""
    wanted = context.refs(refs, file)
    with context.store() as store:
        new = store.track(wanted, dict(labels))
    known = len(wanted) - new
    if context.output.format == "id":
        click.echo("\n".join(wanted))
    elif context.output.format != "table":
        context.output.print_json(added=new, known=known)
    context.output.info(f"{batches(new)} added{f', {known} were there' if known else ''}; batchstatus run follows them")
    return OK


@command.command(
    "rm",
    examples=("track rm {ref}", "track rm --ended --label campaign=spring"),
    exit_codes={OK: MEANINGS[OK], UNKNOWN_BATCH: "one is not tracked"},
)
@click.argument("refs", nargs=-1, shell_complete=refs_of_store)
@labelled("All with this label.")
@option("--ended", is_flag=True, help="All that have ended.")
@from_file
@global_options
@click.pass_obj
def rm(
    context: Context, refs: tuple[str, ...], *, labels: tuple[tuple[str, str], ...], ended: bool, file: str | None
) -> int:
    """Stop following batches; their history stays. A batch has to meet all conditions.

    Their changes that have not arrived are not delivered any more.
    """
    by_name, by_kind = bool(refs) or file is not None, bool(labels) or ended
    if not by_name and not by_kind:
        raise click.UsageError("give refs, --label K=V, --ended or --from-file F")
    with context.store(make=False) as store:
        wanted = dict.fromkeys(context.refs(refs, file)) if by_name else None
        tracked = {str(found.ref): found for found in store.tracked()}
        matching = [
            ref
            for ref, found in tracked.items()
            if (wanted is None or ref in wanted)
            and dict(labels).items() <= found.labels.items()
            and (found.ended or not ended)
        ]
        dropped = store.undelivered_of(matching)
        store.untrack(matching)
    missing = [ref for ref in wanted or [] if ref not in tracked]
    if context.output.format == "id":
        click.echo("".join(f"{ref}\n" for ref in matching), nl=False)
    elif context.output.format != "table":
        context.output.print_json(removed=len(matching), unknown=missing, dropped=dropped)
    for ref in missing:
        context.output.error(NotTracked(f"{ref} is not tracked"))
    late = f"; {changes(dropped)} of theirs had not arrived, and will not be delivered" if dropped else ""
    context.output.info(f"{batches(len(matching))} removed{late}")
    return UNKNOWN_BATCH if missing else OK


@command.command(
    "retry",
    examples=("track retry", "track retry {ref}"),
    exit_codes={OK: MEANINGS[OK], UNKNOWN_BATCH: "one is not lost"},
)
@click.argument("refs", nargs=-1, shell_complete=refs_of_store)
@global_options
@click.pass_obj
def retry(context: Context, refs: tuple[str, ...]) -> int:
    """Read lost batches at once, and then for another day ever more seldom.

    Without REFS: all that are lost.
    """
    with context.store(make=False) as store:
        lost = [str(found.ref) for found in store.tracked(open_only=True) if found.lost_since is not None]
        wanted = context.refs(refs) if refs else lost
        store.retry(ref for ref in wanted if ref in lost)
    unknown = [ref for ref in wanted if ref not in lost]
    found = [ref for ref in wanted if ref in lost]
    if context.output.format == "id":
        click.echo("".join(f"{ref}\n" for ref in found), nl=False)
    elif context.output.format != "table":
        context.output.print_json(retried=len(found), not_lost=unknown)
    for ref in unknown:
        context.output.error(NotTracked(f"{ref} is not lost: batchstatus track list shows those that are"))
    context.output.info(f"{batches(len(found))} to be read at once; batchstatus run does")
    return UNKNOWN_BATCH if unknown else OK


@command.command("list", examples=("track list --open --label campaign=spring",), exit_codes={OK: MEANINGS[OK]})
@labelled("Those with this label.")
@option("--open", "open_only", is_flag=True, help="Those that have not ended.")
@selection("tracked", results=False)
@global_options
@click.pass_obj
def list_(context: Context, *, labels: tuple[tuple[str, str], ...], open_only: bool) -> int:
    """List the tracked batches with their last reading."""
    output = context.output
    with context.store(to_read=True) as store:
        found = store.tracked(labels=dict(labels), open_only=open_only)
    if output.selection.conditions:
        found = [tracked for tracked in found if output.selection.takes(tracked.to_dict())]
    if output.format == "id":
        click.echo("".join(f"{tracked.ref}\n" for tracked in found), nl=False)
    elif output.format != "table" or output.selection.fields:
        output.print_all("tracked", (tracked.to_dict() for tracked in found))
    else:
        from batchstatus.cli.table import Row, print_table  # noqa: PLC0415

        print_table([*map(Row.of_tracked, found)], no_color=output.no_color)
    if output.format == "table":
        output.info(f"{batches(len(found))}, {sum(not tracked.ended for tracked in found)} of them open")
    return OK
