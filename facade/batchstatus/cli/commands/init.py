"""`batchstatus init`: set up an account in the configuration file, by questions or by options."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from batchstatus import Account, AccountCheck, AsyncBatchClient, BatchRef, ConfigurationError, KeyFile, account_from_env
from batchstatus.cli.app import COMMANDS
from batchstatus.cli.completion import UNFINISHED, words
from batchstatus.cli.config import account_of, parse
from batchstatus.cli.config_edit import is_same, replace, with_account
from batchstatus.cli.context import Context
from batchstatus.cli.exit_codes import AUTH, MEANINGS, OK, VENDOR, code_of
from batchstatus.cli.help import Command
from batchstatus.cli.log import show_log
from batchstatus.cli.options import global_options, option
from batchstatus.cli.params import Word
from batchstatus.cli.paths import shown
from batchstatus.cli.signals import code_of_signal, run_tasks
from batchstatus.vendors import VENDORS

NOTHING = "nothing was written"


def _key_files(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a key, then the path of its file."""
    key, equals, file = incomplete.partition("=")
    if equals:
        return [CompletionItem(file, "file", help=f"{key}=")]
    return words((f"{key}=" for kind in _kinds(ctx) for key in kind.KEY_HEADERS), incomplete, kind=UNFINISHED)


def _setting_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a setting."""
    return words((f"{name}=" for kind in _kinds(ctx) for name in kind.SETTINGS), incomplete, kind=UNFINISHED)


def _kinds(ctx: click.Context) -> list[type[Account]]:
    """Return the vendor that the options name."""
    kind = VENDORS.get(str(ctx.params.get("vendor")))
    return [] if kind is None else [kind]


@click.command(
    "init",
    cls=Command,
    makes_config=True,
    examples=(
        "init",
        "init --vendor {vendor} --name acme --key-file {key}=/run/secrets/{vendor}",
        "init --vendor {vendor} --from-env --force",
    ),
    exit_codes={OK: "the file is written", AUTH: MEANINGS[AUTH], VENDOR: MEANINGS[VENDOR]},
)
@option("--vendor", type=Word([*VENDORS]), help="The account's vendor; without it, init asks.")
@option("--name", metavar="ACCOUNT", help="The account's name, if there is to be more than one at the vendor.")
@option("--key-file", "key_files", metavar="KEY=FILE", multiple=True, shell_complete=_key_files,
        help="Name this file in the configuration: the key is read from it each time. With - it is read from stdin "
        "once, and stands in the configuration.")  # fmt: skip
@option("--set", "settings", metavar="K=V", multiple=True, shell_complete=_setting_names,
        help="A setting of the account that is no key, such as a project, if the vendor has any.")  # fmt: skip
@option("--from-env", is_flag=True, help="Take keys and address from the vendor's environment variables.")
@option("--base-url", metavar="URL", help="The API's address, if it is not the vendor's own.")
@option("--allow-insecure", is_flag=True, help="Let that address be http off loopback.")
@option("--force", is_flag=True, help="Replace keys and address of an account that is there.")
@option("--no-check", is_flag=True, help="Write the file without asking the vendor.")
@global_options
@click.pass_obj
def command(
    context: Context,
    *,
    vendor: str | None,
    name: str | None,
    key_files: tuple[str, ...],
    settings: tuple[str, ...],
    from_env: bool,
    base_url: str | None,
    allow_insecure: bool,
    force: bool,
    no_check: bool,
) -> int:
    """Set up an account: write it into the configuration file, once the vendor has accepted its keys.

    On a terminal it asks for what the options leave open; a key that is typed is not shown. Keys are never an option's
    value, which others would see in ps. Whatever else is in the file stays.
    """
    show_log(context.output)
    assert context.settings is not None, "every command has the global options"
    path = context.settings.path
    if path.exists() and not path.is_file():  # a pipe or a device, in whose place a file would be put
        raise ConfigurationError(f"{path} is not a file, and init writes one")
    try:
        is_guided = vendor is None
        kind = VENDORS[vendor or _ask_vendor()]
        table: dict[str, Any] = {"vendor": kind.vendor}
        if name := _ask_name(kind) if is_guided and name is None else _checked(kind, name):
            table["name"] = name
        _check_new(path, context.settings.accounts, table, force=force)
        table |= _from_environment(kind) if from_env else {}
        table |= _keys(kind, key_files, have=table)
        table |= _settings(kind, settings, have=table)
        table |= {"base_url": base_url} if base_url else {}
        table |= {"allow_insecure": True} if allow_insecure else {}
        account = account_of(path, table)
        text = with_account(path, path.read_bytes().decode() if path.exists() else "", table)
        is_secret = parse(path, text, COMMANDS).secret
        if not no_check and (error := _refusal(context, account)) is not None:
            context.output.error(error)
            context.output.info(f"{NOTHING}; --no-check writes it all the same")
            return code_of(error)
        replace(path, text, secret=is_secret)
    except (click.Abort, KeyboardInterrupt) as error:  # Abort: Ctrl-C, or the end of stdin, at a question
        context.output.error(f"interrupted; {NOTHING}")
        return code_of_signal(error.__context__ if isinstance(error, click.Abort) else error)
    _tell(context, path, account, checked=not no_check)
    return OK


def _ask(text: str, **options: Any) -> str:
    """Ask on the terminal; raise UsageError if there is none."""
    if not sys.stdin.isatty():
        raise click.UsageError("stdin is not a terminal, so that init cannot ask: give --vendor and its keys")
    answered: str = click.prompt(text, err=True, **options)
    return answered


def _ask_vendor() -> str:
    return _ask("Vendor", type=Word([*VENDORS]))


def _ask_name(kind: type[Account]) -> str:
    def checked(name: str) -> str:
        try:
            return _checked(kind, name.strip()) or ""
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None  # click asks again

    text = f"Name of the account, as in {kind.vendor}/NAME:ID; empty for {kind.vendor}:ID"
    return _ask(text, default="", show_default=False, value_proc=checked)


def _checked(kind: type[Account], name: str | None) -> str | None:
    """Return an account's name, None if it is empty; raise ConfigurationError if it cannot stand in a ref."""
    return BatchRef(kind.vendor, kind.EXAMPLE_ID, name).account if name else None


