"""`batchstatus doctor`: check the requirements for everything else."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator
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
)
from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import AUTH, OK, USAGE, VENDOR, code_of, combine
from batchstatus.cli.log import show_log
from batchstatus.cli.options import global_options, option
from batchstatus.cli.params import batches

MAX_SKEW = 60.0
"""Seconds by which the clock may be off before deadlines in checkpoints mean another time."""
PACKAGES = ("batchstatus", "httpx", "httpcore", "attrs", "click", "rich")


@frozen
class Check:
    """One check, and the exit code that it gives."""

    name: str
    detail: str
    code: int = OK


@click.command("doctor")
@option("--offline", is_flag=True, help="Ask no vendor.")
@global_options
@click.pass_obj
def command(context: Context, *, offline: bool) -> int:
    """Check keys, endpoints, clock, versions and the store.

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
            click.echo(f"{mark} {check.name:<20} {check.detail}", color=False if output.no_color else None)
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
    assert context.settings is not None, "every command has the global options"
    yield Check("configuration", _described(context.settings.path))
    yield _check_store(context)
    try:
        accounts = context.accounts()
    except BatchStatusError as error:
        yield Check("keys", str(error), code_of(error))
        return
    for account in accounts:
        yield Check(f"{account.account_ref} keys", f"present, for {account.base_url}")
        if not offline:
            yield from _check_account(account)


def _check_store(context: Context) -> Check:
    """Check the store, if there is one: this makes none."""
    path = context.store_path()
    if not path.exists():
        return Check("store", _described(path))
    try:
        with context.store(to_read=True) as store:
            found = store.check()
    except ConfigurationError as error:
        return Check("store", str(error), USAGE)
    if found["integrity_check"] != "ok":
        return Check("store", f"{path}: {found['integrity_check']}", USAGE)
    return Check(
        "store",
        f"{path}: {batches(found['tracked'])}, {found['open']} of them open and {found['troubled']} in trouble; "
        f"{found['changes']} changes, {found['undelivered']} to deliver; {found['watchers']} watchers",
    )


def _check_account(account: Account) -> Iterator[Check]:
    """Ask the vendor for a batch that does not exist; its response shows the time there, too."""

    async def ask() -> AccountCheck:
        async with AsyncBatchClient(account) as client:
            (check,) = await client.check()
            return check

    name, url, check = account.account_ref, account.base_url, asyncio.run(ask())
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
