"""One pass over tracked batches: which have still to be read, and which could not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from batchstatus import BatchRef, BatchStatusError, Event, EventKind

MOST_FAILURES = 3
"""Failed polls of a batch after which a pass leaves it to the next one."""


class OnePass:
    """The batches of one pass. No I/O, no clock."""

    def __init__(self, refs: Iterable[BatchRef]) -> None:
        self._open = dict.fromkeys(refs)
        self._failures: Counter[BatchRef] = Counter()
        self.unread: dict[BatchRef, BatchStatusError | None] = dict.fromkeys(self._open)
        """Those that were not read, and why, as far as that is known."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to read."""
        return not self._open

    def take(self, event: Event) -> list[BatchRef]:
        """Take an event in; return the batches with which this pass is through.

        That is a batch that was read, or that failed three times, or whose failure time does not mend; and all of an
        account that is in trouble.
        """
        done: list[BatchRef] = []
        if event.kind is EventKind.CLOSED:
            done = [ref for ref in self._open if ref.account_ref == event.ref.account_ref]
            for ref in done:
                self.unread[ref] = self.unread[ref] or event.error
        elif event.kind is EventKind.ATTEMPT and event.ref in self._open:
            if event.error is None:
                self.unread.pop(event.ref, None)
                done = [event.ref]
            else:
                self.unread[event.ref] = event.error
                self._failures[event.ref] += 1
                if self._failures[event.ref] >= MOST_FAILURES or not event.error.is_retryable:
                    done = [event.ref]
        for ref in done:
            self._open.pop(ref, None)
        return done
