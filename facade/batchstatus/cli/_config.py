"""Accounts: of the environment first, then of the configuration file."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchstatus import Believe, ConfigurationError, Gameball, RateLimit
from batchstatus.vendors import VENDORS

EXAMPLE = """
[[account]]
vendor = "believe"
name = "acme"                          # refs: believe/acme:ID; without it believe:ID
api_key_file = "/run/secrets/believe"  # or api_key = "..."
"""


def default_path() -> Path:
    """Return where the configuration file is looked for."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "batchstatus" / "config.toml"


def accounts(path: Path | None) -> list[Gameball | Believe]:
    """Return the accounts of the environment, and those of the file that have another name."""
    found: list[Any] = [account for vendor in VENDORS.values() if (account := vendor.from_env())]
    taken = {(account.name, account.account) for account in found}
    for account in _of_file(path):
        if (account.name, account.account) not in taken:
            taken.add((account.name, account.account))
            found.append(account)
    return found


def _of_file(given: Path | None) -> list[Any]:
    path = given or default_path()
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text).get("account", [])
        mode = path.stat().st_mode
    except FileNotFoundError:
        if given is not None:
            raise ConfigurationError(f"--config: there is no file {given}") from None
        return []
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no valid TOML: {error}") from None
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{path}: accounts are written{EXAMPLE}")
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and any(key.endswith("_key") for table in tables for key in table):
        raise ConfigurationError(f"{path} holds keys that others can read: chmod 600 {path}")
    return [_account(path, table) for table in tables]


def _account(path: Path, table: Mapping[str, Any]) -> Any:
    options = dict(table)
    vendor = VENDORS.get(str(options.pop("vendor", "")))
    if vendor is None:
        raise ConfigurationError(
            f"{path}: vendor is one of {', '.join(sorted(VENDORS))}; accounts are written{EXAMPLE}"
        )
    keys = {key: _key(path, key, options) for key in vendor.KEY_HEADERS}
    name, base_url, limit = (options.pop(key, None) for key in ("name", "base_url", "rate_limit"))
    if options:
        raise ConfigurationError(f"{path}: an account of {vendor.name} has no {', '.join(sorted(options))}")
    if limit is not None:
        keys["rate_limit"] = RateLimit(**limit) if isinstance(limit, dict) else limit
    make: Any = vendor
    return make(**keys, account=name, base_url=base_url)


def _key(path: Path, key: str, options: dict[str, Any]) -> Any:
    inline, file = options.pop(key, None), options.pop(f"{key}_file", None)
    if (inline is None) == (file is None):
        raise ConfigurationError(f"{path}: give either {key} or {key}_file")
    if inline is not None:
        return inline
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError, TypeError):
        raise ConfigurationError(f"{path}: {key}_file names a file that cannot be read") from None
