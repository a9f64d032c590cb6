"""The context of one run, click's `ctx.obj`: its output, settings, accounts, store and refs.

Heavy modules are imported inside the functions that need them: `--help` needs none.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from batchstatus import ConfigurationError
from batchstatus.cli.exit_codes import MissingKey
from batchstatus.cli.output import Output
from batchstatus.cli.params import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchstatus import Account
    from batchstatus.cli.config import Settings
    from batchstatus.service import Store


class Context:
    """The context of one run."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = arguments
        self.output = Output()
        self.given: dict[str, Any] = {}
        """The options given by command line or environment: output, store, config, no_color, and max_body."""
        self.settings: Settings | None = None
        """The configuration file; every command loads it."""

    def give(self, name: str, value: Any) -> None:
        """Set a global option."""
        self.given[name] = value
        if name == "output":
            self.output.requested = value
        elif name == "no_color":
            self.output.no_color = True

    def configure(self, settings: Settings) -> None:
        """Take the configuration file; options that were given win over it."""
        self.settings = settings
        self.output.requested = self.given.get("output", settings.common.get("output", "auto"))

    def accounts(self) -> list[Account]:
        """Return the accounts of the environment and of the configuration file."""
        from batchstatus.cli.config import accounts  # noqa: PLC0415
        from batchstatus.vendors import VENDORS  # noqa: PLC0415

        assert self.settings is not None, "every command has the global options"
        found = accounts(self.settings)
        if not found:
            raise MissingKey(
                f"no keys: batchstatus init sets up an account, or set {VENDORS.variables()}; "
                "to try it without any: batchstatus simulate"
            )
        return found

    def accounts_at_pace(self) -> list[Account]:
        """Return the same accounts; if a store is named, their pace is the one that its services keep."""
        found = self.accounts()
        if not self.given.get("store") and (self.settings is None or not self.settings.common.get("store")):
            return found
        from batchstatus.service import paced  # noqa: PLC0415

        return paced(click.get_current_context().with_resource(self.store()), found)

    def policies(self) -> dict[str, Any]:
        """Return the policies of a client: those of the configuration file; an option wins over it."""
        import attrs  # noqa: PLC0415

        assert self.settings is not None, "every command has the global options"
        retry, max_body = self.settings.retry, self.given.get("max_body")
        return {
            "retry": retry if max_body is None else attrs.evolve(retry, max_body=max_body),
            "poll": self.settings.poll,
        }

    @contextmanager
    def store(self, *, make: bool = True, to_read: bool = False) -> Iterator[Store]:
        """Open the store.

        Args:
            make: Make it if there is none, instead of raising ConfigurationError.
            to_read: The command only reads: it need not be writable.

        Raises:
            OSError: The system refuses for now: the file is locked, or the disk is full.
            ConfigurationError: Anything else is wrong with it.
        """
        import sqlite3  # noqa: PLC0415

        from batchstatus.service.store import Store, is_system_error  # noqa: PLC0415

        path = self.store_path()
        if not (make and not to_read) and not path.exists():
            raise ConfigurationError(f"there is no store {path}: batchstatus track add REF makes it")
        try:
            is_writable = all(os.access(place, os.W_OK) for place in (path, path.parent))
            with Store(path, read_only=to_read and not is_writable) as store:
                yield store
        except sqlite3.Error as error:
            if is_system_error(error):
                raise OSError(f"the store {path} cannot be used just now: {error}") from error
            raise ConfigurationError(f"the store {path} does not work: {error}") from error

    def store_path(self) -> Path:
        """Return the path of the store, which need not exist."""
        from pathlib import Path  # noqa: PLC0415

        from batchstatus.service import default_path  # noqa: PLC0415

        common: Mapping[str, Any] = self.settings.common if self.settings is not None else {}
        try:
            return Path(self.given.get("store") or common.get("store") or default_path()).expanduser()
        except RuntimeError as error:  # there is no such user
            raise ConfigurationError(f"--store: {error}") from None

    def refs(self, given: tuple[str, ...], file: str | None = None) -> list[str]:
        """Return the refs of the command line, and those in a file; `-` stands for stdin.

        In a file and in stdin they are divided by white space; a word that begins with `#` begins a comment.
        """
        from batchstatus import BatchRef  # noqa: PLC0415
        from batchstatus.vendors import VENDORS  # noqa: PLC0415

        found = [ref for one in given for ref in (_refs_in("-") if one == "-" else [("", one)])]
        found += _refs_in(file) if file is not None else []
        if not found:
            examples = [f"{name}:{vendor.EXAMPLE_ID}" for name, vendor in VENDORS.usable().items()]
            raise click.UsageError(
                f"no refs: give vendor:id, such as {min(examples, key=len)}, or - to read them from stdin"
            )
        refs: dict[str, None] = {}
        for position, text in found:
            try:
                ref = BatchRef.parse(text)
            except ConfigurationError as error:
                raise ConfigurationError(f"{position}{error}") from None
            if ref.vendor not in VENDORS:
                hint = suggest(ref.vendor, sorted(VENDORS))
                raise ConfigurationError(f"{position}{ref}: no vendor {ref.vendor!r}; {hint}")
            refs[str(ref)] = None
        return list(refs)


def missing_key(ref: str, accounts: Iterable[Account]) -> MissingKey | None:
    """Return the error that there is no account for a ref, or None."""
    from batchstatus import BatchRef, account_for, accounts_by_ref  # noqa: PLC0415
    from batchstatus.vendors import VENDORS  # noqa: PLC0415

    wanted, there = BatchRef.parse(ref), accounts_by_ref(accounts)
    try:
        account_for(wanted, there)
    except ConfigurationError as error:
        if any(account.vendor == wanted.vendor for account in there.values()):
            return MissingKey(str(error))
        keys = " and ".join(VENDORS[wanted.vendor].environment_variables().values())
        return MissingKey(f"{ref}: no key for {wanted.vendor}: batchstatus init, or set {keys}")
    return None


def check_keys(refs: Iterable[str], accounts: Sequence[Account]) -> None:
    """Raise MissingKey if a ref has no account here."""
    for ref in refs:
        if (error := missing_key(ref, accounts)) is not None:
            raise error


def _refs_in(file: str) -> list[tuple[str, str]]:
    """Return the refs in a file, each with its position."""
    name = "stdin" if file == "-" else file
    found: list[tuple[str, str]] = []
    try:
        with click.open_file(file, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                words = itertools.takewhile(lambda word: not word.startswith("#"), line.split())
                found.extend((f"{name}, line {number}: ", ref) for ref in words)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return found
