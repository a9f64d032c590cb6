"""Vendors are entry points: one that is broken is told of, and leaves the others as they are."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import commandline
import pytest
from batchstatus import Account, Believe, ConfigurationError, Gameball, accounts_from_env
from batchstatus.vendors import VENDORS, Vendors

GOOD = """
from batchstatus import Account, BatchState, Counts, ErrorFields, Secret, StatusFields

class Shop(Account):
    vendor = "shop"
    BASE_URL = "https://api.shop.example"
    KEY_HEADERS = {"token": "x-token"}
    WORDS = {"sent": BatchState.SUCCEEDED}
    ERRORS = ADVICE = {}
    EXAMPLE_ID = PROBE_ID = "1"

    def __init__(self, token, *, base_url=None, name=None, rate_limit=None, states=None, allow_insecure=False):
        options = dict(base_url=base_url, rate_limit=rate_limit, states=states, allow_insecure=allow_insecure)
        super().__init__(Secret("Shop's token", token), name=name, **options)

    def raw_request(self, batch_id):
        return self.authenticate({"url": f"/batches/{batch_id}"})

    def status_fields(self, body):
        return StatusFields(id=body["id"], status=body["status"], counts=Counts(), raw=None)

    def error_fields(self, body):
        return ErrorFields(code=body.get("reason"))
"""
ABSTRACT = "from batchstatus import Account\nclass Shop(Account):\n    vendor = 'shop'\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that installs a package with one module and its entry point; the module leaves with the test."""
    monkeypatch.syspath_prepend(tmp_path)
    added = []

    def install(source, name="shop", kind="Shop", package="shop"):
        module = f"{package}_of_third_party"
        (tmp_path / f"{module}.py").write_text(source)
        folder = tmp_path / f"batchstatus_{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: batchstatus-{package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[batchstatus.vendors]\n{name} = {module}:{kind}\n")
        added.append(module)
        return tmp_path

    yield install
    for module in added:
        sys.modules.pop(module, None)


def test_our_vendors_are_registered_like_any():
    ours = {point.name: point.value for point in entry_points(group="batchstatus.vendors")}
    assert ours == {
        "believe": "batchstatus.vendors.believe:Believe",
        "gameball": "batchstatus.vendors.gameball:Gameball",
    }
    assert dict(VENDORS) == {"believe": Believe, "gameball": Gameball}


def test_a_checkout_that_is_not_installed_has_them():
    """Python without its site-packages, but for those of the requirements."""
    code = (
        "import importlib.metadata as m, sys; m.entry_points = lambda **_: ();"
        "from batchstatus.vendors import VENDORS; print(*(f'{n}={c.__name__}' for n, c in VENDORS.items()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["believe=Believe", "gameball=Gameball"]


def test_a_third_partys_vendor_is_found(package):
    package(GOOD)
    found = Vendors()
    assert list(found) == ["believe", "gameball", "shop"]
    assert issubclass(found["shop"], Account)
    assert found.package("shop") == "batchstatus-shop 1.0"
    assert found.problems() == []


@pytest.mark.parametrize(
    "code", ["import batchstatus", "import batchstatus as b; b.BatchClient(b.Believe('test-key')).close()"]
)
def test_a_client_looks_for_no_entry_points(code):
    probe = f"{code}; import sys; print(*({{'importlib.metadata', 'batchstatus.vendors.gameball'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, check=True).stdout == b"\n"


def test_one_vendor_alone_is_loaded(package):
    folder = package("raise RuntimeError('loaded')")
    code = (
        "import sys; from batchstatus.vendors import VENDORS; assert 'shop' in VENDORS; VENDORS['believe'];"
        "print(*(name for name in sys.modules if name.startswith('batchstatus.vendors.')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["batchstatus.vendors.believe"]


SCHEMED = GOOD.replace("    EXAMPLE_ID = ", '    KEY_SCHEMES = {"api_key": "Bearer"}\n    EXAMPLE_ID = ')


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param("raise RuntimeError('no such luck')", "RuntimeError: no such luck", id="raises"),
        pytest.param("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'", id="import"),
        pytest.param("def (", "SyntaxError", id="syntax"),
        pytest.param("", "AttributeError: module 'shop_of_third_party' has no attribute 'Shop'", id="nothing there"),
        pytest.param("Shop = dict", "this is not a subclass of batchstatus.Account", id="another class"),
        pytest.param("Shop = 3", "this is not a subclass of batchstatus.Account", id="not a class"),
        pytest.param(ABSTRACT, "it lacks error_fields, raw_request, status_fields", id="abstract"),
        pytest.param(GOOD.replace('    EXAMPLE_ID = PROBE_ID = "1"\n', ""), "it lacks EXAMPLE_ID, PROBE_ID", id="part"),
        pytest.param(GOOD.replace("name=None, ", ""), "it does not take name", id="parameter"),
        pytest.param(
            SCHEMED, "KEY_SCHEMES has api_key, and the headers in KEY_HEADERS are", id="a scheme of no header"
        ),
        pytest.param(GOOD.replace('vendor = "shop"', 'vendor = "store"'), "it says vendor = 'store'", id="other name"),
    ],
)
def test_a_broken_vendor_is_told_of(package, source, says, caplog):
    """By its package and the reason; the others work."""
    package(source)
    found = Vendors()
    with pytest.raises(ConfigurationError, match=r"^the vendor 'shop' of batchstatus-shop 1\.0 cannot be used: "):
        found["shop"]
    (problem,) = found.problems()
    assert says in problem
    assert problem.endswith("repair that package, or uninstall it")
    with caplog.at_level(logging.WARNING, "batchstatus"):
        assert found.usable() == found.usable() == {"believe": Believe, "gameball": Gameball}
    assert [record.getMessage() for record in caplog.records] == [problem]


