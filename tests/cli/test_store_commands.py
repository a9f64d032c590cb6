"""The commands on the store, through their processes; and settings."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from batchstatus import Batch, BatchRef, BatchState, Believe
from batchstatus.service.store import Store
from batchstatus.testing.simulator import Quirk
from batchstatus.testing.simulator.believe import BELIEVE_KEY
from commandline import COMMAND, config, lines, run, terminal
from receivers import receiver
from waiting import HANG, LONG, until


@pytest.fixture
def store(user):
    """The store of the user, as another process sees it."""
    with Store(default(user)) as store:
        yield store


def default(user):
    return f"{user['HOME']}/.local/state/batchstatus/store.sqlite3"


@contextmanager
def running(user, *arguments):
    """A process of the command, ended at last."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=user,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(LONG)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def posted(came):
    """Return the keys and bodies of deliveries."""
    return [(headers["Idempotency-Key"], json.loads(body)) for _, headers, body in came]


# track


def test_added_refs_are_listed_until_removed(user):
    """What is added is listed until it is removed."""
    assert lines(run(user, "track", "add", "believe:1", "gameball:2", "believe:1", "--label", "team=a"))[0] == {
        "schema": 1,
        "added": 2,
        "known": 0,
    }
    added = run(user, "track", "add", "gameball:2", "gameball:3", "--label", "team=b", "--label", "run=7")
    assert lines(added)[0] == {"schema": 1, "added": 1, "known": 1}
    assert "batchstatus run" in added.stderr
    listed = lines(run(user, "track", "list"))
    assert [(line["schema"], line["ref"], line["labels"], line["state"]) for line in listed] == [
        (1, "believe:1", {"team": "a"}, None),
        (1, "gameball:2", {"team": "b", "run": "7"}, None),
        (1, "gameball:3", {"team": "b", "run": "7"}, None),
    ]
    assert run(user, "track", "list", "--label", "team=b", "-o", "id").stdout == "gameball:2\ngameball:3\n"
    removed = lines(run(user, "track", "rm", "--label", "team=b"))[0]
    assert removed == {"schema": 1, "removed": 2, "unknown": [], "dropped": 0}
    gone = run(user, "track", "rm", "believe:1", "gameball:2")
    assert (gone.returncode, lines(gone)[0]["unknown"]) == (3, ["gameball:2"])
    assert "gameball:2 is not tracked" in gone.stderr
    assert run(user, "track", "list").stdout == ""


@pytest.mark.parametrize("how", [["-"], ["--from-file", "-"], ["--from-file", "{file}"]])
def test_refs_come_from_a_file_with_comments(user, tmp_path, how):
    text = "# of today\nbelieve:1 believe:2\n\n  gameball:3\n"
    (tmp_path / "refs.txt").write_text(text)
    said = run(user, "track", "add", *[word.format(file=tmp_path / "refs.txt") for word in how], "-o", "id", stdin=text)
    assert said.stdout.split() == ["believe:1", "believe:2", "gameball:3"]
    assert len(lines(run(user, "track", "list"))) == 3


def test_a_wrong_line_in_a_file_adds_nothing(user):
    """A file with a wrong line adds nothing and the line is named."""
    said = run(user, "track", "add", "believe:1", "--from-file", "-", stdin="believe:2\nnonsense\n")
    assert said.returncode == 2
    assert "stdin, line 2: a ref is written vendor:id" in said.stderr
    assert "there is no store" in run(user, "track", "list").stderr


def test_a_hundred_thousand_refs_can_be_added(user):
    """A hundred thousand refs are added and listed."""
    text = "".join(f"gameball:{number}\n" for number in range(100_000))
    assert lines(run(user, "track", "add", "-", stdin=text))[0]["added"] == 100_000
    assert run(user, "track", "list", "-o", "id").stdout == text


def test_a_long_table_has_the_same_columns(user, simulator, store):
    """Above 1,000 rows, which are plain lines, nothing is cut."""
    long = "x" * 200
    ref = simulator.add("believe", status="EXECUTED")
    store.track([ref], labels={"team": "a"})
    run(user, "run", "--once")
    store.track([f"believe:{long}", *(f"gameball:{number}" for number in range(998))], labels={"team": "a"})
    tables = [run(user, "track", "list", "-o", "table").stdout.splitlines()]
    store.track(["gameball:998"])
    tables.append(run(user, "track", "list", "-o", "table").stdout.splitlines())
    drawn, plain = ([line.replace("━", "").split() for line in lines] for lines in tables)
    assert [len(drawn), len(plain)] == [1 + 1_000, 1 + 1_001]
    assert [drawn[0], drawn[1], drawn[3]] == [plain[0], plain[1], plain[3]]
    assert plain[1][:3] == [str(ref), "SUCCEEDED", "EXECUTED"]
    assert plain[2][0] == f"believe:{long}"
    starts = [tables[1][0].index(head) for head in ("BATCH", "STATE", "VENDOR'S WORD")]
    assert [tables[1][1].index(word) for word in plain[1][:3]] == starts


