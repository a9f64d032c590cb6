"""What the global options say, for every command: which form of output, which accounts, which store, which refs.

What is heavy is imported where it is used: `--help` needs none of it.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from batchstatus import ConfigurationError

from .exit_codes import MissingKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchstatus import Believe, Gameball
    from batchstatus.service.store import Store

    from .config import Settings


class Session:
    """The options of one run."""

    def __init__(self) -> None:
        self.reset()

    def reset(self, arguments: Sequence[str] = ()) -> None:
        """Forget all options of the last run."""
        self.arguments = arguments
        self.above: Callable[[str], None] | None = None
        """What shows a message above a table that moves."""
        self.given: dict[str, Any] = {}
        """The global options that the command line or the environment gave: output, store, config, no_color."""
        self.verbosity = 0
        self.settings: Settings | None = None

    @property
    def output(self) -> str:
        """What is wanted as `format`."""
        return str(self.setting("output", "auto"))

    @property
    def no_color(self) -> bool:
        """Whether colours are not wanted."""
        return "no_color" in self.given or bool(os.environ.get("NO_COLOR"))

    @property
    def format(self) -> str:
        """How data is printed: a table for a person, a JSON object in each line for a program."""
        if self.output == "auto":
            return "table" if sys.stdout.isatty() else "ndjson"
        return self.output

    def setting(self, name: str, otherwise: Any = None) -> Any:
        """Return an option as it was given, else as the configuration file has it."""
        common = self.settings.common if self.settings is not None else {}
        return self.given.get(name, common.get(name, otherwise))

    def accounts(self) -> list[Gameball | Believe]:
        """Return the accounts of the environment and of the configuration file."""
        from .config import accounts  # noqa: PLC0415

        assert self.settings is not None, "every command has the global options"
        found = accounts(self.settings)
        if not found:
            raise MissingKey(
                "no keys: set BELIEVE_API_KEY, or GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY, or name accounts in "
                "the configuration file (batchstatus doctor says where that is)"
            )
        return found

    @contextmanager
    def store(self, *, make: bool = True) -> Iterator[Store]:
        """Open the store; what SQLite has to say of it is an error of the user's world, not a fault.

        Args:
            make: Make it if there is none, instead of raising ConfigurationError.
        """
        import sqlite3  # noqa: PLC0415

        from batchstatus.service.store import Store  # noqa: PLC0415

        path = self.store_path()
        if not make and not path.exists():
            raise ConfigurationError(f"there is no store {path}: batchstatus track add REF makes it")
        try:
            with Store(path) as store:
                yield store
        except sqlite3.Error as error:
            raise ConfigurationError(f"the store {path} does not work: {error}") from error

    def store_path(self) -> Path:
        """Return where the store is, or would be."""
        from pathlib import Path  # noqa: PLC0415

        from batchstatus.service.store import default_path  # noqa: PLC0415

        try:
            return Path(self.setting("store") or default_path()).expanduser()
        except RuntimeError as error:  # there is no such user
            raise ConfigurationError(f"--store: {error}") from None

    def refs(self, given: tuple[str, ...], file: str | None = None) -> list[str]:
        """Return the refs of the command line, and those in a file; `-` stands for stdin.

        In a file and in stdin they are divided by white space; a word that begins with `#` begins a comment.
        """
        from batchstatus import BatchRef  # noqa: PLC0415
        from batchstatus.vendors import VENDORS  # noqa: PLC0415

        found = [ref for one in given for ref in (_refs_of("-") if one == "-" else [("", one)])]
        found += _refs_of(file) if file is not None else []
        if not found:
            raise click.UsageError(
                "no refs: give vendor:id, such as believe:550e8400-..., or - to read them from stdin"
            )
        refs: dict[str, None] = {}
        for where, text in found:
            try:
                ref = BatchRef.parse(text)
            except ConfigurationError as error:
                raise ConfigurationError(f"{where}{error}") from None
            if ref.vendor not in VENDORS:
                known = ", ".join(sorted(VENDORS))
                raise ConfigurationError(f"{where}{ref}: no vendor {ref.vendor!r}; there are {known}")
            refs[str(ref)] = None
        return list(refs)

    def missing_key(self, ref: str, accounts: Iterable[Gameball | Believe]) -> MissingKey | None:
        """Return the error that no account here is the ref's, or None."""
        from batchstatus import BatchRef  # noqa: PLC0415
        from batchstatus.vendors import VENDORS  # noqa: PLC0415

        wanted = BatchRef.parse(ref)
        names = [account.name for account in accounts if account.vendor == wanted.vendor]
        if wanted.account in names or (wanted.account is None and len(names) == 1):
            return None
        if names:
            there = ", ".join(f"{wanted.vendor}/{name}:ID" if name else f"{wanted.vendor}:ID" for name in names)
            return MissingKey(f"{ref}: which account? Those with keys here are written {there}")
        keys = " and ".join(f"{wanted.vendor}_{key}".upper() for key in VENDORS[wanted.vendor].KEY_HEADERS)
        return MissingKey(f"{ref}: no key for {wanted.vendor}: set {keys}")

    def check_keys(self, refs: Iterable[str], accounts: Sequence[Gameball | Believe]) -> None:
        """Raise MissingKey where a ref is of an account that is not here."""
        for ref in refs:
            if (error := self.missing_key(ref, accounts)) is not None:
                raise error


SESSION = Session()


def _refs_of(file: str) -> list[tuple[str, str]]:
    """Return the refs in a file, each with where it stands."""
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
