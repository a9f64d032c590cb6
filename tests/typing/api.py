"""The public types, pinned: checked by `mypy tests/typing`, never run.

What must not pass stands with the error that it has to give; mypy reports an ignore that is not needed.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from email.message import Message
from typing import Any, ClassVar, Unpack, assert_type

from batchstatus import (
    Account,
    AccountCheck,
    AccountOptions,
    APIError,
    AsyncBatchClient,
    AsyncFollow,
    AsyncPace,
    AsyncTransport,
    AuthenticationError,
    BadRequest,
    Batch,
    BatchClient,
    BatchFailed,
    BatchNotFound,
    BatchRef,
    BatchState,
    BatchStatusError,
    Believe,
    Call,
    Clock,
    ConfigurationError,
    Counts,
    Durations,
    ErrorFields,
    Event,
    EventKind,
    Follow,
    Gameball,
    InvalidResponse,
    ItemFailure,
    KeyFile,
    KeySource,
    Moment,
    Outcome,
    Pace,
    PaceState,
    PaceUnavailable,
    PermissionDenied,
    PollPolicy,
    RateLimit,
    RateLimited,
    ReadError,
    RealClock,
    Request,
    RequestTimeout,
    Response,
    RetryPolicy,
    Secret,
    SendRequest,
    ServerError,
    StatusFields,
    Step,
    Transport,
    TransportError,
    TransportFailure,
    WaitError,
    WaitStopped,
    WaitTimeout,
    __version__,
    account_for,
    account_from_env,
    accounts_by_ref,
    accounts_from_env,
    fields,
    key_from_file,
    printable,
)
from batchstatus.service import Change, ClaimUpdate, DeliveryAttempt, Destination, Pending, Store, Watcher, to_url
from batchstatus.webhooks import new_secret, sign, verify

assert_type(__version__, str)


def accounts(key: str, current: Callable[[], str]) -> tuple[Gameball, Believe]:
    gameball = Gameball(key, current)
    believe = Believe(current, base_url=None, name="acme", states={"PAUSED": BatchState.PENDING})
    assert_type(gameball, Gameball)
    assert_type(believe, Believe)
    assert_type(believe.base_url, str)
    assert_type(believe.name, str | None)
    assert_type(believe.vendor, str)
    assert_type(believe.account_ref, str)
    assert_type(believe.with_rate_limit(None), Believe)
    assert_type(account_from_env(Gameball), Gameball | None)
    assert_type(account_from_env(Believe), Believe | None)
    Gameball(key)  # type: ignore[call-arg]
    Believe(key.encode())  # type: ignore[arg-type]
    Believe(api_key=key, states={"PAUSED": "pending"})  # type: ignore[dict-item]
    return Gameball(api_key=key, secret_key=key, base_url="http://test", allow_insecure=True), believe


def sync(*vendors: Gameball | Believe) -> None:
    assert_type(BatchClient.from_env(retry=RetryPolicy(), proxy=None), BatchClient)
    with BatchClient(*vendors, retry=RetryPolicy(attempts=1), verify="ca.pem") as client:
        assert_type(client, BatchClient)
        assert_type(client.get("gameball:1748392"), Batch)
        assert_type(client.get(BatchRef("gameball", "1748392"), timeout=5), Batch)
        client.get(1748392)  # type: ignore[arg-type]
        client.get("gameball:1748392", 5.0)  # type: ignore[call-arg]
    client.close()
    BatchClient("gameball")  # type: ignore[arg-type]


async def concurrent(*vendors: Gameball | Believe) -> None:
    assert_type(AsyncBatchClient.from_env(), AsyncBatchClient)
    async with AsyncBatchClient(*vendors, retry=RetryPolicy(), verify=False) as client:
        assert_type(client, AsyncBatchClient)
        assert_type(await client.get("believe/acme:17", timeout=5.0), Batch)
        assert client.get("believe:17").state  # type: ignore[attr-defined]
    await client.close()


class Own(BatchClient):
    """A subclass is what its class methods give."""


def subclass() -> None:
    assert_type(Own.from_env(), Own)
    with Own() as own:
        assert_type(own, Own)


def batch(batch: Batch) -> None:
    assert_type(batch.ref, BatchRef)
    assert_type(batch.state, BatchState)
    assert_type(batch.vendor_status, str)
    assert_type(batch.counts, Counts)
    assert_type(batch.progress, float | None)
    assert_type(batch.failures, tuple[ItemFailure, ...])
    assert_type(batch.results, tuple[Any, ...])
    assert_type(batch.created_at, datetime | None)
    assert_type(batch.updated_at, datetime | None)
    assert_type(batch.read_at, datetime)
    assert_type(batch.asked_at, Moment | None)
    assert_type(batch.problems, tuple[str, ...])
    assert_type(batch.is_settled, bool)
    assert_type(batch.has_ended, bool)
    assert_type(batch.raw, object)
    assert_type(batch.payload, Any)
    assert_type(batch.request_id, str | None)
    assert_type(batch.attempts, int)
    assert_type(batch.elapsed, float)
    assert_type(batch.is_terminal, bool)
    assert_type(batch.has_failures, bool)
    assert_type(batch.is_partial, bool)
    assert_type(batch.raise_for_state(), Batch)
    assert_type(batch.to_dict(results=False), dict[str, Any])
    assert_type(Batch.from_dict(batch.to_dict()), Batch)
    batch.state = BatchState.FAILED  # type: ignore[misc]


def values(counts: Counts, failure: ItemFailure) -> None:
    assert_type(counts.total, int | None)
    assert_type(counts.processed, int | None)
    assert_type(counts.succeeded, int | None)
    assert_type(counts.failed, int | None)
    assert_type(failure.message, str)
    assert_type(failure.code, str | None)
    assert_type(failure.index, int | None)
    assert_type(failure.id, str | None)
    assert_type(failure.phase, str | None)
    Counts(8)  # type: ignore[call-arg]


def refs(ref: BatchRef) -> None:
    assert_type(BatchRef.parse("gameball:1748392"), BatchRef)
    assert_type(BatchRef.parse(ref), BatchRef)
    assert_type(ref.vendor, str)
    assert_type(ref.id, str)
    assert_type(ref.account, str | None)
    BatchRef("gameball", 1748392)
    ref.id = "17"  # type: ignore[misc]


def states(state: BatchState) -> None:
    assert_type(state.value, str)
    assert_type(state.is_terminal, bool)
    assert_type(BatchState("pending"), BatchState)


def policy(retry: RetryPolicy) -> None:
    assert_type(retry.attempts, int)
    assert_type(retry.first_delay, float)
    assert_type(retry.max_delay, float)
    assert_type(retry.attempt_timeout, float)
    assert_type(retry.max_body, int)
    assert_type(retry.max_retry_after, float)
    RetryPolicy(4)  # type: ignore[call-arg]


def pace(limit: RateLimit, own: Pace, shared: AsyncPace) -> None:
    Believe("test-key", rate_limit=own)
    Believe("test-key", rate_limit=shared)
    assert_type(limit.requests, int)
    assert_type(limit.seconds, float)
    Believe("test-key", rate_limit=RateLimit(5))
    Gameball("test-key", "test-secret", rate_limit=None)
    Believe("test-key", rate_limit=5)  # type: ignore[arg-type]


def errors(client: BatchClient) -> None:
    try:
        client.get("believe:17").raise_for_state()
    except (AuthenticationError, PermissionDenied, BatchNotFound, BadRequest, RateLimited, ServerError) as error:
        api: APIError = error
        assert_type(api.status_code, int)
        assert_type(api.code, str | None)
        assert_type(api.message, str | None)
        assert_type(api.request_id, str | None)
        assert_type(api.retry_after, float | None)
    except PaceUnavailable as error:
        read: ReadError = error
        assert_type(read.ref, BatchRef)
    except RequestTimeout as error:
        transport: TransportError = error
        builtin: TimeoutError = error
        assert_type(transport.ref, BatchRef)
        assert_type(builtin, TimeoutError)
    except InvalidResponse as error:
        assert_type(error.status_code, int)
        assert_type(error.request_id, str | None)
        assert_type(error.cut_short, bool)
        assert_type(error.is_too_large, bool)
    except ReadError as error:
        assert_type(error.ref, BatchRef)
        assert_type(error.is_lasting, bool)
        assert_type(error.last, Batch | None)
        assert_type(error.checkpoint, dict[str, Any] | None)
        assert_type(error.attempts, int)
    except BatchFailed as error:
        assert_type(error.batch, Batch)
    except ConfigurationError as error:
        value: ValueError = error
        assert_type(value, ValueError)
    except BatchStatusError as error:
        no_read(error)


def no_read(error: BatchStatusError) -> None:
    """Not every error is about a batch."""
    assert_type(error.ref, BatchRef | None)
    assert_type(error.detail, str)
    assert_type(error.is_retryable, bool)


def waits(client: BatchClient, checkpoint: str) -> None:
    assert_type(client.wait("believe:17", timeout=60.0, until={BatchState.REQUIRES_ACTION}, on_update=print), Batch)
    assert_type(client.wait("believe:17", stop=threading.Event(), resume=checkpoint), Batch)
    client.watch(BatchRef("believe", "17"), timeout=60)
    for outcome in client.as_completed(["believe:17", BatchRef("gameball", 17)], timeout=60):
        assert_type(outcome, Outcome)
        assert_type(outcome.ref, BatchRef)
        assert_type(outcome.batch, Batch | None)
        assert_type(outcome.error, BatchStatusError | None)
        assert_type(outcome.unwrap(), Batch)
    assert_type(client.wait_all(["believe:17"], timeout=60, return_when="any"), dict[BatchRef, Outcome])
    client.wait("believe:17", history=[60.0])
    client.wait_all(["believe:17"], timeout=60, history=Durations([60.0]))
    client.watch(["believe:17"], timeout=60, history=lambda ref: Durations() if ref.account else None)
    assert_type(client.get_many(["believe:17"], timeout=60), dict[BatchRef, Outcome])
    client.as_completed(["believe:17"])  # type: ignore[call-arg]
    client.wait("believe:17", on_checkpoint=lambda made: assert_type(made, dict[str, Any]))
    step = client.step("believe:17", until={BatchState.REQUIRES_ACTION}, resume=checkpoint, timeout=5.0)
    assert_type(step, Step)
    assert_type((step.ref, step.batch, step.error), tuple[BatchRef, Batch | None, BatchStatusError | None])
    assert_type((step.pause, step.reason, step.is_over), tuple[float | None, str, bool])
    assert_type(step.checkpoint, dict[str, Any])
    client.wait("believe:17", stop=asyncio.Event())  # type: ignore[arg-type]
    BatchClient(Believe("test-key"), poll=PollPolicy(floor=2.0, in_flight=8))


async def async_waits(client: AsyncBatchClient) -> None:
    async def note(batch: Batch) -> None:
        assert_type(batch.state, BatchState)

    assert_type(await client.wait("believe:17", on_update=note, stop=asyncio.Event()), Batch)
    async for outcome in client.watch(["believe:17"], timeout=60, changes_only=False):
        assert_type(outcome, Outcome)
    assert_type(await client.step("believe:17"), Step)
    assert_type(await client.wait_all(["believe:17"], timeout=60), dict[BatchRef, Outcome])


def events(event: Event) -> None:
    assert_type(event.kind, EventKind)
    assert_type(event.ref, BatchRef)
    assert_type(event.batch, Batch | None)
    assert_type(event.error, BatchStatusError | None)
    assert_type(event.previous_state, BatchState | None)
    assert_type(event.attempts, int)
    assert_type(event.elapsed, float)
    assert_type(event.duration, float)
    assert_type(event.queued, float)
    assert_type(event.pause, float | None)
    assert_type(event.reason, str)
    assert_type(event.remaining, float | None)
    assert_type(event.outcome, Outcome)
    assert_type(event.call, Call)
    assert_type(event.call.name, str)
    assert_type((event.method, event.url, event.server), tuple[str, str, str])
    assert_type(event.status_code, int | None)
    BatchClient(Believe("test-key"), on_event=print)
    BatchClient(Believe("test-key"), request_headers=lambda event: {"x-request-id": event.ref.id})
    BatchClient(Believe("test-key"), request_headers=lambda event: None)  # type: ignore[arg-type,return-value]
    AsyncBatchClient(Believe("test-key"), on_event=events)
    BatchClient(Believe("test-key"), on_event="event")  # type: ignore[arg-type]


def wait_errors(client: BatchClient) -> None:
    try:
        client.wait("believe:17")
    except (WaitTimeout, WaitStopped) as error:
        wait: WaitError = error
        assert_type(wait.last, Batch | None)
        assert_type(wait.attempts, int)
        assert_type(wait.elapsed, float)
        assert_type(wait.checkpoint, dict[str, Any])


def many(client: BatchClient) -> None:
    with client.follow(["believe:17"], changes_only=False, stop=threading.Event()) as following:
        assert_type(following, Follow)
        following.add("gameball:1")
        following.discard([BatchRef("believe", "17")])
        for outcome in following:
            assert_type(outcome, Outcome)
    for check in client.check(timeout=5.0):
        assert_type(check, AccountCheck)
        assert_type(check.account, Account)
        assert_type(check.error, BatchStatusError | None)
        assert_type(check.clock_offset, float | None)


async def async_many(client: AsyncBatchClient) -> None:
    async with client.follow(stop=asyncio.Event()) as following:
        assert_type(following, AsyncFollow)
        following.add(["gameball:1"])
        async for outcome in following:
            assert_type(outcome, Outcome)
    assert_type(await client.check(), list[AccountCheck])


class Mailer(Account):
    """A third party's vendor."""

    vendor = "mailer"
    BASE_URL = "https://api.example.com"
    KEY_HEADERS: ClassVar = {"token": "x-token"}
    WORDS: ClassVar = {"sent": BatchState.SUCCEEDED}
    ERRORS: ClassVar = {"gone": BatchNotFound}
    ADVICE: ClassVar = {BatchNotFound: "check the id"}
    EXAMPLE_ID = "1"
    PROBE_ID = "0"

    def __init__(self, token: KeySource) -> None:
        key = Secret("the token", token)
        super().__init__(key, base_url=None, name=None, rate_limit=None, states=None, allow_insecure=False)

    def raw_request(self, batch_id: str) -> Request:
        return self.authenticate({"url": f"/batches/{batch_id}"})

    def status_fields(self, body: dict[str, Any]) -> StatusFields:
        return StatusFields(id=body["id"], status=body["status"], counts=Counts(), raw=body)

    def error_fields(self, body: Mapping[str, Any]) -> ErrorFields:
        return ErrorFields(code=body.get("code"))


