"""What is shipped: the wheel, what an application sees of it, and what the tree may not hold."""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import batchstatus
import pytest
from batchstatus._core import errors
from packaging.metadata import Metadata
from uv import find_uv_bin
from wheels import ROOT, build, only, run

pytestmark = pytest.mark.timeout(240)  # it builds wheels, environments or clients in processes of their own

LOCKS = [
    *sorted(ROOT.glob("requirements-*.txt")),
    ROOT / "deploy" / "requirements.txt",
    *sorted((ROOT / "tests" / "engines").glob("*/requirements.txt")),
]


@pytest.fixture(scope="module")
def metadata(wheel) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def tree(*which: str) -> set[str]:
    """Return the names of the tree's files: those of git, and new ones."""
    listed = run("git", "ls-files", "-z", *(which or ("--cached", "--others", "--exclude-standard"))).split("\0")
    return {name for name in listed if name and (ROOT / name).is_file()}


# The wheel and the sdist


def test_the_wheel_holds_both_packages(wheel, metadata):
    """The wheel holds both packages whole and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    info = f"batchstatus-{metadata['Version']}.dist-info"
    sources = {
        path.relative_to(package.parent).as_posix()
        for package in (ROOT / "facade" / "batchstatus", ROOT / "generated" / "batchstatus_raw")
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert held == sources | {
        f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    assert {"batchstatus/py.typed", "batchstatus_raw/py.typed"} <= held


def test_the_wheels_licence_is_the_trees(wheel, metadata):
    with zipfile.ZipFile(wheel) as archive:
        licence = archive.read(f"batchstatus-{metadata['Version']}.dist-info/licenses/LICENSE")
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_holds_the_tree(dist):
    """Every file of it is one of the tree's, unchanged; of those in git it leaves out what runs CI."""
    with tarfile.open(only(dist, "*.tar.gz")) as archive:
        held = {
            member.name.partition("/")[2]: archive.extractfile(member).read()
            for member in archive.getmembers()
            if member.isfile()
        }
    assert held.pop("PKG-INFO")
    assert {name for name, content in held.items() if content != (ROOT / name).read_bytes()} == set()
    assert tree("--cached") - {".ci/run"} <= set(held) <= tree()


def test_the_sdist_builds_the_same_wheel(wheel, tmp_path):
    assert build(tmp_path, "--wheel").read_bytes() == wheel.read_bytes()


def test_the_metadata_is_valid(dist, wheel):
    """By the rules that a registry goes by, for both files."""
    with tarfile.open(only(dist, "*.tar.gz")) as archive:
        (member,) = [one for one in archive.getmembers() if one.name.count("/") == 1 and one.name.endswith("PKG-INFO")]
        sources = archive.extractfile(member).read()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        built = archive.read(name)
    assert sources == built
    found = Metadata.from_email(built, validate=True)
    assert found.description == (ROOT / "README.md").read_text(encoding="utf-8")
    assert found.description_content_type == "text/markdown"


def test_the_metadata_is_complete(metadata):
    """The metadata says what an installer has to know."""
    assert metadata["Name"] == "batchstatus"
    assert metadata["Version"] == batchstatus.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert {*metadata.get_all("Provides-Extra")} == {
        "airflow", "http", "opentelemetry", "postgres", "redis", "simulator", "temporal",
    }  # fmt: skip
    plain, extras = set(), set()
    for line in metadata.get_all("Requires-Dist"):
        (extras if "extra ==" in line else plain).add(re.match(r"[\w-]+", line).group())
    assert plain == {"attrs", "certifi", "click", "httpcore", "httpx", "rich", "tomlkit", "truststore"}
    engines, servers = {"apache-airflow", "temporalio"}, {"prometheus-client", "starlette", "uvicorn"}
    assert extras == {"opentelemetry-api", "psycopg", "redis", *engines, *servers}


# An application that has installed it

