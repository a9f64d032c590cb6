"""What the global options say, for every command: where data and messages go, which accounts and which store.

What is heavy is imported where it is used: `--help` needs none of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from batchstatus import BatchStatusError, ConfigurationError

from ._exit import FAULT, MissingKey, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchstatus import Believe, Gameball, Outcome
    from batchstatus.store import Change, Store

    from ._config import Settings

SCHEMA = 1
"""The version of every JSON object that is printed."""
FORMATS = ("auto", "table", "json", "ndjson", "id")


class Session:
    """The options of one run."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all options."""
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
        return "no_color" in self.given or "NO_COLOR" in os.environ

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

    def print(self, **fields: Any) -> None:
        """Print data as a JSON object in one line."""
        click.echo(_json({"schema": SCHEMA, **fields}))
        sys.stdout.flush()

    def say(self, what: object) -> None:
        """Tell the user something that is no data, on stderr, in one line."""
        if self.output == "json":
            fields: dict[str, Any] = {"message": str(what)}
            if isinstance(what, BaseException):
                fields = {"error": type(what).__name__, **fields, "exit_code": code_of(what, FAULT)}
            text = _json({"schema": SCHEMA, **fields})
        elif isinstance(what, BaseException) and not isinstance(what, BatchStatusError):
            text = f"batchstatus: a fault of ours, please report it: {type(what).__name__}: {what}"
        else:
            text = f"batchstatus: {what}"
        try:
            click.echo(text, err=True)
        except OSError:  # nobody listens any more; that ends nothing
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (until the process ends)

    def note(self, what: str) -> None:
        """Tell the user something that -q leaves out."""
        if self.verbosity >= 0:
            self.say(what)

    def tell(self, outcome: Outcome) -> None:
        """Print a batch as it comes, where the format has lines; say an error."""
        if outcome.error is not None:
            self.say(outcome.error)
        elif outcome.batch is not None and self.format == "id":
            click.echo(str(outcome.ref))
        elif outcome.batch is not None and self.format == "ndjson":
            self.print(**outcome.batch.to_dict())

    def tell_change(self, change: Change) -> None:
        """Print a change that the store has: a line for a person, its id, or a JSON object in a line."""
        if self.format == "table":
            from ._table import print_change  # noqa: PLC0415

            print_change(change)
        else:
            click.echo(change.id if self.format == "id" else _json(change.to_dict()))

    def tell_rest(self, outcomes: Iterable[Outcome], total: int | None = None) -> None:
        """Print what was read where the format is one picture of all: JSON, or a table unless one has moved already.

        Args:
            outcomes: What was read.
            total: How many batches were followed, for a summary; default: they were only looked at.
        """
        batches = [outcome.batch for outcome in outcomes if outcome.batch is not None]
        if self.format == "json":
            self.print(batches=[batch.to_dict() for batch in batches])
        elif self.format == "table":
            from ._table import Row, console, print_summary, print_table  # noqa: PLC0415

            if total is None or not console().is_terminal:
                print_table([*map(Row.of_batch, batches)])
            if total is not None and not console().is_terminal:
                print_summary(batches, total)

    def log(self, *, table: bool = False) -> None:
        """Let the log of the package reach the user: warnings, unless a moving table shows what they say."""
        from ._log import listen  # noqa: PLC0415

        listen(self.say, self.verbosity, table=table)

    def accounts(self) -> list[Gameball | Believe]:
        """Return the accounts of the environment and of the configuration file."""
        from ._config import accounts  # noqa: PLC0415

        self.log()
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

        from batchstatus.store import Store  # noqa: PLC0415

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

        from batchstatus.store import default_path  # noqa: PLC0415

        return Path(self.setting("store") or default_path()).expanduser()

    def refs(self, given: tuple[str, ...], file: str | None = None) -> list[str]:
        """Return the refs of the command line, and those in a file; `-` stands for stdin.

        In a file and in stdin they are divided by white space; a line that begins with `#` is a comment.
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

    def check_keys(self, refs: list[str], accounts: list[Gameball | Believe]) -> None:
        """Raise MissingKey where a ref is of a vendor that has no account here."""
        from batchstatus import BatchRef  # noqa: PLC0415
        from batchstatus.vendors import VENDORS  # noqa: PLC0415

        for ref in map(BatchRef.parse, refs):
            if ref.vendor not in {account.name for account in accounts}:
                wanted = " and ".join(f"{ref.vendor}_{key}".upper() for key in VENDORS[ref.vendor].KEY_HEADERS)
                raise MissingKey(f"{ref}: no key for {ref.vendor}: set {wanted}")


SESSION = Session()


def _refs_of(file: str) -> list[tuple[str, str]]:
    """Return the refs in a file, each with where it stands."""
    name = "stdin" if file == "-" else file
    try:
        with click.open_file(file, encoding="utf-8") as lines:
            return [
                (f"{name}, line {number}: ", ref)
                for number, line in enumerate(lines, 1)
                if not line.startswith("#")
                for ref in line.split()
            ]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _json(value: dict[str, Any]) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, ensure_ascii=False)
