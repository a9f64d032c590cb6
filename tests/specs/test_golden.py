"""Small specs of our own, one for each feature that patch.py and the contract rely on: generated, imported, read.

A new version of the generator shows here what it changes.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"

sys.path.insert(0, str(HERE.parent.parent / "specs"))
import built  # noqa: E402 (specs/ holds scripts, not a package)
import contract  # noqa: E402 (the same)
import document  # noqa: E402 (the same)
import patch  # noqa: E402 (the same)
import regen  # noqa: E402 (the same)

BODY = {"id": "1", "status": "a word of tomorrow"}


class Golden:
    """A golden spec's raw client: its module, its model, and the lines of the contract about it."""

    def __init__(self, name, folder):
        package = f"golden_{re.sub('[^a-z0-9]', '_', name)}"
        spec = document.load(name, (GOLDEN / f"{name}.yaml").read_text())
        self.patched = patch.cut_down(patch.tolerant(spec.contents))
        path = folder / "patched.yaml"
        path.write_text(yaml.safe_dump(self.patched, sort_keys=False))
        regen.generate(path, folder / package, f"{name}: the generator refuses it:")
        self.module = importlib.import_module(f"{package}.api.default.get_batch_status")
        self.model = importlib.import_module(f"{package}.models").BatchStatusResponse
        self.held = contract.Contract(spec, "the overlay", self.patched, contract.account_of("gameball"), [])

    def lost(self):
        return list(built.check_models(self.held, self.module))


@pytest.fixture
def golden(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return lambda name: Golden(name, tmp_path)


def test_untyped_arrays_are_read(golden):
    """Without items the generator would drop the whole answer."""
    made = golden("untyped-arrays")
    body = {**BODY, "results": [{"a": 1}, "text"], "inner": {"rows": [[1], []]}}
    read = made.model.from_dict(body)
    assert (read.results, read.inner.rows) == ([{"a": 1}, "text"], [[1], []])
    assert read.to_dict() == body
    assert made.lost() == []


def test_words_formats_and_absences_are_taken(golden):
    """No new word, other form or missing field makes the raw client refuse an answer."""
    made = golden("open-enum")
    odd = {**BODY, "kind": "another", "size": 3, "made": "soon", "day": "never", "key": "k-1"}
    assert made.model.from_dict(odd).to_dict() == odd
    assert made.model.from_dict({"status": "x"}).to_dict() == {"status": "x"}
    with pytest.raises(KeyError, match="status"):
        made.model.from_dict({})
    assert made.lost() == []


def test_properties_beside_all_of_are_kept(golden):
    made = golden("all-of")
    body = {**BODY, "outcome": {"id": "2", "failed": 3}}
    read = made.model.from_dict(body)
    assert (read.id, read.status, read.outcome.id, read.outcome.failed) == ("1", BODY["status"], "2", 3)
    assert made.lost() == []


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_null_is_read_in_both_versions(golden, version):
    made = golden(f"nullable-{version}")
    absent = made.model.from_dict({**BODY, "total": None, "outcome": None})
    assert (absent.total, absent.outcome) == (None, None)
    there = made.model.from_dict({**BODY, "total": 8, "outcome": {"failed": 3}})
    assert (there.total, there.outcome.failed) == (8, 3)
    assert made.lost() == []


def test_typed_items_are_models(golden):
    """That is why the facade hands out `to_dict` of them."""
    made = golden("typed-items")
    (item,) = made.model.from_dict({**BODY, "results": [{"customerId": "c1", "more": 1}]}).results
    assert (item.customer_id, item.to_dict()) == ("c1", {"customerId": "c1", "more": 1})
    assert made.lost() == []


def test_an_envelope_has_no_status(golden):
    """The model is named, whatever the vendor's titles say, and the contract tells of the status."""
    made = golden("envelope")
    assert made.model.from_dict({"data": BODY}).data.status == BODY["status"]
    (answer,) = (made.held.schema(response) for _, response in made.held.responses())
    assert "status" not in contract.properties(made.patched, answer)
    assert list(contract.paths(made.patched, answer)) == ["data", "data.status"]


def test_alternatives_of_a_type_are_read(golden):
    made = golden("alternatives")
    assert [made.model.from_dict({**BODY, "total": total}).total for total in (8, "8")] == [8, "8"]
    assert made.lost() == []


def test_two_names_that_become_one_are_kept_apart(golden):
    """The attribute of the first has another name then: it is told where the facade reads it, in test_built.py."""
    made = golden("one-name")
    read = made.model.from_dict({**BODY, "totalItems": 1, "total_items": 2})
    assert (read.totalItems, read.total_items) == (1, 2)
    assert made.lost() == []


def test_one_operation_is_kept_with_all_that_it_needs(golden):
    """A parameter with a default is in its request, required or not."""
    made = golden("operations")
    assert list(made.patched["paths"]) == ["/jobs/{id}"]
    assert set(made.patched["paths"]["/jobs/{id}"]) == {"parameters", "post"}
    assert set(made.patched["components"]["schemas"]) == {"Job"}
    assert set(made.patched["components"]["securitySchemes"]) == {"apiKey", "second", "bearer"}
    assert made.model.from_dict({**BODY, "next": BODY}).next_.status == BODY["status"]
    kwargs = made.module._get_kwargs("a/b")
    assert kwargs == {
        "method": "post",
        "url": "/jobs/a%2Fb",
        "params": {"version": "2026-01", "deep": True},
        "headers": {"X-Dated": "today"},
        "cookies": {},
    }
    request = made.held.account.authenticate(kwargs)
    assert (request.method, request.headers) == ("POST", {"x-dated": "today"})
    assert request.url.endswith("/jobs/a%2Fb?deep=true&version=2026-01")


def test_every_golden_spec_is_read():
    text = Path(__file__).read_text(encoding="utf-8").replace('f"nullable-{version}"', '"nullable-3.0" "nullable-3.1"')
    names = {path.stem if path.suffix == ".yaml" else path.name for path in GOLDEN.iterdir()}
    assert names == {name for name in names if f'"{name}"' in text}
