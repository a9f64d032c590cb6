"""The common part of both clients: everything but waiting and sending."""

from __future__ import annotations

import inspect
import itertools
import logging
import math
import random
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, Self

import attrs

from batchstatus._core.account import Account, account_for, accounts_by_ref
from batchstatus._core.clock import Clock
from batchstatus._core.errors import ConfigurationError, InvalidResponse
from batchstatus._core.events import Call, Event, EventKind, Listens
from batchstatus._core.policies import PollPolicy, RetryPolicy, seconds
from batchstatus._core.read.attempts import Prepare, read_with_retries
from batchstatus._core.read.check import AccountCheck, check_account
from batchstatus._core.read.many import ManyReads, Read, StartRead
from batchstatus._core.read.messages import Response, SendRequest, Sleep, StepResult, TransportFailure
from batchstatus._core.values import TERMINAL, BatchRef, BatchState, Moment, Outcome
from batchstatus._core.wait.checkpoint import Checkpoint, load
from batchstatus._core.wait.durations import Durations
from batchstatus._core.wait.queue import Queue
from batchstatus._core.wait.schedule import OpenSchedule, Schedule, StartPoll
from batchstatus._core.wait.step import Step, take_step
from batchstatus.vendors import VENDORS

from .clock import REAL
from .environment import accounts_from_env
from .request_headers import RequestHeaders
from .shared_pace import pace_for

WAIT_TIMEOUT = 900.0
"""Seconds: the timeout of `wait`, unless the caller or a checkpoint says otherwise."""

LEVELS = {
    EventKind.ATTEMPT: logging.DEBUG,
    EventKind.CHANGE: logging.INFO,  # of the state only
    EventKind.UNKNOWN_WORD: logging.WARNING,
    EventKind.NEEDS_ACTION: logging.WARNING,
    EventKind.TROUBLE: logging.WARNING,
    EventKind.CLOSED: logging.WARNING,
    EventKind.REOPENED: logging.WARNING,
}
"""The log level of each kind of event that is logged."""

log = logging.getLogger("batchstatus")
log.addHandler(logging.NullHandler())

FIRST_REFS = 256
"""How many refs are parsed before the first poll; the rest between polls, so that none waits for 100,000 others."""

Refs = str | BatchRef | Iterable[str | BatchRef]
History = Durations | Iterable[float] | Callable[[BatchRef], Durations | None]
"""What is known of past batches: their durations in seconds, the same for all refs or by ref."""


class Plan(Protocol):
    """The plan of many exchanges that a driver performs: a Schedule, or ManyReads."""

    events: deque[Event]
    in_flight: int
    wake: Callable[[], None]
    listens: Listens

    def step(self, now: float, utc: datetime) -> StartPoll | StartRead | Sleep | None:
        """Return what to do next; None at the end."""

    def take_result(self, step: Any, result: StepResult) -> None:
        """Take the result of a step that was started."""

    def stop(self) -> None:
        """End at the next steps."""

    def close(self) -> None:
        """Give back the slots that are booked: no step follows."""


