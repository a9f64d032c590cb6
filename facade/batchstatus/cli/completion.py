"""Completion: the values that a shell may offer, from the store and the settings, and the script of each shell.

A script passes the line up to the cursor; it gets a line for each value: its kind, the value, a description. Nothing
here asks a vendor, and whatever goes wrong gives no values: who types wants no message in the middle of a line.
"""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, ClassVar

import click
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

if TYPE_CHECKING:
    from .context import Context

Item = CompletionItem
Complete = Callable[[click.Context, click.Parameter, str], list[Item]]
UNFINISHED = "unfinished"
"""The kind of a value to which something is added: no blank comes behind it."""


def _from_store(find: str) -> Complete:
    """Return a completion by a function of `service.store.names`."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
        from batchstatus.service.store import names  # noqa: PLC0415

        found: Iterable[str | tuple[str, str]] = getattr(names, find)(ctx.obj.store_path(), incomplete)
        given = ctx.params.get(param.name or "") or ()
        pairs = (pair if isinstance(pair, tuple) else (pair, None) for pair in found)
        return [Item(value, help=help_text) for value, help_text in pairs if value not in given]

    return _quietly(complete)


def _quietly(complete: Complete) -> Complete:
    """Return a completion that gives nothing if something is wrong: no store, say, or a broken one."""

    def quiet(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
        try:
            return complete(ctx, param, incomplete)
        except Exception:  # noqa: BLE001 (whatever it is, the next command tells)
            return []

    return quiet


def _accounts(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[Item]:
    """Complete the part of a ref before its id."""
    found = [f"{account_ref}:" for account_ref in account_refs(ctx.obj)]
    return [Item(start, UNFINISHED) for start in found if start.startswith(incomplete) and start != incomplete]


def account_refs(context: Context) -> list[str]:
    """Return the accounts of environment and configuration file, or all vendors if there are none; reads no key."""
    from batchstatus.vendors import VENDORS  # noqa: PLC0415

    vendors = VENDORS.usable(VENDORS.named_in(os.environ))
    found = {
        name: None
        for name, vendor in vendors.items()
        if any(os.environ.get(key) or os.environ.get(f"{key}_FILE") for key in vendor.environment_variables().values())
    }
    for table in context.settings.accounts if context.settings is not None else ():
        name = f"/{table['name']}" if table.get("name") else ""
        found[f"{table.get('vendor')}{name}"] = None
    return [*found] or [*VENDORS]


def words(known: Iterable[str], begin: str, before: str = "", *, kind: str = "plain") -> list[Item]:
    """Return those of the words that begin so, each behind the part of the value that is there already."""
    return [Item(before + word, kind) for word in known if word.startswith(begin)]


def listed(known: Iterable[str], begun: str, before: str = "") -> list[Item]:
    """Complete the last of some words that commas divide, by those that are not there yet."""
    there, comma, last = begun.rpartition(",")
    return words((word for word in known if word not in there.split(",")), last, before + there + comma)


accounts = _quietly(_accounts)
refs, labels = _from_store("refs"), _from_store("labels")
change_ids, destinations = _from_store("change_ids"), _from_store("destinations")


def refs_and_accounts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
    """Complete a ref by the store; and by the accounts, for one that is not tracked."""
    return [*refs(ctx, param, incomplete), *accounts(ctx, param, incomplete)]


class Completion(ShellComplete):
    """The completions of one line, in the form that the shell's script reads."""

    with_option: ClassVar[bool] = True
    """Whether the shell wants `--output=json` for `--output=js`, not only `json`."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the whole words of the line behind the command, and the one that the cursor is at."""
        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)
        is_open = len(split_arg_string(f"{line}x")) == len(words)
        last = words.pop() if is_open and words else ""
        return words[1:], last

    def complete(self) -> str:
        """Return a line for each value."""
        args, word = self.get_completion_args()
        option, equals, value = word.partition("=") if word.startswith("--") and "=" in word else ("", "", word)
        args += [option] if equals else []
        lead = option + equals if self.with_option else ""
        lines = (self._line(item, lead, word) for item in self.get_completions(args, value))
        return "\n".join(line for line in lines if line.replace("\t", "").isprintable())

    def _line(self, item: Item, lead: str, word: str) -> str:
        if item.type in {"file", "dir"}:
            return f"{item.type}\t{item.value}\t{lead}{item.help or ''}"
        return f"{item.type}\t{self.inserted(lead + item.value, word)}\t{item.help or ''}"

    def inserted(self, value: str, word: str) -> str:  # noqa: ARG002 (for subclasses)
        """Return a value as the shell inserts it for the word."""
        return value


