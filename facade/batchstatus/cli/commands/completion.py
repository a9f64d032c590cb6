"""`batchstatus completion`: the completion script of a shell."""

from __future__ import annotations

import click

from batchstatus.cli.completion import SHELLS
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
@click.argument("shell", type=Word([*SHELLS]))
@global_options
def command(shell: str) -> None:
    """Print the completion script of a shell: commands, options, refs, accounts, labels, states and ids of changes.

    For this shell only: eval "$(batchstatus completion bash)", likewise with zsh, and batchstatus completion fish |
    source.
    """
    click.echo(SHELLS[shell].source_template, nl=False)
