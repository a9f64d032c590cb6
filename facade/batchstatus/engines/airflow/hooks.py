"""From a connection of Airflow to an account and its client."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from airflow.sdk import BaseHook, Connection

from batchstatus import Account, BatchClient, ConfigurationError, KeySource
from batchstatus.paces import paced
from batchstatus.vendors import VENDORS


class BatchStatusHook(BaseHook):
    """A client with the account of one connection; each vendor has a subclass: see `hook_for`.

    The connection's password is the vendor's first key. The extra fields are its other parameters, such as
    `secret_key`, and `pace_conn_id`, the id of a Redis or Postgres connection in which all machines share the account's
    pace. A host is needed only if the API is not at the vendor's own address.

    Args:
        conn_id: The connection's id; default: the vendor's name with `_default`. Airflow gives it by the vendor's name
            with `_conn_id`.
    """

    ACCOUNT: ClassVar[type[Account]]
    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]

    def __init__(self, conn_id: str | None = None, **named: str) -> None:
        super().__init__()
        if unknown := named.keys() - {self.conn_name_attr}:
            raise TypeError(f"{type(self).__name__} takes {self.conn_name_attr}, not {', '.join(sorted(unknown))}")
        self._conn_id = named.get(self.conn_name_attr) or conn_id or self.default_conn_name

    def get_conn(self) -> BatchClient:
        """Return a client with the account, which is the caller's to close.

            with hook_for("shop")().get_conn() as client:
                print(client.get("shop:1748392"))

        Raises:
            ConfigurationError: The connection cannot work.
        """
        connection = self.get_connection(self._conn_id)
        account = account_of(self.ACCOUNT, connection, keys_of(self.ACCOUNT, connection))
        if pace := pace_conn_id(connection):
            (account,) = paced(pace_url(self.get_connection(pace)), [account], in_threads=True)
        return BatchClient(account)

    def test_connection(self) -> tuple[bool, str]:
        """Ask the vendor once, for a batch that does not exist: whether it is there and accepts the keys."""
        try:
            with self.get_conn() as client:
                (found,) = client.check()
        except Exception as error:  # noqa: BLE001 (whatever it is, the button says it)
            return False, str(error)
        if found.error is not None:
            return False, found.error.detail
        return True, f"{self.ACCOUNT.__name__} accepts the keys"


@functools.cache
def hook_for(vendor: str) -> type[BatchStatusHook]:
    """Return the hook of a vendor, named after its account's class; raise ConfigurationError if there is none."""
    if vendor not in VENDORS:
        raise ConfigurationError(f"Airflow has connections for {' and '.join(VENDORS)}, and none for {vendor}")
    account = VENDORS[vendor]
    parts = {
        "__module__": __name__,
        "__doc__": f"Reads batches at {account.__name__}, with a connection of the type `{vendor}`.",
        "ACCOUNT": account,
        "conn_name_attr": f"{vendor}_conn_id",
        "default_conn_name": f"{vendor}_default",
        "conn_type": vendor,
        "hook_name": account.__name__,
    }
    return cast("type[BatchStatusHook]", type(f"{account.__name__}Hook", (BatchStatusHook,), parts))


def __getattr__(name: str) -> Any:
    """Return a vendor's hook by its class's name, by which Airflow imports it."""
    for vendor, account in VENDORS.usable().items() if name.endswith("Hook") else ():
        if name == f"{account.__name__}Hook":
            return hook_for(vendor)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def keys_of(kind: type[Account], connection: Connection) -> dict[str, str]:
    """Return the keys that a connection holds, by the account's parameter; raise ConfigurationError without all."""
    _check_type(kind, connection)
    extra = _extra(connection)
    first, *others = kind.KEY_HEADERS
    keys = {first: connection.password, **{name: extra.get(name) for name in others}}
    if missing := [name for name, key in keys.items() if not isinstance(key, str) or not key]:
        where = "password" if missing[0] == first else f"extra field {missing[0]!r}"
        del keys, extra  # tracebacks with local variables must not show them
        raise ConfigurationError(f"the connection {connection.conn_id!r} lacks {missing[0]}: set its {where}")
    return {name: str(key) for name, key in keys.items()}


def account_of(
    kind: type[Account], connection: Connection, keys: Mapping[str, KeySource], *, name: str | None = None
) -> Account:
    """Return the account of a connection; raise ConfigurationError without a setting that it must have."""
    extra = _extra(connection)
    settings = {setting: extra.get(setting) or default for setting, default in kind.SETTINGS.items()}
    if missing := [setting for setting, value in settings.items() if value is None]:
        raise ConfigurationError(
            f"the connection {connection.conn_id!r} lacks {missing[0]}: set its extra field {missing[0]!r}"
        )
    make: Callable[..., Account] = kind
    return make(**keys, **settings, base_url=_base_url(connection), name=name)


def pace_conn_id(connection: Connection) -> str | None:
    """Return the id of the connection with the account's pace."""
    found = _extra(connection).get("pace_conn_id")
    return str(found) if found else None


def pace_url(connection: Connection) -> str:
    """Return the URL of a server of paces, which may hold a password."""
    return connection.get_uri()


def _check_type(kind: type[Account], connection: Connection) -> None:
    if connection.conn_type in {*VENDORS} - {kind.vendor}:
        raise ConfigurationError(
            f"the connection {connection.conn_id!r} is of the type {connection.conn_type}, not {kind.vendor}"
        )


def _extra(connection: Connection) -> dict[str, Any]:
    """Return the extra fields. Airflow has masked them as it gave the connection: its own parser would do so again,
    and cannot in an event loop.
    """
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise ConfigurationError(f"the extra fields of the connection {connection.conn_id!r} are not a JSON object")
    return extra


def _base_url(connection: Connection) -> str | None:
    """Return the address of the API if it is not the vendor's: `https://host`, or host, port and schema apart."""
    host = connection.host
    if not host:
        return None
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    return f"{url}:{connection.port}" if connection.port else url
