"""`batchstatus events`: the changes of all batches."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from datetime import datetime

import click

from batchstatus.cli.completion import change_ids
from batchstatus.cli.context import Context
from batchstatus.cli.destinations import DeliveryOptions, delivery_options
from batchstatus.cli.exit_codes import MEANINGS, OK, VENDOR
from batchstatus.cli.help import Command
from batchstatus.cli.log import show_log
from batchstatus.cli.options import global_options, option, selection
from batchstatus.cli.output import check_reader
from batchstatus.cli.params import Timestamp, changes
from batchstatus.cli.signals import code_of_signal, run_tasks
from batchstatus.service import Change, Store

LOOK = 0.5
"""Seconds after which to look for new ones."""
PAGE = 1_000


@click.command(
    "events",
    cls=Command,
    examples=("events --follow", "events --since 2h -o ndjson", "events --since 2h --deliver https://example.com/hook"),
    exit_codes={OK: MEANINGS[OK], VENDOR: "with --deliver: a change was refused, or did not arrive"},
)
@option("-f", "--follow", is_flag=True, help="Go on with those that come, until a signal does.")
@option("--since", type=Timestamp(), help="Only those since then, such as 2h.")
@option("--after", metavar="ID", shell_complete=change_ids, help="Only those after the one with this id.")
@option("--deliver", "url", metavar="URL", help="POST them there again instead, in their order.")
@delivery_options
@selection("change")
@global_options
@click.pass_obj
def command(
    context: Context,
    *,
    follow: bool,
    since: datetime | None,
    after: str | None,
    url: str | None,
    delivering: DeliveryOptions,
) -> int:
    """Show the changes of all batches that the store has, in the order in which they were stored, each in a line.

    It reads the store alone, and asks no vendor. With --deliver it delivers them again, with the ids that receivers
    know; what waits for the destinations of batchstatus run stays as it is.
    """
    if url is not None and (follow or url == "-"):
        raise click.UsageError("events --deliver URL delivers what is stored; batchstatus run --deliver goes on")
    try:
        with context.store(to_read=True) as store:
            if url is not None:
                stored = filter(delivering.takes, filter(context.output.takes, _stored(store, since, after)))
                return _replay(context, stored, url, delivering)
            while True:
                found = store.changes(since=since, after=after, limit=PAGE)
                after = found[-1].id if found else after
                context.output.print_changes(filter(delivering.takes, found))
                if len(found) < PAGE:
                    if not follow:
                        return OK
                    time.sleep(LOOK)
                    check_reader()
    except KeyboardInterrupt as error:
        if url is not None:  # it may hold a secret
            raise
        behind = ["--after", after] if after else []
        context.output.info(f"interrupted; to go on: {shlex.join(['batchstatus', *context.arguments, *behind])}")
        return code_of_signal(error)


def _stored(store: Store, since: datetime | None, after: str | None) -> Iterator[Change]:
    """Yield the changes that the store has now, page by page."""
    newest = datetime.now().astimezone()
    while found := store.changes(since=since, after=after, limit=PAGE):
        after = found[-1].id
        yield from (change for change in found if change.at <= newest)


def _replay(context: Context, stored: Iterator[Change], url: str, delivering: DeliveryOptions) -> int:
    from batchstatus.cli.replay import Replay, replay  # noqa: PLC0415

    show_log(context.output)
    deliver, done, code = delivering.to_url(url), Replay(), OK
    try:
        run_tasks(replay(stored, deliver, context.output.error, done))
    except KeyboardInterrupt as error:
        done.failure, code = "interrupted", code_of_signal(error)
    if context.output.format in {"json", "ndjson"}:
        fields = {"delivered": done.delivered, "refused": done.refused, "last": done.last}
        context.output.print_json(**fields, complete=done.failure is None)
    refused = f", {done.refused} refused" if done.refused else ""
    context.output.info(f"{changes(done.delivered)} delivered{refused}")
    if done.failure is not None:
        behind = f"; --after {done.last} goes on" if done.last else ""  # the whole command may hold a secret URL
        context.output.error(f"{done.failure}{behind}")
    return code or (OK if done.failure is None and not done.refused else VENDOR)
