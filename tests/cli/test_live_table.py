"""The table that moves: when it is drawn, over what, and what a stop or another size does to it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest
from batchstatus import Batch, BatchRef, BatchState, Counts, Event, EventKind, TransportError
from batchstatus.cli import live_table
from batchstatus.cli.live_table import Frame, LiveTable, time_left
from batchstatus.cli.output import Output
from commandline import COMMAND, terminal
from rich.text import Text
from screens import screen
from waiting import LONG, until

REFS = [BatchRef("gameball", str(number)) for number in range(60)]
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def reading(ref, state=BatchState.RUNNING, remaining=None, **counts):
    batch = Batch(
        ref=ref, state=state, vendor_status="x", counts=Counts(**counts), read_at=None, raw=None, payload=None
    )
    return Event(kind=EventKind.ATTEMPT, ref=ref, batch=batch, remaining=remaining)


def table(refs=REFS, columns=80, takes=None):
    return LiveTable(Output(), refs, screen(columns), takes)


def shown(live):
    """What its terminal has got, without controls."""
    return CONTROLS.sub("", live._screen.file.getvalue())


# The frame


def test_a_frame_is_drawn_over_the_one_before():
    to = screen(40)
    frame = Frame(to)
    frame.draw([Text("one"), Text("two")])
    frame.draw([Text("three")])
    assert to.file.getvalue() == "\x1b[?25lone\ntwo" + "\x1b[?25l\x1b[1A\r\x1b[Jthree"


def test_a_frame_that_is_the_same_is_not_drawn():
    to = screen(40)
    frame = Frame(to)
    frame.draw([Text("one")])
    before = to.file.getvalue()
    frame.draw([Text("one")])
    assert to.file.getvalue() == before


@pytest.mark.parametrize(("columns", "up"), [(40, 1), (20, 3), (12, 7), (80, 1)])
def test_a_frame_is_erased_whole_if_the_terminal_has_become_narrower(columns, up):
    """Which shows a line in several."""
    to = screen(40)
    frame = Frame(to)
    frame.draw([Text("x" * 40), Text("日" * 20)])
    to.width = columns
    to.file.truncate(0)
    frame.draw([Text("new")])
    assert f"\x1b[{up}A\r\x1b[Jnew" in to.file.getvalue()


def test_a_message_stands_above_the_frame():
    to = screen(40)
    frame = Frame(to)
    frame.draw([Text("one"), Text("two")])
    to.file.truncate(0)
    frame.print_above("message")
    assert CONTROLS.sub("", to.file.getvalue()).lstrip("\0") == "\rmessage\none\ntwo"


def test_a_frame_that_is_left_is_drawn_below():
    to = screen(40)
    frame = Frame(to)
    frame.draw([Text("one")])
    frame.leave()
    frame.draw([Text("two")])
    assert to.file.getvalue() == "\x1b[?25lone\n\x1b[?25h\x1b[?25ltwo"


# The table


@pytest.mark.parametrize(
    ("rests", "open_", "says"),
    [
        ([], 0, ""),
        ([], 3, "time left unknown"),
        ([60.0, 180.0], 2, "about 3 min left"),
        ([60.0, 180.0], 5, "about 3 min left for 2 of 5, the rest unknown"),
        ([0.2, -5.0], 2, "about to end"),
    ],
)
def test_the_time_left_is_that_of_all_open_batches(rests, open_, says):
    assert time_left(rests, open_) == says


def test_the_time_left_is_known_once_each_open_batch_predicts_it():
    live = table(REFS[:3])
    for ref in REFS[:2]:
        live.note(reading(ref, remaining=170.0, total=200, processed=50))
    live.draw()
    assert "about 3 min left for 2 of 3, the rest unknown" in shown(live)
    live.note(reading(REFS[2], BatchState.SUCCEEDED, total=200, processed=200))
    live.draw()
    assert shown(live).endswith("1 of 3 ended · about 3 min left")
    live.note(reading(REFS[1], BatchState.REQUIRES_ACTION, remaining=170.0))
    live.draw()
    assert shown(live).endswith("· about 3 min left for 1 of 2, the rest unknown"), "it waits for somebody"


def test_a_table_is_no_taller_than_the_terminal_until_its_end():
    live = table()
    for ref in REFS[:50]:
        live.note(reading(ref))
    live.draw()
    assert len(shown(live).splitlines()) == 29
    assert "… and 35 more" in shown(live)
    live._screen.file.truncate(0)
    live.__exit__(None, None, None)
    assert all(f"{ref} " in shown(live) for ref in REFS), "all rows"


@pytest.mark.parametrize("height", [1, 4, 6])
def test_a_table_fits_into_the_lowest_terminal(height):
    live = table()
    live._screen.height = height
    live.draw()
    lines = shown(live).splitlines()
    assert len(lines) <= max(height - 1, 1)
    assert lines[-1] == "0 of 60 ended · time left unknown"


def test_rows_that_need_somebody_come_first_and_ended_ones_last():
    live = table(REFS[:6])
    for ref, state in zip(REFS, ("succeeded", "running", "requires_action", "failed", "pending"), strict=False):
        live.note(reading(ref, BatchState(state)))
    live.note(reading(REFS[1], BatchState.CANCELLED))
    live.draw()
    rows = [line.split()[0] for line in shown(live).splitlines()[1:7]]
    assert rows == [str(REFS[number]) for number in (2, 4, 5, 0, 1, 3)]


def test_why_a_batch_cannot_be_read_stands_below():
    live = table(REFS[:4])
    for ref in REFS[:3]:
        error = TransportError("the connection was reset " * 9, ref=ref)
        live.note(Event(kind=EventKind.ATTEMPT, ref=ref, error=error))
    live.draw()
    assert f"TransportError: {REFS[0]}: the connection was reset" in shown(live)
    assert "… and 1 more that cannot be read" in shown(live)
    assert max(map(len, shown(live).splitlines())) <= 80


def test_it_is_drawn_on_change_and_once_a_second_at_most(monkeypatch):
    """However many changes come."""
    drawn, turns = [], asyncio.Semaphore(0)

    async def sleep(seconds):
        assert seconds == live_table.INTERVAL == 1.0
        await turns.acquire()

    async def watch():
        live = table()
        live.draw = lambda: drawn.append(len(live._batches))
        monkeypatch.setattr(live_table.asyncio, "sleep", sleep)
        running = asyncio.ensure_future(live.run())
        for _ in range(3):
            await _turns()
            for ref in REFS[: 10 * len(drawn)]:
                live.note(reading(ref))
            await _turns()
            turns.release()
        await _turns()
        turns.release()  # a second in which nothing changes
        await _turns()
        running.cancel()
        return drawn

    async def _turns():
        for _ in range(10):
            loop = asyncio.get_running_loop()
            passed = loop.create_future()
            loop.call_soon(passed.set_result, None)
            await passed

    assert asyncio.run(watch()) == [0, 10, 20, 30]


# On a terminal


@contextlib.contextmanager
def shell(environ, columns=100):
    """An interactive bash in a pseudo-terminal: functions that type, read all so far, and change its size."""
    child, master = pty.fork()
    if child == 0:
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environ | {"PS1": "$ ", "COLUMNS": ""})
    text = bytearray()

    def read():
        while select.select([master], [], [], 0.05)[0]:
            try:
                text.extend(os.read(master, 65536))
            except OSError:
                break
        return text.decode(errors="replace")

    def resize(columns):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))

    resize(columns)
    try:
        yield lambda typed: os.write(master, typed.encode()), read, resize
    finally:
        os.write(master, b"\x03\nkill -9 $(jobs -p)\nexit\nexit\n")
        read()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(master)


def test_ctrl_z_leaves_the_terminal_in_order_and_fg_draws_again(user, simulator):
    ref = simulator.add("believe", status="FINALIZED")
    with shell(user) as (write, read, _):
        write(f"unset COLUMNS LINES; {' '.join(COMMAND)} watch {ref}\n")
        until(lambda: "needs approval" in read())
        write("\x1a")
        until(lambda: "Stopped" in read())
        assert read().rindex("\x1b[?25h") < read().index("Stopped"), "the cursor is there"
        assert "\x1b[?25l" not in read()[read().index("Stopped") :]
        at = len(read())
        write("fg\n")
        until(lambda: "needs approval" in read()[at:])
        assert "\x1b[J" not in read()[at:], "nothing of the shell is erased"
        write("\x03")
        until(lambda: "interrupted" in read()[at:])
        assert read().rindex("\x1b[?25h") > read().rindex("\x1b[?25l")


def test_in_the_background_it_draws_nothing(user, simulator):
    ref = simulator.add("believe", seconds=8)
    with shell(user) as (write, read, _):
        write(f"unset COLUMNS LINES; {' '.join(COMMAND)} watch {ref}\n")
        until(lambda: "PENDING" in read())
        write("\x1a")
        until(lambda: "Stopped" in read())
        at = len(read())
        write("bg; wait; echo it is over\n")
        until(lambda: "it is over\r\n" in read()[at:].replace("echo it is over", ""))
        after = read()[at:]
        assert (after.count("BATCH"), after.count("1 of 1 ended")) == (1, 1), "but its end"


def test_another_size_is_drawn_at_once(user, simulator):
    refs = [simulator.add("believe", status="FINALIZED"), simulator.add("gameball", status="processing")]
    with shell(user, columns=100) as (write, read, resize):
        write(f"unset COLUMNS LINES; {' '.join(COMMAND)} watch {' '.join(map(str, refs))}\n")
        until(lambda: "0 of 2 ended" in read() and "RUNNING" in read())
        at = len(read())
        resize(50)
        until(lambda: "0 of 2 ended" in read()[at:])
        lines = CONTROLS.sub("", read()[at:]).replace("\r\n", "\n").splitlines()
        assert str(refs[0]) in lines, "a line of its own"
        assert max(map(len, lines)) <= 50


def test_a_terminal_that_cannot_move_gets_a_table_at_the_end(user, simulator):
    drawn, code = terminal(user | {"TERM": "dumb"}, "watch", simulator.add("gameball", seconds=0))
    assert (code, drawn.count("BATCH"), "\x1b" in drawn) == (0, 1, False)


def test_a_terminal_that_goes_away_ends_it(user, simulator):
    command = [*COMMAND, "watch", str(simulator.add("believe", status="FINALIZED"))]
    child, master = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 2)
        os.execve(sys.executable, command, user)
    assert _has_drawn(master)
    os.close(master)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in {74, 141}


def _has_drawn(master):
    text, end = b"", time.monotonic() + LONG
    while b"ended" not in text and time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            text += os.read(master, 65536)
    return b"ended" in text


@pytest.mark.parametrize("command", ["watch", "wait", "events --follow"])
def test_it_ends_once_the_reader_of_stdout_has_left(user, simulator, command):
    """Though nothing more is to be written."""
    ref = simulator.add("believe", status="FINALIZED")
    subprocess.run([*COMMAND, "track", "add", str(ref)], env=user, check=True, capture_output=True)
    arguments = [*command.split(), *([] if "events" in command else [str(ref)])]
    with subprocess.Popen([*COMMAND, *arguments], env=user, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            if command == "watch":
                assert process.stdout.readline()
            process.stdout.close()
            assert process.wait(LONG) == 141
            assert b"Traceback" not in process.stderr.read()
        finally:
            process.kill()
