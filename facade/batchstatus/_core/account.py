"""An account at a vendor: its address and keys, the request it sends, and the fields of the vendor's bodies.

Each vendor is a subclass, in a file of its own in `batchstatus.vendors`; a third party's subclass works in the same
places.
"""

from __future__ import annotations

import copy
import copyreg
import functools
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self, TypedDict, Unpack
from urllib.parse import quote, urlencode

from attrs import field, frozen

from .errors import APIError, ConfigurationError
from .keys import BASIC, Secret, derived, header_value, keys_of_value
from .policies import AsyncPace, Pace, RateLimit
from .urls import check_base_url
from .values import BatchRef, BatchState, Counts, ItemFailure, check_account_name


@frozen(kw_only=True)
class Request:
    """A request without a body to send."""

    url: str
    keys: Mapping[str, str] = field(repr=False)
    """The headers that authenticate, by name."""
    hidden: Sequence[str] = field(default=(), repr=False)
    """Further texts that show the keys, such as a key without the scheme that is before it in a header."""
    method: str = "GET"
    headers: Mapping[str, str] = field(factory=dict)
    """What else the vendor wants in headers, such as a version of its API; names in lower case."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that is removed from the response."""
        return (*self.keys.values(), *self.hidden)


@frozen(kw_only=True)
class StatusFields:
    """The fields of a status body in our terms, before they are held against the request."""

    id: str | None
    status: str
    counts: Counts
    fraction: float | None = None
    """The vendor's own progress, from 0.0 to 1.0, if its scale is known."""
    failures: tuple[ItemFailure, ...] = ()
    results: tuple[Any, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: object
    """The generated model; None if it can be made of no part of the body."""
    problems: tuple[str, ...] = ()
    """What of the body could not be used: a short text each, which names the field."""
    may_stop_early: bool = False
    """Whether the batch may have ended before all its items were processed, as its body says."""


@frozen(kw_only=True)
class ErrorFields:
    """The fields of an error body, as text."""

    code: str | None = None
    message: str | None = None
    request_id: str | None = None


class AccountOptions(TypedDict, total=False):
    """The parameters that the accounts of all vendors have; Account describes them."""

    base_url: str | None
    name: str | None
    rate_limit: RateLimit | Pace | AsyncPace | None
    states: Mapping[str, BatchState] | None
    allow_insecure: bool


class Account(ABC):
    """One account at one vendor; each vendor is a subclass.

    A subclass has a constructor that takes each key and each setting by its name, and the options of all vendors:

        def __init__(self, api_key: KeySource, *, project: str, **options: Unpack[AccountOptions]) -> None:
            key = Secret("Shop's api_key", api_key)
            del api_key  # tracebacks with local variables must not show it
            super().__init__(key, settings={"project": project}, **options)

    Args:
        *keys: The keys, in the order of `KEY_HEADERS`.
        settings: The values of `SETTINGS`; None is the default of one that has a default.
        **options: Those of all vendors. `base_url` is the API's address (default: `BASE_URL`); `name` the name in refs
            if a client has several accounts at the vendor; `rate_limit` how often the account may be asked, or a pace
            that decides, None for no limit (default: `RATE_LIMIT`); `states` further status words and their states,
            which win over `WORDS`; `allow_insecure` whether base_url may be plain http off loopback.

    Raises:
        ConfigurationError: A key, setting, URL, name, limit or state cannot work; the message never shows a key.
    """

    vendor: ClassVar[str]
    """The vendor's name in refs."""
    BASE_URL: ClassVar[str]
    KEY_HEADERS: ClassVar[Mapping[str, str]]
    """The header that carries each key, by the key's parameter name."""
    KEY_SCHEMES: ClassVar[Mapping[str, str]] = {}
    """The scheme before the key in a header, by the header's name in `KEY_HEADERS`, such as `Bearer`.

    With `Basic`, the header carries one key, as the user, or two: the user and the password.
    """
    SETTINGS: ClassVar[Mapping[str, str | None]] = {}
    """Further parameters of an account, which are text and no keys, with their defaults; None if it must be given.

    `raw_request` has them in `settings`, for a part of the path, a query or a header, such as a project.
    """
    RATE_LIMIT: ClassVar[RateLimit | None] = None
    """The vendor's own limit."""
    WORDS: ClassVar[Mapping[str, BatchState]]
    """The state that each status word means."""
    ERRORS: ClassVar[Mapping[str, type[APIError]]]
    """The error that each of the vendor's codes means, if that is more than its HTTP status says."""
    ADVICE: ClassVar[Mapping[type[APIError], str]]
    """What to do about an error."""
    PARAMETERS: ClassVar[Collection[str]] = ()
    """The parameters that the vendor's spec requires, without a default, and that `raw_request` gives."""
    STATUSES: ClassVar[Collection[int]] = (200,)
    """The HTTP statuses that come with a reading."""
    FIELDS: ClassVar[Mapping[str, str]] = {}
    """The fields of a status body that are read, with their types in the vendor's spec; `a.b` is inside the object `a`.

    The types are JSON Schema's, and `date-time` for text in that format. `make regen` holds them against the spec.
    """
    ID_FIELD: ClassVar[str] = "id"
    STATUS_FIELD: ClassVar[str] = "status"
    """The fields of a status body that have the batch's id and its status word, as in `FIELDS`."""
    ERROR_FIELDS: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The fields of an error body that are read, the first that is there, by the field of ErrorFields; `a.b` is inside
    the object `a`.
    """
    SIMULATOR: ClassVar[str] = ""
    """The class of the simulated vendor, as `module:Class`: only `batchstatus.testing` loads it. "": there is none."""
    EXAMPLE_ID: ClassVar[str]
    """An id in the vendor's form, for messages and help."""
    PROBE_ID: ClassVar[str]
    """An id that no batch has: a 404 for it proves that the keys were accepted."""

    # Class attributes, so that the repr of an account that is being refused works in a debugger.
    base_url: str = ""
    name: str | None = None
    settings: Mapping[str, str] = {}

    def __init__(
        self, *keys: Secret, settings: Mapping[str, str | None] | None = None, **options: Unpack[AccountOptions]
    ) -> None:
        kind = type(self).__name__
        if unknown := options.keys() - AccountOptions.__annotations__.keys():
            raise TypeError(f"{kind} takes no {', '.join(sorted(unknown))}")
        if len(keys) != len(self.KEY_HEADERS):
            raise TypeError(f"{kind} has {len(self.KEY_HEADERS)} keys in KEY_HEADERS, and gives {len(keys)}")
        for key in keys:
            key.check()
        self._keys = keys
        self._last: tuple[str, Request] | None = None
        base_url, name, states = (options.get(option) for option in ("base_url", "name", "states"))
        self.base_url = check_base_url(
            self.BASE_URL if base_url is None else base_url, allow_insecure=options.get("allow_insecure", False)
        )
        self.name = None if name is None else check_account_name(name)
        self.settings = check_settings(kind, self.SETTINGS, settings or {})
        self.rate_limit = _check_rate_limit(options.get("rate_limit", self.RATE_LIMIT))
        self._states = check_states(self.WORDS) | check_states({} if states is None else states)

    def __repr__(self) -> str:
        shown = {"name": self.name} if self.name else {}
        parts = [f"{name}={value!r}, " for name, value in {**shown, **self.settings}.items()]
        return f"{type(self).__name__}({''.join(parts)}base_url={self.base_url!r}, keys hidden)"

    @classmethod
    def environment_variables(cls) -> dict[str, str]:
        """Return the environment variable of each key, and of each setting that must be given, by parameter."""
        needed = [*cls.KEY_HEADERS, *(name for name, default in cls.SETTINGS.items() if default is None)]
        return {name: cls.variable(name) for name in needed}

    @classmethod
    def variable(cls, parameter: str) -> str:
        """Return the environment variable for a parameter."""
        return variable_of(cls.vendor, parameter)

    @classmethod
    def keys_in(cls, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the keys that a request's headers carry, by parameter: what a simulated vendor checks.

        Args:
            headers: Of the request, names in lower case.
        """
        names: dict[str, list[str]] = {}
        for name, header in cls.KEY_HEADERS.items():
            names.setdefault(header, []).append(name)
        found: dict[str, str] = {}
        for header, of_header in names.items():
            if (value := headers.get(header.lower())) is not None:
                keys = keys_of_value(cls.KEY_SCHEMES.get(header, ""), value, len(of_header))
                found |= dict(zip(of_header, keys, strict=False))
        return found

    @property
    def account_ref(self) -> str:
        """The part of a ref that names the account: `shop`, or `shop/acme`."""
        return f"{self.vendor}/{self.name}" if self.name else self.vendor

    @property
    def credential(self) -> Hashable:
        """A value that is equal for accounts that a vendor counts as one; it tells nothing about their keys."""
        return self.vendor, *(key.identity() for key in self._keys)

    def pace_name(self, salt: str) -> str:
        """Return a name for the pace of this account's keys: the same in every process that has the salt.

        It tells nothing about the keys: it is a keyed hash of them. A key that cannot be had just now counts as empty.

        Args:
            salt: Some random text of 16 to 64 characters, which those who share the pace keep.
        """
        hashed = hashlib.blake2b(self.vendor.encode(), key=salt.encode()[:64], digest_size=16)
        for key in self._keys:
            try:
                revealed = key.reveal()
            except Exception:  # noqa: BLE001 (whatever the caller's own function raises)
                revealed = ""
            hashed.update(b"\0" + revealed.encode())
            del revealed  # tracebacks with local variables must not show it
        return hashed.hexdigest()

    def with_rate_limit(self, rate_limit: RateLimit | Pace | AsyncPace | None) -> Self:
        """Return a copy of the account with another rate limit, or a pace of the caller's own."""
        changed = copy.copy(self)
        changed.rate_limit = _check_rate_limit(rate_limit)
        return changed

    def state_of(self, word: str) -> BatchState:
        """Return the state that a status word means; UNKNOWN if it is in no table."""
        return self._states.get(fold(word), BatchState.UNKNOWN)

    def request(self, batch_id: str) -> Request:
        """Return the request for a batch's status; the last one is kept, since a wait asks for it again and again."""
        last = self._last
        if last is not None and last[0] == batch_id:
            return last[1]
        made = self.raw_request(batch_id)
        if not any(key.rotates for key in self._keys):
            self._last = (batch_id, made)
        return made

    @classmethod  # noqa: B027 (a vendor without a raw client has nothing to load)
    def load(cls) -> None:
        """Import what a read needs: a client calls it when it is made, as it would take long within a timeout."""

    @abstractmethod
    def raw_request(self, batch_id: str) -> Request:
        """Return the raw client's request, with this account's origin and keys: see `authenticate`."""

    @abstractmethod
    def status_fields(self, body: dict[str, Any]) -> StatusFields:
        """Return the fields of a status body without nulls, by way of the generated model."""

    @abstractmethod
    def error_fields(self, body: Mapping[str, Any]) -> ErrorFields:
        """Return the fields of an error body."""

    def expire_keys(self) -> None:
        """Let keys that come from files be read anew for the next request: the vendor has refused them."""
        for key in self._keys:
            key.expire()

    def authenticate(self, raw: Mapping[str, Any]) -> Request:
        """Return the request that the raw client's builder describes, with this account's origin and keys.

        Raises:
            ConfigurationError: The builder describes something that no request carries: a cookie, a body, a header
                that belongs to the connection or to a key, a value that is not plain.
        """
        method, target, headers = carried(raw, taken=self.KEY_HEADERS.values())
        # At once: a key that cannot be sent leaves no other one in a variable, which a traceback might show.
        revealed = [key.reveal() for key in self._keys]
        of_header: dict[str, list[str]] = {}
        for header, key in zip(self.KEY_HEADERS.values(), revealed, strict=True):
            of_header.setdefault(header, []).append(key)
        schemes = {header: self.KEY_SCHEMES.get(header, "") for header in of_header}
        refused = [
            header for header, (user, *_) in of_header.items() if schemes[header].lower() == BASIC and ":" in user
        ]
        if refused:
            del revealed, of_header, key  # tracebacks with local variables must not show them
            name = next(
                key.name for key, header in zip(self._keys, self.KEY_HEADERS.values(), strict=True) if header in refused
            )
            raise ConfigurationError(f"{name} holds a ':', which the user of Basic authentication cannot")
        return Request(
            url=self.base_url + target,
            keys={header: header_value(schemes[header], keys) for header, keys in of_header.items()},
            hidden=tuple(text for header, keys in of_header.items() for text in derived(schemes[header], keys)),
            method=method,
            headers=headers,
        )


CONNECTION_HEADERS = frozenset({"accept-encoding", "connection", "content-length", "cookie", "expect", "host", "te"})
CONNECTION_HEADERS |= {"keep-alive", "proxy-connection", "trailer", "transfer-encoding", "upgrade"}
"""Headers that are the transport's: a value of the vendor's spec would break the exchange."""
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def carried(raw: Mapping[str, Any], taken: Iterable[str] = ()) -> tuple[str, str, dict[str, str]]:
    """Return the method, the path with its query, and the headers of a raw client's request.

    Args:
        raw: The keyword arguments that its builder made for httpx.
        taken: The names of headers that carry keys.

    Raises:
        ConfigurationError: It has a part that no request carries.
    """
    for name, value in raw.items():
        if name not in {"method", "url", "params", "headers"} and (name, value) != ("cookies", {}):
            inner = f" ({', '.join(map(str, value))})" if isinstance(value, Mapping) else ""
            raise ConfigurationError(f"the raw client's request has {name}{inner}, which a request does not carry")
    query = urlencode([pair for item in raw.get("params", {}).items() for pair in _pairs(*item)], quote_via=quote)
    reserved = CONNECTION_HEADERS | {name.lower() for name in taken}
    headers = {name.lower(): _header(name, value, reserved) for name, value in raw.get("headers", {}).items()}
    return raw.get("method", "GET").upper(), raw["url"] + (f"?{query}" if query else ""), headers


def _pairs(name: str, value: object) -> list[tuple[str, str]]:
    """Return a query parameter as it is sent, as httpx does; a list has one pair for each item."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, (str, int, float)) for item in values):
        raise ConfigurationError(f"the raw client's query parameter {name} is {value!r:.80}, not text or numbers")
    return [(name, str(item).lower() if isinstance(item, bool) else str(item)) for item in values]


def _header(name: str, value: object, reserved: Collection[str]) -> str:
    if not HEADER_NAME.fullmatch(name) or name.lower() in reserved:
        raise ConfigurationError(f"the raw client's header {name!r:.80} is not one that a request can set")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigurationError(f"the raw client's header {name} is {value!r:.80}, not printable ASCII text")
    return value


def check_settings(kind: str, known: Mapping[str, str | None], given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the values of an account's settings; raise ConfigurationError if one is missing, or cannot be sent."""
    found: dict[str, str] = {}
    if unknown := given.keys() - known.keys():
        raise TypeError(f"{kind} has no {', '.join(sorted(unknown))} in SETTINGS")
    for name, default in known.items():
        value = default if given.get(name) is None else given[name]
        if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
            raise ConfigurationError(f"{kind}'s {name} is text without blanks around it, not {value!r:.80}")
        if value in {".", ".."}:
            raise ConfigurationError(f"{kind}'s {name} is {value!r}, which would be another path")
        found[name] = value
    return found


def _check_rate_limit(rate_limit: object) -> RateLimit | Pace | AsyncPace | None:
    if rate_limit is None or isinstance(rate_limit, (RateLimit, Pace, AsyncPace)):
        return rate_limit
    raise ConfigurationError(f"rate_limit is a RateLimit(requests, seconds), a Pace or None, not {rate_limit!r:.80}")


def fold(word: str) -> str:
    """Return a status word as it is compared: without case, blanks, `_` and `-`; canceled is cancelled."""
    folded = re.sub(r"[\s_-]+", "", word).casefold()
    return "cancelled" if folded == "canceled" else folded


def check_states(states: object) -> dict[str, BatchState]:
    """Return a caller's words and states, ready to compare; raise ConfigurationError if they are not that."""
    example = "states maps words to states, such as {'PAUSED': BatchState.PENDING}"
    if not isinstance(states, Mapping):
        raise ConfigurationError(f"{example}, not {type(states).__name__}")
    for word, state in states.items():
        if not isinstance(word, str) or not isinstance(state, BatchState):
            raise ConfigurationError(f"{example}, not {word!r:.40} to {state!r:.40}")
    return {fold(word): state for word, state in states.items()}


def variable_of(vendor: str, parameter: str) -> str:
    """Return the environment variable for a parameter of a vendor's account."""
    return f"{vendor}_{parameter}".replace("-", "_").upper()


def accounts_by_ref(accounts: Iterable[Account]) -> dict[str, Account]:
    """Return accounts by the part of a ref that names them; a vendor's only account needs no name.

    Raises:
        ConfigurationError: One is not an account, or two have the same name.
    """
    found: dict[str, Account] = {}
    of_vendor: dict[str, list[Account]] = {}
    for account in accounts:
        if not isinstance(account, Account):
            raise ConfigurationError(f"an account is an instance of Account, not {type(account).__name__}")
        if account.account_ref in found:
            raise ConfigurationError(f"two accounts at {account.vendor} have the same name; give each name='...'")
        found[account.account_ref] = account
        of_vendor.setdefault(account.vendor, []).append(account)
    return {vendor: only for vendor, (only, *others) in of_vendor.items() if not others} | found


def account_for(ref: BatchRef, accounts: Mapping[str, Account]) -> Account:
    """Return the account that reads a ref, of those that `accounts_by_ref` has sorted.

    Raises:
        ConfigurationError: There is none, or the ref does not say which of several.
    """
    if (found := accounts.get(ref.account_ref)) is not None:
        return found
    there = {account.account_ref: None for account in accounts.values() if account.vendor == ref.vendor}
    if there:
        names = ", ".join(f"{name}:..." for name in there)
        raise ConfigurationError(f"{ref}: which account? Refs at {ref.vendor} are written {names}")
    vendors = ", ".join(sorted({account.vendor for account in accounts.values()}))
    raise ConfigurationError(f"{ref}: no account at {ref.vendor!r}, only at {vendors or 'no vendor'}")


@functools.cache
def keep_unset(unset: type) -> None:
    """Let a raw model's mark for absent fields survive pickling and copying: it is compared by identity."""
    copyreg.pickle(unset, lambda _: "UNSET")
