"""What the global options say, for every command: where data and messages go, which accounts and which store.

What is heavy is imported where it is used: `--help` needs none of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batchstatus import BatchStatusError, ConfigurationError

from ._exit import FAULT, MissingKey, code_of

if TYPE_CHECKING:
    from pathlib import Path

    from batchstatus import Believe, Gameball, Outcome

SCHEMA = 1
"""The version of every JSON object that is printed."""
FORMATS = ("auto", "table", "json", "ndjson", "id")

F = TypeVar("F", bound=Callable[..., Any])


class Session:
    """The options of one run."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all options."""
        self.output = "auto"
        self.no_color = "NO_COLOR" in os.environ
        self.verbosity = 0
        self.config: Path | None = None
        self.store: Path | None = None

    @property
    def format(self) -> str:
        """How data is printed: a table for a person, a JSON object in each line for a program."""
        if self.output == "auto":
            return "table" if sys.stdout.isatty() else "ndjson"
        return self.output

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
        click.echo(text, err=True)

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

    def tell_rest(self, outcomes: Iterable[Outcome], total: int | None = None) -> None:
        """Print what was read where the format is one picture of all: JSON, or a table unless one moves already."""
        batches = [outcome.batch for outcome in outcomes if outcome.batch is not None]
        if self.format == "json":
            self.print(batches=[batch.to_dict() for batch in batches])
        elif self.format == "table":
            from ._view import print_table  # noqa: PLC0415

            print_table(batches, total)

    def log(self, *, table: bool = False) -> None:
        """Let the log of the package reach the user: warnings, unless a moving table shows what they say."""
        from ._log import listen  # noqa: PLC0415

        listen(self.say, self.verbosity, table=table)

    def accounts(self) -> list[Gameball | Believe]:
        """Return the accounts of the environment and of the configuration file."""
        from ._config import accounts  # noqa: PLC0415

        self.log()
        found = accounts(self.config)
        if not found:
            raise MissingKey(
                "no keys: set BELIEVE_API_KEY, or GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY, or name accounts in "
                "the configuration file (batchstatus doctor says where that is)"
            )
        return found

    def refs(self, given: tuple[str, ...]) -> list[str]:
        """Return the refs of the command line; `-` stands for those in the lines of stdin."""
        from batchstatus import BatchRef  # noqa: PLC0415

        found = [ref for one in given for ref in (sys.stdin.read().split() if one == "-" else [one])]
        if not found:
            raise click.UsageError(
                "no refs: give vendor:id, such as believe:550e8400-..., or - to read them from stdin"
            )
        return list(dict.fromkeys(str(BatchRef.parse(ref)) for ref in found))

    def check_keys(self, refs: list[str], accounts: list[Gameball | Believe]) -> None:
        """Raise MissingKey where a ref is of a vendor that has no account here."""
        from batchstatus import BatchRef  # noqa: PLC0415
        from batchstatus.vendors import VENDORS  # noqa: PLC0415

        for ref in map(BatchRef.parse, refs):
            if ref.vendor not in VENDORS:
                raise ConfigurationError(f"{ref}: no vendor {ref.vendor!r}; there are {', '.join(sorted(VENDORS))}")
            if ref.vendor not in {account.name for account in accounts}:
                wanted = " and ".join(f"{ref.vendor}_{key}".upper() for key in VENDORS[ref.vendor].KEY_HEADERS)
                raise MissingKey(f"{ref}: no key for {ref.vendor}: set {wanted}")


SESSION = Session()


def _keep(name: str, convert: Callable[[Any], Any] = lambda value: value) -> Callable[..., None]:
    def keep(_: click.Context, __: click.Parameter, value: Any) -> None:
        if value not in (None, False, 0):
            setattr(SESSION, name, convert(value))

    return keep


def _path(value: str) -> Path:
    from pathlib import Path  # noqa: PLC0415

    return Path(value)


def _verbosity(_: click.Context, parameter: click.Parameter, value: int) -> None:
    if value:
        SESSION.verbosity = value if parameter.name == "verbose" else -1


def _json(value: dict[str, Any]) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, ensure_ascii=False)


def options(command: F) -> F:
    """Add the global options to a command, so that they may stand before and behind its name."""
    file = click.Path(dir_okay=False)
    for option in (
        click.option("-v", "--verbose", count=True, expose_value=False, callback=_verbosity,
                     help="Log changes to stderr; -vv every read."),
        click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_verbosity,
                     help="Only data and errors."),
        click.option("--no-color", is_flag=True, expose_value=False, callback=_keep("no_color"), help="As NO_COLOR."),
        click.option("--config", type=file, expose_value=False, callback=_keep("config", _path), help="The TOML file."),
        click.option("-o", "--output", type=click.Choice(FORMATS), expose_value=False, callback=_keep("output"),
                     help="auto: a table on a terminal, else a JSON object in each line."),
    ):  # fmt: skip
        command = option(command)
    return command
