"""`batchstatus init`: by questions and by options, against the simulator; what it writes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import threading
import tomllib
from pathlib import Path

import pytest
from batchstatus import ConfigurationError
from batchstatus.cli.config_edit import replace, with_account
from batchstatus.testing.simulator.believe import BELIEVE_KEY
from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET
from commandline import COMMAND, config, dialogue, keys, lines, run
from waiting import LONG

KEYS = (BELIEVE_KEY, GAMEBALL_KEY, GAMEBALL_SECRET)
NAME = "as in believe/NAME:ID"
FILE = "File that holds the"


def path_of(environ):
    return Path(environ["HOME"]) / ".config" / "batchstatus" / "config.toml"


def written(environ):
    return tomllib.loads(path_of(environ).read_text())


def is_untouched(environ):
    return not path_of(environ).exists() and not [*Path(environ["HOME"]).rglob(".config.toml.*")]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def key_file(environ, name, key):
    path = Path(environ["HOME"]) / name
    path.write_text(f"{key}\n")
    return path


def test_questions_set_up_an_account(environ, simulator):
    """A key that is typed is not drawn; the file is its owner's alone; then its refs can be read."""
    steps = [
        ("Vendor", "believe\r"),
        (NAME, "Acme Inc\r"),
        ("such as 'acme'", ""),
        (NAME, "acme\r"),
        ("api_key, not shown", f"{BELIEVE_KEY}\r"),
    ]
    drawn, code = dialogue(environ, "init", "--base-url", simulator.url, steps=steps)
    assert code == 0, drawn
    assert BELIEVE_KEY not in drawn
    assert "believe/acme is set up in" in drawn
    assert "the vendor accepts its keys" in drawn
    assert "batchstatus status believe/acme:550e8400-e29b-41d4-a716-446655440000" in drawn
    assert written(environ) == {
        "account": [{"vendor": "believe", "name": "acme", "api_key": BELIEVE_KEY, "base_url": simulator.url}]
    }
    assert (mode(path_of(environ)), mode(path_of(environ).parent)) == (0o600, 0o700)
    ref = simulator.add("believe", status="EXECUTED")
    assert lines(run(environ, "status", f"believe/acme:{ref.id}"))[0]["state"] == "succeeded"


def test_questions_take_the_path_of_a_file(environ, simulator):
    """Of a vendor with two keys, one typed; without a name. A file that is not there is asked for again."""
    key_file(environ, "key", GAMEBALL_KEY)
    steps = [("Vendor", "gamebal\r"), ("did you mean gameball?", "gameball\r"), ("as in gameball/NAME:ID", "\r")]
    steps += [("api_key, not shown", "\r"), (FILE, "~/kye\r"), ("No such file", ""), (FILE, "~/key\r")]
    steps += [("secret_key, not shown", f"{GAMEBALL_SECRET}\r")]
    drawn, code = dialogue(environ, "init", "--base-url", simulator.url, steps=steps)
    assert code == 0, drawn
    assert written(environ)["account"] == [
        {
            "vendor": "gameball",
            "api_key_file": str(Path(environ["HOME"]) / "key"),
            "secret_key": GAMEBALL_SECRET,
            "base_url": simulator.url,
        }
    ]
    assert run(environ, "doctor").returncode == 0


def test_options_ask_nothing(environ, simulator):
    """Not even on a terminal: a file is named, not read into the configuration."""
    file = key_file(environ, "key", BELIEVE_KEY)
    arguments = ["init", "--vendor", "believe", "--key-file", file, "--base-url", simulator.url]
    drawn, code = dialogue(environ, *arguments, steps=[])
    assert code == 0, drawn
    assert written(environ)["account"] == [{"vendor": "believe", "api_key_file": str(file), "base_url": simulator.url}]


def test_keys_come_from_stdin_in_their_order(environ, simulator):
    arguments = ["--vendor", "gameball", "--name", "acme", "--base-url", simulator.url]
    arguments += ["--key-file", "secret_key=-", "--key-file", "api_key=-"]
    said = run(environ, "init", *arguments, stdin=f"{GAMEBALL_KEY}\n{GAMEBALL_SECRET}\n")
    assert said.returncode == 0, said.stderr
    assert lines(said) == [
        {
            "schema": 1,
            "config": str(path_of(environ)),
            "account": "gameball/acme",
            "checked": True,
            "next": "batchstatus status gameball/acme:1748392",
        }
    ]
    assert not [key for key in KEYS if key in said.stdout + said.stderr]
    assert run(environ, "doctor").returncode == 0


