"""Each quirk of specs/QUIRKS.md that can reach a caller, switched on in the simulator and read by both clients."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest
import yaml
from batchstatus import (
    AuthenticationError,
    BadRequest,
    BatchNotFound,
    BatchState,
    Believe,
    Counts,
    Gameball,
    InvalidResponse,
    ItemFailure,
    PermissionDenied,
    RateLimited,
    RetryPolicy,
    ServerError,
)
from batchstatus.testing import FakeClock
from batchstatus.testing.simulator import Quirk, Simulator
from batchstatus.testing.simulator.believe import BELIEVE_KEY_WITHOUT_SCOPE, BelieveQuirk
from batchstatus.testing.simulator.gameball import GameballQuirk

ROOT = Path(__file__).parent.parent.parent
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def get(reader, simulator):
    """Add a batch and read it."""
    client = reader(*simulator.accounts(), retry=ONCE)
    return lambda vendor, *quirks, **fields: client.get(simulator.add(vendor, quirks=quirks, **fields))


def patched(vendor):
    return yaml.safe_load((ROOT / "generated" / "patched-specs" / f"{vendor}.yaml").read_text(encoding="utf-8"))


@pytest.mark.quirk("G1", "B2")
@pytest.mark.parametrize("vendor", ["gameball", "believe"])
def test_security_that_no_operation_uses_is_gone(vendor):
    spec = patched(vendor)
    (operation,) = (item["get"] for item in spec["paths"].values())
    used = {scheme for option in operation["security"] for scheme in option}
    assert "security" not in spec
    assert set(spec["components"]["securitySchemes"]) == used


@pytest.mark.quirk("G15", "G16", "B1", "B30")
@pytest.mark.parametrize("module", ["gameball.api.default.get_batch_status", "believe.api.default.get_batch_status"])
def test_generated_names_are_readable(module):
    vendor = module.partition(".")[0]
    assert importlib.import_module(f"batchstatus_raw.{module}").sync_detailed
    assert importlib.import_module(f"batchstatus_raw.{vendor}.models").BatchStatusResponse
    assert importlib.import_module(f"batchstatus_raw.{vendor}").__doc__ == (
        f"A client library for accessing {vendor.capitalize()} API"
    )


@pytest.mark.quirk("G3")
def test_keys_travel_in_the_headers_of_the_spec():
    for account in (Gameball("test-key", "test-secret"), Believe("test-key")):
        schemes = patched(account.vendor)["components"]["securitySchemes"]
        assert set(account.request("1").keys) == {scheme["name"] for scheme in schemes.values()}


@pytest.mark.quirk("B3")
def test_the_path_is_the_specs():
    for account in (Gameball("a", "b"), Believe("test-key")):
        (path,) = patched(account.vendor)["paths"]
        assert account.request("1").url == account.BASE_URL + re.sub(r"{\w+}", "1", path)


@pytest.mark.quirk("G4", "B4", "B9")
@pytest.mark.parametrize(
    ("quirk", "vendor", "code"),
    [
        (None, "gameball", "4004"),
        (GameballQuirk.TEXT_CODE, "gameball", "4004"),
        (GameballQuirk.OTHER_ERROR_SHAPE, "gameball", "404"),
        (Quirk.HTML_ERRORS, "gameball", None),
        (None, "believe", "ERR_BATCH_NOT_FOUND"),
        (BelieveQuirk.INTEGER_CODE, "believe", "404"),
        (Quirk.HTML_ERRORS, "believe", None),
    ],
)
def test_an_undeclared_error_is_understood(reader, quirk, vendor, code):
    with Simulator(quirks=[quirk] if quirk else []) as simulator:
        client = reader(*simulator.accounts(), retry=ONCE)
        with pytest.raises(BatchNotFound) as caught:
            client.get(f"{vendor}:0")
        assert caught.value.code == code
        with pytest.raises(ServerError, match="HTTP 503"):
            client.get(simulator.add(vendor, quirks=[Quirk.OUTAGE]))


@pytest.mark.quirk("B5", "B6")
@pytest.mark.parametrize(("quirks", "status"), [([], 403), ([BelieveQuirk.SCOPE_IS_401], 401)], ids=["403", "401"])
def test_a_missing_scope_is_permission_denied(reader, quirks, status):
    """A missing scope is permission denied with either status."""
    with Simulator(quirks=quirks) as simulator:
        with pytest.raises(PermissionDenied, match="scope burn or airdrop") as caught:
            reader(Believe(BELIEVE_KEY_WITHOUT_SCOPE, base_url=simulator.url)).get("believe:1")
        assert caught.value.status_code == status
        with pytest.raises(AuthenticationError, match="ERR_KEY_NOT_FOUND"):
            reader(Believe("test-unknown-key", base_url=simulator.url)).get("believe:1")


@pytest.mark.quirk("G5")
def test_gameballs_untyped_arrays_are_read(get):
    batch = get("gameball", status="completed", total=2, failed=1)
    assert batch.results == ({"customerId": "c-1", "message": "done"},)
    assert batch.failures == (ItemFailure(message="refused", id="c-2"),)
    assert type(batch.raw).__name__ == "BatchStatusResponse"


@pytest.mark.quirk("G6")
def test_an_answer_without_a_status_is_no_answer(get):
    with pytest.raises(InvalidResponse, match="no 'status'"):
        get("gameball", GameballQuirk.EMPTY_OBJECT)


@pytest.mark.quirk("G7", "B12")
@pytest.mark.parametrize("quirk", [Quirk.FLOAT_COUNTS, Quirk.TEXT_COUNTS])
@pytest.mark.parametrize(("vendor", "status"), [("gameball", "completed"), ("believe", "FAILED")])
def test_counts_are_whole_numbers(get, vendor, status, quirk):
    """Counts are whole numbers however they are spelled."""
    counts = get(vendor, quirk, status=status, total=8, failed=3).counts
    assert counts == Counts(total=8, processed=8, succeeded=5, failed=3)
    assert type(counts.total) is int


@pytest.mark.quirk("G8")
def test_progress_is_used_if_its_scale_is_known(get):
    """Progress is used where its scale is known."""
    assert get("gameball", GameballQuirk.PROGRESS_PERCENT, status="processing").progress == 0.5
    assert get("gameball", GameballQuirk.PROGRESS_PERCENT, status="completed").progress == 1.0
    assert get("gameball", GameballQuirk.PROGRESS_PERCENT, status="pending").progress == 0.0
    assert get("gameball", GameballQuirk.PROGRESS_FRACTION, status="processing").progress is None
    assert get("gameball", GameballQuirk.PROGRESS_FRACTION, status="completed").progress is None
    assert get("gameball", status="processing").progress == 0.5


@pytest.mark.quirk("G10", "B14")
@pytest.mark.parametrize(
    ("vendor", "word", "state"),
    [
        ("gameball", "stopped", BatchState.CANCELLED),
        ("gameball", "Queued", BatchState.PENDING),
        ("gameball", "inProgress", BatchState.RUNNING),
        ("gameball", "paused", BatchState.UNKNOWN),
        ("believe", "PENDING_APPROVAL", BatchState.REQUIRES_ACTION),
        ("believe", "ARCHIVED", BatchState.UNKNOWN),
    ],
)
def test_a_word_outside_the_enum_is_read(get, vendor, word, state):
    batch = get(vendor, status=word)
    assert (batch.state, batch.vendor_status) == (state, word)


@pytest.mark.quirk("G11")
def test_item_failures_do_not_make_a_batch_failed(get):
    batch = get("gameball", status="completed", total=8, failed=8)
    assert (batch.state, batch.has_failures, batch.is_partial) == (BatchState.SUCCEEDED, True, False)
    assert batch.raise_for_state() is batch


@pytest.mark.quirk("G12", "B24", "B25", "B26")
def test_contradicting_counts_are_kept(get):
    """Counts that contradict each other are kept."""
    batch = get("gameball", Quirk.CONTRADICTION, status="completed", total=8)
    assert (batch.counts, batch.progress) == (Counts(total=8, processed=9, succeeded=None, failed=10), 1.0)
    batch = get("believe", Quirk.CONTRADICTION, status="EXECUTED", total=8)
    assert (batch.counts, batch.progress) == (Counts(total=8, processed=9, succeeded=9, failed=0), 1.0)
    assert sum(len(bundle["txHashes"]) for bundle in batch.results) == 8


@pytest.mark.quirk("G13", "G25")
def test_the_tutorials_body_is_read(get):
    assert get("gameball", status="completed").created_at is None
    batch = get("gameball", GameballQuirk.TUTORIAL_SHAPE, status="completed", total=8, failed=3)
    assert batch.counts == Counts(total=8, processed=8, succeeded=5, failed=3)
    assert (len(batch.results), len(batch.failures), batch.failures[0].message) == (5, 3, "refused")
    assert batch.created_at is not None
    queued = get("gameball", GameballQuirk.TUTORIAL_SHAPE, status="queued")
    assert (queued.state, queued.counts.total, queued.progress) == (BatchState.PENDING, None, None)


@pytest.mark.quirk("G14")
def test_a_numeric_id_is_the_same_id(get):
    """An id that comes as a number is the same id."""
    assert get("gameball", GameballQuirk.NUMERIC_ID, id="1748392").ref.id == "1748392"


@pytest.mark.quirk("G19")
def test_an_ended_batch_is_read_again_and_again(reader, simulator):
    client, ref = reader(*simulator.accounts()), simulator.add("gameball", status="completed")
    assert [client.get(ref).is_terminal for _ in range(3)] == [True] * 3


@pytest.mark.quirk("G21", "B7")
@pytest.mark.parametrize(("vendor", "limit"), [("gameball", 30), ("believe", 10)])
def test_a_retry_after_is_obeyed(reader, vendor, limit):
    clock = FakeClock()
    with Simulator(quirks=[Quirk.RETRY_AFTER], clock=clock.monotonic) as simulator:
        ref = simulator.add(vendor)
        patient, hasty = (
            reader(*simulator.accounts(rate_limit=None), clock=clock, retry=retry) for retry in (RetryPolicy(), ONCE)
        )
        assert [patient.get(ref).attempts for _ in range(limit)] == [1] * limit
        with pytest.raises(RateLimited) as caught:
            hasty.get(ref)
        assert caught.value.retry_after == 1.0
        assert (patient.get(ref).attempts, clock.now) == (2, 1.0)


@pytest.mark.quirk("G22", "B17")
@pytest.mark.parametrize(("vendor", "status"), [("gameball", "pending"), ("believe", "AVAILABLE_TO_QUEUE")])
def test_null_means_absent(get, vendor, status):
    batch = get(vendor, Quirk.NULLS, Quirk.MISSING_FIELDS, status=status)
    assert (batch.state, batch.counts, batch.failures) == (BatchState.PENDING, Counts(), ())
    assert None in batch.payload.values()


@pytest.mark.quirk("B15", "B18")
@pytest.mark.parametrize(
    ("vendor", "status"), [("gameball", "completed"), ("believe", "EXECUTED"), ("believe", "FAILED")]
)
def test_a_missing_field_costs_nothing_else(get, vendor, status):
    """A field that is missing costs nothing else."""
    batch = get(vendor, Quirk.MISSING_FIELDS, status=status)
    assert (batch.is_terminal, batch.counts, batch.progress, batch.updated_at) == (True, Counts(), None, None)


@pytest.mark.quirk("G26")
def test_a_thousand_results_are_read(get):
    assert len(get("gameball", GameballQuirk.LONG_RESULTS, status="completed").results) == 1000


@pytest.mark.quirk("B8", "B36")
def test_an_id_that_is_no_uuid_can_be_asked_for(get):
    assert get("believe", id="batch_xyz789", status="PENDING_APPROVAL").state is BatchState.REQUIRES_ACTION
    with pytest.raises(BadRequest, match="check the id's form"):
        get("believe", BelieveQuirk.ONLY_UUIDS, id="batch_xyz789")


@pytest.mark.quirk("B10", "B11")
def test_indexes_may_have_any_type(get):
    """Indexes of any type do not cost the reading."""
    batch = get("believe", BelieveQuirk.NUMERIC_INDEX, status="EXECUTED")
    assert batch.state is BatchState.SUCCEEDED
    assert (batch.payload["batchIndex"], batch.payload["vaultIndex"]) == (42, 0)


@pytest.mark.quirk("B13")
def test_a_uuid_in_upper_case_is_the_same_id(get):
    batch = get("believe", BelieveQuirk.UPPER_CASE_ID, id="550e8400-e29b-41d4-a716-44665544000a")
    assert batch.ref.id == "550e8400-e29b-41d4-a716-44665544000a"


@pytest.mark.quirk("B16")
def test_a_failed_setup_is_told_as_such(get):
    batch = get("believe", BelieveQuirk.SETUP_FAILED, status="FAILED")
    assert (batch.state, batch.counts) == (BatchState.FAILED, Counts())
    assert [(failure.phase, failure.index) for failure in batch.failures] == [("setup", None)]
    assert batch.failures[0].message


@pytest.mark.quirk("B22")
def test_a_failed_transaction_has_its_index(get):
    """A failed transaction is told with its index."""
    batch = get("believe", status="FAILED", total=8, failed=3)
    (failure,) = batch.failures
    assert (failure.phase, failure.index) == ("execution", batch.payload["executeResult"]["failedOnTransactionIndex"])


@pytest.mark.quirk("B23")
def test_counts_are_those_of_the_execution(get):
    finalized = get("believe", status="FINALIZED")
    assert finalized.payload["initResult"]["total"] == 3
    assert finalized.counts == Counts()
    assert get("believe", status="EXECUTED", total=8).counts.total == 8


@pytest.mark.quirk("B31")
def test_times_are_aware_or_none(get):
    batch = get("believe", status="EXECUTED")
    assert batch.created_at.tzinfo is not None
    assert batch.updated_at > batch.created_at
    bare = get("believe", Quirk.MISSING_FIELDS, status="EXECUTED")
    assert (bare.created_at, bare.updated_at) == (None, None)


@pytest.mark.quirk("B34")
def test_finalized_is_not_final(get):
    batch = get("believe", status="FINALIZED")
    assert (batch.state, batch.is_terminal) == (BatchState.REQUIRES_ACTION, False)


# The table itself.


def rows():
    lines = (ROOT / "specs" / "QUIRKS.md").read_text(encoding="utf-8").splitlines()
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| [GB]\d", line)]
    assert all(len(row) == 5 for row in found)
    return found


def marked():
    """Return which test is marked with each quirk, as the table writes it."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if ast.unparse(mark).startswith("pytest.mark.quirk("):
                        found |= {argument.value: f"{path.name}::{node.name}" for argument in mark.args}
    return found


def test_the_table_has_every_quirk_once():
    """And in order, Gameball's first; a number is never used again, so that none is missing in between."""
    numbers = [row[0] for row in rows()]
    counts = {vendor: sum(number[0] == vendor for number in numbers) for vendor in "GB"}
    assert numbers == [f"{vendor}{number}" for vendor, last in counts.items() for number in range(1, last + 1)]
    assert counts["G"] >= 26
    assert counts["B"] >= 36


def test_every_reachable_quirk_has_its_test():
    """Every quirk that can reach a caller is held by the test that its row names."""
    assert {row[0]: row[4] for row in rows() if row[4] != "-"} == marked()


def test_an_untested_quirk_says_why():
    """A quirk without a test is one that needs none."""
    for number, _, answered, how, test in rows():
        assert (answered == "not needed") is (test == "-"), number
        assert set(answered.split(", ")) <= {"patch", "overlay", "facade", "pull", "not needed"}
        assert how


@pytest.mark.parametrize("vendor", ["gameball", "believe"])
def test_overlays_and_table_tell_the_same_quirks(vendor):
    text = (ROOT / "specs" / f"{vendor}.overlay.yaml").read_text(encoding="utf-8")
    told = set(re.findall(r"\b[GB]\d+\b", text))
    assert {row[0] for row in rows() if "overlay" in row[2] and row[0][0] == vendor[0].upper()} <= told


@pytest.mark.parametrize("quirk", Quirk)
def test_a_switch_names_answered_quirks(quirk):
    """A switch of the simulator names quirks that are answered."""
    answered = {row[0] for row in rows() if row[2] != "not needed"}
    named = set(re.findall(r"\b[GB]\d+\b", quirk.value))
    assert named
    assert named <= answered
