"""`batchstatus completion`: the completion script of a shell."""

from __future__ import annotations

import click

from batchstatus.cli.exit_codes import MEANINGS, OK
from batchstatus.cli.help import Command
from batchstatus.cli.options import global_options
from batchstatus.cli.params import Word


@click.command(
    "completion",
    cls=Command,
    examples=(
        "completion bash > ~/.local/share/bash-completion/completions/batchstatus",
        "completion zsh > ~/.zfunc/_batchstatus  # with fpath+=~/.zfunc before compinit",
        "completion fish > ~/.config/fish/completions/batchstatus.fish",
    ),
    exit_codes={OK: MEANINGS[OK]},
)
@click.argument("shell", type=Word(["bash", "zsh", "fish"]))
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
