"""`batchstatus run`: the watcher as a service."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from batchstatus import BatchRef, BatchStatusError, ConfigurationError, Event, EventKind
from batchstatus.cli.context import SESSION
from batchstatus.cli.exit_codes import REACHED, VENDOR, code_of, worst
from batchstatus.cli.log import show_log
from batchstatus.cli.options import options
from batchstatus.cli.output import note, say, say_all, tell_change
from batchstatus.cli.params import Span, batches, changes
from batchstatus.cli.signals import on_signal
from batchstatus.service import Delivery, Watcher, to_url
from batchstatus.service.store import Change, Store


@click.command("run")
@click.option("--once", is_flag=True, help="Read each open batch once, deliver what has changed, and leave.")
@click.option(
    "--deliver",
    metavar="URL",
    help="POST each change there instead of printing it. BATCHSTATUS_RUN_DELIVER keeps it from ps.",
)
@click.option("--timeout", type=Span(), default="10m", show_default=True, help="With --once, for reading all of them.")
@options
def command(*, once: bool, deliver: str | None, timeout: float) -> int:
    """Follow what is tracked, and deliver each change, until a signal comes.

    Any number of these may run on one store: they share the work. Each change is delivered at least once, and again
    until it has arrived; its id, in the header Idempotency-Key too, tells repeats.
    """
    accounts = SESSION.accounts()
    show_log()
    with SESSION.store() as store:
        if once:
            return asyncio.run(_once(store, accounts, to_url(deliver) if deliver else tell_change, timeout))
        return asyncio.run(_serve(store, accounts, deliver))


async def _serve(store: Store, accounts: list[Any], url: str | None) -> int:
    """Run until a signal comes, or the reader of stdout leaves; a second signal ends it without farewell."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    broken: list[BrokenPipeError] = []

    def to_stdout(change: Change) -> None:
        try:
            tell_change(change)
        except BrokenPipeError as error:
            broken.append(error)
            loop.call_soon_threadsafe(stop.set)
            raise

    watcher = (
        Watcher(store, accounts, deliver=to_url(url))
        if url
        else Watcher(store, accounts, deliver=to_stdout, in_flight=1)  # one at a time: in their order
    )
    service = asyncio.ensure_future(watcher.run(stop))
    came = on_signal(lambda: service.cancel() if stop.is_set() else stop.set())
    note(f"following what {store.path} tracks, {_left(store)}; Ctrl-C ends it")
    try:
        await service
    except asyncio.CancelledError:
        if not came:
            raise
    if broken:
        raise broken[0]
    note(f"stopped; {_left(store)}; the same command goes on")
    return came[0]


async def _once(store: Store, accounts: list[Any], deliver: Delivery, timeout: float) -> int:
    codes = [REACHED]
    try:
        SESSION.check_keys([str(tracked.ref) for tracked in store.tracked(open_only=True)], accounts)
    except ConfigurationError as error:
        say(error)
        codes.append(code_of(error))
    errors: dict[BatchRef, BatchStatusError] = {}

    def keep(event: Event) -> None:
        if event.kind is EventKind.DONE and event.error is not None:
            errors[event.ref] = event.error

    await Watcher(store, accounts, deliver=deliver, on_event=keep).once(timeout=timeout)
    unread = [errors[tracked.ref] for tracked in store.tracked(open_only=True) if tracked.ref in errors]
    say_all(unread, "batches could not be read")
    codes += map(code_of, unread)
    if late := store.counts()["undelivered"]:
        say(f"{changes(late)} could not be delivered; the next run tries again")
        codes.append(VENDOR)
    return worst(codes)


def _left(store: Store) -> str:
    counts = store.counts()
    late = f", {changes(counts['undelivered'])} to deliver" if counts["undelivered"] else ""
    return f"{batches(counts['open'])} open{late}"
