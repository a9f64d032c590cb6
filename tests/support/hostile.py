"""A table language for the misdeeds of a server: for each row, the exact Batch or error that comes of it.

Every row runs over both vendors and both clients; rows in a series follow each other over one client. Whatever the
server does, nothing but our own errors escapes, in time and without a key in it, the next read over the same client
gets its own answer, and nothing stays open.
"""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import socket
import struct
import time
import traceback
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from itertools import chain, repeat
from pathlib import Path

import pytest
from attrs import define, evolve, field, frozen
from batchstatus import (
    APIError,
    Batch,
    BatchState,
    BatchStatusError,
    Believe,
    Counts,
    Gameball,
    InvalidResponse,
    RateLimited,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    TransportError,
)
from raw_server import RawServer, elapsed, serving
from waiting import HANG

KEY, SECRET = "test-hostile-Key-1", "test-hostile-Secret-2"


def encoded(body):
    return json.dumps(body).encode()


@frozen
class Account:
    """Where the two differ: the account, the name of the id, the words for a good and a bad end."""

    name: str
    account: object
    id: str
    done: str
    failed: str

    def body(self, **fields):
        return encoded({self.id: "1", "status": self.done} | fields)


BELIEVE = Account("believe", partial(Believe, KEY, rate_limit=None), "id", "EXECUTED", "FAILED")
GAMEBALL = Account("gameball", partial(Gameball, KEY, SECRET, rate_limit=None), "batchId", "completed", "failed")
VENDORS = (BELIEVE, GAMEBALL)


@define
class Scene:
    """What a row's server knows as it answers."""

    vendor: Account
    trap: str
    """The address of a server that must never be asked."""
    head: bytes = b""
    """The request, keys and all."""

    @property
    def good(self):
        return self.vendor.body()


@frozen
class Row:
    sends: object
    """Bytes, or steps of a RawServer, or a function of the Scene that returns either."""
    gives: type
    facts: dict = field(factory=dict)
    """What of the Batch or error is not as in USUAL."""
    timeout: float = 10.0
    rest: float = 0.0
    """Seconds until the next read."""
    resets: bool = False
    """Whether HANG_UP is a RST."""


USUAL = {
    Batch: {"state": BatchState.SUCCEEDED, "counts": Counts(), "progress": None, "failures": (), "results": ()}
    | {"created_at": None, "updated_at": None, "request_id": None, "attempts": 1, "is_settled": True, "odd": ()},
    TransportError: {"attempts": 1, "is_retryable": True},
    InvalidResponse: {"status_code": 200, "cut_short": False, "is_too_large": False, "request_id": None, "attempts": 1},
    APIError: {"code": None, "message": None, "retry_after": None, "request_id": None, "attempts": 1},
}
DERIVED = {
    "odd": lambda batch: tuple(problem.partition(":")[0] for problem in batch.problems),
    "lacks_the_vendors_body": lambda error: "without the vendor's error body" in str(error),
}
"""Facts that are no attributes: the fields that problems name; whether an error says it may not be the vendor's."""


def ok(sends, **facts):
    return Row(sends, Batch, facts)


def broken(sends):
    return Row(sends, TransportError)


def late(sends):
    return Row(sends, RequestTimeout, timeout=0.5)


def bad(sends, **facts):
    return Row(sends, InvalidResponse, facts)


def too_large(sends):
    return bad(sends, is_too_large=True)


def refused(gives, status, sends=None, **facts):
    return Row(no(status) if sends is None else sends, gives, {"status_code": status} | facts)


def unsized(body=b"", *lines, status="200 OK"):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def answer(body=b"", *lines, status="200 OK"):
    return unsized(body, f"content-length: {len(body)}", *lines, status=status)


def no(status, body=b"", *lines):
    return answer(body, *lines, status=f"{status} No")


def good(change=bytes, *lines):
    """Return a function that answers with what is made of the good body."""
    return lambda at: answer(change(at.good), *lines)


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(*chunks):
    return unsized(b"".join(chunks), "transfer-encoding: chunked")


def endless(start, *again):
    return lambda at: chain([start], chain.from_iterable(repeat(again)))


def after_rest(row):
    return evolve(row, rest=0.1)


LAST = chunk(b"")
FLOOD = b" " * 65536
SILENCE = 30.0
PAGE = b"<!doctype html><html>\r\n<title>Just a moment</title>\r\n\r\n</html>"
NOON = datetime(2026, 1, 27, 12, tzinfo=UTC)


def series(rows):
    """Return rows that can follow each other on one connection, by their numbers and beginnings."""
    return {f"{index}: {row.sends!r:.200}": row for index, row in enumerate(rows)}


