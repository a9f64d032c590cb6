"""Know when a batch has ended, at any vendor, through one interface.

with BatchClient(Believe(api_key=...)) as client:
    batch = client.get("believe:550e8400-e29b-41d4-a716-446655440000")
"""

from typing import TYPE_CHECKING

from ._lazy import lazy_names

if TYPE_CHECKING:
    from ._clients.async_client import AsyncBatchClient, AsyncFollow
    from ._clients.clock import RealClock
    from ._clients.environment import KeyFile, account_from_env, accounts_from_env, key_from_file
    from ._clients.sync_client import BatchClient, Follow
    from ._core.account import (
        Account,
        AccountOptions,
        ErrorFields,
        Request,
        StatusFields,
        account_for,
        accounts_by_ref,
    )
    from ._core.clock import Clock
    from ._core.errors import (
        APIError,
        AuthenticationError,
        BadRequest,
        BatchFailed,
        BatchNotFound,
        BatchStatusError,
        ConfigurationError,
        InvalidResponse,
        PaceUnavailable,
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
    from ._core.events import Call, Event, EventKind
    from ._core.keys import KeySource, Secret
    from ._core.pacing import PaceState
    from ._core.policies import AsyncPace, Pace, PollPolicy, RateLimit, RetryPolicy
    from ._core.read.check import AccountCheck
    from ._core.read.messages import Response, SendRequest, TransportFailure
    from ._core.transport import AsyncTransport, Transport
    from ._core.values import Batch, BatchRef, BatchState, Counts, ItemFailure, Moment, Outcome, printable
    from ._core.wait.durations import Durations
    from ._core.wait.step import Step
    from ._version import __version__
    from .vendors.believe import Believe
    from .vendors.gameball import Gameball

__all__ = [
    "APIError",
    "Account",
    "AccountCheck",
    "AccountOptions",
    "AsyncBatchClient",
    "AsyncFollow",
    "AsyncPace",
    "AsyncTransport",
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
    "Call",
    "Clock",
    "ConfigurationError",
    "Counts",
    "Durations",
    "ErrorFields",
    "Event",
    "EventKind",
    "Follow",
    "Gameball",
    "InvalidResponse",
    "ItemFailure",
    "KeyFile",
    "KeySource",
    "Moment",
    "Outcome",
    "Pace",
    "PaceState",
    "PaceUnavailable",
    "PermissionDenied",
    "PollPolicy",
    "RateLimit",
    "RateLimited",
    "ReadError",
    "RealClock",
    "Request",
    "RequestTimeout",
    "Response",
    "RetryPolicy",
    "Secret",
    "SendRequest",
    "ServerError",
    "StatusFields",
    "Step",
    "Transport",
    "TransportError",
    "TransportFailure",
    "WaitError",
    "WaitStopped",
    "WaitTimeout",
    "__version__",
    "account_for",
    "account_from_env",
    "accounts_by_ref",
    "accounts_from_env",
    "key_from_file",
    "printable",
]

# Nothing is loaded before it is used.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "_clients.async_client": ("AsyncBatchClient", "AsyncFollow"),
        "_clients.clock": ("RealClock",),
        "_clients.environment": ("KeyFile", "account_from_env", "accounts_from_env", "key_from_file"),
        "_clients.sync_client": ("BatchClient", "Follow"),
        "_core.account": (
            "Account",
            "AccountOptions",
            "ErrorFields",
            "Request",
            "StatusFields",
            "account_for",
            "accounts_by_ref",
        ),
        "_core.clock": ("Clock",),
        "_core.errors": (
            "APIError",
            "AuthenticationError",
            "BadRequest",
            "BatchFailed",
            "BatchNotFound",
            "BatchStatusError",
            "ConfigurationError",
            "InvalidResponse",
            "PaceUnavailable",
            "PermissionDenied",
            "RateLimited",
            "ReadError",
            "RequestTimeout",
            "ServerError",
            "TransportError",
            "WaitError",
            "WaitStopped",
            "WaitTimeout",
        ),
        "_core.events": ("Call", "Event", "EventKind"),
        "_core.keys": ("KeySource", "Secret"),
        "_core.pacing": ("PaceState",),
        "_core.policies": ("AsyncPace", "Pace", "PollPolicy", "RateLimit", "RetryPolicy"),
        "_core.read.check": ("AccountCheck",),
        "_core.read.messages": ("Response", "SendRequest", "TransportFailure"),
        "_core.transport": ("AsyncTransport", "Transport"),
        "_core.values": (
            "Batch",
            "BatchRef",
            "BatchState",
            "Counts",
            "ItemFailure",
            "Moment",
            "Outcome",
            "printable",
        ),
        "_core.wait.durations": ("Durations",),
        "_core.wait.step": ("Step",),
        "_version": ("__version__",),
        "vendors.believe": ("Believe",),
        "vendors.gameball": ("Gameball",),
    },
)
