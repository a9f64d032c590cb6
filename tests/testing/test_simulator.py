"""The simulator is what the vendors document: over real HTTP, and in process against the vendors' own specs."""

from __future__ import annotations

import functools
import json
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
import schemathesis
import uvicorn_logs
from attrs import frozen
from batchstatus import Account, BatchRef, Believe, Gameball
from batchstatus.testing.simulator import Quirk, Simulator
from batchstatus.testing.simulator.believe import BELIEVE_KEY, BELIEVE_KEY_WITHOUT_SCOPE, BelieveQuirk
from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET, GameballQuirk
from batchstatus.testing.simulator.model import simulated_vendors
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.core.failures import FailureGroup

SPECS = Path(__file__).parent.parent.parent / "specs"
sys.path.insert(0, str(SPECS))
import contract  # noqa: E402 (specs/ holds scripts, not a package)
import sources  # noqa: E402 (the same)

VENDORS = ("gameball", "believe")
OWN_QUIRKS: dict[str, type[Enum]] = {"gameball": GameballQuirk, "believe": BelieveQuirk}
QUIRKS = [*Quirk, *GameballQuirk, *BelieveQuirk]
ACCOUNTS: dict[str, Account] = {
    "gameball": Gameball(GAMEBALL_KEY, GAMEBALL_SECRET),
    "believe": Believe(BELIEVE_KEY),
}
KEYS = {vendor: dict(account.request("1").keys) for vendor, account in ACCOUNTS.items()}
(BELIEVE_HEADER,) = KEYS["believe"]
GAMEBALL_HEADERS = tuple(KEYS["gameball"])
NO_SCOPE = {BELIEVE_HEADER: BELIEVE_KEY_WITHOUT_SCOPE}


def path_of(vendor: str, batch_id: str) -> str:
    """Return the path of a batch's status, as the raw client asks for it."""
    return urlsplit(ACCOUNTS[vendor].request(batch_id).url).path


def error(vendor: str, code: object, message: str) -> dict[str, object]:
    """Return the error body of a code and a message, under the first names of ERROR_FIELDS in the vendor's file."""
    names = ACCOUNTS[vendor].ERROR_FIELDS
    return ({} if code is None else {names["code"][0]: code}) | {names["message"][0]: message}


def contract_of(vendor: str) -> contract.Contract:
    """Return the vendor's spec, as its contract reads it."""
    source = sources.load()[vendor]
    return contract.read(contract.account_of(vendor), source.read(), source.overlay.read_bytes())


def words_of(held: contract.Contract) -> list[str]:
    """Return the status words of the vendor's spec; those of the facade's table if it has none."""
    answer = next(held.schema(response) for status, response in held.responses() if status == "200")
    words = [word for _, word in contract.words(held, contract.properties(held.patched, answer).get("status"))]
    return words or list(held.account.WORDS)


CONTRACTS = {vendor: contract_of(vendor) for vendor in VENDORS}
WORDS = {vendor: words_of(held) for vendor, held in CONTRACTS.items()}
NOON = datetime(2026, 1, 27, 12, tzinfo=UTC)

Ask = Callable[..., httpx.Response]