READS = """\
import json
import sys

from batchstatus import Batch, BatchClient, BatchState, Believe, Gameball


def read(url: str, *refs: str) -> list[Batch]:
    gameball = Gameball("test-gameball-key", "test-gameball-secret", base_url=url)
    with BatchClient(gameball, Believe("test-believe-key", base_url=url)) as client:
        return [client.get(ref) for ref in refs]


def succeeded(batch: Batch) -> int:
    return batch.counts.succeeded or 0 if batch.state is BatchState.SUCCEEDED else 0


if __name__ == "__main__":
    print(json.dumps([[str(batch.ref), batch.state, succeeded(batch)] for batch in read(*sys.argv[1:])]))
"""
VERSION = f"batchstatus, version {batchstatus.__version__}\n"
MISREADS = READS.replace("batch.counts.succeeded or 0 if", "batch.counts.succeeded if")


def test_an_application_uses_the_wheel(application, simulator, tmp_path):
    """An application reads batches with the installed wheel."""
    (tmp_path / "app.py").write_text(READS)
    refs = simulator.add("gameball", status="completed", total=200, failed=2), simulator.add("believe", status="FAILED")
    printed = run(application, "-I", tmp_path / "app.py", simulator.url, *refs)
    assert json.loads(printed) == [[str(refs[0]), "succeeded", 198], [str(refs[1]), "failed", 0]]
    assert len(simulator.reads) == 2


def test_an_application_is_type_checked(application, tmp_path):
    """An application is type checked against the installed wheel."""
    (tmp_path / "app.py").write_text(READS)
    (tmp_path / "misreads.py").write_text(MISREADS)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache"]
    mypy += ["--python-executable", application]
    assert "no issues found in 1 source file" in run(*mypy, "app.py", cwd=tmp_path)
    complaint = run(*mypy, "misreads.py", cwd=tmp_path, code=1)
    assert 'Incompatible return value type (got "int | None", expected "int")' in complaint
    assert "Found 1 error" in complaint


def test_public_names_need_no_extra(application):
    """Every public name works without the extras."""
    code = "import batchstatus; print(*(getattr(batchstatus, name) for name in batchstatus.__all__), sep='\\n')"
    assert len(run(application, "-I", "-c", code).splitlines()) == len(batchstatus.__all__)


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("testing.simulator.server", "testing.simulator", "simulator"),
        ("testing.simulator.demo", "testing.simulator", "simulator"),
        ("engines.temporal", "engines.temporal", "temporal"),
        ("telemetry.opentelemetry", "telemetry.opentelemetry", "opentelemetry"),
        ("service.http", "service.http", "http"),
    ],
)
def test_a_module_names_its_extra(application, module, package, extra):
    """A module that needs an extra names it where that is missing."""
    said = run(application, "-I", "-c", f"import batchstatus.{module}", code=1).splitlines()[-1]
    assert said == f"ImportError: batchstatus.{package} needs the extra: pip install 'batchstatus[{extra}]'"


def test_the_command_needs_no_extra(application):
    assert run(application.parent / "batchstatus", "--version") == VERSION


def test_pipx_installs_the_command_from_a_checkout(tmp_path, monkeypatch):
    for name in ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    run(sys.executable, "-m", "pipx", "install", "--quiet", ".")
    assert run(tmp_path / "PIPX_BIN_DIR" / "batchstatus", "--version", cwd=tmp_path) == VERSION


def test_uvx_runs_the_command_from_a_checkout():
    uvx = find_uv_bin(), "tool", "run", "--quiet", "--python", sys.executable
    assert run(*uvx, "--from", ".", "batchstatus", "--version") == VERSION


@pytest.mark.parametrize("engine", ["airflow", "temporal"])
def test_an_engine_names_its_extra(application, engine):
    said = run(application, "-I", "-c", f"import batchstatus.engines.{engine}", code=1).splitlines()[-1]
    assert said == f"ImportError: batchstatus.engines.{engine} needs the extra: pip install 'batchstatus[{engine}]'"


# Names, and what they cost

