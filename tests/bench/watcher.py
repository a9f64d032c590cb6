"""What three watchers of one store lose and repeat that are killed and stopped again and again, with two destinations.

The vendors and the receivers are this process; a watcher is `batchstatus run`, started anew after each SIGKILL. One in
four is stopped for longer than its lease instead (SIGSTOP), and goes on (SIGCONT) when others have its batches.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import commandline
from _report import Figure
from attrs import define, field
from batchstatus import Believe, Gameball, RateLimit
from batchstatus.service.store import Change, Store
from batchstatus.service.watcher import IN_FLIGHT
from batchstatus.testing.simulator import Simulator

SLOTS = 2_000
BATCHES = 60
KILLS = 25
WATCHERS = 3
LIFE = 1.2
"""Seconds between two kills, at most."""
LEASE = 2.0
"""Seconds: a shorter lease than the service's, so that a trial does not take an hour."""
STOPPED = 3.0
"""Seconds for which a watcher is stopped."""
ANSWER = 0.3
"""Seconds that a receiver takes at most for an answer."""
RUN = f"""if True:
    import batchstatus.service.watcher, sys
    from batchstatus.cli import main
    batchstatus.service.watcher.LEASE = {LEASE}
    sys.exit(main())
"""


POLLS = """if True:
    import asyncio, sys, time
    from batchstatus import AsyncBatchClient, EventKind, Gameball
    from batchstatus.service import Store, Watcher
    from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET

    kind, path, url, *refs = sys.argv[1:]
    account, polls = Gameball(GAMEBALL_KEY, GAMEBALL_SECRET, base_url=url), []

    def note(event):
        if event.kind is EventKind.ATTEMPT:
            polls.append(event)

    async def watch(stop):
        async with AsyncBatchClient(account, on_event=note) as client:
            async for _ in client.watch(refs, timeout=600, changes_only=False, stop=stop):
                pass

    async def run(stop):
        with Store(path) as store:
            store.track(refs)
            await Watcher(store, [account], on_event=note).run(stop)

    async def main():
        stop = asyncio.Event()
        task = asyncio.create_task((watch if kind == "watch" else run)(stop))
        await asyncio.sleep(3.0)  # until all were read, and code is loaded
        polls.clear()
        started = time.process_time()
        await asyncio.sleep(8.0)
        print((time.process_time() - started) / len(polls))
        stop.set()
        await task

    asyncio.run(main())
"""
"""Prints the CPU seconds of a poll."""


@define
class Found:
    """What came of it."""

    batches: int
    kills: int
    posts: tuple[list[dict[str, Any]], ...] = field(factory=lambda: ([], []))
    """Of each destination."""
    statuses: Counter[int] = field(factory=Counter)
    faults: list[str] = field(factory=list)
    paths: list[str] = field(factory=list)
    """Of the requests to the vendors."""
    seconds: float = 0.0
    """From the first watcher's start to the last one's end."""

    @property
    def hurried(self) -> list[str]:
        """The vendors that were asked more often than the pace of their account has slots in the time."""
        limits = {"api": Gameball.RATE_LIMIT, "v1": Believe.RATE_LIMIT}
        asked = Counter(path.split("/")[1] for path in self.paths)
        slots = {name: 0.9 * limit.requests / limit.seconds * self.seconds + 1 for name, limit in limits.items()}
        return [f"{name}: {asked[name]} of {slots[name]:.0f}" for name in limits if asked[name] > slots[name]]

    @property
    def ended(self) -> list[Counter[str]]:
        """How many events a receiver that drops known ids has about the end of each ref, by destination."""
        return [
            Counter({post["id"]: post["ref"] for post in posts if post["kind"] == "ended"}.values())
            for posts in self.posts
        ]

    @property
    def missing(self) -> int:
        return sum(self.batches - len(ended) for ended in self.ended)

    @property
    def superfluous(self) -> int:
        return sum(ended.total() - len(ended) for ended in self.ended)

    @property
    def repeats(self) -> int:
        return sum(len(posts) - len({post["id"] for post in posts}) for posts in self.posts)