def test_rm_ended_removes_ended_batches_only(user, simulator):
    """Only what has ended is removed with ended."""
    ended, open_ = simulator.add("believe", status="EXECUTED"), simulator.add("believe", status="FINALIZED")
    run(user, "track", "add", ended, open_)
    run(user, "run", "--once")
    assert run(user, "track", "list", "--open", "-o", "id").stdout == f"{open_}\n"
    assert run(user, "track", "rm", "--ended", "-o", "id").stdout == f"{ended}\n"
    assert run(user, "track", "list", "-o", "id").stdout == f"{open_}\n"
    assert run(user, "history", ended).returncode == 0, "history stays"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["track", "add"], "no refs: give vendor:id"),
        (["track", "add", "other:1"], "no vendor 'other'; there are believe, gameball"),
        (["track", "add", "believe:1", "--label", "spring"], "is not a label; use campaign=spring"),
        (["track", "add", "--from-file", "missing.txt"], "missing.txt cannot be read: No such file"),
        (["track", "add", "believe:1", "--label", "a=\x1b[31m"], "is not a label"),
        (["track", "list", "--store", "~nosuch/x"], "--store: "),
        (["track", "rm"], "give refs, --label K=V, --ended or --from-file F"),
        (["track", "lst"], "No such command 'lst'"),
        (["track", "list"], "batchstatus track add REF makes it"),
        (["history", "believe:1"], "there is no store"),
        (["history", "-"], "no refs"),
        (["events", "--since", "yesterday"], "use an age (90s, 2h, 1d) or a time (2026-01-31T12:00)"),
        (["watch", "--all"], "there is no store"),
        (["watch", "--all", "believe:1"], "give refs or --all, not both"),
        (["run", "--deliver", "ftp://127.0.0.1/x"], "https://host/path"),
    ],
)
def test_wrong_usage_exits_with_2(user, arguments, says):
    """Wrong usage ends with 2 and says what would be right."""
    said = run(user, *arguments)
    assert (said.returncode, said.stdout) == (2, "")
    assert says in said.stderr
    assert "Traceback" not in said.stderr


# run, history, events


def test_run_prints_changes_until_a_signal(user, simulator, store):
    """Run prints each change until a signal and goes on later."""
    refs = [simulator.add("believe", seconds=1.5), simulator.add("gameball", status="processing", seconds=600)]
    store.track(refs)
    with running(user, "run", "--deliver", "-") as service:
        until(lambda: [(each.ended, each.sequence > 0) for each in store.tracked()] == [(True, True), (False, True)])
        until(lambda: not store.summary()["undelivered"])
        service.send_signal(signal.SIGTERM)
        out, said = service.communicate(timeout=20)
    assert service.returncode == 0
    assert "stopped; 1 batch open; the same command goes on" in said
    told = [json.loads(line) for line in out.splitlines()]
    assert [change["id"] for change in told if change["kind"] == "ended"] == [told_id(store, refs[0])]
    assert Counter(change["id"] for change in told) == Counter(change.id for change in store.changes())
    assert {change["schema"] for change in told} == {1}


def told_id(store, ref):
    return store.history(ref)[-1].id


def test_changes_are_posted_until_they_arrive(user, simulator, store):
    """Changes go to a url with their ids and again until they arrive."""
    ref = simulator.add("believe", status="EXECUTED")
    store.track([ref])
    with (
        receiver(lambda came: (503 if len(came) == 1 else 204, {})) as (url, came),
        running(user, "run", "--deliver", url) as service,
    ):
        until(lambda: len(came) == 2)
        until(lambda: not store.summary()["undelivered"])
        service.send_signal(signal.SIGINT)
        out, said = service.communicate(timeout=20)
    assert (service.returncode, out) == (130, "")
    (change,) = store.changes()
    posts = posted(came)
    assert [key for key, _ in posts] == [post["id"] for _, post in posts] == [change.id] * 2
    assert posts[1][1]["batch"]["state"] == "succeeded"
    assert f"{ref} #1 is not delivered, and will be tried again: DeliveryFailed: HTTP 503" in said
    assert "test-planted-path" not in said


