"""`batchstatus events`: the changes of all batches."""

from __future__ import annotations

import shlex
import time
from datetime import datetime

import click

from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import OK
from batchstatus.cli.options import global_options, option, selection
from batchstatus.cli.output import check_reader
from batchstatus.cli.params import Timestamp
from batchstatus.cli.signals import code_of_signal

LOOK = 0.5
"""Seconds after which to look for new ones."""
PAGE = 1_000


@click.command("events")
@option("-f", "--follow", is_flag=True, help="Go on with those that come, until a signal does.")
@option("--since", type=Timestamp(), help="Only those since 2h ago, or since 2026-01-31T12:00.")
@option("--after", metavar="ID", help="Only those after the one with this id.")
@selection("change")
@global_options
@click.pass_obj
def command(context: Context, *, follow: bool, since: datetime | None, after: str | None) -> int:
    """Show the changes of all batches that the store has, in the order in which they were stored, each in a line.

    It reads the store alone, and asks no vendor.
    """
    try:
        with context.store(to_read=True) as store:
            while True:
                changes = store.changes(since=since, after=after, limit=PAGE)
                context.output.print_changes(changes)
                after = changes[-1].id if changes else after
                if len(changes) < PAGE:
                    if not follow:
                        return OK
                    time.sleep(LOOK)
                    check_reader()
    except KeyboardInterrupt as error:
        behind = ["--after", after] if after else []
        context.output.info(f"interrupted; to go on: {shlex.join(['batchstatus', *context.arguments, *behind])}")
        return code_of_signal(error)
