"""What Airflow asks a provider for: the entry point `apache_airflow_provider`."""

from __future__ import annotations

from typing import Any

from batchstatus import Account
from batchstatus.vendors import VENDORS

PACKAGE = "batchstatus.engines.airflow"
PACE = {
    "label": "Connection of a shared pace",
    "description": "The id of a Redis or Postgres connection: all workers and triggerers then keep one pace.",
    "schema": {"type": ["string", "null"]},
}


def get_provider_info() -> dict[str, Any]:
    """Return the connection types, hooks, sensors and triggers of this package."""
    name = "batchstatus"
    return {
        "package-name": name,
        "name": name,
        "description": "Know when a batch has ended, at any vendor.",
        "integrations": [{"integration-name": name}],
        "hooks": [{"integration-name": name, "python-modules": [f"{PACKAGE}.hooks"]}],
        "sensors": [{"integration-name": name, "python-modules": [f"{PACKAGE}.sensors"]}],
        "triggers": [{"integration-name": name, "python-modules": [f"{PACKAGE}.triggers"]}],
        "connection-types": [
            {
                "connection-type": vendor,
                "hook-class-name": f"{PACKAGE}.{account.__name__}Hook",
                "hook-name": account.__name__,
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {"password": _words(password), "host": "API address (if not the vendor's)"},
                },
                "conn-fields": {name: _field(account, name) for name in others} | {"pace_conn_id": PACE},
            }
            for vendor, account in VENDORS.usable().items()
            for password, *others in [[*account.KEY_HEADERS, *account.SETTINGS]]
        ],
    }


def _field(account: type[Account], name: str) -> dict[str, Any]:
    """Return the form's field for a parameter of an account; one that is a key does not show."""
    secret = {"format": "password"} if name in account.KEY_HEADERS else {}
    return {"label": _words(name), "schema": {"type": ["string", "null"]} | secret}


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize().replace("Api ", "API ")