def _keys(kind: type[Account], key_files: Sequence[str], have: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the keys, from the files that options name, else by questions."""
    found: dict[str, Any] = {}
    given = dict(_split(kind, text) for text in key_files)
    for key in kind.KEY_HEADERS:
        if key in have or f"{key}_file" in have:
            continue
        if key not in given and not sys.stdin.isatty():
            raise click.UsageError(f"no {key}: give --key-file {key}=FILE ({key}=- reads it from stdin), or --from-env")
        file = given.get(key)
        if file == "-" and not sys.stdin.isatty():
            found[key] = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
        elif file not in (None, "-"):
            found[f"{key}_file"] = _readable(file, f"--key-file {key}=FILE")
        elif typed := _ask(f"{key}, not shown; empty to name a file", hide_input=True, default="", show_default=False):
            found[key] = typed
        else:
            found[f"{key}_file"] = _ask_file(key)
    return found


def _ask_file(key: str) -> str:
    def readable(file: str) -> str:
        try:
            return _readable(file, f"{key}_file")
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None  # click asks again

    return _ask(f"File that holds the {key}", value_proc=readable)


def _readable(file: str, setting: str) -> str:
    """Return the absolute path of a key's file; raise ConfigurationError, which names the setting, if there is none."""
    KeyFile(path := _absolute(file), setting)
    return path


def _split(kind: type[Account], text: str) -> tuple[str, str]:
    """Return the key and the file of an option's value."""
    key, equals, file = text.partition("=")
    if not equals and len(kind.KEY_HEADERS) == 1:
        return next(iter(kind.KEY_HEADERS)), text
    if key not in kind.KEY_HEADERS or not file:
        forms = " ".join(f"--key-file {each}=FILE" for each in kind.KEY_HEADERS)
        raise click.UsageError(f"the keys of {kind.vendor} are given as {forms}")
    return key, file


def _settings(kind: type[Account], given: Sequence[str], have: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that are no keys: those of options and, of those that there must be, by questions."""
    found: dict[str, str] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in kind.SETTINGS or not value:
            forms = " ".join(f"--set {each}=VALUE" for each in kind.SETTINGS)
            raise click.UsageError(f"{kind.vendor} has {f'settings, given as {forms}' if forms else 'no settings'}")
        found[name] = value
    for name, default in kind.SETTINGS.items():
        if default is None and name not in {*found, *have}:
            if not sys.stdin.isatty():
                raise click.UsageError(f"no {name}: give --set {name}=VALUE, or --from-env")
            found[name] = _ask(name)
    return found


def _from_environment(kind: type[Account]) -> dict[str, Any]:
    """Return the settings of the keys and the address that the environment has."""
    account, variables = account_from_env(kind), kind.environment_variables()
    if account is None:
        raise ConfigurationError(f"--from-env: set {' and '.join(variables.values())}")
    found: dict[str, Any] = {}
    for key in kind.KEY_HEADERS:
        variable = variables[key]
        if file := os.environ.get(f"{variable}_FILE"):
            found[f"{key}_file"] = _absolute(file)
        else:
            found[key] = os.environ[variable]
    found |= {name: value for name, value in account.settings.items() if value != kind.SETTINGS[name]}
    return found if account.base_url == kind.BASE_URL else found | {"base_url": account.base_url}


def _absolute(file: str) -> str:
    return os.path.abspath(Path(file).expanduser())  # noqa: PTH100 (a link stays one: secrets are replaced by new links)


def _check_new(path: Path, accounts: Sequence[Mapping[str, Any]], table: Mapping[str, Any], *, force: bool) -> None:
    if not force and any(is_same(each, table) for each in accounts):
        ref = "/".join(table.values())
        raise ConfigurationError(
            f"{path} has the account {ref} already: --force replaces its keys and address, --name adds another one"
        )


def _refusal(context: Context, account: Account) -> Exception | None:
    """Ask the vendor; return the error if it does not accept the keys."""

    async def ask() -> AccountCheck:
        async with AsyncBatchClient(account, **context.policies()) as client:
            (check,) = await client.check()
            return check

    return run_tasks(ask()).error


def _tell(context: Context, path: Path, account: Account, *, checked: bool) -> None:
    """Say what is there now, and the next command."""
    output, ref = context.output, account.account_ref
    following = f"batchstatus status {ref}:{account.EXAMPLE_ID}"
    if output.format == "id":
        click.echo(ref)
    elif output.format != "table":
        output.print_json(config=str(path), account=ref, checked=checked, next=following)
    keys = "the vendor accepts its keys" if checked else "its keys were not tried"
    output.info(f"{ref} is set up in {shown(path)}: {keys}")
    variables = account.environment_variables().values()
    if account.name is None and (found := [name for name in variables if os.environ.get(name)]):
        output.info(f"{' and '.join(found)} of the environment win over it")
    output.info(f"next, with an id of your own: {following}")
