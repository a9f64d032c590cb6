"""Waits in Airflow: a sensor that defers, and needs no worker while its batch runs.

    BatchSensor(task_id="wait", ref="gameball:1748392", timeout=86_400, deferrable=True)

It needs the extra `airflow`, on the workers and on the triggerers, and a connection of the type `gameball` or
`believe`, which holds the keys. The names of this package and the arguments of its triggers stand in users' databases:
they stay.
"""

from typing import TYPE_CHECKING

from batchstatus._lazy import lazy_names

try:
    import airflow.sdk  # noqa: F401 (only to name the extra)
except ModuleNotFoundError as error:
    raise ImportError(f"{__name__} needs the extra: pip install 'batchstatus[airflow]'", name=error.name) from error

if TYPE_CHECKING:
    from .hooks import BelieveHook, GameballHook
    from .sensors import BatchSensor
    from .triggers import BatchEventTrigger, BatchTrigger

__all__ = ["BatchEventTrigger", "BatchSensor", "BatchTrigger", "BelieveHook", "GameballHook"]

# Nothing is loaded before it is used: every process of Airflow asks what providers there are.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hooks": ("BelieveHook", "GameballHook"),
        "sensors": ("BatchSensor",),
        "triggers": ("BatchEventTrigger", "BatchTrigger"),
    },
)