class Bash(Completion):
    """Bash divides words at `:` and `=`, too, and replaces the part behind them."""

    name = "bash"
    source_template = r"""# Completion of batchstatus in bash.
_batchstatus_completion() {
    local kind value rest
    COMPREPLY=()
    while IFS=$'\t' read -r kind value rest; do
        case $kind in
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
            unfinished) compopt -o nospace; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" _BATCHSTATUS_COMPLETE=bash_complete \
        "${1/#\~\//$HOME/}" 2>/dev/null)
} 2>/dev/null
complete -o nosort -F _batchstatus_completion batchstatus 2>/dev/null ||
    complete -F _batchstatus_completion batchstatus
"""

    def inserted(self, value: str, word: str) -> str:
        """Return what is behind the last `:` or `=` that the word has already."""
        part = os.environ.get("COMP_WORD", "")
        rest = value[len(word) - len(part) :] if word.endswith(part) else value
        is_quoted = any(quote in os.environ.get("COMP_LINE", "") for quote in "'\"")
        return rest if is_quoted else shlex.quote(rest)


class Zsh(Completion):
    """Zsh quotes by itself, and completes a part of a word."""

    name = "zsh"
    with_option = False
    source_template = r"""#compdef batchstatus
_batchstatus() {
    local line; local -a parts plain described unfinished
    if [[ $PREFIX == --*=* ]]; then compset -P 1 '*='; fi
    for line in "${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" _BATCHSTATUS_COMPLETE=zsh_complete \
            ${~words[1]} 2>/dev/null)}"; do
        parts=("${(@ps:\t:)line}")
        case $parts[1] in
            file) if [[ -n $parts[3] ]]; then compset -P 1 '*='; fi; _files ;;
            dir) _files -/ ;;
            unfinished) unfinished+=("$parts[2]") ;;
            plain)
                if [[ -z $parts[3] ]]; then plain+=("$parts[2]")
                else described+=("${parts[2]//:/\\:}:$parts[3]"); fi ;;
        esac
    done
    if (( $#described )); then _describe -V value described; fi
    if (( $#plain )); then compadd -V plain -a plain; fi
    if (( $#unfinished )); then compadd -V unfinished -S '' -a unfinished; fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _batchstatus "$@"
else
    compdef _batchstatus batchstatus
fi
"""


class Fish(Completion):
    """Fish puts no blank behind `:`, `/` and `=` by itself."""

    name = "fish"
    source_template = r"""# Completion of batchstatus in fish.
function _batchstatus_completion
    set -l words (commandline -opc)
    set -l command (string replace -r '^~/' $HOME/ -- $words[1])
    for line in (COMP_LINE=(commandline -cp) _BATCHSTATUS_COMPLETE=fish_complete $command 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case file
                printf '%s\n' $parts[3](__fish_complete_path $parts[2])
            case dir
                printf '%s\n' $parts[3](__fish_complete_directories $parts[2])
            case plain unfinished
                printf '%s\t%s\n' $parts[2] $parts[3]
        end
    end
end
complete --no-files --keep-order --command batchstatus --arguments '(_batchstatus_completion)'
"""


SHELLS: dict[str, type[Completion]] = {shell.name: shell for shell in (Bash, Zsh, Fish)}


def answer(instruction: str) -> int:
    """Print the completions that a shell's script asks for, such as by "bash_complete"; return the exit code.

    Errors are not printed: a command that is typed to its end tells them.
    """
    from .app import app  # noqa: PLC0415 (its commands import this module)
    from .context import Context  # noqa: PLC0415

    shell = SHELLS.get(instruction.partition("_")[0])
    if shell is None:
        return 1
    with redirect_stderr(io.StringIO()):
        try:
            found: str = shell(app, {"obj": Context(())}, "batchstatus", "").complete()
        except (Exception, KeyboardInterrupt, SystemExit):  # noqa: BLE001 (see above)
            return 0
    click.echo(found, nl=bool(found))
    return 0
