"""`make regen`: the same bytes everywhere, loud where it cannot, and a raw client that stands by itself."""

from __future__ import annotations

import asyncio
import copy
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from batchstatus import Believe, Gameball
from batchstatus.testing.simulator.believe import BELIEVE_KEY
from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET

pytestmark = pytest.mark.timeout(240)  # it builds wheels, environments or clients in processes of their own

ROOT = Path(__file__).parent.parent.parent
SPECS = ROOT / "specs"
GENERATED = ROOT / "generated"
LOCK = ROOT / "requirements-dev.txt"
NEEDED = {"jsonpath-rfc9535", "openapi-python-client", "pyyaml", "referencing", "ruff"}

sys.path.insert(0, str(SPECS))
import overlay  # noqa: E402 (specs/ holds scripts, not a package)
from document import load  # noqa: E402 (the same)
from sources import SpecError  # noqa: E402 (the same)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def assert_same(made, expected):
    made, expected = files(made), files(expected)
    assert sorted(made) == sorted(expected)
    assert [name for name in made if made[name] != expected[name]] == []


def regen(specs, output, *, python=sys.executable, **environment):
    return subprocess.run(
        [python, specs / "regen.py", "--output", output],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=specs.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def specs(tmp_path):
    """A copy of specs/ that a test may break."""
    return shutil.copytree(SPECS, tmp_path / "specs", ignore=shutil.ignore_patterns("__pycache__", ".*"))


def test_a_fresh_regeneration_equals_generated(tmp_path):
    run = regen(SPECS, tmp_path / "generated")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert_same(tmp_path / "generated", GENERATED)


def test_the_output_depends_on_specs_alone(tmp_path):
    """Neither the environment nor what was there reaches the output."""
    (tmp_path / "ruff.toml").write_text("line-length = 40\nindent-width = 2\n")
    output = tmp_path / "elsewhere"
    (output / "batchstatus_raw" / "gameball").mkdir(parents=True)
    (output / "batchstatus_raw" / "gameball" / "stale.py").touch()
    run = regen(SPECS, output, LC_ALL="C", PYTHONHASHSEED="1", TZ="Asia/Kathmandu", COLUMNS="40", HOME=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert_same(output, GENERATED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "ruff.toml"]


@pytest.mark.parametrize("minor", range(11, 16))
def test_every_cpython_generates_the_same_bytes(minor, tmp_path):
    interpreter = find_interpreter(minor)
    if interpreter is None:
        pytest.skip(f"no released CPython 3.{minor} on this machine")
    environment = tmp_path / "environment"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--no-project", "--python", interpreter, environment], check=True)
    python = environment / "bin" / "python"
    pins = tmp_path / "pins.txt"
    pins.write_text(locked(NEEDED))
    install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "--only-binary", ":all:"]
    # The constraints pin, and their hashes bind, what these need in turn.
    subprocess.run([*install, "--requirement", pins, "--constraint", LOCK], check=True)
    run = regen(SPECS, tmp_path / "generated", python=python)
    assert run.returncode == 0, run.stderr
    assert_same(tmp_path / "generated", GENERATED)


def find_interpreter(minor):
    """Return a CPython 3.`minor` that runs: a pyenv shim may be there and fail."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = shutil.which(f"python3.{minor}")
    test = "import sys; v = sys.version_info; print(sys.implementation.name, v.major, v.minor, v.releaselevel)"
    for candidate in [*([on_path] if on_path else []), *sorted(pyenv.glob(f"versions/3.{minor}.*/bin/python"))]:
        run = subprocess.run([candidate, "-c", test], capture_output=True, text=True, check=False)
        if run.stdout.split() == ["cpython", "3", str(minor), "final"]:
            return candidate
    return None


def locked(names):
    """Return the blocks of requirements-dev.txt, version, marker and hashes, for these names."""
    blocks = re.findall(rf"^(?:{'|'.join(sorted(names))})==.*?(?<!\\)\n", LOCK.read_text(), re.MULTILINE | re.DOTALL)
    assert {block.split("==")[0] for block in blocks} == names
    return "".join(blocks)


def edit(name, old, new):
    """Return a function that replaces a text, which has to be there once, in a file of a copy of specs/."""

    def apply(specs):
        text = (specs / name).read_text()
        assert text.count(old) == 1
        (specs / name).write_text(text.replace(old, new))

    return apply


def write(name, text):
    return lambda specs: (specs / name).write_text(text)


def delete(name):
    return lambda specs: (specs / name).unlink()


INFO = "  - target: $.info\n"
REASON = "    description: B1. The title and description are left over from a sample about a plant store.\n"
AT_INFO = "specs/believe.overlay.yaml:7: the action on $.info: "
REFUSED = """\
      parameters: [{name: page, in: query, schema: {type: integer, default: many}}]
"""
FAULTS = {
    "a spec whose hash differs": (
        edit("believe.yaml", "title: OpenAPI Plant Store", "title: Believe"),
        ["believe.yaml is not the file that SOURCES.toml records", "make pull-specs"],
    ),
    "a spec that is missing": (delete("believe.yaml"), ["believe.yaml"]),
    "an overlay that is missing": (delete("believe.overlay.yaml"), ["SOURCES.toml", "believe"]),
    "SOURCES.toml that is missing": (delete("SOURCES.toml"), ["SOURCES.toml"]),
    "SOURCES.toml that is no TOML": (write("SOURCES.toml", "[gameball"), ["SOURCES.toml"]),
    "a vendor without a row": (
        lambda specs: write("SOURCES.toml", (specs / "SOURCES.toml").read_text().partition("[believe]")[0])(specs),
        ["SOURCES.toml", "believe"],
    ),
    "a row that lacks a key": (edit("SOURCES.toml", "fence_line = 16\n", ""), ["SOURCES.toml", "fence_line"]),
    "an overlay that is no YAML": (write("gameball.overlay.yaml", "actions: ["), ["gameball.overlay.yaml"]),
    "an overlay that is empty": (write("gameball.overlay.yaml", ""), ["gameball.overlay.yaml"]),
    "an overlay that is another document": (
        write("gameball.overlay.yaml", "openapi: 3.1.0\nactions: [{}]\n"),
        ["gameball.overlay.yaml: not an OpenAPI Overlay"],
    ),
    "an overlay of a version to come": (
        edit("gameball.overlay.yaml", "overlay: 1.1.0", "overlay: 1.2.0"),
        ["gameball.overlay.yaml: not an OpenAPI Overlay"],
    ),
    "an action that matches nothing": (
        edit("believe.overlay.yaml", INFO, "  - target: $.nowhere\n"),
        ["specs/believe.overlay.yaml:7: the action on $.nowhere: it matches nothing"],
    ),
    "an action with a broken target": (
        edit("believe.overlay.yaml", INFO, "  - target: $.info[\n"),
        ["specs/believe.overlay.yaml:7: the action on $.info[: "],
    ),
    "an action without a target": (
        edit("believe.overlay.yaml", INFO + "    description: B1", "  - description: B1"),
        ["specs/believe.overlay.yaml:7: the action on None: it has no `target`"],
    ),
    "an action without a description": (
        edit("believe.overlay.yaml", REASON, ""),
        [f"{AT_INFO}it gives no reason"],
    ),
    "an action with an unknown key": (
        edit("believe.overlay.yaml", INFO, INFO + "    copy: $.servers\n"),
        [f"{AT_INFO}unknown keys ['copy']"],
    ),
    "an action with both update and remove": (
        edit("believe.overlay.yaml", INFO, INFO + "    remove: true\n"),
        [f"{AT_INFO}it needs either `update` or `remove: true`"],
    ),
    "an action with neither update nor remove": (
        edit("believe.overlay.yaml", "to ask for it.\n    remove: true", "to ask for it."),
        ["specs/believe.overlay.yaml:16: the action on $.paths", "it needs either `update` or `remove: true`"],
    ),
    "a spec that the generator refuses": (
        edit("gameball.overlay.yaml", "      summary: Get", REFUSED + "      summary: Get"),
        [
            "specs/gameball.yaml:14: the generator refuses this operation: mend in specs/gameball.overlay.yaml",
            "Invalid int value: many",
        ],
    ),
}


@pytest.mark.parametrize(("break_it", "words"), FAULTS.values(), ids=FAULTS)
def test_a_refusing_regen_changes_nothing(break_it, words, specs, tmp_path):
    """Regen refuses and leaves the output as it was."""
    break_it(specs)
    output = tmp_path / "generated"
    output.mkdir()
    (output / "kept.py").write_bytes(b"kept = True\r\n")
    run = regen(specs, output)
    assert run.returncode == 1
    assert run.stderr.startswith("regen: ")
    assert run.stderr.endswith("regen: generated/ was left as it was.\n")
    assert [word for word in words if word not in run.stderr] == []
    assert files(output) == {"kept.py": b"kept = True\r\n"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["generated", "specs"]


def test_a_missing_output_folder_is_refused(tmp_path):
    """An output in a folder that is not there is refused."""
    run = regen(SPECS, tmp_path / "missing" / "generated")
    assert run.returncode == 1
    assert run.stderr.startswith(f"regen: [Errno 2] No such file or directory: '{tmp_path / 'missing'}")
    assert list(tmp_path.iterdir()) == []


def applied(document, *actions):
    actions = [{"description": "a test", **action} for action in actions]
    text = json.dumps({"overlay": "1.1.0", "actions": actions})
    return overlay.apply(document, load("test.overlay.yaml", text))[0]


APPLIED = {
    "objects merge, however deep": (
        {"a": {"b": {"c": 1, "d": 2}}},
        [{"target": "$.a", "update": {"b": {"d": 3, "e": 4}, "f": 5}}],
        {"a": {"b": {"c": 1, "d": 3, "e": 4}, "f": 5}},
    ),
    "lists in an update are concatenated": (
        {"a": {"tags": ["x"]}},
        [{"target": "$.a", "update": {"tags": ["y", "z"]}}],
        {"a": {"tags": ["x", "y", "z"]}},
    ),
    "an update of an array appends": (
        {"a": [{"name": "x"}]},
        [{"target": "$.a", "update": {"name": "y"}}],
        {"a": [{"name": "x"}, {"name": "y"}]},
    ),
    "an update reaches every match": (
        {"a": [{"n": 1}, {"n": 2}]},
        [{"target": "$.a[*]", "update": {"m": 0}}],
        {"a": [{"n": 1, "m": 0}, {"n": 2, "m": 0}]},
    ),
    "items of an array that a filter selects are removed": (
        {"a": [{"n": 1}, {"n": 5}, {"n": 6}, {"n": 2}, {"n": 7}]},
        [{"target": "$.a[?@.n>4]", "remove": True}],
        {"a": [{"n": 1}, {"n": 2}]},
    ),
    "items named in any order and twice are removed": (
        {"a": list("01234567890")},
        [{"target": "$.a[10,0,2,0]", "remove": True}],
        {"a": list("13456789")},
    ),
    "a match inside a match is removed with it": (
        {"a": {"x": {"x": 1}}, "b": 2},
        [{"target": "$..x", "remove": True}],
        {"a": {}, "b": 2},
    ),
    "a plain value is removed": ({"a": {"f": "uuid"}}, [{"target": "$.a.f", "remove": True}], {"a": {}}),
    "an action sees what the one before it did": (
        {"a": {"required": ["x", "y"]}},
        [{"target": "$.a.required", "remove": True}, {"target": "$.a", "update": {"required": ["x"]}}],
        {"a": {"required": ["x"]}},
    ),
    "remove: false leaves it at the update": (
        {"a": {}},
        [{"target": "$.a", "remove": False, "update": {"b": 1}}],
        {"a": {"b": 1}},
    ),
}


@pytest.mark.parametrize(("document", "actions", "expected"), APPLIED.values(), ids=APPLIED)
def test_an_overlay_follows_its_specification(document, actions, expected):
    """An overlay does what the overlay specification says."""
    before = copy.deepcopy(document)
    assert applied(document, *actions) == expected
    assert document == before


@pytest.mark.parametrize(
    "action",
    [
        {"target": "$.text", "update": "new"},
        {"target": "$.list", "update": ["y"]},
        {"target": "$.object", "update": ["y"]},
        {"target": "$", "update": {"object": "y"}},
        {"target": "$", "update": {"list": {"y": 1}}},
        {"target": "$", "update": {"text": {"y": 1}}},
    ],
    ids=["text", "list by list", "object by list", "object in object", "list in object", "text in object"],
)
def test_an_update_keeps_the_kind_of_a_value(action):
    """An update that would change the kind of a value is refused."""
    with pytest.raises(SpecError, match=r"^test.overlay.yaml:1: the action on \$"):
        applied({"text": "x", "list": ["x"], "object": {"x": 1}}, action)


def test_an_overlays_values_are_copied():
    """What an overlay adds to several places is shared by none of them."""
    actions = [
        {"target": "$.a[*]", "update": {"b": {"c": [1]}}},
        {"target": "$.a[0].b.c", "update": 2},
        {"target": "$.e[*]", "update": {"d": {}}},
        {"target": "$.e[0][0].d", "update": {"f": 3}},
    ]
    assert applied({"a": [{}, {}], "e": [[], []]}, *actions) == {
        "a": [{"b": {"c": [1, 2]}}, {"b": {"c": [1]}}],
        "e": [[{"d": {"f": 3}}], [{"d": {}}]],
    }


def test_the_raw_client_is_typed():
    assert (GENERATED / "batchstatus_raw" / "py.typed").read_bytes() == b""


@pytest.mark.parametrize("word", ["get_api_v", "plant"])
def test_generated_names_are_our_own(word):
    """Nothing generated is named after a path or the sample that a spec grew from."""
    assert [name for name, text in files(GENERATED).items() if word in f"{name} {text.decode()}".lower()] == []


def test_nothing_generated_names_this_machine():
    """Nothing generated names a place on this machine."""
    places = [str(place) for place in (ROOT, sys.prefix, sys.base_prefix, Path.home()) if len(str(place)) > 1]
    texts = files(GENERATED).items()
    assert [(name, place) for name, text in texts for place in places if place in text.decode()] == []


ACCOUNTS = {"gameball": Gameball(GAMEBALL_KEY, GAMEBALL_SECRET), "believe": Believe(BELIEVE_KEY)}


@pytest.mark.parametrize("vendor", ACCOUNTS)
def test_the_raw_client_reads_by_itself(vendor, simulator):
    headers = ACCOUNTS[vendor].request("1").keys
    package = importlib.import_module(f"batchstatus_raw.{vendor}")
    models = importlib.import_module(f"batchstatus_raw.{vendor}.models")
    operation = importlib.import_module(f"batchstatus_raw.{vendor}.api.default.get_batch_status")
    ref = simulator.add(vendor, ends={"gameball": "completed", "believe": "EXECUTED"}[vendor], seconds=0)

    async def read():
        async with package.Client(base_url=simulator.url, headers=headers) as client:
            return await operation.asyncio_detailed(ref.id, client=client)

    with package.Client(base_url=simulator.url, headers=headers) as client:
        answers = [operation.sync_detailed(ref.id, client=client), asyncio.run(read())]
    for answer in answers:
        assert answer.status_code == 200
        assert isinstance(answer.parsed, models.BatchStatusResponse)
        assert answer.parsed.status.lower() in {"completed", "executed"}
        assert getattr(answer.parsed, {"gameball": "batch_id", "believe": "id"}[vendor]) == ref.id
