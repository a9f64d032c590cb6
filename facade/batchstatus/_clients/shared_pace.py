"""One pace per credential in this process, whichever client asks."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable
from weakref import WeakKeyDictionary

from batchstatus._core.clock import Clock
from batchstatus._core.pacing import NoPace, PaceState
from batchstatus._core.policies import AsyncPace, Pace, RateLimit
from batchstatus._fork import ForkLock

from .remote_pace import at_once

log = logging.getLogger("batchstatus")


class SharedPace:
    """A pace that any number of threads may use: see `PaceState`, whose rules it follows."""

    is_local = True

    def __init__(self, state: PaceState) -> None:
        self._state = state
        self._lock = ForkLock()

    def reserve(self, now: float, before: float) -> float | None:
        """Book the next slot."""
        with self._lock:
            return self._state.reserve(now, before)

    def begin(self, slot: float, now: float) -> bool:
        """Use a booked slot."""
        with self._lock:
            return self._state.begin(slot, now)

    def release(self, slot: float) -> None:
        """Give back a booked slot."""
        with self._lock:
            self._state.release(slot)

    def refused(self, now: float, pause: float) -> float:
        """Record a 429."""
        with self._lock:
            return self._state.refused(now, pause)

    def accepted(self) -> None:
        """Record any other response."""
        if not self._state.is_well:  # mostly it is, and needs no lock
            with self._lock:
                self._state.accepted()

    def slow_down_to(self, spacing: float) -> bool:
        """Take the larger spacing; return whether the two differ."""
        with self._lock:
            differ = self._state.spacing != spacing
            self._state.spacing = max(self._state.spacing, spacing)
            return differ


_lock = ForkLock()
_paces: WeakKeyDictionary[Clock, dict[Hashable, SharedPace]] = WeakKeyDictionary()
"""By clock, since the times of a pace are those of one clock; all real clients share one."""


def pace_for(
    name: str, credential: Hashable, limit: RateLimit | Pace | AsyncPace | None, clock: Clock, *, in_tasks: bool = False
) -> Pace:
    """Return the pace of a credential, or one in front of the caller's own, that answers at once.

    If two clients set different limits, the slower one holds for both.
    """
    if not isinstance(limit, RateLimit):
        return NoPace() if limit is None else at_once(name, limit, clock, in_tasks=in_tasks)
    state = PaceState.of_limit(limit)
    with _lock:
        paces = _paces.setdefault(clock, {})
        pace = paces.setdefault(credential, SharedPace(state))
        differ = pace.slow_down_to(state.spacing)
    if differ:
        log.warning("%s: two clients set different rate limits for one credential; the slower one holds", name)
    return pace


def _forget() -> None:
    _paces.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
