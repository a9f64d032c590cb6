"""Bodies that are not JSON, not UTF-8, compressed, nested or huge."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib

import pytest
from batchstatus import (
    Batch,
    InvalidResponse,
    RetryPolicy,
)
from hostile import (
    BELIEVE,
    KEY,
    PAGE,
    VENDORS,
    answer,
    attempt,
    bad,
    bomb,
    check,
    each_vendor,
    encoded,
    extended,
    good,
    lists,
    ok,
    own_answer,
    too_large,
)
from raw_server import serving

pytestmark = pytest.mark.usefixtures("nothing_stays_open")
NO_UNICODE = ("the body is not Unicode text",)


def packed(change, coding="gzip", **facts):
    return bad(good(change, f"content-encoding: {coding}"), **facts)


def twice(body):
    return gzip.compress(gzip.compress(body))


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
    "is-no-utf-8": ok(good(extended(b'"x": "\xff"')), odd=NO_UNICODE),
    "is-latin-1": ok(good(extended(b'"x": "\xe9"')), odd=NO_UNICODE),
    **{
        f"is-latin-1-and-says-{name}": ok(
            good(extended(b'"x": "\xe9"'), f"content-type: application/json; {charset}"), odd=odd
        )
        for name, charset, odd in [
            ("so", "charset=iso-8859-1", ()),
            ("so-in-quotes", 'Charset="Windows-1252"', ()),
            ("utf-8", "charset=utf-8", NO_UNICODE),
            ("an-unknown-word", "charset=nonsense", NO_UNICODE),
            ("a-word-that-raises", "charset=undefined", NO_UNICODE),
            ("a-word-that-could-hide-a-key", "charset=cp037", NO_UNICODE),
        ]
    },
    "has-surrogates-in-utf-8": ok(good(extended(b'"x": "\xed\xa0\x80"'))),
    "has-overlong-utf-8": ok(good(extended(b'"x": "\xc0\xaf"')), odd=NO_UNICODE),
    **{
        f"is-{code}": ok(good(lambda body, code=code: body.decode().encode(code)))
        for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
    },
    "has-nan": ok(good(extended(b'"x": NaN')), odd=("x",)),
    "has-minus-infinity": ok(good(extended(b'"x": -Infinity')), odd=("x",)),
    "has-a-float-beyond-all": ok(good(extended(b'"totalItems": 1e400')), odd=("totalItems",)),
    "has-a-name-of-1-mb-for-20-000-times-nan": ok(
        good(extended(b'"%b": [%bNaN]' % (b"x" * 10**6, b"NaN, " * 20_000))), odd=("x" * 60,) * 20
    ),
    "has-401-digits": ok(good(extended(b'"x": 1' + b"0" * 400))),
    "has-5-000-digits": ok(good(extended(b'"x": ' + b"1" * 5000))),
    "has-control-characters": ok(good(extended(b'"x": "a\r\n\t\x00\x1bb"'))),
    "has-a-lone-surrogate": ok(good(extended(b'"x": "\\ud800"'))),
    "has-another-status-first": ok(good(lambda body: b'{"status": "FAILED", ' + body[1:])),
    "has-another-id-first": ok(good(lambda body: b'{"id": "3", "batchId": "3", ' + body[1:])),
    "has-another-id-last": bad(good(extended(b'"id": "3", "batchId": "3"'))),
    "is-100-000-lists": bad(answer(b"[" * 100_000)),
    "is-100-000-objects": bad(answer(b'{"id":' * 100_000)),
    "is-20-mb": too_large(good(lambda body: body + b" " * 20_000_000)),
    "is-10-mb": ok(good(lambda body: body + b" " * 10_000_000)),
    "is-a-gzip-bomb": too_large(lambda at: answer(bomb(), "content-encoding: gzip")),
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


@pytest.mark.parametrize(("vendor", "rows"), each_vendor(JSON))
def test_a_json_body(reader, trap, caplog, vendor, rows):
    """A 200 is a Batch only if its body is one JSON object; what is odd within its values costs no reading."""
    check(reader, trap, caplog, vendor, rows)


DEPTHS = [10, 100, 300, 450, 600, 750, 900, 990, 2_000, 10_000, 100_000]


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("text", ['"plain"', r'"\u0061"', f'"{KEY}"'], ids=["plain", "escaped", "echoed"])
def test_any_depth_is_a_batch_or_refused(reader, vendor, text):
    """Nesting of any depth is a batch or no batch and never a recursion error."""
    bodies = [extended(f'"x": {text}, "results": '.encode() + lists(depth))(vendor.body()) for depth in DEPTHS]
    with serving(lambda head: [answer(bodies[len(server.heads) - 1])]) as server:
        client = reader(vendor.account(base_url=server.url), retry=RetryPolicy(attempts=1))
        kinds = [type(attempt(client, f"{vendor.name}:1", 10)) for _ in bodies]
    assert kinds[:2] == [Batch, Batch]
    assert kinds[-1] is InvalidResponse
    assert set(kinds) == {Batch, InvalidResponse}


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
def test_a_500_mb_bomb_takes_64_mb_at_most(kind):
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
