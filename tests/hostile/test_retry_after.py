"""Retry-After in every spelling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from batchstatus import (
    RateLimited,
    ServerError,
)
from hostile import NOON, check, each_vendor, no, refused, series

pytestmark = pytest.mark.usefixtures("nothing_stays_open")


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
    (["retry-after: 7, 9"], 7.0),
    (["retry-after: 6.5"], 6.5),
    (["retry-after-ms: 250", "retry-after: 7"], 0.25),
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
ASKED += [([f"retry-after: {digits}"], min(float(digits), 1e12)) for digits in (str(10**9), str(10**10), "7" * 300)]
NOT_ASKED = [
    *["", "-1", "+7", "7.", "nan", "inf", "-inf", "1e3", "0x7", "1_0"],
    *["\u0667", "\uff17", "7 s", "x, 9", "2026-01-27T12:00:09Z", "Wait a while, please"],
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


@pytest.mark.parametrize(("vendor", "rows"), each_vendor(RETRY_AFTER))
def test_a_retry_after(reader, trap, caplog, vendor, rows):
    """Whole seconds or a date are read; anything else is ignored."""
    check(reader, trap, caplog, vendor, rows)
