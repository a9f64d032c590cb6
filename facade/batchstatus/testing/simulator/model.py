"""Simulated batches, the quirks that any vendor may have, and the base class of simulated vendors.

Each vendor has a file of its own, here or in its own package; the account's class names it.
"""

from __future__ import annotations

import functools
import importlib
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from attrs import fields, frozen, has

from batchstatus import Account, BatchState, ConfigurationError
from batchstatus.fields import at
from batchstatus.vendors import VENDORS

PENDING_SHARE = 0.2
"""Of a batch's time it is pending for this share."""
log = logging.getLogger("batchstatus")

MARK = "the-batch"
PLACEHOLDERS: Mapping[str, Any] = {"str": "simulated", "float": 0.0, "int": 0, "bool": False}
"""A value of each plain type of a raw model."""


class Quirk(Enum):
    """A way in which a vendor may depart from its page; each can be switched on for one batch or for all.

    These may be any vendor's; a vendor's file has an Enum of its own for what it alone may do.
    """

    CONTRADICTION = "Counts that contradict each other (G12, B24)"
    FLOAT_COUNTS = "Counts as numbers with a decimal point (G7, B12)"
    TEXT_COUNTS = "Counts as text (G7, B12)"
    NULLS = "Absent fields as null (G22, B17)"
    MISSING_FIELDS = "Nothing but id and status (G6, B18)"
    RETRY_AFTER = "A Retry-After with each 429 and 503 (G21, B7)"
    OUTAGE = "503 for every read (G4, B9)"
    HTML_ERRORS = "Errors as HTML pages (G4, B9)"


@frozen(kw_only=True)
class Words:
    """A vendor's words for the three phases of a batch that goes well."""

    pending: str
    running: str
    succeeded: str


@frozen(kw_only=True)
class SimulatedBatch:
    """A batch that stands still in one status, or moves through its phases as time passes."""

    vendor: str
    id: str
    status: str | None
    ends: str | None = None
    seconds: float = 10.0
    total: int = 8
    failed: int = 0
    quirks: frozenset[Enum] = frozenset()
    added: float = 0.0


@frozen(kw_only=True)
class Query:
    """A request to a simulated vendor, as far as it matters for the answer."""

    id: str
    headers: Mapping[str, str]
    """Names in lower case."""
    settings: Mapping[str, str]
    """The account's settings that are part of the path, such as a project."""
    number: int
    """How many requests there were so far."""
    known: bool
    """Whether there is a batch with this id."""
    quirks: frozenset[Enum]
    is_over_limit: Callable[[str], bool]
    """Whether one request more with this key is too many."""


