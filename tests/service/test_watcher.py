"""The watcher: what it reads, stores and delivers, and what it survives."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import io
import itertools
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
import trustme
from batchstatus import (
    AuthenticationError,
    Batch,
    BatchNotFound,
    BatchRef,
    BatchState,
    Believe,
    ConfigurationError,
    Gameball,
    Outcome,
    PollPolicy,
    ServerError,
    accounts_by_ref,
)
from batchstatus._core.wait import health as health_module
from batchstatus.service import Watcher, to_stream, to_url
from batchstatus.service import dispatcher as dispatcher_module
from batchstatus.service import watch_set as watch_set_module
from batchstatus.service import watcher as watcher_module
from batchstatus.service.deliveries import DeliveryFailed
from batchstatus.service.store import Store
from batchstatus.service.store import tracking as tracking_module
from batchstatus.service.watch_set import WatchSet
from batchstatus.service.watcher import denies_batch, paced
from batchstatus.testing.simulator import Quirk, Simulator
from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET
from raw_server import response, serving
from waiting import HANG, LONG
from waiting import until as wait_until
from watchers import running, until

BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite3") as store:
        yield store


def ended(store):
    """Return whether something is tracked and all of it has ended."""
    found = store.tracked()
    return bool(found) and all(each.ended for each in found)


def delivered(store):
    return lambda: ended(store) and not store.check()["undelivered"]


# Reading and storing


def test_every_change_is_delivered_once(store, simulator):
    """Every batch is read until it has ended and each change is delivered once."""
    refs = [simulator.add(vendor, seconds=1.5) for vendor in ("gameball", "believe") * 3]
    store.track(refs)
    got = []

    async def main():
        async with running(Watcher(store, simulator.accounts(), deliver=got.append)):
            await until(delivered(store))

    asyncio.run(main())
    assert [found.state for found in store.tracked()] == [BatchState.SUCCEEDED] * 6
    assert Counter(change.id for change in got) == Counter(change.id for change in store.changes())
    assert sorted(str(change.ref) for change in got if change.kind == "ended") == sorted(map(str, refs))
    for ref in refs:
        assert [change.sequence for change in got if change.ref == ref] == [*range(1, len(store.history(ref)) + 1)]


def test_a_change_is_stored_first(store, simulator):
    """A change is stored before it is delivered."""
    store.track([simulator.add("gameball", status="completed") for _ in range(5)])
    seen = []

    def deliver(change):
        with Store(store.path) as another:
            seen.append(another.history(change.ref) == [change])

    asyncio.run(Watcher(store, simulator.accounts(), deliver=deliver).once())
    assert seen == [True] * 5


def test_readings_are_stored_together_and_an_end_at_once(store, simulator, monkeypatch):
    """Readings are collected for as long as none of them is an end."""
    monkeypatch.setattr(watcher_module, "STORE_INTERVAL", LONG)
    store.track(simulator.add("gameball", status="processing") for _ in range(5))
    begun, record_all = [], store.record_all

    def record(batches, **options):
        begun.append(len(batches))
        return record_all(batches, **options)

    monkeypatch.setattr(store, "record_all", record)

    async def main():
        async with running(Watcher(store, simulator.accounts())):
            await until(lambda: len(simulator.reads) >= 5)
            assert begun == []
            store.track([simulator.add("gameball", status="completed")])
            await until(lambda: any(change.kind == "ended" for change in store.changes()))

    asyncio.run(main())
    assert begun[0] >= 6


def test_a_later_reading_undoes_a_failure_that_is_stored_with_it(store):
    ref = BatchRef("gameball", "1")
    store.track([ref])
    watcher = Watcher(store, [Gameball("test-key", "test-secret")])
    store.claim(watcher.name)
    failure, read = (
        Outcome(ref, error=BatchNotFound("gone", ref=ref, status_code=404, code="4004")),
        Outcome(ref, batch=unchanging(ref)),
    )
    watcher._store_outcomes([failure, read])
    assert store.tracked()[0].error is None
    watcher._store_outcomes([read, failure])
    assert store.tracked()[0].error is not None


def test_a_coroutine_function_delivers(store, simulator):
    """A coroutine function delivers too and so does what returns a coroutine."""
    store.track([simulator.add("gameball", status="completed") for _ in range(2)])
    got = []

    async def deliver(change):
        await asyncio.sleep(0)
        got.append(change.id)

    for each in (deliver, lambda change: asyncio.wait_for(deliver(change), 5)):
        store.track([simulator.add("gameball", status="completed")])
        asyncio.run(Watcher(store, simulator.accounts(), deliver=each).once())
    assert sorted(got) == sorted(change.id for change in store.changes())


def test_new_refs_are_picked_up(store, simulator):
    """What is tracked meanwhile is picked up and what is untracked dropped."""
    first, second = simulator.add("believe", status="FINALIZED"), simulator.add("gameball", status="completed")
    store.track([first])

    async def main():
        async with running(Watcher(store, simulator.accounts())):
            await until(lambda: store.tracked()[0].sequence == 1)
            with Store(store.path) as another:
                another.track([second])
                await until(lambda: store.tracked()[1].ended)
                another.untrack([first])
                version = store._work.rows("SELECT version FROM work")
                await until(lambda: store._work.rows("SELECT seen FROM watchers") == version)
                await asyncio.sleep(0.5)
                reads = len(simulator.reads)
                await asyncio.sleep(2.5)
                assert len(simulator.reads) == reads

    asyncio.run(main())


def test_what_the_vendor_does_not_know_stays_open(store, simulator):
    store.track(["gameball:404"])
    assert asyncio.run(Watcher(store, simulator.accounts()).once()) == []
    (found,) = store.tracked()
    assert (found.ended, found.sequence) == (False, 0)
    assert "HTTP 404" in found.error


def test_a_batch_that_is_not_visible_yet_is_polled_until_its_end(store, simulator):
    """It is unknown at first, as a new batch may be, and appears later."""
    ref = BatchRef("gameball", "late")
    store.track([ref])

    async def main():
        async with running(Watcher(store, simulator.accounts(), poll=PollPolicy(floor=0.05, ceiling=0.05))):
            await until(lambda: len(simulator.reads) > 5)
            simulator.add("gameball", id=ref.id, status="completed")
            await until(lambda: ended(store))

    asyncio.run(main())
    assert [change.kind for change in store.changes()] == ["ended"]


def test_a_batch_that_the_vendor_denies_is_lost_rests_and_is_found(store, simulator, monkeypatch):
    """Three refusals over the time for it make it lost; it is then read seldom, and a reading makes it found."""
    monkeypatch.setattr(tracking_module, "LOST_AFTER", 0.5)
    monkeypatch.setattr(watch_set_module, "LOST_REST", 1.0)
    monkeypatch.setattr(watcher_module, "STORE_INTERVAL", 0.1)
    ref = BatchRef("gameball", "denied")
    store.track([ref])

    async def main():
        async with running(Watcher(store, simulator.accounts(), poll=PollPolicy(floor=0.05, ceiling=0.05))):
            await until(lambda: [change.kind for change in store.changes()] == ["lost"])
            await asyncio.sleep(0.5)  # a poll in flight may end
            reads = len(simulator.reads)
            await until(lambda: len(simulator.reads) > reads)
            simulator.add("gameball", id=ref.id, seconds=9_000.0)
            await until(lambda: [change.kind for change in store.changes()] == ["lost", "found"])
            assert len(simulator.reads) < reads + 20, "it rested"
            simulator.add("gameball", id=ref.id, status="completed")
            await until(lambda: ended(store))

    asyncio.run(main())
    assert [change.kind for change in store.changes()][-1] == "ended"


def test_a_lost_batch_that_is_retried_is_read_at_once(store, simulator, monkeypatch):
    """It rests for minutes otherwise."""
    monkeypatch.setattr(tracking_module, "LOST_AFTER", 0.2)
    ref = BatchRef("gameball", "denied")
    store.track([ref])

    async def main():
        async with running(Watcher(store, simulator.accounts(), poll=PollPolicy(floor=0.05, ceiling=0.05))):
            await until(lambda: [change.kind for change in store.changes()] == ["lost"])
            simulator.add("gameball", id=ref.id, status="completed")
            await asyncio.sleep(2.0)
            assert not ended(store)
            assert store.retry([ref]) == 1
            await until(lambda: ended(store))

    asyncio.run(main())


def test_a_terminal_word_before_the_final_counts_is_stored_as_no_end(store):
    store.track(["gameball:1"])
    early, final = (
        response(json.dumps({"batchId": "1", "status": "completed", "totalItems": 200} | counts).encode())
        for counts in ({"processedItems": 150, "failedItems": 0}, {"processedItems": 200, "failedItems": 2})
    )
    answers = iter([early, early])
    with serving(lambda _: [next(answers, final)]) as server:
        account = Gameball("test-gameball-key", "test-gameball-secret", base_url=server.url, rate_limit=None)

        async def main():
            async with running(Watcher(store, [account])):
                await until(lambda: ended(store))

        asyncio.run(main())
    assert [(change.kind, change.batch["counts"]["failed"]) for change in store.changes()] == [
        ("change", 0),
        ("ended", 2),
    ]


def test_a_refused_key_ends_nothing(store, simulator, caplog):
    """A key that is refused ends nothing and is told."""
    store.track([simulator.add("believe")])

    async def main():
        async with running(Watcher(store, [Believe("test-wrong-key", base_url=simulator.url)])):
            await until(lambda: store.tracked()[0].error)

    asyncio.run(main())
    (found,) = store.tracked()
    assert (found.ended, found.sequence) == (False, 0)
    assert "HTTP 401" in found.error
    assert "HTTP 401" in caplog.text
    assert "the wait goes on" in caplog.text
    assert "test-wrong-key" not in caplog.text


def test_a_revoked_key_is_probed_once_for_all_batches(store, simulator, monkeypatch, caplog):
    """Of 60 running batches a few polls fail, one line says so, and with a new key all go on."""
    monkeypatch.setattr(health_module, "KEY_PROBE_PAUSES", (1.0,))
    store.track(simulator.add("gameball", seconds=9_000.0) for _ in range(60))
    keys = [GAMEBALL_KEY]
    account = Gameball(lambda: keys[0], GAMEBALL_SECRET, base_url=simulator.url, rate_limit=None)

    async def main():
        async with running(Watcher(store, [account], poll=PollPolicy(floor=0.2, ceiling=0.2))):
            await until(lambda: all(found.read_at for found in store.tracked()))
            keys[0] = "test-revoked-key"
            await until(lambda: "one probe finds out" in caplog.text)
            await asyncio.sleep(0.5)  # polls that were in flight end
            reads = len(simulator.reads)
            await until(lambda: len(simulator.reads) > reads + 2)
            keys[0] = GAMEBALL_KEY
            await until(lambda: "answers again" in caplog.text)
            await until(lambda: not any(found.error for found in store.tracked()))

    asyncio.run(main())
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) <= 4
    assert not any(found.ended for found in store.tracked())


def test_only_the_vendors_own_refusal_of_the_batch_denies_it():
    ref = BatchRef("gameball", "1")
    assert denies_batch(BatchNotFound("", ref=ref, status_code=404))
    for error, status in ((AuthenticationError, 401), (ServerError, 503)):
        assert not denies_batch(error("", ref=ref, status_code=status))
    page = BatchNotFound("", ref=ref, status_code=404)
    page.is_retryable = True
    assert not denies_batch(page)
    assert not denies_batch(ConfigurationError())
    assert not denies_batch(None)


def test_a_vendors_outage_is_survived(store):
    """The vendor is not even there at first, then down, then well."""
    with Simulator(limits=False) as simulator:
        ref = simulator.add("gameball", status="completed")
        account = Gameball("test-gameball-key", "test-gameball-secret", base_url=simulator.url, rate_limit=None)
        port = int(simulator.url.rpartition(":")[2])
        simulator.stop()
        store.track([ref])

        async def main():
            async with running(Watcher(store, [account], poll=PollPolicy(floor=0.05, ceiling=0.2))):
                await asyncio.sleep(0.7)
                simulator.start(port)
                simulator.add("gameball", id=ref.id, status="completed", quirks=[Quirk.OUTAGE])
                await until(lambda: len(simulator.reads) > 3)
                assert not ended(store)
                simulator.add("gameball", id=ref.id, status="completed")
                await until(lambda: ended(store))

        asyncio.run(main())
    assert len(store.history(ref)) == 1


def test_why_a_batch_cannot_be_read_is_kept_until_it_can(store, simulator, caplog):
    ref = simulator.add("gameball", status="completed", quirks=[Quirk.OUTAGE])
    store.track([ref])
    poll = PollPolicy(floor=0.02, ceiling=0.02)

    async def main():
        async with running(Watcher(store, simulator.accounts(), poll=poll)):
            await until(lambda: store.tracked()[0].error)
            simulator.add("gameball", id=ref.id, status="completed")
            await until(lambda: ended(store))

    asyncio.run(main())
    assert "HTTP 503" in caplog.text
    assert [change.kind for change in store.changes()] == ["ended"]
    assert store.tracked()[0].error is None


def test_a_wait_that_breaks_is_begun_anew(monkeypatch, caplog):
    monkeypatch.setattr(watch_set_module, "REST", 0.0)

    class BreakingFollow(FakeFollow):
        async def outcomes(self):
            await self.came.wait()
            if len(self.client.follows) == 1:
                raise RuntimeError("a bug")
            await asyncio.Event().wait()
            yield

    client = FakeClient(BreakingFollow)
    with_watch_set(client, None, lambda watch_set: watch_set.update(refs(1, 2)))
    assert sorted(client.follows[-1].open) == ["1", "2"]
    assert "a wait for 2 batches failed" in caplog.text


def test_a_breaking_batch_starves_no_other(monkeypatch):
    """A batch that breaks each wait starves no other."""
    monkeypatch.setattr(watch_set_module, "REST", 0.0)
    read = set()

    class BreakingFollow(FakeFollow):
        async def outcomes(self):
            while True:
                await asyncio.sleep(0)
                for number in [*self.open]:
                    if number == "0":
                        raise RuntimeError("a bug")
                    ref = BatchRef("gameball", number)
                    yield Outcome(ref, unchanging(ref))

    async def found(outcome):
        read.add(outcome.ref)

    with_watch_set(FakeClient(BreakingFollow), found, lambda watch_set: watch_set.update(refs(*range(10))))
    assert read == refs(*range(1, 10))


def test_an_unstorable_reading_costs_no_other(store, simulator, monkeypatch, caplog):
    """A reading that cannot be stored is told and costs no other."""
    monkeypatch.setattr(watch_set_module, "REST", 0.1)
    added = [simulator.add("gameball", status="completed") for _ in range(4)]
    store.track(added)
    mended, rendered = threading.Event(), Batch.to_dict

    def to_dict(batch):
        if batch.ref == added[1] and not mended.is_set():
            raise RecursionError
        return rendered(batch)

    monkeypatch.setattr(Batch, "to_dict", to_dict)

    async def main():
        async with running(Watcher(store, simulator.accounts())):
            await until(lambda: [found.ended for found in store.tracked()] == [True, False, True, True])
            mended.set()
            await until(lambda: ended(store))

    asyncio.run(main())
    assert f"{added[1]}: a reading cannot be stored" in caplog.text
    assert asyncio.run(Watcher(store, simulator.accounts()).once()) == []


def test_a_batch_tracked_again_is_read_again(store, simulator, monkeypatch):
    """A batch that is tracked anew while its end is stored is read anew."""
    monkeypatch.setattr(watch_set_module, "REST", 0.1)
    ref = simulator.add("gameball", status="completed")
    store.track([ref])
    observe_all, asked = store.record_all, []

    def observed(batches, **options):
        if asked:
            return observe_all(batches, **options)
        store.untrack([ref])
        changes = observe_all(batches, **options)
        store.track([ref])
        version = store._work.rows("SELECT version FROM work")
        wait_until(lambda: store._work.rows("SELECT seen FROM watchers") == version)
        time.sleep(0.2)  # by now the watcher knows what it is to read
        asked.append(changes)
        return changes

    monkeypatch.setattr(store, "record_all", observed)

    async def main():
        async with running(Watcher(store, simulator.accounts())):
            await until(lambda: ended(store))

    asyncio.run(main())
    assert asked == [[]]


def test_a_delivery_that_others_make_is_not_made(store, simulator, monkeypatch, caplog):
    """The process stood still between taking it and making it: it is neither made nor recorded as made."""
    caplog.set_level("INFO", "batchstatus")
    store.track([simulator.add("gameball", status="completed")])
    holds, asked = store.holds, []

    def held(*arguments):
        asked.append(arguments)
        return len(asked) > 1 and holds(*arguments)

    monkeypatch.setattr(store, "holds", held)
    got = []

    async def main():
        async with running(Watcher(store, simulator.accounts(), deliver=got.append)):
            await until(lambda: "is left to another watcher" in caplog.text)
            assert (got, store.summary()["undelivered"]) == ([], 1)

    asyncio.run(main())


def test_a_watcher_survives_a_lack_of_files(store, simulator, monkeypatch, caplog):
    """A watcher that finds no file descriptor goes on when it does."""
    store.track([simulator.add("gameball", status="completed")])
    claim, claims = store.claim, []

    def claimed(*arguments, **options):
        claims.append(arguments)
        if len(claims) == 1:
            raise OSError("Too many open files")
        return claim(*arguments, **options)

    monkeypatch.setattr(store, "claim", claimed)

    async def main():
        async with running(Watcher(store, simulator.accounts())):
            await until(lambda: ended(store))

    asyncio.run(main())
    assert "cannot read from the store what to watch: Too many open files" in caplog.text


def test_a_cancelled_watcher_keeps_nothing(store, simulator, monkeypatch):
    """A watcher that is cancelled while it claims keeps nothing."""
    store.track([simulator.add("gameball")])
    claim, begun = store.claim, threading.Event()

    def claimed(*arguments, **options):
        begun.set()
        time.sleep(0.3)
        return claim(*arguments, **options)

    monkeypatch.setattr(store, "claim", claimed)

    async def main():
        task = asyncio.create_task(Watcher(store, simulator.accounts()).once())
        await until(begun.is_set)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())
    assert (store.check()["watchers"], store.check()["unclaimed"]) == (0, 1)
    assert not list(store.path.parent.glob("*.lock"))


def test_a_busy_store_does_not_block_the_end(store, simulator, monkeypatch, caplog):
    """A store that takes nothing at the end neither blocks the loop nor fails the watcher."""
    store._work._busy_timeout = 0.1
    store.track([simulator.add("gameball", status="processing")])
    release, threads = store.release, []

    def released(name):
        threads.append(threading.current_thread())
        release(name)

    monkeypatch.setattr(store, "release", released)

    async def main():
        with Store(store.path) as blocker:
            async with running(Watcher(store, simulator.accounts())) as stop:
                await until(lambda: store.tracked()[0].sequence == 1)
                with blocker._changes.transaction():
                    stop.set()
                    await until(lambda: "cannot give up the claims of this watcher" in caplog.text)

    asyncio.run(main())
    assert threading.current_thread() not in threads


def test_refs_without_account_stay_open(store, simulator, caplog):
    """What a watcher has no account for stays open and is told once."""
    store.track(["believe/acme:1", simulator.add("gameball", status="completed")])

    async def main():
        async with running(Watcher(store, simulator.accounts())):
            await until(lambda: store.tracked()[1].ended)
            store.track([simulator.add("gameball", status="completed")])
            await until(lambda: store.tracked()[2].ended)

    asyncio.run(main())
    assert not store.tracked()[0].ended
    told = [record.getMessage() for record in caplog.records if "no such account" in record.getMessage()]
    assert told == ["batches at believe/acme are tracked, and this watcher has no such account"]


def test_a_busy_store_loses_nothing(store, simulator, monkeypatch):
    """A store that takes nothing for a while loses nothing."""
    store.track([simulator.add("gameball", status="completed")])
    for link in (store._work, store._changes):
        link._patience = 0.05
    blocker = Store(store.path)
    got = []

    async def main():
        with contextlib.ExitStack() as stack:
            stack.enter_context(blocker._changes.transaction())
            async with running(Watcher(store, simulator.accounts(), deliver=got.append)):
                await asyncio.sleep(1.5)
                assert not got
                stack.close()
                await until(delivered(store))

    asyncio.run(main())
    blocker.close()
    assert len(got) == 1


def test_once_reads_each_open_batch_once(store, simulator):
    store.track([simulator.add("gameball", status="processing"), simulator.add("gameball", status="completed")])
    watcher = Watcher(store, simulator.accounts())
    assert [change.kind for change in asyncio.run(watcher.once())] == ["change", "ended"]
    assert asyncio.run(watcher.once()) == []
    assert len(simulator.reads) == 3
    assert store.check()["watchers"] == 0


def test_once_leaves_unread_batches_open(store):
    """Once leaves open what it cannot read in time and tells why."""
    with Simulator(quirks=[Quirk.OUTAGE], limits=False) as simulator:
        store.track([simulator.add("gameball")])
        assert asyncio.run(Watcher(store, simulator.accounts()).once(timeout=1.5)) == []
    (found,) = store.tracked()
    assert not found.ended
    assert "HTTP 503" in found.error


def test_once_takes_nothing_from_others(store, simulator):
    """It would be read by nobody until `once` is over, which never claims a second time."""
    refs = [simulator.add("gameball", status="processing") for _ in range(20)]
    mine, held = set(accounts_by_ref(simulator.accounts())), []
    store.track(refs)
    store.claim("stays", account_refs=mine)
    store.serve("default")
    store.record(unchanging(refs[0]))

    def deliver(change):
        store.renew("stays")
        held.append(len(store.claim("stays", account_refs=mine).new))

    with Store(store.path) as another:
        asyncio.run(Watcher(another, simulator.accounts(), deliver=deliver).once())
    assert held == [20]


def test_events_come_as_from_a_client(store, simulator):
    store.track([simulator.add("gameball", status="completed")])
    events = []
    asyncio.run(Watcher(store, simulator.accounts(), on_event=events.append).once())
    assert [event.kind for event in events] == ["attempt", "change", "done"]


def test_a_watcher_needs_an_account(store):
    """A watcher needs an account and room for a delivery."""
    with pytest.raises(ConfigurationError, match="needs an account"):
        asyncio.run(Watcher(store, []).run(asyncio.Event()))
    with pytest.raises(ConfigurationError, match="in_flight must be at least 1"):
        Watcher(store, [], in_flight=0)


# Accounts


def test_the_pace_is_kept_in_the_store(store):
    """The pace of an account is kept in the store and the account left as it was."""
    account = Believe("test-believe-key", name="acme")
    (copy,) = paced(store, [account])
    assert account.rate_limit is Believe.RATE_LIMIT
    assert copy.rate_limit.reserve(time.monotonic(), time.monotonic() + 9) == 0.0
    assert (copy.name, copy.base_url, copy.credential) == ("acme", account.base_url, account.credential)
    assert store._work.rows("SELECT credential FROM paces") == [(account.pace_name(store.salt),)]


def test_one_key_has_one_stored_pace(store):
    """Accounts with one key have one pace and those without a limit none."""
    twins = [Believe("test-believe-key", name=name) for name in ("acme", "globex")]
    other, free = Believe("test-other-key"), Gameball("test-a", "test-b", rate_limit=None)
    now = time.monotonic()
    first, second, third, last = paced(store, [*twins, other, free])
    assert [account.rate_limit.reserve(now, now + 9) for account in (first, second, third)] == pytest.approx(
        [0.0, 1 / 9, 0.0], abs=0.02
    )
    assert last is free


def test_a_pace_is_of_a_key_whatever_the_name():
    """Its name tells nothing about the key, and is another one in another store."""
    salt, key = "a salt of some length", "test-believe-key"
    named = Believe(key, name="acme", base_url="http://127.0.0.1:1")
    assert Believe(key).pace_name(salt) == named.pace_name(salt) == Believe(lambda: key).pace_name(salt)
    others = {
        Believe(key).pace_name("another salt"),
        Believe("test-other-key").pace_name(salt),
        Gameball(key, key).pace_name(salt),
        Believe(lambda: 1 / 0).pace_name(salt),
    }
    assert len(others | {Believe(key).pace_name(salt)}) == 5
    assert key.encode().hex() not in Believe(key).pace_name(salt)


def test_an_only_account_reads_short_refs():
    """A vendors only account reads refs without its name."""
    acme, globex = (Believe("test-believe-key", name=name) for name in ("acme", "globex"))
    assert set(accounts_by_ref([acme])) == {"believe", "believe/acme"}
    assert set(accounts_by_ref([acme, globex])) == {"believe/acme", "believe/globex"}
    assert set(accounts_by_ref([acme, Believe("test-believe-key")])) == {"believe/acme", "believe"}


# Several watchers


def test_two_watchers_share_the_work(store):
    """Two stores, as two processes have them; the vendors' limits hold."""
    statuses, got = Counter(), []
    simulator = Simulator()
    simulator.app = bench("watcher").counted(simulator.app, statuses)
    with simulator, Store(store.path) as another:
        store.track(simulator.add(vendor, seconds=3.0) for vendor in ("gameball", "believe") * 10)

        async def main():
            both = [Watcher(each, simulator.accounts(), deliver=got.append) for each in (store, another)]
            async with running(both[0]), running(both[1]):
                await until(delivered(store), 20.0)
            return [watcher.name for watcher in both]

        asyncio.run(main())
    assert max(Counter(change.id for change in got).values()) == 1
    assert len(got) == store.check()["changes"]
    assert statuses.keys() == {200}