class Hand:
    """A clock that stands until it is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def ask(http) -> Ask:
    """A function that sends one GET over real HTTP, with good keys unless others are given."""

    def ask(simulator: Simulator, ref: BatchRef, keys: dict[str, str] | None = None) -> httpx.Response:
        request = ACCOUNTS[ref.vendor].request(ref.id)
        url = simulator.url + path_of(ref.vendor, ref.id)
        return http.request(request.method, url, headers=KEYS[ref.vendor] if keys is None else keys)

    return ask


@pytest.fixture(scope="module")
def hand() -> Hand:
    return Hand()


@pytest.fixture
def clock(hand) -> Hand:
    hand.now = 0.0
    return hand


@pytest.fixture(scope="module")
def running(hand) -> Iterator[Simulator]:
    with Simulator(limits=False, clock=hand, epoch=NOON) as simulator:
        yield simulator


@pytest.fixture
def simulator(running, clock) -> Simulator:
    """Without limits, its time moved by hand; one for the whole file, since every start and stop takes 0.2 s."""
    running.reads.clear()
    return running


@pytest.fixture
def limited(clock) -> Iterator[Simulator]:
    """With the documented limits, its time moved by hand."""
    with Simulator(clock=clock) as simulator:
        yield simulator


# Keys


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({}, 1000),
        ({GAMEBALL_HEADERS[1]: GAMEBALL_SECRET}, 1000),
        ({GAMEBALL_HEADERS[0]: "test-unknown", GAMEBALL_HEADERS[1]: GAMEBALL_SECRET}, 1000),
        ({GAMEBALL_HEADERS[0]: GAMEBALL_KEY}, 1001),
        ({GAMEBALL_HEADERS[0]: GAMEBALL_KEY, GAMEBALL_HEADERS[1]: "test-unknown"}, 1001),
    ],
)
def test_gameball_wants_both_keys(ask, simulator, keys, code):
    ref = simulator.add("gameball")
    answer = ask(simulator, ref, keys)
    message = {1000: "The API key is missing or wrong", 1001: "The secret key is missing or wrong"}[code]
    assert answer.status_code == 401
    more = {"type": "AUTHENTICATION_ERROR", "requestId": answer.headers["x-request-id"]}
    assert answer.json() == error("gameball", code, message) | more
    assert ask(simulator, ref).status_code == 200


@pytest.mark.parametrize(
    ("keys", "status", "body"),
    [
        ({}, 401, error("believe", "ERR_UNAUTHORIZED", "API key is missing")),
        ({BELIEVE_HEADER: "test-unknown"}, 401, error("believe", "ERR_KEY_NOT_FOUND", "API key not found")),
        (NO_SCOPE, 403, error("believe", "ERR_KEY_SCOPES_UNAUTHORIZED", "API key lacks the scope")),
    ],
)
def test_believe_wants_a_known_key_with_the_scope(ask, simulator, keys, status, body):
    ref = simulator.add("believe")
    answer = ask(simulator, ref, keys)
    assert (answer.status_code, answer.json()) == (status, body)
    assert ask(simulator, ref).status_code == 200


def test_no_vendor_takes_the_others_keys(ask, simulator):
    for vendor, other in (VENDORS, VENDORS[::-1]):
        assert ask(simulator, simulator.add(vendor), KEYS[other]).status_code == 401


def test_an_id_that_was_not_added_is_not_found(ask, simulator):
    answer = ask(simulator, BatchRef("gameball", "never-added"))
    more = {"type": "NOT_FOUND_ERROR", "requestId": answer.headers["x-request-id"]}
    assert answer.status_code == 404
    assert answer.json() == error("gameball", 4004, "The batch was not found") | more
    answer = ask(simulator, BatchRef("believe", "never-added"))
    assert answer.status_code == 404
    assert answer.json() == error("believe", "ERR_BATCH_NOT_FOUND", "Batch not found")


def test_no_vendor_knows_the_others_batches(ask, simulator):
    for vendor, other in (VENDORS, VENDORS[::-1]):
        ref = simulator.add(vendor)
        assert ask(simulator, ref).status_code == 200
        assert ask(simulator, BatchRef(other, ref.id)).status_code == 404


# Limits


def statuses(ask: Ask, simulator: Simulator, ref: BatchRef, times: int) -> list[int]:
    return [ask(simulator, ref).status_code for _ in range(times)]


def test_believe_takes_10_requests_in_any_second(ask, limited, clock):
    ref = limited.add("believe")
    assert statuses(ask, limited, ref, 4) == [200] * 4
    clock.now = 0.5
    assert statuses(ask, limited, ref, 7) == [200] * 6 + [429]
    clock.now = 0.999
    assert statuses(ask, limited, ref, 1) == [429]
    clock.now = 1.0  # the first 4 are a second old; what was refused does not count
    assert statuses(ask, limited, ref, 5) == [200] * 4 + [429]
    clock.now = 1.5
    assert statuses(ask, limited, ref, 7) == [200] * 6 + [429]


def test_believe_counts_each_key_apart(ask, limited):
    ref = limited.add("believe")
    assert statuses(ask, limited, ref, 11)[-1] == 429
    assert ask(limited, ref, NO_SCOPE).status_code == 403


def test_gameball_takes_30_requests_in_any_second(ask, limited, clock):
    ref = limited.add("gameball")
    assert statuses(ask, limited, ref, 31) == [200] * 30 + [429]
    clock.now = 0.999
    assert statuses(ask, limited, ref, 1) == [429]
    clock.now = 1.0
    assert statuses(ask, limited, ref, 31) == [200] * 30 + [429]


def test_gameball_takes_360_requests_in_30_s(ask, limited, clock):
    """Gameball takes 360 requests in any 30 seconds."""
    ref = limited.add("gameball")
    for second in range(12):
        clock.now = float(second)
        assert statuses(ask, limited, ref, 30) == [200] * 30
    for blocked in (12.0, 20.0, 29.999):
        clock.now = blocked
        assert statuses(ask, limited, ref, 1) == [429]
    clock.now = 30.0
    assert statuses(ask, limited, ref, 31) == [200] * 30 + [429]


def test_gameball_and_believe_are_limited_apart(ask, limited):
    believe, gameball = limited.add("believe"), limited.add("gameball")
    assert statuses(ask, limited, believe, 11)[-1] == 429
    assert statuses(ask, limited, gameball, 30) == [200] * 30


def test_what_is_not_found_counts_as_well(ask, limited):
    missing = BatchRef("believe", "never-added")
    assert statuses(ask, limited, missing, 11) == [404] * 10 + [429]


def test_a_429_has_the_vendors_shape(ask, limited):
    """A 429 says so in the vendors shape and gives no hint."""
    believe, gameball = limited.add("believe"), limited.add("gameball")
    statuses(ask, limited, believe, 10)
    answer = ask(limited, believe)
    assert answer.json() == error("believe", "ERR_RATE_LIMITED", "Too many requests")
    assert "retry-after" not in answer.headers
    statuses(ask, limited, gameball, 30)
    answer = ask(limited, gameball)
    more = {"type": "RATE_LIMIT_ERROR", "requestId": answer.headers["x-request-id"]}
    assert answer.json() == error("gameball", None, "Too many requests") | more
    assert "retry-after" not in answer.headers


def test_limits_can_be_switched_off(ask, simulator):
    assert set(statuses(ask, simulator, simulator.add("believe"), 50)) == {200}
    assert set(statuses(ask, simulator, simulator.add("gameball"), 50)) == {200}


def test_parallel_requests_are_counted_exactly(ask, limited):
    """Requests at the same time are limited and numbered exactly."""
    ref = limited.add("believe")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(limited, ref), range(60)))
    assert Counter(answer.status_code for answer in answers) == {200: 10, 429: 50}
    assert {answer.headers["x-request-id"] for answer in answers} == {f"sim-{n}" for n in range(1, 61)}


def test_all_requests_are_answered_in_one_thread(ask):
    """So that limits are exact, and nothing is raced for."""
    threads = []

    def clock() -> float:
        threads.append(threading.current_thread().name)
        return 0.0

    with Simulator(clock=clock) as simulator:
        refs = [simulator.add(vendor) for vendor in VENDORS]
        threads.clear()
        assert [ask(simulator, ref).status_code for ref in refs] == [200, 200]
    assert set(threads) == {"simulator"}


# Lifecycles


def test_a_gameball_batch_moves_to_its_end(ask, simulator, clock):
    """A gameball batch moves from pending over processing to its end."""
    ref = simulator.add("gameball", seconds=10, total=200, failed=3)
    seen = []
    for now in (0.0, 1.999, 2.0, 5.0, 9.999, 10.0, 1000.0):
        clock.now = now
        body = ask(simulator, ref).json()
        assert len(body["results"]) + len(body["errors"]) == body["processedItems"]
        seen.append((body["status"], body["totalItems"], body["processedItems"], body["failedItems"]))
    assert seen == [
        ("pending", 200, 0, 0),
        ("pending", 200, 0, 0),
        ("processing", 200, 40, 0),
        ("processing", 200, 100, 0),
        ("processing", 200, 199, 2),
        ("completed", 200, 200, 3),
        ("completed", 200, 200, 3),
    ]


def test_a_believe_batch_moves_to_its_end(ask, simulator, clock):
    """A believe batch moves from queued over finalized to its end."""
    ref = simulator.add("believe", seconds=10, total=8, failed=3)
    seen = []
    for now in (0.0, 1.999, 2.0, 9.999, 10.0, 1000.0):
        clock.now = now
        body = ask(simulator, ref).json()
        execution = body.get("executeResult")
        seen.append((body["status"], "initResult" in body, execution and execution["totalFailed"]))
        assert body["dateCreated"] == "2026-01-27T12:00:00.000Z"
    assert seen == [
        ("AVAILABLE_TO_QUEUE", False, None),
        ("AVAILABLE_TO_QUEUE", False, None),
        ("FINALIZED", True, None),
        ("FINALIZED", True, None),
        ("EXECUTED", True, 3),
        ("EXECUTED", True, 3),
    ]
    assert body["dateUpdated"] == "2026-01-27T12:00:10.000Z"
    assert body["executeResult"]["failedOnTransactionIndex"] == 5
    assert body["executeResult"]["failedTxMsg"] == "transaction reverted"


def test_counts_never_go_back(ask, simulator, clock):
    ref = simulator.add("gameball", seconds=7, total=13, failed=4)
    counts = []
    for step in range(80):
        clock.now = step / 10
        body = ask(simulator, ref).json()
        counts.append((body["processedItems"], body["failedItems"]))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == ((0, 0), (13, 4))
    assert len(set(counts)) > 10


def test_a_batch_moves_from_when_it_was_added(ask, simulator, clock):
    clock.now = 100.0
    ref = simulator.add("gameball", seconds=10)
    assert ask(simulator, ref).json()["status"] == "pending"
    clock.now = 110.0
    assert ask(simulator, ref).json()["status"] == "completed"


@pytest.mark.parametrize(("vendor", "word"), [("gameball", "failed"), ("gameball", "stopped"), ("believe", "FAILED")])
def test_a_batch_ends_as_it_was_told_to(ask, simulator, clock, vendor, word):
    ref = simulator.add(vendor, seconds=10, ends=word)
    seen = []
    for clock.now in (0.0, 5.0, 10.0):
        seen.append(ask(simulator, ref).json()["status"])
    words = simulated_vendors()[vendor].words(())
    assert seen == [words.pending, words.running, word]


def test_a_cancelled_batch_comes_half_way_and_never_back(ask, simulator, clock):
    ref, counts = simulator.add("gameball", seconds=10, total=200, ends="stopped"), []
    for clock.now in (0.0, 2.0, 5.0, 9.999, 10.0, 1000.0):
        counts.append(ask(simulator, ref).json()["processedItems"])
    assert counts == [0, 20, 50, 99, 100, 100]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_batch_of_no_seconds_has_ended(ask, simulator, vendor):
    assert (
        ask(simulator, simulator.add(vendor, seconds=0)).json()["status"]
        == simulated_vendors()[vendor].words(()).succeeded
    )


@pytest.mark.parametrize(("vendor", "word"), [(v, word) for v in VENDORS for word in (*WORDS[v], "paused")])
def test_a_standing_status_stands(ask, simulator, clock, vendor, word):
    ref = simulator.add(vendor, status=word)
    first = ask(simulator, ref).json()
    clock.now = 10_000.0
    assert first["status"] == word
    assert ask(simulator, ref).json() == first


@pytest.mark.parametrize(
    ("word", "processed"),
    [
        ("pending", 0),
        ("Queued", 0),
        ("processing", 4),
        ("stopped", 4),
        ("completed", 8),
        ("Completed", 8),
        ("FAILED", 8),
    ],
)
def test_counts_fit_a_standing_word_in_any_case(ask, simulator, word, processed):
    assert ask(simulator, simulator.add("gameball", status=word)).json()["processedItems"] == processed


def test_adding_an_id_again_replaces_its_batch(ask, simulator):
    ref = simulator.add("believe", status="FINALIZED")
    simulator.add("believe", id=ref.id, status="EXECUTED")
    assert ask(simulator, ref).json()["status"] == "EXECUTED"


@pytest.mark.parametrize("failed", [-1, 9])
def test_more_failures_than_items_are_refused(failed):
    with pytest.raises(ValueError, match=f"of 8 items {failed} cannot fail"):
        Simulator().add("believe", total=8, failed=failed)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("batch_id", ["a/b", "a/status", "50%", "a%2Fb", "größe-批", "a b?c#d", "batch_xyz789"])
def test_any_id_survives_the_route(ask, simulator, vendor, batch_id):
    """Any id survives its way through the route."""
    ref = simulator.add(vendor, id=batch_id)
    body = ask(simulator, ref).json()
    assert body[{"gameball": "batchId", "believe": "id"}[vendor]] == batch_id
    assert simulator.reads == [unquote(path_of(vendor, batch_id))]


# Quirks


@frozen
class Effect:
    """Where a caller can see a quirk, and what is there without it and with it."""

    vendor: str
    shows: Callable[[httpx.Response], object]
    without: object
    with_it: object
    batch: Mapping[str, Any] = MappingProxyType({})
    keys: dict[str, str] | None = None


def at(*path: str) -> Callable[[httpx.Response], object]:
    """Return what stands at a place of a body as JSON text, so that 8, 8.0 and "8" differ; None where nothing does."""

    def shows(answer: httpx.Response) -> object:
        value = answer.json()
        for name in path:
            if name not in value:
                return None
            value = value[name]
        return json.dumps(value)

    return shows


def fields(*path: str) -> Callable[[httpx.Response], object]:
    """Return the names at a place of a body."""

    def shows(answer: httpx.Response) -> object:
        value = answer.json()
        for name in path:
            value = value[name]
        return " ".join(name for name in value if name not in added())

    return shows


@functools.cache
def added() -> set[str]:
    """Return the fields that the vendors' specs have got since the simulator's bodies were written."""
    filled = {name for vendor in simulated_vendors().values() for name in vendor.added}
    return filled - set(f"{SPEC_SHAPE} {BELIEVE_SHAPE} progress".split())


def status_and_code(answer: httpx.Response) -> object:
    codes = [name for account in ACCOUNTS.values() for name in account.ERROR_FIELDS["code"]]
    return answer.status_code, next((answer.json()[name] for name in codes if name in answer.json()), None)


def number_of_results(answer: httpx.Response) -> object:
    return len(answer.json()["results"])


def content(answer: httpx.Response) -> object:
    return answer.status_code, answer.headers["content-type"].partition(";")[0]


def id_in_upper_case(answer: httpx.Response) -> object:
    return answer.json()["id"].isupper()


GAMEBALL_ERROR = " ".join(error("gameball", 1, ""))
SPEC_SHAPE = "batchId status totalItems processedItems failedItems results errors"
TUTORIALS = "operation errorCount totalCount finishedCount startedAt createdAt status response"
BELIEVE_SHAPE = (
    "id flywheelId tokenId mintAddress status batchIndex vaultIndex multisig vaultAddress dateCreated dateUpdated"
)
DONE = {"gameball": {"status": "completed"}, "believe": {"status": "EXECUTED"}}
HALF = {"status": "processing"}
OPEN = {"status": "AVAILABLE_TO_QUEUE"}
NO_KEYS: dict[str, str] = {}

EFFECTS: dict[Enum, Sequence[Effect]] = {
    GameballQuirk.TUTORIAL_SHAPE: [
        Effect("gameball", fields(), SPEC_SHAPE, TUTORIALS),
        Effect("gameball", at("status"), '"pending"', '"queued"'),
        Effect("gameball", at("response"), None, "null", {"status": "queued"}),
        Effect("gameball", at("totalCount"), None, "0", {"status": "queued"}),
        Effect("gameball", at("finishedCount"), None, "6", {"status": "completed", "failed": 2}),
    ],
    GameballQuirk.EMPTY_OBJECT: [Effect("gameball", fields(), SPEC_SHAPE, "")],
    GameballQuirk.NUMERIC_ID: [
        Effect("gameball", at("batchId"), '"1748392"', "1748392", {"id": "1748392"}),
    ],
    GameballQuirk.PROGRESS_FRACTION: [
        Effect("gameball", fields(), SPEC_SHAPE, "batchId status progress"),
        Effect("gameball", at("progress"), None, "0.5", HALF),
        Effect("gameball", at("progress"), None, "1.0", DONE["gameball"]),
    ],
    GameballQuirk.PROGRESS_PERCENT: [
        Effect("gameball", fields(), SPEC_SHAPE, "batchId status progress"),
        Effect("gameball", at("progress"), None, "50.0", HALF),
        Effect("gameball", at("progress"), None, "100.0", DONE["gameball"]),
    ],
    GameballQuirk.LONG_RESULTS: [Effect("gameball", number_of_results, 8, 1000, DONE["gameball"])],
    GameballQuirk.OTHER_ERROR_SHAPE: [
        Effect("gameball", fields(), f"{GAMEBALL_ERROR} type requestId", "error message", keys=NO_KEYS),
        Effect("gameball", status_and_code, (401, 1000), (401, 401), keys=NO_KEYS),
    ],
    GameballQuirk.TEXT_CODE: [Effect("gameball", status_and_code, (401, 1000), (401, "1000"), keys=NO_KEYS)],
    BelieveQuirk.INTEGER_CODE: [
        Effect("believe", status_and_code, (401, "ERR_UNAUTHORIZED"), (401, 401), keys=NO_KEYS)
    ],
    BelieveQuirk.SCOPE_IS_401: [
        Effect(
            "believe",
            status_and_code,
            (403, "ERR_KEY_SCOPES_UNAUTHORIZED"),
            (401, "ERR_KEY_SCOPES_UNAUTHORIZED"),
            keys=NO_SCOPE,
        )
    ],
    BelieveQuirk.ONLY_UUIDS: [
        Effect("believe", status_and_code, (200, None), (400, "ERR_INVALID_ID"), {"id": "batch_xyz789"}),
    ],
    BelieveQuirk.NUMERIC_INDEX: [
        Effect("believe", at("batchIndex"), '"42"', "42"),
        Effect("believe", at("vaultIndex"), '"0"', "0"),
    ],
    BelieveQuirk.UPPER_CASE_ID: [Effect("believe", id_in_upper_case, False, True)],
    BelieveQuirk.SETUP_FAILED: [
        Effect("believe", at("initResult", "failedTxMsg"), None, '"setup ran out of funds"', {"status": "FAILED"}),
        Effect("believe", at("initResult", "totalFailed"), "0", "1", {"status": "FAILED"}),
        Effect("believe", at("executeResult", "total"), "8", None, {"status": "FAILED"}),
        Effect("believe", at("status"), '"EXECUTED"', '"FAILED"', {"seconds": 0}),
    ],
    Quirk.CONTRADICTION: [
        Effect("gameball", at("processedItems"), "8", "9", DONE["gameball"]),
        Effect("gameball", at("failedItems"), "0", "10", DONE["gameball"]),
        Effect("believe", at("executeResult", "totalSuccessful"), "8", "9", DONE["believe"]),
    ],
    Quirk.FLOAT_COUNTS: [
        Effect("gameball", at("totalItems"), "8", "8.0"),
        Effect("believe", at("executeResult", "total"), "8", "8.0", DONE["believe"]),
    ],
    Quirk.TEXT_COUNTS: [
        Effect("gameball", at("totalItems"), "8", '"8"'),
        Effect("believe", at("executeResult", "total"), "8", '"8"', DONE["believe"]),
    ],
    Quirk.NULLS: [
        Effect("gameball", at("progress"), None, "null"),
        Effect("believe", at("initResult"), None, "null", OPEN),
        Effect("believe", at("executeResult"), None, "null", OPEN),
        Effect("believe", at("executeResult", "failedTxMsg"), None, "null", DONE["believe"]),
    ],
    Quirk.MISSING_FIELDS: [
        Effect("gameball", fields(), SPEC_SHAPE, "batchId status"),
        Effect("believe", fields(), BELIEVE_SHAPE, "id status", OPEN),
    ],
    Quirk.OUTAGE: [
        Effect("gameball", status_and_code, (200, None), (503, 5003)),
        Effect("believe", status_and_code, (200, None), (503, "ERR_UNAVAILABLE")),
    ],
    Quirk.HTML_ERRORS: [
        Effect("gameball", content, (401, "application/json"), (401, "text/html"), keys=NO_KEYS),
        Effect("believe", content, (401, "application/json"), (401, "text/html"), keys=NO_KEYS),
    ],
}
"""What each quirk changes; RETRY_AFTER has a test of its own, since it shows with a 429 and a 503 alone."""


@pytest.mark.parametrize("quirk", [quirk for quirk in QUIRKS if quirk is not Quirk.RETRY_AFTER])
def test_a_quirk_changes_what_a_caller_receives(ask, simulator, quirk):
    for effect in EFFECTS[quirk]:
        assert effect.without != effect.with_it
        plain = ask(simulator, simulator.add(effect.vendor, **effect.batch), effect.keys)
        assert effect.shows(plain) == effect.without
        odd = ask(simulator, simulator.add(effect.vendor, **effect.batch, quirks=[quirk]), effect.keys)
        assert effect.shows(odd) == effect.with_it


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_quirk_leaves_the_other_vendor_alone(ask, simulator, quirk, vendor):
    """A quirk of one vendor leaves the other alone."""
    concerned = {v for v, own in OWN_QUIRKS.items() if quirk in own} or set(VENDORS)
    assert {effect.vendor for effect in EFFECTS.get(quirk, ())} <= concerned
    if vendor in concerned:
        assert quirk is Quirk.RETRY_AFTER or vendor in {effect.vendor for effect in EFFECTS[quirk]}
        return
    for keys in (KEYS[vendor], NO_KEYS):
        for word in WORDS[vendor]:
            batch = {"id": "same", "status": word, "failed": 1}
            plain = ask(simulator, simulator.add(vendor, **batch), keys)
            odd = ask(simulator, simulator.add(vendor, **batch, quirks=[quirk]), keys)
            assert plain.status_code == odd.status_code
            assert plain.json() | {"requestId": None} == odd.json() | {"requestId": None}


def test_retry_after_comes_by_its_quirk(ask, clock):
    """Retry after comes with a 429 and a 503 by its quirk alone."""
    for quirks, hint in (((), None), ((Quirk.RETRY_AFTER,), "1")):
        with Simulator(quirks=quirks, clock=clock) as simulator:
            for vendor, most in (("believe", 10), ("gameball", 30)):
                down = simulator.add(vendor, quirks=[Quirk.OUTAGE])
                ref = simulator.add(vendor)
                answers = [ask(simulator, down), *(ask(simulator, ref) for _ in range(most))]
                assert [answer.status_code for answer in answers] == [503] + [200] * (most - 1) + [429]
                hints = [answer.headers.get("retry-after") for answer in answers]
                assert hints == [hint] + [None] * (most - 1) + [hint]


def test_a_quirk_for_all_covers_unknown_ids(ask):
    """A quirk for all holds for batches that were not added."""
    with Simulator(quirks=[Quirk.HTML_ERRORS, Quirk.OUTAGE]) as simulator:
        assert content(ask(simulator, BatchRef("believe", "never-added"))) == (503, "text/html")


def test_a_429_has_no_code(ask, limited):
    """A 429 has no code even where codes are text."""
    ref = limited.add("gameball", quirks=[GameballQuirk.TEXT_CODE])
    statuses(ask, limited, ref, 30)
    assert fields()(ask(limited, ref)) == "message type requestId"


def test_an_id_quirk_leaves_other_ids(ask, simulator):
    """A quirk about ids leaves ids of another form."""
    assert (
        at("batchId")(ask(simulator, simulator.add("gameball", id="a-1", quirks=[GameballQuirk.NUMERIC_ID]))) == '"a-1"'
    )
    assert at("id")(ask(simulator, simulator.add("believe", id="a-1", quirks=[BelieveQuirk.UPPER_CASE_ID]))) == '"a-1"'


def test_a_failed_set_up_ends_the_batch(ask, simulator, clock):
    """A set up that fails ends the batch before it is executed."""
    ref = simulator.add("believe", seconds=10, quirks=[BelieveQuirk.SETUP_FAILED])
    seen = []
    for clock.now in (0.0, 2.0, 10.0):
        seen.append(ask(simulator, ref).json()["status"])
    assert seen == ["AVAILABLE_TO_QUEUE", "FAILED", "FAILED"]


# Life


def test_stopping_frees_port_and_thread(ask):
    """Its port is free again and no thread is left."""
    threads = set(threading.enumerate())
    simulator = Simulator()
    with simulator:
        assert len(set(threading.enumerate()) - threads) == 1
        assert ask(simulator, simulator.add("believe")).status_code == 200  # its connection stays open
        port = httpx.URL(simulator.url).port
    assert set(threading.enumerate()) <= threads
    socket.create_server(("127.0.0.1", port)).close()


def test_it_can_be_stopped_before_it_has_begun():
    threads = set(threading.enumerate())
    for _ in range(3):
        simulator = Simulator().start()
        simulator.stop()
        simulator.stop()
        socket.create_server(("127.0.0.1", httpx.URL(simulator.url).port)).close()
    assert set(threading.enumerate()) <= threads


def test_it_can_be_started_again(ask):
    """It can be started twice one after the other and keeps its batches."""
    simulator = Simulator()
    ref = simulator.add("believe")
    with simulator:
        assert ask(simulator, ref).status_code == 200
        first = simulator.url
    with pytest.raises(httpx.ConnectError):
        ask(simulator, ref)
    simulator.start(httpx.URL(first).port)
    try:
        assert simulator.url == first
        assert ask(simulator, ref).status_code == 200
    finally:
        simulator.stop()


def test_it_does_not_start_while_it_listens(ask):
    with Simulator() as simulator:
        url = simulator.url
        with pytest.raises(RuntimeError, match=f"listens already, at {url}"):
            simulator.start()
        assert simulator.url == url
        assert ask(simulator, simulator.add("believe")).status_code == 200


def test_it_listens_on_loopback():
    """It listens on loopback where its accounts point."""
    with Simulator() as simulator:
        assert httpx.URL(simulator.url).host == "127.0.0.1"
        assert [account.base_url for account in simulator.accounts()] == [simulator.url] * 2


def test_accounts_need_an_address():
    """Else they would be accounts at the vendors' own addresses."""
    simulator = Simulator()
    assert simulator.url == ""
    with pytest.raises(RuntimeError, match="no address yet"):
        simulator.accounts()


