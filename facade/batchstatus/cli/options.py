"""The global options, which may stand before and behind a command's name; and settings as options.

A setting comes from the command line, else from the environment (`BATCHSTATUS_WAIT_TIMEOUT`), else from the
configuration file (`[wait] timeout = "2h"`): click's order, with the names that a user sees.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from batchstatus import ConfigurationError
from batchstatus.cli.context import Context
from batchstatus.cli.params import FORMATS, Size, Word
from batchstatus.cli.paths import config_path, shown
from batchstatus.service.folders import default_path

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """An option whose variable and setting have the name of its long form, not of the Python parameter."""

    @property
    def word(self) -> str:
        """The long form without dashes in front: `from_file` for `--from-file`."""
        long = next(word for word in self.opts if word.startswith("--"))
        return long.removeprefix("--").replace("-", "_")

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the option's variable; an empty one counts as not set."""
        if self.envvar is not None or not self.allow_from_autoenv or ctx.auto_envvar_prefix is None:
            return super().resolve_envvar_value(ctx)
        return os.environ.get(f"{ctx.auto_envvar_prefix}_{self.word}".upper()) or None


option = functools.partial(click.option, cls=Option)


class CommonOption(click.Option):
    """A global option: help shows it in a group of its own, with the path of the file that is taken without it."""

    def __init__(self, *args: Any, default_file: Callable[[], Path] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._default_file = default_file

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help."""
        record = super().get_help_record(ctx)
        if record is None or self._default_file is None:
            return record
        with suppress(ConfigurationError):  # there is no home folder
            return record[0], f"{record[1]}  [default: {shown(self._default_file())}]"
        return record


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a global option; behind the command's name it wins over the same before it, and over the environment."""
    context = ctx.find_object(Context)
    if value in (None, False) or parameter.name is None or context is None:
        return
    if parameter.name not in context.given or ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
        context.give(parameter.name, value)


def _configure(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Load the configuration file and take the command's settings from it; `--help` loads none."""
    _keep(ctx, parameter, value)
    context = ctx.find_object(Context)
    if isinstance(ctx.command, click.Group) or context is None:
        return
    from batchstatus.cli.config import load  # noqa: PLC0415

    root, given = ctx.find_root(), context.given.get("config")
    assert isinstance(root.command, click.Group)
    must_exist = not getattr(ctx.command, "makes_config", False)
    commands = root.command.list_commands(root)
    context.configure(load(Path(given) if given else None, commands, must_exist=must_exist))
    assert context.settings is not None
    options = {option.word: option for option in ctx.command.params if isinstance(option, Option)}
    group = ctx.parent.command if ctx.parent is not None else None
    siblings = group.list_commands(ctx) if isinstance(group, click.Group) else ()
    values = context.settings.of(ctx.command_path.split()[1:], options.keys(), siblings)
    ctx.default_map = {
        str(options[word].name): [value] if options[word].multiple and isinstance(value, str) else value
        for word, value in values.items()
    }


max_body = option("--max-body", type=Size(), expose_value=False, callback=_keep,
                  help="The largest response that is taken, such as 64M; default: 16M.")  # fmt: skip


def selection(schema: str, *, results: bool = True) -> Callable[[F], F]:
    """Return a decorator that adds the options for the parts of the printed objects.

    Args:
        schema: The name of the objects' JSON Schema.
        results: Whether they may have the items that succeeded.
    """
    from batchstatus.cli.selection import Fields, Where  # noqa: PLC0415

    def add(command: F) -> F:
        adders = [
            option("--fields", type=Fields(schema), metavar="NAMES", expose_value=False, callback=_select,
                   help="Only these fields, such as ref,state,counts.failed."),
            option("--where", "conditions", type=Where(schema), metavar="CONDITION", multiple=True,
                   expose_value=False, callback=_select,
                   help="Only those of which this holds, such as state=failed,cancelled or counts.failed>0."),
            *([option("--results", is_flag=True, expose_value=False, callback=_select,
                      help="With the items that succeeded, which may be very many.")] if results else []),
        ]  # fmt: skip
        for adder in reversed(adders):
            command = adder(command)
        return command

    return add


def _select(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    context = ctx.find_object(Context)
    if not value or parameter.name is None or context is None:
        return
    selected = context.output.selection
    setattr(selected, parameter.name, value)
    if parameter.name == "fields":
        if context.output.requested == "id":
            raise click.UsageError("-o id prints refs alone: give --fields with another format")
        selected.results = selected.results or any("results" in path for _, path in value)


def _verbosity(ctx: click.Context, parameter: click.Parameter, value: int) -> None:
    context = ctx.find_object(Context)
    if value and context is not None:
        context.output.verbosity = value if parameter.name == "verbose" else -1


def global_options(command: F) -> F:
    """Add the global options to a command, so that they may stand before and behind its name."""
    file = click.Path(dir_okay=False)
    flag = functools.partial(click.option, cls=CommonOption, expose_value=False, allow_from_autoenv=False)
    for add in (
        flag("-v", "--verbose", count=True, callback=_verbosity, help="Log changes to stderr; -vv every attempt."),
        flag("-q", "--quiet", is_flag=True, callback=_verbosity, help="Only data and errors."),
        flag("--no-color", is_flag=True, callback=_keep, help="No colours, as with NO_COLOR."),
        flag("--store", type=file, envvar="BATCHSTATUS_STORE", callback=_keep, default_file=default_path,
             help="The file of tracked batches, their changes and deliveries."),
        flag("--config", type=file, envvar="BATCHSTATUS_CONFIG", callback=_configure, is_eager=True,
             default_file=config_path, help="The TOML file with accounts and settings."),
        flag("-o", "--output", type=Word(FORMATS), envvar="BATCHSTATUS_OUTPUT", callback=_keep, is_eager=True,
             help="auto: a table on a terminal, else a JSON object in each line."),
    ):  # fmt: skip
        command = add(command)
    return command
