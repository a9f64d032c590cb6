"""Triggers, rebuilt from what a database keeps of them, in an event loop as a triggerer's."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import BaseHook
from airflow.sdk.serde import deserialize, serialize
from airflow.triggers.shared_stream import SharedStreamManager
from airflow_home import connection
from batchstatus import AsyncBatchClient, Batch, BatchRef, BatchState, ConfigurationError
from batchstatus.engines.airflow import BatchEventTrigger, BatchTrigger, clients

TRIGGERS = 500


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def rebuilt(trigger):
    """Return a trigger as a triggerer builds it, from JSON that went through a database."""
    path, kwargs = trigger.serialize()
    package, _, name = path.rpartition(".")
    found = getattr(__import__(package, fromlist=[name]), name)
    return found(**deserialize(json.loads(json.dumps(serialize(kwargs)))))


async def fired(trigger):
    return [event.payload async for event in trigger.run()]


def payload(trigger):
    """Run a trigger after a database had it; return what it fires, as the database has that."""
    (found,) = asyncio.run(fired(rebuilt(trigger)))
    return json.loads(json.dumps(found))


# The contract


def test_what_a_database_keeps_stays():
    """Rows of older versions are rebuilt by newer ones: this may be added to, and never changed."""
    trigger = BatchTrigger("gameball:1", "gameball_default", "2026-01-02T03:04:05+00:00")
    assert trigger.serialize() == (
        "batchstatus.engines.airflow.BatchTrigger",
        {
            "ref": "gameball:1",
            "conn_id": "gameball_default",
            "end_time": "2026-01-02T03:04:05+00:00",
            "until": [],
            "poll": 30.0,
            "checkpoint": None,
            "hold": 10.0,
        },
    )
    assert BatchEventTrigger("believe:1", until={BatchState.REQUIRES_ACTION}).serialize() == (
        "batchstatus.engines.airflow.BatchEventTrigger",
        {"ref": "believe:1", "conn_id": "believe_default", "until": ["requires_action"], "poll": 30.0},
    )


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"ref": "1748392"}, id="ref"),
        pytest.param({"end_time": "2026-01-02T03:04:05"}, id="naive"),
        pytest.param({"end_time": 1_800_000_000}, id="stamp"),
        pytest.param({"until": ["done"]}, id="state"),
    ],
)
def test_wrong_arguments_are_refused(wrong):
    good = {"ref": "gameball:1", "conn_id": "gameball_default", "end_time": in_seconds(1)}
    with pytest.raises(ConfigurationError):
        BatchTrigger(**good | wrong)


# One wait


def test_it_fires_once_the_batch_has_ended(simulator):
    ref = simulator.add("gameball", seconds=2, total=200, failed=2)
    found = payload(BatchTrigger(str(ref), "gameball_default", in_seconds(60), hold=0))
    assert (found["status"], found["error"]) == ("ended", None)
    batch = Batch.from_dict(found["batch"])
    assert (batch.ref, batch.state, batch.counts.succeeded, batch.results) == (ref, BatchState.SUCCEEDED, 198, ())


def test_it_holds_its_event(simulator):
    ref, started = simulator.add("gameball", status="completed"), time.monotonic()
    payload(BatchTrigger(str(ref), "gameball_default", in_seconds(60), hold=1.5))
    assert time.monotonic() - started > 1.5


def test_it_fires_at_a_state(simulator):
    ref = simulator.add("believe", status="FINALIZED")
    trigger = BatchTrigger(str(ref), "believe_default", in_seconds(60), until=["requires_action"], hold=0)
    assert payload(trigger)["batch"]["state"] == "requires_action"


def test_a_timeout_says_state_and_seconds(simulator):
    ref = simulator.add("gameball", status="processing")
    found = payload(BatchTrigger(str(ref), "gameball_default", in_seconds(2), hold=0))
    assert (found["status"], found["error"], found["batch"]["state"]) == ("timeout", "WaitTimeout", "running")
    assert found["message"].startswith("still RUNNING (processing), 4 of 8 done, 0.")
    assert found["message"].endswith(" s past the end of its time")


def test_after_its_time_it_polls_once(simulator):
    """A triggerer that was away at the end: no fresh window, and no word without a look."""
    ref = simulator.add("gameball", status="processing")
    found = payload(BatchTrigger(str(ref), "gameball_default", in_seconds(-1_000), hold=0))
    assert found["status"] == "timeout"
    assert found["message"].startswith("still RUNNING (processing), 4 of 8 done, 100")
    assert len(simulator.reads) == 1


def test_after_its_time_it_finds_an_end(simulator):
    ref = simulator.add("gameball", status="completed")
    found = payload(BatchTrigger(str(ref), "gameball_default", in_seconds(-1_000), hold=0))
    assert found["status"] == "ended"


def test_a_checkpoint_of_another_version_ends_nothing(simulator):
    """An upgrade meets the triggers of the version before it."""
    ref, old = simulator.add("believe", status="FINALIZED"), {"batchstatus_checkpoint": 1}
    trigger = BatchTrigger(
        str(ref), "believe_default", in_seconds(60), until=["requires_action"], checkpoint=old, hold=0
    )
    assert payload(trigger)["status"] == "ended"


# Connections


def test_a_wrong_key_is_refused(simulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_BELIEVE_OTHER", connection("believe", simulator.url, "test-other-key"))
    ref = simulator.add("believe")
    found = payload(BatchTrigger(str(ref), "believe_other", in_seconds(60), hold=0))
    assert (found["status"], found["error"]) == ("refused", "AuthenticationError")
    assert "test-other-key" not in json.dumps(found)


def test_a_missing_connection_is_named(simulator):
    found = payload(BatchTrigger("believe:1", "nowhere", in_seconds(60), hold=0))
    assert (found["status"], found["message"]) == ("refused", "Airflow has no connection 'nowhere'")


def test_a_connection_of_another_vendor_is_named(simulator):
    found = payload(BatchTrigger("believe:1", "gameball_default", in_seconds(60), hold=0))
    assert found["message"] == "the connection 'gameball_default' is of the type gameball, not believe"


def test_a_backend_that_is_away_is_asked_again(simulator, monkeypatch):
    """What Airflow cannot give just now ends no wait."""
    give, answers = BaseHook.aget_connection, iter([RuntimeError("away"), OSError()])

    async def aget_connection(conn_id):
        for error in answers:
            raise error
        return await give(conn_id)

    monkeypatch.setattr(BaseHook, "aget_connection", aget_connection)
    monkeypatch.setattr(clients, "FIRST_PAUSE", 0.01)
    ref = simulator.add("gameball", status="completed")
    assert payload(BatchTrigger(str(ref), "gameball_default", in_seconds(60), hold=0))["status"] == "ended"


def test_a_changed_key_is_taken_up(simulator, monkeypatch):
    """After a refusal the connection is fetched again, once for all waits that use it."""
    good = connection("believe", simulator.url, simulator.environment()["BELIEVE_API_KEY"])
    ref = simulator.add("believe", status="FAILED")

    async def main():
        monkeypatch.setenv("AIRFLOW_CONN_BELIEVE_DEFAULT", connection("believe", simulator.url, "test-other-key"))
        async with clients.shared_client("believe_default", ref, 30.0) as shared:
            await shared.client()
            monkeypatch.setenv("AIRFLOW_CONN_BELIEVE_DEFAULT", good)
            calls = (shared.call(lambda client: client.get(ref)) for _ in range(3))
            return await asyncio.gather(*calls)

    assert [batch.state for batch in asyncio.run(main())] == [BatchState.FAILED] * 3


def test_no_argument_is_a_key(simulator):
    """Only the connection's id is in a row of the trigger table; the rest is the vendor's answer."""
    ref = simulator.add("gameball", status="processing")

    async def main():
        async with clients.shared_client("gameball_default", ref, 30.0) as shared:
            return (await (await shared.client()).step(ref)).checkpoint

    kept = json.dumps(BatchTrigger(str(ref), "c", in_seconds(1), checkpoint=asyncio.run(main())).serialize())
    for name, key in simulator.environment().items():
        if name.endswith("KEY"):
            assert key not in kept


def test_a_cancelled_trigger_leaves_nothing(simulator):
    """A task that is cleared, or a triggerer that ends, cancels it."""
    ref = simulator.add("gameball", status="processing")

    async def main():
        task = asyncio.create_task(fired(BatchTrigger(str(ref), "gameball_default", in_seconds(60))))
        async with asyncio.timeout(60):
            while not simulator.reads:  # noqa: ASYNC110 (a test looks from outside)
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [*clients._clients[asyncio.get_running_loop()]], asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == ([], set())


# Many


def test_five_hundred_share_one_client(simulator, monkeypatch, capsys):
    """Half of the batches have ended; all fire, through one client, and it is closed then."""
    made, lags = [], []
    refs = [
        simulator.add("gameball", **({"status": "completed"} if number % 2 else {"seconds": 5}))
        for number in range(TRIGGERS)
    ]
    init = AsyncBatchClient.__init__
    monkeypatch.setattr(AsyncBatchClient, "__init__", lambda self, *a, **k: made.append(self) or init(self, *a, **k))

    async def ticks():
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            lags.append(time.monotonic() - before - 0.01)

    async def main():
        ticking = asyncio.create_task(ticks())
        waits = []
        for ref in refs:  # as a triggerer starts them, one after the other
            waits.append(asyncio.create_task(fired(rebuilt(trigger(ref)))))
            await asyncio.sleep(0)
        found = await asyncio.gather(*waits)
        ticking.cancel()
        return found, [*clients._clients[asyncio.get_running_loop()]]

    def trigger(ref):
        return BatchTrigger(str(ref), "gameball_default", in_seconds(250), hold=10)

    monkeypatch.setattr("batchstatus.engines.airflow.clients.account_of", unpaced)
    found, left = asyncio.run(main())
    lags.sort()
    with capsys.disabled():
        p99 = 1000 * lags[int(0.99 * len(lags))]
        print(f"\n{TRIGGERS} triggers: loop lag p99 {p99:.0f} ms, {len(simulator.reads)} reads")
    assert [one["ref"] for (one,) in found] == [*map(str, refs)]
    assert {one["status"] for (one,) in found} == {"ended"}
    assert len(made) == 1
    assert left == []


def unpaced(*arguments, **options):
    from batchstatus.engines.airflow.hooks import account_of

    return account_of(*arguments, **options).with_rate_limit(None)


# Events for assets


class Store:
    """As Airflow's of an asset."""

    def __init__(self):
        self.kept = {}

    async def aget(self, key):
        return self.kept.get(key)

    async def aset(self, key, value):
        self.kept[key] = value