def test_it_leaves_logging_alone():
    """An application under test may be served by uvicorn itself."""
    with uvicorn_logs.left_alone(), Simulator() as simulator:
        assert httpx.get(simulator.url).status_code == 404


def test_every_request_is_listed(ask, simulator):
    ask(simulator, BatchRef("gameball", "17"), {})
    ask(simulator, BatchRef("believe", "18"))
    assert simulator.reads == [path_of("gameball", "17"), path_of("believe", "18")]


# In process, against the vendors' own specs

Breach = tuple[int, str, str]
"""What schemathesis refuses: the HTTP status, its failure's class, and where in the body."""

ERRORS = {"gameball": (401, 404, 429, 503), "believe": (401, 403, 404, 429, 503)}
"""The statuses of the simulator's errors."""


def page_against_spec(vendor: str) -> set[Breach]:
    """Return where the vendor's page breaks its own spec; nothing else is excluded.

    Statuses that its spec does not declare (G4, B6, B7, B9), and a code of another type than the page shows (B4).
    """
    held = CONTRACTS[vendor]
    declared = {int(status): held.schema(response) for status, response in held.responses() if status.isdecimal()}
    (code, *_) = held.account.ERROR_FIELDS["code"]
    found = {(status, "UndefinedStatusCode", "") for status in ERRORS[vendor] if status not in declared}
    for status, error in declared.items():
        field = contract.properties(held.patched, error).get(code) if error and status in ERRORS[vendor] else None
        if field and contract.types(held.patched, field) == {"number"} and vendor == "believe":
            found.add((status, "JsonSchemaError", code))
    return found | {(503, "ServerError", "")}  # schemathesis refuses any


