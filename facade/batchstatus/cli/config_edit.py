"""Changes of the configuration file: an account added or replaced, and the file written at once or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from batchstatus import ConfigurationError
from batchstatus.vendors import VENDORS

WRITTEN = ("base_url", "allow_insecure")
"""The settings of an account that --force replaces, besides its keys; others, such as rate_limit, stay."""


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two tables are of one account."""
    return (one.get("vendor"), one.get("name")) == (other.get("vendor"), other.get("name"))


def with_account(path: Path, text: str, table: Mapping[str, Any]) -> str:
    """Return the text of a configuration file with an account added or replaced; all else stays, comments, too.

    Raises:
        ConfigurationError: The text is written in a way that this cannot keep.
    """
    import tomlkit  # noqa: PLC0415 (this command's alone)
    from tomlkit.items import AoT  # noqa: PLC0415

    expected = tomllib.loads(text)
    old = next((each for each in expected.get("account", []) if is_same(each, table)), None)
    replaced = {
        *WRITTEN,
        *(f"{key}{end}" for key in VENDORS[table["vendor"]].KEY_HEADERS for end in ("", "_file")),
        *(VENDORS[table["vendor"]].SETTINGS.keys() & table.keys()),
    }
    kept = {name: value for name, value in (old or {}).items() if name not in replaced}
    if old is None:
        expected.setdefault("account", []).append({**table})
    else:
        expected["account"][expected["account"].index(old)] = {**kept, **table}
    document = tomlkit.parse(text)
    if document and "account" not in document:
        document.add(tomlkit.nl())  # a blank line before the first
    accounts = document.setdefault("account", tomlkit.aot())
    if isinstance(accounts, AoT):
        if old is None:
            added = tomlkit.item({**table})
            if [*document][-1] != "account":
                added.add(tomlkit.nl())  # a blank line before the next table
            elif len(accounts) and not text.endswith("\n\n"):
                accounts[-1].add(tomlkit.nl())  # and one behind the last
            accounts.append(added)
        else:
            there = next(each for each in accounts if is_same(each, table))
            for name in replaced & there.keys() - table.keys():
                del there[name]
            there.update(table)
    new = tomlkit.dumps(document)
    if tomllib.loads(new) != expected:
        raise ConfigurationError(f"{path} is written in a way that init cannot edit: add the account by hand")
    return new


def replace(path: Path, text: str, *, secret: bool) -> None:
    """Put a text in the place of a file at once; with secrets, or if it is new, for its owner alone.

    Raises:
        ConfigurationError: The system refuses.
    """
    path = path.resolve()  # a link stays one
    temporary = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(number)
        if path.exists() and not secret:
            Path(temporary).chmod(stat.S_IMODE(path.stat().st_mode))
        Path(temporary).replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):  # it has its name
                Path(temporary).unlink()
