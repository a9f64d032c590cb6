"""`batchstatus doctor`: check the requirements for everything else."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
from attrs import frozen

from batchstatus import (
    Account,
    AccountCheck,
    APIError,
    AsyncBatchClient,
    AuthenticationError,
    BatchStatusError,
    ConfigurationError,
    PermissionDenied,
    printable,
)
from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import AUTH, MEANINGS, OK, USAGE, VENDOR, code_of, combine
from batchstatus.cli.help import Command
from batchstatus.cli.log import show_log
from batchstatus.cli.options import global_options, option
from batchstatus.cli.params import batches, changes, humanize
from batchstatus.cli.signals import run_tasks
from batchstatus.service import Destination
from batchstatus.vendors import VENDORS

LATE = timedelta(minutes=10)
"""After which a change should have arrived, and an open batch should have been read."""
MAX_SKEW = 60.0
"""Seconds by which the clock may be off before deadlines in checkpoints mean another time."""
PACKAGES = ("batchstatus", "httpx", "httpcore", "attrs", "click", "rich")


@frozen
class Check:
    """One check, and the exit code that it gives."""

    name: str
    detail: str
    code: int = OK


@click.command(
    "doctor",
    cls=Command,
    examples=("doctor", "doctor --offline -o json"),
    exit_codes={
        OK: "all is well",
        AUTH: MEANINGS[AUTH],
        VENDOR: f"{MEANINGS[VENDOR]}; no watcher runs, or changes do not arrive",
    },
)
@option("--offline", is_flag=True, help="Ask no vendor.")
@global_options
@click.pass_obj
def command(context: Context, *, offline: bool) -> int:
    """Check keys, endpoints, clock, versions, the store and its deliveries.

    It asks each account for a batch that does not exist: a 404 proves that the key was accepted.
    """
    output = context.output
    show_log(output)
    codes, found = [], []
    for check in checks(context, offline=offline):
        codes.append(check.code)
        good = check.code == OK
        if output.format == "table":
            mark = click.style("ok  ", fg="green") if good else click.style("FAIL", fg="red")
            click.echo(f"{mark} {check.name:<21} {check.detail}", color=False if output.no_color else None)
        else:
            found.append({"check": check.name, "ok": good, "detail": check.detail})
            if output.requested != "json":
                output.print_json(**found[-1])
    if output.requested == "json":
        output.print_json(checks=found)
    return combine(codes)


def checks(context: Context, *, offline: bool) -> Iterator[Check]:
    """Yield the checks, one after the other."""
    yield Check("python", f"{platform.python_version()} on {platform.system()}")
    yield Check("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    packages: dict[str, list[str]] = {}
    for name in VENDORS:
        packages.setdefault(VENDORS.package(name), []).append(name)
    yield Check("vendors", "; ".join(f"{', '.join(names)} ({package})" for package, names in packages.items()))
    for problem in VENDORS.problems():
        yield Check("vendors", problem, USAGE)
    assert context.settings is not None, "every command has the global options"
    yield Check("configuration", _described(context.settings.path))
    yield from _check_store(context)
    try:
        accounts = context.accounts()
    except BatchStatusError as error:
        yield Check("keys", str(error), code_of(error))
        return
    for account in accounts:
        yield Check(f"{account.account_ref} keys", f"present, for {account.base_url}")
        if not offline:
            yield from _check_account(account)


def _check_store(context: Context) -> Iterator[Check]:
    """Check the store, if there is one: this makes none."""
    path = context.store_path()
    if not path.exists():
        yield Check("store", _described(path))
        return
    try:
        with context.store(to_read=True) as store:
            found, destinations, unread_since = store.check(), store.destinations(), store.unread_since()
    except ConfigurationError as error:
        yield Check("store", str(error), USAGE)
        return
    if found["integrity_check"] != "ok":
        yield Check("store", f"{path}: {found['integrity_check']}", USAGE)
        return
    yield Check(
        "store",
        f"{path}: {batches(found['tracked'])}, {found['open']} of them open and {found['troubled']} in trouble; "
        f"{found['changes']} changes, {found['undelivered']} to deliver; {found['watchers']} watchers",
    )
    if unread_since is not None and datetime.now(UTC) - unread_since > LATE:
        detail = (
            f"no watcher runs, and {batches(found['open'])} open, unread since {unread_since:%Y-%m-%d %H:%M} UTC: "
            "start batchstatus run, or its timer"
        )
        yield Check("service", detail, VENDOR)
    yield from map(_check_destination, destinations)


def _check_destination(found: Destination) -> Check:
    """Check whether changes arrive at a destination."""
    name, faults = f"delivery {printable(found.name)}", []
    if found.stopped_at is not None:
        faults.append(f"stopped since {found.stopped_at:%Y-%m-%d %H:%M} UTC, as it wants no more changes")
    if found.oldest_age > LATE.total_seconds():
        faults.append(f"{changes(found.waiting)} to deliver, the oldest for {humanize(found.oldest_age)}")
    if found.set_aside:
        faults.append(f"{changes(found.set_aside)} set aside")
    if not faults:
        return Check(name, f"{changes(found.waiting)} to deliver" if found.waiting else "everything has arrived")
    last = f" (last failure: {found.reason})" if found.reason else ""
    advice = f"batchstatus deliveries list {found.name}; then retry or drop"
    if found.stopped_at is None and not found.set_aside and datetime.now(UTC) - found.served_at > LATE:
        advice = f"no run has it since {found.served_at:%Y-%m-%d %H:%M} UTC: start one, or deliveries drop {found.name}"
    return Check(name, f"{'; '.join(faults)}{last}: {advice}", VENDOR)


def _check_account(account: Account) -> Iterator[Check]:
    """Ask the vendor for a batch that does not exist; its response shows the time there, too."""

    async def ask() -> AccountCheck:
        async with AsyncBatchClient(account) as client:
            (check,) = await client.check()
            return check

    name, url, check = account.account_ref, account.base_url, run_tasks(ask())
    if isinstance(check.error, BatchStatusError) and not isinstance(check.error, APIError):
        yield Check(f"{name} endpoint", f"{url}: {check.error.detail}", VENDOR)
        return
    yield Check(f"{name} endpoint", f"{url} answers")
    if (off := check.clock_offset) is not None:
        advice = ": one of the two clocks is wrong, and deadlines in checkpoints with it; set this machine's"
        stands = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} {url}"
        yield Check("clock", stands) if abs(off) < MAX_SKEW else Check("clock", stands + advice, USAGE)
    if check.error is None:
        yield Check(f"{name} access", "the key is accepted")
    else:
        refused = isinstance(check.error, (AuthenticationError, PermissionDenied))
        yield Check(f"{name} access", str(check.error), AUTH if refused else code_of(check.error))


def _described(path: Path) -> str:
    return f"{path}{'' if path.exists() else ' (not there)'}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
