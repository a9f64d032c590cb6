"""The help of a command: its text, examples, options, exit codes, the form of each value, and the common options last.

A command is made with `cls=Command`, `examples=` and `exit_codes=`; a group with `cls=Group`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from .exit_codes import FOR_ALL
from .options import CommonOption
from .params import FORMS, suggest

COMMON = frozenset({"--help", "--version"})
"""click's own options that stand with the common ones."""


class Command(click.Command):
    """A command with examples and exit codes in its help.

    Args:
        examples: Commands as they are typed, without `batchstatus`; `{ref}`, `{vendor}` and `{key}` stand for a ref, a
            vendor and the parameter name of its key.
        exit_codes: The codes of its own, each with its meaning here; those of every command are added.
        makes_config: The file that --config names need not exist.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        exit_codes: Mapping[int, str] | None = None,
        makes_config: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.exit_codes = {} if exit_codes is None else exit_codes
        self.makes_config = makes_config

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write everything between the text and the epilog."""
        _write_examples(self.examples, formatter)
        _write_options(self, ctx, formatter, "Options", common=False)
        codes = {**FOR_ALL, **self.exit_codes}
        _write(formatter, "Exit codes", [(str(code), codes[code]) for code in sorted(codes)])
        _write(formatter, "Values", list(forms(self, ctx).items()))
        _write_options(self, ctx, formatter, "Common options", common=True)


class Group(click.Group):
    """A group of commands; it suggests the nearest command for one that it has not."""

    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; if there is none of that name, suggest the nearest one."""
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {args[0]!r}; {suggest(args[0], names)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, each with its first sentence in full."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, command.get_short_help_str(1_000)) for name, command in commands if command is not None]
        _write(formatter, "Commands", rows)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write everything between the text and the epilog."""
        self.format_commands(ctx, formatter)
        _write_examples(self.examples, formatter)
        _write_options(self, ctx, formatter, "Options", common=False)
        _write(formatter, "Values", list(forms(self, ctx).items()))
        _write_options(self, ctx, formatter, "Common options", common=True)


def value_words(command: click.Command, ctx: click.Context) -> list[str]:
    """Return the words that stand for values in a command's help, such as TIME.

    Choices, numbers and files explain themselves.
    """
    found: dict[str, None] = {}
    for parameter in command.get_params(ctx):
        if isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count):
            continue
        if isinstance(parameter.type, (click.Choice, click.IntRange, click.Path)):
            continue
        of_argument = parameter.human_readable_name if isinstance(parameter, click.Argument) else None
        found[(parameter.metavar or of_argument or parameter.type.name).upper()] = None
    return [*found]


def forms(command: click.Command, ctx: click.Context) -> dict[str, str]:
    """Return the form of each value that a command takes."""
    found = {word: FORMS[word] for word in value_words(command, ctx) if word in FORMS}
    return {word: filled(form) for word, form in found.items()}


def filled(text: str) -> str:
    """Return a text with the examples of vendors filled in."""
    if "{" not in text:
        return text
    from batchstatus.vendors import VENDORS  # noqa: PLC0415 (the help of all commands needs none)

    vendors = VENDORS.usable().values()
    simple = min(vendors, key=lambda vendor: len(vendor.KEY_HEADERS))
    refs = [f"{vendor.vendor}:{vendor.EXAMPLE_ID}" for vendor in vendors]
    key = next(iter(simple.KEY_HEADERS))
    return text.format(ref=min(refs, key=len), vendor=simple.vendor, key=key)


def _write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Examples"):
            formatter.write("".join(f"  batchstatus {filled(example)}\n" for example in examples))


def _write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter, title: str, *, common: bool
) -> None:
    """Write the common options, or the others."""
    records = [
        record
        for option in command.get_params(ctx)
        if isinstance(option, click.Option)
        and (isinstance(option, CommonOption) or not COMMON.isdisjoint(option.opts)) is common
        and (record := option.get_help_record(ctx)) is not None
    ]
    _write(formatter, title, records)


def _write(formatter: click.HelpFormatter, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)
