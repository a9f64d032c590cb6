"""`batchstatus run`: the watcher as a service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from batchstatus import Account, ConfigurationError
from batchstatus.cli.context import Context, check_keys
from batchstatus.cli.destinations import STDOUT, DeliveryOptions, delivery_options
from batchstatus.cli.exit_codes import AUTH, MEANINGS, OK, READ, TERMINATED, VENDOR, code_of, combine
from batchstatus.cli.help import Command
from batchstatus.cli.log import FORMATS, json_line, show_log, text_line
from batchstatus.cli.monitor import listening, monitor_options, observers
from batchstatus.cli.options import global_options, max_body, option
from batchstatus.cli.params import Duration, Word, batches, changes, humanize
from batchstatus.cli.signals import Terminated, on_signal, run_tasks
from batchstatus.service import Change, Delivery, Store, Watcher
from batchstatus.service.systemd import keep_watchdog, notify

if TYPE_CHECKING:
    from batchstatus.service.http import Monitor

UNSERVED = timedelta(minutes=5)
"""After which a destination that no run has is told of."""


@click.command(
    "run",
    cls=Command,
    examples=("run --deliver https://example.com/hook", "run --once --timeout 5m", "run --keep 90d --http 9464"),
    exit_codes={
        OK: "SIGTERM came; with --once: all were read and delivered",
        **{code: f"with --once: {meaning}" for code, meaning in READ.items()},
        VENDOR: f"with --once: {MEANINGS[VENDOR]}, or changes do not arrive",
        AUTH: f"there are no keys; with --once: {MEANINGS[AUTH]}",
        TERMINATED: "SIGTERM, with --once",
    },
)
@option("--once", is_flag=True, help="Read each open batch once, deliver the changes, and exit.")
@option(
    "--deliver",
    "urls",
    metavar="URL",
    multiple=True,
    help="POST each change there; - writes it to stdout. May be given several times: each has an outbox of its own. "
    "BATCHSTATUS_RUN_DELIVER keeps URLs from ps.",
)
@option("--timeout", type=Duration(), default="10m", show_default=True, help="With --once, for all of it.")
@option("--keep", type=Duration(), help="Delete changes that are older and have arrived everywhere, such as 90d.")
@delivery_options
@monitor_options
@option("--log-format", type=Word(FORMATS), help="Of stderr: text has times and levels; json an object a line.")
@max_body
@global_options
@click.pass_obj
def command(
    context: Context,
    *,
    once: bool,
    urls: tuple[str, ...],
    timeout: float,
    keep: float | None,
    delivering: DeliveryOptions,
    log_format: str | None,
    http: str | None,
    http_host: tuple[str, ...],
    http_remote: bool,
) -> int:
    """Follow tracked batches, and deliver each change, until a signal comes.

    Any number of these may run on one store: they share the work. Each change is delivered to each destination at
    least once, and again until it has arrived; its id, in the header Idempotency-Key too, identifies repeats. Without
    --deliver, changes are kept in the store alone: batchstatus events --follow shows them. SIGTERM ends it with 0.
    """
    if log_format or not once:
        is_json = log_format == "json" or (log_format is None and context.output.requested == "json")
        context.output.line = json_line if is_json else text_line
    if once and http and click.get_current_context().get_parameter_source("http") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--once ends by itself, and serves no --http")
    accounts = context.accounts()
    show_log(context.output)
    with context.store() as store:
        deliver = {STDOUT if url == "-" else store.destination_name(url): delivering.to(url) for url in urls}
        _tell_unserved(context, store, deliver)
        if once:
            return run_tasks(_once(context, store, accounts, deliver, timeout))
        try:
            with listening(store, accounts, address=http, hosts=http_host, remote=http_remote) as monitor:
                return run_tasks(_serve(context, store, accounts, deliver, keep=keep, monitor=monitor))
        except Terminated:  # before it handled signals itself, or where event loops handle none
            context.output.info("interrupted")
            return OK


def _tell_unserved(context: Context, store: Store, served: Mapping[str, Delivery]) -> None:
    """Tell of destinations for which changes pile up: those that are stopped, or that no run has."""
    long_ago = datetime.now(UTC) - UNSERVED
    for found in store.destinations():
        if found.stopped_at is not None:
            context.output.info(
                f"the destination {found.name} is stopped since {found.stopped_at:%Y-%m-%d %H:%M} UTC, as it wants no "
                f"more changes ({found.reason}): batchstatus deliveries retry {found.name} starts it again",
                fields={"destination": found.name},
            )
        elif found.waiting and found.name not in served and found.served_at < long_ago:
            context.output.info(
                f"{changes(found.waiting)} for the destination {found.name} wait, and no run has had it since "
                f"{found.served_at:%Y-%m-%d %H:%M} UTC; if it is no more: batchstatus deliveries drop {found.name}",
                fields={"destination": found.name},
            )


async def _serve(
    context: Context,
    store: Store,
    accounts: Sequence[Account],
    deliver: Mapping[str, Delivery],
    *,
    keep: float | None,
    monitor: Monitor | None,
) -> int:
    """Run until a signal comes, or the reader of stdout leaves; a second signal ends it at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    broken: list[BrokenPipeError] = []

    def note(error: BrokenPipeError) -> None:
        broken.append(error)
        loop.call_soon_threadsafe(stop.set)

    watcher = Watcher(
        store,
        accounts,
        deliver=_noting_broken_pipes(deliver, note),
        keep=None if keep is None else timedelta(seconds=keep),
        **context.policies(),
        **observers(monitor),
    )

    def end() -> None:
        if stop.is_set():
            service.cancel()
        stop.set()
        notify("STOPPING=1")

    async with nullcontext() if monitor is None else monitor.serving(watcher):
        service = asyncio.ensure_future(watcher.run(stop))
        came = on_signal(end)
        watchdog = asyncio.ensure_future(keep_watchdog(watcher.health.is_alive))
        context.output.info(f"following the batches tracked in {store.path}, {_left(store)}; Ctrl-C ends it")
        if monitor is not None:
            context.output.info(f"{monitor.url} shows them")
        if deliver:  # in the order of --deliver: a name tells nothing about its URL
            context.output.info(
                f"changes go to {', '.join(deliver)}: batchstatus deliveries list shows how they arrive"
            )
        else:
            context.output.info("no --deliver is given: batchstatus events --follow shows the changes")
        notify("READY=1")
        try:
            await service
        except asyncio.CancelledError:
            if not came:
                raise
        finally:
            watchdog.cancel()
    if broken:
        raise broken[0]
    context.output.info(f"stopped; {_left(store)}; the same command goes on")
    return OK if came[0] == TERMINATED else came[0]  # systemd and others end a service by SIGTERM


