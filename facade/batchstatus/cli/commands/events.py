"""`batchstatus events`: the changes of all batches."""

from __future__ import annotations

import shlex
import time
from datetime import datetime

import click

from batchstatus.cli.context import SESSION
from batchstatus.cli.exit_codes import REACHED
from batchstatus.cli.options import options
from batchstatus.cli.output import note, tell_change
from batchstatus.cli.params import Moment
from batchstatus.cli.signals import code_of_signal

LOOK = 0.5
"""Seconds after which to look for new ones."""
PAGE = 1_000


@click.command("events")
@click.option("-f", "--follow", is_flag=True, help="Go on with those that come, until a signal does.")
@click.option("--since", type=Moment(), help="Only those since 2h ago, or since 2026-01-31T12:00.")
@click.option("--after", metavar="ID", help="Only those after the one with this id.")
@options
def command(*, follow: bool, since: datetime | None, after: str | None) -> int:
    """Show the changes of all batches that the store has, in the order in which they were stored, each in a line.

    It reads the store alone, and asks no vendor.
    """
    try:
        with SESSION.store(make=False) as store:
            while True:
                changes = store.changes(since=since, after=after, limit=PAGE)
                for change in changes:
                    tell_change(change)
                    after = change.id
                if len(changes) < PAGE:
                    if not follow:
                        return REACHED
                    time.sleep(LOOK)
    except KeyboardInterrupt as error:
        behind = ["--after", after] if after else []
        note(f"interrupted; to go on: {shlex.join(['batchstatus', *SESSION.arguments, *behind])}")
        return code_of_signal(error)
