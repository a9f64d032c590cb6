"""`batchstatus track`: which batches the store follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from batchstatus.cli.context import SESSION
from batchstatus.cli.exit_codes import REACHED, UNKNOWN_BATCH, NotTracked
from batchstatus.cli.options import options
from batchstatus.cli.output import emit, note, say, tell_all
from batchstatus.cli.params import batches

F = TypeVar("F", bound=Callable[..., Any])


class Label(click.ParamType[tuple[str, str]]):
    """`campaign=spring`."""

    name = "K=V"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return the name and the value."""
        name, equals, text = str(value).partition("=")
        if not name or not equals or not str(value).isprintable():
            self.fail(f"{value!r} is no label: write campaign=spring", param, ctx)
        return name, text


def labelled(what: str) -> Callable[[F], F]:
    """Return the option --label."""
    return click.option("--label", "labels", type=Label(), multiple=True, help=what)


from_file = click.option("--from-file", "file", type=click.Path(allow_dash=True, dir_okay=False),
                         help="Refs in lines; # begins a comment; - is stdin.")  # fmt: skip


@click.group("track")
@options
def command() -> None:
    """Say which batches to follow, and list them: batchstatus run reads them until they have ended."""


@command.command("add")
@click.argument("refs", nargs=-1)
@labelled("What to know the batches by; a label that one has already is set anew.")
@from_file
@options
def add(refs: tuple[str, ...], *, labels: tuple[tuple[str, str], ...], file: str | None) -> int:
    """Follow batches from now on, all or none of them.

    REFS are vendor:id or vendor/account:id; - reads them from stdin.
    """
    wanted = SESSION.refs(refs, file)
    with SESSION.store() as store:
        new = store.track(wanted, dict(labels))
    known = len(wanted) - new
    if SESSION.format == "id":
        click.echo("\n".join(wanted))
    elif SESSION.format != "table":
        emit(added=new, known=known)
    note(f"{batches(new)} added{f', {known} were there' if known else ''}; batchstatus run follows them")
    return REACHED


@command.command("rm")
@click.argument("refs", nargs=-1)
@labelled("All with this label.")
@click.option("--ended", is_flag=True, help="All that have ended.")
@from_file
@options
def rm(refs: tuple[str, ...], *, labels: tuple[tuple[str, str], ...], ended: bool, file: str | None) -> int:
    """Follow batches no more; their history stays.

    REFS are vendor:id or vendor/account:id; - reads them from stdin. Several conditions all have to hold.
    """
    by_name, by_kind = bool(refs) or file is not None, bool(labels) or ended
    if not by_name and not by_kind:
        raise click.UsageError("say which: refs, --label K=V, --ended, or --from-file F")
    with SESSION.store(make=False) as store:
        wanted = dict.fromkeys(SESSION.refs(refs, file)) if by_name else None
        tracked = {str(found.ref): found for found in store.tracked()}
        matching = [
            ref
            for ref, found in tracked.items()
            if (wanted is None or ref in wanted)
            and dict(labels).items() <= found.labels.items()
            and (found.ended or not ended)
        ]
        store.untrack(matching)
    missing = [ref for ref in wanted or [] if ref not in tracked]
    if SESSION.format == "id":
        click.echo("".join(f"{ref}\n" for ref in matching), nl=False)
    elif SESSION.format != "table":
        emit(removed=len(matching), unknown=missing)
    for ref in missing:
        say(NotTracked(f"{ref} is not tracked"))
    note(f"{batches(len(matching))} removed")
    return UNKNOWN_BATCH if missing else REACHED


@command.command("list")
@labelled("Those with this label.")
@click.option("--open", "open_only", is_flag=True, help="Those that have not ended.")
@options
def list_(*, labels: tuple[tuple[str, str], ...], open_only: bool) -> int:
    """List what is tracked, as it was last read."""
    with SESSION.store(make=False) as store:
        found = store.tracked(labels=dict(labels), open_only=open_only)
    if SESSION.format == "table":
        from batchstatus.cli.table import Row, print_table  # noqa: PLC0415

        print_table([*map(Row.of_tracked, found)])
        note(f"{batches(len(found))}, {sum(not tracked.ended for tracked in found)} of them open")
    elif SESSION.format == "id":
        click.echo("".join(f"{tracked.ref}\n" for tracked in found), nl=False)
    else:
        tell_all("tracked", (tracked.to_dict() for tracked in found))
    return REACHED