def test_a_second_watcher_takes_its_share(store, simulator):
    store.track(simulator.add("gameball", status="processing") for _ in range(20))

    async def main():
        with Store(store.path) as another:
            async with running(Watcher(store, simulator.accounts())):
                await until(lambda: store.check()["unclaimed"] == 0)
                async with running(Watcher(another, simulator.accounts())):
                    shares = "SELECT count(*) FROM refs WHERE watcher IS NOT NULL GROUP BY watcher"
                    await until(lambda: store._work.rows(shares) == [(10,), (10,)])
                await until(lambda: store._work.rows(shares) == [(20,)])

    asyncio.run(main())


# The set of batches that a watcher reads


class FakeFollow:
    """A running wait that yields nothing; it notes what is added and discarded."""

    def __init__(self, client, refs):
        self.client = client
        self.open = [ref.id for ref in refs]
        self.added, self.discarded = [], []
        self.came = asyncio.Event()

    def add(self, refs):
        self.added += [ref.id for ref in refs]
        self.came.set()
        self.open += [ref.id for ref in refs]

    def discard(self, refs):
        self.discarded += [ref.id for ref in refs]
        self.open = [number for number in self.open if number not in self.discarded]

    async def outcomes(self):
        await asyncio.Event().wait()
        yield

    def __aiter__(self):
        return self.outcomes()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


