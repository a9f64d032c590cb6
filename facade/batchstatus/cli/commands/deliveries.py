"""`batchstatus deliveries`: the destinations for which changes are kept."""

from __future__ import annotations

import click

from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import OK
from batchstatus.cli.options import global_options
from batchstatus.cli.params import changes


@click.group("deliveries")
@global_options
def command() -> None:
    """List and drop destinations: each `batchstatus run --deliver URL` has one, with an outbox of its own."""


@command.command("list")
@global_options
@click.pass_obj
def list_(context: Context) -> int:
    """List the destinations; the name of a URL is a hash of it, since it may hold a secret."""
    with context.store(make=False) as store:
        found = store.destinations()
    if context.output.format == "table":
        for each in found:
            served = f"served last {each.served_at:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{each.name:<12}  {each.waiting:>7} to deliver, {each.failed} of them failed; {served}")
    elif context.output.format == "id":
        click.echo("".join(f"{each.name}\n" for each in found), nl=False)
    else:
        context.output.print_all("destinations", [each.to_dict() for each in found])
    return OK


@command.command("drop")
@click.argument("name")
@global_options
@click.pass_obj
def drop(context: Context, *, name: str) -> int:
    """Keep nothing for the destination NAME any more; the changes themselves stay in the store."""
    with context.store(make=False) as store:
        waiting = store.drop_destination(name)
    context.output.info(f"the destination {name} is dropped; {changes(waiting)} had not arrived there")
    return OK
