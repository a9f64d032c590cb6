"""Vendors that echo the keys."""

from __future__ import annotations

import gzip

import pytest
from batchstatus import (
    AuthenticationError,
    BatchState,
    ItemFailure,
    RateLimited,
)
from hostile import (
    BELIEVE,
    GAMEBALL,
    KEY,
    SECRET,
    VENDORS,
    answer,
    bad,
    broken,
    check,
    chunked,
    each_vendor,
    encoded,
    extended,
    good,
    no,
    ok,
    refused,
    says,
    unsized,
)
from raw_server import HANG_UP

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

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
    "in-the-status-word-in-latin-1": ok(
        lambda at: answer(at.vendor.body(status=KEY)[:-1] + b', "x": "\xe9"}', "content-type: x; charset=latin-1"),
        state=BatchState.UNKNOWN,
        vendor_status=HIDDEN,
    ),
    "in-a-charset-that-would-hide-it": bad(
        lambda at: answer(at.vendor.body(status=KEY).decode().encode("cp037"), "content-type: x; charset=cp037")
    ),
    "in-the-name-of-what-is-not-a-number": ok(good(extended(f'"{KEY}": NaN'.encode())), odd=(HIDDEN,)),
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
            BELIEVE.body(
                initResult=KEY,
                executeResult={"failedTxMsg": KEY, "successfulExecutions": [{"bundleId": KEY, KEY: 1}, KEY]},
                dateCreated=KEY,
            )
        ),
        failures=(ItemFailure(message=HIDDEN, phase="execution"),),
        results=({"bundleId": HIDDEN, HIDDEN: 1},),
        odd=("initResult", "successfulExecutions", "dateCreated"),
    ),
    GAMEBALL: ok(
        answer(
            GAMEBALL.body(
                results=[KEY, {SECRET: [SECRET]}],
                errors={SECRET: {"message": KEY + SECRET, "code": SECRET}},
                totalItems=KEY,
            )
        ),
        failures=(ItemFailure(message=HIDDEN * 2, code=HIDDEN, id=HIDDEN),),
        results=(HIDDEN, {HIDDEN: [HIDDEN]}),
        odd=("totalItems",),
    ),
}


@pytest.mark.parametrize(("vendor", "rows"), each_vendor(ECHOES))
def test_an_echoed_key(reader, trap, caplog, vendor, rows):
    """A key is removed from everything that a caller gets."""
    check(reader, trap, caplog, vendor, rows)


@pytest.mark.parametrize(
    ("vendor", "rows"),
    [param for vendor in VENDORS for param in each_vendor({"in-a-batch": OWN_ECHOES[vendor]}, [vendor])],
)
def test_a_key_in_a_batch(reader, trap, caplog, vendor, rows):
    """Inside a Batch, too."""
    check(reader, trap, caplog, vendor, rows)
