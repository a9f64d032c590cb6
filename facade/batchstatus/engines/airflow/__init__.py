"""Waits in Airflow: a sensor that defers, and needs no worker while its batch runs.

    BatchSensor(task_id="wait", ref="shop:1748392", timeout=86_400, deferrable=True)

It needs the extra `airflow`, on the workers and on the triggerers, and a connection of the vendor's type, which holds
the keys; each vendor's hook, such as `ShopHook`, is in this package, too. The names of this package and the arguments
of its triggers stand in users' databases: they stay.
"""

from typing import TYPE_CHECKING, Any

from batchstatus._lazy import lazy_names

try:
    import airflow.sdk  # noqa: F401 (only to name the extra)
except ModuleNotFoundError as error:
    raise ImportError(f"{__name__} needs the extra: pip install 'batchstatus[airflow]'", name=error.name) from error

if TYPE_CHECKING:
    from .sensors import BatchSensor
    from .triggers import BatchEventTrigger, BatchTrigger

__all__ = ["BatchEventTrigger", "BatchSensor", "BatchTrigger"]

# Nothing is loaded before it is used: every process of Airflow asks what providers there are.
_named, __dir__ = lazy_names(__name__, {"sensors": ("BatchSensor",), "triggers": ("BatchEventTrigger", "BatchTrigger")})


def __getattr__(name: str) -> Any:
    if not name.endswith("Hook"):
        return _named(name)
    from . import hooks  # noqa: PLC0415

    return getattr(hooks, name)