PAGE_AGAINST_SPEC = {vendor: page_against_spec(vendor) for vendor in VENDORS}


def operation(vendor: str, app: Any) -> Any:
    """Return the operation that the facade calls, from the vendor's own spec, to be called in process."""
    schema = schemathesis.openapi.from_path(SPECS / f"{vendor}.yaml")
    schema.app = app
    called = CONTRACTS[vendor].operation
    return schema[called.path][called.method.upper()]


def id_parameter(vendor: str) -> str:
    """Return the name of the path's parameter."""
    (name,) = re.findall(r"{(.+?)}", CONTRACTS[vendor].operation.path)
    return name


def breaches(vendor: str, case: Any, keys: dict[str, str]) -> tuple[Any, dict[Breach, str]]:
    """Return an answer and where it breaks the spec, each with what to do about it."""
    response = case.call(headers=keys)
    try:
        case.validate_response(response, headers=keys)
    except FailureGroup as group:
        return response, dict(explained(vendor, response.status_code, one) for one in group.exceptions)
    return response, {}


def explained(vendor: str, status: int, failure: Any) -> tuple[Breach, str]:
    place = "/".join(map(str, getattr(failure, "instance_path", ())))
    said = " ".join(str(failure.message).split())[:200]
    method = "body" if status == 200 else "the order of ERROR_FIELDS in the vendor's file, or error_body and refuse"
    file = f"facade/batchstatus/testing/simulator/{vendor}.py"
    text = f"specs/{vendor}.yaml wants another {place or 'answer'} with {status} ({said}): change {method} in {file}"
    return (status, type(failure).__name__, place), text


