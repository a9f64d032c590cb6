"""Whether a watcher is alive, and whether its polls and its store succeed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from attrs import define

from batchstatus import APIError, AuthenticationError, BatchStatusError, Event, EventKind, PermissionDenied, printable

from .store import Store

LIVE_SECONDS = 60.0
"""Seconds within which a living watcher comes round once, or finds that its store fails."""
FAILING_SECONDS = 60.0
"""Seconds for which all polls of an account that has answered before must have failed."""
FAULT_SECONDS = 15.0
"""Seconds for which an access to the store that failed counts: a service tries again each second."""
MAX_TEXT = 200
"""Characters of an error."""


@define
class AccountHealth:
    """How the polls of one account went."""

    answered_at: float | None = None
    """When the vendor answered last, on the monotonic clock, be it that it denied a batch."""
    failing_since: float | None = None
    """When the first poll failed since then; None: the last one did not."""
    error: BatchStatusError | None = None
    """The error of the last poll, if it failed."""

    def problem(self, now: float) -> str:
        """Return why the account is not well; empty if it is."""
        if self.failing_since is None or self.error is None:
            return ""
        said = f"{type(self.error).__name__}: {printable(self.error.detail)[:MAX_TEXT]}"
        if self.answered_at is None:
            return f"no poll has succeeded yet: {said}"
        lasted = now - self.failing_since
        return f"no poll has succeeded for {lasted:.0f} s: {said}" if lasted >= FAILING_SECONDS else ""


class Health:
    """The health of one watcher, as it shows from its events and its store."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._accounts: dict[str, AccountHealth] = {}
        self._round_at: float | None = None

    @property
    def accounts(self) -> Mapping[str, AccountHealth]:
        """The accounts that were polled, by account ref."""
        return self._accounts

    def came_round(self) -> None:
        """Record that the watcher goes on."""
        self._round_at = self._clock()

    def hear(self, event: Event) -> None:
        """Record a poll."""
        if event.kind is not EventKind.ATTEMPT:
            return
        account = self._accounts.setdefault(event.ref.account_ref, AccountHealth())
        if event.error is None or denies_batch(event.error):
            account.answered_at, account.failing_since, account.error = self._clock(), None, None
        else:
            account.error = event.error
            if account.failing_since is None:
                account.failing_since = self._clock()

    def is_alive(self) -> bool:
        """Return whether the watcher goes on; one whose store fails does, as it tries again each second.

        An answer at all shows that the event loop runs.
        """
        if self._round_at is None:
            return False
        return self._clock() - max(self._round_at, self._store.faults.last_at) < LIVE_SECONDS

    def problems(self) -> list[str]:
        """Return why polls or writes do not succeed, one text for each reason; none: the service is ready."""
        now, faults = self._clock(), self._store.faults
        found = [] if self.is_alive() else ["watcher: it does not go on"]
        if now - faults.last_at < FAULT_SECONDS:
            found.append(f"store: {printable(faults.last)[:MAX_TEXT]}")
        problems = {account_ref: account.problem(now) for account_ref, account in self._accounts.items()}
        return found + [f"{account_ref}: {problem}" for account_ref, problem in sorted(problems.items()) if problem]


def denies_batch(error: BatchStatusError | None) -> bool:
    """Return whether the vendor itself refuses a batch; a refused key can be replaced, and an outage ends."""
    is_about_key = isinstance(error, (AuthenticationError, PermissionDenied))
    return isinstance(error, APIError) and not error.is_retryable and not is_about_key
