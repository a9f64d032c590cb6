"""From bytes to values: JSON, counts, numbers, text, times."""

from __future__ import annotations

import copy
import itertools
import math
import sys
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
        (b"<html></html>", False),
        (b'{"status": completed}', False),
        (b'{"a": 1}{"a": 2}', False),
        (b"\xff\xfe\xfd", False),
        (b"[" * 100_000, False),
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
    assert fields.decode('{"status": "é"}'.encode(encoding)) == ({"status": "é"}, [])


def test_control_characters_in_a_text_are_taken():
    assert fields.decode(b'{"a": "1\r\n2\t\x00"}') == ({"a": "1\r\n2\t\x00"}, [])


NOT_UNICODE = ["the body is not Unicode text"]


@pytest.mark.parametrize(
    ("content_type", "text", "problems"),
    [
        pytest.param("", "\ufffd", NOT_UNICODE, id="nothing declared"),
        pytest.param("application/json; charset=latin-1", "é", [], id="latin-1"),
        pytest.param('application/json;Charset="ISO-8859-1"', "é", [], id="in quotes"),
        pytest.param("application/json; charset=windows-1251", "й", [], id="windows"),
        pytest.param("application/json; charset=utf-8", "\ufffd", NOT_UNICODE, id="declared wrongly"),
        pytest.param("application/json; charset=nonsense", "\ufffd", NOT_UNICODE, id="unknown"),
        pytest.param("application/json; charset=iso-8859-99", "\ufffd", NOT_UNICODE, id="unknown of a known kind"),
        pytest.param("application/json; charset=undefined", "\ufffd", NOT_UNICODE, id="one that raises"),
    ],
)
def test_a_charset_counts_if_the_body_is_not_unicode(content_type, text, problems):
    assert fields.decode(b'{"a": "\xe9"}', content_type) == ({"a": text}, problems)
    assert fields.decode('{"a": "é"}'.encode(), content_type) == ({"a": "é"}, [])


@pytest.mark.parametrize("charset", ["cp037", "cp500", "utf-7", "unicode_escape", "punycode", "idna"])
def test_no_charset_hides_a_key_in_the_bytes(charset):
    """A key is searched for in the body's bytes, so only charsets that leave ASCII as it is are heard."""
    body = '{"a": "key"}'.encode("cp037")
    try:
        value, _ = fields.decode(body, f"application/json; charset={charset}")
    except fields.NotJSON:
        value = None
    assert "key" not in repr(value)


def test_a_number_of_thousands_of_digits_is_text():
    digits = "1" * 5_000
    assert fields.decode(f'{{"a": {digits}, "b": 7}}'.encode()) == ({"a": digits, "b": 7}, [])


@pytest.fixture
def few_digits():
    """Let Python convert few digits, as PYTHONINTMAXSTRDIGITS does."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("few_digits")
def test_pythons_own_limit_of_digits_may_be_lower():
    assert fields.decode(b"1" * 641) == ("1" * 641, [])


def is_number(value):
    return not isinstance(value, float) or math.isfinite(value)


@given(JSON)
def test_cleaned_drops_nulls_and_what_is_not_a_number(value):
    """Cleaned holds no null, no NaN and no infinity, notes each of the latter, and keeps all else."""

    def leaves(value):
        if isinstance(value, dict | list):
            return [leaf for item in (value.values() if isinstance(value, dict) else value) for leaf in leaves(item)]
        return [value]

    problems = []
    kept = [repr(leaf) for leaf in leaves([value]) if leaf is not None and is_number(leaf)]
    assert [repr(leaf) for leaf in leaves(fields.cleaned([value], problems))] == kept
    assert len(problems) == sum(not is_number(leaf) for leaf in leaves([value]))


def test_cleaned_copies():
    """Cleaned leaves the payload as it came, and names each field whose number it drops."""
    payload = {"a": None, "b": [None, {"c": None, "d": 0}], "e": "", "f": {"g": math.inf}}
    problems = []
    assert fields.cleaned(payload, problems) == {"b": [{"d": 0}], "e": "", "f": {}}
    assert payload == {"a": None, "b": [None, {"c": None, "d": 0}], "e": "", "f": {"g": math.inf}}
    assert problems == ["g: inf is not a number"]


def test_the_problems_of_a_body_are_small():
    """Many wrong numbers under a name of a million characters are a hundred short texts."""
    problems = []
    fields.cleaned({"x" * 10**6: [math.nan] * 10**5}, problems)
    assert problems == ["x" * 60 + ": nan is not a number"] * 100


def strict(body):
    """A raw model that takes numbers in `counts` and in the lists of `parts`."""
    counts, parts = body.get("counts", {}), body.get("parts", {})
    if not isinstance(body["status"], str) or not isinstance(counts, dict) or not isinstance(parts, dict):
        raise TypeError
    for item in (*counts.values(), *itertools.chain(*parts.values())):
        if not isinstance(item, int):
            raise TypeError
    return body


@pytest.mark.parametrize(
    ("body", "made", "problems"),
    [
        pytest.param({"counts": {"a": 1}, "x": 7}, {"counts": {"a": 1}, "x": 7}, [], id="nothing odd"),
        pytest.param({"counts": 7, "x": 7}, {"x": 7}, ["counts: 7 is of another shape"], id="a field"),
        pytest.param(
            {"counts": {"a": 1, "b": "x"}},
            {"counts": {"a": 1}},
            ["b: x is of another shape"],
            id="a field of an object",
        ),
        pytest.param(
            {"parts": {"a": [1, "x", 2], "b": 3}},
            {"parts": {"a": [1, 2]}},
            ["a: 1 of 3 are of another shape", "b: 3 is of another shape"],
            id="an item of a list",
        ),
    ],
)
def test_a_model_is_made_of_what_it_takes(body, made, problems):
    """What a raw model refuses is left out and named, and the body stays as it is."""
    body, found = {"status": "ok"} | body, []
    before = copy.deepcopy(body)
    assert fields.accepted(strict, body, "status", found) == {"status": "ok"} | made
    assert (found, body) == (problems, before)


def test_a_model_that_takes_nothing_is_none():
    found = []
    assert fields.accepted(strict, {"status": 7, "x": 1}, "status", found) is None
    assert found[-1] == "the body: the raw model takes nothing of it"


def test_a_body_without_the_needed_field_is_refused():
    with pytest.raises(KeyError, match="status"):
        fields.accepted(strict, {"counts": 7}, "status", [])


def test_each_detail_is_tried_for_itself():
    """Beside all the others it would cost quadratic time: minutes for a batch of some thousand items."""
    sizes = []

    def make(body):
        sizes.append(sum(len(each) for each in body.get("parts", {}).values()))
        return strict(body)

    fields.accepted(make, {"status": "ok", "parts": {"a": [1] * 500, "b": [1] * 500 + ["x"]}}, "status", [])
    assert sum(sizes) < 10 * 1001


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
