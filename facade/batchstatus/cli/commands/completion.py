"""`batchstatus completion`: the completion script of a shell."""

from __future__ import annotations

import click

from batchstatus.cli.options import global_options


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@global_options
def command(shell: str) -> None:
    """Print the completion script of a shell.

    For bash: eval "$(batchstatus completion bash)"
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    from batchstatus.cli.app import app  # noqa: PLC0415

    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    click.echo(kind(app, {}, "batchstatus", "_BATCHSTATUS_COMPLETE").source())