class FakeClient:
    """Begins waits, and keeps them for a look."""

    def __init__(self, kind=FakeFollow):
        self.kind = kind
        self.follows = []

    def follow(self, refs, **_):
        self.follows.append(self.kind(self, refs))
        return self.follows[-1]


def with_watch_set(client, found, *steps):
    """Let a watch set run, do one step after the other with it, and look after those that rest."""

    async def main():
        watch_set = WatchSet(client, found)
        running = asyncio.create_task(watch_set.run())
        for step in steps:
            await asyncio.sleep(0.01)
            step(watch_set)
        for _ in range(200):
            await asyncio.sleep(0)
            watch_set.resume_rested()
        running.cancel()
        await asyncio.wait([running])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def unchanging(ref):
    return Batch(
        ref=ref, state=BatchState.RUNNING, vendor_status="x", read_at=datetime.now(UTC), raw=None, payload=None
    )


def refs(*numbers):
    return {BatchRef("gameball", str(number)) for number in numbers}


def test_refs_are_added_in_order():
    """Refs are added in the order in which they come."""
    client = FakeClient()
    wanted = [BatchRef("gameball", str(number)) for number in range(100)]
    with_watch_set(client, None, lambda watch_set: watch_set.update(wanted))
    assert client.follows[0].added == [ref.id for ref in wanted]


