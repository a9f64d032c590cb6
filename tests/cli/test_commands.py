"""The command line, through its process: what it prints where, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time

import click
import pytest
from batchstatus.cli import app as app_module
from batchstatus.cli.signals import Terminated
from batchstatus.testing.simulator import Quirk
from batchstatus.testing.simulator.believe import BELIEVE_KEY
from commandline import COMMAND, config, keys, lines, run, terminal
from waiting import HANG, LONG, until

COMMANDS = ["init", "status", "wait", "watch", "track", "run", "deliveries", "history", "events", "store", "doctor"]
COMMANDS += ["simulate", "completion"]


@pytest.mark.parametrize(("kind", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_a_signal_before_the_command_has_its_code(monkeypatch, kind, code):
    """It comes while the options are parsed."""

    def stopped(*_, **__):
        raise click.Abort from kind()

    monkeypatch.setattr(app_module.app, "main", stopped)
    for process_wide in ("handle_sigterm", "_open_streams"):
        monkeypatch.setattr(app_module, process_wide, lambda: None)
    assert app_module.run([]) == code


def test_help_names_commands_and_exit_codes(environ):
    """Help names every command and the exit codes."""
    said = run(environ, "--help")
    assert (said.returncode, said.stderr) == (0, "")
    assert all(f"  {name} " in said.stdout for name in COMMANDS)
    assert "124 timed out" in said.stdout


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (["--help"], {"asyncio", "attrs", "httpx", "rich", "sqlite3"}),
        (["track", "add", "believe:1", "-q", "-o", "id"], {"asyncio", "httpx", "rich"}),
    ],
)
def test_a_command_loads_nothing_heavy_that_it_does_not_need(environ, arguments, needless):
    code = f"""if True:
        import sys
        from batchstatus.cli.app import run
        run({arguments})
        sys.exit(", ".join({needless} & sys.modules.keys()) or None)"""
    said = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(environ, command):
    said = run(environ, command, "--help")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith(f"Usage: batchstatus {command} ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["stauts"], "did you mean status?"),
        (["status"], "no refs: give vendor:id"),
        (["status", "nonsense"], "a ref is"),
        (["status", "other:1"], "no vendor 'other'; there are believe, gameball"),
        (["status", "gamebal:1"], "no vendor 'gamebal'; did you mean gameball?"),
        (["nonsense"], "No such command 'nonsense'; there are init, status"),
        (["track", "lst"], "No such command 'lst'; did you mean list?"),
        (["wait", "believe:1", "--time-out", "5m"], "Did you mean '--timeout'?"),
        (["wait", "believe:1", "--for", "suceeded"], "did you mean succeeded?"),
        (["status", "believe:1", "-o", "jsn"], "did you mean json?"),
        (["completion", "bsh"], "did you mean bash?"),
        (["run", "--only", "ended,losst"], "did you mean lost?"),
        (["run", "--log-format", "jsn"], "did you mean json?"),
        (["wait", "believe:1", "--timeout", "soon"], "is not a duration; use 90s, 30m, 1h30m or 2d"),
        (["wait", "believe:1", "--for", "done"], "'done' is not one of"),
        (["status", "believe:1", "--config", "missing.toml"], "there is no file missing.toml"),
    ],
)
def test_wrong_usage_exits_with_2(user, arguments, says):
    """Wrong usage ends with 2 and says what would be right."""
    said = run(user, *arguments)
    assert (said.returncode, said.stdout) == (2, "")
    assert says in said.stderr


def test_a_missing_key_exits_with_4(environ, simulator):
    """Without a key it ends with 4 and names the variables; without any, a way to try it, too."""
    none = run(environ, "status", "believe:1")
    assert none.returncode == 4
    assert all(word in none.stderr for word in ("batchstatus init", "BELIEVE_API_KEY", "batchstatus simulate"))
    half = {name: value for name, value in keys(simulator).items() if name != "GAMEBALL_SECRET_KEY"}
    assert run(environ | half, "status", "gameball:1").returncode == 4
    only_believe = {name: value for name, value in keys(simulator).items() if name.startswith("BELIEVE")}
    said = run(environ | only_believe, "status", "gameball:1")
    assert said.returncode == 4
    assert "set GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY" in said.stderr


def test_status_prints_a_line_for_each_batch(user, simulator):
    refs = [simulator.add("gameball", status="completed", total=200, failed=2), simulator.add("believe", seconds=60)]
    said = run(user, "status", *refs)
    assert (said.returncode, said.stderr) == (0, "")
    assert [(line["schema"], line["ref"], line["state"]) for line in lines(said)] == [
        (1, str(refs[0]), "succeeded"),
        (1, str(refs[1]), "pending"),
    ]


def test_status_has_other_formats(user, simulator):
    ref = simulator.add("gameball", status="completed", total=200, failed=2)
    assert lines(run(user, "-o", "json", "status", ref))[0]["batches"][0]["counts"]["failed"] == 2
    assert run(user, "status", ref, "-o", "id").stdout == f"{ref}\n"
    table = run(user, "status", ref, "-o", "table").stdout
    assert re.search(rf"^{ref} +SUCCEEDED .*200/200 +2 failed: refused$", table, re.MULTILINE)
    assert "\x1b" not in table, "no colours where there is no terminal"
    assert lines(run(user, "status", "--raw", ref))[0]["batchId"] == ref.id


def test_refs_come_from_stdin(user, simulator):
    """Refs come from stdin and duplicates are read once."""
    ref = simulator.add("believe", status="EXECUTED")
    said = run(user, "status", "-", ref, "-o", "id", stdin=f"{ref}\n{ref}\n")
    assert said.stdout == f"{ref}\n"


@pytest.mark.parametrize(
    ("batches", "code"),
    [
        ([{"status": "EXECUTED"}], 0),
        ([{"status": "EXECUTED"}, {"status": "FINALIZED"}], 8),
        ([{"status": "FAILED"}, {"status": "FINALIZED"}], 1),
        ([{"status": "EXECUTED", "failed": 1}], 1),
    ],
)
def test_exit_status_tells_how_the_batches_stand(user, simulator, batches, code):
    refs = [simulator.add("believe", **batch) for batch in batches]
    assert run(user, "status", *refs).returncode == 0
    assert run(user, "status", "--exit-status", *refs).returncode == code


def test_an_unknown_batch_exits_with_3(user, simulator):
    """An unknown batch ends with 3 and the others are printed."""
    ref = simulator.add("believe", status="EXECUTED")
    said = run(user, "status", ref, "believe:missing", "-o", "id")
    assert (said.returncode, said.stdout) == (3, f"{ref}\n")
    assert "believe:missing: HTTP 404" in said.stderr


def test_a_refused_key_exits_with_4(user, simulator):
    """A refused key ends with 4 and an unreachable vendor with 5."""
    ref = simulator.add("believe")
    assert run(user | {"BELIEVE_API_KEY": "test-another-key"}, "status", ref).returncode == 4
    gone = run(user | {"BELIEVE_BASE_URL": "http://127.0.0.1:1"}, "status", ref)
    assert gone.returncode == 5
    assert "cannot connect" in gone.stderr


def test_of_several_codes_the_gravest_is_the_end(user, simulator):
    refs = [simulator.add("believe", status="FAILED"), "believe:missing"]
    assert run(user, "wait", *refs, "--timeout", "2s").returncode == 3
    simulator.add("believe", id="down", quirks=[Quirk.HTML_ERRORS])
    assert run(user | {"GAMEBALL_BASE_URL": "http://127.0.0.1:1"}, "status", *refs, "gameball:1").returncode == 5


@pytest.mark.parametrize(
    ("arguments", "name", "code"),
    [
        (["status", "believe:missing", "-o", "json"], "BatchNotFound", 3),
        (["-o", "json", "status"], "UsageError", 2),
        (["wait", "believe:1", "--timeout", "soon", "-o", "json"], "BadParameter", 2),
        (["--output=json", "stauts"], "UsageError", 2),
        (["status", "--bad", "-ojson"], "NoSuchOption", 2),
        (["status", "believe:1", "-o", "json", "--config", "missing.toml"], "ConfigurationError", 2),
        (["status", "believe/acme:1", "--output", "json"], "MissingKey", 4),
    ],
)
def test_errors_are_json_where_json_is_asked_for(user, arguments, name, code):
    said = run(user, *arguments)
    error = json.loads(said.stderr)
    assert (said.returncode, error["schema"], error["error"], error["exit_code"]) == (code, 1, name, code)


@pytest.mark.parametrize(
    ("arguments", "batch", "code"),
    [
        ([], {"seconds": 1.0}, 0),
        ([], {"seconds": 1.0, "ends": "FAILED"}, 0),
        (["--for", "succeeded"], {"seconds": 1.0}, 0),
        (["--for", "succeeded"], {"seconds": 1.0, "ends": "FAILED"}, 1),
        (["--for", "succeeded"], {"seconds": 1.0, "failed": 2}, 1),
        (["--for", "requires_action"], {"status": "FINALIZED"}, 0),
        (["--for", "requires_action"], {"status": "EXECUTED"}, 1),
        (["--timeout", "0"], {"status": "FINALIZED"}, 8),
        (["--timeout", "0"], {"status": "EXECUTED"}, 0),
        (["--timeout", "1s"], {"status": "FINALIZED"}, 124),
    ],
)
def test_wait_ends_with_the_code_of_what_came(user, simulator, arguments, batch, code):
    said = run(user, "wait", simulator.add("believe", **batch), *arguments)
    assert said.returncode == code, said.stderr
    assert "Traceback" not in said.stderr


def test_wait_prints_each_batch_as_it_is_there(user, simulator):
    late, early = simulator.add("gameball", status="processing"), simulator.add("gameball", status="completed")
    command = [*COMMAND, "wait", str(late), str(early), "-o", "id"]
    with subprocess.Popen(command, env=user, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout.readline() == f"{early}\n"
        simulator.add("gameball", id=late.id, status="completed")
        assert waiting.stdout.read() == f"{late}\n"


def test_wait_for_any_and_fail_fast_end_early(user, simulator):
    quick, slow = simulator.add("believe", seconds=0.5, ends="FAILED"), simulator.add("believe", status="FINALIZED")
    started = time.monotonic()
    assert run(user, "wait", quick, slow, "--any", "--timeout", "30s").returncode == 0
    assert run(user, "wait", quick, slow, "--for", "succeeded", "--fail-fast", "--timeout", "30s").returncode == 1
    assert time.monotonic() - started < LONG


def test_watch_prints_a_line_for_each_change(user, simulator):
    ref = simulator.add("believe", seconds=5.0)
    said = run(user, "watch", ref)
    states = [line["state"] for line in lines(said)]
    assert states in (["pending", "requires_action", "succeeded"], ["requires_action", "succeeded"])
    assert "needs approval or execution" in said.stderr
    assert [line["ref"] for line in lines(run(user, "watch", "-o", "json", ref))] == [str(ref)], "lines, too"
    assert run(user, "watch", simulator.add("believe", seconds=0), "-q").stderr == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_reading_command(user, number, code):
    """A signal ends a command that only reads too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(LONG)
        reading = subprocess.Popen(
            [*COMMAND, "status", "believe:1"],
            env=user | {"BELIEVE_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)
                reading.send_signal(number)
                _, said = reading.communicate(timeout=20)
        finally:
            reading.kill()
    assert (reading.returncode, said) == (code, "batchstatus: interrupted\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_wait_at_once(user, simulator, number, code):
    """A signal ends it at once and says how to go on."""
    ref = simulator.add("believe", status="FINALIZED")
    waiting = subprocess.Popen([*COMMAND, "wait", str(ref)], env=user, stderr=subprocess.PIPE, text=True)
    until(lambda: simulator.reads)
    time.sleep(0.3)
    started = time.monotonic()
    waiting.send_signal(number)
    _, said = waiting.communicate(timeout=20)
    assert time.monotonic() - started < HANG
    assert waiting.returncode == code
    assert f"batchstatus wait {ref}" in said
    assert "Traceback" not in said


def shell(user, command):
    command = command.replace("batchstatus", " ".join(COMMAND))
    return subprocess.run(
        ["bash", "-c", command],
        env=user,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_the_reader_of_a_pipe_may_leave(user, simulator):
    ref = simulator.add("believe", status="EXECUTED")
    said = shell(user, f"batchstatus status {ref} | true; echo ${{PIPESTATUS[0]}}")
    assert (said.stdout, said.stderr) == ("141\n", "")


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("status REF >/dev/full", 74, "No space left on device"),
        ("status REF 2>/dev/full", 0, ""),
        ("status believe:missing 2>/dev/full", 3, ""),
        ("wait REF -v 2>/dev/full", 0, ""),
        ("status REF >&-", 0, ""),
        ("status - <&-", 2, "no refs"),
        ("status REF 2>&-", 0, ""),
    ],
)
def test_a_broken_stream_brings_no_traceback(user, simulator, command, code, says):
    """A stream that does not work brings no traceback."""
    said = shell(user, "batchstatus " + command.replace("REF", str(simulator.add("believe", status="EXECUTED"))))
    assert said.returncode == code, said.stderr
    assert says in said.stderr
    assert "Traceback" not in said.stderr
    assert "internal error" not in said.stderr


def test_without_a_home_the_environment_does(user, simulator):
    nowhere = {name: value for name, value in user.items() if name != "HOME"}
    code = """if True:
        import pwd
        from batchstatus.cli import main
        pwd.getpwuid = lambda uid: {}[uid]  # as with a uid that has no entry
        main()"""
    for arguments, returncode in (
        (["status", str(simulator.add("believe", status="EXECUTED"))], 0),
        (["track", "list"], 2),
    ):
        command = [sys.executable, "-c", code, *arguments]
        said = subprocess.run(command, env=nowhere, capture_output=True, text=True, timeout=60, check=False)
        assert (said.returncode, "Traceback" in said.stderr, "fault" in said.stderr) == (returncode, False, False)


def test_an_outage_during_a_wait_is_shown(user):
    """A vendor that is down while one waits is told."""
    said = run(user | {"BELIEVE_BASE_URL": "http://127.0.0.1:1"}, "wait", "believe:1", "--timeout", "2s")
    assert said.returncode == 5
    assert "believe:1: still unread after 2" in said.stderr


def test_what_is_still_open_is_told(user, simulator):
    ref = simulator.add("believe", status="FINALIZED")
    late = run(user, "wait", ref, "--timeout", "1s")
    assert (late.returncode, late.stdout) == (124, "")
    assert f"{ref}: still REQUIRES_ACTION (FINALIZED)" in late.stderr
    assert [line["state"] for line in lines(run(user, "wait", ref, "--timeout", "0"))] == ["requires_action"]


def test_a_reached_state_stays_reached(user, simulator):
    """A state that was reached stays reached while others are waited for."""
    refs = [simulator.add("gameball", seconds=4), simulator.add("gameball", seconds=25)]
    said = run(user, "wait", *refs, "--for", "running", "--timeout", "20s")
    assert (said.returncode, [line["ref"] for line in lines(said)]) == (0, [*map(str, refs)])


def test_fail_fast_ends_at_the_first_that_failed(user, simulator):
    refs = [simulator.add("believe", status="FAILED"), simulator.add("believe", status="FINALIZED")]
    assert run(user, "wait", *refs, "--fail-fast", "--timeout", "30s").returncode == 1


def test_control_characters_are_escaped(user, simulator):
    """Control characters of a vendor do not reach the terminal."""
    ref = simulator.add("gameball", status="ARCHIVED\x1b[31m\nX")
    drawn, _ = terminal(user, "status", ref, columns=120)
    assert "ARCHIVED\\x1b[31m" in drawn


def test_messages_go_above_the_live_table(user, simulator):
    """Messages stand above the table that moves."""
    config(user["HOME"], "[poll]\nnot_found_grace = 0\nrefusal_grace = 0")
    refs = ["gameball:nope", "gameball:nope2", simulator.add("gameball", seconds=2)]
    drawn, code = terminal(user, "wait", *refs, columns=80)
    assert code == 3
    assert all(f"batchstatus: {ref}: HTTP 404" in drawn for ref in refs[:2])
    assert re.search(
        r"(^|\r)batchstatus: gameball:nope2: HTTP 404", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn), re.MULTILINE
    )


def test_why_batches_failed_is_told_in_full(user, simulator):
    ref = simulator.add("gameball", status="completed", total=200, failed=2)
    said = run(user, "status", ref, "-o", "table")
    assert said.stderr == f"{ref}: 2 x refused\n"
    assert run(user, "status", ref, "-o", "table", "-q").stderr == ""


def test_a_terminal_gets_a_live_table_in_colour(user, simulator):
    """On a terminal the table moves and is in colour."""
    refs = [simulator.add("gameball", seconds=2.5, total=200), simulator.add("believe", seconds=2.5)]
    drawn, code = terminal(user, "watch", *refs)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert "0 of 2 ended" in plain
    assert "2 of 2 ended" in plain
    assert "REQUIRES_ACTION" in plain
    assert re.search(r"\x1b\[[0-9;]*4[0-9]m", drawn), "what needs somebody stands out"
    assert drawn.count("\x1b[?25h") >= 1, "the cursor is shown again"


def test_wait_on_a_terminal_ends_with_its_code(user, simulator):
    """Wait on a terminal moves and ends with its code."""
    drawn, code = terminal(user, "wait", simulator.add("believe", seconds=1, ends="FAILED"), "--for", "succeeded")
    assert code == 1
    assert "1 of 1 ended" in drawn
    assert "1 failed or cancelled" in drawn


def test_simulate_prints_lines_to_paste(environ):
    """Simulate on a terminal prints lines to paste."""
    drawn, code = terminal(environ, "simulate", "--batches", "2", until=b"Ctrl-C", key=b"\x03")
    assert code == 130
    assert "export BELIEVE_BASE_URL=http://127.0.0.1:" in drawn
    assert "batchstatus watch believe:" in drawn


def test_completion_on_a_terminal_is_the_script(environ):
    drawn, code = terminal(environ, "completion", "bash")
    assert (code, "complete" in drawn) == (0, True)


def test_no_color_leaves_the_colours_out(user, simulator):
    drawn, _ = terminal(user | {"NO_COLOR": "1"}, "status", simulator.add("believe", status="FINALIZED"))
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]m", drawn)


