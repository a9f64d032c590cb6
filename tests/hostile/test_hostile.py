"""What a server can do to a client, as one table: for each misdeed, the exact Batch or error that comes of it.

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
import subprocess
import sys
import threading
import time
import traceback
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache, partial
from itertools import chain, repeat
from pathlib import Path

import pytest
from attrs import define, evolve, field, frozen
from batchstatus import (
    APIError,
    AuthenticationError,
    BadRequest,
    Batch,
    BatchNotFound,
    BatchState,
    BatchStatusError,
    Believe,
    Counts,
    Gameball,
    InvalidResponse,
    ItemFailure,
    PermissionDenied,
    RateLimited,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    TransportError,
)
from raw_server import HANG_UP, RawServer, drip, elapsed, serving
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
    | {"created_at": None, "updated_at": None, "request_id": None, "attempts": 1},
    TransportError: {"attempts": 1},
    InvalidResponse: {"status_code": 200, "cut_short": False, "request_id": None, "attempts": 1},
    APIError: {"code": None, "message": None, "retry_after": None, "request_id": None, "attempts": 1},
}


def ok(sends, **facts):
    return Row(sends, Batch, facts)


def broken(sends):
    return Row(sends, TransportError)


def late(sends):
    return Row(sends, RequestTimeout, timeout=0.5)


def bad(sends, **facts):
    return Row(sends, InvalidResponse, facts)


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
TRANSPORT = {
    "closes-before-the-headers": broken([HANG_UP]),
    "closes-within-the-status-line": broken([b"HTTP/1.1 20", HANG_UP]),
    "closes-within-the-headers": broken([b"HTTP/1.1 200 OK\r\nconte", HANG_UP]),
    "closes-after-the-headers": broken([unsized(b"", "content-length: 9"), HANG_UP]),
    "closes-after-headers-without-a-length": bad([unsized(), HANG_UP], cut_short=True),
    "closes-within-the-body": broken(lambda at: [answer(at.good)[:-1], HANG_UP]),
    "closes-within-a-body-without-a-length": bad(lambda at: [unsized(at.good[:-1]), HANG_UP], cut_short=True),
    "closes-after-a-body-without-a-length": ok(lambda at: [unsized(at.good), HANG_UP]),
    "closes-within-a-chunk": broken(lambda at: [chunked(chunk(at.good)[:-9]), HANG_UP]),
    "closes-before-the-last-chunk": broken(lambda at: [chunked(chunk(at.good)), HANG_UP]),
    "closes-within-a-refusal": refused(AuthenticationError, 401, [no(401, b"{}")[:-1], HANG_UP]),
    "resets-before-the-headers": evolve(broken([HANG_UP]), resets=True),
    "resets-within-the-headers": evolve(broken([b"HTTP/1.1 200 OK\r\nconte", 0.05, HANG_UP]), resets=True),
    "resets-within-the-body": evolve(broken(lambda at: [answer(at.good)[:-1], 0.05, HANG_UP]), resets=True),
    "resets-after-a-body-without-a-length": evolve(broken(lambda at: [unsized(at.good), 0.05, HANG_UP]), resets=True),
    "resets-within-a-refusal": evolve(
        refused(AuthenticationError, 401, [no(401, b"{}")[:-1], 0.05, HANG_UP]), resets=True
    ),
    "never-answers": late([SILENCE]),
    "falls-silent-within-the-headers": late([b"HTTP/1.1 200 OK\r\nconte", SILENCE]),
    "falls-silent-after-the-headers": late([unsized(b"", "content-length: 9"), SILENCE]),
    "falls-silent-within-the-body": late(lambda at: [answer(at.good)[:-1], SILENCE]),
    "falls-silent-within-a-chunk": late(lambda at: [chunked(chunk(at.good)[:-9]), SILENCE]),
    "falls-silent-within-a-refusal": evolve(
        refused(AuthenticationError, 401, [no(401, b"{}")[:-1], SILENCE]), timeout=3.0
    ),
    "drips-its-headers": late(lambda at: drip(answer(at.good), 0.2)),
    "drips-its-body": late(lambda at: [answer(at.good)[: -len(at.good)], *drip(at.good, 0.2)]),
    "drips-its-chunks": late([chunked(), *drip(chunk(b" ") * 9, 0.2)]),
    "drips-a-refusal": evolve(
        refused(BatchNotFound, 404, [no(404, b"x" * 99)[:-99], *drip(b"x" * 99, 0.2)]), timeout=3.0
    ),
    "sends-an-endless-body": bad(endless(unsized(), FLOOD)),
    "sends-an-endless-body-of-a-length": bad(endless(unsized(b"", f"content-length: {10**15}"), FLOOD)),
    "sends-an-endless-chunk": bad(endless(chunked(b"ffffffffffff\r\n"), FLOOD)),
    "sends-endless-chunks": bad(endless(chunked(), chunk(FLOOD))),
    "sends-endless-small-chunks": late(endless(chunked(), chunk(b" ") * 999)),
    "sends-an-endless-refusal": refused(BatchNotFound, 404, endless(unsized(status="404 No"), FLOOD)),
    "sends-an-endless-status-line": broken(endless(b"HTTP/1.1 200 ", b"x" * 9999)),
    "sends-an-endless-header": broken(endless(b"HTTP/1.1 200 OK\r\nx: ", b"x" * 9999)),
    "sends-endless-headers": broken(endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 999)),
    "sends-endless-trailers": broken(endless(chunked(b"0\r\n"), b"x: y\r\n" * 999)),
    "sends-an-endless-chunk-size": broken(endless(chunked(), b"0" * 9999)),
    "closes-the-connection-it-said-to-keep": ok(lambda at: [answer(at.good, "connection: keep-alive"), HANG_UP]),
    "closes-it-a-little-later": after_rest(ok(lambda at: [answer(at.good), 0.05, HANG_UP])),
    "resets-it-a-little-later": evolve(after_rest(ok(lambda at: [answer(at.good), 0.05, HANG_UP])), resets=True),
    "keeps-the-connection-it-said-to-close": ok(good(bytes, "connection: close")),
}

NO_HTTP = {
    "binary": bytes(range(128, 256)) * 9,
    "zeros": bytes(999),
    "smtp": b"220 smtp.example.com ESMTP\r\n\r\n",
    "a-tls-alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "an-http-2-frame": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18),
    "http-0.9": b'{"id": "1", "batchId": "1", "status": "completed"}',
    "http-0.9-of-lines": PAGE,
    "icy": b"ICY 200 OK\r\n\r\n",
    "http-2-in-words": b"HTTP/2 200 OK\r\n\r\n",
    "a-request": b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "only-a-line-end": b"\r\n\r\n",
    "a-status-of-2-digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a-status-of-4-digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a-status-in-letters": b"HTTP/1.1 OK 200\r\n\r\n",
    "status-000": b"HTTP/1.1 000 OK\r\n\r\n",
    "status-099": b"HTTP/1.1 099 OK\r\n\r\n",
    "a-negative-status": b"HTTP/1.1 -200 OK\r\n\r\n",
    "a-100-alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a-switch-of-protocols": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "a-header-without-colon": unsized(b"", "nonsense"),
    "a-header-without-name": unsized(b"", ": x"),
    "a-blank-before-the-colon": unsized(b"", "content-length : 0"),
    "a-header-with-nul": unsized(b"", "x: a\x00b"),
    "a-folded-first-header": unsized(b"", " x: y"),
    "headers-of-200-kb": answer(b"{}", f"x: {'x' * 200_000}"),
    "50-000-headers": answer(b"{}", *["x: y"] * 50_000),
    "two-lengths": unsized(b"x" * 9, "content-length: 8", "content-length: 9"),
    "two-lengths-in-one-header": unsized(b"x" * 9, "content-length: 8, 9"),
    "gzip-as-its-framing": unsized(LAST, "transfer-encoding: gzip"),
    "chunks-in-chunks": unsized(LAST, "transfer-encoding: chunked, chunked"),
    "a-chunk-longer-than-its-size": chunked(b"1\r\n", b"{}", b"\r\n", LAST),
    **{
        f"a-length-of-{length!a:.12}": unsized(b"{}", f"content-length: {length}")
        for length in ("-1", "+9", "0x9", "9.0", "9 9", "nine", "", "\u0669", "9" * 5000)
    },
    **{
        f"a-chunk-size-of-{size!a:.12}": chunked(size, b"\r\n \r\n", LAST)
        for size in (b"zz", b"-1", b"0x1", b"", b"+1", b" ", b"\xd9\xa1", b"0" * 20 + b"1")
    },
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
FRAMING = {
    **{f"sends-{name}": broken([raw, HANG_UP]) for name, raw in NO_HTTP.items()},
    "sends-chunk-extensions": ok(
        lambda at: chunked(b"%x;a=b\r\n%b\r\n" % (len(at.good), at.good), b"0;c\r\nx: y\r\n\r\n")
    ),
    "sends-chunks-of-one-byte": ok(lambda at: chunked(*[chunk(bytes([byte])) for byte in at.good], LAST)),
    "sends-the-same-length-twice": ok(lambda at: answer(at.good, f"content-length: {len(at.good)}")),
    "sends-a-length-and-chunks": ok(
        lambda at: unsized(chunk(at.good) + LAST, "content-length: 5", "transfer-encoding: chunked")
    ),
    "sends-headers-of-90-kb": ok(good(bytes, f"x: {'x' * 90_000}")),
    "sends-9-000-headers": ok(good(bytes, *["x: y"] * 9_000)),
    "sends-a-folded-header": ok(good(bytes, "x: a\r\n b")),
    "sends-headers-beyond-ascii": ok(good(bytes, "x: \u00e9\u0667\U0001f600")),
    "sends-no-reason": ok(lambda at: answer(at.good, status="200")),
    "sends-a-reason-beyond-ascii": ok(lambda at: answer(at.good, status="200 \u00e9")),
    "ends-its-lines-with-lf": ok(lambda at: answer(at.good).replace(b"\r\n", b"\n")),
    "speaks-http-1.0": ok(lambda at: answer(at.good).replace(b"HTTP/1.1", b"HTTP/1.0")),
    "speaks-http-1.0-without-a-length": ok(lambda at: [unsized(at.good).replace(b"HTTP/1.1", b"HTTP/1.0"), HANG_UP]),
    "sends-a-100-first": ok(lambda at: CONTINUE + answer(at.good)),
    "sends-1-000-hints-first": ok(lambda at: HINTS * 1000 + answer(at.good)),
    "sends-a-100-and-falls-silent": late([CONTINUE, SILENCE]),
    "drips-100s": late([CONTINUE, 0.2] * 9),
    "floods-with-100s": late(endless(CONTINUE, CONTINUE * 999)),
    "floods-with-hints": late(endless(HINTS, HINTS.replace(b"x", b"x" * 900) * 99)),
    "adds-junk-to-the-answer": ok(lambda at: answer(at.good) + b"junk"),
    "adds-a-line-end-to-the-answer": ok(lambda at: answer(at.good) + b"\r\n"),
    "adds-half-an-answer": ok(lambda at: answer(at.good) + answer(at.good)[:-9]),
    "adds-a-refusal": ok(lambda at: answer(at.good) + no(404)),
    "adds-a-refusal-to-chunks": ok(lambda at: chunked(chunk(at.good), LAST) + no(404)),
    "adds-a-100": ok(lambda at: answer(at.good) + CONTINUE),
    "adds-a-body-to-a-204": bad(lambda at: unsized(at.good, status="204 No"), status_code=204),
    "adds-a-body-to-a-304": bad(lambda at: no(304, at.good), status_code=304),
    "adds-an-answer-to-a-204": bad(lambda at: unsized(status="204 No") + answer(at.good), status_code=204),
    "adds-the-body-again": ok(lambda at: answer(at.good) + at.good),
    "adds-junk-later": after_rest(ok(lambda at: [answer(at.good), 0.05, b"junk"])),
    "refuses-twice": refused(BatchNotFound, 404, no(404) * 2),
    "answers-twice": ok(lambda at: answer(at.good) * 2),
    "answers-twice-the-second-later": after_rest(ok(lambda at: [answer(at.good), 0.05, answer(at.good)])),
    "answers-100-times": ok(lambda at: answer(at.good) * 100),
}

NO_ID_ANSWER = answer(b'{"status": "completed"}')
NO_ID = {  # as only Gameball's answers may be
    "framing-answers-twice-without-an-id": ok(NO_ID_ANSWER * 2),
    "framing-answers-twice-without-an-id-the-second-later": after_rest(ok([NO_ID_ANSWER, 0.05, NO_ID_ANSWER])),
}

REFUSALS = {
    **dict.fromkeys((402, 405, 406, 407, 409, 411, 413, 418, 419, 421, 426, 428, 430, 431, 451, 499), APIError),
    **dict.fromkeys((408, 425, *range(500, 512), *range(520, 531), 561, 598, 599), ServerError),
    400: BadRequest,
    401: AuthenticationError,
    403: PermissionDenied,
    404: BatchNotFound,
    410: BatchNotFound,
    422: BadRequest,
    429: RateLimited,
}
REDIRECTS = [*range(300, 304), *range(305, 309), 310, 399]
NEITHER = [201, 202, 203, 205, 206, 207, 208, 226, 299, 600, 799, 999]
NOTHING_USEFUL = [  # in the bodies of errors
    b"",
    b" \r\n",
    PAGE,
    PAGE * 9999,
    b"[]",
    b'[{"code": 4004, "error": "ERR", "message": "no"}]',
    b'"no"',
    b"4004",
    b"null",
    b"true",
    b"{}",
    b'{"code": 4004, "error": "ERR", "mess',
    bytes(range(256)),
    '{"x": 1}'.encode("utf-16"),
    b"[" * 100_000,
    b'{"error":' * 900 + b"1" + b"}" * 900,
    b'{"\\u0061":' + b"[" * 600 + b"]" * 600 + b"}",
    b'{"code": ' + b"1" * 5000 + b"}",
    b'{"code": NaN}',
    b'{"code": null, "error": null, "message": null, "requestId": null}',
    b'{"code": "", "error": "", "message": "", "requestId": ""}',
    b'{"code": [], "error": [1], "message": [null], "requestId": [[]]}',
    b'{"code": {}, "error": {"code": 1}, "message": {"en": "no"}, "requestId": {}}',
    b'{"code": true, "error": false, "message": true, "requestId": true}',
    b'{"code": 1.5, "error": 1.5, "message": 1e300, "requestId": -0.1}',
    b'{"code": 1%b, "error": 1%b, "message": 1%b}' % ((b"0" * 400,) * 3),
    b'{"id": "1", "batchId": "1", "status": "completed"}',
]


def series(rows):
    """Return rows that can follow each other on one connection, by their numbers and beginnings."""
    return {f"{index}: {row.sends!r:.200}": row for index, row in enumerate(rows)}


STATUS = {
    "answers-any-refusal": series(refused(gives, status) for status, gives in REFUSALS.items()),
    "answers-any-refusal-in-a-page": series(
        refused(gives, status, no(status, PAGE, "content-type: text/html")) for status, gives in REFUSALS.items()
    ),
    "answers-neither-200-nor-a-refusal": series(
        bad(lambda at, status=status: no(status, at.good), status_code=status) for status in NEITHER
    ),
    **{
        f"redirects-with-{status}": bad(
            lambda at, status=status: no(status, at.good, f"location: {at.trap}/v1"), status_code=status
        )
        for status in REDIRECTS
    },
    "answers-204": bad(unsized(b"", status="204 No"), status_code=204),
    "redirects-with-304": bad(lambda at: unsized(b"", f"location: {at.trap}", status="304 No"), status_code=304),
    **{
        f"redirects-with-302-to-{name}": bad(
            lambda at, place=place: no(302, b"", f"location: {place.format(at)}"), status_code=302
        )
        for name, place in {"nowhere": "", "itself": "/", "no-url": "http://[:::", "file": "file:///etc/passwd"}.items()
    },
    "redirects-with-302-to-two-places": bad(
        lambda at: no(302, b"", f"location: {at.trap}", "location: /"), status_code=302
    ),
    "redirects-with-302-without-a-place": bad(no(302), status_code=302),
    "redirects-with-200": ok(lambda at: answer(at.good, f"location: {at.trap}", f"refresh: 0; url={at.trap}")),
    **{
        f"answers-{status}-and-nothing-useful": series(
            refused(gives, status, no(status, body)) for body in NOTHING_USEFUL
        )
        for status, gives in ((404, BatchNotFound), (503, ServerError))
    },
}


def says(status, body, *lines):
    return no(status, encoded(body), *lines)


SAID = {"message": "Says no"}
BOTH = {"code": "A", "error": "A"}
COMPLAINTS = {
    "complains-with-a-long-message": refused(
        APIError, 418, says(418, BOTH | {"message": "x" * 9999}), code="A", message="x" * 500
    ),
    "complains-with-a-long-code": refused(
        APIError, 418, says(418, {"code": "x" * 9999, "error": "x" * 9999}), code="x" * 500
    ),
    "complains-with-line-ends": refused(
        APIError,
        418,
        says(418, {"error": "a\r\nb", "message": "c\u2028\x1b[31m\ud800"}),
        code="a\\r\\nb",
        message="c\\u2028\\x1b[31m\\ud800",
    ),
    "complains-with-a-bom": refused(BatchNotFound, 404, no(404, b'\xef\xbb\xbf{"message": "Says no"}'), **SAID),
    "complains-in-utf-16": refused(BatchNotFound, 404, no(404, '{"message": "Says no"}'.encode("utf-16")), **SAID),
    "complains-in-gzip": refused(
        BatchNotFound, 404, no(404, gzip.compress(b'{"message": "Says no"}'), "content-encoding: gzip"), **SAID
    ),
    "complains-in-half-a-gzip": refused(
        BatchNotFound, 404, no(404, gzip.compress(b'{"message": "Says no"}')[:-19], "content-encoding: gzip")
    ),
    "complains-in-no-gzip": refused(BatchNotFound, 404, no(404, b"<html>", "content-encoding: gzip")),
    "complains-in-brotli": refused(BatchNotFound, 404, no(404, b"\x0b\x01", "content-encoding: br")),
    "complains-with-a-gzip-bomb": refused(BatchNotFound, 404, lambda at: no(404, bomb(), "content-encoding: gzip")),
}
BELIEVE_ERRORS = [
    (401, "ERR_UNAUTHORIZED", AuthenticationError),
    (401, "ERR_KEY_NOT_FOUND", AuthenticationError),
    (404, "ERR_KEY_NOT_FOUND", AuthenticationError),
    (401, "ERR_KEY_SCOPES_UNAUTHORIZED", PermissionDenied),
    (403, "ERR_KEY_SCOPES_UNAUTHORIZED", PermissionDenied),
    (404, "ERR_BATCH_NOT_FOUND", BatchNotFound),
    (400, "ERR_BATCH_NOT_FOUND", BatchNotFound),
    (404, "ERR_FLYWHEEL_NOT_FOUND", BatchNotFound),
    (404, "ERR_TOKEN_NOT_FOUND", BatchNotFound),
    (409, "ERR_DUPLICATE_IDEMPOTENCY_KEY", APIError),
    (409, "ERR_KEY_ALREADY_EXISTS", APIError),
    (500, "ERR_KEY_GENERATION_FAILED", ServerError),
    (500, "ERR_MULTISIG_WALLET_CREATION_FAILED", ServerError),
    (500, "ERR_BATCH_NOT_FOUND", ServerError),
    (429, "ERR_UNAUTHORIZED", RateLimited),
    (418, "ERR_NEVER_HEARD_OF", APIError),
    (404, 404, BatchNotFound),
]
GAMEBALL_ERRORS = [
    (401, 1000, AuthenticationError),
    (401, 1001, AuthenticationError),
    (403, 1002, PermissionDenied),
    (400, 3000, BadRequest),
    (404, 4004, BatchNotFound),
    (400, 4004, BatchNotFound),
    (500, 5000, ServerError),
    (503, 5003, ServerError),
    (404, 7000, BatchNotFound),
    (403, 8000, PermissionDenied),
    (503, 4004, ServerError),
    (429, 1000, RateLimited),
    (418, 9999, APIError),
]
SHAPES = [  # of an error body at Gameball, besides its code and message
    {"type": "AN_ERROR", "documentationUrl": "https://example.com", "requestId": "r-1"},
    {"type": "AN_ERROR"},
    {},
]
DOCUMENTED = {
    BELIEVE: [
        refused(gives, status, says(status, {"error": code} | SAID), code=str(code), **SAID)
        for status, code, gives in BELIEVE_ERRORS
    ],
    GAMEBALL: [
        refused(
            gives,
            status,
            says(status, {field: sent} | SAID | shape),
            code=str(code),
            request_id=shape.get("requestId"),
            **SAID,
        )
        for status, code, gives in GAMEBALL_ERRORS
        for shape in SHAPES
        for field in ("code", "error")
        for sent in (code, str(code))
    ],
}

NOON = datetime(2026, 1, 27, 12, tzinfo=UTC)


def date(moment, name="retry-after"):
    return f"{name}: {format_datetime(moment, usegmt=True)}"


def in_100_seconds():
    return date(datetime.now(UTC) + timedelta(seconds=100))


AT_NOON = date(NOON, "date")
NEARLY_100 = pytest.approx(100, abs=5)
ASKED = [  # header lines, and the seconds they ask for
    (["retry-after: 7"], 7.0),
    (["retry-after: \t 7 "], 7.0),
    (["retry-after: 0"], 0.0),
    (["retry-after: 007"], 7.0),
    (["retry-after: 999999999"], 999_999_999.0),
    (["retry-after: 7", "retry-after: 9"], 7.0),
    (["retry-after: x", "retry-after: 9"], None),
    ([date(NOON + timedelta(seconds=30)), AT_NOON], 30.0),
    ([date(NOON), AT_NOON], 0.0),
    ([date(NOON - timedelta(days=1)), AT_NOON], 0.0),
    (["retry-after: Mon, 01 Jan 0001 00:00:00 GMT", AT_NOON], 0.0),
    (["retry-after: Tue, 27 Jan 0000 12:00:09 GMT", AT_NOON], 0.0),
    (["retry-after: Fri, 31 Dec 9999 23:59:59 GMT", "date: Fri, 31 Dec 9999 23:59:58 GMT"], 1.0),
    (["retry-after: Tuesday, 27-Jan-26 12:00:09 GMT", AT_NOON], 9.0),
    (["retry-after: Tue Jan 27 12:00:09 2026", AT_NOON], 9.0),
    (["retry-after: Tue, 27 Jan 2026 14:00:09 +0200", AT_NOON], 9.0),
    (["retry-after: Tue, 27 Jan 2020 12:00:00 GMT"], 0.0),
    (["retry-after: Fri, 31 Dec 9999 23:59:59 GMT", "date: today"], pytest.approx(2.5e11, rel=0.1)),
]
NOT_ASKED = [
    *["", "-1", "+7", str(10**9), str(10**10), "7" * 5000, "7.5", "nan", "inf", "-inf", "1e3", "0x7", "1_0"],
    *["\u0667", "\uff17", "7 s", "7, 9", "2026-01-27T12:00:09Z", "Wait a while, please"],
    *["Tue, 32 Foo 2026 12:00:09 GMT", "Tue, 27 Jan 2026 25:61:61 GMT", "Tue, 27 Jan 2026 12:00:09 +9999"],
    *["Tue, 27 Jan 10000 12:00:09 GMT"],
]
RETRY_AFTER = {
    f"answers-{status}-and-retry-after": series(
        [
            *[refused(gives, status, no(status, b"", *lines), retry_after=seconds) for lines, seconds in ASKED],
            *[refused(gives, status, no(status, b"", f"retry-after: {value}")) for value in NOT_ASKED],
            refused(gives, status, lambda at, status=status: no(status, b"", in_100_seconds()), retry_after=NEARLY_100),
        ]
    )
    for status, gives in ((429, RateLimited), (503, ServerError))
}


@cache
def bomb():
    """Return 500 MB of blanks in 490 KB of gzip: one compressed block, again and again."""
    blanks = b" " * 10_000_000
    packer, total = zlib.compressobj(9, wbits=-15), 0
    block = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(50):
        total = zlib.crc32(blanks, total)
    return gzip.compress(b"")[:10] + block * 50 + b"\x03\x00" + struct.pack("<II", total, 50 * len(blanks))


def extended(text):
    """Return a function that adds a field to an object, at its end."""
    return lambda body: body[:-1] + b", " + text + b"}"


def packed(change, coding="gzip", **facts):
    return bad(good(change, f"content-encoding: {coding}"), **facts)


def twice(body):
    return gzip.compress(gzip.compress(body))


def lists(depth):
    return b"[" * depth + b"]" * depth


JSON = {
    "is-empty": bad(answer(), cut_short=True),
    "is-white-space": bad(answer(b" \t\r\n"), cut_short=True),
    "is-nul": bad(answer(b"\x00")),
    "is-a-page": bad(answer(PAGE, "content-type: text/html")),
    "is-null": bad(answer(b"null")),
    "is-true": bad(answer(b"true")),
    "is-an-empty-list": bad(answer(b"[]")),
    "is-a-list-of-batches": bad(good(lambda body: b"[" + body + b"]")),
    "is-an-empty-object": bad(answer(b"{}")),
    "is-json-in-text": bad(good(lambda body: encoded(body.decode()))),
    "is-a-number": bad(answer(b"1")),
    "is-cut-in-a-name": bad(good(lambda body: body[:3]), cut_short=True),
    "is-cut-after-a-name": bad(good(lambda body: body[: body.index(b":")]), cut_short=True),
    "is-cut-in-a-value": bad(good(lambda body: body[:-3]), cut_short=True),
    "is-cut-before-its-end": bad(good(lambda body: body[:-1]), cut_short=True),
    "is-cut-in-a-character": bad(good(lambda body: body[:-2] + b"\xc3"), cut_short=True),
    "comes-twice": bad(good(lambda body: body * 2)),
    "has-something-behind": bad(good(lambda body: body + b"x")),
    "has-a-comma-too-many": bad(good(lambda body: body[:-1] + b",}")),
    "has-single-quotes": bad(good(lambda body: body.replace(b'"', b"'"))),
    "has-a-comment": bad(good(lambda body: b"//x\n" + body)),
    "has-a-guard-in-front": bad(good(lambda body: b")]}',\n" + body)),
    "has-blanks-around": ok(good(lambda body: b"\r\n\t " + body + b"\r\n\t ")),
    "has-a-bom": ok(good(lambda body: b"\xef\xbb\xbf" + body)),
    "has-two-boms": bad(good(lambda body: b"\xef\xbb\xbf" * 2 + body)),
    "is-no-utf-8": bad(good(lambda body: body[:-2] + b'\xff"}')),
    "is-latin-1": bad(good(extended(b'"x": "\xe9"'))),
    "has-surrogates-in-utf-8": ok(good(extended(b'"x": "\xed\xa0\x80"'))),
    "has-overlong-utf-8": bad(good(extended(b'"x": "\xc0\xaf"'))),
    **{
        f"is-{code}": ok(good(lambda body, code=code: body.decode().encode(code)))
        for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
    },
    "has-nan": bad(good(extended(b'"x": NaN'))),
    "has-minus-infinity": bad(good(extended(b'"x": -Infinity'))),
    "has-a-float-beyond-all": bad(good(extended(b'"totalItems": 1e400'))),
    "has-401-digits": ok(good(extended(b'"processedItems": 1%b, "dateCreated": 1%b' % ((b"0" * 400,) * 2)))),
    "has-5-000-digits": bad(good(extended(b'"x": ' + b"1" * 5000))),
    "has-a-control-character": bad(good(lambda body: body[:-2] + b'\n"}')),
    "has-a-lone-surrogate": ok(good(extended(b'"x": "\\ud800"'))),
    "has-another-status-first": ok(good(lambda body: b'{"status": "FAILED", ' + body[1:])),
    "has-another-id-first": ok(good(lambda body: b'{"id": "3", "batchId": "3", ' + body[1:])),
    "has-another-id-last": bad(good(extended(b'"id": "3", "batchId": "3"'))),
    "is-100-000-lists": bad(answer(b"[" * 100_000)),
    "is-100-000-objects": bad(answer(b'{"id":' * 100_000)),
    "is-20-mb": bad(good(lambda body: body + b" " * 20_000_000)),
    "is-10-mb": ok(good(lambda body: body + b" " * 10_000_000)),
    "is-a-gzip-bomb": bad(lambda at: answer(bomb(), "content-encoding: gzip")),
    "is-a-gzip-bomb-in-gzip": bad(lambda at: answer(gzip.compress(bomb()), "content-encoding: gzip")),
    "is-a-gzip-bomb-in-disguise": bad(lambda at: answer(bomb())),
    **{f"is-in-{coding}": ok(good(gzip.compress, f"content-encoding: {coding}")) for coding in ("GZIP", "x-gzip")},
    **{f"is-in-{coding or 'nothing'}": ok(good(bytes, f"content-encoding: {coding}")) for coding in ("", "Identity")},
    "is-in-gzip-without-its-end": packed(lambda body: gzip.compress(body)[:-9], cut_short=True),
    "is-in-gzip-with-a-bad-sum": packed(lambda body: gzip.compress(body)[:-8] + bytes(8)),
    "is-in-gzip-of-no-bytes": packed(lambda body: b"", cut_short=True),
    "is-in-gzip-of-nothing": packed(lambda body: gzip.compress(b""), cut_short=True),
    "is-in-gzip-with-junk-behind": ok(good(lambda body: gzip.compress(body) + b"x", "content-encoding: gzip")),
    "is-in-gzip-in-gzip": packed(twice),
    "is-in-gzip-in-gzip-as-it-says": packed(twice, "gzip, gzip"),
    "is-in-gzip-in-gzip-as-it-says-twice": packed(twice, "gzip\r\ncontent-encoding: gzip"),
    "is-in-no-gzip-but-says-so": packed(bytes),
    "is-in-zlib-but-says-gzip": packed(zlib.compress),
    "is-in-gzip-but-says-nothing": bad(good(gzip.compress)),
    "is-in-gzip-but-says-identity": packed(gzip.compress, "identity"),
    "is-in-deflate": packed(zlib.compress, "deflate"),
    "is-in-raw-deflate": packed(lambda body: zlib.compress(body)[2:-4], "deflate"),
    **{f"is-in-{coding}": packed(bytes, coding) for coding in ("br", "zstd", "compress", "gzip;q=1", "\u00e9")},
    "is-in-a-long-word": packed(bytes, "x" * 9999),
    **{
        f"is-of-type-{name}": ok(good(bytes, f"content-type: {kind}"))
        for name, kind in {
            **{charset: f"application/json; charset={charset}" for charset in ("utf-16", "latin-1", "nonsense", "")},
            "page": "text/html",
            "image": "image/png",
            "nothing": "",
            "semicolons": ";;;=;",
        }.items()
    },
}

BUNDLE = {"bundleId": "b", "txHashes": ["h"]}
OTHERS = ("flywheelId", "tokenId", "mintAddress", "batchIndex", "vaultIndex", "multisig", "vaultAddress")
TALLY = {"total": 4, "totalSuccessful": 2, "totalFailed": 1, "successfulExecutions": [BUNDLE]}
COUNTS = Counts(total=4, processed=3, succeeded=2, failed=1)
SETUP = ItemFailure(message="no funds", phase="setup")
HALT = ItemFailure(message="halted", index=2, phase="execution")
WHOLE = {  # a body with every field of the vendor's spec, and what it says
    BELIEVE: (
        {"id": "1", "status": "EXECUTED", **dict.fromkeys(OTHERS, "x")}
        | {"initResult": {**TALLY, "batchIndex": 42, "failedTxMsg": "no funds"}}
        | {"executeResult": {**TALLY, "failedOnTransactionIndex": 2, "failedStartTransactionIndex": 1}}
        | {"dateCreated": "2026-01-27T12:00:00Z", "dateUpdated": "2026-01-27T14:00:00+02:00"},
        {"counts": COUNTS, "progress": 0.75, "results": (BUNDLE,), "created_at": NOON, "updated_at": NOON}
        | {"failures": (SETUP, HALT)},
    ),
    GAMEBALL: (
        {"batchId": "1", "status": "completed", "progress": 50, "totalItems": 4, "processedItems": 3, "failedItems": 1}
        | {"results": [BUNDLE], "errors": ["refused"]},
        {"counts": COUNTS, "progress": 0.75, "results": (BUNDLE,), "failures": (ItemFailure(message="refused"),)},
    ),
}
WHOLE[BELIEVE][0]["executeResult"]["failedTxMsg"] = "halted"
WRONG = [None, True, 7.5, "x", "", [], [1], {}, {"a": 1}]
MISSING = object()


def without(**facts):
    """Return a rule: where a field is wrong, these facts change."""
    return lambda value: facts


def within(**facts):
    """Return a rule: where an object is empty or absent these facts change, and where it is none there is no batch."""
    return lambda value: facts if not value or isinstance(value, dict) else None


def bundled(**facts):
    """Return a rule: where a list of objects is empty or absent these facts change, and else there is no batch."""
    return lambda value: facts if value is None or value == [] else None


def told(failure, otherwise=""):
    """Return a rule: a message is the vendor's text, any other JSON as it stands, or what is said otherwise."""

    def rule(value):
        words = (value if isinstance(value, str) else json.dumps(value)) if value else otherwise
        told = [evolve(one, message=words) if one is failure else one for one in (SETUP, HALT)]
        return {"failures": tuple(one for one in told if one.message)}

    return rule