class BaseClient:
    """The accounts of a client, and the reads and waits that it drives."""

    _discard_idle_connections: Callable[[], None]
    """The transport's: called after a response that did not match its request."""
    IN_FLIGHT: ClassVar[int]
    """Exchanges of a call in flight at once, unless PollPolicy says otherwise."""
    IN_TASKS: ClassVar[bool]
    """Whether it reads in tasks of an event loop."""

    def __init__(
        self,
        accounts: tuple[Account, ...],
        *,
        retry: RetryPolicy,
        poll: PollPolicy,
        on_event: Callable[[Event], object] | None,
        request_headers: Callable[[Event], Mapping[str, str]] | None,
        clock: Clock | None,
    ) -> None:
        if not accounts:
            raise ConfigurationError(f"a client needs an account: {_constructors()}, or from_env()")
        self._accounts = accounts_by_ref(accounts)
        if not isinstance(retry, RetryPolicy):
            raise ConfigurationError(f"retry is a RetryPolicy(...), not {type(retry).__name__}")
        if not isinstance(poll, PollPolicy):
            raise ConfigurationError(f"poll is a PollPolicy(...), not {type(poll).__name__}")
        if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
            raise ConfigurationError(f"on_event is a plain function that takes an Event, not {on_event!r:.80}")
        if request_headers is not None and (
            not callable(request_headers) or inspect.iscoroutinefunction(request_headers)
        ):
            raise ConfigurationError(
                f"request_headers is a plain function from an Event to headers, not {request_headers!r:.80}"
            )
        self._retry = retry
        self._poll = poll
        self._on_event = on_event
        self._prepare: Prepare | None = None if request_headers is None else RequestHeaders(request_headers)
        self._clock = clock or REAL
        self._paces = {
            account: pace_for(
                account.account_ref, account.credential, account.rate_limit, self._clock, in_tasks=self.IN_TASKS
            )
            for account in accounts
        }
        for account in accounts:
            account.load()
        self._unknown_words: set[tuple[str, str]] = set()
        self._closed = False

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Return a client with the accounts that the environment describes, one per vendor.

        Each key is read from its variable (`SHOP_API_KEY`), or from the file that the same variable with `_FILE` at
        its end names; `..._BASE_URL` is optional.

        Args:
            **options: Keyword arguments of the class itself.

        Raises:
            ConfigurationError: No vendor's keys are there, only some of one's, or a file cannot be read.
        """
        accounts = accounts_from_env()
        if not accounts:
            raise ConfigurationError(f"no keys in the environment: set {VENDORS.variables()}")
        make: Callable[..., Self] = cls
        return make(*accounts, **options)

    def _read(self, ref: str | BatchRef, timeout: float) -> Read:
        """Return a read that has not begun; raise ConfigurationError if it cannot."""
        self._check_open()
        ref, timeout = BatchRef.parse(ref), seconds("timeout", timeout)
        now = self._clock.monotonic()
        account = account_for(ref, self._accounts)
        return self._read_of(
            account, ref, now, timeout, now=now, notify=self._notify, listens=self._listens, call=Call("get")
        )

    def _read_of(
        self,
        account: Account,
        ref: BatchRef,
        started: float,
        timeout: float,
        *,
        now: float,
        notify: Callable[[Event], None],
        listens: Listens,
        call: Call,
    ) -> Read:
        return read_with_retries(
            account,
            ref,
            pace=self._paces[account],
            policy=self._retry,
            started=started,
            now=now,
            timeout=timeout,
            random=random.random,
            notify=notify,
            listens=listens,
            prepare=self._prepare,
            call=call,
        )

    def _reads(self, refs: Refs, timeout: float) -> ManyReads:
        """Return reads that have not begun; raise ConfigurationError if they cannot."""
        self._check_open()
        timeout = seconds("timeout", timeout)
        started, events, call = self._clock.monotonic(), deque[Event](), Call("get_many")
        by_account: dict[Account, list[BatchRef]] = {}
        for ref, account in self._accounts_of(refs).items():
            by_account.setdefault(account, []).append(ref)

        def notify(event: Event) -> None:
            if event.kind is EventKind.START:  # which is told before the first request
                self._notify(event)
            else:
                events.append(event)

        def begin(account: Account, ref: BatchRef, now: float) -> Read:
            return self._read_of(
                account, ref, started, timeout, now=now, notify=notify, listens=reads.listens, call=call
            )

        reads = ManyReads(by_account, begin, events=events, in_flight=self._poll.in_flight or self.IN_FLIGHT)
        return reads

    def _schedule(
        self,
        refs: Refs,
        call: str,
        *,
        timeout: float,
        until: Iterable[BatchState] = TERMINAL,
        resume: Checkpoint | None = None,
        goes_on: bool = False,
        history: History | None = None,
    ) -> Schedule:
        """Return a wait that has not begun; raise ConfigurationError if it cannot."""
        self._check_open()
        placed = self._placed(refs)
        first = dict(itertools.islice(placed, FIRST_REFS))
        return Schedule(
            first,
            more=placed if len(first) == FIRST_REFS else None,
            history=check_history(history),
            poll=self._poll,
            retry=self._retry,
            in_flight=self.IN_FLIGHT,
            until=TERMINAL | frozenset(until),
            started=self._clock.monotonic(),
            timeout=timeout if goes_on or (resume is not None and timeout <= 0) else seconds("timeout", timeout),
            resume=resume,
            goes_on=goes_on,
            utc=self._clock.utc(),
            listens=self._listens,
            prepare=self._prepare,
            call=Call(call),
        )

    def _placed(self, refs: Refs) -> Iterator[tuple[BatchRef, Queue]]:
        """Yield each distinct ref with the queue of its account; raise ConfigurationError if it has none."""
        queues: dict[Account, Queue] = {}
        seen: set[BatchRef] = set()
        for ref in parse_refs(refs):
            if ref in seen:
                continue
            seen.add(ref)
            account = account_for(ref, self._accounts)
            if account not in queues:
                queues[account] = Queue(account, self._paces[account])
            yield ref, queues[account]

    def _open_schedule(self, history: History | None = None) -> OpenSchedule:
        """Return a wait without an end of its own."""
        self._check_open()
        return OpenSchedule(
            self._paces.__getitem__,
            poll=self._poll,
            retry=self._retry,
            in_flight=self.IN_FLIGHT,
            started=self._clock.monotonic(),
            history=check_history(history),
            listens=self._listens,
            prepare=self._prepare,
            call=Call("follow"),
        )

    def _accounts_of(self, refs: Refs) -> dict[BatchRef, Account]:
        """Return the account of each distinct ref; raise ConfigurationError if one has none."""
        return {ref: account_for(ref, self._accounts) for ref in parse_refs(refs)}

    def _wait(
        self,
        ref: str | BatchRef,
        timeout: float | None,
        until: Iterable[BatchState] | None,
        resume: str | Mapping[str, Any] | None,
        history: History | None,
    ) -> Schedule:
        """Return a wait for one batch, new or resumed."""
        states = check_until(until)
        if resume is None:
            timeout = WAIT_TIMEOUT if timeout is None else timeout
            return self._schedule([ref], "wait", timeout=timeout, until=states, history=history)
        checkpoint = load_for(ref, resume)
        if timeout is not None:
            timeout = seconds("timeout", timeout)
        elif checkpoint.deadline is None:
            timeout = WAIT_TIMEOUT
        else:
            # Once the deadline has passed this is 0 or less, and there is one last poll.
            timeout = (checkpoint.deadline - self._clock.utc()) / timedelta(seconds=1)
        return self._schedule(
            [ref], "wait", timeout=timeout, until=states or checkpoint.until, resume=checkpoint, history=history
        )

    def _step(
        self,
        ref: str | BatchRef,
        timeout: float,
        until: Iterable[BatchState] | None,
        resume: str | Mapping[str, Any] | None,
    ) -> Generator[SendRequest | Sleep, StepResult, Step]:
        """Return a step that has not begun; raise ConfigurationError if it cannot."""
        states, timeout = check_until(until), seconds("timeout", timeout)
        checkpoint = None if resume is None else load_for(ref, resume)
        if checkpoint is not None:
            states = states or checkpoint.until
        schedule = self._schedule([ref], "step", timeout=math.inf, until=states, resume=checkpoint, goes_on=True)
        schedule.listens = self._listens_for([EventKind.ATTEMPT])
        return take_step(schedule, timeout, self._clock.monotonic(), self._clock.utc(), self._notify)

    def _checks(self, timeout: float) -> list[Generator[SendRequest | Sleep, StepResult, AccountCheck]]:
        """Return a check for each account that has not begun."""
        self._check_open()
        timeout, now = seconds("timeout", timeout), self._clock.monotonic()
        return [
            check_account(
                account,
                self._read_of(
                    account,
                    BatchRef(account.vendor, account.PROBE_ID, account.name),
                    now,
                    timeout,
                    now=now,
                    notify=self._notify,
                    listens=self._listens,
                    call=Call("check"),
                ),
            )
            for account in self._paces
        ]

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("this client is closed: make a new one, or stay inside its `with` block")

    def _result(self, outcome: Response | TransportFailure | None, asked_at: Moment | None = None) -> StepResult:
        return StepResult(outcome, self._clock.monotonic(), self._clock.utc(), asked_at)

    def _listens(self, kind: EventKind) -> bool:
        """Return whether an event is told to anybody: to the observer, or to the log."""
        return self._on_event is not None or (kind in LEVELS and log.isEnabledFor(LEVELS[kind]))

    def _listens_for(self, wanted: Collection[EventKind]) -> Listens:
        """Return the same for a call whose caller is told of some kinds."""
        return lambda kind: kind in wanted or self._listens(kind)

    def _notify(self, event: Event) -> None:
        """Log an event, and pass it to the observer, whose own errors lose no batch.

        It runs in the thread or task of the caller, and in its context.
        """
        level, batch = _level(event), event.batch
        if event.kind is EventKind.ATTEMPT and isinstance(event.error, InvalidResponse):
            self._discard_idle_connections()
        if level and log.isEnabledFor(level):
            log.log(level, "%s", event, extra=log_fields(event))
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:
                log.exception("on_event failed at %s of %s", event.kind, event.ref)
        if event.kind is EventKind.ATTEMPT and batch is not None and batch.state is BatchState.UNKNOWN:
            self._notify_unknown_word(event, (batch.ref.vendor, batch.vendor_status))

    def _leave(self, plan: Plan) -> None:
        """End a plan that may not be over, and tell what is still to tell of it."""
        plan.close()
        while plan.events:
            self._notify(plan.events.popleft())

    def _notify_unknown_word(self, event: Event, word: tuple[str, str]) -> None:
        if word not in self._unknown_words:
            self._unknown_words.add(word)
            self._notify(attrs.evolve(event, kind=EventKind.UNKNOWN_WORD))


def log_fields(event: Event) -> dict[str, str]:
    """Return the attributes of the log record of an event, for logs with fields."""
    fields = {"batch.ref": str(event.ref), "batch.vendor": event.ref.vendor}
    return fields if event.batch is None else fields | {"batch.state": event.batch.state.value}


def parse_refs(refs: Refs) -> Iterable[BatchRef]:
    """Return one ref or many as BatchRefs; raise ConfigurationError if one is not a ref."""
    return map(BatchRef.parse, [refs] if isinstance(refs, (str, BatchRef)) else refs)


def _level(event: Event) -> int:
    """Return the log level of an event; 0 if it is not logged."""
    if event.kind is EventKind.CHANGE and event.batch is not None and event.batch.state is event.previous_state:
        return 0
    return LEVELS.get(event.kind, 0)


def _constructors() -> str:
    return ", ".join(f"{vendor.__name__}(...)" for vendor in VENDORS.usable().values())


def check_until(until: Iterable[BatchState] | None) -> frozenset[BatchState]:
    """Return the states as a set; raise ConfigurationError if one is not a state."""
    states = [until] if isinstance(until, str) else list(until or ())
    try:
        return frozenset(map(BatchState, states))
    except ValueError:
        raise ConfigurationError(
            f"until takes states, such as {{BatchState.REQUIRES_ACTION}}, not {until!r:.80}"
        ) from None


def load_for(ref: str | BatchRef, resume: str | Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint; raise ConfigurationError if it is none, or another batch's."""
    checkpoint = load(resume)
    if checkpoint.ref != BatchRef.parse(ref):
        raise ConfigurationError(f"this checkpoint is about {checkpoint.ref}, not {ref}")
    return checkpoint


