"""Each object that the command line prints is what its JSON Schema says, with no field more and none less."""

from __future__ import annotations

import json
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from batchstatus import Batch, BatchClient, BatchNotFound, BatchRef, BatchState, Gameball, WaitTimeout
from batchstatus.service.store import Store
from batchstatus.testing.simulator import Quirk
from batchstatus.testing.simulator.believe import BelieveQuirk
from commandline import COMMAND, lines, run
from jsonschema import Draft202012Validator, FormatChecker
from receivers import receiver
from referencing import Registry, Resource
from schema_page import PAGE, page

SCHEMAS = {
    file.name.removesuffix(".json"): json.loads(file.read_text(encoding="utf-8"))
    for file in (files("batchstatus") / "schemas").iterdir()
}


def closed(schema):
    """The same schema, which refuses fields that it does not name: a consumer's goes on to take new ones."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: closed(each) for name, each in schema.items()}
    if "properties" in schema and schema.get("type") in ("object", ["object", "null"]):
        schema.setdefault("additionalProperties", False)
    return schema


REGISTRY = Registry().with_resources(
    [(f"{name}.json", Resource.from_contents(closed(schema))) for name, schema in SCHEMAS.items()]
)


def check(name, value):
    """Check a value, and return it."""
    validator = Draft202012Validator(closed(SCHEMAS[name]), registry=REGISTRY, format_checker=FormatChecker())
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert not errors, errors
    return value


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_valid_and_says_what_each_field_is(name):
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"{name}.json"
    for field, schema in SCHEMAS[name]["properties"].items():
        assert schema.get("description") or "$ref" in schema, field


@pytest.mark.parametrize(
    ("name", "value"),
    [("track-add", {"schema": 1, "added": 1}), ("track-add", {"schema": 1, "added": 1, "known": 0, "more": 1})],
    ids=["a field less", "a field more"],
)
def test_the_check_finds_fields_that_differ(name, value):
    with pytest.raises(AssertionError):
        check(name, value)


@pytest.fixture
def refs(simulator):
    return [
        simulator.add("gameball", status="completed", total=20, failed=2),
        simulator.add("believe", status="FAILED", quirks=[BelieveQuirk.SETUP_FAILED]),
        simulator.add("believe", status="FINALIZED"),
        simulator.add("gameball", status="ARCHIVED", quirks=[Quirk.CONTRADICTION]),
    ]


@pytest.mark.parametrize("command", [["status"], ["watch", "--timeout", "1s"], ["wait", "--timeout", "0"]])
def test_a_line_is_a_batch(user, refs, command):
    found = lines(run(user, *command, *refs, "--results"))
    assert {line["ref"] for line in found} >= {*map(str, refs[:2])}
    for line in found:
        check("batch", line)


@pytest.mark.parametrize("command", [["status"], ["wait", "--timeout", "0"]])
def test_json_is_one_object_with_what_could_not_be_read(user, refs, command):
    said = run(user, *command, "-o", "json", *refs, "believe:missing")
    found = check("batches", json.loads(said.stdout))
    assert [batch["ref"] for batch in found["batches"]] == [*map(str, refs)]
    (error,) = found["errors"]
    assert (error["ref"], error["error"], error["exit_code"]) == ("believe:missing", "BatchNotFound", 3)
    for line in said.stderr.splitlines():
        check("message", json.loads(line))


def test_json_has_the_batches_that_have_not_ended_in_time(user, refs):
    said = run(user, "wait", "-o", "json", "--timeout", "1s", refs[2])
    found = check("batches", json.loads(said.stdout))
    assert [(error["ref"], error["exit_code"]) for error in found["errors"]] == [(str(refs[2]), 124)]


def test_an_error_in_the_arguments_is_a_message(user):
    check("message", json.loads(run(user, "-o", "json", "status").stderr))


def test_objects_of_the_store(user, refs, simulator):
    """Tracked batches, changes and destinations, in lines and as a whole."""
    both = ("-o", "json")
    check("track-add", lines(run(user, "track", "add", *refs, "--label", "kind=mint"))[0])
    check("tracked-list", lines(run(user, "track", "list", *both))[0])
    received = lines(run(user, "run", "--once", "--deliver", "-"))
    for name, command in (("tracked", ["track", "list"]), ("change", ["events", "--results"])):
        found = lines(run(user, *command))
        assert len(found) == len(refs)
        for line in found:
            check(name, line)
    for line in received:  # the body of a webhook is the same
        check("change", line)
    assert len(received) == len(refs)
    assert check("changes", lines(run(user, "history", refs[0], *both))[0])["changes"]
    check("change", lines(run(user, "history", refs[0]))[0])
    check("destination", lines(run(user, "deliveries", "list"))[0])
    assert check("destinations", lines(run(user, "deliveries", "list", *both))[0])["destinations"]
    check("store-check", lines(run(user, "store", "check"))[0])
    check("track-retry", lines(run(user, "track", "retry", refs[0]))[0])
    check("track-rm", lines(run(user, "track", "rm", refs[0], "believe:missing"))[0])


def test_a_webhook_receives_a_change(user, refs):
    run(user, "track", "add", *refs)
    with receiver() as (url, came):
        run(user, "run", "--once", "--deliver", url)
    bodies = [json.loads(body) for *_, body in came]
    assert {body["ref"] for body in bodies} == {*map(str, refs)}
    for body in bodies:
        check("change", body)


def test_objects_of_deliveries(user, refs):
    """Those that wait, or are set aside; each as it is retried, dropped, and delivered again."""
    both = ("-o", "json")
    run(user, "track", "add", *refs)
    with receiver(lambda _: (500, {})) as (url, _):
        logged = run(user, "run", "--once", "--log-format", "json", "--deliver", url)
    for line in (json.loads(line) for line in logged.stderr.splitlines()):
        check("log", line)
    name = check("destination", lines(run(user, "deliveries", "list"))[0])["name"]
    waiting = lines(run(user, "deliveries", "list", name))
    assert len(waiting) == len(refs)
    for line in waiting:
        check("delivery", line)
    whole = check("deliveries", lines(run(user, "deliveries", "list", name, *both))[0])
    assert len(whole["deliveries"]) == len(refs)
    check("deliveries-retry", lines(run(user, "deliveries", "retry", name))[0])
    check("deliveries-drop", lines(run(user, "deliveries", "drop", name, "--id", waiting[0]["id"]))[0])
    check("deliveries-drop", lines(run(user, "deliveries", "drop", name))[0])
    with receiver() as (url, came):
        replayed = run(user, "events", "--deliver", url, *both)
    assert check("replay", lines(replayed)[0])["delivered"] == len(came) == len(refs)
    check("message", json.loads(replayed.stderr))


def test_durations_of_a_batch_that_was_seen_to_end(user):
    began, ref = datetime.now(UTC) - timedelta(days=1), BatchRef("believe", "1")
    with Store(f"{user['HOME']}/.local/state/batchstatus/store.sqlite3") as store:
        store.track([ref])
        for seconds, state in ((100, BatchState.RUNNING), (101, BatchState.SUCCEEDED)):
            read_at = began + timedelta(seconds=seconds)
            store.record(
                Batch(
                    ref=ref, state=state, vendor_status="X", read_at=read_at, created_at=began, raw=None, payload=None
                )
            )
    check("durations", lines(run(user, "history", "--durations"))[0])
    assert check("durations-list", lines(run(user, "history", "--durations", "-o", "json"))[0])["durations"]


def test_a_lost_batch_is_a_change(user):
    ref = BatchRef.parse("believe:missing")
    with Store(f"{user['HOME']}/store.sqlite3") as store:
        store.track([str(ref)])
        for _ in range(3):
            error = BatchNotFound("HTTP 404", ref=ref, status_code=404, code="4004")
            if (change := store.record_refusal(ref, error)) is not None:
                break
            with store._work.exclusive() as connection:
                connection.execute("UPDATE refs SET refused_at = refused_at - 400, refused_for = refused_for + 400")
        assert check("change", change.to_dict())["kind"] == "lost"
        (tracked,) = store.tracked()
        check("tracked", tracked.to_dict())


def test_doctor_prints_checks(user):
    for line in lines(run(user, "doctor", "--offline")):
        check("check", line)
    assert check("checks", lines(run(user, "doctor", "--offline", "-o", "json"))[0])["checks"]


def test_simulate_prints_what_another_shell_needs(environ):
    with subprocess.Popen([*COMMAND, "simulate"], env=environ, stdout=subprocess.PIPE, text=True) as serving:
        try:
            check("simulation", json.loads(serving.stdout.readline()))
        finally:
            serving.send_signal(signal.SIGINT)


@pytest.mark.parametrize("batch", [{"status": "processing"}, {"status": "completed", "quirks": [Quirk.CONTRADICTION]}])
def test_a_checkpoint_is_what_its_schema_says(simulator, batch):
    account = next(account for account in simulator.accounts() if isinstance(account, Gameball))
    ref = simulator.add("gameball", **batch)
    with BatchClient(account) as client:
        check("checkpoint", client.step(ref).checkpoint)
        with pytest.raises(WaitTimeout) as late:
            client.wait(simulator.add("gameball", status="processing"), timeout=0.5)
        check("checkpoint", late.value.checkpoint)


def test_the_page_of_the_objects_is_drawn_from_their_schemas():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/support/schema_page.py"
