"""A running service over HTTP: a page for people on call, metrics, liveness and readiness.

    with Monitor(store, accounts) as monitor:
        watcher = Watcher(store, accounts, on_event=monitor.on_event, on_delivery=monitor.on_delivery)
        async with monitor.serving(watcher):
            await watcher.run(stop)

It needs the extra `http`.
"""

try:
    import prometheus_client  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(f"{__name__} needs the extra: pip install 'batchstatus[http]'", name=error.name) from error

from .monitor import Monitor

__all__ = ["Monitor"]