def answered(ref: BatchRef, app: Any, keys: dict[str, str] | None = None) -> tuple[int, Any, dict[Breach, str]]:
    """Return the status and the body of the answer about one batch, and where it breaks the spec."""
    case = operation(ref.vendor, app).Case(path_parameters={id_parameter(ref.vendor): quote(ref.id, safe="")})
    response, found = breaches(ref.vendor, case, KEYS[ref.vendor] if keys is None else keys)
    return response.status_code, response.json() if "json" in content_type(response) else None, found


def content_type(response: Any) -> str:
    return " ".join(response.headers.get("content-type", []))


def breaches_of(ref: BatchRef, app: Any, keys: dict[str, str] | None = None) -> set[Breach]:
    """Return where the answer about one batch breaks the spec."""
    return set(answered(ref, app, keys)[2])


def unexcused(vendor: str, found: Mapping[Breach, str], statuses: Iterable[str] = ()) -> list[str]:
    """Return what to do about the breaches that are the simulator's own: a word of WORDS may be in no enum."""
    excused = PAGE_AGAINST_SPEC[vendor] | {(200, "JsonSchemaError", name) for name in added()}
    if not set(statuses) <= {*WORDS[vendor]} and set(statuses) <= {*ACCOUNTS[vendor].WORDS}:
        excused.add((200, "JsonSchemaError", "status"))
    return [text for breach, text in found.items() if breach not in excused]