def test_ctrl_c_on_a_terminal_leaves_it_in_order(user, simulator):
    ref = simulator.add("believe", status="FINALIZED")
    drawn, code = terminal(user, "watch", ref, until=b"REQUIRES_ACTION", key=b"\x03")
    assert code == 130
    assert "batchstatus watch" in drawn
    assert drawn.rfind("\x1b[?25h") > drawn.rfind("\x1b[?25l"), "the cursor is shown again"


def test_doctor_finds_what_is_wrong(environ, user, simulator):
    assert run(environ, "doctor").returncode == 4
    good = run(user, "doctor")
    assert good.returncode == 0, good.stdout
    assert {line["check"] for line in lines(good)} >= {"python", "packages", "gameball access", "clock"}
    assert BELIEVE_KEY not in good.stdout + good.stderr
    assert run(user | {"BELIEVE_API_KEY": "test-another-key"}, "doctor").returncode == 4
    assert run(user | {"BELIEVE_BASE_URL": "http://127.0.0.1:1"}, "doctor").returncode == 5
    assert run(user | {"BELIEVE_BASE_URL": "http://127.0.0.1:1"}, "doctor", "--offline").returncode == 0


def test_a_file_may_name_several_accounts(environ, simulator):
    """A configuration file names several accounts."""
    ref = simulator.add("believe", status="EXECUTED")
    account = (
        f'[[account]]\nvendor = "believe"\nname = "{{}}"\napi_key = "{BELIEVE_KEY}"\nbase_url = "{simulator.url}"\n'
    )
    config(environ["HOME"], account.format("acme") + account.format("globex"))
    said = run(environ, "status", f"believe/acme:{ref.id}", f"believe/globex:{ref.id}")
    assert [line["account"] for line in lines(said)] == ["acme", "globex"]


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ('[[account]]\nvendor = "believe"\napi_key = "test-key"\n', 0o644, "chmod 600"),
        ('[[account]]\nvendor = "believe"\n', 0o600, "give either api_key or api_key_file"),
        ('[[account]]\nvendor = "other"\n', 0o600, "vendor is one of believe, gameball"),
        ('[[account]]\nvendor = "believe"\napi_key = "test-key"\ncolour = 1\n', 0o600, "has no colour"),
        ('[[account]]\nvendor = "believe"\napi_key = "test-key"\nrate_limit = {x = 1}\n', 0o600, "{requests = 5"),
        ('[[account]]\nvendor = "believe"\napi_key = "test-key"\nstates = {A = "done"}\n', 0o600, "there are pending"),
        ('[[account]]\nvendor = "beleive"\n', 0o600, "did you mean believe?"),
        (
            '[[account]]\nvendor = "believe"\napi_key = "test-key"\nstates = {A = "suceeded"}\n',
            0o600,
            "mean succeeded?",
        ),
        ("[wiat]", 0o600, "no setting wiat; did you mean wait?"),
        ("[status]\ntimout = 5", 0o600, "status has no option timout; did you mean timeout?"),
        ("account = 7", 0o600, "accounts are written"),
        ("[[account", 0o600, "not valid TOML"),
    ],
)
def test_a_wrong_configuration_file_is_refused(environ, text, mode, says):
    """A configuration file that cannot work is refused."""
    config(environ["HOME"], text, mode)
    said = run(environ, "status", "believe:1")
    assert said.returncode == 2
    assert says in said.stderr
    assert "test-key" not in said.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('pace = "http://:test-secret@paces"', "a shared pace is written redis://host:6379/0 or postgresql://"),
        ('pace = "redis://:test-secret@["', "a Redis server is written redis://host:6379/0"),
        (
            'pace = "redis://:test-secret@paces"\npace_when_lost = "go on"',
            "when_lost is 'wait' or 'local', not 'go on'",
        ),
        ("pace = 7", "pace a URL"),
    ],
)
def test_a_pace_that_cannot_be_is_refused_without_its_secret(user, settings, says):
    config(user["HOME"], settings)
    said = run(user, "status", "believe:1")
    assert (said.returncode, says in said.stderr) == (2, True), said.stderr
    assert "test-secret" not in said.stderr