def test_each_destination_gets_every_change(user, simulator, store):
    """Two of one service; a second service without any, to look, takes nothing away from them."""
    with (
        receiver() as (first, one),
        receiver(lambda came: (503 if len(came) < 4 else 204, {})) as (second, other),
        running(user, "run", "--deliver", first, "--deliver", second) as service,
        running(user, "run") as looking,
    ):
        until(lambda: len(store.destinations()) == 2)
        store.track([simulator.add("believe", seconds=1 + number / 4) for number in range(8)])
        until(lambda: not store.tracked(open_only=True) and not store.summary()["undelivered"])
        for process in (service, looking):
            process.send_signal(signal.SIGTERM)
        out, said = looking.communicate(timeout=20)
        service.communicate(timeout=20)
    changes = {change.id for change in store.changes()}
    assert {post["id"] for _, post in posted(one)} == {post["id"] for _, post in posted(other)} == changes
    assert out == ""
    assert "batchstatus events --follow" in said
    listed = lines(run(user, "deliveries", "list"))
    assert [(line["waiting"], line["failed"]) for line in listed] == [(0, 0)] * 2
    assert "planted" not in str(listed)


def test_a_destination_that_nobody_serves_is_told_of(user, simulator, store):
    """It keeps what is stored from its first run on, until it is dropped."""
    old, new = (simulator.add("believe", status="EXECUTED") for _ in range(2))
    store.track([old])
    run(user, "run", "--once")
    store.serve("gone")
    store.track([new])
    run(user, "run", "--once")
    assert [change.ref for change in store.undelivered("gone")] == [new]
    assert "wait" not in run(user, "run", "--once").stderr
    with store._work.transaction() as connection:
        connection.execute("UPDATE destinations SET served_at = served_at - 1000")
    assert "1 change for the destination gone wait" in run(user, "run", "--once").stderr
    assert "1 to deliver" in run(user, "deliveries", "list", "-o", "table").stdout
    assert run(user, "deliveries", "list", "-o", "id").stdout == "gone\n"
    assert "1 change had not arrived" in run(user, "deliveries", "drop", "gone").stderr
    assert store.destinations() == []
    again = run(user, "deliveries", "drop", "gone")
    assert (again.returncode, "no destination 'gone'" in again.stderr) == (2, True)


def test_a_damaged_store_does_not_stop_the_service(user, simulator, store):
    """Rows that cannot be decoded are left out; the others are read and delivered."""
    damaged, good = (simulator.add("believe", status="EXECUTED") for _ in range(2))
    store.track([damaged, good])
    with store._work.transaction() as connection:
        connection.execute("UPDATE refs SET ref = 'nonsense' WHERE ref = ?", [str(damaged)])
    with running(user, "run") as service:
        until(lambda: store.history(good))
        service.send_signal(signal.SIGTERM)
        _, said = service.communicate(timeout=20)
    assert service.returncode == 0
    assert said.count("a row of the store is damaged") == 1


@pytest.mark.parametrize("how", ["replaced", "newer"])
def test_another_file_ends_the_service(user, simulator, store, tmp_path, how):
    """One that was laid over it, or tables of a newer program."""
    store.track([simulator.add("believe", seconds=600)])
    with running(user, "run") as service:
        until(lambda: store.tracked()[0].read_at)
        if how == "replaced":
            with (
                contextlib.closing(sqlite3.connect(store.path)) as source,
                contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy,
            ):
                source.backup(copy)
            (tmp_path / "copy").rename(store.path)
        else:
            with contextlib.closing(sqlite3.connect(store.path)) as connection:
                connection.execute("PRAGMA user_version = 99")
        _, said = service.communicate(timeout=20)
    assert service.returncode == 2
    assert ("was replaced by another file" if how == "replaced" else "written by a newer batchstatus") in said
    assert "Traceback" not in said


def test_run_once_reads_delivers_and_ends(user, simulator, store):
    refs = [simulator.add("believe", status="EXECUTED"), simulator.add("gameball", status="processing", seconds=600)]
    store.track(refs)
    assert sorted(line["ref"] for line in lines(run(user, "run", "--once"))) == sorted(map(str, refs))
    assert [line["ref"] for line in lines(run(user, "run", "--once"))] in ([], [str(refs[1])])


def test_run_once_tries_what_was_put_off_too(user, simulator, store):
    store.track([simulator.add("believe", status="EXECUTED")])
    with receiver(lambda came: (500 if len(came) == 1 else 204, {})) as (url, came):
        assert run(user, "run", "--once", "--deliver", url).returncode == 5
        assert run(user, "run", "--once", "--deliver", url).returncode == 0
    assert len(came) == 2


