"""A spec's text is read as JSON, within bounds, with the line of each node; a reference ends inside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

SPECS = Path(__file__).parent.parent.parent / "specs"

sys.path.insert(0, str(SPECS))
import document  # noqa: E402 (specs/ holds scripts, not a package)
from sources import SpecError  # noqa: E402 (the same)
from terminal import printable, say  # noqa: E402 (the same)

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    "an alias that holds itself": ("a: 1\nb: &b [*b]", "spec:2: nested more than 100 deep, or an alias that holds"),
    "an alias bomb": (BOMB, "more than 50,000 nodes, each alias counted as a copy"),
    "an alias of nothing": ("a: *b", "spec:1: not YAML: found undefined alias 'b'"),
    "a deep nest": (f"a: {'[' * 5000}{']' * 5000}", "spec:1: nested more than 100 deep"),
    "a long text": ("a:\n" + "- x\n" * 100_001, ": more than 50,000 nodes"),
    "a key given twice": ("a: 1\nb:\n  c: 1\n  c: 2\n", "spec:4: the key 'c' is given twice"),
    "a key given twice in two spellings": ("1: a\n'1': b\n", "spec:2: the key '1' is given twice"),
    "a merge key": ("a: &a {b: 1}\nc:\n  <<: *a\n", "spec:3: a key that JSON does not have"),
    "a key that is a list": ("? [a]\n: b\n", "spec:1: a key that JSON does not have"),
    "an object of Python": ("a: !!python/name:os.system x", "spec:1: a value with the tag 'python/name:os.system'"),
    "a set": ("a: !!set {b}", "spec:1: a value with the tag 'set'"),
    "half a character": (r'a: "\ud800"', "spec:1: '\\ud800' holds half a character"),
    "half a character in a key": (r'"\ud800": a', "spec:1: '\\ud800' holds half a character"),
    "a number of too many digits": ("a: " + "9" * 5000, "is not 'int'"),
    "a word said to be a number": ("a: !!int b", "spec:1: 'b' is not 'int'"),
    "a control character": ("a: \x1b", "spec: not YAML: special characters are not allowed"),
    "two documents": ("a: 1\n---\nb: 1\n", "spec:2: not YAML: but found another document"),
    "a list": ("- a", "spec:1: the document is not an object"),
    "nothing": ("", "spec:1: the document is not an object"),
    "a broken text": ("a: 1\nb: [\n", "spec:3: not YAML: expected the node content"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_text_that_is_no_document_is_refused(text, message):
    """A text that tools would read differently, or not within bounds, is refused in one line."""
    with pytest.raises(SpecError) as refused:
        document.load("spec", text)
    assert str(refused.value).startswith("spec:")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_text_that_is_not_utf8_is_refused():
    with pytest.raises(SpecError, match=r"^spec: not UTF-8 text: .* invalid start byte"):
        document.load("spec", b"a: \xff")


def test_scalars_are_those_of_json():
    text = "[on, no, y, 2025-01-27, 0777, 1:30, 1_000, .5, true, ~, null, -1, 1.5, 1e3, !!str 1]"
    values = ["on", "no", "y", "2025-01-27", "0777", "1:30", "1_000", ".5", True, None, None, -1, 1.5, 1000.0, "1"]
    assert document.load("spec", f"200: {text}").contents == {"200": values}


def test_an_alias_is_a_copy():
    """An edit of one place is not an edit of another."""
    contents = document.load("spec", "a: &a {x: [1]}\nb: *a\n").contents
    contents["a"]["x"].append(2)
    assert contents == {"a": {"x": [1, 2]}, "b": {"x": [1]}}


@pytest.mark.parametrize("vendor", ["gameball", "believe"])
def test_a_vendors_spec_is_read_as_yaml_reads_it(vendor):
    text = (SPECS / f"{vendor}.yaml").read_bytes()
    assert document.load(vendor, text).contents == yaml.safe_load(text)


LINES = """\
openapi: 3.1.0
paths:
  /b/{id}:
    get:
      parameters:
        - name: a
        - {name: b, in: query}
      responses:
        200:
          description: >-
            two
            lines
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ((), 1),
        (("paths", "/b/{id}", "get"), 4),
        (("paths", "/b/{id}", "get", "parameters", 1, "in"), 7),
        (("paths", "/b/{id}", "get", "parameters", "0"), 6),
        (("paths", "/b/{id}", "get", "responses", "200", "description"), 10),
        (("paths", "/b/{id}", "get", "responses", "404", "description"), 8),
        (("paths", "/b/{id}", "get", "parameters", 2), 5),
        (("openapi", "x"), 1),
    ],
)
def test_a_node_knows_its_line(place, line):
    """A node that is missing has the line of its nearest parent."""
    spec = document.load("spec", LINES)
    assert document.line(spec, *place) == line
    assert document.load("page", LINES, 11).at(*place) == f"page:{line + 10}"


CONTENTS = {
    "a": {"b/c": [{"x": {"k": 1}}], "d~e": {"$ref": "#/a/f%20g"}, "f g": {}, "%": {"p": {}}},
    "one": {"$ref": "#/two"},
    "two": {"$ref": "#/one"},
    "text": "text",
    "number": 5,
    "out": {"$ref": "other.yaml#/x"},
    "named": {"$ref": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("reference", "place", "value"),
    [
        ("#/a/b~1c/0/x", ("a", "b/c", "0", "x"), {"k": 1}),
        ("#/a/d~0e", ("a", "f g"), {}),
        ("#/a/%25/p", ("a", "%", "p"), {}),
        ("#/named", ("named",), {"$ref": {"type": "string"}}),
    ],
)
def test_a_reference_is_followed_to_its_end(reference, place, value):
    assert document.resolve(CONTENTS, reference) == (place, value)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("#/one", "goes round in a circle"),
        ("#/none", "leads to nothing"),
        ("#/a/b~1c/x", "leads to nothing"),
        ("#/a/b~1c/9", "leads to nothing"),
        ("#/number/x", "leads to nothing"),
        ("#anchor", "leads to nothing"),
        ("#/text/0", "leads to 't', which is not an object"),
        ("#/number", "leads to 5, which is not an object"),
        ("other.yaml", "leads out of the document"),
        ("https://docs.example/x", "leads out of the document"),
        ("//[", "leads out of the document"),
        ("#/out", "'other.yaml#/x' leads out of the document"),
    ],
)
def test_a_reference_without_an_end_is_refused(reference, words):
    with pytest.raises(SpecError, match=r"^\$ref .*" + words.replace("/", r"\/")):
        document.resolve(CONTENTS, reference)


def test_every_reference_is_found():
    places = [".".join(map(str, place)) for place, _ in document.references(CONTENTS)]
    assert places == ["a.d~e.$ref", "one.$ref", "two.$ref", "out.$ref"]


def test_a_strangers_words_move_no_cursor(capsys):
    say("a\x1b[2K\u202eb\n\rc\u2028\u200b\x9b\ud800 \N{LATIN SMALL LETTER E WITH ACUTE}")
    assert capsys.readouterr().out == "a\\x1b[2K\\u202eb\\n\\rc\\u2028\\u200b\\x9b\\ud800 \u00e9\n"
    assert printable("a b") == "a b"
