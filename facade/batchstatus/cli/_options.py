"""The global options, which may stand before and behind a command's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ._session import FORMATS, SESSION

F = TypeVar("F", bound=Callable[..., Any])


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a global option; behind the command's name it wins over the same before it, and over the environment."""
    if value in (None, False) or parameter.name is None:
        return
    if parameter.name not in SESSION.given or ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
        SESSION.given[parameter.name] = value


def _configure(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Read the configuration file, once it is known which one and for which command: for no `--help`."""
    _keep(ctx, parameter, value)
    if isinstance(ctx.command, click.Group):
        return
    from pathlib import Path  # noqa: PLC0415

    from ._config import load  # noqa: PLC0415

    root, given = ctx.find_root(), SESSION.given.get("config")
    assert isinstance(root.command, click.Group)
    settings = SESSION.settings = load(Path(given) if given else None, root.command.list_commands(root))
    options = {
        word.removeprefix("--").replace("-", "_"): option.name
        for option in ctx.command.params
        if option.expose_value and isinstance(option, click.Option) and option.name
        for word in option.opts
    }
    ctx.default_map = settings.of(ctx.command_path.split()[1:], options)


def _verbosity(_: click.Context, parameter: click.Parameter, value: int) -> None:
    if value:
        SESSION.verbosity = value if parameter.name == "verbose" else -1


def options(command: F) -> F:
    """Add the global options to a command, so that they may stand before and behind its name."""
    for option in (
        click.option("-v", "--verbose", count=True, expose_value=False, callback=_verbosity,
                     help="Log changes to stderr; -vv every read."),
        click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_verbosity,
                     help="Only data and errors."),
        click.option("--no-color", is_flag=True, expose_value=False, callback=_keep, help="As NO_COLOR."),
        click.option("--store", type=click.Path(dir_okay=False), expose_value=False, callback=_keep,
                     help="The file of track, run, history, events and watch --all."),
        click.option("--config", type=click.Path(dir_okay=False), expose_value=False, is_eager=True,
                     callback=_configure, help="The TOML file."),
        click.option("-o", "--output", type=click.Choice(FORMATS), expose_value=False, callback=_keep,
                     help="auto: a table on a terminal, else a JSON object in each line."),
    ):  # fmt: skip
        command = option(command)
    return command
