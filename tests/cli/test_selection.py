"""`--fields`, `--where` and `--results`."""

from __future__ import annotations

import json

import pytest
from batchstatus.cli.selection import Condition, Selection, find
from batchstatus.testing.simulator.gameball import GameballQuirk
from commandline import config, lines, run, terminal

BATCH = {
    "schema": 1,
    "ref": "gameball:1",
    "account": None,
    "state": "failed",
    "has_ended": True,
    "counts": {"total": 200, "processed": 200, "succeeded": 188, "failed": 12},
    "progress": 1.0,
    "created_at": "2026-01-31T12:00:00+00:00",
}
CHANGE = {"schema": 1, "ref": "gameball:1", "kind": "ended", "batch": BATCH}
LOST = {"schema": 1, "ref": "gameball:1", "kind": "lost", "batch": None}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("state=failed", True),
        ("state=FAILED", True),
        (" state = failed ", True),
        ("state=cancelled,failed", True),
        ("state=cancelled", False),
        ("state!=failed", False),
        ("state!=pending,running", True),
        ("counts.failed>0", True),
        ("counts.failed>12", False),
        ("counts.failed>=12", True),
        ("counts.failed<=11.5", False),
        ("counts.total=200", True),
        ("progress=1", True),
        ("account=null", True),
        ("account!=null", False),
        ("account>a", False),
        ("account=acme", False),
        ("has_ended=true", True),
        ("has_ended=false", False),
        ("created_at>2026-01-31", True),
        ("created_at<2026-01-31", False),
        ("ref=gameball:1", True),
    ],
)
def test_a_condition_holds_or_not(condition, holds):
    assert Condition.parse("batch", condition).holds(BATCH) is holds


@pytest.mark.parametrize("condition", ["state=failed", "batch.state=failed", "counts.failed=12", "kind=ended"])
def test_a_change_has_the_names_of_its_batch(condition):
    parsed = Condition.parse("change", condition)
    assert (parsed.holds(CHANGE), parsed.holds(LOST)) == (True, False)


def test_what_is_not_there_is_null():
    assert Condition.parse("change", "batch=null").holds(LOST)
    assert Condition.parse("change", "state=null").holds(LOST)
    assert not Condition.parse("change", "counts.failed>0").holds(LOST)


def test_labels_have_names_of_their_own():
    condition = Condition.parse("tracked", "labels.campaign=spring")
    assert condition.holds({"labels": {"campaign": "spring"}})
    assert not condition.holds({"labels": {}})


@pytest.mark.parametrize(
    ("schema", "text", "says"),
    [
        ("batch", "stat=failed", "there is no field 'stat'; did you mean state? There are schema, ref, vendor"),
        ("change", "kid=ended", "did you mean"),
        ("batch", "colour=red", "there is no field 'colour'; there are schema, ref"),
        ("tracked", "label.campaign=spring", "there is no field 'label.campaign'; did you mean labels?"),
        ("change", "batch.stat=failed", "there is no field 'batch.stat'; did you mean state?"),
        ("batch", "state=faild", "state is never 'faild'; did you mean failed? There are pending, requires_action"),
        ("batch", "state", "is not a condition; use state=failed, state=failed,cancelled or counts.failed>0"),
        ("batch", "=failed", "is not a condition"),
        ("batch", "counts.failed>many", "counts.failed is a number, not 'many'"),
        ("batch", "has_ended=yes", "has_ended is true or false, not 'yes'"),
        ("batch", "failures=1", "failures is not one value"),
        ("batch", "counts=1", "counts is not one value"),
        ("batch", "counts.failed>1,2", "> takes one number or text"),
        ("batch", "has_ended>true", "> takes one number or text"),
        ("batch", "state.x=1", "there is no field 'state.x'"),
    ],
)
def test_a_condition_that_cannot_be_says_what_would_be_right(schema, text, says):
    with pytest.raises(ValueError, match=r".") as wrong:
        Condition.parse(schema, text)
    assert says in str(wrong.value)


