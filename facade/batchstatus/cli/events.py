"""`batchstatus events`: the changes of all batches."""

from __future__ import annotations

from datetime import datetime

import click

from ._exit import REACHED
from ._options import options
from ._session import SESSION
from ._signals import catch
from ._time import Moment

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
    with SESSION.store(make=False) as store:
        over, came = catch()
        while not came:
            changes = store.changes(since=since, after=after, limit=PAGE)
            for change in changes:
                SESSION.tell_change(change)
                after = change.id
            if len(changes) < PAGE:
                if not follow:
                    return REACHED
                over.wait(LOOK)
    words = ["batchstatus events", *(["--follow"] if follow else []), *([f"--after '{after}'"] if after else [])]
    SESSION.note(f"interrupted; to go on: {' '.join(words)}")
    return came[0]