def listed(name, make=lambda item: item):
    """Return a rule: a list may hold anything, and what is no list holds nothing."""
    return lambda value: {name: tuple(map(make, value)) if isinstance(value, list) else ()}


def put(body, path, value):
    """Return a body with another value in one place, or nothing there."""
    name, _, rest = path.partition(".")
    if rest:
        value = put(body[name], rest, value)
    return {key: item for key, item in (body | {name: value}).items() if item is not MISSING}


FIELDS = {  # what follows from each wrong value of a field: other facts, or no batch (None)
    BELIEVE: {
        "id": lambda value: None,
        "status": lambda value: {"state": BatchState.UNKNOWN, "vendor_status": "x"} if value == "x" else None,
        **dict.fromkeys(OTHERS, without()),
        "dateCreated": without(created_at=None),
        "dateUpdated": without(updated_at=None),
        "initResult": within(failures=(HALT,)),
        "initResult.successfulExecutions": bundled(),
        "initResult.total": without(),
        "initResult.totalSuccessful": without(),
        "initResult.totalFailed": without(),
        "initResult.batchIndex": without(),
        "initResult.failedTxMsg": told(SETUP),
        "executeResult": within(counts=Counts(), progress=None, results=(), failures=(SETUP,)),
        "executeResult.total": without(counts=evolve(COUNTS, total=None), progress=None),
        "executeResult.totalSuccessful": without(counts=Counts(total=4, failed=1), progress=None),
        "executeResult.totalFailed": without(counts=Counts(total=4, succeeded=2), progress=None),
        "executeResult.successfulExecutions": bundled(results=()),
        "executeResult.failedOnTransactionIndex": without(failures=(SETUP, evolve(HALT, index=None))),
        "executeResult.failedStartTransactionIndex": without(),
        "executeResult.failedTxMsg": told(HALT, "the vendor gives no message"),
    },
    GAMEBALL: {
        "batchId": lambda value: {} if value in (None, "") else None,
        "status": lambda value: {"state": BatchState.UNKNOWN, "vendor_status": "x"} if value == "x" else None,
        "progress": without(),
        "totalItems": without(counts=evolve(COUNTS, total=None), progress=0.5),
        "processedItems": without(counts=Counts(total=4, failed=1), progress=0.5),
        "failedItems": without(counts=Counts(total=4, processed=3)),
        "results": listed("results"),
        "errors": listed("failures", lambda item: ItemFailure(message=json.dumps(item))),
    },
}