def fuzz(vendor: str, app: Any, known: Sequence[BatchRef], examples: int) -> tuple[Counter[int], dict[Breach, str]]:
    """Ask for ids that schemathesis makes and for known ones; return how often each status came, and all breaches."""
    asked: Counter[int] = Counter()
    found: dict[Breach, str] = {}
    ids = st.one_of(st.none(), st.sampled_from([quote(ref.id, safe="") for ref in known]))

    @given(case=operation(vendor, app).as_strategy(), batch_id=ids)
    @settings(max_examples=examples, derandomize=True, database=None, deadline=None)
    def check(case: Any, batch_id: str | None) -> None:
        if batch_id is not None:
            case.path_parameters[id_parameter(vendor)] = batch_id
        response, broken = breaches(vendor, case, KEYS[vendor])
        asked[response.status_code] += 1
        found.update(broken)

    check()
    return asked, found


@pytest.fixture
def in_process(clock) -> tuple[Simulator, dict[str, list[BatchRef]]]:
    """A simulator that does not listen, with batches of each status and each phase."""
    simulator = Simulator(limits=False, clock=clock, epoch=NOON)
    known = {
        vendor: [
            *(simulator.add(vendor, status=word, failed=failed) for word in words for failed in (0, 2, 8)),
            *(simulator.add(vendor, seconds=seconds, failed=2) for seconds in (1, 6, 8, 100)),
        ]
        for vendor, words in WORDS.items()
    }
    known["gameball"] += [simulator.add("gameball", id=made) for made in ("a/b", "50%", "größe-批")]
    clock.now = 5.0
    return simulator, known


