"""The pace of an account: slots, 429s, and who shares a gate."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from batchstatus import (
    AsyncBatchClient,
    BatchClient,
    Believe,
    ConfigurationError,
    Gameball,
    RateLimit,
    RequestTimeout,
    account_from_env,
)
from batchstatus._clients.clock import REAL
from batchstatus._clients.shared_pace import pace_for
from batchstatus._core.pacing import PaceState
from batchstatus.service.store import Store
from batchstatus.testing import FakeClock
from batchstatus.testing.simulator import Quirk, Simulator
from batchstatus.testing.simulator.believe import BELIEVE_KEY
from hypothesis import given
from hypothesis import strategies as st
from waiting import HANG, LONG


def test_slots_are_spaced_at_0_9_of_the_limit():
    """Slots are spaced at nine tenths of the limit."""
    assert 1 / PaceState.of_limit(Believe.RATE_LIMIT).spacing == pytest.approx(9.0)
    assert 1 / PaceState.of_limit(Gameball.RATE_LIMIT).spacing == pytest.approx(10.8)


@given(
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
    limit=st.builds(RateLimit, st.integers(1, 50), st.floats(0.1, 30)),
)
def test_no_window_exceeds_the_limit(gaps, limit):
    gate, now, slots = PaceState(PaceState.of_limit(limit).spacing), 0.0, []
    for gap in gaps:
        now += gap
        slots.append(now + gate.reserve(now, float("inf")))
    assert slots == sorted(slots)
    for first, last in zip(slots, slots[limit.requests :], strict=False):
        assert last - first >= limit.seconds


@given(moves=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=60))
def test_slots_given_back_are_used_again(moves):
    """The next one goes to who asks next; those that are kept are spaced, and none is in the past."""
    gate, now, kept, given_back = PaceState(1.0), 0.0, [], []
    for gap, draw in moves:
        now += gap
        if draw < 0.4 and (ahead := [slot for slot in kept if slot > now]):
            slot = ahead[int(draw / 0.4 * len(ahead)) % len(ahead)]
            kept.remove(slot)
            given_back.append(slot)
            gate.release(slot)
        else:
            slot = now + gate.reserve(now, float("inf"))
            waiting = [other for other in given_back if other >= now]
            assert slot >= now
            assert not waiting or slot <= min(waiting) + 1e-9
            given_back = [other for other in waiting if other > slot + 1e-9]
            kept.append(slot)
    kept.sort()
    assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in itertools.pairwise(kept))


@pytest.mark.parametrize("method", ["get", "wait", "get_many"])
def test_cancelled_reads_give_their_slots_back(method):
    """A hundred that wait for theirs; the read after them is not put off by ten seconds."""

    async def main(simulator):
        account = Believe(BELIEVE_KEY, base_url=simulator.url, rate_limit=RateLimit(10))
        ref = simulator.add("believe", status="EXECUTED")
        async with AsyncBatchClient(account) as client:
            argument = [ref] if method == "get_many" else ref
            tasks = [asyncio.create_task(getattr(client, method)(argument, timeout=60)) for _ in range(100)]
            await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            return (await client.get(ref, timeout=LONG)).elapsed

    with Simulator(limits=False) as simulator:
        assert asyncio.run(main(simulator)) < HANG


def test_a_slot_of_a_store_can_be_given_back(tmp_path):
    with Store(tmp_path / "store.sqlite3") as store:
        pace, other = (store.pace("believe", RateLimit(1, 10.0)) for _ in range(2))
        now = time.monotonic()
        waits = [pace.reserve(now, now + LONG) for _ in range(3)]
        assert waits == pytest.approx([0.0, 11.1, 22.2], abs=0.5)
        pace.release(now + waits[1])
        assert other.reserve(now, now + LONG) == pytest.approx(waits[1], abs=0.1)


def test_an_idle_gate_saves_no_slots_up():
    gate = PaceState(1.0)
    assert [gate.reserve(100.0, 200.0) for _ in range(3)] == [0.0, 1.0, 2.0]


def test_a_slot_that_comes_too_late_is_not_booked():
    gate = PaceState(1.0)
    assert gate.reserve(0.0, 10.0) == 0.0
    assert [gate.reserve(0.0, 1.0) for _ in range(5)] == [None] * 5
    assert gate.reserve(0.0, 1.5) == 1.0


def test_a_429_closes_and_slows_the_pace():
    """A 429 closes the gate and slows it until the vendor is content."""
    gate = PaceState(1.0)
    gate.refused(0.0, 7.0)
    assert [gate.reserve(0.0, 99.0) for _ in range(3)] == [7.0, 9.0, 11.0]
    for _ in range(14):
        gate.accepted()
    assert gate.reserve(13.0, 99.0) == 0.0
    assert gate.reserve(13.0, 99.0) == pytest.approx(1.0)


def test_429s_in_flight_together_count_once():
    """429s of reads that were under way together slow the gate once."""
    gate = PaceState(1.0)
    for _ in range(30):
        gate.refused(0.0, 5.0)
    assert [gate.reserve(5.0, 99.0) for _ in range(2)] == [0.0, 2.0]


def test_a_pace_is_16_times_slower_at_most():
    """A gate never gets slower than sixteen times."""
    gate = PaceState(1.0)
    for second in range(50):
        gate.refused(float(second), 1.0)
    assert [gate.reserve(50.0, 99.0) for _ in range(2)] == [0.0, 16.0]


def test_one_credential_has_one_pace(reader):
    """The clock is moved by the pauses alone, so the pauses of 30 reads tell their spacing."""
    clock = FakeClock()
    with Simulator(clock=clock.monotonic) as simulator:
        ref = simulator.add("believe", status="EXECUTED")
        clients = [reader(*simulator.accounts(), clock=clock) for _ in range(3)]
        assert [clients[n % 3].get(ref).attempts for n in range(30)] == [1] * 30
    assert clock.now == pytest.approx(29 / 9)


def test_the_vendors_have_gates_of_their_own(reader):
    clock = FakeClock()
    with Simulator(clock=clock.monotonic) as simulator:
        client = reader(*simulator.accounts(), clock=clock)
        for vendor in ("gameball", "believe"):
            client.get(simulator.add(vendor))
    assert clock.now == 0.0


def test_no_rate_limit_means_no_pace(reader):
    clock = FakeClock()
    with Simulator(limits=False) as simulator:
        client = reader(*simulator.accounts(), clock=clock)
        for _ in range(30):
            client.get(simulator.add("believe"))
    assert clock.now == 0.0


def test_a_read_without_a_slot_is_refused(reader):
    """A read that gets no slot in time is refused and leaves its slot to others."""
    clock = FakeClock()
    with Simulator() as simulator:
        client = reader(*simulator.accounts(rate_limit=RateLimit(1, 9.0)), clock=clock)
        ref = simulator.add("believe")
        client.get(ref)
        for _ in range(3):
            with pytest.raises(RequestTimeout, match="nothing was sent: the pace"):
                client.get(ref, timeout=5)
        client.get(ref, timeout=11)
    assert clock.now == pytest.approx(10.0)


def test_a_429_holds_for_every_client(reader):
    """A 429 is obeyed by every client of the credential."""
    clock = FakeClock()
    with Simulator(quirks=[Quirk.RETRY_AFTER], clock=clock.monotonic) as simulator:
        ref = simulator.add("believe")
        strangers = reader(*simulator.accounts(rate_limit=None), clock=clock)
        for _ in range(10):
            strangers.get(ref)
        first, second = (reader(*simulator.accounts(), clock=clock) for _ in range(2))
        assert first.get(ref).attempts == 2
        assert clock.now == pytest.approx(1.0)
        assert second.get(ref).attempts == 1
        assert clock.now > 1.0 + 1 / 9


def test_another_key_has_another_pace():
    """One key is one gate and another key another."""

    def gate(account, clock=REAL):
        return pace_for(account.account_ref, account.credential, account.rate_limit, clock)

    def key():
        return "test-pacing-key"

    assert gate(Believe("test-pacing-key")) is gate(Believe("test-pacing-key", name="acme"))
    assert gate(Believe("test-pacing-key")) is not gate(Believe("test-other-key"))
    assert gate(Believe("test-pacing-key")) is not gate(Believe("test-pacing-key"), FakeClock())
    assert gate(Believe(key)) is gate(Believe(key))
    assert gate(Gameball("test-pacing-key", "test-a")) is not gate(Gameball("test-pacing-key", "test-b"))


def test_accounts_from_env_share_a_pace(monkeypatch):
    """Two accounts from the environment share a gate."""
    monkeypatch.setenv("BELIEVE_API_KEY", "test-environment-key")
    assert account_from_env(Believe).credential == Believe("test-environment-key").credential
    assert "test-environment-key" not in repr(account_from_env(Believe).credential)


def test_the_slower_of_two_limits_holds(caplog):
    """Where two clients differ the slower limit holds and is warned of."""
    clock = FakeClock()
    fast, slow = (Believe("test-key", rate_limit=RateLimit(requests)) for requests in (10, 2))
    for account in (fast, slow, fast):
        gate = pace_for("believe", account.credential, account.rate_limit, clock)
    assert [gate.reserve(0.0, 9.0) for _ in range(2)] == [0.0, pytest.approx(1 / 1.8)]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "test-key" not in caplog.text


@pytest.mark.parametrize("bad", [10, "10/s", (10, 1)], ids=repr)
def test_a_rate_limit_that_is_none_is_refused(bad):
    with pytest.raises(ConfigurationError, match="rate_limit is a RateLimit"):
        Believe("test-key", rate_limit=bad)


def test_threads_and_tasks_queue_without_a_429():
    """Real time and real HTTP: 24 reads at once against the documented limit."""
    with Simulator() as simulator:
        refs = [simulator.add("believe", status="EXECUTED") for _ in range(12)]

        async def main():
            async with AsyncBatchClient(*simulator.accounts()) as client:
                return await asyncio.gather(*map(client.get, refs))

        started = time.monotonic()
        with BatchClient(*simulator.accounts()) as client, ThreadPoolExecutor(13) as pool:
            tasks = pool.submit(asyncio.run, main())
            batches = [*pool.map(client.get, refs), *tasks.result()]
        assert [batch.attempts for batch in batches] == [1] * 24
        assert time.monotonic() - started > 23 / 9 - 0.1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_has_its_own_paces():
    """A forked child starts with gates of its own."""
    account = Believe("test-forked-key")
    gate = pace_for("believe", account.credential, account.rate_limit, REAL)
    gate.refused(REAL.monotonic(), 3600.0)
    if (child := os.fork()) == 0:
        fresh = pace_for("believe", account.credential, account.rate_limit, REAL)
        os._exit(0 if fresh.reserve(REAL.monotonic(), float("inf")) == 0.0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