def test_watchers_share_one_wait(simulator):
    """Each fires for its own batch, once, and then rests; after a restart it rests at once."""
    refs = [simulator.add("gameball", seconds=seconds) for seconds in (0.5, 1, 1.5)]
    stores = [Store() for _ in refs]

    async def watch(manager, number, events):
        trigger = rebuilt(BatchEventTrigger(str(refs[number])))
        trigger.asset_state_store = stores[number]
        stream = manager.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
        async for event in trigger.filter_shared_stream(stream):
            events.append((number, event.payload["batch"]["state"]))

    async def run(seconds, wanted):
        import structlog

        manager, events = SharedStreamManager(log=structlog.get_logger()), []
        watching = [asyncio.create_task(watch(manager, number, events)) for number in range(len(refs))]
        async with asyncio.timeout(60):
            while len(events) < wanted:  # noqa: ASYNC110 (a test looks from outside)
                await asyncio.sleep(0.05)
        await asyncio.sleep(seconds)
        assert not [task for task in watching if task.done()]
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await manager.stop_all()
        return sorted(events)

    assert asyncio.run(run(0.2, 3)) == [(0, "succeeded"), (1, "succeeded"), (2, "succeeded")]
    reads = len(simulator.reads)
    assert asyncio.run(run(1.0, 0)) == []
    assert len(simulator.reads) == reads


def test_a_watcher_fires_at_a_state(simulator):
    ref = simulator.add("believe", status="FINALIZED")

    async def main():
        trigger = rebuilt(BatchEventTrigger(str(ref), until=["requires_action"]))
        return (await anext(aiter(trigger.run()))).payload

    found = asyncio.run(main())
    assert BatchRef.parse(found["ref"]) == ref
    assert found["batch"]["state"] == "requires_action"
