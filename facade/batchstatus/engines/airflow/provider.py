"""What Airflow asks a provider for: the entry point `apache_airflow_provider`."""

from __future__ import annotations

from typing import Any

PACKAGE = "batchstatus.engines.airflow"
PACE = {
    "label": "Connection of a shared pace",
    "description": "The id of a Redis or Postgres connection: all workers and triggerers then keep one pace.",
    "schema": {"type": ["string", "null"]},
}
SECRET = {"label": "Secret key", "schema": {"type": ["string", "null"], "format": "password"}}
VENDORS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gameball": ("Gameball", "API key (apikey)", {"secret_key": SECRET, "pace_conn_id": PACE}),
    "believe": ("Believe", "API key", {"pace_conn_id": PACE}),
}


def get_provider_info() -> dict[str, Any]:
    """Return the connection types, hooks, sensors and triggers of this package."""
    name = "batchstatus"
    return {
        "package-name": name,
        "name": name,
        "description": "Know when a batch at Gameball or Believe has ended.",
        "integrations": [{"integration-name": name}],
        "hooks": [{"integration-name": name, "python-modules": [f"{PACKAGE}.hooks"]}],
        "sensors": [{"integration-name": name, "python-modules": [f"{PACKAGE}.sensors"]}],
        "triggers": [{"integration-name": name, "python-modules": [f"{PACKAGE}.triggers"]}],
        "connection-types": [
            {
                "connection-type": vendor,
                "hook-class-name": f"{PACKAGE}.{label}Hook",
                "hook-name": label,
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {"password": key, "host": "API address (if not the vendor's)"},
                },
                "conn-fields": fields,
            }
            for vendor, (label, key, fields) in VENDORS.items()
        ],
    }