def test_a_pace_that_is_away_sends_nothing(user, simulator, tmp_path):
    """By a file, too, which may hold a password."""
    (tmp_path / "pace").write_text("redis://:test-secret@127.0.0.1:1/0\n")
    said = run(user | {"BATCHSTATUS_PACE_FILE": tmp_path / "pace"}, "status", "believe:1", "--timeout", "1s")
    assert said.returncode == 5
    assert "its pace cannot be asked (ConnectionError)" in said.stderr
    assert "test-secret" not in said.stderr
    assert simulator.reads == []


def test_a_file_with_the_password_of_a_pace_is_for_its_owner(user):
    config(user["HOME"], 'pace = "redis://:test-secret@127.0.0.1:1/0"', 0o644)
    assert "chmod 600" in run(user, "status", "believe:1").stderr


def test_an_account_may_have_words_and_a_rate(environ, simulator):
    """An account in the file may have words and a rate of its own."""
    ref = simulator.add("believe", status="ARCHIVED")
    text = f'[[account]]\nvendor = "believe"\napi_key = "{BELIEVE_KEY}"\nbase_url = "{simulator.url}"\n'
    config(environ["HOME"], f'{text}states = {{ARCHIVED = "succeeded"}}\nrate_limit = {{requests = 5, seconds = 1}}\n')
    assert [line["state"] for line in lines(run(environ, "status", ref))] == ["succeeded"]