def says(status, body, *lines):
    return no(status, encoded(body), *lines)


SAID = {"message": "Says no"}
BOTH = {"code": "A", "error": "A"}


def lists(depth):
    return b"[" * depth + b"]" * depth


def extended(text):
    """Return a function that adds a field to an object, at its end."""
    return lambda body: body[:-1] + b", " + text + b"}"


@cache
def bomb():
    """Return 500 MB of blanks in 490 KB of gzip: one compressed block, again and again."""
    blanks = b" " * 10_000_000
    packer, total = zlib.compressobj(9, wbits=-15), 0
    block = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(50):
        total = zlib.crc32(blanks, total)
    return gzip.compress(b"")[:10] + block * 50 + b"\x03\x00" + struct.pack("<II", total, 50 * len(blanks))


def each_vendor(rows, vendors=VENDORS):
    """Return the parameters (vendor, rows) of a table: every row, or series of rows, for each vendor."""
    return [
        pytest.param(vendor, {"": row} if isinstance(row, Row) else row, id=f"{vendor.name}-{name}")
        for vendor in vendors
        for name, row in rows.items()
    ]


def open_sockets():
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {target for target in found if target.startswith("socket:")}


def resetting(server, connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    RawServer.opened(server, connection)


def attempt(client, ref, timeout):
    try:
        return client.get(ref, timeout=timeout)
    except BatchStatusError as error:
        return error


def own_answer(vendor, head):
    """Answer with the batch that was asked for; it has failed, unlike those of the rows."""
    asked = head.split(b" ")[1].decode().removesuffix("/status").rpartition("/")[-1]
    return answer(vendor.body(**{vendor.id: asked, "status": vendor.failed}))


def shown(outcome):
    """Return all that a log, a debugger or a colleague could be shown of a batch or an error."""
    if isinstance(outcome, Batch):
        return f"{outcome!r} {json.dumps(outcome.to_dict())} {outcome.payload} {outcome.raw}"
    seen, errors = outcome, []
    while seen is not None:
        errors += [str(seen), repr(seen), str(vars(seen)), str(getattr(seen, "doc", ""))]
        seen = seen.__cause__ or seen.__context__
    return " ".join([*errors, *traceback.format_exception(outcome), str(pickle.dumps(outcome))])


def told_by(outcome, facts):
    """Return the type of what came of a read, these facts of it, and whether it can stand in a line of a log."""
    fit = json.dumps(outcome.to_dict()) if isinstance(outcome, Batch) else str(outcome).isprintable()
    told = {name: DERIVED[name](outcome) if name in DERIVED else getattr(outcome, name, None) for name in facts}
    return type(outcome), told, bool(fit)


def expected(vendor, row):
    facts = next(facts for kind, facts in USUAL.items() if issubclass(row.gives, kind))
    facts = facts | ({"vendor_status": vendor.done} if row.gives is Batch else {}) | row.facts
    if not issubclass(row.gives, APIError):
        return facts
    is_outage = issubclass(row.gives, ServerError | RateLimited) or facts["status_code"] == 407
    is_own = facts["code"] is not None
    return facts | {"is_retryable": is_outage or not is_own, "lacks_the_vendors_body": not (is_outage or is_own)}


def check(reader, trap, caplog, vendor, rows):
    """Read once for each row, in a series over one client: each outcome is exact, in time, and without a key.

    The next read over the same client gets its own answer.
    """
    caplog.set_level(logging.DEBUG, "batchstatus")
    scene, left = Scene(vendor, trap.url), iter(rows.values())

    def script(head):
        row, scene.head = next(left, None), head
        if row is None:
            return [own_answer(vendor, head)]
        steps = row.sends(scene) if callable(row.sends) else row.sends
        return [steps] if isinstance(steps, bytes) else steps

    with serving(script) as server:
        if any(row.resets for row in rows.values()):
            server.opened = partial(resetting, server)
        client = reader(vendor.account(base_url=server.url), retry=RetryPolicy(attempts=1))
        for name, row in rows.items():
            started = time.monotonic()
            outcome = attempt(client, f"{vendor.name}:1", row.timeout)
            assert elapsed(started) <= row.timeout + HANG, name
            facts = expected(vendor, row)
            assert told_by(outcome, facts) == (row.gives, facts, True), (name, outcome)
            assert "test-host" not in (shown(outcome) + caplog.text).lower(), name
            time.sleep(row.rest)
        assert (len(server.heads), trap.heads) == (len(rows), [])
        assert client.get(f"{vendor.name}:2").vendor_status == vendor.failed
