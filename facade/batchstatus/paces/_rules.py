"""The rules of a pace that is kept on a server, as generators of steps: no I/O, and no code for one server alone.

The server keeps a text and compares it when it is replaced, so that no lock is held by a client that stands still. All
times in it are the server's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar

import attrs
from attrs import field, frozen

from batchstatus import Account, ConfigurationError, PaceState, RateLimit

T = TypeVar("T")

MEMBER = 30.0
"""Seconds after which one who has not booked a slot is no member any more."""
FIRST_SLOT = 1.0
"""Seconds until the first slot of a pace that the server does not know: slots that were booked before it was restarted
may still be used."""
COLD, COLD_SPACINGS = 1.0, 3.0
"""The first request of a process is late, as everything has to be loaded for it: 0.3 s with four that start together.
No other slot is booked for so many spacings after its slot, and for so many seconds at most."""
MAX_TRIES = 100
"""Of one change; of those who try at the same time one succeeds."""
FIRST_PAUSE, MAX_PAUSE = 0.5, 8.0
"""Seconds for which a server that is lost is not asked, if the pace goes on without it: at first, and at most."""


def name_of(account: Account, salt: str | bytes) -> str:
    """Return the name of an account's pace: a keyed hash of its keys."""
    return account.pace_name(salt.decode() if isinstance(salt, bytes) else salt)


@frozen
class Read:
    """A step: return what is stored."""


@frozen
class Swap:
    """A step: store the new text if the old one still stands there, and return what is stored then."""

    old: str | None = field(repr=False)
    new: str = field(repr=False)


@frozen
class Stored:
    """The result of a step."""

    text: str | None = field(repr=False)
    """None if there is none."""
    server: float
    """The server's time, in seconds since 1970."""
    at: float
    """This process's monotonic time, when it was known."""
    is_new: bool = False
    """Whether the new text was stored."""


Steps: TypeAlias = Generator[Read | Swap, Stored, T]


@attrs.define
class Kept:
    """What the server keeps."""

    state: PaceState
    members: dict[str, float]
    """When each has booked its last slot."""

    def dumped(self) -> str:
        return json.dumps({"state": attrs.astuple(self.state), "members": self.members})


class Rules:
    """The operations of a Pace, each as steps; and the same without the server, as one of so many members."""

    def __init__(self, account: Account, when_lost: str) -> None:
        if when_lost not in {"wait", "local"}:
            raise ConfigurationError(f"when_lost is 'wait' or 'local', not {when_lost!r:.40}")
        limit = account.rate_limit
        if not isinstance(limit, RateLimit):
            raise ConfigurationError(f"{account.account_ref}: a shared pace needs an account with a RateLimit")
        self.account = account
        self._goes_on_alone = when_lost == "local"
        self._id = secrets.token_hex(8)
        self._new = PaceState.of_limit(limit)
        self._alone = PaceState.of_limit(limit)
        self._members = 1
        self._slowness = 1.0
        self._has_yielded = False
        self._is_cold = True
        """Whether this process has yet to send."""
        self._pause = 0.0
        self._asked_again_at = -1.0

    # With the server

    def reserve(self, now: float, before: float) -> Steps[float | None]:
        """Book the next slot; see `Pace`."""

        def book(kept: Kept, stored: Stored) -> float | None:
            slot = kept.state.next_slot(stored.server)
            wait = stored.at + slot - stored.server - now
            if now + wait >= before:
                return None
            kept.state.book(slot)
            kept.state.spacing = self._new.spacing
            kept.members[self._id] = stored.server
            return wait

        wait: float | None = yield from self._change(book)
        return wait

    def begin(self, slot: float, now: float) -> Steps[bool]:  # noqa: ARG002 (the server's time counts)
        """Use a booked slot; see `Pace`. One that is late, and overtaken, is void, but not twice in a row."""

        def use(kept: Kept, stored: Stored) -> bool:
            state, booked = kept.state, stored.server - (stored.at - slot)
            if stored.server < state.closed_until:
                return False
            if state.is_overtaken(booked, stored.server) and not self._has_yielded:
                return False
            state.begin(booked, stored.server)
            if self._is_cold:
                state.last = max(state.last, stored.server + min(COLD_SPACINGS * state.spacing, COLD))
            return True

        began = yield from self._change(use)
        self._is_cold = self._is_cold and not began
        self._has_yielded = not began
        return began

    def release(self, slot: float) -> Steps[None]:
        """Give a booked slot back."""

        def give_back(kept: Kept, stored: Stored) -> None:
            kept.state.release(stored.server - (stored.at - slot))

        yield from self._change(give_back)

    def refused(self, now: float, pause: float) -> Steps[float]:
        """Record a 429."""

        def close(kept: Kept, stored: Stored) -> float:
            return kept.state.refused(stored.server - (stored.at - now), pause)

        self._alone.refused(now, pause)
        closed = yield from self._change(close)
        return closed

    def accepted(self) -> Steps[None]:
        """Record any other response; at the normal rate there is nothing to record."""

        def recover(kept: Kept, stored: Stored) -> None:  # noqa: ARG001 (as the others)
            kept.state.accepted()

        self._alone.accepted()
        if self._slowness > 1.0:
            yield from self._change(recover)

    def _change(self, change: Callable[[Kept, Stored], T]) -> Steps[T]:
        """Change what is kept; try again for as long as another process has changed it meanwhile."""
        stored = yield Read()
        for _ in range(MAX_TRIES):
            kept = self._load(stored)
            before = kept.dumped()
            result = change(kept, stored)
            self._slowness = kept.state.slowness
            if kept.dumped() == before:
                return result
            stored = yield Swap(stored.text, kept.dumped())
            if stored.is_new:
                return result
        raise TimeoutError("others change it at the same time, again and again")

    def _load(self, stored: Stored) -> Kept:
        """Return what is kept, at the slower of the two spacings if another one has booked last."""
        try:
            fields = json.loads(stored.text or "")
            state = PaceState(*fields["state"])
            state.free = tuple(state.free)
            members = {name: at for name, at in fields["members"].items() if stored.server - at < MEMBER}
        except (ValueError, TypeError, KeyError, AttributeError):
            state, members = attrs.evolve(self._new), {}
            state.last = stored.server + FIRST_SLOT - state.spacing
        state.repair(stored.server)
        state.spacing = max(state.spacing, self._new.spacing)
        self._members = len(members.keys() | {self._id})
        return Kept(state, members)

    # Without it

    def is_lost(self, now: float) -> bool:
        """Return whether the server was lost a moment ago, and is not to be asked yet."""
        return self._goes_on_alone and now < self._asked_again_at

    def lose(self, now: float) -> bool:
        """Note that the server could not be asked; return whether to go on without it."""
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), MAX_PAUSE)
        self._asked_again_at = now + self._pause
        return self._goes_on_alone

    def find(self) -> None:
        """Note that the server has answered."""
        self._pause, self._asked_again_at = 0.0, -1.0

    def alone(self, name: str, *arguments: float) -> Any:
        """Perform an operation on a pace of this process's own: the limit divided by the members of the last 30 s."""
        self._alone.spacing = self._new.spacing * self._members
        return getattr(self._alone, name)(*arguments)
