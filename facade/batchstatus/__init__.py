"""Know when a batch at Gameball or Believe has ended, through one interface.

with BatchClient(Believe(api_key=...)) as client:
    batch = client.get("believe:550e8400-e29b-41d4-a716-446655440000")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._batch import Batch, BatchRef, BatchState, Counts, ItemFailure, Outcome
    from ._clients.async_client import AsyncBatchClient
    from ._clients.sync_client import BatchClient
    from ._errors import (
        APIError,
        AuthenticationError,
        BadRequest,
        BatchFailed,
        BatchNotFound,
        BatchStatusError,
        ConfigurationError,
        InvalidResponse,
        PermissionDenied,
        RateLimited,
        ReadError,
        RequestTimeout,
        ServerError,
        TransportError,
        WaitError,
        WaitStopped,
        WaitTimeout,
    )
    from ._events import Event, EventKind
    from ._policy import Pace, PollPolicy, RateLimit, RetryPolicy
    from .vendors import Believe, Gameball

__all__ = [
    "APIError",
    "AsyncBatchClient",
    "AuthenticationError",
    "BadRequest",
    "Batch",
    "BatchClient",
    "BatchFailed",
    "BatchNotFound",
    "BatchRef",
    "BatchState",
    "BatchStatusError",
    "Believe",
    "ConfigurationError",
    "Counts",
    "Event",
    "EventKind",
    "Gameball",
    "InvalidResponse",
    "ItemFailure",
    "Outcome",
    "Pace",
    "PermissionDenied",
    "PollPolicy",
    "RateLimit",
    "RateLimited",
    "ReadError",
    "RequestTimeout",
    "RetryPolicy",
    "ServerError",
    "TransportError",
    "WaitError",
    "WaitStopped",
    "WaitTimeout",
    "__version__",
]

_HOME = {
    "AsyncBatchClient": "_clients.async_client",
    "BatchClient": "_clients.sync_client",
    "Event": "_events",
    "EventKind": "_events",
    "Pace": "_policy",
    "PollPolicy": "_policy",
    "RateLimit": "_policy",
    "RetryPolicy": "_policy",
    "Believe": "vendors",
    "Gameball": "vendors",
    **dict.fromkeys(("Batch", "BatchRef", "BatchState", "Counts", "ItemFailure", "Outcome"), "_batch"),
}


def __getattr__(name: str) -> Any:
    # PEP 562: nothing is loaded before it is used; what has no row in _HOME is an error class.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME.get(name, '_errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