NOT_ID_1 = ["2", "01", " 1", "1 ", "\uff11", "1" * 99_999, "1\r\n\ud800", 1.5, -1, 10**30, True, ["1"], {"id": "1"}]
UNKNOWN_WORDS = ["PAUSED", "0", "null", "UNKNOWN", "execut\u00e9d", "\u2714", "x" * 99_999, "a\r\nb\x1b[31m", "\ud800"]
LARGEST = 2**63 - 1
AS_COUNT = [  # numbers, and the counts they are
    *[(0, 0), (-0.0, 0), (7.0, 7), ("7", 7), ("007", 7), (LARGEST, LARGEST), (-1, None), (7.5, None), ("7.0", None)],
    *[(LARGEST + 1, None), (10**30, None), (10**400, None), (1e300, None), (-1e300, None), ("9" * 20, None)],
    *[("-7", None), ("7 ", None), ("NaN", None), ("\u0667", None), (True, None), ([7], None)],
]
AS_PROGRESS = [  # Gameball's, whose scale is documented nowhere
    *[(0, 0.0), (0.5, None), (1, None), (1.5, 0.015), (50, 0.5), (100, 1.0), (100.5, None), (1000, None), (-1, None)],
    *[(-0.5, None), ("50%", None), ("50", None), (True, None), ([50], None), (10**400, None), (1e300, None)],
]
AS_TIME = [
    *[(value, NOON) for value in ("2026-01-27T12:00Z", "2026-01-27T12:00:00.0000009Z", "2026-01-27T06:30:00-05:30")],
    *[(value, None) for value in ("2026-01-27T12:00:00", "2026-01-27", "2026", "2026-01-27T12:00:00+99:99")],
    *[(value, None) for value in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z")],
    *[(value, None) for value in ("2026-02-30T12:00:00Z", "2026-01-27T25:00:00Z", "Tue, 27 Jan 2026 12:00:00 GMT")],
    *[(value, None) for value in ("today", "2026-" * 9999, "\ud800", "", 1769515200, 10**30, {"$date": 0})],
]
COUNT_OF = {BELIEVE: lambda value: {"executeResult": {"total": value}}, GAMEBALL: lambda value: {"totalItems": value}}
TIME_OF = {
    BELIEVE: lambda value, at: ({"dateCreated": value, "dateUpdated": value}, {"created_at": at, "updated_at": at}),
    GAMEBALL: lambda value, at: ({"createdAt": value}, {"created_at": at}),
}


def items(total, processed, failed, **facts):
    return {"totalItems": total, "processedItems": processed, "failedItems": failed}, facts


def tally(total, succeeded, failed, **facts):
    return {"executeResult": {"total": total, "totalSuccessful": succeeded, "totalFailed": failed}}, facts


def setup(message, words):
    return {"initResult": {"failedTxMsg": message}}, {"failures": (ItemFailure(message=words, phase="setup"),)}


def refusing(item, message, **fields):
    return {"errors": [item]}, {"failures": (ItemFailure(message=message, **fields),)}


def bundles(*values, facts=True):
    kept = tuple(value for value in values if value is not None)
    return {"executeResult": {"successfulExecutions": list(values)}}, {"results": kept} if facts else None


def tutorial(response, **facts):
    body = {"totalCount": 4, "finishedCount": 2, "errorCount": 1, "response": response}
    return body, {"counts": COUNTS, "progress": 0.75, **facts}


NONE = Counts(total=0, processed=0, succeeded=0, failed=0)
FIVE_OF_NONE = Counts(total=0, processed=5, succeeded=5, failed=0)
MORE_THAN_ALL = {"counts": Counts(total=9, processed=LARGEST, succeeded=LARGEST, failed=0), "progress": 1.0}
OWN = {  # fields besides id and status, and what they say; None: it is no batch
    BELIEVE: {
        "contradictions": [
            tally(4, 9, 1, counts=Counts(total=4, processed=10, succeeded=9, failed=1), progress=1.0),
            tally(0, 0, 0, counts=NONE),
            tally(0, 5, 0, counts=FIVE_OF_NONE),
            tally(4, -1, 1, counts=Counts(total=4, failed=1)),
            tally(4, 1, -1, counts=Counts(total=4, succeeded=1)),
            tally(9, LARGEST, 0, **MORE_THAN_ALL),
            ({"progress": 50}, {}),
        ],
        "odd-messages": [
            setup("a\n\u2028\ud800", "a\\n\\u2028\\ud800"),
            setup("x" * 9999, "x" * 500),
            setup(["x" * 9999], '["' + "x" * 498),
        ],
        "unprintable-objects": [setup({"x": "\u2028\x7f\ud800"}, '{"x": "\\u2028\\x7f\\ud800"}')],
        "odd-bundles": [
            *[bundles(value, facts=False) for value in WRONG if not isinstance(value, dict | None)],
            *[bundles(BUNDLE, value) for value in WRONG if isinstance(value, dict | None)],
            *[bundles(put(BUNDLE, part, value)) for part in BUNDLE for value in (*WRONG[1:], MISSING)],
        ],
        "1-000-results": [bundles(*[BUNDLE] * 1000)],
    },
    GAMEBALL: {
        "contradictions": [
            items(4, 9, 1, counts=Counts(total=4, processed=9, succeeded=8, failed=1), progress=1.0),
            items(4, 1, 3, counts=Counts(total=4, processed=1, failed=3), progress=0.25),
            items(0, 0, 0, counts=NONE),
            items(0, 5, 0, counts=FIVE_OF_NONE),
            items(4, -1, 1, counts=Counts(total=4, failed=1)),
            items(4, 1, -1, counts=Counts(total=4, processed=1), progress=0.25),
            items(9, LARGEST, 0, **MORE_THAN_ALL),
        ],
        "odd-progress": [({"progress": value}, {"progress": part}) for value, part in AS_PROGRESS],
        "odd-errors": [
            ({"errors": [None]}, {}),
            refusing("", '""'),
            refusing(0, "0"),
            refusing([[[]]], "[[[]]]"),
            refusing({}, "{}"),
            refusing("x" * 9999, "x" * 500),
            refusing(["x" * 9999], '["' + "x" * 498),
            refusing("a\n\u2028\x1b\ud800", "a\\n\\u2028\\x1b\\ud800"),
            refusing({"message": {"en": "no"}, "code": [], "index": -1, "id": {}}, '{"en": "no"}'),
            refusing({"message": "", "error": "no", "code": 5.0, "index": "3"}, "no", code="5", index=3),
            refusing({"message": "no", "customerId": 7}, "no", id="7"),
        ],
        "unprintable-objects": [refusing({"x": "\u2028\x7f\ud800"}, '{"x": "\\u2028\\x7f\\ud800"}')],
        "1-000-results": [
            (
                {"results": list(range(1000)), "errors": list(range(1000))},
                {"results": tuple(range(1000))}
                | {"failures": tuple(ItemFailure(message=str(number)) for number in range(1000))},
            )
        ],
        "odd-tutorials": [
            *[tutorial(value) for value in WRONG],
            *[tutorial({"failed": value, "successful": value}) for value in WRONG if value != [1]],
            (tutorial({"successful": [1]})[0] | {"totalItems": 8}, {"counts": Counts(total=8)}),
        ],
    },
}


def contents(vendor):
    """Yield series of bodies, each with what it says or, where it is no batch, None."""
    whole, said = WHOLE[vendor]
    base = {vendor.id: "1", "status": vendor.done}
    yield "nothing-odd", [(whole, said), (base, {}), (base | {vendor.id: 1}, {}), (base | {vendor.id: 1.0}, {})]
    for path, rule in FIELDS[vendor].items():
        changes = [(value, rule(None if value is MISSING else value)) for value in (*WRONG, MISSING)]
        bodies = [(put(whole, path, value), None if facts is None else said | facts) for value, facts in changes]
        yield f"wrong-{path}", bodies
    yield "another-id", [(base | {vendor.id: value}, None) for value in NOT_ID_1]
    yield "unprintable-objects-as-id", [(base | {vendor.id: {"\u2028": "\ud800"}}, None)]
    words = [vendor.done.swapcase(), vendor.done.title(), f" {vendor.done}\t", f"\r\n{vendor.done.lower()}\u3000"]
    yield "a-known-word-in-disguise", [(base | {"status": word}, {"vendor_status": word}) for word in words]
    unknown = {"state": BatchState.UNKNOWN}
    yield "an-unknown-word", [(base | {"status": word}, unknown | {"vendor_status": word}) for word in UNKNOWN_WORDS]
    yield "no-word", [(base | {"status": word}, None) for word in ("", "  ", "\u3000\r\n")]
    yield "odd-counts", [(base | COUNT_OF[vendor](value), {"counts": Counts(total=total)}) for value, total in AS_COUNT]
    times = [TIME_OF[vendor](value, moment) for value, moment in AS_TIME]
    for name, bodies in (OWN[vendor] | {"odd-times": times}).items():
        yield name, [(base | fields, facts) for fields, facts in bodies]


def says_so(body, facts):
    return bad(answer(encoded(body))) if facts is None else ok(answer(encoded(body)), **facts)


HIDDEN = "[hidden]"
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in KEY).encode()
ECHOES = {  # of the keys
    "in-every-field-of-a-refusal": refused(
        AuthenticationError,
        401,
        says(401, {"code": KEY, "error": KEY, "message": f"bad key {KEY}", "requestId": KEY}, f"retry-after: {KEY}"),
        code=HIDDEN,
        message=f"bad key {HIDDEN}",
        request_id=HIDDEN,
    ),
    "in-the-headers-of-a-refusal": refused(
        RateLimited,
        429,
        no(429, b"", *[f"{name}: {KEY}" for name in ("x-request-id", "retry-after", "date", "set-cookie", KEY)]),
        request_id=HIDDEN,
    ),
    "in-the-page-of-a-refusal": refused(AuthenticationError, 401, lambda at: no(401, at.head)),
    "in-half-a-refusal": refused(AuthenticationError, 401, no(401, b'{"message": "' + KEY.encode())),
    "in-the-status-word": ok(
        lambda at: answer(at.vendor.body(status=KEY)), state=BatchState.UNKNOWN, vendor_status=HIDDEN
    ),
    "in-the-status-word-escaped": ok(
        lambda at: answer(at.vendor.body(status="?").replace(b"?", ESCAPED)),
        state=BatchState.UNKNOWN,
        vendor_status=HIDDEN,
    ),
    "in-the-status-word-in-utf-16": ok(
        lambda at: answer(at.vendor.body(status=KEY).decode().encode("utf-16")),
        state=BatchState.UNKNOWN,
        vendor_status=HIDDEN,
    ),
    "in-the-status-word-in-gzip": ok(
        lambda at: answer(gzip.compress(at.vendor.body(status=KEY)), "content-encoding: gzip"),
        state=BatchState.UNKNOWN,
        vendor_status=HIDDEN,
    ),
    "in-the-id": bad(lambda at: answer(at.vendor.body(**{at.vendor.id: f"your key is {KEY}"}))),
    "in-a-name": ok(lambda at: answer(at.vendor.body(**{KEY: KEY}))),
    "instead-of-a-status": bad(answer(encoded({"message": KEY, "error": KEY}))),
    "in-the-request-id": ok(good(bytes, f"x-request-id: {KEY}", f"{KEY}: {KEY}"), request_id=HIDDEN),
    "in-the-request-id-of-no-batch": bad(answer(b"[]", f"x-request-id: {KEY}"), request_id=HIDDEN),
    "in-the-reason": ok(lambda at: answer(at.good, status=f"200 {KEY}")),
    "in-no-json": bad(lambda at: answer(at.head)),
    "in-half-a-json": bad(lambda at: answer(at.vendor.body(x=KEY)[:-3]), cut_short=True),
    "in-no-utf-8": bad(lambda at: answer(b"\xff" + at.head)),
    "in-text": bad(answer(encoded(KEY))),
    "in-a-redirect": bad(lambda at: no(302, at.head, f"location: {at.trap}/?key={KEY}"), status_code=302),
    "as-an-encoding": bad(good(bytes, f"content-encoding: {KEY}")),
    "as-a-long-encoding": bad(good(bytes, f"content-encoding: {'x' * 25} {KEY}")),
    **{
        f"as-{name}": broken([raw, HANG_UP])
        for name, raw in {
            "a-status-line": f"HTTP/1.1 {KEY}\r\n\r\n".encode(),
            "a-header": unsized(b"", KEY),
            "a-header-with-nul": unsized(b"", f"x: \x00{KEY}"),
            "a-header-with-a-blank": unsized(b"", f"{KEY} : x"),
            "a-length": unsized(b"{}", f"content-length: {KEY}"),
            "a-framing": unsized(b"{}", f"transfer-encoding: {KEY}"),
            "a-chunk-size": chunked(KEY.encode() + b"\r\n"),
        }.items()
    },
    "as-it-came": broken(lambda at: [at.head, HANG_UP]),
}
OWN_ECHOES = {
    BELIEVE: ok(
        answer(
            BELIEVE.body(executeResult={"failedTxMsg": KEY, "successfulExecutions": [{"bundleId": KEY, KEY: 1}]}),
        ),
        failures=(ItemFailure(message=HIDDEN, phase="execution"),),
        results=({"bundleId": HIDDEN, HIDDEN: 1},),
    ),
    GAMEBALL: ok(
        answer(GAMEBALL.body(results=[KEY, {SECRET: [SECRET]}], errors=[{"message": KEY + SECRET, "code": SECRET}])),
        failures=(ItemFailure(message=HIDDEN * 2, code=HIDDEN),),
        results=(HIDDEN, {HIDDEN: [HIDDEN]}),
    ),
}

