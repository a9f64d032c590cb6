"""Completion: what it offers, from store and settings; and each shell, typed into as a person does."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest
from batchstatus.service import Store
from commandline import COMMAND, config, run
from shells import Shell

SHELLS = ["bash", "zsh", "fish"]
TRACKED = ["gameball:1748392", "gameball:1748400", "believe/acme:550e8400"]
TYPED = {
    "~/bin/batchstatus hist\t --dur\t": ["history", "--durations"],
    "batchstatus wait gameball:17483\t --time\t5m": ["wait", "gameball:1748392", "--timeout", "5m"],
    "batchstatus wait gameball:174\t": ["wait", "gameball:1748"],
    "batchstatus status 'gameball:17483\t": ["status", "gameball:1748392"],
    "true; BATCHSTATUS_OUTPUT=id batchstatus watch gameball:17484\t": ["watch", "gameball:1748400"],
    "batchstatus track add believe/gl\t77": ["track", "add", "believe/globex:77"],
    "batchstatus track rm believe\t": ["track", "rm", "believe/acme:550e8400"],
    "batchstatus wait --output=js\t --for suc\t": ["wait", "--output=json", "--for", "succeeded"],
    "batchstatus track list --label=camp\t": ["track", "list", "--label=campaign=spring"],
    "batchstatus track list --label te\t": ["track", "list", "--label", "team=a b"],
    "batchstatus track add --from-file re\t": ["track", "add", "--from-file", "refs.txt"],
    "batchstatus track add --from-file=re\t": ["track", "add", "--from-file=refs.txt"],
    "batchstatus run --only ended,lo\t": ["run", "--only", "ended,lost"],
    "batchstatus init --vendor believe --key-file ap\tre\t": [
        "init",
        "--vendor",
        "believe",
        "--key-file",
        "api_key=refs.txt",
    ],
    "batchstatus status --where state=suc\t": ["status", "--where", "state=succeeded"],
}


@pytest.fixture
def filled(environ, tmp_path):
    """The environment of a user with tracked batches, an account of another name, and a file."""
    with Store(tmp_path / ".local" / "state" / "batchstatus" / "store.sqlite3") as store:
        store.track(TRACKED, labels={"campaign": "spring", "team": "a b"})
    config(environ["HOME"], '[[account]]\nvendor = "believe"\nname = "globex"\napi_key_file = "/nowhere"\n')
    (tmp_path / "refs.txt").touch()
    return environ


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.timeout(300)
def test_a_shell_completes_typed_words(filled, name):
    """Refs have colons, and labels equals signs and blanks, at which shells divide words."""
    with Shell(name, filled) as shell:
        assert {keys: shell.typed(keys) for keys in TYPED} == TYPED


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_lists_possible_words(filled, name):
    with Shell(name, filled) as shell:
        drawn = shell.offered("batchstatus wait gameball:1748", "1748392")
    if name != "bash":  # which shows no descriptions
        assert "not read yet" in drawn


def offered(environ, line):
    """Return the values that are offered for a line, and their descriptions."""
    asked = environ | {"COMP_LINE": f"batchstatus {line}", "_BATCHSTATUS_COMPLETE": "zsh_complete"}
    said = subprocess.run(COMMAND, env=asked, capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    return {value: text for _, value, text in (line.split("\t") for line in said.stdout.splitlines())}


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("st", {"status", "store"}),
        ("track r", {"retry", "rm"}),
        ("-o ", {"auto", "table", "json", "ndjson", "id"}),
        ("wait --for f", {"failed"}),
        ("wait ", {*TRACKED, "believe/globex:"}),
        ("wait gameball:1748392 gameball:", {"gameball:1748400"}),
        ("status believe/", {"believe/acme:550e8400", "believe/globex:"}),
        ("history believe/", {"believe/acme:550e8400"}),
        ("track rm --label campaign=", {"campaign=spring"}),
        ("status nothing", set()),
        ("status --nonsense ", {*TRACKED, "believe/globex:"}),
        ("status 'open", set()),
        ("run --only ", {"change", "ended", "lost", "found"}),
        ("run --only ended,l", {"ended,lost"}),
        ("run --only ended,", {"ended,change", "ended,lost", "ended,found"}),
        ("events --only lost,f", {"lost,found"}),
        ("status --where state!=f", {"state!=failed"}),
        ("status --where state=failed,can", {"state=failed,cancelled"}),
        ("status --where state=failed,f", set()),
        ("status --where is_t", {"is_terminal="}),
        ("status --fields ref,r", {"ref,results", "ref,read_at", "ref,request_id"}),
        ("init --vendor gameball --key-file ", {"api_key=", "secret_key="}),
        ("init --vendor gameball --key-file s", {"secret_key="}),
        ("init --key-file ", set()),
        ("init --vendor believe --set ", set()),
        ("", None),
    ],
)
def test_values_that_begin_so_are_offered(filled, line, values):
    found = offered(filled, line)
    assert values is None or found.keys() == values


def test_accounts_come_from_file_and_environment(filled, user):
    """Without any, each vendor is offered."""
    assert offered(filled | user, "track add ").keys() == {"believe:", "gameball:", "believe/globex:"}
    assert offered(filled, "--config missing.toml track add ").keys() == {"believe:", "gameball:"}


def test_changes_and_destinations_are_offered(user, simulator, tmp_path):
    ref = simulator.add("believe", status="EXECUTED")
    run(user, "track", "add", ref)
    assert run(user, "run", "--once", "--deliver", "http://127.0.0.1:1/", "--timeout", "5s").returncode == 5
    ids = run(user, "events", "-o", "id").stdout.split()
    assert offered(user, "events --after ") == dict.fromkeys(ids, f"{ref} ended")
    assert offered(user, f"events --after {ids[0][:3]}").keys() == {*ids}
    names = run(user, "deliveries", "list", "-o", "id").stdout.split()
    assert [*offered(user, "deliveries drop ")] == names
    assert offered(user, f"history {ref}") == {str(ref): "succeeded"}


def test_of_many_refs_few_are_offered(filled, tmp_path):
    """The newest first, and old ones once what is typed leaves no others."""
    with Store(tmp_path / ".local" / "state" / "batchstatus" / "store.sqlite3") as store:
        store.track(f"gameball:{number:05}" for number in range(10_000))
    assert [*offered(filled, "history gameball:")] == [f"gameball:{number:05}" for number in range(9_999, 9_949, -1)]
    assert [*offered(filled, "history gameball:0012")] == [f"gameball:0012{number}" for number in range(10)]


def spoilt(path):
    path.write_text("nothing of the kind")


@pytest.mark.parametrize("file", [".config/batchstatus/config.toml", ".local/state/batchstatus/store.sqlite3"])
@pytest.mark.parametrize("spoil", [spoilt, lambda path: path.unlink(), lambda path: path.chmod(0)])
def test_what_is_wrong_is_not_told(filled, tmp_path, file, spoil):
    """A person who types wants no message in the middle of a line; the rest is offered still."""
    spoil(tmp_path / file)
    assert {"believe/globex:", "believe:", *TRACKED} & offered(filled, "wait ").keys()


def test_a_locked_store_is_not_waited_for(filled, tmp_path):
    connection = sqlite3.connect(tmp_path / ".local" / "state" / "batchstatus" / "store.sqlite3")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("BEGIN EXCLUSIVE")
    assert offered(filled, "wait ").keys() == {"believe/globex:"}
    connection.close()


@pytest.mark.parametrize("instruction", ["powershell_complete", "x"])
def test_an_unknown_shell_gets_nothing(filled, instruction):
    said = run(filled | {"_BATCHSTATUS_COMPLETE": instruction})
    assert (said.returncode, said.stdout, said.stderr) == (1, "", "")


def test_a_hostile_name_reaches_no_shell(filled, tmp_path):
    """A line of an answer is a value: one that holds a line end, or control characters, is left out."""
    with Store(tmp_path / ".local" / "state" / "batchstatus" / "store.sqlite3") as store:
        store.track(["believe:1"], labels={"x": "a\nplain\tinjected\t", "y": "\x1b[31m"})
    assert offered(filled, "track rm --label ").keys() == {"campaign=spring", "team=a b"}


@pytest.mark.parametrize("line", ["wait g", "track rm --label c", "events --after ", "st"])
def test_completion_loads_no_client_and_no_table(filled, line):
    code = """if True:
        import sys
        from batchstatus.cli.completion import answer
        answer("fish_complete")
        sys.exit(", ".join({"httpcore", "httpx", "rich"} & sys.modules.keys()) or None)"""
    asked = filled | {"COMP_LINE": f"batchstatus {line}"}
    said = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