def _noting_broken_pipes(
    deliver: Mapping[str, Delivery], note: Callable[[BrokenPipeError], None]
) -> dict[str, Delivery]:
    """Return deliveries that tell if the reader of stdout has left."""
    found = dict(deliver)
    if (to_stdout := found.get(STDOUT)) is not None:
        found[STDOUT] = _Noting(to_stdout, note)
    return found


class _Noting:
    """A delivery to stdout, one line at a time."""

    in_flight = 1

    def __init__(self, deliver: Delivery, note: Callable[[BrokenPipeError], None]) -> None:
        self._deliver = deliver
        self._note = note
        self.only = getattr(deliver, "only", None)

    def __call__(self, change: Change) -> None:
        try:
            self._deliver(change)
        except BrokenPipeError as error:
            self._note(error)
            raise


async def _once(
    context: Context, store: Store, accounts: Sequence[Account], deliver: Mapping[str, Delivery], timeout: float
) -> int:
    codes = [OK]
    try:
        check_keys([str(tracked.ref) for tracked in store.tracked(open_only=True)], accounts)
    except ConfigurationError as error:
        context.output.error(error)
        codes.append(code_of(error))
    watcher = Watcher(store, accounts, deliver=deliver, **context.policies())
    found = await watcher.once(timeout=timeout)
    if not deliver:
        for change in found:
            context.output.print_change(change)
    errors = [error for error in watcher.unread.values() if error is not None]
    context.output.errors(errors, "batches could not be read")
    codes += map(code_of, errors)
    if left := len(watcher.unread) - len(errors):
        context.output.error(f"{batches(left)} could not be read within {humanize(timeout)}; the next run reads them")
        codes.append(VENDOR)
    mine = [each for each in store.destinations() if each.name in deliver]
    if late := sum(each.waiting for each in mine if each.stopped_at is None):
        context.output.error(f"{changes(late)} could not be delivered; the next run tries again")
        codes.append(VENDOR)
    for each in mine:
        if each.stopped_at is not None or each.set_aside:
            why = "is stopped" if each.stopped_at is not None else f"has {changes(each.set_aside)} set aside"
            context.output.error(
                f"the destination {each.name} {why}: batchstatus deliveries list {each.name}",
                fields={"destination": each.name},
            )
            codes.append(VENDOR)
    return combine(codes)


def _left(store: Store) -> str:
    counts = store.summary()
    late = f", {changes(counts['undelivered'])} to deliver" if counts["undelivered"] else ""
    return f"{batches(counts['open'])} open{late}"