def test_a_killed_pass_keeps_what_it_has_read(user, simulator, store):
    """Readings are stored as they come: 60 at Believe take seven seconds."""
    store.track([simulator.add("believe", status="EXECUTED") for _ in range(60)])
    with running(user, "run", "--once") as service:
        until(lambda: store.summary()["changes"] >= 5)
        service.kill()
    assert 5 <= store.summary()["changes"] < 60
    assert len(store.tracked(open_only=True)) == 60 - store.summary()["changes"]


def test_a_failing_batch_holds_up_no_delivery(user, simulator, store):
    """One that answers 500, again and again, is left to the next pass."""
    good = simulator.add("gameball", status="completed")
    bad = simulator.add("gameball", status="completed", quirks=[Quirk.OUTAGE])
    store.track([bad, good])
    with receiver() as (url, came), running(user, "run", "--once", "--deliver", url) as service:
        until(lambda: came)
        assert service.poll() is None, "the failing one is still tried"
        _, said = service.communicate(timeout=LONG)
    assert service.returncode == 5
    assert [post["ref"] for _, post in posted(came)] == [str(good)]
    assert f"{bad}: HTTP 503" in said


def test_a_pass_keeps_its_time(user, simulator, store):
    """A receiver that does not answer holds it up no longer than the timeout."""
    store.track([simulator.add("gameball", status="completed") for _ in range(30)])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        started = time.monotonic()
        said = run(user, "run", "--once", "--deliver", url, "--timeout", "12s")
        assert time.monotonic() - started < 12 + HANG + HANG
    assert said.returncode == 5
    assert "30 changes could not be delivered" in said.stderr


def test_a_batch_without_a_key_exits_with_4(user, simulator, store):
    """A batch of an account without a key is told by the code."""
    ref = simulator.add("believe", status="EXECUTED")
    store.track([ref, "believe/acme:1"])
    once = run(user, "run", "--once")
    assert (once.returncode, len(lines(once))) == (4, 1)
    assert "believe/acme:1: which account? Refs at believe are written believe:..." in once.stderr
    assert run(user, "status", "believe/acme:1").returncode == 4
    store.track(["believe:2"])
    watched = run(user, "watch", "--all")
    assert watched.returncode == 4
    assert "believe/acme:1: which account?" in watched.stderr
    assert "believe:2: HTTP 404" in watched.stderr, "the others are watched all the same"


def test_a_refusal_is_told_again_by_each_service(user, simulator, store):
    store.track([simulator.add("believe", status="EXECUTED")])
    with receiver(lambda _: (404, {})) as (url, came):
        for times in (1, 2):
            with running(user, "run", "--deliver", url) as service:
                until(lambda times=times: len(came) >= times)
                time.sleep(0.3)
                service.send_signal(signal.SIGINT)
                said = service.communicate(timeout=20)[1]
            assert "is not delivered, and will be tried again: DeliveryFailed: HTTP 404" in said
            assert "stopped; 0 batches open, 1 change to deliver" in said


def test_run_once_exits_by_the_rest(user, simulator, store):
    """Run once tells by its code what is left undone."""
    store.track([simulator.add("believe", status="EXECUTED")])
    with receiver(lambda _: (500, {})) as (url, _):
        late = run(user, "run", "--once", "--deliver", url)
    assert late.returncode == 5
    assert "1 change could not be delivered" in late.stderr
    store.track(["gameball:1"])
    gone = run(user | {"GAMEBALL_BASE_URL": "http://127.0.0.1:1"}, "run", "--once", "--timeout", "3s")
    assert gone.returncode == 5
    assert "gameball:1: cannot connect" in gone.stderr
    assert "cannot connect" in gone.stderr
    no_key = {name: value for name, value in user.items() if not name.startswith("GAMEBALL")}
    missing = run(no_key, "run", "--once")
    assert missing.returncode == 4
    assert "set GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY" in missing.stderr
    store.track([simulator.add("believe", status="EXECUTED")])
    refused = run(user | {"BELIEVE_API_KEY": "test-another-key"}, "run", "--once")
    assert refused.returncode == 4


def test_an_unknown_batch_is_lost_by_and_by(user, store):
    """Three looks over ten minutes, here by a change of the store's times, and it is lost; a command retries it."""
    store.track(["believe:missing"])
    for _ in range(2):
        said = run(user, "run", "--once")
        assert (said.returncode, said.stdout) == (3, "")
    (found,) = lines(run(user, "track", "list"))
    assert (found["ended"], "HTTP 404" in found["error"]) == (False, True)
    with contextlib.closing(sqlite3.connect(default(user))) as connection, connection:
        connection.execute("UPDATE refs SET refused_for = 600")
    (change,) = lines(run(user, "run", "--once"))
    assert (change["kind"], change["batch"], "HTTP 404" in change["error"]) == ("lost", None, True)
    assert re.search(r"LOST +HTTP 404", run(user, "history", "believe:missing", "-o", "table").stdout)
    assert re.search(r"LOST .*HTTP 404", run(user, "track", "list", "-o", "table").stdout)
    assert lines(run(user, "track", "retry"))[0]["retried"] == 1
    said = run(user, "track", "retry", "believe:other")
    assert said.returncode == 3
    assert "is not lost" in said.stderr