def figures() -> Iterator[Figure]:
    yield Figure("a watcher's poll of a moving batch / a plain watch's, CPU", poll_cost(), 1.3)
    yield Figure("a slot of the store's pace at 1,000 a second / a plain update", slot_cost(RateLimit(1_000)), 2.0)
    yield Figure("a slot of the store's pace at Believe's limit / a plain update", slot_cost(Believe.RATE_LIMIT), 2.0)
    with tempfile.TemporaryDirectory() as folder:
        found = killed_again_and_again(Path(folder), batches=BATCHES, kills=KILLS)
    posts = sum(map(len, found.posts))
    what = f"{found.batches} batches, {found.kills} kills of {WATCHERS} watchers, {posts} deliveries to 2 destinations:"
    yield Figure(f"{what} ended events that never came", found.missing, 0)
    yield Figure(f"{what} ended events too many, known ids dropped", found.superfluous, 0)
    yield Figure(f"{what} repeats on the wire", found.repeats, 2 * found.kills * IN_FLIGHT)
    yield Figure(f"{what} answers 429, of {found.statuses.total():,}", found.statuses[429], 0)
    yield Figure(f"{what} faults of the store, changes back in time among them", len(found.faults), 0)


def poll_cost() -> float:
    """Return the CPU time of a service's poll, if each is a change, over that of a plain watch: the least of 3 each."""
    found: dict[str, list[float]] = {"watch": [], "run": []}
    with tempfile.TemporaryDirectory() as folder, Simulator(limits=False) as simulator:
        for number, (kind, taken) in product(range(3), found.items()):
            refs = [str(simulator.add("gameball", seconds=3_600.0)) for _ in range(60)]
            command = [sys.executable, "-c", POLLS, kind, f"{folder}/{number}", simulator.url, *refs]
            taken.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return min(found["run"]) / min(found["watch"])


def slot_cost(limit: RateLimit) -> float:
    """Return how much CPU time a slot takes that is booked and used, of that of an update of its row; the best of 5."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "store.sqlite3") as store:
        pace, now = store.pace("x", limit), time.monotonic()
        slots, updates = [], []
        for _ in range(5):
            started = time.process_time()
            for _ in range(SLOTS):
                now += pace.reserve(now, float("inf")) or 0.0
                assert pace.begin(now, now)
                pace.accepted()
            slots.append(time.process_time() - started)
            with store._paces.exclusive() as connection:
                started = time.process_time()
                for _ in range(SLOTS):
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("UPDATE paces SET last = ? WHERE credential = 'x'", (now,))
                    connection.execute("COMMIT")
                updates.append(time.process_time() - started)
        return min(slots) / min(updates)


def killed_again_and_again(folder: Path, *, batches: int, kills: int, seed: int | None = None) -> Found:
    """Track batches, kill and stop their watchers so often, and let the last ones finish."""
    draw, found, path = random.Random(seed), Found(batches, kills), folder / "store.sqlite3"
    simulator = Simulator()
    simulator.app = counted(simulator.app, found.statuses)
    longest = kills * LIFE / 2 + 2.0
    with ExitStack() as stack:
        stack.enter_context(simulator)
        urls = [stack.enter_context(receiving(posts)) for posts in found.posts]
        store = stack.enter_context(Store(path))
        deliver = [word for url in urls for word in ("--deliver", url)]
        command = [sys.executable, "-c", RUN, "run", "--store", str(path), *deliver]
        environ = os.environ | commandline.keys(simulator)
        watchers = Watchers(command, environ)
        stack.callback(watchers.end)
        store.track(
            simulator.add(vendor, seconds=draw.uniform(1.0, longest))
            for vendor, _ in zip(("gameball", "believe") * batches, range(batches), strict=False)
        )
        for url in urls:  # before the first change, so that each destination gets all of them
            store.serve(store.destination_name(url))
        started, found.paths = time.monotonic(), simulator.reads
        for number in range(kills):
            time.sleep(draw.uniform(0.0, LIFE))
            watchers.harm(draw.randrange(WATCHERS), is_stop=number % 4 == 3)
            found.faults += faults(store)

        def is_over() -> bool:
            watchers.wake(time.monotonic())
            return not found.missing and not store.check()["undelivered"]

        until(is_over, 60.0)
        found.faults += watchers.end()
        found.seconds = time.monotonic() - started
        found.faults += faults(store)
    return found


class Watchers:
    """Three running watchers."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self._command = command
        self._environ = environ
        self._said: dict[int, int] = {}
        """What each says, as a file."""
        self._processes = [self._start() for _ in range(WATCHERS)]
        self._continue_at: dict[int, float] = {}

    def _start(self) -> subprocess.Popen[bytes]:
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(self._command, env=self._environ, stderr=said)
            self._said[process.pid] = os.dup(said.fileno())
        return process

    def harm(self, number: int, *, is_stop: bool) -> None:
        """Stop a watcher for longer than its lease, or kill it and start another."""
        self.wake(time.monotonic())
        process = self._processes[number]
        if is_stop:
            process.send_signal(signal.SIGSTOP)
            self._continue_at[number] = time.monotonic() + STOPPED
            return
        process.kill()
        process.wait()
        self._continue_at.pop(number, None)
        self._processes[number] = self._start()

    def wake(self, now: float) -> None:
        """Let those go on that have been stopped for long enough: one that stopped within a write holds the store."""
        for number in [number for number, at in self._continue_at.items() if at <= now]:
            self._processes[number].send_signal(signal.SIGCONT)
            del self._continue_at[number]

    def end(self) -> list[str]:
        """Let all end in order; return what was wrong with that."""
        self.wake(float("inf"))
        # With its first line it can be told to stop; before that a signal may end it as it ends any process.
        until(lambda: all(os.fstat(self._said[process.pid]).st_size for process in self._processes), 30.0)
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(30) for process in self._processes]
        for said in self._said.values():
            os.close(said)
        self._processes, self._said = [], {}
        return [f"a watcher ended with {code}" for code in codes if code != 0]