class Parcel(Account):
    """A third party's vendor with a setting, whose options are those of all vendors."""

    KEY_HEADERS: ClassVar = {"api_key": "authorization"}
    KEY_SCHEMES: ClassVar = {"authorization": "Bearer"}
    SETTINGS: ClassVar = {"project": None}

    def __init__(self, api_key: KeySource, *, project: str, **options: Unpack[AccountOptions]) -> None:
        super().__init__(Secret("the key", api_key), settings={"project": project}, **options)

    def raw_request(self, batch_id: str) -> Request:
        return self.authenticate({"url": f"/{self.settings['project']}/{batch_id}"})

    def status_fields(self, body: dict[str, Any]) -> StatusFields:
        assert_type(fields.epoch_ms(body.get("created_at")), datetime | None)
        assert_type(fields.count(fields.at(body, "counts.total")), int | None)
        return StatusFields(id=fields.text(body["id"]), status=body["status"], counts=Counts(), raw=body)

    def error_fields(self, body: Mapping[str, Any]) -> ErrorFields:
        return ErrorFields(**fields.error(body, self.ERROR_FIELDS, self.ERRORS))


def parcel() -> None:
    account = Parcel("test-key", project="acme", name="acme", rate_limit=None)
    assert_type(account.settings, Mapping[str, str])
    assert_type(account.keys_in({}), dict[str, str])
    assert_type(account.request("1").secrets, tuple[str, ...])
    Parcel("test-key", project="acme", nmae="x")  # type: ignore[call-arg]