SHARED = {
    **{f"transport-{name}": row for name, row in TRANSPORT.items()},
    **{f"framing-{name}": row for name, row in FRAMING.items()},
    **{f"status-{name}": row for name, row in (STATUS | COMPLAINTS | RETRY_AFTER).items()},
    **{f"json-{name}": row for name, row in JSON.items()},
    **{f"echo-{name}": row for name, row in ECHOES.items()},
}


def cases():
    for vendor in VENDORS:
        own = {f"content-has-{name}": series(says_so(*body) for body in bodies) for name, bodies in contents(vendor)}
        own |= {"status-documented-errors": series(DOCUMENTED[vendor]), "echo-in-a-batch": OWN_ECHOES[vendor]}
        for name, rows in (SHARED | own | (NO_ID if vendor is GAMEBALL else {})).items():
            yield pytest.param(vendor, {"": rows} if isinstance(rows, Row) else rows, id=f"{vendor.name}-{name}")


@pytest.fixture(scope="module")
def trap():
    with serving(lambda _: [answer(b"{}")]) as server:
        yield server


def open_sockets():
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {target for target in found if target.startswith("socket:")}


@pytest.fixture(autouse=True)
def _nothing_stays_open(trap):
    sockets, threads = open_sockets(), threading.active_count()
    yield
    end = time.monotonic() + 2
    while open_sockets() - sockets or threading.active_count() > threads:
        assert time.monotonic() < end, (open_sockets() - sockets, threading.enumerate())
        time.sleep(0.01)


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
    return type(outcome), {name: getattr(outcome, name, None) for name in facts}, bool(fit)


