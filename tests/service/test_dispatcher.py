"""What becomes of deliveries that fail, over real HTTP: pauses, ends, observers, no word of the receiver's."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter

import pytest
from batchstatus import ConfigurationError
from batchstatus.service import ClaimUpdate, DeliveryAttempt, Store, Watcher, to_stream, to_url
from batchstatus.service import dispatcher as dispatcher_module
from batchstatus.service.deliveries import DeliveryFailed, describe
from batchstatus.service.dispatcher import MAX_PAUSE, MAX_PROBE_PAUSE, pause_after
from batchstatus.service.store import clock as clock_module
from batchstatus.webhooks import new_secret, verify
from raw_server import response, serving
from receivers import receiver
from waiting import LONG
from watchers import running, until

DAY = 86_400.0


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite3") as store:
        yield store


@pytest.fixture
def clock(monkeypatch):
    """Both clocks of the store, which go on, and can be turned forward."""
    turned, wall, boot = [0.0], time.time, clock_module.now
    monkeypatch.setattr(time, "time", lambda: wall() + turned[0])
    monkeypatch.setattr(clock_module, "now", lambda: boot() + turned[0])

    def forward(seconds):
        turned[0] += seconds

    return forward


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses of a twentieth of a second, which do not grow."""
    monkeypatch.setattr(dispatcher_module, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(dispatcher_module, "MAX_PAUSE", 0.05)
    monkeypatch.setattr(dispatcher_module, "MAX_PROBE_PAUSE", 0.05)


def hook(store, name="hook"):
    return next(found for found in store.destinations() if found.name == name)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_delivery_that_fails_for_three_days_is_set_aside(store, simulator, clock, caplog):
    """Then nobody sends it any more, until somebody says so."""
    store.track([simulator.add("gameball", status="completed")])
    told: list[DeliveryAttempt] = []
    is_well = threading.Event()

    with receiver(lambda _: (204 if is_well.is_set() else 500, {})) as (url, came):

        async def main():
            watcher = Watcher(store, simulator.accounts(), deliver={"hook": to_url(url)}, on_delivery=told.append)
            async with running(watcher):
                await until(lambda: len(told) >= 3)  # the third is recorded, too
                clock(3 * DAY)
                await until(lambda: hook(store).set_aside)
                posts = len(came)
                assert (hook(store).waiting, hook(store).reason) == (0, "DeliveryFailed: HTTP 500")
                is_well.set()
                assert len(came) == posts
                assert store.retry_deliveries("hook") == 1
                await until(lambda: len(came) > posts and not store.pending("hook"))

        asyncio.run(main())
    outcomes = [attempt.outcome for attempt in told]
    assert (outcomes[:3], outcomes[-2:]) == (["failed"] * 3, ["set_aside", "delivered"])
    assert [(attempt.status_code, attempt.attempts) for attempt in told[:2]] == [(500, 1), (500, 2)]
    assert (told[-1].status_code, told[-1].attempts, told[-1].destination) == (204, 1, "hook")
    assert all(attempt.duration > 0 for attempt in told)
    assert {attempt.change.id for attempt in told} == {change.id for change in store.changes()}
    about = {(vars(record)["batch.destination"], vars(record)["batch.ref"]) for record in caplog.records}
    assert about == {("hook", str(told[0].change.ref))}
    first, aside, well = warnings(caplog)
    assert first.startswith(f"destination hook: {told[0].change.ref} #1 is not delivered")
    assert "is not delivered, and will be tried again: DeliveryFailed: HTTP 500" in first
    assert "has failed for 3 days, and is set aside: batchstatus deliveries list hook" in aside
    assert "deliveries succeed again" in well


def test_what_is_set_aside_is_not_said_to_be_tried_again(store, simulator, clock, caplog):
    store.serve("hook")
    store.track([simulator.add("gameball", status="completed")])
    with receiver(lambda _: (500, {})) as (url, _):

        def once():
            caplog.clear()
            asyncio.run(Watcher(store, simulator.accounts(), deliver={"hook": to_url(url)}).once())
            return warnings(caplog)

        (first,) = once()
        clock(3 * DAY)
        (aside,) = once()
    assert "will be tried again" in first
    assert "is set aside" in aside


def test_410_stops_a_destination_and_no_other(store, simulator, caplog):
    """It is told once, survives the service, and keeps what is stored meanwhile."""
    store.track(simulator.add("gameball", status="completed") for _ in range(12))
    told, got = [], []
    is_well = threading.Event()

    with receiver(lambda _: (204 if is_well.is_set() else 410, {})) as (url, came):
        deliver = {"hook": to_url(url), "other": got.append}

        def watcher():
            def observe(attempt):
                told.append((attempt.destination, attempt.outcome, attempt.status_code))

            return Watcher(store, simulator.accounts(), deliver=deliver, on_delivery=observe)

        async def main():
            async with running(watcher()):
                await until(lambda: len(got) == 12 and hook(store).stopped_at)
            posts = len(came)
            assert posts <= 8, "only those that were in flight"
            store.track([simulator.add("gameball", status="completed")])
            async with running(watcher()):
                await until(lambda: len(got) == 13)
            assert len(came) == posts
            assert (hook(store).waiting, hook(store).reason) == (13, "DeliveryFailed: HTTP 410")
            is_well.set()
            store.retry_deliveries("hook")
            async with running(watcher()):
                await until(lambda: not store.pending("hook"))

        asyncio.run(main())
    assert hook(store).stopped_at is None
    (news,) = [text for text in warnings(caplog) if "wants no more changes" in text]
    assert news.startswith("the destination hook wants no more changes (DeliveryFailed: HTTP 410), and is stopped;")
    assert "they wait until batchstatus deliveries retry hook" in news
    counts = Counter(told)
    assert counts["other", "delivered", None] == 13
    assert counts["hook", "delivered", 204] == 13
    assert set(counts) == {("other", "delivered", None), ("hook", "stopped", 410), ("hook", "delivered", 204)}


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_gets_the_pause_that_it_asks_for(store, simulator, clock, status):
    """As a whole, from each process, and from run --once, too."""
    store.serve("hook")
    store.track(simulator.add("gameball", status="completed") for _ in range(20))
    is_well = threading.Event()
    with receiver(lambda _: (204, {}) if is_well.is_set() else (status, {"Retry-After": "1000"})) as (url, came):
        deliver = {"hook": to_url(url)}

        def watcher():
            return Watcher(store, simulator.accounts(), deliver=deliver, in_flight=2)

        async def main():
            async with running(watcher()):
                await until(lambda: hook(store).waiting == 20 and hook(store).failed)
            posts = len(came)
            assert posts <= 2, "only those that were in flight"
            clock(900)
            await watcher().once()
            assert len(came) == posts
            is_well.set()
            clock(101)
            async with running(watcher()):
                await until(lambda: not store.pending("hook"))

        asyncio.run(main())
    assert len({headers["Idempotency-Key"] for _, headers, _ in came}) == 20


def test_a_refusal_with_a_pause_holds_up_no_other_change(store, simulator, clock):
    store.serve("hook")
    refs = [simulator.add("gameball", status="completed") for _ in range(6)]
    store.track(refs)

    def answer(came):
        return (409, {"Retry-After": "1000"}) if str(refs[0]).encode() in came[-1][2] else (204, {})

    with receiver(answer) as (url, came):

        async def main():
            async with running(Watcher(store, simulator.accounts(), deliver={"hook": to_url(url)})):
                await until(lambda: hook(store).waiting == 1 and len(store.changes()) == 6)

        asyncio.run(main())
        assert len(came) == 6
    assert store.undelivered("hook", clock_module.now() + 900) == []
    assert len(store.undelivered("hook", clock_module.now() + 1001)) == 1


def test_a_short_pause_holds_up_others_no_longer(store, simulator, clock):
    """The change itself has failed often and waits for long; the receiver has asked for a second."""
    store.serve("hook")
    store.track([simulator.add("gameball", status="completed")])
    with receiver(lambda _: (429, {"Retry-After": "1"})) as (url, _):
        asyncio.run(Watcher(store, simulator.accounts(), deliver={"hook": to_url(url)}).once())
        with store._work.transaction() as connection:
            connection.execute("UPDATE outbox SET attempts = 40")
        clock(2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatcher_module, "MAX_PAUSE", 1_800.0)
            asyncio.run(Watcher(store, simulator.accounts(), deliver={"hook": to_url(url)}).once())
    clock(2)
    assert store.undelivered("hook") == [], "that one waits"
    store.track([simulator.add("gameball", status="completed")])
    asyncio.run(Watcher(store, simulator.accounts()).once())
    assert len(store.undelivered("hook")) == 1


def test_pauses_grow_for_a_change_and_less_for_a_receiver(monkeypatch):
    """A change that is refused is tried ever more seldom; a receiver that takes nothing is asked each minute."""
    monkeypatch.setattr(dispatcher_module, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(dispatcher_module, "JITTER", 0.0)
    assert [pause_after(number, MAX_PAUSE) for number in (0, 1, 5, 10, 11, 4_000)] == [1, 2, 32, 1024, 1800, 1800]
    assert [pause_after(number, MAX_PROBE_PAUSE) for number in (5, 6, 4_000)] == [32, 60, 60]


def test_trouble_and_recovery_are_told_once(store, simulator, caplog):
    """A change that is refused all the time, among others that arrive, is told once, and so is that those arrive."""
    store.serve("hook")
    bad, *good = (simulator.add("gameball", seconds=seconds) for seconds in (0.0, 1.0, 2.0, 3.0))
    store.track([bad, *good])
    tries = []

    def answer(came):
        is_bad = str(bad).encode() in came[-1][2]
        tries.append(is_bad)
        return (400 if is_bad else 204), {}

    with receiver(answer) as (url, _):

        async def main():
            async with running(Watcher(store, simulator.accounts(), deliver={"hook": to_url(url)})):
                await until(lambda: not store.tracked(open_only=True) and hook(store).waiting == 1)
                posts = len(tries)
                await until(lambda: len(tries) > posts + 3)

        asyncio.run(main())
    found = warnings(caplog)
    assert len([text for text in found if "is not delivered" in text]) == 1
    assert len([text for text in found if "succeed again" in text]) == 1
    assert sum(tries) > 4


def test_what_is_dropped_in_flight_ends_nothing(store, simulator, caplog):
    """Neither a change, nor its batch, nor the destination."""
    refs = [simulator.add("gameball", status="completed") for _ in range(3)]
    store.track(refs)
    is_in, may_end, told = threading.Event(), threading.Event(), []

    def answer(came):
        if len(came) >= 3:
            is_in.set()
        may_end.wait(LONG)
        return 204, {}

    with receiver(answer) as (url, _):

        async def main():
            deliver = {"hook": to_url(url)}
            async with running(Watcher(store, simulator.accounts(), deliver=deliver, on_delivery=told.append)):
                await until(is_in.is_set)
                store.drop_delivery("hook", store.history(refs[0])[0].id)
                store.untrack([refs[1]])
                store.drop_destination("hook")
                may_end.set()
                await until(lambda: len(told) == 3 and store.destinations())
                store.track([simulator.add("gameball", status="completed")])
                await until(lambda: len(told) == 4)

        asyncio.run(main())
    assert [attempt.outcome for attempt in told] == ["delivered"] * 4
    assert warnings(caplog) == []


def test_only_the_wanted_kinds_are_delivered(store, simulator):
    store.track([simulator.add("gameball", seconds=2.0)])
    got, everything = [], []
    with receiver() as (url, came):
        some = to_url(url, only=["ended"])

        async def main():
            deliver = {"some": some, "all": everything.append, "lines": to_stream(Lines(got), only=["lost"])}
            async with running(Watcher(store, simulator.accounts(), deliver=deliver)):
                await until(lambda: not store.tracked(open_only=True) and not store.summary()["undelivered"])

        asyncio.run(main())
    assert len(everything) > 1
    assert (len(came), got) == (1, [])
    assert b'"kind": "ended"' in came[0][2]


class Lines:
    """Text without a descriptor."""

    def __init__(self, into):
        self.write, self.flush = into.append, lambda: None


def test_an_observer_that_fails_ends_nothing(store, simulator, caplog):
    store.track([simulator.add("gameball", status="completed")])

    def observe(attempt):
        raise ValueError("test-planted-text")

    asyncio.run(
        Watcher(store, simulator.accounts(), deliver=lambda _: None, on_delivery=observe, on_claim=observe).once()
    )
    assert not store.summary()["undelivered"]
    assert "an observer failed at a DeliveryAttempt: ValueError" in caplog.text
    assert "planted" not in caplog.text


def test_claims_are_told_by_account(store, simulator):
    """What a watcher gets, and what it gives to a second one; an end is no loss."""
    told: dict[str, list[ClaimUpdate]] = {"one": [], "other": []}
    gameball = [simulator.add("gameball", status="processing", seconds=600) for _ in range(6)]
    store.track([*gameball, simulator.add("believe", seconds=600), simulator.add("believe", status="EXECUTED")])

    async def main():
        async with running(Watcher(store, simulator.accounts(), on_claim=told["one"].append)) as _:
            await until(lambda: len(store.tracked(open_only=True)) == 7)
            assert [(update.gained, update.lost) for update in told["one"]] == [({"gameball": 6, "believe": 2}, {})]
            async with running(Watcher(store, simulator.accounts(), on_claim=told["other"].append)):
                await until(lambda: len(told["one"]) > 1 and told["other"])
            lost = sum(sum(update.lost.values()) for update in told["one"])
            gained = sum(sum(update.gained.values()) for update in told["other"])
            assert lost == gained > 0
            store.untrack(gameball)
            await until(lambda: sum(sum(u.gained.values()) - sum(u.lost.values()) for u in told["one"]) == 2)

    asyncio.run(main())
    assert len({update.watcher for updates in told.values() for update in updates}) == 2


# Words of others, and secrets


def quoting(how):
    """A receiver that quotes the request, URL, keys and all."""

    def script(head):
        line = head.split(b"\r\n")[0]
        everything = head.replace(b"\r\n", b" ")
        yield {
            "status": b"HTTP/1.1 500 " + everything + b"\r\ncontent-length: 0\r\n\r\n",
            "body": response(head, "500 no"),
            "location": response(b"", "302 Found", location=everything.decode()),
            "no-http": line + b" \x1b[31m\r\n\r\n",
            "status-line": b"HTTP/1.1 " + line + b"\r\n\r\n",
            "header-line": b"HTTP/1.1 204 no\r\n" + line + b"\r\n\r\n",
            "chunk": b"HTTP/1.1 500 no\r\ntransfer-encoding: chunked\r\n\r\n" + line + b"\r\n",
            "encoding": response(b"x", "200 OK", content_encoding=everything.decode()).replace(b"200", b"400"),
            "retry-after": response(b"", "429 no", retry_after=everything.decode()),
        }[how]

    return script


@pytest.mark.parametrize(
    "how",
    ["status", "body", "location", "no-http", "status-line", "header-line", "chunk", "encoding", "retry-after"],
)
def test_a_receiver_that_quotes_the_request_tells_nothing(store, simulator, caplog, how):
    """Neither the log nor the store has its words, and so the URL, a header or a control character."""
    caplog.set_level(logging.DEBUG, "batchstatus")
    store.track([simulator.add("gameball", status="completed")])
    with serving(quoting(how)) as server:
        deliver = to_url(
            f"{server.url}/hook/test-planted-path?key=test-planted-query",
            secret=new_secret(),
            headers={"Authorization": "Bearer test-planted-token"},
        )
        asyncio.run(Watcher(store, simulator.accounts(), deliver={"hook": deliver}).once())
        assert b"test-planted-path" in server.heads[0]
        assert b"test-planted-token" in server.heads[0]
    (pending,) = store.pending("hook")
    assert pending.reason.startswith("DeliveryFailed: ")
    assert hook(store).reason == pending.reason
    ours = "".join(
        record.getMessage() + str(record.exc_text) for record in caplog.records if record.name == "batchstatus"
    )
    assert pending.reason in ours
    store.close()
    files = b"".join(path.read_bytes() for path in store.path.parent.iterdir() if path.is_file())
    for text in (ours.encode(), files):
        assert b"planted" not in text
        assert b"\x1b" not in ours.encode()
        assert b"127.0.0.1" not in text


class Odd(OSError):
    """An error whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("test-planted-text")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("https://x/test-planted-path"), "ValueError"),
        (OSError("test-planted-path"), "OSError"),
        (ConnectionRefusedError(111, "test-planted\x1b[31m", "planted"), "ConnectionRefusedError: Connection refused"),
        (OSError(28, "planted"), "OSError: No space left on device"),
        (ExceptionGroup("test-planted", [ValueError("planted")]), "ExceptionGroup"),
        (ConfigurationError("test-planted-path"), "ConfigurationError"),
        (Odd("test-planted"), "Odd"),
        (type("Bad\x1b[31m\n", (Exception,), {})("planted"), "Bad\\x1b[31m\\n"),
        (DeliveryFailed("our own words \x1b\n"), "DeliveryFailed: our own words \\x1b\\n"),
    ],
    ids=lambda value: type(value).__name__.split("\x1b")[0] if isinstance(value, Exception) else "",
)
def test_a_delivery_of_ones_own_may_raise_anything(store, simulator, caplog, error, reason):
    """Its class is told, and no text of it."""
    caplog.set_level(logging.DEBUG, "batchstatus")
    store.track([simulator.add("gameball", status="completed")])

    def deliver(change):
        raise error from KeyError("test-planted-cause")

    asyncio.run(Watcher(store, simulator.accounts(), deliver={"hook": deliver}).once())
    (pending,) = store.pending("hook")
    assert pending.reason.removesuffix(" from KeyError") == reason
    assert f"will be tried again: {pending.reason}" in caplog.text
    assert "planted" not in caplog.text.replace(str(store.path), "")
    assert "\x1b" not in caplog.text
    assert describe(error) == pending.reason


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/test-planted-path", "Connection refused"),
        ("https://test-planted.invalid/x", "unknown host"),
    ],
)
def test_an_outage_is_told_in_our_words(store, simulator, url, why, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    store.track([simulator.add("gameball", status="completed")])
    asyncio.run(Watcher(store, simulator.accounts(), deliver={"hook": to_url(url)}).once())
    assert [pending.reason for pending in store.pending("hook")] == [
        f"DeliveryFailed: cannot connect; check the address, the network and the proxy ({why})"
    ]


def test_a_large_or_odd_answer_with_2xx_has_arrived(store, simulator):
    """Only the status counts: the receiver has taken the change."""
    for script in (
        lambda _: [response(b"x" * 200_000)],
        lambda _: [response(b"no gzip", content_encoding="gzip")],
    ):
        store.track([simulator.add("gameball", status="completed")])
        with serving(script) as server:
            asyncio.run(Watcher(store, simulator.accounts(), deliver={"hook": to_url(server.url)}).once())
        assert store.pending("hook") == []


# The way there


def test_a_receiver_on_loopback_is_reached_directly(store, simulator, monkeypatch):
    """Whatever proxy the environment names."""
    store.track([simulator.add("gameball", status="completed")])
    secret = new_secret()
    with receiver() as (proxy, asked), receiver() as (url, came):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        asyncio.run(Watcher(store, simulator.accounts(), deliver=to_url(url, secret=secret)).once())
    assert asked == []
    ((_, headers, body),) = came
    assert verify(headers, body, secret) == store.changes()[0]


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "0.0.0.0", "[::2]", "localhost.example.com", "128.0.0.1"])
def test_plain_http_off_loopback_is_refused(host):
    with pytest.raises(ConfigurationError, match="would send changes and secrets unencrypted: use https") as refused:
        to_url(f"http://{host}/test-planted-path")
    assert host not in str(refused.value)
    assert "planted" not in str(refused.value)
    assert to_url(f"http://{host}/test-planted-path", allow_insecure=True)
    assert to_url(f"https://{host}/test-planted-path")


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "[::1]:8080", "127.8.9.10", "LOCALHOST"])
def test_plain_http_on_loopback_is_fine(host):
    assert to_url(f"http://{host}/")


def test_a_fault_of_the_dispatcher_itself_is_told_and_ends_nothing(store, simulator, caplog, monkeypatch):
    """Its text, which may be another's, is not."""
    store.track([simulator.add("gameball", status="completed") for _ in range(2)])
    recorded, record = [], dispatcher_module.Dispatcher._record_success

    async def the_first_fails(self, change):
        recorded.append(change)
        if len(recorded) == 1:
            raise LookupError("planted-text")
        await record(self, change)

    monkeypatch.setattr(dispatcher_module.Dispatcher, "_record_success", the_first_fails)

    async def main():
        async with running(Watcher(store, simulator.accounts(), deliver={"lines": to_stream(Lines([]))})):
            await until(lambda: len(recorded) == 2)

    asyncio.run(main())
    assert warnings(caplog) == ["a delivery to lines ended as it must not, please report it: LookupError"]
    assert "planted-text" not in caplog.text
