"""What a watcher loses and repeats that is killed again and again: SIGKILL at random moments, deliveries over HTTP.

The vendors and the receiver are this process; the watcher is `batchstatus run`, started anew after each kill.
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
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import commandline
from _report import Figure
from attrs import define, field
from batchstatus import Believe, Gameball
from batchstatus.service.store import Store
from batchstatus.service.watcher import IN_FLIGHT
from batchstatus.testing.simulator import Simulator

BATCHES = 60
KILLS = 25
LIFE = 1.2
"""Seconds from a watcher's first read to its kill, at most."""
START = 0.4
"""Seconds that it takes to begin; one in five is killed in these."""
ANSWER = 0.3
"""Seconds that the receiver takes at most for an answer."""


@define
class Found:
    """What came of it."""

    batches: int
    kills: int
    posts: list[dict[str, Any]] = field(factory=list)
    statuses: Counter[int] = field(factory=Counter)
    faults: list[str] = field(factory=list)
    paths: list[str] = field(factory=list)
    """Of the requests to the vendors."""
    seconds: float = 0.0
    """From the first watcher's start to the last one's end."""

    @property
    def ended(self) -> Counter[str]:
        """How many events a receiver that drops known ids has about the end of each ref."""
        return Counter({post["id"]: post["ref"] for post in self.posts if post["kind"] == "ended"}.values())

    @property
    def hurried(self) -> list[str]:
        """The vendors that were asked more often than the pace of their account has slots in the time."""
        limits = {"api": Gameball.RATE_LIMIT, "v1": Believe.RATE_LIMIT}
        asked = Counter(path.split("/")[1] for path in self.paths)
        slots = {name: 0.9 * limit.requests / limit.seconds * self.seconds + 1 for name, limit in limits.items()}
        return [f"{name}: {asked[name]} of {slots[name]:.0f}" for name in limits if asked[name] > slots[name]]

    @property
    def missing(self) -> int:
        return self.batches - len(self.ended)

    @property
    def superfluous(self) -> int:
        return self.ended.total() - len(self.ended)

    @property
    def repeats(self) -> int:
        return len(self.posts) - len({post["id"] for post in self.posts})


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        found = killed_again_and_again(Path(folder), batches=BATCHES, kills=KILLS)
    what = f"{found.batches} batches, {found.kills} kills, {len(found.posts)} deliveries:"
    yield Figure(f"{what} ended events that never came", found.missing, 0)
    yield Figure(f"{what} ended events too many, known ids dropped", found.superfluous, 0)
    yield Figure(f"{what} repeats on the wire", found.repeats, found.kills * IN_FLIGHT)
    yield Figure(f"{what} answers 429, of {found.statuses.total():,}", found.statuses[429], 0)
    yield Figure(f"{what} faults of the store", len(found.faults), 0)


def killed_again_and_again(folder: Path, *, batches: int, kills: int, seed: int | None = None) -> Found:
    """Track batches, kill their watcher so often, and let the last one finish."""
    draw, found, path = random.Random(seed), Found(batches, kills), folder / "store.sqlite3"
    simulator = Simulator()
    simulator.app = counted(simulator.app, found.statuses)
    longest = kills * (START + LIFE / 2) + 2.0
    with simulator, receiving(found.posts) as url, Store(path) as store:
        command = [sys.executable, "-m", "batchstatus.cli", "run", "--store", str(path), "--deliver", url]
        environ = os.environ | commandline.keys(simulator)
        store.track(
            simulator.add(vendor, seconds=draw.uniform(1.0, longest))
            for vendor, _ in zip(("gameball", "believe") * batches, range(batches), strict=False)
        )
        started, found.paths = time.monotonic(), simulator.reads
        for _ in range(kills):
            with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as watcher:
                if draw.random() < 0.2:
                    time.sleep(draw.uniform(0.0, START))
                else:
                    seen = len(simulator.reads)
                    until(lambda seen=seen: len(simulator.reads) > seen, 10.0)
                    time.sleep(draw.uniform(0.0, LIFE))
                watcher.kill()
            found.faults += faults(store)
        with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as watcher:
            watcher.stderr.readline()  # from here on it can be told to stop
            until(lambda: not found.missing and not store.check()["undelivered"], 30.0)
            watcher.send_signal(signal.SIGTERM)
        found.seconds = time.monotonic() - started
        found.faults += faults(store)
        if watcher.returncode != 128 + signal.SIGTERM:
            found.faults.append(f"the last watcher ended with {watcher.returncode}")
    return found


def until(happened: Callable[[], bool], seconds: float) -> None:
    """Wait until something has happened, for at most `seconds`."""
    give_up = time.monotonic() + seconds
    while not happened() and time.monotonic() < give_up:
        time.sleep(0.02)


def faults(store: Store) -> list[str]:
    """Return what is wrong with a store: the file, or a change that is not whole."""
    checked = store.check()
    found = [] if checked["integrity_check"] == "ok" else [checked["integrity_check"]]
    if checked["outbox"] != checked["changes"] * checked["destinations"]:
        found.append(f"{checked['changes']} changes and {checked['outbox']} rows in the outbox")
    for tracked in store.tracked():
        history = store.history(tracked.ref)
        if [change.sequence for change in history] != [*range(1, tracked.sequence + 1)]:
            found.append(f"{tracked.ref}: sequence {tracked.sequence}, and {len(history)} changes")
        if tracked.ended != bool(history and history[-1].kind == "ended"):
            found.append(f"{tracked.ref}: its end and its changes contradict each other")
    return found


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