def test_only_differences_are_passed_on():
    """Only the difference is added and discarded."""
    client = FakeClient()
    with_watch_set(
        client,
        None,
        lambda watch_set: watch_set.update(refs(1, 2, 3)),
        lambda watch_set: watch_set.update(refs(2, 3, 4), refs(1, 5)),
    )
    (follow,) = client.follows
    assert sorted(follow.added) == ["1", "2", "3", "4"]
    assert follow.discarded == ["1"]


# Deliveries


def test_a_hanging_delivery_blocks_nothing(store, simulator, monkeypatch):
    """A delivery that hangs holds up neither reading nor the end."""
    monkeypatch.setattr(dispatcher_module, "SHUTDOWN_SECONDS", 0.3)
    store.track(simulator.add("gameball", seconds=1.0) for _ in range(3))
    hangs = threading.Event()

    async def main():
        async with running(Watcher(store, simulator.accounts(), deliver=lambda _: hangs.wait(), in_flight=2)):
            await until(lambda: ended(store))
            return time.monotonic()

    stopped = asyncio.run(main())
    assert time.monotonic() - stopped < LONG
    assert store.check()["undelivered"] == store.check()["changes"]
    hangs.set()


def test_few_deliveries_are_in_flight(store, simulator):
    """Deliveries under way are few and end before the watcher does."""
    store.track(simulator.add("gameball", status="completed") for _ in range(12))
    under_way, most, done = set(), [], []

    def deliver(change):
        under_way.add(change.id)
        most.append(len(under_way))
        time.sleep(0.3)
        under_way.discard(change.id)
        done.append(change.id)

    async def main():
        async with running(Watcher(store, simulator.accounts(), deliver=deliver, in_flight=3)):
            await until(lambda: done)

    asyncio.run(main())
    assert max(most) == 3
    assert not under_way
    assert store.check()["undelivered"] == 12 - len(done)


