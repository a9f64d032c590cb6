"""The configuration file, and the accounts: those of the environment first, then those of the file."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import click
from attrs import field, frozen

from batchstatus import (
    Account,
    BatchState,
    ConfigurationError,
    KeyFile,
    PollPolicy,
    RateLimit,
    RetryPolicy,
    account_from_env,
)
from batchstatus.vendors import VENDORS

from .exit_codes import MissingKey
from .params import FORMATS, Duration, Size, nearest, suggest
from .paths import config_path

EXAMPLE = """
output = "table"

[wait]
timeout = "2h"

[poll]                                 # and [retry]: the fields of PollPolicy and RetryPolicy
ceiling = "10s"

[[account]]
vendor = "VENDOR"
name = "acme"                          # refs: VENDOR/acme:ID; without it VENDOR:ID
KEY_file = "/run/secrets/acme"         # or KEY = "..."
"""


def example() -> str:
    """Return a configuration file as it may be written, with the vendor that has the fewest keys."""
    vendor = min(VENDORS.usable().values(), key=lambda vendor: len(vendor.KEY_HEADERS))
    return EXAMPLE.replace("VENDOR", vendor.vendor).replace("KEY", next(iter(vendor.KEY_HEADERS)))


COMMON = ("output", "store", "pace", "pace_when_lost")
"""The settings of all commands."""
PACE = "BATCHSTATUS_PACE"


@frozen
class Settings:
    """The contents of the configuration file."""

    path: Path
    accounts: list[dict[str, Any]] = field(factory=list)
    common: dict[str, str] = field(factory=dict)
    """The values of COMMON that it has."""
    commands: dict[str, dict[str, Any]] = field(factory=dict)
    """Options of commands: {"wait": {"timeout": "2h"}}."""
    retry: RetryPolicy = field(factory=RetryPolicy)
    poll: PollPolicy = field(factory=PollPolicy)
    secret: bool = False
    """Whether it holds keys, or URLs that may: only its owner may be able to read it."""

    def of(self, command: Sequence[str], options: Collection[str], siblings: Collection[str]) -> dict[str, Any]:
        """Return the settings of a command, such as ["track", "add"] with its siblings."""
        table: Any = self.commands
        if unknown := self.commands.get(command[0], {}).keys() - siblings if len(command) > 1 else None:
            raise ConfigurationError(
                f"{self.path}: {command[0]} has no {', '.join(sorted(unknown))}; {suggest(min(unknown), siblings)}"
            )
        for name in command:
            table = table.get(name, {})
            if not isinstance(table, dict):
                raise ConfigurationError(f"{self.path}: the settings of {' '.join(command)} are a table{example()}")
        values = {name.replace("-", "_"): value for name, value in table.items()}
        if unknown := values.keys() - options:
            there = suggest(min(unknown), sorted(options)) if options else "there is none to set"
            raise ConfigurationError(
                f"{self.path}: {' '.join(command)} has no option {', '.join(sorted(unknown))}; {there}"
            )
        return values


def load(given: Path | None, commands: Collection[str], *, must_exist: bool = True) -> Settings:
    """Read the configuration file; raise ConfigurationError if something in it cannot be.

    Args:
        given: The file; default: the one at `config_path()`, if there is one.
        commands: The names of all commands.
        must_exist: A file that is given has to be there.
    """
    path = given or config_path()
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except FileNotFoundError:
        if given is not None and must_exist:
            raise ConfigurationError(f"--config: there is no file {given}") from None
        return Settings(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None
    settings = parse(path, text, commands)
    if settings.secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{path} holds secrets that others can read: chmod 600 {path}")
    return settings


def parse(path: Path, text: str, commands: Collection[str]) -> Settings:
    """Return the settings in the text of a configuration file; raise ConfigurationError if something cannot be."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None
    accounts = tables.pop("account", [])
    if not isinstance(accounts, list) or not all(isinstance(account, dict) for account in accounts):
        raise ConfigurationError(f"{path}: accounts are written{example()}")
    common: dict[str, Any] = {name: tables.pop(name) for name in COMMON if name in tables}
    if not all(isinstance(value, str) for value in common.values()) or common.get("output", "auto") not in FORMATS:
        raise ConfigurationError(f"{path}: output is one of {', '.join(FORMATS)}, store a path, pace a URL")
    retry = _policy(path, "retry", RetryPolicy, tables.pop("retry", {}))
    poll = _policy(path, "poll", PollPolicy, tables.pop("poll", {}))
    if unknown := tables.keys() - set(commands):
        (word, *_), there = sorted(unknown), ["account", *COMMON, "retry", "poll", *commands]
        near = nearest(word, there)
        hint = f"did you mean {near}?" if near else f"there are account, {', '.join(COMMON)}, retry, poll, "
        hint += "" if near else f"and a table for each of {', '.join(commands)}"
        raise ConfigurationError(f"{path}: no setting {', '.join(sorted(unknown))}; {hint}")
    if not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigurationError(f"{path}: the settings of a command are a table; settings are written{example()}")
    secrets = any(_holds_key(account) for account in accounts)
    secrets = secrets or any("deliver" in tables.get(name, {}) for name in ("run", "events"))
    secrets = secrets or "@" in common.get("pace", "")
    return Settings(path, accounts, common, tables, retry, poll, secret=secrets)