@pytest.mark.parametrize("vendor", VENDORS)
def test_all_answers_fit_the_spec(in_process, vendor):
    """All answers are what the vendors spec says."""
    simulator, known = in_process
    asked, found = fuzz(vendor, simulator.app, known[vendor], 50)
    assert set(asked) == {200, 404}
    assert min(asked.values()) >= 10
    words = simulated_vendors()[vendor].words(())
    assert unexcused(vendor, found, [words.pending, words.running, words.succeeded]) == []


@pytest.mark.parametrize(
    ("vendor", "breach"),
    [
        pytest.param(vendor, breach, id=f"{vendor} {breach[0]} {breach[1]}")
        for vendor, table in PAGE_AGAINST_SPEC.items()
        for breach in sorted(table)
    ],
)
def test_the_page_breaks_its_own_spec(clock, vendor, breach):
    """So that no exclusion outlives its reason."""
    simulator = Simulator(limits=breach[0] == 429, clock=clock)
    ref = {404: BatchRef(vendor, "never-added")}.get(breach[0]) or simulator.add(vendor)
    down = simulator.add(vendor, quirks=[Quirk.OUTAGE])
    keys = {401: NO_KEYS, 403: NO_SCOPE}.get(breach[0])
    if breach[0] == 429:
        for _ in range({"gameball": 30, "believe": 10}[vendor]):
            assert answered(ref, simulator.app)[0] == 200
    assert breach in breaches_of(down if breach[0] == 503 else ref, simulator.app, keys)


def test_believes_error_fits_its_spec():
    """The other way round: with the integer that the spec wants, nothing is left to exclude."""
    simulator = Simulator(quirks=[BelieveQuirk.INTEGER_CODE])
    broken = breaches_of(BatchRef("believe", "never-added"), simulator.app)
    assert broken.isdisjoint(PAGE_AGAINST_SPEC["believe"])