class SimulatedVendor(ABC):
    """The responses of a simulated vendor."""

    ACCOUNT: ClassVar[type[Account]]
    """The class of the accounts that read it."""
    KEYS: ClassVar[Mapping[str, str]]
    """The keys that it accepts, by the parameter of the account's class."""
    SETTINGS: ClassVar[Mapping[str, str]] = {}
    """The settings of an account with these keys, by parameter; those with a default may be left out."""
    LIMITS: ClassVar[tuple[tuple[int, float], ...]] = ()
    """Requests, and the seconds in which a key may send so many."""
    RETRY_AFTER: ClassVar[int | None] = None
    """Seconds in the Retry-After of each 429 and 503; None: there is none but with Quirk.RETRY_AFTER."""
    RUNNING: ClassVar = BatchState.RUNNING
    """The state of a batch that is neither pending nor at its end."""
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    """The fields that Quirk.NULLS sends as null, unless they are there; `a.b` inside the object `a`."""
    SAMPLES: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """The batches that `batchstatus simulate` shows: arguments of `Simulator.add` for each kind of end."""

    @property
    def name(self) -> str:
        """The vendor's name in refs."""
        return self.ACCOUNT.vendor

    @abstractmethod
    def new_id(self, number: int) -> str:
        """Return an id in the vendor's form."""

    @abstractmethod
    def body(self, batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
        """Return the status body of a batch with a status word and the share of it that is done, 0.0 to 1.0."""

    @abstractmethod
    def error_body(self, status: int) -> dict[str, Any]:
        """Return the error body that goes with an HTTP status."""

    @abstractmethod
    def refuse(self, query: Query) -> tuple[int, dict[str, Any]] | None:
        """Return the status and the error body of a request that gets no batch; None for one that does."""

    def words(self, quirks: Collection[Enum]) -> Words:  # noqa: ARG002 (a vendor may have others for a quirk)
        """Return the words of a batch that goes well."""
        return self._words

    @functools.cached_property
    def _words(self) -> Words:
        return Words(
            pending=word_for(self.ACCOUNT, BatchState.PENDING, self.RUNNING),
            running=word_for(self.ACCOUNT, self.RUNNING, BatchState.PENDING),
            succeeded=word_for(self.ACCOUNT, BatchState.SUCCEEDED),
        )

    @functools.cached_property
    def route(self) -> tuple[str, str]:
        """The method and the path of a batch's status: those of the account's request.

        `{batch_id:path}` stands for the id, and a setting's name in braces for its value.
        """
        settings = {name: f"{MARK}-{name}" for name in self.ACCOUNT.SETTINGS}
        request = self.account(None, **settings).request(MARK)
        path = urlsplit(request.url).path.removeprefix(urlsplit(self.ACCOUNT.BASE_URL).path.rstrip("/"))
        for name, mark in settings.items():
            path = path.replace(mark, f"{{{name}}}")
        if path.count(MARK) != 1:
            raise ConfigurationError(f"{self.ACCOUNT.__name__}'s request has the id in its path once, not {path!r}")
        return request.method, path.replace(MARK, "{batch_id:path}")

    def asked(self, path: str) -> str | None:
        """Return the id that a request's path asks for, below whatever base URL; None if it is not such a path."""
        found = self._pattern.fullmatch(path)
        return unquote(found["batch_id"]) if found else None

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)(?::path)?\}", self.route[1])
        named = [f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts)]
        return re.compile("(?:/.*)?" + "".join(named))

    def key(self, query: Query, name: str) -> str | None:
        """Return the key that a request has for a parameter of the account's class."""
        return self.ACCOUNT.keys_in(query.headers).get(name)

    def error(self, code: str | int | None, message: str) -> dict[str, Any]:
        """Return the part of an error body that the account's class reads."""
        names = self.ACCOUNT.ERROR_FIELDS
        body: dict[str, Any] = {}
        put(body, names["code"][0], code)
        put(body, names["message"][0], message)
        return body

    def completed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a body of the spec's shape with a value for each plain field that the spec has got since."""
        return body | {name: self.added[name] for name in self.added.keys() - {*body, *self.OPTIONAL}}

    @functools.cached_property
    def added(self) -> dict[str, Any]:
        """A value for each plain field of the raw model, by its name in JSON; `completed` uses those it needs."""
        body: dict[str, Any] = {}
        put(body, self.ACCOUNT.STATUS_FIELD, self._words.pending)
        model: Any = self._any_account.status_fields(body).raw
        if not has(type(model)):
            return {}
        kinds = {attribute.name: str(attribute.type).partition(" |")[0] for attribute in fields(type(model))}
        plain = {name: kind for name, kind in kinds.items() if kind in PLACEHOLDERS}
        named: dict[str, Any] = type(model)(**{name: name for name in plain}).to_dict()
        return {name: PLACEHOLDERS[plain[attribute]] for name, attribute in named.items()}

    def phase(self, batch: SimulatedBatch, now: float) -> tuple[str, float]:
        """Return the status word of a batch and the share that is done, 0.0 to 1.0."""
        words = self.words(batch.quirks)
        if batch.status is not None:
            return batch.status, self._share_of(batch.status)
        share = min((now - batch.added) / batch.seconds, 1.0) if batch.seconds > 0 else 1.0
        if share < PENDING_SHARE:
            return words.pending, 0.0
        word = batch.ends or words.succeeded
        return (words.running if share < 1.0 else word), share * self._share_of(word)

    def _share_of(self, word: str) -> float:
        """Return how far a batch has come that stands still in a status: half way, if it was cancelled."""
        shares = {BatchState.PENDING: 0.0, BatchState.SUCCEEDED: 1.0, BatchState.FAILED: 1.0}
        return shares.get(self._any_account.state_of(word), 0.5)

    def status_body(self, batch: SimulatedBatch, status: str, share: float, epoch: datetime) -> dict[str, Any]:
        """Return the status body, with the quirks that all vendors share."""
        body = self.body(batch, status, share, epoch)
        if Quirk.MISSING_FIELDS in batch.quirks:
            kept: dict[str, Any] = {}
            for path in (self.ACCOUNT.ID_FIELD, self.ACCOUNT.STATUS_FIELD):
                put(kept, path, at(body, path))
            body = kept
        if Quirk.NULLS in batch.quirks:
            for path in self.OPTIONAL:
                put_null(body, path)
        return body

    @functools.cached_property
    def _any_account(self) -> Account:
        return self.account(None)

    def account(self, url: str | None, **options: Any) -> Account:
        """Return an account whose keys this vendor accepts; None for the vendor's own address."""
        make: Callable[..., Account] = self.ACCOUNT
        return make(**{**self.KEYS, **self.SETTINGS, "base_url": url, **options})

    def environment(self, url: str) -> dict[str, str]:
        """Return the environment variables of such an account."""
        given = {**self.KEYS, **self.SETTINGS, "base_url": url}
        return {self.ACCOUNT.variable(name): value for name, value in given.items()}