def expected(vendor, row):
    usual = next(facts for kind, facts in USUAL.items() if issubclass(row.gives, kind))
    return usual | ({"vendor_status": vendor.done} if row.gives is Batch else {}) | row.facts


@pytest.mark.parametrize(("vendor", "rows"), list(cases()))
def test_a_misdeed_has_one_exact_outcome_and_harms_nothing_after_it(reader, trap, caplog, vendor, rows):
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


DEPTHS = [10, 100, 300, 450, 600, 750, 900, 990, 2_000, 10_000, 100_000]


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("text", ['"plain"', r'"\u0061"', f'"{KEY}"'], ids=["plain", "escaped", "echoed"])
def test_nesting_of_any_depth_is_a_batch_or_no_batch_and_never_a_recursion_error(reader, vendor, text):
    bodies = [extended(f'"x": {text}, "results": '.encode() + lists(depth))(vendor.body()) for depth in DEPTHS]
    with serving(lambda head: [answer(bodies[len(server.heads) - 1])]) as server:
        client = reader(vendor.account(base_url=server.url), retry=RetryPolicy(attempts=1))
        kinds = [type(attempt(client, f"{vendor.name}:1", 10)) for _ in bodies]
    assert kinds[:2] == [Batch, Batch]
    assert kinds[-1] is InvalidResponse
    assert set(kinds) == {Batch, InvalidResponse}


