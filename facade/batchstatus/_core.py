"""What the sync and the async client share: everything but waiting and sending."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Generator, Mapping
from typing import Any, Self

from ._batch import Batch, BatchRef, BatchState
from ._clock import REAL, Clock
from ._errors import ConfigurationError
from ._exchange import Answer, Failure, Pause, Reply, Send
from ._gates import gate_for
from ._policy import RetryPolicy, seconds
from ._reading import read
from .vendors import VENDORS, Account

log = logging.getLogger("batchstatus")
log.addHandler(logging.NullHandler())


class Core:
    """The accounts of a client, and the reads that it drives."""

    def __init__(self, accounts: tuple[Account, ...], retry: RetryPolicy, clock: Clock | None) -> None:
        self._accounts = _by_name(accounts)
        if not isinstance(retry, RetryPolicy):
            raise ConfigurationError(f"retry is a RetryPolicy(...), not {type(retry).__name__}")
        self._retry = retry
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
        if self._closed:
            raise ConfigurationError("this client is closed: make a new one, or stay inside its `with` block")
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
        )

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

    def _noticed(self, batch: Batch) -> Batch:
        """Warn of a status word that is in no table, once for each."""
        word = (batch.ref.vendor, batch.vendor_status)
        if batch.state is BatchState.UNKNOWN and word not in self._unknown_words:
            self._unknown_words.add(word)
            log.warning(
                "%s: unknown status %.80r, taken as UNKNOWN (not ended); %s(states=...) can say what it means",
                batch.ref, batch.vendor_status, VENDORS[batch.ref.vendor].__name__,
            )  # fmt: skip
        return batch


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


def _known(vendor: str) -> str:
    return f"; give it {VENDORS[vendor].__name__}(...)" if vendor in VENDORS else ""
