"""What the vendors share: an account's settings, its keys, and the shape of a request."""

from __future__ import annotations

import copyreg
import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from batchstatus import _body
from batchstatus._batch import BatchState, account_name, check_states, fold
from batchstatus._errors import APIError, ConfigurationError
from batchstatus._exchange import Request
from batchstatus._meaning import Complaint, Facts
from batchstatus._policy import Pace, RateLimit
from batchstatus._secret import Secret
from batchstatus._url import checked_base_url


class Account(ABC):
    """One account at one vendor: where it is, how it authenticates, what its words mean."""

    name: ClassVar[str]
    """The vendor's name in refs."""
    BASE_URL: ClassVar[str]
    KEY_HEADERS: ClassVar[Mapping[str, str]]
    """Which header carries which key, by the key's parameter name."""
    WORDS: ClassVar[Mapping[str, BatchState]]
    ERRORS: ClassVar[Mapping[str, type[APIError]]]
    ADVICE: ClassVar[Mapping[type[APIError], str]]
    ERROR_CODE: ClassVar[tuple[str, ...]]
    """The fields in which an error body may carry its code, likeliest first."""

    # As class attributes, so that the repr of an account that is being refused works in a debugger.
    base_url: str = ""
    account: str | None = None

    def __init__(
        self,
        *keys: Secret,
        base_url: str | None,
        account: str | None,
        rate_limit: RateLimit | Pace | None,
        states: Mapping[str, BatchState] | None,
        allow_insecure: bool,
    ) -> None:
        for key in keys:
            key.check()
        self._keys = keys
        self._last: tuple[str, Request] | None = None
        self.base_url = checked_base_url(self.BASE_URL if base_url is None else base_url, allow_insecure=allow_insecure)
        self.account = None if account is None else account_name(account)
        if rate_limit is not None and not isinstance(rate_limit, (RateLimit, Pace)):
            raise ConfigurationError(f"rate_limit is a RateLimit(requests, seconds) or None, not {rate_limit!r:.80}")
        self.rate_limit = rate_limit
        self._states = check_states(self.WORDS) | check_states({} if states is None else states)

    def __repr__(self) -> str:
        account = f"account={self.account!r}, " if self.account else ""
        return f"{type(self).__name__}({account}base_url={self.base_url!r}, keys hidden)"

    @classmethod
    def from_env(cls) -> Self | None:
        """Return the account that the environment describes, or None where it names none of its keys.

        Each key is read from `VENDOR_KEYNAME`, or from the file that `VENDOR_KEYNAME_FILE` names (one line end at
        its end is left out); `VENDOR_BASE_URL` is optional. An empty variable counts as not set.

        Raises:
            ConfigurationError: Some keys are there and others are not, a key is there twice, or a file cannot be read.
        """
        variables = {key: f"{cls.name}_{key}".upper() for key in cls.KEY_HEADERS}
        keys = {key: _key_from(variable) for key, variable in variables.items()}
        if not any(keys.values()):
            return None
        if missing := [variables[key] for key, found in keys.items() if found is None]:
            raise ConfigurationError(f"{cls.name} needs {' and '.join(variables.values())}: set {missing[0]}, "
                                     f"or {missing[0]}_FILE to the path of a file with it")  # fmt: skip
        sources = {name: key.reveal for name, key in keys.items() if key is not None}
        make: Callable[..., Self] = cls  # each vendor has its own keys as parameters
        return make(**sources, base_url=os.environ.get(f"{cls.name}_BASE_URL".upper()) or None)

    def request(self, batch_id: str) -> Request:
        """Return what to send to ask for a batch; the last one is kept, as a wait asks for it again and again."""
        last = self._last
        if last is not None and last[0] == batch_id:
            return last[1]
        made = self.built(batch_id)
        if not any(key.rotates for key in self._keys):
            self._last = (batch_id, made)
        return made

    @abstractmethod
    def built(self, batch_id: str) -> Request:
        """Return the request that the raw client builds, with this account's origin and keys."""

    @abstractmethod
    def facts(self, body: dict[str, Any]) -> Facts:
        """Return what a body without nulls says, by way of the generated model."""

    @property
    def credential(self) -> Hashable:
        """What is equal for accounts that a vendor counts as one, and tells nothing of their keys."""
        return self.name, *(key.identity() for key in self._keys)

    def state_of(self, word: str) -> BatchState:
        """Return what a status word means; UNKNOWN where it is in no table."""
        return self._states.get(fold(word), BatchState.UNKNOWN)

    def complaint(self, body: Mapping[str, Any]) -> Complaint:
        """Return what an error body says; both vendors have `message`, and a code in a field of their own."""
        return Complaint(
            code=_body.text(_body.first(body, *self.ERROR_CODE)),
            message=_body.text(body.get("message")),
            request_id=_body.text(body.get("requestId")),
        )

    def _request(self, raw: Mapping[str, Any]) -> Request:
        """Return the request that the raw client's builder describes, with this account's origin and keys."""
        keys = {header: key.reveal() for header, key in zip(self.KEY_HEADERS.values(), self._keys, strict=True)}
        return Request(url=self.base_url + raw["url"], keys=keys)


def _key_from(variable: str) -> Secret | None:
    """Return the key of a variable, or of the file that its twin names; None where neither is set."""
    in_file = bool(os.environ.get(f"{variable}_FILE"))
    if not in_file and not os.environ.get(variable):
        return None
    if in_file and os.environ.get(variable):
        raise ConfigurationError(f"both {variable} and {variable}_FILE are set; keep one of them")
    key = Secret(variable, _content(f"{variable}_FILE") if in_file else os.environ[variable])
    key.check()
    return key


def _content(variable: str) -> str:
    """Return what the variable's file holds; its name is not shown, as it may be a key in the wrong variable."""
    try:
        text = Path(os.environ[variable]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
    else:
        return text.removesuffix("\n").removesuffix("\r")
    raise ConfigurationError(f"{variable} names a file that cannot be read: {reason}")


@functools.cache
def keep_unset(unset: type) -> None:
    """Let a raw model's mark for absent fields come out of a pickle or a copy as itself: it is compared by identity."""
    copyreg.pickle(unset, lambda _: "UNSET")