def test_a_failed_delivery_is_tried_again(store, simulator, monkeypatch, caplog):
    """A delivery that fails is tried again with longer pauses."""
    monkeypatch.setattr(dispatcher_module, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(dispatcher_module, "JITTER", 0.0)
    caplog.set_level(logging.INFO, "batchstatus")
    store.track([simulator.add("gameball", status="completed")])
    tries = []

    def deliver(change):
        tries.append((time.time(), change.attempts))
        if len(tries) < 5:
            raise OSError("nobody is there")

    async def main():
        async with running(Watcher(store, simulator.accounts(), deliver=deliver)):
            await until(delivered(store))

    asyncio.run(main())
    assert [attempts for _, attempts in tries] == [0, 1, 2, 3, 4]
    for number, ((first, _), (second, _)) in enumerate(pairwise(tries)):
        assert second - first >= 0.1 * 2**number
    told = [record for record in caplog.records if "deliver" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING", "WARNING"]
    assert told[0].getMessage().endswith("is not delivered, and will be tried again: OSError")
    assert told[1].getMessage().endswith("is delivered: deliveries succeed again")


@pytest.mark.parametrize("error", [StopIteration, SystemExit, KeyboardInterrupt], ids=lambda error: error.__name__)
def test_whatever_a_delivery_raises_it_has_failed(store, simulator, error):
    store.track([simulator.add("gameball", status="completed")])

    def deliver(change):
        raise error

    asyncio.run(asyncio.wait_for(Watcher(store, simulator.accounts(), deliver=deliver).once(), 20))
    assert store.check()["failed_deliveries"] == 1
    assert error.__name__ in store._work.rows("SELECT reason FROM outbox")[0][0]


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit], ids=lambda error: error.__name__)
def test_a_cancelled_coroutine_has_failed(store, simulator, error):
    """A coroutine that is cancelled elsewhere, or would end the process, has failed."""
    store.track([simulator.add("gameball", status="completed")])

    async def deliver(change):
        raise error

    asyncio.run(Watcher(store, simulator.accounts(), deliver=deliver).once())
    assert store.check()["failed_deliveries"] == 1


