"""`batchstatus doctor`: what has to be right before anything works."""

from __future__ import annotations

import asyncio
import platform
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from batchstatus import (
    AsyncBatchClient,
    AuthenticationError,
    BadRequest,
    BatchNotFound,
    BatchRef,
    BatchStatusError,
    ConfigurationError,
    PermissionDenied,
)
from batchstatus.cli.context import SESSION
from batchstatus.cli.exit_codes import KEY, REACHED, USAGE, VENDOR, code_of, worst
from batchstatus.cli.log import show_log
from batchstatus.cli.options import options
from batchstatus.cli.output import emit
from batchstatus.cli.params import batches

NOBODYS = {"gameball": "0", "believe": "00000000-0000-4000-8000-000000000000"}
"""Ids that no batch has: a 404 says that the key is taken."""
MOST_SKEW = 60.0
"""Seconds by which the clock may be off before deadlines in checkpoints mean another time."""
PACKAGES = ("batchstatus", "httpx", "httpcore", "attrs", "click", "rich")


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Ask no vendor.")
@options
def command(*, offline: bool) -> int:
    """Check keys, endpoints, clock, versions and the store.

    It asks each account for a batch that nobody has: a 404 says that the key is taken.
    """
    show_log()
    codes, found = [], []
    for name, good, what, code in checks(offline=offline):
        codes.append(REACHED if good else code)
        if SESSION.format == "table":
            mark = click.style("ok  ", fg="green") if good else click.style("FAIL", fg="red")
            click.echo(f"{mark} {name:<20} {what}", color=False if SESSION.no_color else None)
        elif SESSION.output == "json":
            found.append({"check": name, "ok": good, "detail": what})
        else:
            emit(check=name, ok=good, detail=what)
    if SESSION.output == "json":
        emit(checks=found)
    return worst(codes)


def checks(*, offline: bool) -> Iterator[tuple[str, bool, str, int]]:
    """Yield the name of each check, whether it is good, what was found, and the exit code if it is not."""
    yield "python", True, f"{platform.python_version()} on {platform.system()}", REACHED
    yield "packages", True, ", ".join(f"{name} {_version(name)}" for name in PACKAGES), REACHED
    assert SESSION.settings is not None, "every command has the global options"
    yield "configuration", True, _found(SESSION.settings.path), REACHED
    yield _store()
    try:
        accounts = SESSION.accounts()
    except BatchStatusError as error:
        yield "keys", False, str(error), code_of(error)
        return
    for account in accounts:
        name = account.account_ref
        yield f"{name} keys", True, f"present, for {account.base_url}", REACHED
        if not offline:
            yield from _reach(name, account.base_url)
            yield _ask(name, account)


def _store() -> tuple[str, bool, str, int]:
    """Look at the store, if there is one: a check makes none."""
    path = SESSION.store_path()
    if not path.exists():
        return "store", True, _found(path), REACHED
    try:
        with SESSION.store() as store:
            found = store.check()
    except ConfigurationError as error:
        return "store", False, str(error), USAGE
    sound = found["integrity_check"] == "ok"
    what = (
        f"{path}: {batches(found['tracked'])}, {found['open']} of them open and {found['troubled']} in trouble; "
        f"{found['changes']} changes, {found['undelivered']} to deliver; {found['watchers']} watchers"
    )
    return "store", sound, what if sound else f"{path}: {found['integrity_check']}", USAGE


def _found(path: Path) -> str:
    return f"{path}{'' if path.exists() else ' (not there)'}"


def _reach(name: str, url: str) -> Iterator[tuple[str, bool, str, int]]:
    """Ask the host for anything, without a key: any answer will do, and its date tells how this clock goes."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 (an account's URL is http or https)
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=10) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
    except (OSError, HTTPException) as error:
        yield f"{name} endpoint", False, f"{url} cannot be reached: {getattr(error, 'reason', error)}", VENDOR
        return
    yield f"{name} endpoint", True, f"{url} answers", REACHED
    try:
        off = (datetime.now(UTC) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (TypeError, ValueError):
        return
    good = abs(off) < MOST_SKEW
    set_it = "" if good else ": one of the two is wrong, and deadlines in checkpoints with it; set this machine's clock"
    yield "clock", good, f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} {url}{set_it}", USAGE


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are not followed, as no client of ours does."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(name: str, account: Any) -> tuple[str, bool, str, int]:
    """Ask for a batch that nobody has."""

    async def ask() -> None:
        async with AsyncBatchClient(account) as client:
            await client.get(BatchRef(account.vendor, account.PROBE_ID, account.name), timeout=15)

    try:
        asyncio.run(ask())
    except (AuthenticationError, PermissionDenied) as error:
        return f"{name} access", False, str(error), KEY
    except (BatchNotFound, BadRequest):
        pass  # who is told that there is no such batch has a key that is taken
    except BatchStatusError as error:
        return f"{name} access", False, str(error), code_of(error)
    return f"{name} access", True, "the key is taken", REACHED


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