STALE = {  # what comes of a kept connection as the next request is sent
    "is-closed": [HANG_UP],
    "is-closed-within-a-status-line": [b"HTTP/1.1 20", HANG_UP],
    "has-been-closed": [],
}


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("resets", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("steps", STALE.values(), ids=STALE)
def test_a_kept_connection_that_is_closed_costs_no_read(reader, vendor, steps, resets):
    def script(head):
        if len(server.heads) == 2 and steps:
            return steps
        return [own_answer(vendor, head), *([] if steps else [HANG_UP])]

    with serving(script) as server:
        if resets:
            server.opened = partial(resetting, server)
        client = reader(vendor.account(base_url=server.url))
        words = [client.get(f"{vendor.name}:{number}").vendor_status for number in range(4)]
    assert words == [vendor.failed] * 4
    assert len(server.heads) == (5 if steps else 4)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_a_late_answer_to_the_last_request_is_refused_by_its_id_and_does_not_answer_the_one_after(reader, vendor):
    """The server sends it as the next request comes, so that no idle connection shows it; on that connection it then
    lags behind by one answer for ever.
    """
    asked = {}

    def script(head):
        connection = threading.current_thread()
        last, asked[connection] = asked.get(connection, head), head
        return [own_answer(vendor, last)]

    with serving(script) as server:
        client = reader(vendor.account(base_url=server.url), retry=RetryPolicy(attempts=1))
        kinds = [type(attempt(client, f"{vendor.name}:{number}", 10)) for number in range(3)]
    assert kinds == [Batch, InvalidResponse, Batch]


PEAK = """
import asyncio, sys
from batchstatus import AsyncBatchClient, BatchClient, Believe, InvalidResponse, RetryPolicy

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

async def get(client, ref):
    return await client.get(ref) if isinstance(client, AsyncBatchClient) else client.get(ref)

async def main():
    make = {"sync": BatchClient, "async": AsyncBatchClient}[sys.argv[1]]
    client = make(Believe("test-hostile-Key-1", base_url=sys.argv[2], rate_limit=None), retry=RetryPolicy(attempts=1))
    await get(client, "believe:2")
    idle = kilobytes("VmRSS")
    try:
        await get(client, "believe:1")
    except InvalidResponse as error:
        print(kilobytes("VmHWM") - idle, error)
    if (closing := client.close()) is not None:
        await closing

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_gzip_bomb_of_500_mb_takes_at_most_64_mb(kind):
    """The peak is the kernel's VmHWM: getrusage's ru_maxrss begins at the peak of the process that started this one."""
    raw = answer(bomb(), "content-encoding: gzip")
    with serving(lambda head: [raw if b"/1 " in head else own_answer(BELIEVE, head)]) as server:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", PEAK, kind, server.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    peak, _, says = run.stdout.partition(" ")
    assert "is larger than" in says, run.stderr
    assert int(peak) <= 64 * 1024