def test_keys_come_from_the_environment(environ, simulator):
    """Files that it names stay files; the variables win over the file, which is told."""
    file = key_file(environ, "key", GAMEBALL_SECRET)
    user = environ | keys(simulator) | {"GAMEBALL_SECRET_KEY": "", "GAMEBALL_SECRET_KEY_FILE": str(file)}
    said = run(user, "init", "--vendor", "gameball", "--from-env", "-o", "id")
    assert (said.returncode, said.stdout) == (0, "gameball\n"), said.stderr
    assert "GAMEBALL_API_KEY of the environment win" in said.stderr
    assert written(environ)["account"] == [
        {
            "vendor": "gameball",
            "api_key": GAMEBALL_KEY,
            "secret_key_file": str(file),
            "base_url": simulator.url,
        }
    ]
    assert run(environ, "doctor").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        ([], "", "stdin is not a terminal, so that init cannot ask: give --vendor and its keys"),
        (["--vendor", "beleive"], "", "did you mean believe?"),
        (["--vendor", "believe"], "", "no api_key: give --key-file api_key=FILE"),
        (["--vendor", "gameball", "--key-file", "x"], "", "--key-file api_key=FILE --key-file secret_key=FILE"),
        (["--vendor", "believe", "--key-file", "secret_key=x"], "", "are given as --key-file api_key=FILE"),
        (
            ["--vendor", "believe", "--key-file", "/missing"],
            "",
            "api_key=FILE names a file that cannot be read",
        ),
        (["--vendor", "believe", "--key-file", "-"], "", "api_key is empty"),
        (["--vendor", "believe", "--key-file", "-"], " test-key \n", "begins or ends with a blank"),
        (["--vendor", "believe", "--key-file", "-", "--name", "a/b"], "test-key\n", "an account's name is"),
        (["--vendor", "believe", "--key-file", "-", "--base-url", "http://example.com"], "test-key\n", "https"),
        (["--vendor", "believe", "--from-env"], "", "--from-env: set BELIEVE_API_KEY"),
    ],
)
def test_wrong_usage_writes_nothing(environ, arguments, stdin, says):
    said = run(environ, "init", *arguments, stdin=stdin)
    assert (said.returncode, said.stdout) == (2, "")
    assert says in said.stderr
    assert is_untouched(environ)


@pytest.mark.parametrize(
    ("key", "port", "code"), [("test-another-key", None, 4), (BELIEVE_KEY, 1, 5)], ids=["refused", "unreachable"]
)
def test_what_is_not_proved_is_not_written(environ, simulator, key, port, code):
    """Unless it is asked for."""
    url = simulator.url if port is None else f"http://127.0.0.1:{port}"
    arguments = ["init", "--vendor", "believe", "--key-file", "-", "--base-url", url]
    said = run(environ, *arguments, stdin=key)
    assert (said.returncode, said.stdout) == (code, "")
    assert "nothing was written; --no-check writes it all the same" in said.stderr
    assert key not in said.stderr
    assert is_untouched(environ)
    said = run(environ, *arguments, "--no-check", stdin=key)
    assert (said.returncode, lines(said)[0]["checked"]) == (0, False)
    assert written(environ)["account"][0]["api_key"] == key


@pytest.mark.parametrize(
    ("key", "ends"),
    [
        pytest.param("\x03", 130, id="Ctrl-C"),
        pytest.param("\x04", 130, id="Ctrl-D"),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
    ],
)
@pytest.mark.parametrize("steps", range(4))
def test_an_interrupt_writes_nothing(environ, steps, key, ends):
    """At each question."""
    dialog = [("Vendor", "believe\r"), (NAME, "\r"), ("api_key, not shown", "\r"), (FILE, "")]
    drawn, code = dialogue(environ, "init", steps=[*dialog[:steps], (dialog[steps][0], key)])
    assert code == ends
    assert "interrupted; nothing was written" in drawn
    assert "Traceback" not in drawn
    assert is_untouched(environ)


def test_an_interrupt_while_the_vendor_is_asked(environ):
    """It hangs; nothing is written."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [*COMMAND, "init", "--vendor", "believe", "--key-file", "-"]
        asking = subprocess.Popen(
            [*command, "--base-url", f"http://127.0.0.1:{server.getsockname()[1]}"],
            env=environ,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        asking.stdin.write(f"{BELIEVE_KEY}\n")
        asking.stdin.flush()
        server.settimeout(LONG)
        with server.accept()[0]:
            asking.send_signal(signal.SIGINT)
            _, said = asking.communicate(timeout=LONG)
    assert (asking.returncode, said) == (130, "batchstatus: interrupted; nothing was written\n")
    assert is_untouched(environ)


def test_line_ends_stay(environ, simulator):
    path_of(environ).parent.mkdir(parents=True)
    path_of(environ).write_bytes(b'output = "id"  # ours\r\n')
    said = run(
        environ, "init", "--vendor", "believe", "--key-file", "-", "--base-url", simulator.url, stdin=BELIEVE_KEY
    )
    assert (said.returncode, said.stdout) == (0, "believe\n")
    assert path_of(environ).read_bytes().startswith(b'output = "id"  # ours\r\n')


COMMENTED = """\
# ours
output = "table"  # for people

[wait]
timeout = "2h"

[[account]]  # the first
vendor = "believe"
name = "acme"
# rotated in May
api_key = "test-old-key"
base_url = "http://127.0.0.1:1"
rate_limit = {requests = 5, seconds = 1.0}