def test_two_services_share_the_work(user, simulator, store):
    """Two services share the work and tell nothing twice."""
    refs = [simulator.add("believe", seconds=1 + number / 4) for number in range(12)]
    store.track(refs)
    with running(user, "run", "--deliver", "-") as one, running(user, "run", "--deliver", "-") as other:
        until(lambda: not store.tracked(open_only=True) and not store.summary()["undelivered"])
        for service in (one, other):
            service.send_signal(signal.SIGINT)
        said = [service.communicate(timeout=20)[0].splitlines() for service in (one, other)]
    told = [[json.loads(line)["id"] for line in lines] for lines in said]
    assert all(told), "each had some"
    assert sorted(told[0] + told[1]) == sorted(change.id for change in store.changes())


def test_the_reader_of_a_service_may_leave(user, simulator, store):
    store.track([simulator.add("believe", status="EXECUTED") for _ in range(3)])
    command = f"{' '.join(COMMAND)} run --deliver - | head -n 1"
    said = subprocess.run(command, shell=True, env=user, capture_output=True, text=True, timeout=60, check=False)
    assert len(said.stdout.splitlines()) == 1
    assert "Traceback" not in said.stderr


def test_a_service_survives_a_closed_stderr(user, simulator, store):
    """A service goes on where nobody listens to its messages."""
    ref = simulator.add("believe", seconds=2)
    store.track([ref])
    with running(user, "run", "-vv") as service:
        service.stderr.readline()
        service.stderr.close()
        until(lambda: not store.tracked(open_only=True))
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0


def test_history_shows_how_long_batches_took(user, store):
    """As bars on a terminal and as JSON; nothing before a batch has ended."""
    assert "no batch was seen to end yet" in run(user, "history", "--durations").stderr
    began = datetime.now(UTC) - timedelta(days=1)
    common = {"ref": BatchRef("believe", "1"), "raw": None, "payload": None, "created_at": began}
    store.track(["believe:1"], {"kind": "mint"})
    for seconds, state in ((100, BatchState.RUNNING), (101, BatchState.SUCCEEDED)):
        read_at = began + timedelta(seconds=seconds)
        store.record(Batch(state=state, vendor_status=state.value, read_at=read_at, **common))
    (found,) = json.loads(run(user, "history", "--durations", "-o", "json").stdout)["durations"]
    assert (found["account_ref"], found["kind"], found["batches"], found["median"]) == ("believe", "mint", 1, None)
    assert [each["share"] for each in found["shares"]] == [1.0]
    shown = run(user, "history", "--durations", "-o", "table").stdout
    assert shown.startswith("believe, kind mint: 1 batch\n")
    assert re.search(r"up to 2 min +100\.0% +█{40}\n", shown)


@pytest.mark.parametrize("arguments", [["believe:1", "--durations"], []], ids=["both", "neither"])
def test_history_takes_a_ref_or_durations(user, arguments):
    assert run(user, "history", *arguments).returncode == 2


def test_history_has_the_changes_of_one_batch(user, simulator, store):
    ref = simulator.add("gameball", status="completed", total=200, failed=2)
    store.track([ref])
    unread = run(user, "history", ref)
    assert (unread.returncode, unread.stdout) == (0, "")
    assert "was not read yet" in unread.stderr
    run(user, "run", "--once")
    assert [line["sequence"] for line in lines(run(user, "history", ref))] == [1]
    assert lines(run(user, "history", ref, "-o", "json"))[0]["changes"][0]["kind"] == "ended"
    assert run(user, "history", ref, "-o", "table").stdout.split()[1:] == [
        str(ref),
        "SUCCEEDED",
        "200/200",
        "2",
        "failed:",
        "refused",
    ]
    unknown = run(user, "history", "believe:9")
    assert (unknown.returncode, unknown.stdout) == (3, "")
    assert "batchstatus track add believe:9" in unknown.stderr