def test_a_bad_name_is_told_of(package):
    package(GOOD.replace('vendor = "shop"', 'vendor = "My Shop"'), name="My Shop")
    assert "a vendor's name is lower-case letters" in Vendors().problems()[0]


def test_two_packages_of_one_name_are_told_of(package):
    package(GOOD)
    package(GOOD, package="market")
    found = Vendors()
    both = "two packages register the vendor 'shop': batchstatus-market 1.0 and batchstatus-shop 1.0; uninstall one"
    with pytest.raises(ConfigurationError, match=both):
        found["shop"]
    assert found.usable() == {"believe": Believe, "gameball": Gameball}


def test_no_package_takes_over_a_vendor_of_ours(package):
    """It would be sent the keys."""
    package(GOOD.replace('vendor = "shop"', 'vendor = "believe"'), name="believe")
    found = Vendors()
    assert found["believe"] is Believe
    assert "that of batchstatus-shop 1.0 is not used" in found.problems()[0]


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        VENDORS["other"]
    assert VENDORS.get("other") is None


def test_a_vendor_is_loaded_if_the_environment_names_it(package, monkeypatch):
    """A broken one that nobody uses costs nothing, not even a line."""
    package(GOOD)
    found = Vendors()
    assert found.named_in(["SHOP_TOKEN", "PATH"]) == ["shop"]
    assert found.named_in(["SHOPPING", "BELIEVE_API_KEY_FILE"]) == ["believe"]
    monkeypatch.setattr("batchstatus._clients.environment.VENDORS", found)
    monkeypatch.setenv("SHOP_TOKEN", "test-shop-token")
    (account,) = accounts_from_env()
    assert (account.vendor, account.base_url) == ("shop", "https://api.shop.example")


def test_the_command_line_works_beside_a_broken_vendor(package, user, simulator):
    folder = package("raise RuntimeError('no such luck')")
    user["PYTHONPATH"] = str(folder)
    ref = simulator.add("believe", status="EXECUTED")
    status = commandline.run(user, "status", ref)
    assert (status.returncode, status.stderr) == (0, "")
    doctor = commandline.run(user, "doctor", "--output", "ndjson")
    (failed,) = [check for check in commandline.lines(doctor) if not check["ok"]]
    assert (failed["check"], doctor.returncode) == ("vendors", 2)
    assert "the vendor 'shop' of batchstatus-shop 1.0 cannot be used" in failed["detail"]
    used = commandline.run(user, "status", "shop:1")
    assert "the vendor 'shop' of batchstatus-shop 1.0 cannot be used" in used.stderr
    assert Path(folder, "shop_of_third_party.py").exists()


def test_the_configuration_file_names_a_broken_vendor(package, user, tmp_path):
    user["PYTHONPATH"] = str(package("raise RuntimeError('no such luck')"))
    config = tmp_path / "config.toml"
    config.write_text('[[account]]\nvendor = "shop"\ntoken_file = "key"\n')
    said = commandline.run(user, "status", "believe:1", "--config", str(config))
    assert "the vendor 'shop' of batchstatus-shop 1.0 cannot be used" in said.stderr


def test_an_inline_key_of_any_name_keeps_the_file_private(package, user, tmp_path):
    user["PYTHONPATH"] = str(package(GOOD))
    config = tmp_path / "config.toml"
    config.write_text('[[account]]\nvendor = "shop"\ntoken = "test-shop-token"\n')
    config.chmod(0o644)
    said = commandline.run(user, "status", "believe:1", "--config", str(config))
    assert "holds secrets that others can read" in said.stderr
    assert "test-shop-token" not in said.stderr + said.stdout
    config.chmod(0o600)
    found = commandline.run(user, "doctor", "--offline", "--config", str(config), "--output", "json")
    assert "shop keys" in [check["check"] for check in json.loads(found.stdout)["checks"]]
