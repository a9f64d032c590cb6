"""The global options, which may stand before and behind a command's name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from .context import SESSION
from .params import FORMATS

F = TypeVar("F", bound=Callable[..., Any])


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a global option; behind the command's name it wins over the same before it, and over the environment."""
    if value in (None, False) or parameter.name is None:
        return
    if parameter.name not in SESSION.given or ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
        SESSION.given[parameter.name] = value


def _configure(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Read the settings of a command in the file and in the environment; for `--help` none is read."""
    _keep(ctx, parameter, value)
    if isinstance(ctx.command, click.Group):
        return
    from pathlib import Path  # noqa: PLC0415

    from .config import load  # noqa: PLC0415

    root, given = ctx.find_root(), SESSION.given.get("config")
    assert isinstance(root.command, click.Group)
    SESSION.settings = load(Path(given) if given else None, root.command.list_commands(root))
    names = {
        word.removeprefix("--").replace("-", "_"): option
        for option in ctx.command.params
        if option.expose_value and isinstance(option, click.Option)
        for word in option.opts
        if word.startswith("--")
    }
    command = ctx.command_path.split()[1:]
    group = ctx.parent.command if ctx.parent is not None else None
    siblings = group.list_commands(ctx) if isinstance(group, click.Group) else ()
    values: dict[str, Any] = SESSION.settings.of(command, names.keys(), siblings)
    for name, option in names.items():
        if value := os.environ.get("_".join(["BATCHSTATUS", *command, name]).upper()):
            values[name] = value.split() if option.multiple else value
    ctx.default_map = {
        str(names[name].name): [value] if names[name].multiple and isinstance(value, str) else value
        for name, value in values.items()
    }


def _verbosity(_: click.Context, parameter: click.Parameter, value: int) -> None:
    if value:
        SESSION.verbosity = value if parameter.name == "verbose" else -1


def options(command: F) -> F:
    """Add the global options to a command, so that they may stand before and behind its name."""
    file = click.Path(dir_okay=False)
    for option in (
        click.option("-v", "--verbose", count=True, expose_value=False, callback=_verbosity,
                     help="Log changes to stderr; -vv every read."),
        click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_verbosity,
                     help="Only data and errors."),
        click.option("--no-color", is_flag=True, expose_value=False, callback=_keep, help="As NO_COLOR."),
        click.option("--store", type=file, envvar="BATCHSTATUS_STORE", expose_value=False, callback=_keep,
                     help="The file of track, run, history, events and watch --all."),
        click.option("--config", type=file, envvar="BATCHSTATUS_CONFIG", expose_value=False, callback=_configure,
                     is_eager=True, help="The TOML file."),
        click.option("-o", "--output", type=click.Choice(FORMATS), envvar="BATCHSTATUS_OUTPUT", expose_value=False,
                     callback=_keep, help="auto: a table on a terminal, else a JSON object in each line."),
    ):  # fmt: skip
        command = option(command)
    return command
