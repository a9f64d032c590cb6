"""`batchstatus run`: the watcher as a service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from batchstatus import Account, BatchRef, BatchStatusError, ConfigurationError, Event, EventKind
from batchstatus.cli.context import Context, check_keys
from batchstatus.cli.exit_codes import OK, VENDOR, code_of, combine
from batchstatus.cli.log import show_log
from batchstatus.cli.options import global_options, max_body, option
from batchstatus.cli.params import Duration, batches, changes
from batchstatus.cli.signals import on_signal
from batchstatus.service import Change, Delivery, Store, Watcher, to_url


@click.command("run")
@option("--once", is_flag=True, help="Read each open batch once, deliver the changes, and exit.")
@option(
    "--deliver",
    metavar="URL",
    help="POST each change there instead of printing it. BATCHSTATUS_RUN_DELIVER keeps it from ps.",
)
@option("--timeout", type=Duration(), default="10m", show_default=True, help="With --once, for reading all of them.")
@max_body
@global_options
@click.pass_obj
def command(context: Context, *, once: bool, deliver: str | None, timeout: float) -> int:
    """Follow tracked batches, and deliver each change, until a signal comes.

    Any number of these may run on one store: they share the work. Each change is delivered at least once, and again
    until it has arrived; its id, in the header Idempotency-Key too, identifies repeats.
    """
    accounts = context.accounts()
    show_log(context.output)
    with context.store() as store:
        if once:
            deliver_to = to_url(deliver) if deliver else context.output.print_change
            return asyncio.run(_once(context, store, accounts, deliver_to, timeout))
        return asyncio.run(_serve(context, store, accounts, deliver))


async def _serve(context: Context, store: Store, accounts: Sequence[Account], url: str | None) -> int:
    """Run until a signal comes, or the reader of stdout leaves; a second signal ends it at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    broken: list[BrokenPipeError] = []

    def to_stdout(change: Change) -> None:
        try:
            context.output.print_change(change)
        except BrokenPipeError as error:
            broken.append(error)
            loop.call_soon_threadsafe(stop.set)
            raise

    policies = context.policies()
    watcher = (
        Watcher(store, accounts, deliver=to_url(url), **policies)
        if url
        else Watcher(store, accounts, deliver=to_stdout, in_flight=1, **policies)  # one at a time: in their order
    )
    service = asyncio.ensure_future(watcher.run(stop))
    came = on_signal(lambda: service.cancel() if stop.is_set() else stop.set())
    context.output.info(f"following the batches tracked in {store.path}, {_left(store)}; Ctrl-C ends it")
    try:
        await service
    except asyncio.CancelledError:
        if not came:
            raise
    if broken:
        raise broken[0]
    context.output.info(f"stopped; {_left(store)}; the same command goes on")
    return came[0]


async def _once(context: Context, store: Store, accounts: Sequence[Account], deliver: Delivery, timeout: float) -> int:
    codes = [OK]
    try:
        check_keys([str(tracked.ref) for tracked in store.tracked(open_only=True)], accounts)
    except ConfigurationError as error:
        context.output.error(error)
        codes.append(code_of(error))
    errors: dict[BatchRef, BatchStatusError] = {}

    def keep(event: Event) -> None:
        if event.kind is EventKind.DONE and event.error is not None:
            errors[event.ref] = event.error

    await Watcher(store, accounts, deliver=deliver, on_event=keep, **context.policies()).once(timeout=timeout)
    unread = [errors[tracked.ref] for tracked in store.tracked(open_only=True) if tracked.ref in errors]
    context.output.errors(unread, "batches could not be read")
    codes += map(code_of, unread)
    if late := store.counts()["undelivered"]:
        context.output.error(f"{changes(late)} could not be delivered; the next run tries again")
        codes.append(VENDOR)
    return combine(codes)


def _left(store: Store) -> str:
    counts = store.counts()
    late = f", {changes(counts['undelivered'])} to deliver" if counts["undelivered"] else ""
    return f"{batches(counts['open'])} open{late}"
