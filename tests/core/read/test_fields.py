"""From bytes to values: JSON, counts, numbers, text, times."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from batchstatus._core.read import fields
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("body", "cut_short"),
    [
        (b"", True),
        (b" \r\n ", True),
        (b'{"status": "compl', True),
        (b'{"status": ', True),
        (b'{"status"', True),
        (b'{"status": "completed"', True),
        (b'{"a": {"b": 1}', True),
        (b"[1, 2", True),
        (b'{"a": tru', True),
        (b'{"a": -', True),
        (b'{"a": "\\u00', True),
        ('{"a": "é'.encode()[:-1], True),
        (b'{"a": "\\uXYZW"}', False),
        (b'{"a": NaN}', False),
        (b'{"a": -Infinity}', False),
        (b'{"a": 1e999}', False),
        (b"<html></html>", False),
        (b'{"status": completed}', False),
        (b'{"a": 1}{"a": 2}', False),
        (b"\xff\xfe\xfd", False),
        (b'{"a": "\xe9"}', False),
        (b"[" * 100_000, False),
        (b"1" * 5_000, False),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
def test_text_that_is_not_json_is_refused(body, cut_short):
    """What is not json is named so and known as cut short or not."""
    with pytest.raises(fields.NotJSON) as caught:
        fields.decode(body)
    assert caught.value.cut_short is cut_short


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_in_any_unicode_encoding_is_read(encoding):
    assert fields.decode('{"status": "é"}'.encode(encoding)) == {"status": "é"}


@given(JSON)
def test_without_nulls_drops_nulls_only(value):
    """Without nulls holds no null and keeps all else."""

    def leaves(value):
        if isinstance(value, dict | list):
            return [leaf for item in (value.values() if isinstance(value, dict) else value) for leaf in leaves(item)]
        return [repr(value)]

    kept = [leaf for leaf in leaves([value]) if leaf != "None"]
    assert leaves(fields.without_nulls([value])) == kept


def test_without_nulls_copies():
    """Without nulls leaves the payload as it came."""
    payload = {"a": None, "b": [None, {"c": None, "d": 0}], "e": ""}
    assert fields.without_nulls(payload) == {"b": [{"d": 0}], "e": ""}
    assert payload == {"a": None, "b": [None, {"c": None, "d": 0}], "e": ""}


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (7, 7), (7.0, 7), ("7", 7), ("007", 7), (2**63 - 1, 2**63 - 1)]
    + [
        (bad, None)
        for bad in (-1, 7.5, -1.0, "7.0", "-7", "", "\u0667", "7 ", "9" * 20, 2**63, 10**400, True, None, [], {})
    ]
    + [(float("nan"), None), (float("inf"), None), (1e300, None)],
    ids=lambda value: repr(value)[:24],
)
def test_a_count_is_a_whole_number_or_none(value, count):
    assert fields.count(value) == count


@given(JSON)
def test_coercions_give_their_type_or_none(value):
    """Coercions give their type or none for any json."""
    assert fields.count(value) is None or type(fields.count(value)) is int
    assert fields.number(value) is None or type(fields.number(value)) is float
    assert fields.text(value) is None or 0 < len(fields.text(value)) <= 500
    assert fields.timestamp(value) is None or fields.timestamp(value).tzinfo is UTC
    assert len(fields.rendering(value)) <= 500


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2025-01-27T12:00:00.000Z", datetime(2025, 1, 27, 12, tzinfo=UTC)),
        ("2025-01-27T12:00:00+02:00", datetime(2025, 1, 27, 10, tzinfo=UTC)),
        ("2025-01-27T12:00:00.1234567Z", datetime(2025, 1, 27, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2025-01-27T12:00:00", None),
        ("2025-01-27", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("soon", None),
        ("", None),
        (1737979200, None),
    ],
)
def test_a_timestamp_is_aware_utc_or_none(value, moment):
    assert fields.timestamp(value) == moment