def test_the_environment_wins_over_the_file(user, simulator):
    config(user["HOME"], '[[account]]\nvendor = "believe"\napi_key = "test-wrong-key"\n')
    assert run(user, "status", simulator.add("believe", status="EXECUTED")).returncode == 0


def test_simulate_prints_what_another_shell_needs(environ):
    serving = subprocess.Popen(
        [*COMMAND, "simulate", "--batches", "2"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        told = json.loads(serving.stdout.readline())
        said = run(environ | told["environment"], "status", *told["refs"], "-o", "id")
        assert said.stdout.split() == told["refs"]
    finally:
        serving.send_signal(signal.SIGINT)
        serving.communicate(timeout=20)
    assert serving.returncode == 130


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_completion_for_each_shell(environ, shell):
    assert "_BATCHSTATUS_COMPLETE" in run(environ, "completion", shell).stdout


@pytest.mark.parametrize(
    ("extra", "arguments"), [("simulator", ["simulate"]), ("http", ["run", "--http", "127.0.0.1:0"])]
)
def test_a_missing_extra_of_a_command_is_named(user, tmp_path, extra, arguments):
    """With the way to have it in a checkout, for those too who have the command from pipx or uvx."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['starlette'] = None")
    said = run(user | {"PYTHONPATH": str(tmp_path)}, *arguments)
    assert said.returncode == 2
    told = " ".join(said.stderr.split())
    assert f"needs the extra: pip install 'batchstatus[{extra}]'. In a checkout: pip install '.[{extra}]', " in told
    assert f"or uvx --from '.[{extra}]' batchstatus" in told


def test_version(environ):
    assert re.fullmatch(r"batchstatus, version \d+\.\d+\.\d+\S*\n", run(environ, "--version").stdout)