def test_fields_keep_their_places():
    selection = Selection()
    selection.fields = [
        (name, find("change", name).path) for name in ("kind", "state", "counts.failed", "counts.total")
    ]
    assert selection.of(CHANGE) == {
        "schema": 1,
        "kind": "ended",
        "batch": {"state": "failed", "counts": {"failed": 12, "total": 200}},
    }
    assert selection.of(LOST) == {"schema": 1, "kind": "lost", "batch": None}
    assert selection.cells(CHANGE) == ["ended", "failed", "12", "200"]
    assert CHANGE["batch"] is BATCH
    assert len(BATCH["counts"]) == 4, "the object itself stays whole"


@pytest.mark.parametrize(
    ("option", "incomplete", "words"),
    [
        ("--fields", "vendor", ["vendor", "vendor_status"]),
        ("--fields", "ref,counts.f", ["ref,counts.failed"]),
        ("--where", "is_", ["is_terminal=", "is_settled="]),
        ("--where", "state=f", ["state=failed"]),
        ("--where", "state=failed,ca", ["state=failed,cancelled"]),
    ],
)
def test_a_shell_completes_names_and_values(environ, option, incomplete, words):
    """Behind the name of a condition no blank comes."""
    asked = {"_BATCHSTATUS_COMPLETE": "zsh_complete", "COMP_LINE": f"batchstatus status {option} {incomplete}"}
    found = [line.split("\t")[:2] for line in run(environ | asked).stdout.splitlines()]
    assert [word for _, word in found] == words
    assert {kind for kind, _ in found} <= {"unfinished" if words[0].endswith("=") else "plain"}


@pytest.fixture
def refs(simulator):
    """One that succeeded with failed items, one that failed, one that goes on."""
    return [
        simulator.add("gameball", status="completed", total=20, failed=2),
        simulator.add("gameball", status="failed", total=20),
        simulator.add("gameball", status="processing", total=20),
    ]


def test_status_prints_what_is_asked_for(user, refs):
    said = run(user, "status", *refs, "--fields", "ref,counts.failed", "--where", "state=succeeded,failed")
    assert lines(said) == [
        {"schema": 1, "ref": str(ref), "counts": {"failed": failed}} for ref, failed in zip(refs, (2, 0), strict=False)
    ]
    assert run(user, "status", *refs, "--where", "counts.failed>0", "-o", "id").stdout == f"{refs[0]}\n"
    both = run(user, "status", *refs, "--where", "has_ended=true", "--where", "counts.failed=0", "-o", "json")
    assert [batch["ref"] for batch in json.loads(both.stdout)["batches"]] == [str(refs[1])]


def test_a_condition_changes_no_exit_code(user, refs):
    """All batches were read, whichever are printed."""
    assert run(user, "status", "--exit-status", *refs, "--where", "state=succeeded").returncode == 1


def test_fields_make_a_table_of_their_own(user, refs):
    said = run(user, "status", *refs[:2], "--fields", "ref,state,counts.failed,account", "-o", "table", "-q")
    assert said.stdout.splitlines() == [
        "REF               STATE      COUNTS.FAILED  ACCOUNT",
        f"{refs[0]}  succeeded  2",
        f"{refs[1]}  failed     0",
    ]


def test_a_table_has_the_rows_of_which_it_holds(user, refs):
    said = run(user, "status", *refs, "--where", "state=running", "-o", "table")
    assert [line.split()[0] for line in said.stdout.splitlines()] == ["BATCH", str(refs[2])]
    assert said.stderr == ""


def test_watch_prints_the_changes_of_which_it_holds(user, simulator):
    ref = simulator.add("gameball", seconds=2, total=20)
    assert lines(run(user, "watch", ref, "--where", "has_ended=true", "--fields", "state,results")) == [
        {
            "schema": 1,
            "state": "succeeded",
            "results": [{"customerId": f"c-{n}", "message": "done"} for n in range(1, 21)],
        }
    ]