def test_a_hanging_coroutine_has_failed(store, simulator, monkeypatch):
    """A coroutine that hangs is cancelled and has failed."""
    monkeypatch.setattr(dispatcher_module, "MAX_DELIVERY_SECONDS", 0.1)
    store.track([simulator.add("gameball", status="completed")])

    async def deliver(change):
        await asyncio.Event().wait()

    asyncio.run(Watcher(store, simulator.accounts(), deliver=deliver).once())
    assert store._work.rows("SELECT attempts, reason FROM outbox") == [(1, "DeliveryFailed: not done within 0.1 s")]


def test_a_dead_receiver_is_left_alone_longer(store, simulator, monkeypatch):
    """A receiver that takes nothing is left alone for ever longer and gets all in the end."""
    monkeypatch.setattr(dispatcher_module, "FIRST_PAUSE", 0.3)
    monkeypatch.setattr(dispatcher_module, "JITTER", 0.0)
    store.track(simulator.add("gameball", status="completed") for _ in range(20))
    tries, got = [], set()

    def deliver(change):
        tries.append(time.monotonic())
        if len(tries) <= 3:
            raise OSError
        got.add(change.id)

    async def main():
        async with running(Watcher(store, simulator.accounts(), deliver=deliver, in_flight=1)):
            await until(delivered(store), 20.0)

    asyncio.run(main())
    assert len(got) == 20
    for number, (first, second) in enumerate(pairwise(tries[:4])):
        assert second - first >= 0.3 * 2**number


