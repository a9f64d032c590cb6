"""`batchstatus deliveries`: the destinations for which changes are kept, and what waits there."""

from __future__ import annotations

import click

from batchstatus import printable
from batchstatus.cli.completion import change_ids, destinations
from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import MEANINGS, OK
from batchstatus.cli.help import Group
from batchstatus.cli.options import global_options, option
from batchstatus.cli.params import changes, humanize
from batchstatus.service import Destination, Pending

MAX_LISTED = 1_000

by_id = option(
    "--id", "id_", metavar="ID", shell_complete=change_ids, help="One change alone; deliveries list NAME has the ids."
)


@click.group("deliveries", cls=Group, examples=("deliveries list", "deliveries retry 3f1c9a52e0b7"))
@global_options
def command() -> None:
    """List, retry and drop deliveries: each `batchstatus run --deliver URL` has an outbox of its own."""


@command.command("list", examples=("deliveries list", "deliveries list 3f1c9a52e0b7"), exit_codes={OK: MEANINGS[OK]})
@click.argument("name", required=False, shell_complete=destinations)
@global_options
@click.pass_obj
def list_(context: Context, *, name: str | None) -> int:
    """List the destinations; with NAME, the changes that have not arrived there.

    The name of a URL is a hash of it, since it may hold a secret.
    """
    with context.store(to_read=True) as store:
        found = store.destinations() if name is None else store.pending(name, MAX_LISTED)
    if context.output.format == "table":
        for each in found:
            click.echo(_line(each) if isinstance(each, Destination) else _pending_line(each))
        if len(found) == MAX_LISTED:
            context.output.info(f"the oldest {MAX_LISTED} are listed")
        if not found:
            nothing = "no destination: batchstatus run --deliver URL makes one" if name is None else "all has arrived"
            context.output.info(nothing)
    elif context.output.format == "id":
        click.echo("".join(f"{each.name if isinstance(each, Destination) else each.id}\n" for each in found), nl=False)
    else:
        context.output.print_all("destinations" if name is None else "deliveries", [each.to_dict() for each in found])
    return OK


def _line(found: Destination) -> str:
    parts = [f"{printable(found.name):<12}  {found.waiting:>7} to deliver, {found.failed} of them failed"]
    if found.waiting:
        parts.append(f"the oldest waits for {humanize(found.oldest_age)}")
    if found.set_aside:
        parts.append(f"{changes(found.set_aside)} set aside")
    if found.kinds is not None:
        parts.append(f"only {', '.join(found.kinds)}")
    parts.append(f"served last {found.served_at:%Y-%m-%d %H:%M} UTC")
    if found.failed_at is not None:
        parts.append(f"failed last {found.failed_at:%Y-%m-%d %H:%M} UTC: {printable(found.reason or '')}")
    if found.stopped_at is not None:
        parts.append(f"STOPPED since {found.stopped_at:%Y-%m-%d %H:%M} UTC")
    return "; ".join(parts)


def _pending_line(found: Pending) -> str:
    line = f"{found.id}  {found.ref} #{found.sequence} {found.kind}, {found.at:%Y-%m-%d %H:%M} UTC"
    if found.attempts:
        times = "once" if found.attempts == 1 else f"{found.attempts} times"
        line += f"; failed {times}, last: {printable(found.reason or '')}"
    return f"{line}; set aside" if found.set_aside_at is not None else line


@command.command("retry", examples=("deliveries retry 3f1c9a52e0b7",), exit_codes={OK: MEANINGS[OK]})
@click.argument("name", shell_complete=destinations)
@by_id
@global_options
@click.pass_obj
def retry(context: Context, *, name: str, id_: str | None) -> int:
    """Deliver at once what has not arrived at NAME, and try it for another 3 days.

    That includes changes that are set aside; a stopped destination goes on. batchstatus run delivers them.
    """
    with context.store(make=False) as store:
        number = store.retry_deliveries(name, id_)
        is_stopped = any(each.name == printable(name) and each.stopped_at for each in store.destinations())
    if context.output.format in {"json", "ndjson"}:
        context.output.print_json(retried=number)
    if is_stopped:  # one change alone starts no destination
        context.output.info(
            f"{printable(name)} is stopped: deliveries retry {printable(name)}, without --id, starts it"
        )
    else:
        context.output.info(f"{changes(number)} to be delivered at once; batchstatus run does")
    return OK


@command.command("drop", examples=("deliveries drop 3f1c9a52e0b7",), exit_codes={OK: MEANINGS[OK]})
@click.argument("name", shell_complete=destinations)
@by_id
@global_options
@click.pass_obj
def drop(context: Context, *, name: str, id_: str | None) -> int:
    """Keep nothing for the destination NAME any more; the changes themselves stay in the store."""
    with context.store(make=False) as store:
        if id_ is None:
            number = store.drop_destination(name)
            text = f"the destination {printable(name)} is dropped; {changes(number)} had not arrived there"
        else:
            store.drop_delivery(name, id_)
            number, text = 1, f"the change {printable(id_)} will not be delivered to {printable(name)}"
    if context.output.format in {"json", "ndjson"}:
        context.output.print_json(dropped=number)
    context.output.info(text)
    return OK