def until(happened: Callable[[], bool], seconds: float) -> None:
    """Wait until something has happened, for at most `seconds`."""
    give_up = time.monotonic() + seconds
    while not happened() and time.monotonic() < give_up:
        time.sleep(0.02)


def faults(store: Store) -> list[str]:
    """Return what is wrong with a store, the file or a change that is not whole, at one moment: in a copy of it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        store.backup(copy)
        with Store(copy, read_only=True) as still:
            return faults_at_rest(still)


def faults_at_rest(store: Store) -> list[str]:
    checked = store.check()
    found = [] if checked["integrity_check"] == "ok" else [checked["integrity_check"]]
    if checked["outbox"] != checked["changes"] * checked["destinations"]:
        found.append(f"{checked['changes']} changes and {checked['outbox']} rows in the outbox")
    for tracked in store.tracked():
        history = store.history(tracked.ref)
        if [change.sequence for change in history] != [*range(1, tracked.sequence + 1)]:
            found.append(f"{tracked.ref}: sequence {tracked.sequence}, and {len(history)} changes")
        if [change.kind for change in history].count("ended") > 1:
            found.append(f"{tracked.ref}: it has ended twice")
        if any(processed(later) < processed(earlier) for earlier, later in pairwise(history)):
            found.append(f"{tracked.ref}: its changes go back in time")
    return found


def processed(change: Change) -> float:
    """Return how far a batch has come, its end included."""
    counts = change.batch["counts"] if change.batch else {}
    return float("inf") if change.kind == "ended" else counts["processed"] or 0


def counted(app: Any, statuses: Counter[int]) -> Any:
    """Return an ASGI application that counts what it answers."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses[message["status"]] += 1
            await send(message)

        await app(scope, receive, sent)

    return serve


@contextmanager
def receiving(posts: list[dict[str, Any]]) -> Iterator[str]:
    """Take deliveries on loopback, and note each once it has come in whole."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            post = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Idempotency-Key"] == post["id"]
            posts.append(post)
            time.sleep(random.uniform(0.0, ANSWER))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, *_: Any) -> None:
            """A watcher that is killed hangs up."""

    server = Server(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/events"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
