"""Accounts from environment variables, and keys from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from batchstatus._core.account import Account
from batchstatus._core.errors import ConfigurationError
from batchstatus._core.keys import Secret
from batchstatus.vendors import VENDORS

A = TypeVar("A", bound=Account)


def accounts_from_env() -> list[Account]:
    """Return the accounts that the environment describes, at most one per vendor: see `account_from_env`."""
    return [account for vendor in VENDORS.values() if (account := account_from_env(vendor)) is not None]


def account_from_env(vendor: type[A]) -> A | None:
    """Return a vendor's account as the environment describes it, or None if it names none of the keys.

    Each key is read from its variable, such as `BELIEVE_API_KEY`, or from the file that the same variable with `_FILE`
    at its end names. `..._BASE_URL` is optional. An empty variable counts as not set.

    Args:
        vendor: The account's class, such as `Believe`.

    Raises:
        ConfigurationError: Some keys are there and others are not, a key is there twice, or a file cannot be read.
    """
    variables = vendor.environment_variables()
    keys = {key: _key(variable) for key, variable in variables.items()}
    if not any(keys.values()):
        return None
    if missing := [variables[key] for key, found in keys.items() if found is None]:
        raise ConfigurationError(
            f"{vendor.vendor} needs {' and '.join(variables.values())}: set {missing[0]}, "
            f"or {missing[0]}_FILE to the path of a file with it"
        )
    sources: dict[str, Any] = {name: key.reveal for name, key in keys.items() if key is not None}
    return vendor(**sources, base_url=os.environ.get(f"{vendor.vendor}_BASE_URL".upper()) or None)


def _key(variable: str) -> Secret | None:
    """Return the key of a variable, or of the file that its twin names; None if neither is set."""
    in_file = bool(os.environ.get(f"{variable}_FILE"))
    if not in_file and not os.environ.get(variable):
        return None
    if in_file and os.environ.get(variable):
        raise ConfigurationError(f"both {variable} and {variable}_FILE are set; keep one of them")
    value = key_from_file(os.environ[f"{variable}_FILE"], f"{variable}_FILE") if in_file else os.environ[variable]
    key = Secret(variable, value)
    del value  # tracebacks with local variables must not show it
    key.check()
    return key


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