def test_events_follow_goes_on(user, simulator, store):
    """Events are all changes and follow goes on."""
    refs = [simulator.add("believe", status="EXECUTED") for _ in range(2)]
    store.track(refs[:1])
    run(user, "run", "--once")
    with running(user, "events", "--follow", "-o", "id") as following:
        following.stdout.readline()
        store.track(refs[1:])
        run(user, "run", "--once")
        first, second = (change.id for change in store.changes())
        assert following.stdout.readline() == f"{second}\n"
        following.send_signal(signal.SIGINT)
        _, said = following.communicate(timeout=20)
    assert following.returncode == 130
    again = [f"batchstatus events --follow -o id --after {after}" in said for after in (first, second)]
    assert any(again), "an id may be told again, where the signal comes while it is told"
    assert run(user, "events", "-o", "id").stdout.split() == [first, second]
    assert run(user, "events", "-o", "id", "--after", first).stdout.split() == [second]
    assert run(user, "events", "--after", "0123").returncode == 2


def test_resuming_names_the_refs_from_stdin(user, simulator):
    """What to type to go on names the refs that came from stdin."""
    refs = [simulator.add("believe", status="FINALIZED"), simulator.add("believe", status="EXECUTED")]
    with running(user, "wait", "-", "--timeout", "1h") as waiting:
        waiting.stdin.write("\n".join(map(str, refs)))
        waiting.stdin.close()
        waiting.stdout.readline()
        time.sleep(0.3)
        waiting.send_signal(signal.SIGINT)
        said = waiting.stderr.read()
    assert f"batchstatus wait --timeout 1h {refs[0]}\n" in said


def test_resuming_repeats_the_command(user, simulator, store, tmp_path):
    """What to type to go on has all that was typed."""
    run(user, "track", "add", simulator.add("believe", status="FINALIZED"), "--store", tmp_path / "my store.sqlite3")
    with running(user, "watch", "--all", "--store", tmp_path / "my store.sqlite3") as watching:
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        said = watching.communicate(timeout=20)[1]
    assert f"batchstatus watch --all --store '{tmp_path}/my store.sqlite3'" in said


def test_events_since_a_time_or_a_span_ago(user, simulator, store):
    ref = simulator.add("believe", status="EXECUTED")
    store.track([ref])
    run(user, "run", "--once")
    now, hour = datetime.now(UTC), timedelta(hours=1)
    for since in ("1h", "2000-01-01", (now - hour).isoformat(), (now - hour).astimezone().strftime("%Y-%m-%dT%H:%M")):
        assert run(user, "events", "--since", since, "-o", "id").stdout == f"{store.changes()[0].id}\n", since
    assert run(user, "events", "--since", (now + hour).isoformat()).stdout == ""


def test_a_store_is_backed_up_restored_checked_and_pruned(user, simulator, store, tmp_path):
    store.track([simulator.add("believe", status="EXECUTED")])
    run(user, "run", "--once")
    assert run(user, "store", "backup", tmp_path / "backup").returncode == 0
    assert run(user, "store", "backup", tmp_path / "backup").returncode == 2
    assert lines(run(user, "store", "check"))[0]["integrity_check"] == "ok"
    assert "integrity_check    ok" in run(user, "store", "check", "-o", "table").stdout
    time.sleep(0.1)
    assert "0 changes deleted" in run(user, "store", "prune").stderr
    assert "1 change deleted" in run(user, "store", "prune", "--keep", "0s").stderr
    assert lines(run(user, "events")) == []
    store.track([simulator.add("believe", seconds=600)])
    with running(user, "run", "--keep", "1h") as service:
        until(lambda: store.tracked(open_only=True)[0].read_at)
        assert run(user, "store", "restore", tmp_path / "backup").returncode == 0
        _, said = service.communicate(timeout=20)
    assert (service.returncode, "was replaced by another file" in said) == (2, True)
    assert [line["kind"] for line in lines(run(user, "events"))] == ["ended"]
    assert run(user, "store", "restore", "missing").returncode == 2


def test_commands_share_the_pace_of_a_named_store(user, simulator, store):
    """A service elsewhere has used it up for the next 50 seconds: `status` waits for a slot, unless it names none."""
    ref = simulator.add("believe", status="EXECUTED")
    account = Believe(BELIEVE_KEY, base_url=simulator.url)
    pace = store.pace(account.pace_name(store.salt), account.rate_limit)
    now = time.monotonic()
    while pace.reserve(now, now + 50.0) is not None:
        pass
    command = ["status", ref, "--timeout", "1s"]
    assert run(user, *command).returncode == 0
    for said in (
        run(user, *command, "--store", store.path),
        run(user | {"BATCHSTATUS_STORE": str(store.path)}, *command),
    ):
        assert (said.returncode, "the pace of its account has no slot left" in said.stderr) == (5, True)


READ_ONLY = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"']
"""Runs a command for which a folder is on a disk that cannot be written."""