class Recorder:
    """A transport of a caller's own."""

    def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        assert_type(step.request, Request)
        assert_type(step.deadline, float)
        return Response(status=200, headers={}, body=b"{}")

    def discard_idle_connections(self) -> None: ...

    def close(self) -> None: ...


def real_clock() -> None:
    own: Clock = RealClock()
    assert_type(RealClock().moment(), Moment)
    BatchClient(Believe("test-believe-key"), clock=own)


def doors(clock: Clock, state: PaceState, other: AsyncTransport) -> None:
    transport: Transport = Recorder()
    client = BatchClient(Mailer("test-token"), transport=transport, clock=clock)
    client.get("mailer:1")
    AsyncBatchClient(Mailer("test-token"), transport=other)
    own: Pace = state
    Believe("test-key", rate_limit=own)
    assert_type(PaceState.of_limit(RateLimit(5)).spacing, float)
    accounts = accounts_by_ref(accounts_from_env())
    assert_type(account_for(BatchRef("mailer", "1"), accounts), Account)
    assert_type(printable("a\n"), str)
    assert_type(key_from_file("key.txt", "api_key_file"), str)
    Believe(KeyFile("key.txt"))


def deliveries(store: Store, own: Callable[[], str]) -> None:
    def observe(attempt: DeliveryAttempt) -> None:
        assert_type(attempt.status_code, int | None)
        assert_type(attempt.change, Change)

    def count(update: ClaimUpdate) -> None:
        assert_type(update.gained, Mapping[str, int])

    deliver = to_url("https://example.com/", 5, secret=[new_secret()], headers={"X-A": "b"}, only=("ended",))
    to_url("https://example.com/", secret=KeyFile("secrets"), headers=own, allow_insecure=True)
    to_url("https://example.com/", secret=b"secret")  # type: ignore[arg-type]
    Watcher(store, [Believe("test-key")], deliver={"hook": deliver}, on_delivery=observe, on_claim=count)
    assert_type(store.destinations(), list[Destination])
    assert_type(store.pending("hook"), list[Pending])
    assert_type(store.retry_deliveries("hook", "id"), int)


def receivers(headers: Mapping[str, str], message: Message, body: bytes, change: Change) -> None:
    assert_type(verify(headers, body, new_secret()), Change)
    assert_type(verify(message, body, ["one", "other"], tolerance=60), Change)
    assert_type(sign(change, "secret"), tuple[dict[str, str], bytes])
    assert_type(Change.from_dict(change.to_dict()).labels, Mapping[str, str])
    verify(headers, "text", "secret")  # type: ignore[arg-type]
