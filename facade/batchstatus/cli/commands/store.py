"""`batchstatus store`: back up, restore, check and prune the store's file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import FOR_ALL, IO_ERROR, MEANINGS, OK
from batchstatus.cli.help import Group
from batchstatus.cli.options import global_options, option
from batchstatus.cli.params import Duration, changes
from batchstatus.service import Store


@click.group("store", cls=Group, examples=("store backup backup.sqlite3", "store prune --keep 90d"))
@global_options
def command() -> None:
    """Back up, restore, check and prune the store: the file of tracked batches, their changes and deliveries."""


@command.command("backup", examples=("store backup backup.sqlite3",), exit_codes={OK: MEANINGS[OK]})
@click.argument("file", type=click.Path(path_type=Path))
@global_options
@click.pass_obj
def backup(context: Context, *, file: Path) -> int:
    """Write all of the store to the new file FILE; services go on meanwhile."""
    with context.store(make=False) as store:
        store.backup(file)
    context.output.info(f"the store is backed up in {file}")
    return OK


@command.command("restore", examples=("store restore backup.sqlite3",), exit_codes={OK: MEANINGS[OK]})
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@global_options
@click.pass_obj
def restore(context: Context, *, file: Path) -> int:
    """Put the backup FILE in the place of the store.

    Services that run on it end and say so. Changes that were delivered after the backup are delivered again, with the
    ids that their receivers know; what has happened since is read anew.
    """
    Store.restore(file, context.store_path())
    context.output.info(f"{context.store_path()} is what it was in {file}; start the services anew")
    return OK


@command.command(
    "check",
    examples=("store check",),
    exit_codes={OK: "the file is sound", IO_ERROR: f"it is damaged; {FOR_ALL[IO_ERROR]}"},
)
@global_options
@click.pass_obj
def check(context: Context) -> int:
    """Check that the file is sound, and count its contents."""
    with context.store(make=False) as store:
        found = store.check()
    if context.output.format == "table":
        click.echo("\n".join(f"{name:<18} {value}" for name, value in found.items()))
    else:
        context.output.print_json(**found)
    return OK if found["integrity_check"] == "ok" else IO_ERROR


@command.command("prune", examples=("store prune --keep 90d",), exit_codes={OK: MEANINGS[OK]})
@option("--keep", type=Duration(), default="90d", show_default=True, help="How long changes are kept.")
@global_options
@click.pass_obj
def prune(context: Context, *, keep: float) -> int:
    """Delete old changes that have arrived everywhere, and batches that have ended; open batches stay."""
    with context.store(make=False) as store:
        gone = store.prune(timedelta(seconds=keep))
    context.output.info(f"{changes(gone)} deleted")
    return OK
