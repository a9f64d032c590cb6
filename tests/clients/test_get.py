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
from batchstatus.testing.simulator import Quirk, Simulator
from batchstatus.testing.simulator.believe import BELIEVE_KEY_WITHOUT_SCOPE
from batchstatus.testing.simulator.gameball import GameballQuirk
from waiting import until

ONCE = RetryPolicy(attempts=1)


def test_every_known_word_is_its_state(reader, simulator):
    """Every word of both tables is read as its state."""
    client = reader(*simulator.accounts())
    for vendor in (Gameball, Believe):
        for word, state in vendor.WORDS.items():
            for spelling in (word, word.upper(), word.lower()):
                batch = client.get(simulator.add(vendor.vendor, status=spelling))
                assert (batch.state, batch.vendor_status) == (state, spelling)


def test_an_unknown_word_is_warned_of_once(reader, simulator, caplog):
    """A word in no table is unknown and warned of once."""
    client = reader(*simulator.accounts())
    refs = [simulator.add("believe", status="ARCHIVED") for _ in range(3)]
    assert {client.get(ref).state for ref in refs} == {BatchState.UNKNOWN}
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    (message,) = [record.getMessage() for record in warnings]
    assert message.startswith(f"{refs[0]}: UNKNOWN (ARCHIVED): unknown status, treated as not terminal; ")


def test_states_add_and_override_words(reader, simulator):
    """States teach a client new words and override old ones."""
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


def test_an_unknown_batch_is_not_found(reader, simulator):
    """An unknown batch is not found at either vendor."""
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


def test_a_429_without_time_is_raised(reader):
    """A full rate that is not waited for is said."""
    with Simulator(clock=lambda: 0.0) as simulator:
        client = reader(*simulator.accounts(rate_limit=None), retry=ONCE)
        ref = simulator.add("believe")
        for _ in range(10):
            client.get(ref)
        with pytest.raises(RateLimited, match=r"HTTP 429, ERR_RATE_LIMITED.*ask less often"):
            client.get(ref)


def test_a_refused_connection_is_explained(reader, simulator):
    """Nobody listening is a transport error that says where to look."""
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


def test_accounts_are_told_apart_by_name(reader, simulator):
    """Several accounts of a vendor are told apart by their names."""
    first, second = (Believe("test-believe-key", base_url=simulator.url, name=name) for name in ("acme", "globex"))
    client = reader(first, second)
    ref = simulator.add("believe", status="EXECUTED")
    assert client.get(f"believe/acme:{ref.id}").ref.account == "acme"
    with pytest.raises(ConfigurationError, match=r"believe/acme:\.\.\., believe/globex:\.\.\."):
        client.get(ref)
    with pytest.raises(ConfigurationError, match="believe/acme:"):
        client.get(f"believe/other:{ref.id}")


def test_an_only_account_needs_no_name(reader, simulator):
    """The only account of a vendor needs no name in a ref."""
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
def test_a_bad_ref_is_refused_unsent(reader, simulator, ref, says):
    """A bad ref is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match=says):
        reader(simulator.account("believe")).get(ref)
    assert simulator.reads == []


@pytest.mark.parametrize(
    "timeout", [0, -1, None, "90", True, float("nan"), float("inf"), 1e10, 10**400], ids=lambda v: f"{v!r:.9}"
)
def test_a_bad_timeout_is_refused_unsent(reader, simulator, timeout):
    """A bad timeout is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="timeout must be a positive number of seconds"):
        reader(*simulator.accounts()).get("believe:1", timeout=timeout)
    assert simulator.reads == []


@pytest.mark.parametrize("client", [BatchClient, AsyncBatchClient])
def test_a_client_needs_distinct_accounts(client):
    """A client needs accounts with names of their own."""
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


def test_one_client_serves_many_threads(simulator):
    """One client serves many threads from its first use."""
    refs = [simulator.add("gameball", status="completed") for _ in range(32)]
    with BatchClient(*simulator.accounts()) as client, ThreadPoolExecutor(32) as pool:
        start = threading.Barrier(32)
        assert [batch.ref for batch in pool.map(lambda ref: start.wait() >= 0 and client.get(ref), refs)] == refs


def test_one_client_serves_many_tasks(simulator):
    """One client serves many tasks from its first use."""
    refs = [simulator.add("believe", status="EXECUTED") for _ in range(100)]

    async def main():
        async with AsyncBatchClient(*simulator.accounts()) as client:
            return await asyncio.gather(*map(client.get, refs))

    assert [batch.ref for batch in asyncio.run(main())] == refs


def test_both_clients_have_the_same_interface():
    """The clients have the same names and parameters."""

    def surface(cls):
        public = {name: method for name, method in inspect.getmembers(cls, callable) if not name.startswith("_")}
        return {
            name: [(field.name, field.kind, field.default) for field in inspect.signature(method).parameters.values()]
            for name, method in {**public, "__init__": cls.__init__}.items()
        }

    assert surface(BatchClient) == surface(AsyncBatchClient)
    assert {"get", "get_many", "wait", "watch", "as_completed", "wait_all", "close"} < surface(BatchClient).keys()


@pytest.mark.parametrize(("vendor", "status"), [("gameball", "completed"), ("believe", "FAILED")])
def test_a_batch_can_be_pickled_and_copied(reader, simulator, vendor, status):
    """A batch that was read survives pickling and copying."""
    batch = reader(*simulator.accounts()).get(simulator.add(vendor, status=status, quirks=[Quirk.MISSING_FIELDS]))
    for twin in (pickle.loads(pickle.dumps(batch)), copy.deepcopy(batch), copy.copy(batch)):
        assert twin == batch
        assert twin.raw.to_dict() == batch.raw.to_dict()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_shares_no_connection(simulator):
    """Over one socket each would get the other's answers, which in the tutorials' shape carry no id to compare."""
    refs = [
        simulator.add("gameball", total=total, status="completed", quirks=[GameballQuirk.TUTORIAL_SHAPE])
        for total in (1, 2)
    ]
    with BatchClient(*simulator.accounts()) as client:
        client.get(refs[0])
        child = os.fork()
        totals = {client.get(refs[child == 0]).counts.total for _ in range(30)}
        if child == 0:
            os._exit(0 if totals == {2} else 1)
        assert totals == {1}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_async_client_moves_between_loops(simulator):
    """An async client serves one event loop after the other."""
    client = AsyncBatchClient(*simulator.accounts())
    ref = simulator.add("believe")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the first loop's idle connection cannot be closed any more
        for _ in range(3):
            assert asyncio.run(client.get(ref)).ref == ref
        asyncio.run(client.close())
        gc.collect()


def test_closing_during_a_read_leaves_nothing(simulator):
    """A client that is closed while it reads leaves no connection behind."""
    ref = simulator.add("believe", quirks=[Quirk.OUTAGE])
    client = BatchClient(*simulator.accounts(), retry=RetryPolicy(attempts=9, first_delay=1.0, max_delay=1.0))
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(client.get, ref)
        until(lambda: simulator.reads)
        client.close()
        with pytest.raises((ConfigurationError, TransportError), match=r"closed|broke"):
            reading.result()
    assert client._transport._pool._free == {}


@pytest.mark.parametrize("call", ["get", "wait"])
def test_another_kind_of_loop_is_refused(call):
    """Under trio a coroutine runs without a loop of asyncio."""
    client = AsyncBatchClient(Believe("test-believe-key"))
    with pytest.raises(ConfigurationError, match="asyncio only"):
        getattr(client, call)("believe:1").send(None)