def can_mount(folder):
    try:
        return subprocess.run([*READ_ONLY, folder, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("is_in_use", [False, True])
def test_a_store_that_cannot_be_written_can_be_read(user, simulator, store, is_in_use):
    """With a service on it elsewhere, or as a mere copy."""
    ref, folder = simulator.add("believe", status="EXECUTED"), store.path.parent
    if not can_mount(folder):
        pytest.skip("this user cannot mount a folder")
    store.track([ref])
    run(user, "run", "--once")
    if not is_in_use:
        store.close()
        assert [path.name for path in folder.iterdir()] == [store.path.name]

    def look(*words):
        command = [*READ_ONLY, folder, *COMMAND, *map(str, words)]
        return subprocess.run(command, env=user, capture_output=True, text=True, timeout=60, check=False)

    for words in (["events"], ["history", ref], ["track", "list"], ["doctor", "--offline"]):
        said = look(*words)
        assert (said.returncode, said.stderr) == (0, "")
        assert (str(ref) if words[0] != "doctor" else "1 changes") in said.stdout
    refused = look("track", "add", "believe:1")
    assert (refused.returncode, "cannot be opened" in refused.stderr) == (2, True)


# watch --all, doctor


def test_watch_all_stores_the_changes(user, simulator, store):
    """Watch all shows what is tracked and stores what it sees."""
    ref = simulator.add("believe", seconds=2)
    store.track([ref])
    said = run(user, "watch", "--all")
    assert (said.returncode, lines(said)[-1]["state"]) == (0, "succeeded")
    assert [change.batch["state"] for change in store.history(ref)] == [line["state"] for line in lines(said)]
    nothing = run(user, "watch", "--all")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "no tracked batch is open" in nothing.stderr


def test_doctor_looks_at_the_store_and_makes_none(user, simulator):
    def checked():
        said = run(user, "doctor", "--offline")
        return said.returncode, next(line for line in lines(said) if line["check"] == "store")

    code, found = checked()
    assert (code, found["ok"]) == (0, True)
    assert found["detail"].endswith("(not there)")
    run(user, "track", "add", "believe:1", "believe:2")
    code, found = checked()
    assert (code, "2 batches, 2 of them open" in found["detail"]) == (0, True)
    Path(default(user)).write_bytes(b"damaged beyond repair")
    code, found = checked()
    assert (code, found["ok"]) == (2, False)


def test_a_broken_store_is_one_line(user, tmp_path):
    """A store that cannot be used is told in one line."""
    other = tmp_path / "other.sqlite3"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    for path in (other, "/proc/batchstatus.sqlite3"):
        said = run(user, "track", "add", "believe:1", "--store", path)
        assert said.returncode == 2
        assert len(said.stderr.splitlines()) == 1
        assert str(path) in said.stderr


# Settings


def test_the_order_of_settings(user, tmp_path):
    """Settings come from the command line then the environment then the file."""
    config(user["HOME"], f'output = "id"\nstore = "{tmp_path}/file.sqlite3"\n')
    assert run(user, "track", "add", "believe:1").stdout == "believe:1\n"
    named = user | {"BATCHSTATUS_STORE": f"{tmp_path}/named.sqlite3"}
    assert run(named, "track", "add", "believe:2").stdout == "believe:2\n"
    assert run(named, "track", "list", "--store", tmp_path / "file.sqlite3").stdout == "believe:1\n"
    assert run(named, "--store", tmp_path / "file.sqlite3", "track", "list").stdout == "believe:1\n"
    assert run(named, "track", "list").stdout == "believe:2\n"
    assert lines(run(named, "track", "list", "-o", "json"))[0]["tracked"][0]["ref"] == "believe:2"
    assert lines(run(named | {"BATCHSTATUS_OUTPUT": "json"}, "track", "list"))[0]["tracked"][0]["ref"] == "believe:2"


def test_options_come_from_file_and_environment(user, simulator):
    """Options of a command come from the file and the environment."""
    config(user["HOME"], '[wait]\nfor = "succeeded"\ntimeout = 0\n[track.list]\nopen = true\n')
    ref = simulator.add("believe", status="FINALIZED")
    assert run(user, "wait", ref).returncode == 8
    assert run(user | {"BATCHSTATUS_TRACK_ADD_LABEL": "a=1 b=2"}, "track", "add", "believe:1").returncode == 0
    assert lines(run(user, "track", "list"))[0]["labels"] == {"a": "1", "b": "2"}
    assert run(user, "wait", simulator.add("believe", status="FAILED")).returncode == 1
    assert run(user | {"BATCHSTATUS_WAIT_FOR": "requires_action"}, "wait", ref).returncode == 0
    assert run(user, "wait", ref, "--for", "requires_action").returncode == 0


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ('colour = "red"', 0o600, "no setting colour; there are account, output, store"),
        ('output = "xml"', 0o600, "output is one of auto, table"),
        ("wait = 3", 0o600, "a table"),
        ("[track]\nadd = 3", 0o600, "a table"),
        ("[track.lst]\nopen = true", 0o600, "track has no lst; did you mean list?"),
        ("[track.nonsense]\nopen = true", 0o600, "track has no nonsense; there are add, list, retry, rm"),
        ("[track.add]\nlabel = [1]", 0o600, "is not a label; use campaign=spring"),
        (
            "[wait]\nuntil = 3",
            0o600,
            "wait has no option until; there are any, fail_fast, fields, for, max_body, results, timeout, where",
        ),
        ('[wait]\ntimeout = "soon"', 0o600, "is not a duration; use 90s"),
        ('[wait]\ntimeout = "soon"', 0o600, "that is set in /"),
        ("[poll]\nfloor = 0", 0o600, "poll: floor must be a positive number of seconds"),
        ('[poll]\nceiling = "soon"', 0o600, "is not a duration; use 90s"),
        ('[retry]\nmax_body = "big"', 0o600, "is not a size; use 1048576, 64M or 1G"),
        ("[poll]\ngive_up = 3", 0o600, "poll is a table of ceiling, floor, in_flight, not_found_grace"),
        ("retry = 3", 0o600, "retry is a table of attempt_timeout, attempts"),
        ('[run]\ndeliver = "https://example.com/hook"', 0o644, "chmod 600"),
    ],
)
def test_settings_that_cannot_work_are_refused(user, text, mode, says):
    config(user["HOME"], text, mode)
    said = run(user, *(["track", "add"] if "track" in text else ["wait"]), "believe:1")
    assert (said.returncode, says in said.stderr) == (2, True), said.stderr
    assert run(user, "wait", "--help").returncode == 0