HEAVY = {"attr", "batchstatus_raw", "httpcore", "httpx"}


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import batchstatus", set()),
        ("from batchstatus import BatchNotFound", set()),
        ("from batchstatus import Gameball; Gameball('test-key', 'test-secret')", {"attr"}),
        ("from batchstatus import Believe; Believe('test-key')", {"attr"}),
        ("from batchstatus import *", {"attr"}),
        ("from batchstatus import BatchClient, Believe; BatchClient(Believe('test-key'))", HEAVY),
        ("from batchstatus import AsyncBatchClient, Believe; AsyncBatchClient(Believe('test-key'))", HEAVY),
        ("from batchstatus import Believe; Believe('test-key').request('17')", {"attr", "batchstatus_raw", "httpx"}),
    ],
    ids=["package", "error", "gameball", "believe", "all names", "client", "async client", "request"],
)
def test_nothing_heavy_is_loaded_early(code, loaded):
    """Nothing heavy is loaded before it is used."""
    probe = f"{code}\nimport sys; print(*({HEAVY} & set(sys.modules)))"
    assert set(run(sys.executable, "-I", "-c", probe).split()) == loaded


@pytest.mark.parametrize(
    "name", ["batchstatus", "batchstatus.service", "batchstatus.testing", "batchstatus.testing.simulator"]
)
def test_the_public_names_are_the_sorted_all(name):
    package = importlib.import_module(name)
    assert package.__all__ == sorted(package.__all__)
    assert dir(package) == package.__all__
    assert all(getattr(package, each) is not None for each in package.__all__)


def test_the_pytest_plugin_loads_nothing_of_the_package():
    """Every run of pytest loads it, used or not."""
    probe = "import batchstatus.testing.pytest_plugin, sys; print(*(n for n in sys.modules if 'batchstatus' in n))"
    loaded = set(run(sys.executable, "-I", "-c", probe).split())
    packages = {"batchstatus", "batchstatus._lazy", "batchstatus.testing"}
    assert loaded == packages | {"batchstatus.testing.pytest_plugin"}


def test_type_checkers_see_the_same_names():
    """The first read the imports under TYPE_CHECKING, the second `__all__` and `__getattr__`."""
    tree = ast.parse(Path(batchstatus.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    names = [alias.name for statement in block.body for alias in statement.names]
    assert sorted(names) == batchstatus.__all__


@pytest.mark.parametrize("name", batchstatus.__all__)
def test_a_public_name_can_be_imported(name):
    value = getattr(batchstatus, name)
    is_alias = name in {"KeySource", "__version__"}
    assert is_alias or value.__name__ == name


def test_every_error_is_public():
    found = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert len(found) > 10
    assert found <= set(batchstatus.__all__)


def test_any_other_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'batchstatus' has no attribute 'Batches'"):
        batchstatus.Batches  # noqa: B018 (the access is what fails)


def test_every_public_name_has_its_types_pinned():
    pinned = set(re.findall(r"\w+", (ROOT / "tests" / "typing" / "api.py").read_text(encoding="utf-8")))
    assert set(batchstatus.__all__) <= pinned


def test_the_changelog_opens_with_this_version():
    """The changelog opens with this version or what is not released."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[?([^\]\s]+)\]?(.*)$", changelog, re.MULTILINE)
    newest, rest = headings[0]
    assert newest in {"Unreleased", batchstatus.__version__}
    assert newest == "Unreleased" or re.fullmatch(r" - \d{4}-\d{2}-\d{2}", rest)


# What no file may hold

HOSTS = re.compile("|".join([rf"(py{'pi'}|python{'hosted'}|debi{'an'})\.org", rf"npm{'js'}\.(org|com)"]).encode())
"""Package registries: where packages come from is the machine's business. No name stands here whole."""


def test_no_file_names_a_registry():
    """No file names the host of a package registry."""
    assert HOSTS.search(b"https://py" + b"pi.org/simple")
    files = [ROOT / name for name in tree()]
    assert Path(__file__) in files
    assert [path.relative_to(ROOT) for path in files if HOSTS.search(path.read_bytes())] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_every_pin_has_a_hash(lock):
    """The lock has a hash for every pin and no url."""
    text = lock.read_text()
    assert "://" not in text
    pins = re.findall(r"^[^#\s].*(?:\n +--hash.*)*", text, re.MULTILINE)
    assert len(pins) > 15
    for pin in pins:
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.!+]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", pin), pin