def test_watch_with_fields_prints_lines_on_a_terminal(user, simulator):
    ref = simulator.add("gameball", seconds=0)
    drawn, code = terminal(user, "watch", ref, "--fields", "ref,state")
    assert (code, drawn) == (0, f"REF               STATE\r\n{ref}  succeeded\r\n")


def test_a_moving_table_has_the_rows_of_which_it_holds(user, refs):
    drawn, code = terminal(user, "watch", *refs, "--where", "state!=running", "--timeout", "2s")
    last = drawn[drawn.rindex("BATCH") : drawn.index("batchstatus:")]
    assert code == 124
    assert [str(ref) in last for ref in refs] == [True, True, False]
    assert "2 of 3 ended" in last


def test_events_and_tracked_batches(user, refs):
    run(user, "track", "add", *refs, "--label", "campaign=spring")
    run(user, "run", "--once", "-q")
    assert lines(run(user, "events", "--where", "state=running", "--fields", "ref,state")) == [
        {"schema": 1, "ref": str(refs[2]), "batch": {"state": "running"}}
    ]
    assert lines(run(user, "track", "list", "--where", "ended=false", "--fields", "labels.campaign,state")) == [
        {"schema": 1, "labels": {"campaign": "spring"}, "state": "running"}
    ]
    said = run(user, "track", "list", "--where", "state=failed", "-o", "table")
    assert str(refs[1]) in said.stdout
    assert str(refs[2]) not in said.stdout
    assert "1 batch, 0 of them open" in said.stderr
    (changes,) = lines(run(user, "history", refs[0], "-o", "json", "--fields", "kind"))
    assert changes["changes"] == [{"schema": 1, "kind": "ended"}]


def test_results_come_only_if_they_are_asked_for(user, simulator):
    ref = simulator.add("gameball", status="completed", quirks=[GameballQuirk.LONG_RESULTS])
    run(user, "track", "add", ref)
    run(user, "run", "--once", "-q")
    for command in (["status", ref], ["watch", ref], ["wait", ref]):
        assert lines(run(user, *command))[0]["results"] is None
        assert len(lines(run(user, *command, "--results"))[0]["results"]) == 1_000
    for command in (["events"], ["history", ref]):
        assert lines(run(user, *command))[0]["batch"]["results"] is None
        assert len(lines(run(user, *command, "--results"))[0]["batch"]["results"]) == 1_000
    assert len(lines(run(user, "status", ref, "--fields", "results"))[0]["results"]) == 1_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status", "gameball:1", "--fields", "ref,stat"], "'--fields': there is no field 'stat'; did you mean state?"),
        (["watch", "gameball:1", "--where", "state=done"], "'--where': state is never 'done'; there are pending"),
        (["events", "--fields", "kidn"], "did you mean kind?"),
        (["track", "list", "--where", "lables.a=b"], "there is no field 'lables.a'"),
        (["status", "gameball:1", "--raw", "--fields", "ref"], "--raw prints all of the vendor's JSON"),
        (["status", "gameball:1", "-o", "id", "--fields", "ref"], "-o id prints refs"),
        (["status", "gameball:1", "--fields", "ref", "-o", "id"], "-o id prints refs"),
        (["history", "--durations", "--where", "state=failed"], "give them without --durations"),
    ],
)
def test_wrong_names_exit_with_2(user, arguments, says):
    said = run(user, *arguments)
    assert (said.returncode, said.stdout) == (2, "")
    assert says in said.stderr


def test_fields_and_conditions_may_be_settings(user, refs):
    config(user["HOME"], '[status]\nfields = ["ref", "state"]\nwhere = ["state=failed", "counts.total>1"]\n')
    assert lines(run(user, "status", *refs)) == [{"schema": 1, "ref": str(refs[1]), "state": "failed"}]
    environment = {"BATCHSTATUS_STATUS_FIELDS": "state", "BATCHSTATUS_STATUS_WHERE": "state=running"}
    assert lines(run(user | environment, "status", *refs)) == [{"schema": 1, "state": "running"}]