def check_history(history: History | None) -> Callable[[BatchRef], Durations | None] | None:
    """Return what is known of a ref's past; raise ConfigurationError if it is not durations."""
    if history is None or (callable(history) and not isinstance(history, Durations)):
        return history
    if not isinstance(history, Durations):
        if isinstance(history, (str, bytes)) or not isinstance(history, Iterable):
            raise ConfigurationError(f"history takes durations in seconds, or Durations(...), not {history!r:.80}")
        history = Durations(history)
    known = history
    return lambda _: known


def check_return_when(return_when: str) -> str:
    """Return the word; raise ConfigurationError if it is not one of the three."""
    if return_when not in {"all", "any", "first_failed"}:
        raise ConfigurationError(f"return_when is 'all', 'any' or 'first_failed', not {return_when!r:.40}")
    return return_when


def kinds_told(on_update: object, on_checkpoint: object) -> tuple[EventKind, ...]:
    """Return the kinds of events, besides the end, that a wait for one batch looks at."""
    wanted = ((EventKind.CHANGE, on_update), (EventKind.ATTEMPT, on_checkpoint))
    return tuple(kind for kind, listener in wanted if listener is not None)


def is_wanted(event: Event, kind: EventKind) -> bool:
    """Return whether an event is a batch of this kind, or ends the wait for one with an error or unsettled."""
    if event.kind is EventKind.DONE and event.batch is not None and not event.batch.is_settled:
        return True
    return event.kind is (EventKind.DONE if event.error is not None else kind)


def is_enough(outcome: Outcome, return_when: str) -> bool:
    """Return whether this outcome ends a wait for many."""
    if return_when == "first_failed":
        return outcome.batch is None or outcome.batch.state in {BatchState.FAILED, BatchState.CANCELLED}
    return return_when == "any"
