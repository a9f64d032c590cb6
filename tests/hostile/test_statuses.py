"""Every status, redirect and error body."""

from __future__ import annotations

import gzip

import pytest
from batchstatus import (
    APIError,
    AuthenticationError,
    BadRequest,
    BatchNotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
)
from hostile import (
    BELIEVE,
    BOTH,
    GAMEBALL,
    PAGE,
    SAID,
    VENDORS,
    answer,
    bad,
    bomb,
    check,
    each_vendor,
    no,
    ok,
    refused,
    says,
    series,
    unsized,
)

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

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


COMPLAINTS = {
    "complains-with-a-long-message": refused(
        APIError, 418, says(418, BOTH | {"message": "x" * 9999}), code="A", message="x" * 500
    ),
    "complains-with-a-long-code": refused(
        APIError, 418, says(418, {"code": "x" * 9999, "error": "x" * 9999}), code="x" * 500
    ),
    "complains-with-5-000-digits": refused(
        BatchNotFound, 404, no(404, b'{"code": %b, "error": %b}' % ((b"1" * 5000,) * 2)), code="1" * 500
    ),
    "complains-with-raw-line-ends": refused(
        BatchNotFound, 404, no(404, b'{"code": "A", "error": "A", "message": "a\r\nb"}'), code="A", message="a\\r\\nb"
    ),
    "complains-in-latin-1": refused(
        BatchNotFound,
        404,
        no(404, b'{"code": "A", "error": "A", "message": "\xe9"}', "content-type: application/json; charset=latin-1"),
        code="A",
        message="\u00e9",
    ),
    "complains-in-a-charset-that-raises": refused(
        BatchNotFound,
        404,
        no(404, b'{"code": "A", "error": "A", "message": "\xe9"}', "content-type: application/json; charset=undefined"),
        code="A",
        message="\ufffd",
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


@pytest.mark.parametrize(("vendor", "rows"), each_vendor(STATUS))
def test_a_status(reader, trap, caplog, vendor, rows):
    """Every status is the documented class, whatever its body holds; a refusal without a code is not believed."""
    check(reader, trap, caplog, vendor, rows)


@pytest.mark.parametrize(("vendor", "rows"), each_vendor(COMPLAINTS))
def test_an_error_body(reader, trap, caplog, vendor, rows):
    """Every shape of an error body is read for its code and message."""
    check(reader, trap, caplog, vendor, rows)


@pytest.mark.parametrize(
    ("vendor", "rows"),
    [param for vendor in VENDORS for param in each_vendor({"documented": series(DOCUMENTED[vendor])}, [vendor])],
)
def test_a_documented_error(reader, trap, caplog, vendor, rows):
    """The vendors' documented errors."""
    check(reader, trap, caplog, vendor, rows)