def word_for(account: type[Account], *states: BatchState) -> str:
    """Return the first of a vendor's words that mean a state; of several states, the first that has a word."""
    words = (word for state in states for word, meant in account.WORDS.items() if meant is state)
    if (found := next(words, None)) is None:
        raise ConfigurationError(f"{account.__name__} has no word for {' or '.join(states)}")
    return found


@functools.cache
def simulated_vendors() -> dict[str, SimulatedVendor]:
    """Return the simulated vendors by name, of all vendors that have one; a warning tells of one that fails."""
    found = {}
    for name, account in VENDORS.usable().items():
        if account.SIMULATOR:
            try:
                found[name] = simulated(account)
            except ConfigurationError as error:
                log.warning("%s", error)
    return found


def simulated(account: type[Account]) -> SimulatedVendor:
    """Return the simulated vendor that an account's class names; raise ConfigurationError if there is none."""
    if not account.SIMULATOR:
        raise ConfigurationError(f"there is no simulated {account.vendor}: SIMULATOR of its account's class names it")
    module, _, name = account.SIMULATOR.partition(":")
    try:
        vendor = getattr(importlib.import_module(module), name)()
        assert vendor.ACCOUNT is account, f"it is that of {vendor.ACCOUNT.__name__}"
    except Exception as error:  # noqa: BLE001 (whatever a third party's module raises)
        problem, cause = f"{type(error).__name__}: {error}", error
    else:
        found: SimulatedVendor = vendor
        return found
    raise ConfigurationError(
        f"the simulated {account.vendor} cannot be used: SIMULATOR = {account.SIMULATOR!r}: {problem}"
    ) from cause


def put(body: dict[str, Any], path: str, value: Any) -> None:
    """Set a field, `a.b` inside the object `a`, unless the value is None."""
    if value is not None:
        *holders, name = path.split(".")
        functools.reduce(lambda part, holder: part.setdefault(holder, {}), holders, body)[name] = value


def put_null(body: dict[str, Any], path: str) -> None:
    """Set a field to None, `a.b` inside the object `a`, unless it is there."""
    *holders, name = path.split(".")
    holder: Any = at(body, ".".join(holders)) if holders else body
    if isinstance(holder, dict):
        holder.setdefault(name, None)


def spell(counts: dict[str, int], quirks: Collection[Enum]) -> dict[str, Any]:
    """Return counts as numbers, with a decimal point or as text, as the quirks say."""
    if Quirk.FLOAT_COUNTS in quirks:
        return {name: float(value) for name, value in counts.items()}
    if Quirk.TEXT_COUNTS in quirks:
        return {name: str(value) for name, value in counts.items()}
    return dict(counts)


def timestamp(moment: datetime) -> str:
    """Return a time as vendors write it in ISO 8601: UTC, with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
