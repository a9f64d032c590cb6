"""The connection breaks, stalls, or carries something else than HTTP."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from attrs import evolve
from batchstatus import (
    APIError,
    Batch,
    BatchNotFound,
    InvalidResponse,
    RateLimited,
    RetryPolicy,
    ServerError,
)
from hostile import (
    FLOOD,
    SILENCE,
    VENDORS,
    after_rest,
    answer,
    attempt,
    bad,
    broken,
    check,
    chunk,
    chunked,
    each_vendor,
    endless,
    good,
    late,
    no,
    ok,
    own_answer,
    refused,
    resetting,
    too_large,
    unsized,
)
from raw_server import HANG_UP, drip, serving

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

CODE = b'{"code": "ERR_X", "error": "ERR_X", "message": "no"}'
CUT_OFF_OUTAGES = {407: APIError, 408: ServerError, 429: RateLimited, 503: ServerError}

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
    **{
        f"closes-{place}-{status}": broken([raw, HANG_UP])
        for status in (401, 404)
        for place, raw in {
            "within-the-status-line-of": no(status)[:14],
            "after-the-status-line-of": no(status)[:17],
            "after-the-headers-of": no(status, CODE)[: -len(CODE)],
            "within-the-body-of": no(status, CODE)[:-1],
            "before-the-last-chunk-of": unsized(chunk(CODE), "transfer-encoding: chunked", status=f"{status} No"),
        }.items()
    },
    "closes-within-a-refusal-without-a-length": refused(
        BatchNotFound, 404, [unsized(CODE[:-1], status="404 No"), HANG_UP]
    ),
    **{
        f"closes-within-a-{status}": refused(
            gives, status, [no(status, CODE, "retry-after: 7")[:-1], HANG_UP], retry_after=7.0
        )
        for status, gives in CUT_OFF_OUTAGES.items()
    },
    "resets-before-the-headers": evolve(broken([HANG_UP]), resets=True),
    "resets-within-the-headers": evolve(broken([b"HTTP/1.1 200 OK\r\nconte", 0.05, HANG_UP]), resets=True),
    "resets-within-the-body": evolve(broken(lambda at: [answer(at.good)[:-1], 0.05, HANG_UP]), resets=True),
    "resets-after-a-body-without-a-length": evolve(broken(lambda at: [unsized(at.good), 0.05, HANG_UP]), resets=True),
    "resets-within-a-refusal": evolve(broken([no(401, CODE)[:-1], 0.05, HANG_UP]), resets=True),
    "resets-within-a-503": evolve(refused(ServerError, 503, [no(503, CODE)[:-1], 0.05, HANG_UP]), resets=True),
    "never-answers": late([SILENCE]),
    "falls-silent-within-the-headers": late([b"HTTP/1.1 200 OK\r\nconte", SILENCE]),
    "falls-silent-after-the-headers": late([unsized(b"", "content-length: 9"), SILENCE]),
    "falls-silent-within-the-body": late(lambda at: [answer(at.good)[:-1], SILENCE]),
    "falls-silent-within-a-chunk": late(lambda at: [chunked(chunk(at.good)[:-9]), SILENCE]),
    "falls-silent-within-a-refusal": late([no(401, CODE)[:-1], SILENCE]),
    "falls-silent-within-a-503": evolve(refused(ServerError, 503, [no(503, CODE)[:-1], SILENCE]), timeout=3.0),
    "drips-its-headers": late(lambda at: drip(answer(at.good), 0.2)),
    "drips-its-body": late(lambda at: [answer(at.good)[: -len(at.good)], *drip(at.good, 0.2)]),
    "drips-its-chunks": late([chunked(), *drip(chunk(b" ") * 9, 0.2)]),
    "drips-a-refusal": evolve(late([no(404, b"x" * 99)[:-99], *drip(b"x" * 99, 0.2)]), timeout=3.0),
    "drips-a-429": evolve(
        refused(RateLimited, 429, [no(429, b"x" * 99, "retry-after: 7")[:-99], *drip(b"x" * 99, 0.2)], retry_after=7.0),
        timeout=3.0,
    ),
    "sends-an-endless-body": too_large(endless(unsized(), FLOOD)),
    "sends-an-endless-body-of-a-length": too_large(endless(unsized(b"", f"content-length: {10**15}"), FLOOD)),
    "sends-an-endless-chunk": too_large(endless(chunked(b"ffffffffffff\r\n"), FLOOD)),
    "sends-endless-chunks": too_large(endless(chunked(), chunk(FLOOD))),
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


@pytest.mark.parametrize(("vendor", "rows"), each_vendor(TRANSPORT))
def test_a_broken_transport(reader, trap, caplog, vendor, rows):
    """It closes, resets or stalls in every place; a refusal counts only with its whole body, an outage without."""
    check(reader, trap, caplog, vendor, rows)


STALE = {  # what comes of a kept connection as the next request is sent
    "is-closed": [HANG_UP],
    "is-closed-within-a-status-line": [b"HTTP/1.1 20", HANG_UP],
    "has-been-closed": [],
}


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("resets", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("steps", STALE.values(), ids=STALE)
def test_a_closed_idle_connection_costs_nothing(reader, vendor, steps, resets):
    """A kept connection that is closed costs no read."""

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
def test_a_late_answer_is_refused_by_its_id(reader, vendor):
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
