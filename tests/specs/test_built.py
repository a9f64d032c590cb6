"""The raw client that was generated does what its spec says, and the facade reads it: else, a line with the place."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import batchstatus_raw
import pytest
import yaml
from attrs import evolve
from batchstatus import Counts, StatusFields
from shop import FACADE, OVERLAY, SPEC, Shop, edited, raw

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "specs"))
import built
import contract
import regen


def generate(spec, folder):
    held = contract.read(Shop(), spec.encode(), OVERLAY.encode())
    (folder / "patched.yaml").write_text(yaml.safe_dump(held.patched, sort_keys=False))
    regen.generate(folder / "patched.yaml", folder / "shop", "refused:")
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return generate(SPEC, tmp_path_factory.mktemp("raw"))


@pytest.fixture
def use(monkeypatch):
    """A function that makes the raw client of a folder importable as `batchstatus_raw.shop`."""

    def use(folder):
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.setattr(batchstatus_raw, "__path__", [str(folder)])
        for name in [name for name in sys.modules if name.startswith("batchstatus_raw.shop")]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()

    yield use
    for name in [name for name in sys.modules if name.startswith("batchstatus_raw.shop")]:
        del sys.modules[name]


def findings(spec=SPEC, account=None):
    return built.findings(account or Shop(), spec.encode(), OVERLAY.encode())


def place(spec, word):
    return f"specs/shop.yaml:{spec[: spec.index(word)].count(chr(10)) + 1}: "


def test_a_raw_client_that_fits_has_no_finding(client, use):
    use(client)
    assert findings() == []


def test_a_property_without_its_attribute_is_told(client, use):
    """The client is older than the spec, as if the generator had dropped a property."""
    use(client)
    spec = edited(
        ("        notes:", "        label: {type: string}\n        notes:"),
        ("failed: {", "lost: {}\n        failed: {"),
    )
    found = findings(spec)
    assert [line.partition(": ")[0] + ": " for line in found] == [place(spec, "label:"), place(spec, "lost: {}")]
    assert "the raw client loses 'label', or takes another field for it" in found[0]
    assert "the raw client loses 'outcome.lost'" in found[1]


def test_a_parameter_that_is_not_sent_is_told(client, use):
    use(client)
    dated = "        - {name: X-Dated, in: header, required: true, schema: {type: string, default: '2'}}\n"
    spec = edited(("      responses:\n", f"{dated}      responses:\n"))
    text = f"the header parameter 'X-Dated' is required and not sent: give it in raw_request of {FACADE}"
    assert findings(spec) == [place(spec, "name: X-Dated") + text]


def test_names_that_become_one_are_told(tmp_path, use):
    """`created_at` comes beside `createdAt`, and takes its attribute."""
    spec = edited(("        createdAt:", "        created_at: {type: string}\n        createdAt:"))
    use(generate(spec, tmp_path))
    (line,) = findings(spec)
    assert line.startswith(f"{place(spec, 'createdAt:')}the facade does not read 'createdAt' any more")
    assert "remove that one in specs/shop.overlay.yaml" in line


class Impatient(Shop):
    def raw_request(self, batch_id):
        return self.authenticate(raw("api.default.get_batch_status")._get_kwargs())


class Sweet(Shop):
    def raw_request(self, batch_id):
        return self.authenticate({"url": "/1", "cookies": {"session": "1"}})


class Lost(Shop):
    def raw_request(self, batch_id):
        return self.authenticate(raw("api.jobs.get_batch_status")._get_kwargs(batch_id))


class Modelling(Shop):
    def status_fields(self, body):
        return evolve(
            super().status_fields(body), results=tuple(raw("models").BatchStatusResponse.from_dict(body).items or ())
        )


class Puzzled(Shop):
    def status_fields(self, body):
        return evolve(super().status_fields(body), problems=("failed: 3 is not a count",))


class Refusing(Shop):
    def status_fields(self, body):
        raise ValueError("this is not mine")


class Blind(Shop):
    def status_fields(self, body):
        return StatusFields(id=body["id"], status=body["status"], counts=Counts(), raw=None)


@pytest.mark.parametrize(
    ("account", "word", "text"),
    [
        pytest.param(Impatient, "    get:", r"request cannot be made \(.*job_id", id="argument"),
        pytest.param(Sweet, "    get:", r"cannot be made \(.*cookies \(session\)", id="cookie"),
        pytest.param(Lost, "    get:", "the generator made no batchstatus_raw.shop.api.jobs: see specs/", id="module"),
        pytest.param(Modelling, "    Job:", "`results` holds models of the raw client", id="models"),
        pytest.param(Puzzled, "failed:", r"the facade cannot use it \(failed: 3 is not a count\)", id="problem"),
        pytest.param(Refusing, "    Job:", r"the facade refuses such an answer \(.*ValueError", id="refusal"),
        pytest.param(Blind, "total:", "the facade does not read 'total' any more", id="blind"),
    ],
)
def test_a_facade_that_does_not_fit_is_told(client, use, account, word, text):
    use(client)
    found = [line for line in findings(account=account()) if re.search(text, line)]
    assert found, findings(account=account())
    assert found[0].startswith(place(SPEC, word))
    assert not any("\n" in line for line in found)
