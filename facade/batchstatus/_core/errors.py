"""Everything that batchstatus raises.

BatchStatusError
├── ConfigurationError (ValueError)    yours: a ref, key, URL or option that cannot work; nothing was sent
├── ReadError                          one read of a batch failed
│   ├── TransportError                 no response: DNS, connection, TLS or HTTP failed
│   │   └── RequestTimeout (TimeoutError)
│   ├── APIError                       the vendor answered with an error status
│   │   ├── AuthenticationError        401
│   │   ├── PermissionDenied           403
│   │   ├── BatchNotFound              404, 410
│   │   ├── BadRequest                 400, 422
│   │   ├── RateLimited                429
│   │   └── ServerError                5xx, 408, 425
│   └── InvalidResponse                the response is not the requested batch
├── BatchFailed                        by `Batch.raise_for_state`
└── WaitError                          a wait ended before its batch did
    ├── WaitTimeout (TimeoutError)
    └── WaitStopped

Every error pickles and copies, and holds no key and no HTTP library's object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .values import Batch, BatchRef


class BatchStatusError(Exception):
    """Base of all errors of this package.

    Attributes:
        ref: The batch that the error is about, if it is about one.
        is_retryable: Whether the same read may succeed later.
        last: If it ended a wait: the batch as last read, or None.
        checkpoint: If it ended a wait with a timeout: plain JSON that `wait(resume=...)` takes; else None.
    """

    ref: BatchRef | None = None
    is_retryable: bool = False
    last: Batch | None = None
    checkpoint: dict[str, Any] | None = None

    @property
    def detail(self) -> str:
        """The message without the ref."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return f"{self.ref}: {self.detail}" if self.ref is not None else self.detail

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[BatchStatusError], args: tuple[Any, ...], fields: dict[str, Any]) -> BatchStatusError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class ConfigurationError(BatchStatusError, ValueError):
    """A ref, key, URL or option cannot work; raised before anything is sent."""


class ReadError(BatchStatusError):
    """One read of a batch failed: the common base of TransportError, APIError and InvalidResponse.

    Attributes:
        ref: The batch that was asked for.
        attempts: HTTP exchanges that this read took, the failed ones included.
        retry_after: Seconds after which the vendor wants to be asked again, or None.
        is_lasting: Whether time alone hardly mends it: an unknown host, a refused certificate, a page or a redirect
            instead of the batch.
    """

    ref: BatchRef
    retry_after: float | None = None
    is_lasting: bool = False

    def __init__(self, detail: str, *, ref: BatchRef) -> None:
        super().__init__(detail)
        self.ref = ref
        self.attempts = 1


class TransportError(ReadError):
    """No response: DNS, connection, TLS or HTTP failed."""

    is_retryable = True


class RequestTimeout(TransportError, TimeoutError):
    """No complete response came within the attempt's deadline or the caller's timeout."""


class PaceUnavailable(ReadError):
    """Nothing was sent, as the pace of the account could not be asked in the caller's time: it raised, or hung."""

    is_retryable = True


class APIError(ReadError):
    """The vendor answered with an error status, or something between here and there did: see `code`.

    Attributes:
        status_code: The HTTP status, 400 to 599.
        code: The vendor's error code as text ("ERR_BATCH_NOT_FOUND", "4004"), or None. Always text or None,
            although one vendor's spec calls it an integer and the other sends numbers. Without one, a refusal may come
            from anything in between, and counts as an outage.
        message: The vendor's message, at most 500 characters, or None.
        request_id: The vendor's id of the exchange, or None.
    """

    def __init__(
        self,
        detail: str,
        *,
        ref: BatchRef,
        status_code: int,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, ref=ref)
        self.status_code = status_code
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after


class AuthenticationError(APIError):
    """The key is missing, wrong or revoked."""


class PermissionDenied(APIError):
    """The key is good but may not read this batch."""


class BatchNotFound(APIError):
    """The vendor knows no batch with this id for this key."""


class BadRequest(APIError):
    """The vendor refused the request as malformed, usually because of the id's form."""


class RateLimited(APIError):
    """The vendor wants fewer requests."""

    is_retryable = True


class ServerError(APIError):
    """The vendor could not answer just now."""

    is_retryable = True


class InvalidResponse(ReadError):
    """The response is not the requested batch.

    That is: any status that is neither 200 nor 400 to 599, a body that is not JSON, is too large or has the
    wrong shape, or another batch's id.

    Attributes:
        status_code: The HTTP status.
        request_id: The vendor's id of the exchange, or None.
        cut_short: Whether the body ends too early; only such a read is tried again.
        is_too_large: Whether the body is larger than `RetryPolicy.max_body`.
    """

    def __init__(
        self,
        detail: str,
        *,
        ref: BatchRef,
        status_code: int,
        request_id: str | None = None,
        cut_short: bool = False,
        is_too_large: bool = False,
        is_lasting: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, ref=ref)
        self.status_code = status_code
        self.request_id = request_id
        self.retry_after = retry_after
        self.cut_short = self.is_retryable = cut_short
        self.is_too_large = is_too_large
        self.is_lasting = is_lasting


class BatchFailed(BatchStatusError):
    """The batch ended as FAILED or CANCELLED.

    Attributes:
        batch: The batch as last read.
    """

    def __init__(self, text: str, *, batch: Batch) -> None:
        super().__init__(text)
        self.batch = batch


class WaitError(BatchStatusError):
    """A wait ended before its batch did; the batch goes on.

    Attributes:
        ref: The batch that was waited for.
        last: The batch as last read, or None; after a wait for many, and one that was resumed, without `raw` and
            `payload`.
        attempts: HTTP exchanges so far, the failed ones included.
        elapsed: Seconds waited.
        checkpoint: Plain JSON that `wait(resume=...)` takes, in this process or another.
    """

    ref: BatchRef
    checkpoint: dict[str, Any]

    def __init__(
        self,
        detail: str,
        *,
        ref: BatchRef,
        last: Batch | None,
        attempts: int,
        elapsed: float,
        checkpoint: dict[str, Any],
    ) -> None:
        super().__init__(detail)
        self.ref = ref
        self.last = last
        self.attempts = attempts
        self.elapsed = elapsed
        self.checkpoint = checkpoint


class WaitTimeout(WaitError, TimeoutError):
    """The wait's time is up; `__cause__` is why the last poll failed, if it did."""


class WaitStopped(WaitError):
    """The caller's `stop` was set."""