[poll]  # behind the accounts
ceiling = "10s"
"""


def test_another_account_leaves_the_file_as_it_is(environ, simulator):
    """Every line stays, comments too."""
    config(environ["HOME"], COMMENTED)
    arguments = ["init", "--vendor", "believe", "--key-file", "-", "--base-url", simulator.url]
    assert run(environ, *arguments, "--name", "globex", stdin=BELIEVE_KEY).returncode == 0
    added = (
        f'[[account]]\nvendor = "believe"\nname = "globex"\napi_key = "{BELIEVE_KEY}"\nbase_url = "{simulator.url}"\n\n'
    )
    assert path_of(environ).read_text() == COMMENTED.replace("[poll]", f"{added}[poll]")
    assert [account["name"] for account in written(environ)["account"]] == ["acme", "globex"]
    assert run(environ, *arguments, "--name", "globex", stdin=BELIEVE_KEY).returncode == 2


def test_an_account_is_replaced_by_force_only(environ, simulator):
    """Its keys and address; comments and other settings stay."""
    config(environ["HOME"], COMMENTED)
    arguments = ["init", "--vendor", "believe", "--name", "acme", "--base-url", simulator.url]
    said = run(environ, *arguments, "--key-file", "-", stdin=BELIEVE_KEY)
    assert said.returncode == 2
    assert "has the account believe/acme already: --force replaces its keys and address" in said.stderr
    assert path_of(environ).read_text() == COMMENTED
    file = key_file(environ, "key", BELIEVE_KEY)
    assert run(environ, *arguments, "--force", "--key-file", file).returncode == 0
    assert written(environ)["account"] == [
        {
            "vendor": "believe",
            "name": "acme",
            "api_key_file": str(file),
            "base_url": simulator.url,
            "rate_limit": {"requests": 5, "seconds": 1.0},
        }
    ]
    after = path_of(environ).read_text()
    assert all(comment in after for comment in ("# ours", "# for people", "# rotated in May", "# behind the accounts"))
    assert "test-old-key" not in after


@pytest.mark.parametrize("text", ['account = [{vendor = "believe", api_key = "test-key"}]', "account = []\n[wait]\n"])
def test_a_file_of_another_form_is_refused(tmp_path, text):
    """A message says so, and shows no key."""
    with pytest.raises(ConfigurationError, match="add the account by hand") as raised:
        with_account(
            tmp_path / "config.toml", text, {"vendor": "gameball", "api_key": "test-key", "secret_key": "test-key"}
        )
    assert "test-key" not in str(raised.value)


def test_rights_grow_only_smaller(tmp_path):
    """A file that others may read stays so, until a key is in it; a link stays a link."""
    file, link = tmp_path / "config.toml", tmp_path / "link.toml"
    replace(file, "", secret=False)
    assert mode(file) == 0o600
    file.chmod(0o644)
    link.symlink_to(file)
    replace(link, "# 1", secret=False)
    assert (mode(file), file.read_text(), link.is_symlink()) == (0o644, "# 1", True)
    replace(link, "# 2", secret=True)
    assert (mode(file), file.read_text()) == (0o600, "# 2")


def test_only_a_file_is_replaced(environ, tmp_path):
    """A pipe stays, and so does a device: a file in the place of /dev/null would be the end of many programs."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=("# empty",), daemon=True).start()
    said = run(environ, "init", "--vendor", "believe", "--key-file", "-", "--config", pipe, stdin=BELIEVE_KEY)
    assert (said.returncode, said.stderr) == (2, f"batchstatus: {pipe} is not a file, and init writes one\n")
    assert pipe.is_fifo()


def test_accounts_stand_apart(tmp_path):
    """By a blank line, also behind one that somebody wrote."""
    text = 'output = "id"\n'
    for name in ("acme", "globex", "initech"):
        text = with_account(tmp_path / "config.toml", text, {"vendor": "believe", "name": name, "api_key": "test-key"})
    assert text.count("\n\n[[account]]") == 3
    assert "\n\n\n" not in text + with_account(
        tmp_path / "config.toml", f"{text}\n", {"vendor": "gameball", "api_key": "test-key", "secret_key": "test-key"}
    )


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """Also if it fails at the last moment, or is interrupted there."""
    file = tmp_path / "config.toml"
    file.write_text("# old")
    for error, seen in ((OSError(28, "No space left on device"), ConfigurationError), (KeyboardInterrupt(), None)):

        def fail(*_, error=error):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            with pytest.raises(seen or KeyboardInterrupt):
                replace(file, "# new", secret=True)
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("config.toml", "# old")]


def test_a_file_of_config_may_be_new(environ, simulator, tmp_path):
    """The one that --config names; for other commands it has to be there."""
    file = tmp_path / "new" / "other.toml"
    arguments = ["--vendor", "believe", "--key-file", "-", "--base-url", simulator.url, "--config", file]
    assert run(environ, "init", *arguments, stdin=BELIEVE_KEY).returncode == 0
    assert run(environ, "doctor", "--config", file).returncode == 0
    assert is_untouched(environ)


def test_json_tells_errors_as_json(environ):
    said = run(environ, "init", "-o", "json", "--vendor", "believe")
    assert (said.returncode, json.loads(said.stderr)["error"]) == (2, "UsageError")
