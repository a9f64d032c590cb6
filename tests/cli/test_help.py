"""The help of every command: examples that work, exit codes, the form of each value, and what is common at the end."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from batchstatus.cli import exit_codes
from batchstatus.cli.app import app
from batchstatus.cli.completion import destinations
from batchstatus.cli.context import Context
from batchstatus.cli.help import Command, filled, forms, value_words
from batchstatus.cli.options import CommonOption
from batchstatus.cli.params import FORMS


def walk(command, ctx):
    """Yield a command and those below it, each with its context."""
    yield command, ctx
    for name in command.list_commands(ctx) if isinstance(command, click.Group) else ():
        below = command.get_command(ctx, name)
        yield from walk(below, click.Context(below, ctx, name))


ALL = [*walk(app, click.Context(app, info_name="batchstatus"))]
EACH = pytest.mark.parametrize(("command", "ctx"), [pytest.param(*each, id=each[1].command_path) for each in ALL])
LEAVES = [pytest.param(*each, id=each[1].command_path) for each in ALL if not isinstance(each[0], click.Group)]


@pytest.fixture
def anywhere(tmp_path, monkeypatch):
    """A folder with the files of the examples, which is the home folder, too."""
    for file in ("refs.txt", "backup.sqlite3"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def words_of(example):
    """Return what a shell passes to the command."""
    words = shlex.split(filled(example), comments=True)
    end = next((place for place, word in enumerate(words) if word in {"<", ">", "|", "&&"}), None)
    return words[:end]


@EACH
def test_every_example_works(command, ctx, anywhere, monkeypatch):
    """There is one, it is shown, its options exist, and it is one of this command, or of one below it."""
    reached = []
    monkeypatch.setattr(Command, "invoke", lambda self, ctx: reached.append(ctx.command_path))
    for example in command.examples:
        assert f"\n  batchstatus {filled(example)}\n" in command.get_help(ctx)
        words = words_of(example)
        app.main(words, prog_name="batchstatus", standalone_mode=False, obj=Context(words))
        assert reached[-1].startswith(ctx.command_path)
    assert reached


@pytest.mark.parametrize(("command", "ctx"), LEAVES)
def test_every_command_tells_its_exit_codes(command, ctx):
    known = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert command.exit_codes.keys() <= known
    told = re.search(r"Exit codes:\n(.*?)\n\n", command.get_help(ctx), re.DOTALL)[1]
    assert {int(code) for code in re.findall(r"\b\d+(?=[,\d ]*  )", told)} >= {
        2,
        70,
        74,
        130,
        141,
        143,
        *command.exit_codes,
    }


@pytest.mark.parametrize(("command", "ctx"), LEAVES)
def test_an_exit_code_is_told_once(command, ctx):
    """With the meaning that it has there: SIGTERM ends `run` with 0, and 74 is the answer of `store check`."""
    told = re.search(r"Exit codes:\n(.*?)\n\n", command.get_help(ctx), re.DOTALL)[1]
    codes = re.findall(r"^  (\S+)  ", told, re.MULTILINE)
    assert [int(code) for code in codes] == sorted({*exit_codes.FOR_ALL, *command.exit_codes})


def test_run_tells_how_signals_end_it():
    help_text = " ".join(next(command.get_help(ctx) for command, ctx in ALL if ctx.info_name == "run").split())
    assert " 0 SIGTERM came; with --once: " in help_text
    assert " 143 SIGTERM, with --once " in help_text


def test_commands_that_deliver_tell_their_code():
    delivering = {
        ctx.command_path: command
        for command, ctx in ALL
        if "--deliver" in {word for option in command.params for word in option.opts}
    }
    assert delivering.keys() == {"batchstatus run", "batchstatus events"}
    assert all("--" in command.exit_codes[exit_codes.VENDOR] for command in delivering.values())


@EACH
def test_a_word_of_values_means_one_thing(command, ctx):
    """NAME is a destination, and completes as one."""
    named = [each for each in command.params if each.metavar == "NAME" or isinstance(each, click.Argument)]
    named = [each for each in named if "NAME" in {each.metavar, each.human_readable_name.upper()}]
    assert all(each._custom_shell_complete is destinations for each in named)


@EACH
def test_every_value_has_its_form(command, ctx):
    """A new kind of value gets a line in FORMS."""
    assert set(value_words(command, ctx)) == forms(command, ctx).keys()
    shown = command.get_help(ctx)
    assert all(re.search(rf"^  {re.escape(word)} +\S", shown, re.MULTILINE) for word in value_words(command, ctx))


def test_every_form_is_of_some_value():
    assert {word for command, ctx in ALL for word in value_words(command, ctx)} == FORMS.keys()


@EACH
def test_every_option_has_a_text(command, ctx):
    assert not [
        option.name for option in command.get_params(ctx) if isinstance(option, click.Option) and not option.help
    ]


def names_in(section):
    """Return the options that a part of a help lists."""
    return {*re.findall(r"^  (?:-\w, )?(--[a-z-]+)\b", section, re.MULTILINE)}


@EACH
def test_common_options_come_last(command, ctx, anywhere):
    """Once each, with the paths that are taken without them, as one would type them."""
    before, common = command.get_help(ctx).split("\nCommon options:\n")
    options = [option for option in command.get_params(ctx) if isinstance(option, click.Option)]
    shared = {
        option.opts[-1]
        for option in options
        if isinstance(option, CommonOption) or not {"--help", "--version"}.isdisjoint(option.opts)
    }
    assert names_in(common) == shared
    own = before.partition("\nOptions:\n")[2].partition("\n\n")[0]
    assert names_in(own) == {option.opts[-1] for option in options} - shared
    told = " ".join(common.split())
    assert "[default: ~/.config/batchstatus/config.toml]" in told
    assert "[default: ~/.local/state/batchstatus/store.sqlite3]" in told


@EACH
def test_help_fits_eighty_columns(command, ctx):
    """But for examples, which are to be copied."""
    examples = {f"  batchstatus {filled(example)}" for example in command.examples}
    assert not [line for line in command.get_help(ctx).splitlines() if len(line) > 80 and line not in examples]


def test_examples_have_a_vendor_that_is_there():
    """They are filled in from the vendors, none of which is named."""
    assert re.fullmatch(r"wait [a-z]+:\S+", filled("wait {ref}"))
    assert filled("completion bash") == "completion bash"
