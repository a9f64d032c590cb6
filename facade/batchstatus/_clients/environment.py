"""Accounts from environment variables, and keys from files."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from batchstatus._core.account import Account
from batchstatus._core.errors import ConfigurationError
from batchstatus._core.keys import Secret
from batchstatus._core.urls import is_loopback
from batchstatus.vendors import VENDORS

A = TypeVar("A", bound=Account)
FLAGS = {"": False, "0": False, "false": False, "no": False, "off": False} | dict.fromkeys(
    ("1", "true", "yes", "on"), True
)

log = logging.getLogger("batchstatus")


def accounts_from_env() -> list[Account]:
    """Return the accounts that the environment describes, at most one per vendor: see `account_from_env`."""
    vendors = VENDORS.usable(VENDORS.named_in(os.environ)).values()
    return [account for vendor in vendors if (account := account_from_env(vendor)) is not None]


def account_from_env(vendor: type[A]) -> A | None:
    """Return a vendor's account as the environment describes it, or None if it names none of the keys.

    Each key is read from its variable, such as `SHOP_API_KEY`, or from the file that the same variable with `_FILE`
    at its end names, again whenever that has changed; each setting, such as a project, from its variable.
    `..._BASE_URL` is optional; `..._ALLOW_INSECURE=1` lets it be http off loopback. An empty variable counts as not
    set.

    Args:
        vendor: The account's class, such as `Shop`.

    Raises:
        ConfigurationError: Some keys are there and others are not, a key is there twice, or a file cannot be read.
    """
    variables = vendor.environment_variables()
    keys = {key: _key(vendor.variable(key)) for key in vendor.KEY_HEADERS}
    if not any(keys.values()):
        return None
    if missing := [variables[key] for key, found in keys.items() if found is None]:
        raise ConfigurationError(
            f"{vendor.vendor} needs {' and '.join(variables.values())}: set {missing[0]}, "
            f"or {missing[0]}_FILE to the path of a file with it"
        )
    settings = {name: os.environ.get(vendor.variable(name)) or default for name, default in vendor.SETTINGS.items()}
    if missing := [variables[name] for name, value in settings.items() if value is None]:
        raise ConfigurationError(f"{vendor.vendor} needs {' and '.join(variables.values())}: set {missing[0]}")
    sources: dict[str, Any] = settings | {name: key.reveal for name, key in keys.items() if key is not None}
    flag = vendor.variable("allow_insecure")
    base_url = os.environ.get(vendor.variable("base_url")) or None
    account = vendor(**sources, base_url=base_url, allow_insecure=_flag(flag))
    if account.base_url.startswith("http:") and not is_loopback(urlsplit(account.base_url).hostname or ""):
        log.warning("%s is set: keys are sent unencrypted to %s", flag, account.base_url)
    return account


def _flag(variable: str) -> bool:
    """Return whether a variable is on; raise ConfigurationError unless it is 1 or 0, or a word for that."""
    value = os.environ.get(variable, "").strip().lower()
    if value not in FLAGS:
        raise ConfigurationError(f"{variable} is 1 or 0")
    return FLAGS[value]


def _key(variable: str) -> Secret | None:
    """Return the key of a variable, or of the file that its twin names; None if neither is set."""
    in_file = bool(os.environ.get(f"{variable}_FILE"))
    if not in_file and not os.environ.get(variable):
        return None
    if in_file and os.environ.get(variable):
        raise ConfigurationError(f"both {variable} and {variable}_FILE are set; keep one of them")
    source = KeyFile(os.environ[f"{variable}_FILE"], f"{variable}_FILE") if in_file else os.environ[variable]
    key = Secret(variable, source)
    del source  # tracebacks with local variables must not show it
    key.reveal()
    return key


class KeyFile:
    """The key in a file, for an account's key parameter: it is read again if the file has changed, and after a 401.

        Shop(api_key=KeyFile("/run/secrets/shop"))

    If the file cannot be read just now or is empty, as it may be while it is replaced, the last key is used again.

    Args:
        path: The file; `~` is the home folder. No message shows it, as it may be a key in the wrong setting.
        setting: The name of the setting with the path, for messages.

    Raises:
        ConfigurationError: The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], setting: str = "KeyFile") -> None:
        self._path = path
        del path  # tracebacks with local variables must not show it
        self.setting = setting
        self._version: tuple[int, ...] | None = None
        self._key = ""
        self._read()

    def __call__(self) -> str:
        """Return the key."""
        with suppress(ConfigurationError):
            self._read()
        return self._key

    def _read(self) -> None:
        """Read the file if it has changed."""
        version = None
        with suppress(OSError, RuntimeError, TypeError, ValueError):
            found = Path(self._path).expanduser().stat()
            version = found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
        if version is None or version != self._version:
            key = key_from_file(self._path, self.setting)
            if not key and self._key:
                raise ConfigurationError(f"{self.setting} names an empty file")
            self._key, self._version = key, version

    def expire(self) -> None:
        """Read the file for the next request, even if it looks as it did: its times may be coarse."""
        self._version = None

    def __eq__(self, other: object) -> bool:
        """Two of the same file are the same key, now and later, so that their accounts share a pace."""
        return isinstance(other, KeyFile) and os.fspath(self._path) == os.fspath(other._path)

    def __hash__(self) -> int:
        return hash(os.fspath(self._path))

    def __repr__(self) -> str:
        return f"<key in the file of {self.setting}: hidden>"


def key_from_file(path: str | os.PathLike[str], setting: str) -> str:
    """Return the key that a file holds; one line end at its end is left out.

    Args:
        path: The file; `~` is the home folder. No message shows it, as it may be a key in the wrong setting.
        setting: The name of the setting with the path, for messages.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, RuntimeError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        if isinstance(error, (RuntimeError, TypeError)):
            reason = "it is not a path"
    else:
        return text.removesuffix("\n").removesuffix("\r")
    del path  # tracebacks with local variables must not show it
    raise ConfigurationError(f"{setting} names a file that cannot be read: {reason}")