def test_one_refused_change_blocks_no_other(store, simulator):
    """One change that nobody takes holds up no other."""
    refs = [simulator.add("gameball", status="completed") for _ in range(20)]
    store.track(refs)

    def deliver(change):
        if change.ref == refs[3]:
            raise OSError

    async def main():
        async with running(Watcher(store, simulator.accounts(), deliver=deliver, in_flight=2)):
            await until(lambda: ended(store) and store.check()["undelivered"] == 1)

    asyncio.run(main())


def test_once_tries_each_delivery_once(store, simulator):
    """A delivery is tried once by once and stays for later."""
    store.track(simulator.add("gameball", status="completed") for _ in range(20))
    tries = []

    def deliver(change):
        tries.append(change.id)
        raise OSError

    asyncio.run(Watcher(store, simulator.accounts(), deliver=deliver, in_flight=3).once())
    assert len(tries) == len(set(tries)) == 20
    assert store.check()["failed_deliveries"] == 20


def test_a_stream_gets_one_line_for_each_change(store, simulator):
    store.track(simulator.add("gameball", status="completed") for _ in range(3))
    stream = io.StringIO()
    asyncio.run(Watcher(store, simulator.accounts(), deliver=to_stream(stream)).once())
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(change.id for change in store.changes())
    assert lines[0] in [change.to_dict() for change in store.changes()]


FULL_DISK = """if True:
    import resource, signal, sys
    from datetime import UTC, datetime
    from batchstatus import BatchRef
    from batchstatus.service import to_stream
    from batchstatus.service.store import Change

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    deliver, failed = to_stream(sys.stdout), 0
    for number in range(40):
        ref = BatchRef("gameball", "1")
        change = Change(id=str(number), store="s", ref=ref, sequence=number, kind="change", at=datetime.now(UTC))
        resource.setrlimit(resource.RLIMIT_FSIZE, (number * 100 if number % 3 else limit[1], limit[1]))
        try:
            deliver(change)
        except OSError:
            failed += 1
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            deliver(change)
    print(failed, file=sys.stderr)
"""


@pytest.mark.parametrize("before", ["", "half a li"])
@pytest.mark.parametrize("mode", ["a", "w"])
def test_a_full_disk_leaves_no_torn_line(tmp_path, before, mode):
    """Of 40 changes many meet a limit in the middle of their line; a line that was cut before is ended."""
    path = tmp_path / "changes.jsonl"
    if mode == "a":
        path.write_text(before)
    with path.open(mode) as file:
        command = [sys.executable, "-c", FULL_DISK]
        run = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True, timeout=LONG, check=True)
    assert int(run.stderr) > 10
    said = path.read_text().splitlines()
    if mode == "a" and before:
        assert said.pop(0) == before
    assert [json.loads(line)["id"] for line in said] == [str(number) for number in range(40)]


@contextlib.contextmanager
def receiver(status=204, headers=(), context=None):
    """Answer every POST so; the block gets the URL and what came in."""
    came = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            came.append("a redirect was followed")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/hook", came
    finally:
        server.shutdown()
        thread.join(LONG)
        server.server_close()


@pytest.fixture
def change(store, simulator):
    store.track([simulator.add("gameball", id="7 é%", status="completed")])
    (change,) = asyncio.run(Watcher(store, simulator.accounts()).once())
    return change


def test_a_post_carries_json_and_an_id(change):
    """A post carries the change as json and its id as idempotency key."""
    with receiver() as (url, came):
        asyncio.run(to_url(f"{url}?a=b")(change))
    ((path, headers, body),) = came
    assert path == "/hook?a=b"
    assert headers["Idempotency-Key"] == change.id
    assert headers["Content-Type"] == "application/json"
    assert headers["user-agent"].startswith("batchstatus/")
    assert json.loads(body) == change.to_dict()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_means_that_it_has_arrived(change, status):
    with receiver(status) as (url, _):
        asyncio.run(to_url(url)(change))