# On a terminal


@pytest.mark.parametrize("arguments", [["track", "list"], ["history", "{ref}"], ["events"], ["doctor", "--offline"]])
def test_what_the_store_has_is_shown_to_a_person(user, simulator, store, arguments):
    """Of a batch that has ended, and of one that has not."""
    ref = simulator.add("gameball", status="completed", total=200, failed=2)
    open_ref = simulator.add("gameball", status="processing", seconds=600)
    store.track([ref, open_ref], {"campaign": "spring"})
    run(user, "run", "--once")
    drawn, code = terminal(user, *[word.format(ref=open_ref) for word in arguments])
    assert (code, "error" in drawn) == (0, False)
    drawn, code = terminal(user, *[word.format(ref=ref) for word in arguments])
    assert code == 0
    assert "{" not in drawn, "no JSON"
    assert "1 batches" not in drawn
    assert any(word in drawn for word in ("SUCCEEDED", "ok  "))


def test_a_terminal_shows_added_and_removed(user):
    """A terminal is told what was added and removed."""
    drawn, code = terminal(user, "track", "add", "believe:1", "believe:2")
    assert (code, drawn) == (0, "batchstatus: 2 batches added; batchstatus run follows them\r\n")
    drawn, code = terminal(user, "track", "rm", "believe:1")
    assert (code, drawn) == (0, "batchstatus: 1 batch removed\r\n")


def test_run_on_a_terminal_prints_lines(user, simulator, store):
    """A service on a terminal shows changes as lines and ctrl c ends it."""
    store.track([simulator.add("believe", status="FINALIZED")])
    drawn, code = terminal(user, "run", until=b"needs approval", key=b"\x03")
    assert code == 130
    assert "REQUIRES_ACTION" in drawn
    assert "stopped; 1 batch open" in drawn
    assert "Traceback" not in drawn


def test_watch_all_on_a_terminal_is_live(user, simulator, store):
    """Watch all on a terminal is the moving table."""
    store.track([simulator.add("believe", status="FINALIZED")])
    drawn, code = terminal(user, "watch", "--all", until=b"REQUIRES_ACTION", key=b"\x03")
    assert code == 130
    assert "0 of 1 ended" in drawn
    assert "batchstatus watch --all" in drawn


def test_no_key_is_in_the_store(user, simulator, store, tmp_path):
    store.track([simulator.add("believe", status="EXECUTED")])
    run(user, "run", "--once")
    for file in tmp_path.rglob("*sqlite3*"):
        assert BELIEVE_KEY.encode() not in file.read_bytes()


def test_a_locked_store_exits_with_74(user, store):
    """It is the system that refuses, not the user who is wrong."""
    store.track(["gameball:1"])
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = run(user, "track", "add", "gameball:2")
    assert said.returncode == 74
    assert "cannot be used just now: database is locked" in said.stderr
    assert [str(found.ref) for found in store.tracked()] == ["gameball:1"]