@pytest.mark.parametrize("vendor", VENDORS)
def test_documented_words_fit_the_spec(in_process, clock, vendor):
    """Every body of a documented word fits the spec."""
    simulator, known = in_process
    for clock.now in (0.0, 1.0, 2.0, 5.0, 50.0, 100.0):
        for ref in known[vendor]:
            status, body, found = answered(ref, simulator.app)
            assert unexcused(vendor, found, [body["status"]]) == [], (ref, clock.now, status)


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_unknown_word_breaks_the_enum_only(vendor):
    """A word outside the enum breaks the spec there alone."""
    simulator = Simulator()
    found = answered(simulator.add(vendor, status="unheard of"), simulator.app)[2]
    found.pop((200, "JsonSchemaError", "status"), None)  # an open enum has none
    assert unexcused(vendor, found) == []


BREAKING = {
    "gameball": {
        GameballQuirk.NUMERIC_ID: {"batchId"},
        Quirk.TEXT_COUNTS: {"totalItems", "processedItems", "failedItems"},
        Quirk.NULLS: {"progress"},
    },
    "believe": {
        BelieveQuirk.NUMERIC_INDEX: {"batchIndex", "vaultIndex"},
        Quirk.TEXT_COUNTS: {
            f"{result}/{count}"
            for result in ("initResult", "executeResult")
            for count in ("total", "totalSuccessful", "totalFailed")
        },
        Quirk.NULLS: {"initResult/failedTxMsg", "executeResult/failedTxMsg"},
        Quirk.MISSING_FIELDS: {""},  # of the object itself: fields that it requires
    },
}
"""The quirks with which a 200 is no longer what the spec says; the others live within it."""


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("quirk", [quirk for quirk in QUIRKS if quirk is not Quirk.OUTAGE])
def test_a_quirk_breaks_its_part_of_the_spec(quirk, vendor):
    """A quirk breaks the spec of a 200 only where its name says so."""
    simulator = Simulator(quirks=[quirk])
    plain = Simulator()
    without = breaches_of(plain.add(vendor, **DONE[vendor]), plain.app)
    found = breaches_of(simulator.add(vendor, **DONE[vendor]), simulator.app)
    assert {place for _, _, place in found - without} <= BREAKING[vendor].get(quirk, set())


class Planted:
    """The simulator's application with a bug: what it answers is changed on its way out."""

    def __init__(self, app: Any, bug: Callable[[dict[str, Any]], object], keys: list[tuple[bytes, bytes]]) -> None:
        self.app = app
        self.bug = bug
        self.keys = keys

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        messages: list[dict[str, Any]] = []

        async def keep(message: dict[str, Any]) -> None:
            messages.append(message)

        await self.app({**scope, "headers": [*self.keys, *scope["headers"]]}, receive, keep)
        answer = {**messages[0], "body": json.loads(messages[1]["body"])}
        if answer["status"] == 200:
            self.bug(answer)
        body = json.dumps(answer["body"]).encode()
        headers = [(name, value) for name, value in answer["headers"] if name != b"content-length"]
        await send({"type": "http.response.start", "status": answer["status"], "headers": headers})
        await send({"type": "http.response.body", "body": body})


def change(**fields: Any) -> Callable[[dict[str, Any]], object]:
    """Return a bug that sets fields of a body."""
    return lambda answer: answer["body"].update(fields)


def drop(field: str) -> Callable[[dict[str, Any]], object]:
    return lambda answer: answer["body"].pop(field)


def respond(**parts: Any) -> Callable[[dict[str, Any]], object]:
    """Return a bug that sets parts of an answer."""
    return lambda answer: answer.update(parts)


def execution_without_total(answer: dict[str, Any]) -> None:
    answer["body"].get("executeResult", {}).pop("total", None)


GOOD_KEYS = {vendor: [(name.encode(), value.encode()) for name, value in keys.items()] for vendor, keys in KEYS.items()}

PLANTED = {
    "totals as text": ("gameball", change(totalItems="8"), [], (200, "JsonSchemaError", "totalItems")),
    "a word in upper case": ("gameball", change(status="PENDING"), [], (200, "JsonSchemaError", "status")),
    "results by name": ("gameball", change(results={}), [], (200, "JsonSchemaError", "results")),
    "a list instead of an object": ("gameball", respond(body=[]), [], (200, "JsonSchemaError", "")),
    "202 instead of 200": ("gameball", respond(status=202), [], (202, "UndefinedStatusCode", "")),
    "no type of content": ("gameball", respond(headers=[]), [], (200, "MissingContentType", "")),
    "no key needed": ("gameball", respond(), GOOD_KEYS["gameball"], (200, "IgnoredAuth", "")),
    "no id": ("believe", drop("id"), [], (200, "JsonSchemaError", "")),
    "the id as a number": ("believe", change(id=17), [], (200, "JsonSchemaError", "id")),
    "a date that is none": ("believe", change(dateUpdated="soon"), [], (200, "JsonSchemaError", "dateUpdated")),
    "no total of the execution": ("believe", execution_without_total, [], (200, "JsonSchemaError", "executeResult")),
    "a crash": ("believe", respond(status=500), [], (500, "ServerError", "")),
    "another form of content": (
        "believe",
        respond(headers=[(b"content-type", b"text/plain")]),
        [],
        (200, "UndefinedContentType", ""),
    ),
    "no key needed there": ("believe", respond(), GOOD_KEYS["believe"], (200, "IgnoredAuth", "")),
}


@pytest.mark.parametrize(("vendor", "bug", "keys", "breach"), PLANTED.values(), ids=PLANTED)
def test_a_planted_bug_is_found(in_process, vendor, bug, keys, breach):
    """So that the check against the spec can fail."""
    simulator, known = in_process
    _, found = fuzz(vendor, Planted(simulator.app, bug, keys), known[vendor], 30)
    assert breach in found.keys() - PAGE_AGAINST_SPEC[vendor]
    assert f"facade/batchstatus/testing/simulator/{vendor}.py" in found[breach]
