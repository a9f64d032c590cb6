"""HTTP that is framed in odd ways."""

from __future__ import annotations

import pytest
from batchstatus import (
    BatchNotFound,
)
from hostile import (
    GAMEBALL,
    LAST,
    PAGE,
    SILENCE,
    after_rest,
    answer,
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
    refused,
    unsized,
)
from raw_server import HANG_UP

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

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


@pytest.mark.parametrize(("vendor", "rows"), each_vendor(FRAMING))
def test_odd_framing(reader, trap, caplog, vendor, rows):
    """Lengths, chunks and interim responses, right and wrong."""
    check(reader, trap, caplog, vendor, rows)


@pytest.mark.parametrize(("vendor", "rows"), each_vendor(NO_ID, [GAMEBALL]))
def test_a_body_without_an_id(reader, trap, caplog, vendor, rows):
    """Only Gameball's bodies may come without an id."""
    check(reader, trap, caplog, vendor, rows)
