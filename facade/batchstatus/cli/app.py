"""The commands; each is loaded when it runs."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from batchstatus._version import __version__

from .context import Context
from .exit_codes import BROKEN_PIPE, INTERNAL, code_of
from .help import Group
from .options import global_options
from .signals import code_of_signal, handle_sigterm

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "init": "Set up an account: write the configuration file, and check the keys.",
    "status": "Read batches once.",
    "wait": "Wait until batches have ended.",
    "watch": "Show batches as they change.",
    "track": "Add batches to follow, remove and list them.",
    "run": "Follow tracked batches, and deliver each change.",
    "deliveries": "List, retry and drop deliveries of changes.",
    "history": "Show the changes of a batch.",
    "events": "Show the changes of all batches.",
    "store": "Back up, restore, check and prune the store.",
    "doctor": "Check keys, endpoints, clock, versions, the store and its deliveries.",
    "simulate": "Serve the vendors' APIs on loopback.",
    "completion": "Print the completion script of a shell.",
}


class Commands(Group):
    """The group of all commands; each is a module of its own, loaded only if it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__package__}.commands.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so, without loading the commands."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415

        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a signal that it does not handle itself ends it with a message."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            ctx.find_object(Context).output.error("interrupted")  # type: ignore[union-attr]
            return code_of_signal(error)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's)
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


EPILOG = """Refs are vendor:id or vendor/account:id. Exit codes: 0 reached, 1 ended otherwise, 2 usage, 3 unknown batch,
4 key missing or refused, 5 vendor unreachable or not understood, 8 still open, 124 timed out, 130 and 143 signals,
141 stdout is closed."""


@click.group(
    cls=Commands,
    examples=("init", "simulate -o table  # to try it without an account", "wait REF --timeout 30m"),
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "BATCHSTATUS"},
)
@global_options
@click.version_option(__version__, prog_name="batchstatus")
def app() -> None:
    """Know when a batch has ended."""


def run(arguments: list[str]) -> int:
    """Run a command; return its exit code."""
    context = Context(arguments)
    if wants_json(arguments):  # so that errors in the arguments are JSON, too
        context.give("output", "json")
    _open_streams()
    handle_sigterm()
    output = context.output
    try:
        code: Any = app.main(arguments, prog_name="batchstatus", standalone_mode=False, obj=context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort as abort:  # a signal, before the command has begun
        return code_of_signal(abort.__cause__)
    except SystemExit:  # so click ends if the reader of stdout has left, as with `| head`
        _drop_stdout()
        return BROKEN_PIPE
    except click.ClickException as error:
        output.error(error) if output.requested == "json" else error.show()
        if source := _source(error, context):
            output.error(f"that is set in {source}")
        return code_of(error)
    except Exception as error:  # noqa: BLE001 (a user sees one line, whatever happens)
        output.error(error)
        if isinstance(error, OSError):  # stdout may be what fails
            _drop_stdout()
        return code_of(error, INTERNAL)
    return code if isinstance(code, int) else 0


def _drop_stdout() -> None:
    """Let the last flush of stdout, whose buffer is lost anyway, succeed: otherwise Python would exit with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def wants_json(arguments: list[str]) -> bool:
    """Return whether the arguments ask for JSON, in any spelling of --output."""
    spelled = {"-ojson", "-o=json", "--output=json"}
    pairs = itertools.pairwise(arguments)
    return not spelled.isdisjoint(arguments) or any(pair in {("-o", "json"), ("--output", "json")} for pair in pairs)


def _source(error: click.ClickException, context: Context) -> str:
    """Return where a wrong value was set, if not on the command line."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None or not error.param.name:
        return ""
    source = error.ctx.get_parameter_source(error.param.name)
    if source is ParameterSource.DEFAULT_MAP and context.settings is not None:
        return str(context.settings.path)
    return "the environment" if source is ParameterSource.ENVIRONMENT else ""


def _open_streams() -> None:
    """Make sure stdin, stdout and stderr are open; escape characters they cannot encode."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 (until the end)
        elif mode == "w":
            stream.reconfigure(errors="backslashreplace")
