"""Both clients over real HTTP: what they read, what they refuse before sending, how they close."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import logging
import os
import pickle
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from batchstatus import (
    AsyncBatchClient,
    AuthenticationError,
    BatchClient,
    BatchNotFound,
    BatchRef,
    BatchState,
    Believe,
    ConfigurationError,
    Gameball,
    PermissionDenied,
    RateLimited,
    RetryPolicy,
    ServerError,
    TransportError,
)
from batchstatus.testing.simulator import BELIEVE_KEY_WITHOUT_SCOPE, Quirk, Simulator
from waiting import until

ONCE = RetryPolicy(attempts=1)


def test_every_word_of_both_tables_is_read_as_its_state(reader, simulator):
    client = reader(*simulator.accounts())
    for vendor in (Gameball, Believe):
        for word, state in vendor.WORDS.items():
            for spelling in (word, word.upper(), word.lower()):
                batch = client.get(simulator.add(vendor.vendor, status=spelling))
                assert (batch.state, batch.vendor_status) == (state, spelling)


def test_a_word_in_no_table_is_unknown_and_warned_of_once(reader, simulator, caplog):
    client = reader(*simulator.accounts())
    refs = [simulator.add("believe", status="ARCHIVED") for _ in range(3)]
    assert {client.get(ref).state for ref in refs} == {BatchState.UNKNOWN}
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    (message,) = [record.getMessage() for record in warnings]
    assert message.startswith(f"{refs[0]}: UNKNOWN (ARCHIVED): unknown status, treated as not terminal; ")


def test_states_teach_a_client_new_words_and_override_old_ones(reader, simulator):
    states = {"Archived": BatchState.SUCCEEDED, "FINALIZED": BatchState.RUNNING}
    client = reader(Believe("test-believe-key", base_url=simulator.url, states=states))
    assert client.get(simulator.add("believe", status="ARCHIVED")).state is BatchState.SUCCEEDED
    assert client.get(simulator.add("believe", status="finalized")).state is BatchState.RUNNING
    assert client.get(simulator.add("believe", status="EXECUTED")).state is BatchState.SUCCEEDED


def test_a_batch_is_read_as_it_moves(reader):
    now = [0.0]
    with Simulator(clock=lambda: now[0]) as simulator:
        client = reader(*simulator.accounts())
        ref = simulator.add("gameball", total=200, failed=2, seconds=100)
        seen = []
        for now[0] in (0.0, 50.0, 100.0):
            batch = client.get(ref)
            seen.append((batch.state, batch.progress))
    assert seen == [(BatchState.PENDING, 0.0), (BatchState.RUNNING, 0.5), (BatchState.SUCCEEDED, 1.0)]
    assert batch.is_partial


@pytest.mark.parametrize(
    ("account", "cls", "says"),
    [
        (lambda url: Believe("test-other-key", base_url=url), AuthenticationError, "ERR_KEY_NOT_FOUND"),
        (lambda url: Believe(BELIEVE_KEY_WITHOUT_SCOPE, base_url=url), PermissionDenied, "scope burn or airdrop"),
        (
            lambda url: Gameball("test-other-key", "test-gameball-secret", base_url=url),
            AuthenticationError,
            "secret_key",
        ),
        (lambda url: Gameball("test-gameball-key", "test-other-key", base_url=url), AuthenticationError, "1001"),
    ],
    ids=["unknown-key", "no-scope", "wrong-key", "wrong-secret"],
)
def test_a_refused_key_says_so_and_what_to_do(reader, simulator, account, cls, says):
    made = account(simulator.url)
    with pytest.raises(cls, match=says) as caught:
        reader(made).get(simulator.add(made.vendor))
    assert "test-" not in str(caught.value)
    assert len(simulator.reads) == 1


def test_an_unknown_batch_is_not_found_at_either_vendor(reader, simulator):
    client = reader(*simulator.accounts())
    for ref, code in (("gameball:404", "4004"), ("believe:nope", "ERR_BATCH_NOT_FOUND")):
        with pytest.raises(BatchNotFound) as caught:
            client.get(ref)
        assert (caught.value.code, caught.value.ref, caught.value.attempts) == (code, BatchRef.parse(ref), 1)


def test_an_outage_is_retried_and_then_said(reader, simulator):
    client = reader(*simulator.accounts(), retry=RetryPolicy(first_delay=0.01))
    with pytest.raises(ServerError, match="HTTP 503") as caught:
        client.get(simulator.add("believe", quirks=[Quirk.OUTAGE]))
    assert caught.value.attempts == len(simulator.reads) == 4


def test_a_full_rate_that_is_not_waited_for_is_said(reader):
    with Simulator(clock=lambda: 0.0) as simulator:
        client = reader(*simulator.accounts(rate_limit=None), retry=ONCE)
        ref = simulator.add("believe")
        for _ in range(10):
            client.get(ref)
        with pytest.raises(RateLimited, match=r"HTTP 429, ERR_RATE_LIMITED.*ask less often"):
            client.get(ref)


def test_nobody_listening_is_a_transport_error_that_says_where_to_look(reader, simulator):
    url = simulator.url
    simulator.stop()
    with pytest.raises(TransportError, match=r"believe:1: cannot connect; check the address.*Errno 111") as caught:
        reader(Believe("test-believe-key", base_url=url), retry=ONCE).get("believe:1")
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_an_id_reaches_the_vendor_as_it_is(reader, simulator):
    client = reader(*simulator.accounts())
    for batch_id in ("a/b", "%2e%2e", "é ü", "a?b=c#d", "x" * 256, "+&;="):
        assert client.get(simulator.add("gameball", id=batch_id, status="completed")).ref.id == batch_id
        assert client.get(simulator.add("believe", id=batch_id, status="EXECUTED")).ref.id == batch_id


def test_several_accounts_of_a_vendor_are_told_apart_by_their_names(reader, simulator):
    first, second = (Believe("test-believe-key", base_url=simulator.url, name=name) for name in ("acme", "globex"))
    client = reader(first, second)
    ref = simulator.add("believe", status="EXECUTED")
    assert client.get(f"believe/acme:{ref.id}").ref.account == "acme"
    with pytest.raises(ConfigurationError, match=r"believe/acme:\.\.\., believe/globex:\.\.\."):
        client.get(ref)
    with pytest.raises(ConfigurationError, match="believe/acme:"):
        client.get(f"believe/other:{ref.id}")


def test_the_only_account_of_a_vendor_needs_no_name_in_a_ref(reader, simulator):
    client = reader(Believe("test-believe-key", base_url=simulator.url, name="acme"))
    ref = simulator.add("believe", status="EXECUTED")
    assert client.get(ref).ref == ref


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("gameball:1", "no account at 'gameball', only at believe"),
        ("other:1", "no account at 'other', only at believe"),
        ("1748392", "vendor:id"),
        ("believe:..", "path segment"),
        (None, "vendor:id"),
        ("believe/x:1", "believe:..."),
    ],
)
def test_a_bad_ref_is_refused_before_anything_is_sent(reader, simulator, ref, says):
    with pytest.raises(ConfigurationError, match=says):
        reader(simulator.accounts()[1]).get(ref)
    assert simulator.reads == []


@pytest.mark.parametrize(
    "timeout", [0, -1, None, "90", True, float("nan"), float("inf"), 1e10, 10**400], ids=lambda v: f"{v!r:.9}"
)
def test_a_bad_timeout_is_refused_before_anything_is_sent(reader, simulator, timeout):
    with pytest.raises(ConfigurationError, match="timeout must be a positive number of seconds"):
        reader(*simulator.accounts()).get("believe:1", timeout=timeout)
    assert simulator.reads == []


@pytest.mark.parametrize("client", [BatchClient, AsyncBatchClient])
def test_a_client_needs_accounts_with_names_of_their_own(client):
    with pytest.raises(ConfigurationError, match="needs an account"):
        client()
    with pytest.raises(ConfigurationError, match="two accounts at believe"):
        client(Believe("test-key"), Believe("test-key"))
    with pytest.raises(ConfigurationError, match="not str"):
        client("test-key")
    with pytest.raises(ConfigurationError, match="proxy must be a URL"):
        client(Believe("test-key"), proxy="not a proxy")
    with pytest.raises(ConfigurationError, match="retry is a RetryPolicy"):
        client(Believe("test-key"), retry=None)
    with pytest.raises(ConfigurationError, match="poll is a PollPolicy"):
        client(Believe("test-key"), poll=30.0)


def test_a_closed_client_says_so(reader, simulator):
    client = reader(*simulator.accounts())
    client.get(simulator.add("believe"))
    client.close()
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.get("believe:1")


def test_the_context_manager_closes():
    with BatchClient(Believe("test-key")) as client:
        pass
    with pytest.raises(ConfigurationError, match="closed"):
        client.get("believe:1")

    async def main():
        async with AsyncBatchClient(Believe("test-key")) as client:
            pass
        with pytest.raises(ConfigurationError, match="closed"):
            await client.get("believe:1")

    asyncio.run(main())


def test_one_client_serves_many_threads_from_its_first_use(simulator):
    refs = [simulator.add("gameball", status="completed") for _ in range(32)]
    with BatchClient(*simulator.accounts()) as client, ThreadPoolExecutor(32) as pool:
        start = threading.Barrier(32)
        assert [batch.ref for batch in pool.map(lambda ref: start.wait() >= 0 and client.get(ref), refs)] == refs


def test_one_client_serves_many_tasks_from_its_first_use(simulator):
    refs = [simulator.add("believe", status="EXECUTED") for _ in range(100)]

    async def main():
        async with AsyncBatchClient(*simulator.accounts()) as client:
            return await asyncio.gather(*map(client.get, refs))

    assert [batch.ref for batch in asyncio.run(main())] == refs


def test_the_clients_have_the_same_names_and_parameters():
    def surface(cls):
        public = {name: method for name, method in inspect.getmembers(cls, callable) if not name.startswith("_")}
        return {
            name: [(field.name, field.kind, field.default) for field in inspect.signature(method).parameters.values()]
            for name, method in {**public, "__init__": cls.__init__}.items()
        }

    assert surface(BatchClient) == surface(AsyncBatchClient)
    assert {"get", "get_many", "wait", "watch", "as_completed", "wait_all", "close"} < surface(BatchClient).keys()


@pytest.mark.parametrize(("vendor", "status"), [("gameball", "completed"), ("believe", "FAILED")])
def test_a_batch_that_was_read_survives_pickling_and_copying(reader, simulator, vendor, status):
    batch = reader(*simulator.accounts()).get(simulator.add(vendor, status=status, quirks=[Quirk.MISSING_FIELDS]))
    for twin in (pickle.loads(pickle.dumps(batch)), copy.deepcopy(batch), copy.copy(batch)):
        assert twin == batch
        assert twin.raw.to_dict() == batch.raw.to_dict()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_share_its_parents_connections(simulator):
    """Over one socket each would get the other's answers, which in the tutorials' shape carry no id to compare."""
    refs = [
        simulator.add("gameball", total=total, status="completed", quirks=[Quirk.TUTORIAL_SHAPE]) for total in (1, 2)
    ]
    with BatchClient(*simulator.accounts()) as client:
        client.get(refs[0])
        child = os.fork()
        totals = {client.get(refs[child == 0]).counts.total for _ in range(30)}
        if child == 0:
            os._exit(0 if totals == {2} else 1)
        assert totals == {1}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_async_client_serves_one_event_loop_after_the_other(simulator):
    client = AsyncBatchClient(*simulator.accounts())
    ref = simulator.add("believe")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the first loop's idle connection cannot be closed any more
        for _ in range(3):
            assert asyncio.run(client.get(ref)).ref == ref
        asyncio.run(client.close())
        gc.collect()


def test_a_client_that_is_closed_while_it_reads_leaves_no_connection_behind(simulator):
    ref = simulator.add("believe", quirks=[Quirk.OUTAGE])
    client = BatchClient(*simulator.accounts(), retry=RetryPolicy(attempts=9, first_delay=1.0, max_delay=1.0))
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(client.get, ref)
        until(lambda: simulator.reads)
        client.close()
        with pytest.raises((ConfigurationError, TransportError), match=r"closed|broke"):
            reading.result()
    assert client._transport._pool._free == {}