def _holds_key(account: Mapping[str, Any]) -> bool:
    """Return whether an account's table holds a key itself, and not the path of a file."""
    keys: Collection[str] = ()
    with suppress(KeyError, ConfigurationError):  # whoever uses the account is told
        keys = VENDORS[str(account.get("vendor"))].KEY_HEADERS
    return any(name in keys or name.endswith("_key") for name in account)


def _policy(path: Path, name: str, policy: type[Any], table: object) -> Any:
    """Return a policy from its table; times are seconds, or written as in options, and sizes likewise."""
    there = {field.name for field in attrs.fields(policy)}
    if not isinstance(table, dict) or table.keys() - there:
        raise ConfigurationError(f"{path}: {name} is a table of {', '.join(sorted(there))}")
    try:
        return policy(**{key: _value(key, value) for key, value in table.items()})
    except (click.BadParameter, ConfigurationError) as error:
        text = error.message if isinstance(error, click.BadParameter) else str(error)
        raise ConfigurationError(f"{path}: {name}: {text}") from None


def _value(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    return Size().convert(value, None, None) if name == "max_body" else Duration().convert(value, None, None)


def accounts(settings: Settings) -> list[Account]:
    """Return the accounts of the environment, and those of the file that have another name."""
    vendors = VENDORS.usable(VENDORS.named_in(os.environ)).values()
    found = [account for vendor in vendors if (account := _of_environment(vendor)) is not None]
    taken = {account.account_ref for account in found}
    for account in [account_of(settings.path, table) for table in settings.accounts]:
        if account.account_ref not in taken:
            taken.add(account.account_ref)
            found.append(account)
    pace, when_lost = _pace(settings)
    if not pace:
        return found
    from batchstatus.paces import paced  # noqa: PLC0415 (with an extra)

    try:
        return paced(pace, found, when_lost=when_lost)
    except ImportError as error:
        raise ConfigurationError(str(error)) from None


def _pace(settings: Settings) -> tuple[str, str]:
    """Return the URL of a pace that is shared between machines, "" if there is none, and what to do without it."""
    try:
        file = os.environ.get(f"{PACE}_FILE")
        url = os.environ.get(PACE) or (Path(file).read_text(encoding="utf-8").strip() if file else "")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{PACE}_FILE cannot be read ({type(error).__name__})") from None
    when_lost = os.environ.get(f"{PACE}_WHEN_LOST") or settings.common.get("pace_when_lost", "wait")
    return url or settings.common.get("pace", ""), when_lost


def _of_environment(vendor: type[Account]) -> Account | None:
    try:
        return account_from_env(vendor)
    except ConfigurationError as error:
        names = vendor.environment_variables().values()
        if all(os.environ.get(name) or os.environ.get(f"{name}_FILE") for name in names):
            raise
        raise MissingKey(str(error)) from None


def account_of(path: Path, table: Mapping[str, Any]) -> Account:
    """Return the account that a table of the configuration file describes."""
    options = dict(table)
    word = str(options.pop("vendor", ""))
    vendor = VENDORS.get(word)
    if vendor is None:
        near = nearest(word, VENDORS)
        hint = f"did you mean {near}?" if near else f"accounts are written{example()}"
        raise ConfigurationError(f"{path}: vendor is one of {', '.join(sorted(VENDORS))}; {hint}")
    keys = {key: _key(path, key, options) for key in vendor.KEY_HEADERS}
    given = {key: options.pop(key) for key in ("base_url", "allow_insecure", "rate_limit", "states") if key in options}
    name = options.pop("name", None)
    settings = {setting: options.pop(setting) for setting in vendor.SETTINGS if setting in options}
    if missing := [each for each, default in vendor.SETTINGS.items() if default is None and each not in settings]:
        raise ConfigurationError(f"{path}: an account of {vendor.vendor} has a {missing[0]}: give it")
    if options:
        raise ConfigurationError(f"{path}: an account of {vendor.vendor} has no {', '.join(sorted(options))}")
    if "rate_limit" in given:
        try:
            given["rate_limit"] = RateLimit(**given["rate_limit"])
        except TypeError:
            raise ConfigurationError(f"{path}: rate_limit is written {{requests = 5, seconds = 1.0}}") from None
    if isinstance(states := given.get("states"), dict):
        try:
            given["states"] = {word: BatchState(state) for word, state in states.items()}
        except ValueError as error:
            raise ConfigurationError(f"{path}: {error}; {_suggest_state(states.values())}") from None
    make: Callable[..., Account] = vendor
    return make(**keys, **settings, **given, name=name)


def _suggest_state(words: Iterable[object]) -> str:
    return suggest(next(str(word) for word in words if word not in [*BatchState]), BatchState)


def _key(path: Path, key: str, options: dict[str, Any]) -> Any:
    inline, file = options.pop(key, None), options.pop(f"{key}_file", None)
    if (inline is None) == (file is None):
        raise ConfigurationError(f"{path}: give either {key} or {key}_file")
    if inline is not None:
        return inline
    return KeyFile(file, f"{path}: {key}_file")