@pytest.mark.parametrize(
    ("status", "is_refusal"),
    [(301, True), (307, True), (400, True), (410, True), (408, False), (425, False), (429, False), (500, False)],
)
def test_any_other_answer_means_that_it_has_not(change, status, is_refusal):
    with receiver(status, [("Location", "/elsewhere")]) as (url, came), pytest.raises(Exception, match="HTTP ") as no:
        asyncio.run(to_url(url)(change))
    assert str(no.value) == f"HTTP {status}"
    assert no.value.is_refusal == is_refusal
    assert len(came) == 1


def test_an_untrusted_receiver_gets_nothing(change, monkeypatch, tmp_path):
    """A certificate that nobody trusts is refused."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with receiver(context=context) as (url, came):
        with pytest.raises(DeliveryFailed, match="CERTIFICATE_VERIFY_FAILED"):
            asyncio.run(to_url(url)(change))
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        asyncio.run(to_url(url)(change))
    assert len(came) == 1


def test_a_silent_receiver_is_left_in_time(change):
    """A receiver that does not answer is left in time."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        started = time.monotonic()
        with pytest.raises(DeliveryFailed, match="no complete response within"):
            asyncio.run(to_url(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.2)(change))
        assert time.monotonic() - started < HANG


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda _: itertools.chain([response(b"x" * 99)[:-99]], itertools.cycle([b"x", 1.0])), id="drips"),
        pytest.param(lambda _: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 99), id="floods-with-100s"),
    ],
)
def test_an_endless_receiver_holds_nothing(store, simulator, monkeypatch, caplog, script):
    """Neither a thread nor a socket, nor another destination, nor a poll; its attempts end at their deadline."""
    monkeypatch.setattr(dispatcher_module, "FIRST_PAUSE", 0.1)
    store.track(simulator.add("gameball", seconds=seconds) for seconds in (0.0, 1.0, 2.0))
    got, before, names = [], {*threading.enumerate()}, set()

    def take(change):
        names.update(thread.name for thread in threading.enumerate() if thread.daemon and thread not in before)
        got.append(change)

    async def take_in_loop(change):
        take(change)

    with serving(script) as server:
        deliver = {"endless": to_url(f"{server.url}/secret", timeout=0.3), "other": take_in_loop}

        def tried():
            return next(found.failed for found in store.destinations() if found.name == "endless")

        async def main():
            async with running(Watcher(store, simulator.accounts(), deliver=deliver)):
                await until(lambda: ended(store) and tried() >= 3 and len(got) == store.check()["changes"])

        asyncio.run(main())
        wait_until(lambda: not any(thread.is_alive() for thread in server._threads))  # each has seen its socket closed
        assert len(server.heads) >= 3
    assert {*threading.enumerate()} == before
    assert not names & {"batchstatus-delivery"}
    assert sum(change.kind == "ended" for change in got) == 3
    reasons = {reason for (reason,) in store._work.rows("SELECT reason FROM outbox WHERE reason IS NOT NULL")}
    assert reasons
    assert all(reason.startswith("DeliveryFailed: no complete response within") for reason in reasons)
    assert "secret" not in caplog.text
    keys = (GAMEBALL_KEY, GAMEBALL_SECRET)
    assert not any(key.encode() in head for key in keys for head in server.heads)


@pytest.mark.parametrize(
    "url",
    ["", "example.com/secret", "ftp://example.com/secret", "https:///secret", "https://user:secret@example.com/",
     "https://example.com:secret/", "https://example.com/sec ret", "https://example.com/sécret", "file:///secret"],
)  # fmt: skip
def test_a_wrong_url_is_refused_unshown(url):
    """A url that cannot work is refused without being shown."""
    with pytest.raises(ConfigurationError, match="a URL to deliver to is written") as refused:
        to_url(url)
    assert "secret" not in str(refused.value)


def test_a_refused_delivery_is_warned_of_once(store, simulator, monkeypatch, caplog):
    """A refused delivery is warned of once and no message shows the url."""
    monkeypatch.setattr(dispatcher_module, "FIRST_PAUSE", 0.01)
    caplog.set_level(logging.DEBUG, "batchstatus")
    store.track(simulator.add("gameball", status="completed") for _ in range(2))
    with receiver(403) as (url, came):

        async def main():
            async with running(Watcher(store, simulator.accounts(), deliver=to_url(f"{url}/secret"))):
                await until(lambda: len(came) >= 6)

        asyncio.run(main())
    told = [record for record in caplog.records if "is not delivered" in record.getMessage()]
    assert len(told) >= 6
    assert sum(record.levelno == logging.WARNING for record in told) == 2
    assert "secret" not in caplog.text
    assert not any("secret" in (row[0] or "") for row in store._work.rows("SELECT reason FROM outbox"))


# Kills


def bench(name):
    """Return a subject of `make bench`."""
    sys.path[:0] = [str(BENCH)]
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCH))


def test_a_killed_watcher_loses_nothing(tmp_path):
    """SIGKILL at random moments; `make bench ONLY=watcher` does it with 60 batches and 25 kills, and no 429.

    Here requests are counted instead: the simulator counts by its own clock, so if this process stands still for a
    tenth of a second, as it does on a loaded machine, requests that were evenly spaced arrive at once.
    """
    subject = bench("watcher")
    found = subject.killed_again_and_again(tmp_path, batches=30, kills=8)
    assert (found.missing, found.superfluous, found.faults) == (0, 0, [])
    assert found.repeats <= 2 * 8 * subject.IN_FLIGHT
    assert found.hurried == []
    assert found.statuses.keys() <= {200, 429}
