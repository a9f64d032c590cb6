"""Deliveries by the command line, through its process: signed, listed, retried, dropped, replayed, checked."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
from pathlib import Path

import pytest
import standardwebhooks
from batchstatus.service.store import Store
from batchstatus.webhooks import new_secret, verify
from commandline import COMMAND, config, lines, run, terminal
from raw_server import serving
from receivers import receiver
from waiting import LONG, until

DAY = 86_400


@pytest.fixture
def path(user):
    return Path(user["HOME"]) / ".local/state/batchstatus/store.sqlite3"


@pytest.fixture
def store(path):
    with Store(path) as store:
        yield store


@pytest.fixture
def secret(tmp_path):
    """A secret; its file and that of a header are beside it."""
    found = new_secret()
    (tmp_path / "secret").write_text(f"{found}\n")
    (tmp_path / "headers").write_text("Authorization: Bearer test-planted-token\n")
    return found


def ended(simulator, store, number=1, **labels):
    refs = [simulator.add("gameball", status="completed") for _ in range(number)]
    store.track(refs, labels)
    return refs


def age(store, seconds, *columns):
    """Set times of the store back, as if so many seconds had passed."""
    with store._work.transaction() as connection:
        for column in columns:
            table, name = column.split(".")
            connection.execute(f"UPDATE {table} SET {name} = {name} - ?", [seconds])


def test_deliveries_are_signed_filtered_and_have_headers(user, simulator, store, tmp_path, secret):
    ended(simulator, store, 2, campaign="spring")
    store.track(["gameball:missing"])
    options = ["--deliver-secret-file", tmp_path / "secret", "--deliver-header-file", tmp_path / "headers"]
    with receiver() as (url, came):
        said = run(user, "run", "--once", "--deliver", url, *options, "--only", "ended,lost", "-vv")
    assert len(came) == 2
    for _, headers, body in came:
        assert standardwebhooks.Webhook(secret).verify(body, headers)["kind"] == "ended"
        assert verify(headers, body, secret).labels == {"campaign": "spring"}
        assert headers["authorization"] == "Bearer test-planted-token"
    (listed,) = lines(run(user, "deliveries", "list"))
    assert (listed["kinds"], listed["waiting"]) == (["ended", "lost"], 0)
    assert_untold(said.stdout + said.stderr, store)


def assert_untold(text, store, *more):
    """Neither what was printed nor the store's files hold a planted text, a secret or the receiver's address."""
    stored = b"".join(each.read_bytes() for each in store.path.parent.iterdir() if each.is_file())
    for found in (text.encode(), stored):
        for hidden in (b"planted", b"whsec_", *more):
            assert hidden not in found


@pytest.mark.parametrize("how", ["variable", "file variable", "configuration"])
def test_secrets_come_from_environment_and_file(user, simulator, tmp_path, secret, how):
    run(user, "track", "add", simulator.add("gameball", status="completed"))
    environ = user | {"BATCHSTATUS_DELIVER_HEADER_FILE": str(tmp_path / "headers")}
    if how == "variable":
        other = new_secret()
        environ |= {"BATCHSTATUS_DELIVER_SECRET": f"{other} {secret}"}
    elif how == "file variable":
        environ |= {"BATCHSTATUS_DELIVER_SECRET_FILE": str(tmp_path / "secret")}
    else:
        config(
            user["HOME"],
            f'[run]\ndeliver_secret_file = "{tmp_path}/secret"\nonly = ["ended"]\ndeliver_timeout = "5s"\n',
        )
    with receiver() as (url, came):
        assert run(environ | {"BATCHSTATUS_RUN_DELIVER": url}, "run", "--once").returncode == 0
    ((_, headers, body),) = came
    assert verify(headers, body, secret).kind == "ended"
    assert headers["authorization"].startswith("Bearer ")


def test_the_command_line_wins_and_two_variables_are_refused(user, simulator, store, tmp_path, secret):
    ended(simulator, store)
    environ = user | {"BATCHSTATUS_DELIVER_SECRET": new_secret()}
    both = run(
        environ | {"BATCHSTATUS_DELIVER_SECRET_FILE": str(tmp_path / "secret")}, "run", "--deliver", "https://x/"
    )
    assert both.returncode == 2
    assert "both BATCHSTATUS_DELIVER_SECRET and BATCHSTATUS_DELIVER_SECRET_FILE are set; keep one" in both.stderr
    with receiver() as (url, came):
        run(environ, "run", "--once", "--deliver", url, "--deliver-secret-file", tmp_path / "secret")
    assert verify(came[0][1], came[0][2], secret)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--deliver", "http://example.com/planted", "use https (or --allow-insecure"),
        ("--only", "ended,end", "the kinds of changes are change, ended, lost, found"),
        ("--deliver-timeout", "2h", "the timeout of a delivery is up to 3600 s"),
        ("--deliver-secret-file", "/nonexistent/planted", "--deliver-secret-file names a file that cannot be read"),
        ("--deliver-header-file", "/nonexistent/planted", "--deliver-header-file names a file that cannot be read"),
        ("--deliver-secret-file", "{bad}", "--deliver-secret-file has a secret (number 1) that is not one"),
        ("--deliver-header-file", "{bad}", "--deliver-header-file, line 1: a header is written Name: value"),
    ],
    ids=["http", "kind", "timeout", "no-secret-file", "no-header-file", "secret", "header"],
)
@pytest.mark.parametrize("command", ["run", "events"])
def test_what_cannot_work_is_refused_at_once(user, command, option, value, says):
    bad = Path(user["HOME"]) / "bad"
    bad.write_text("test-planted-text\n")
    run(user, "track", "add", "gameball:1")
    url = [] if option == "--deliver" else ["--deliver", "https://example.com/"]
    said = run(user, command, *url, option, value.format(bad=bad))
    assert (said.returncode, said.stdout) == (2, "")
    assert says in said.stderr
    assert "planted" not in said.stderr
    assert "Traceback" not in said.stderr


def test_a_wrong_secret_in_a_variable_is_named(user, simulator, store):
    said = run(user | {"BATCHSTATUS_DELIVER_SECRET": "planted"}, "run", "--deliver", "https://example.com/")
    assert (said.returncode, "BATCHSTATUS_DELIVER_SECRET has a secret (number 1)" in said.stderr) == (2, True)
    assert "planted" not in said.stderr


def test_insecure_http_can_be_allowed(user, simulator, store):
    """Here no host has that name; what matters is that it is tried."""
    ended(simulator, store)
    said = run(user, "run", "--once", "--deliver", "http://planted.invalid/", "--allow-insecure")
    assert said.returncode == 5
    assert "1 change could not be delivered" in said.stderr
    assert "planted" not in said.stderr


def test_a_service_takes_new_secrets_without_a_restart(user, simulator, store, tmp_path, secret):
    new = new_secret()
    command = [*COMMAND, "run", "--deliver-secret-file", str(tmp_path / "secret"), "--deliver"]
    with receiver() as (url, came):
        process = subprocess.Popen([*command, url], env=user, stderr=subprocess.PIPE, text=True)
        try:
            ended(simulator, store)
            until(lambda: len(came) == 1)
            (tmp_path / "secret").write_text(f"{new}\n{secret}\n")
            ended(simulator, store)
            until(lambda: len(came) == 2 and not store.summary()["undelivered"])
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=LONG)
        finally:
            process.kill()
            process.wait(LONG)
    assert verify(came[0][1], came[0][2], secret)
    assert verify(came[1][1], came[1][2], new)
    assert verify(came[1][1], came[1][2], secret)
    assert "--deliver-secret-file has changed: 2 secrets sign deliveries from now on" in said
    assert_untold(said, store, new.encode(), secret.encode())


# A receiver that refuses


def test_410_stops_a_destination_until_it_is_retried(user, simulator, store):
    """A run says so, serves the others, and exits with 5; deliveries retry starts it again."""
    ended(simulator, store, 2)
    with receiver(lambda _: (410, {})) as (gone, asked), receiver() as (url, came):
        both = ["run", "--once", "--deliver", gone, "--deliver", url]
        first = run(user, *both)
        assert first.returncode == 5
        assert "wants no more changes (DeliveryFailed: HTTP 410), and is stopped" in first.stderr
        posts = len(asked)
        again = run(user, *both)
        assert (again.returncode, len(asked), len(came)) == (5, posts, 2)
        (name, _) = (found.name for found in store.destinations())
        assert again.stderr.count("is stopped since") == 1
        assert f"deliveries retry {name} starts it again" in again.stderr
        assert f"the destination {name} is stopped: batchstatus deliveries list {name}" in again.stderr
        listed = run(user, "deliveries", "list", "-o", "table").stdout.splitlines()
        assert "2 to deliver" in listed[0]
        assert "DeliveryFailed: HTTP 410; STOPPED since" in listed[0]
        assert "STOPPED" not in listed[1]
        logged = run(user, "run", "--once", "--deliver", url, "--log-format", "json").stderr.splitlines()
        assert {json.loads(line).get("destination") for line in logged if "stopped" in line} == {name}
        one = run(user, "deliveries", "list", name, "-o", "id").stdout.split()[0]
        alone = run(user, "deliveries", "retry", name, "--id", one)
        assert f"{name} is stopped: deliveries retry {name}, without --id, starts it" in alone.stderr
        assert "at once" not in alone.stderr
    with receiver() as (url, came):
        assert lines(run(user, "deliveries", "retry", name))[0] == {"schema": 1, "retried": 2}
        store.drop_destination(next(found.name for found in store.destinations() if found.name != name))
    assert store.destinations()[0].stopped_at is None
    assert len(store.undelivered(name)) == 2


def test_an_empty_list_says_so(user, simulator, store):
    """To a person: that there is no destination, or that nothing waits there."""
    ended(simulator, store, 1)
    said = run(user, "deliveries", "list", "-o", "table")
    assert said.stderr == "batchstatus: no destination: batchstatus run --deliver URL makes one\n"
    with receiver() as (url, _):
        assert run(user, "run", "--once", "--deliver", url).returncode == 0
    (found,) = store.destinations()
    said = run(user, "deliveries", "list", found.name, "-o", "table")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "batchstatus: all has arrived\n")
    assert run(user, "deliveries", "list", found.name).stderr == ""


def test_500_for_three_days_is_set_aside_listed_retried_and_dropped(user, simulator, store):
    refs = ended(simulator, store, 3)
    is_well = []
    with receiver(lambda _: (204 if is_well else 500, {})) as (url, came):
        command = ["run", "--once", "--deliver", url]
        assert run(user, *command).returncode == 5
        age(store, 3 * DAY, "outbox.failed_at")
        aside = run(user, *command)
        assert aside.returncode == 5
        assert "has failed for 3 days, and is set aside" in aside.stderr
        assert "could not be delivered" not in aside.stderr
        (name,) = (found.name for found in store.destinations())
        assert f"the destination {name} has 3 changes set aside" in aside.stderr
        posts = len(came)
        assert posts == 6
        assert (run(user, *command).returncode, len(came)) == (5, posts)
        (listed,) = lines(run(user, "deliveries", "list"))
        assert [listed[key] for key in ("waiting", "failed", "set_aside")] == [0, 0, 3]
        assert listed["reason"] == "DeliveryFailed: HTTP 500"
        pending = lines(run(user, "deliveries", "list", name))
        assert {each["ref"] for each in pending} == {*map(str, refs)}
        assert {each["attempts"] for each in pending} == {2}
        ids = run(user, "deliveries", "list", name, "-o", "id").stdout.split()
        shown = run(user, "deliveries", "list", name, "-o", "table").stdout
        assert shown.count("failed 2 times, last: DeliveryFailed: HTTP 500; set aside") == 3
        dropped = run(user, "deliveries", "drop", name, "--id", ids[0])
        assert (dropped.returncode, lines(dropped)[0]["dropped"]) == (0, 1)
        assert f"the change {ids[0]} will not be delivered" in dropped.stderr
        is_well.append(True)
        assert lines(run(user, "deliveries", "retry", name, "--id", ids[1]))[0]["retried"] == 1
        assert run(user, *command).returncode == 5, "one is still set aside"
        assert len(came) == posts + 1
        assert "1 change to be delivered at once" in run(user, "deliveries", "retry", name).stderr
        assert run(user, *command).returncode == 0
        assert len(came) == posts + 2
    for words in ("retry nobody", "list nobody", "drop nobody", f"drop {name} --id {ids[0]}", f"retry {name} --id x"):
        wrong = run(user, "deliveries", *words.split())
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "no destination" in wrong.stderr or "no change with the id" in wrong.stderr


def test_track_rm_drops_what_waits(user, simulator, store):
    one, other = ended(simulator, store, 2)
    with receiver(lambda _: (500, {})) as (url, came):
        run(user, "run", "--once", "--deliver", url)
        gone = run(user, "track", "rm", one)
        assert lines(gone)[0] == {"schema": 1, "removed": 1, "unknown": [], "dropped": 1}
        assert "1 batch removed; 1 change of theirs had not arrived, and will not be delivered" in gone.stderr
        posts = len(came)
        run(user, "run", "--once", "--deliver", url)
        assert [json.loads(body)["ref"] for _, _, body in came[posts:]] == [str(other)]
    assert len(store.history(one)) == 1


# events --deliver


def test_a_range_of_events_is_replayed(user, simulator, store, tmp_path, secret):
    """In order, signed and filtered, with the ids that the receiver knows; no outbox changes by it."""
    ended(simulator, store, 3)
    store.track([simulator.add("gameball", status="processing", seconds=600)])
    with receiver(lambda _: (500, {})) as (url, _):
        run(user, "run", "--once", "--deliver", url)
    before = [(each.waiting, each.failed) for each in store.destinations()]
    with receiver() as (url, came):
        options = ["--deliver-secret-file", tmp_path / "secret", "--deliver-header-file", tmp_path / "headers"]
        said = run(user, "events", "--since", "1h", "--deliver", url, *options, "--only", "ended", "-vv")
        assert lines(said) == [{"schema": 1, "delivered": 3, "refused": 0, "last": said_last(store), "complete": True}]
        assert said.returncode == 0
        nothing = run(user, "events", "--since", "0s", "--deliver", url)
        assert (nothing.returncode, lines(nothing)[0]["delivered"]) == (0, 0)
        after = run(user, "events", "--after", store.changes()[1].id, "--deliver", url)
        assert lines(after)[0]["delivered"] == 2
        (one,) = lines(run(user, "events", "--where", f"ref={store.changes()[0].ref}"))
        again = run(user, "events", "--deliver", url, "--where", f"ref={one['ref']}")
        assert (lines(again)[0]["delivered"], lines(again)[0]["last"]) == (1, one["id"])
    found = [verify(headers, body, secret) for _, headers, body in came[:3]]
    assert [change.id for change in found] == [change.id for change in store.changes() if change.kind == "ended"]
    assert {headers["authorization"] for _, headers, _ in came[:3]} == {"Bearer test-planted-token"}
    assert [(each.waiting, each.failed) for each in store.destinations()] == before
    assert_untold(said.stdout + said.stderr, store)


def said_last(store):
    return [change.id for change in store.changes() if change.kind == "ended"][-1]


def test_a_replay_goes_on_behind_a_refusal(user, simulator, store):
    ended(simulator, store, 3)
    run(user, "run", "--once")
    bad = store.changes()[1].id
    with receiver(lambda came: (400 if bad.encode() in came[-1][2] else 204, {})) as (url, came):
        said = run(user, "events", "--deliver", url)
    assert said.returncode == 5
    assert lines(said)[0] | {"schema": 1} == {
        "schema": 1,
        "delivered": 2,
        "refused": 1,
        "last": store.changes()[2].id,
        "complete": True,
    }
    assert f"is refused: HTTP 400 (its id is {bad})" in said.stderr
    assert "2 changes delivered, 1 refused" in said.stderr
    assert len(came) == 3


def test_a_replay_ends_at_an_outage_and_says_how_to_go_on(user, simulator, store):
    ended(simulator, store, 3)
    run(user, "run", "--once")
    first, second, third = (change.id for change in store.changes())
    with receiver(lambda came: (204, {}) if len(came) == 1 else (503, {"Retry-After": "100"})) as (url, came):
        said = run(user, "events", "--deliver", url)
        assert (said.returncode, len(came)) == (5, 2)
        assert f"is not delivered: HTTP 503; --after {first} goes on" in said.stderr
        assert "planted" not in said.stderr
    with receiver() as (url, came):
        assert run(user, "events", "--after", first, "--deliver", url).returncode == 0
        assert [json.loads(body)["id"] for _, _, body in came] == [second, third]


def test_a_replay_tries_again(user, simulator, store):
    ended(simulator, store)
    run(user, "run", "--once")
    with receiver(lambda came: (503 if len(came) == 1 else 204, {})) as (url, came):
        assert run(user, "events", "--deliver", url).returncode == 0
        assert len(came) == 2


def test_events_can_be_filtered(user, simulator, store):
    ended(simulator, store)
    store.track([simulator.add("gameball", status="processing", seconds=600)])
    run(user, "run", "--once")
    assert {line["kind"] for line in lines(run(user, "events"))} == {"ended", "change"}
    assert [line["kind"] for line in lines(run(user, "events", "--only", "ended"))] == ["ended"]


@pytest.mark.parametrize("more", [["--follow"], []])
def test_a_replay_does_not_follow(user, store, more):
    said = run(user, "events", "--deliver", *(["https://x/", *more] if more else ["-"]))
    assert (said.returncode, "batchstatus run --deliver goes on" in said.stderr) == (2, True)


# doctor


def checks(user, name):
    said = run(user, "doctor", "--offline")
    return said.returncode, [line for line in lines(said) if line["check"].startswith(name)]


def test_doctor_tells_of_deliveries_that_are_stuck(user, simulator, store):
    ended(simulator, store, 2)
    with receiver(lambda _: (500, {})) as (url, _):
        command = ["run", "--once", "--deliver", url]
        run(user, *command)
        code, (found,) = checks(user, "delivery")
        assert (code, found["ok"], found["detail"]) == (0, True, "2 changes to deliver")
        age(store, 700, "changes.at")
        code, (found,) = checks(user, "delivery")
        assert (code, found["ok"]) == (5, False)
        says = "2 changes to deliver, the oldest for 12 min (last failure: DeliveryFailed: HTTP 500): batchstatus deliv"
        assert found["detail"].startswith(says)
        age(store, 700, "destinations.served_at")
        assert "no run has it since" in checks(user, "delivery")[1][0]["detail"]
        age(store, 3 * DAY, "outbox.failed_at")
        run(user, *command)
        assert "2 changes set aside" in checks(user, "delivery")[1][0]["detail"]
        (name,) = (each.name for each in store.destinations())
        run(user, "deliveries", "drop", name)
    with receiver(lambda _: (410, {})) as (gone, _):
        ended(simulator, store)
        run(user, "run", "--once", "--deliver", gone)
    code, (found,) = checks(user, "delivery")
    assert (code, found["ok"]) == (5, False)
    assert found["detail"].startswith("stopped since")
    drawn, code = terminal(user, "doctor", "--offline")
    assert (code, "FAIL" in drawn) == (5, True)


def test_doctor_tells_if_nobody_reads_open_batches(user, simulator, store):
    store.track([simulator.add("gameball", status="processing", seconds=600)])
    assert checks(user, "service") == (0, [])
    age(store, 700, "refs.added_at")
    code, (found,) = checks(user, "service")
    assert (code, found["ok"]) == (5, False)
    assert "no watcher runs, and 1 batch open, unread since" in found["detail"]
    run(user, "run", "--once")
    assert checks(user, "service") == (0, []), "cron's last pass was just now"
    age(store, 700, "refs.read_at")
    assert checks(user, "service")[0] == 5
    store.claim("me")
    assert checks(user, "service") == (0, [])


# Words of others


def test_a_receiver_that_quotes_the_request_is_not_repeated(user, simulator, store, tmp_path, secret):
    """At -vv, in any stream, and in the store; the page of a proxy in between quotes it, too."""
    ended(simulator, store)
    options = ["--deliver-secret-file", tmp_path / "secret", "--deliver-header-file", tmp_path / "headers"]
    with serving(lambda head: [b"HTTP/1.1 " + head.replace(b"\r\n", b" \x1b[31m ") + b"\r\n\r\n"]) as server:
        url = f"{server.url}/test-planted-path"
        for command in (["run", "--once"], ["events"]):
            said = run(user, *command, "--deliver", url, *options, "-vv")
            assert said.returncode == 5
            assert "the connection broke before the response was complete" in said.stderr
            assert "\x1b" not in said.stdout + said.stderr
            assert_untold(said.stdout + said.stderr, store, secret.encode(), base64.b64decode(secret[6:]))
    listed = run(user, "deliveries", "list", "-o", "table").stdout + run(user, "doctor", "--offline").stdout
    assert "the connection broke" in listed
    assert "planted" not in listed.replace(str(tmp_path), "")
