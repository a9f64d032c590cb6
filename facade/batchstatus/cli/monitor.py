"""The options of `run --http`, and the server behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from batchstatus import Account, ConfigurationError
from batchstatus.cli import in_checkout
from batchstatus.cli.options import option
from batchstatus.service import Store

if TYPE_CHECKING:
    from batchstatus.service.http import Monitor

F = TypeVar("F", bound=Callable[..., Any])


def monitor_options(command: F) -> F:
    """Add the options to a command."""
    for add in (
        option("--http-remote", is_flag=True, help="Let --http listen off loopback. It has no password."),
        option(
            "--http-host",
            metavar="HOST",
            multiple=True,
            help="A name of this machine or of a proxy by which browsers ask for the page; loopback needs none.",
        ),
        option("--http", metavar="ADDRESS", help="Serve a page, /metrics, /livez, /readyz: 127.0.0.1:9464."),
    ):
        command = add(command)
    return command


@contextmanager
def listening(
    store: Store, accounts: Sequence[Account], *, address: str | None, hosts: Sequence[str], remote: bool
) -> Iterator[Monitor | None]:
    """Have a monitor that listens, if there is an address to listen on."""
    if address is None:
        if hosts or remote:
            raise ConfigurationError("--http-host and --http-remote need --http, such as --http 127.0.0.1:9464")
        yield None
        return
    try:
        from batchstatus.service.http import Monitor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(f"--http: {error}. {in_checkout('http')}") from None
    with Monitor(store, accounts, address, hosts=hosts, remote=remote) as monitor:
        yield monitor


def observers(monitor: Monitor | None) -> dict[str, Any]:
    """Return the arguments of a watcher that tell a monitor of polls and deliveries."""
    return {} if monitor is None else {"on_event": monitor.on_event, "on_delivery": monitor.on_delivery}
