"""What the sync and the async client share: everything but waiting and sending."""

from __future__ import annotations

import inspect
import logging
import random
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

import attrs

from batchstatus._batch import Batch, BatchRef, BatchState, Outcome
from batchstatus._checkpoint import load
from batchstatus._errors import ConfigurationError, InvalidResponse
from batchstatus._events import Event, EventKind
from batchstatus._exchange import Answer, Failure, Pause, Reply, Send
from batchstatus._policy import PollPolicy, RetryPolicy, seconds
from batchstatus._queue import Queue
from batchstatus._reading import read
from batchstatus._schedule import TERMINAL, Schedule
from batchstatus.vendors import VENDORS, Account

from .clock import REAL, Clock
from .shared_pace import gate_for

WAIT_TIMEOUT = 900.0
"""Seconds. `wait` knows by identity whether the caller gave a timeout, which then replaces a checkpoint's deadline."""

log = logging.getLogger("batchstatus")
log.addHandler(logging.NullHandler())


class Core:
    """The accounts of a client, and the reads and waits that it drives."""

    _distrust: Callable[[], None]
    """What a transport does when an answer was not what was asked for."""
    IN_FLIGHT: ClassVar[int]
    """Reads of a wait under way at once, unless PollPolicy says otherwise."""

    def __init__(
        self,
        accounts: tuple[Account, ...],
        retry: RetryPolicy,
        poll: PollPolicy,
        on_event: Callable[[Event], object] | None,
        clock: Clock | None,
    ) -> None:
        self._accounts = _by_name(accounts)
        if not isinstance(retry, RetryPolicy):
            raise ConfigurationError(f"retry is a RetryPolicy(...), not {type(retry).__name__}")
        if not isinstance(poll, PollPolicy):
            raise ConfigurationError(f"poll is a PollPolicy(...), not {type(poll).__name__}")
        if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
            raise ConfigurationError(f"on_event is a plain function that takes an Event, not {on_event!r:.80}")
        self._retry = retry
        self._poll = poll
        self._on_event = on_event
        self._clock = clock or REAL
        self._gates = {
            account: gate_for(account.name, account.credential, account.rate_limit, self._clock) for account in accounts
        }
        self._unknown_words: set[tuple[str, str]] = set()
        self._closed = False

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Return a client with the accounts that the environment describes, one a vendor.

        `GAMEBALL_API_KEY` with `GAMEBALL_SECRET_KEY`, and `BELIEVE_API_KEY`; each may also be given as
        `..._FILE`, the path of a file that holds it. `GAMEBALL_BASE_URL` and `BELIEVE_BASE_URL` are optional.

        Args:
            **options: What the class itself takes by keyword.

        Raises:
            ConfigurationError: No vendor's keys are there, only some of one's, or a file cannot be read.
        """
        accounts = [account for vendor in VENDORS.values() if (account := vendor.from_env())]
        if not accounts:
            raise ConfigurationError(
                "no keys in the environment: set BELIEVE_API_KEY, or GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY"
            )
        make: Callable[..., Self] = cls
        return make(*accounts, **options)

    def _read(self, ref: str | BatchRef, timeout: float) -> Generator[Send | Pause, Reply, Batch]:
        """Return a read that has not begun; raise ConfigurationError where it cannot."""
        self._check_open()
        ref, timeout = BatchRef.parse(ref), seconds("timeout", timeout)
        account = self._account(ref)
        return read(
            account,
            ref,
            pace=self._gates[account],
            policy=self._retry,
            started=self._clock.monotonic(),
            timeout=timeout,
            random=random.random,
            tell=self._tell,
        )

    def _schedule(
        self,
        refs: str | BatchRef | Iterable[str | BatchRef],
        *,
        timeout: float,
        until: Iterable[BatchState] = TERMINAL,
        reads_before: int = 0,
    ) -> Schedule:
        """Return a wait that has not begun; raise ConfigurationError where it cannot."""
        self._check_open()
        queues: dict[Account, Queue] = {}
        placed: dict[BatchRef, Queue] = {}
        for ref in map(BatchRef.parse, [refs] if isinstance(refs, (str, BatchRef)) else refs):
            account = self._account(ref)
            if account not in queues:
                queues[account] = Queue(account, self._gates[account])
            placed[ref] = queues[account]
        return Schedule(
            placed,
            poll=self._poll,
            retry=self._retry,
            in_flight=self.IN_FLIGHT,
            until=TERMINAL | frozenset(until),
            started=self._clock.monotonic(),
            timeout=seconds("timeout", timeout),
            reads_before=reads_before,
        )

    def _wait(
        self,
        ref: str | BatchRef,
        timeout: float,
        until: Iterable[BatchState] | None,
        resume: str | Mapping[str, Any] | None,
    ) -> Schedule:
        """Return a wait for one batch, begun anew or resumed."""
        states = check_until(until)
        if resume is None:
            return self._schedule([ref], timeout=timeout, until=states)
        checkpoint = load(resume)
        if checkpoint.ref != BatchRef.parse(ref):
            raise ConfigurationError(f"this checkpoint is about {checkpoint.ref}, not {ref}")
        if timeout is WAIT_TIMEOUT:  # not given: the deadline stays
            timeout = (checkpoint.deadline - self._clock.utc()) / timedelta(seconds=1)
            if timeout <= 0:
                raise ConfigurationError(f"the deadline of this checkpoint, {checkpoint.deadline}, has passed: "
                                         "give a timeout")  # fmt: skip
        states = states or checkpoint.until
        return self._schedule([ref], timeout=timeout, until=states, reads_before=checkpoint.reads)

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("this client is closed: make a new one, or stay inside its `with` block")

    def _account(self, ref: BatchRef) -> Account:
        accounts = self._accounts.get(ref.vendor)
        if not accounts:
            raise ConfigurationError(f"{ref}: this client has no account at {ref.vendor!r}, only at "
                                     f"{', '.join(sorted(self._accounts))}{_known(ref.vendor)}")  # fmt: skip
        if ref.account is None and len(accounts) == 1:
            return next(iter(accounts.values()))
        if ref.account not in accounts:
            names = ", ".join(f"{ref.vendor}/{name}:..." if name else f"{ref.vendor}:..." for name in accounts)
            raise ConfigurationError(f"{ref}: which account? This client's refs at {ref.vendor} are written {names}")
        return accounts[ref.account]

    def _reply(self, outcome: Answer | Failure | None) -> Reply:
        return Reply(outcome, self._clock.monotonic(), self._clock.utc())

    def _tell(self, event: Event) -> None:
        """Log an event, and hand it to the observer, whose own errors lose no batch."""
        level, batch = _level(event), event.batch
        if event.kind is EventKind.READ and isinstance(event.error, InvalidResponse):
            self._distrust()
        if level and log.isEnabledFor(level):
            log.log(level, "%s", event)
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:
                log.exception("on_event failed at %s of %s", event.kind, event.ref)
        if event.kind is EventKind.READ and batch is not None and batch.state is BatchState.UNKNOWN:
            self._tell_unknown_word(event, (batch.ref.vendor, batch.vendor_status))

    def _tell_unknown_word(self, event: Event, word: tuple[str, str]) -> None:
        if word not in self._unknown_words:
            self._unknown_words.add(word)
            self._tell(attrs.evolve(event, kind=EventKind.UNKNOWN_WORD))


def _level(event: Event) -> int:
    """Return how loud an event is in the log; 0 where it is not in it."""
    kind = event.kind
    if kind is EventKind.READ:
        return logging.DEBUG
    if kind is EventKind.CHANGE:
        return logging.INFO if event.batch is not None and event.batch.state is not event.before else 0
    return logging.WARNING if kind in {EventKind.UNKNOWN_WORD, EventKind.NEEDS_ACTION} else 0


def _by_name(accounts: tuple[Account, ...]) -> Mapping[str, Mapping[str | None, Account]]:
    if not accounts:
        raise ConfigurationError("a client needs an account: Gameball(...), Believe(...), or from_env()")
    found: dict[str, dict[str | None, Account]] = {}
    for account in accounts:
        if not isinstance(account, Account):
            raise ConfigurationError(f"a client takes Gameball(...) and Believe(...), not {type(account).__name__}")
        if account.account in found.setdefault(account.name, {}):
            raise ConfigurationError(f"two accounts at {account.name} have the same name; give each account='...'")
        found[account.name][account.account] = account
    return found


def check_until(until: Iterable[BatchState] | None) -> frozenset[BatchState]:
    """Return the states as a set; raise ConfigurationError where one is none."""
    states = [until] if isinstance(until, str) else list(until or ())
    try:
        return frozenset(map(BatchState, states))
    except ValueError:
        raise ConfigurationError(
            f"until takes states, such as {{BatchState.REQUIRES_ACTION}}, not {until!r:.80}"
        ) from None


def check_return_when(return_when: str) -> str:
    """Return the word; raise ConfigurationError where it is none."""
    if return_when not in {"all", "any", "first_failed"}:
        raise ConfigurationError(f"return_when is 'all', 'any' or 'first_failed', not {return_when!r:.40}")
    return return_when


def is_wanted(event: Event, kind: EventKind) -> bool:
    """Return whether an event is a batch of this kind, or the error that ends the wait for one."""
    return event.kind is (kind if event.error is None else EventKind.DONE)


def is_enough(outcome: Outcome, return_when: str) -> bool:
    """Return whether this outcome ends a wait for many."""
    if return_when == "first_failed":
        return outcome.batch is None or outcome.batch.state in {BatchState.FAILED, BatchState.CANCELLED}
    return return_when == "any"


def _known(vendor: str) -> str:
    return f"; give it {VENDORS[vendor].__name__}(...)" if vendor in VENDORS else ""
