"""`make regen` leaves the old folder or the new one, wherever it is killed; it names edits and waits for nobody."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SPECS = Path(__file__).parent.parent.parent / "specs"

sys.path.insert(0, str(SPECS))
import regen  # noqa: E402 (specs/ holds scripts, not a package)
import sources  # noqa: E402 (the same)
import swap  # noqa: E402 (the same)

OLD = {"a/one.py": "old\n", "gone.py": "old\n"}


def fill(folder, contents):
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / swap.MANIFEST).write_text(swap.manifest(folder))


def files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != swap.MANIFEST)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


KILLED = """
import ctypes, os, pathlib, signal, sys
sys.dont_write_bytecode = True
sys.path.insert(0, {specs!r})
import swap

def kill(event, arguments):
    global left
    if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "ctypes.dlsym", "os.scandir"):
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

left = {number}
if not {exchanging}:
    swap.exchange = lambda one, other: False
output = pathlib.Path({output!r})
sys.addaudithook(kill)
with swap.locked(output):
    swap.recover(output)
    with swap.workshop(output) as workshop:
        (workshop / "generated").mkdir()
        (workshop / "generated" / "new.py").touch()
        swap.swap(output, workshop / "generated", workshop / "previous")
"""
"""What `make regen` does around the generator, killed as it does its n-th thing to a file."""


def killed(output, number, *, exchanging):
    code = KILLED.format(specs=str(SPECS), number=number, exchanging=exchanging, output=str(output))
    return subprocess.run([sys.executable, "-S", "-c", code], check=False).returncode


@pytest.mark.parametrize("exchanging", [True, False], ids=["exchange", "two renames"])
def test_a_kill_leaves_the_old_folder_or_the_new_one(exchanging, tmp_path):
    """Killed at each thing that it does to a file; where two renames are needed, the next run closes the hole first."""
    output, seen = tmp_path / "generated", []
    while True:
        shutil.rmtree(output, ignore_errors=True)
        fill(output, OLD)
        code = killed(output, len(seen), exchanging=exchanging)
        seen.append({None: "hole", (*OLD,): "old", ("new.py",): "new"}[names(output)])
        leftover = [path.name for path in tmp_path.iterdir() if path != output]
        with swap.locked(output):
            lines = swap.recover(output)
        if seen[-1] == "hole":
            assert lines.pop(0) == f"generated/ is back from {leftover[0]}/, where a run that was killed had left it"
            assert names(output) == (*OLD,)
        assert lines == [f"{name}/ was left by a run that was killed, and is gone" for name in leftover]
        assert [path.name for path in tmp_path.iterdir()] == ["generated"]
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert seen == sorted(seen, key=["old", "hole", "new"].index)
    assert seen.count("hole") == (0 if exchanging else 1)
    assert {"old", "new"} <= set(seen[:-1])
    assert len(seen) > 12


def names(output):
    return tuple(sorted(files(output))) if output.exists() else None


def test_a_leftover_says_what_it_is(tmp_path):
    with swap.workshop(tmp_path / "generated") as workshop:
        assert workshop.name.startswith(".regen-generated-")
        assert "the next one takes this folder away" in (workshop / "README").read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_made(tmp_path):
    (tmp_path / "built").mkdir()
    swap.swap(tmp_path / "generated", tmp_path / "built", tmp_path / "previous")
    assert [path.name for path in tmp_path.iterdir()] == ["generated"]


def test_a_failed_second_rename_puts_the_folder_back(tmp_path, monkeypatch):
    monkeypatch.setattr(swap, "exchange", lambda one, other: False)
    fill(tmp_path / "generated", OLD)
    with pytest.raises(FileNotFoundError):
        swap.swap(tmp_path / "generated", tmp_path / "missing", tmp_path / "previous")
    assert files(tmp_path / "generated") == OLD


@pytest.fixture(autouse=True)
def signals():
    """A swap ignores Ctrl-C from its last step on, as does a script whose process ends right after it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_two_runs_do_not_write_at_once(tmp_path):
    """The second one fails at once; when the first has ended, however it did, the next one runs."""
    output = tmp_path / "generated"
    with swap.locked(output):
        other = script(output)
        assert other.returncode == 1
        assert other.stderr == (
            "regen: another run is writing generated/: wait until it has ended, then run again\n"
            "regen: generated/ was left as it was.\n"
        )
    output.mkdir()
    assert killed(output, 3, exchanging=True) == -signal.SIGKILL
    with swap.locked(output):
        pass


def script(output, code="", *, specs=SPECS):
    """Run `make regen`, with a few lines of Python before `main`."""
    lines = f"import sys; sys.path.insert(0, {str(specs)!r}); import regen\n{code}\nsys.exit(regen.main())"
    return subprocess.run(
        [sys.executable, "-c", lines, "--output", output],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


STOPPED = """
import os, signal
def generate(*arguments):
    os.kill(os.getpid(), signal.{name})
regen.generate = generate
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_is_one_line(name, tmp_path):
    """Stopped while it generates, it ends with one line and leaves nothing."""
    output = tmp_path / "generated"
    fill(output, OLD)
    run = script(output, STOPPED.format(name=name))
    assert (run.returncode, run.stderr) == (130, "regen: stopped; generated/ was left as it was.\n")
    assert files(output) == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["generated"]


EDITED = """
import pathlib
regen.generate = lambda patched, target, refusal: target.mkdir(parents=True)
regen.built_findings = lambda built: []
"""


def test_edits_by_hand_are_named_before_they_are_overwritten(tmp_path):
    output = tmp_path / "generated"
    fill(output, OLD)
    (output / "a" / "one.py").write_text("mine\n")
    (output / "gone.py").unlink()
    (output / "a" / "two.py").write_text("mine\n")
    (output / "a" / "__pycache__").mkdir()
    (output / "a" / "__pycache__" / "one.pyc").write_text("")
    run = script(output, EDITED)
    assert run.returncode == 0
    assert run.stderr.splitlines() == [
        "regen: generated/a/one.py was edited by hand; it is overwritten",
        "regen: generated/a/two.py was added by hand; it is overwritten",
        "regen: generated/gone.py was taken away by hand; it is overwritten",
    ]
    assert script(output, EDITED).stderr == ""


def test_a_folder_without_a_manifest_is_named(tmp_path):
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "one.py").write_text("mine\n")
    assert swap.edits(tmp_path / "generated") == [
        "generated/ has no SHA256SUMS that can be read, which would tell edits by hand"
    ]
    assert swap.edits(tmp_path / "missing") == []


def test_the_generated_folder_has_no_edits():
    assert swap.edits(SPECS.parent / "generated") == []


@pytest.mark.parametrize("tool", regen.TOOLS)
@pytest.mark.parametrize("recorded", ["0.0.1", None])
def test_another_version_of_a_tool_is_refused(tool, recorded, tmp_path, monkeypatch):
    """Other versions than SOURCES.toml's would write other bytes."""
    installed = importlib.metadata.version(tool)
    others = {name: version for name, version in sources.versions().items() if name != tool}
    monkeypatch.setattr(sources, "versions", lambda: others | ({tool: recorded} if recorded else {}))
    with pytest.raises(sources.SpecError) as refused:
        regen.regenerate(tmp_path / "generated")
    said = recorded or "not at all"
    assert str(refused.value).startswith(f"specs/SOURCES.toml records {tool} {said}, and installed is {installed}: ")
    assert '"Raise the generator" in docs/how-to/take-over-a-spec-change.md' in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_the_recorded_versions_are_the_locked_ones():
    lock = (SPECS.parent / "requirements-dev.txt").read_text()
    assert set(sources.versions()) == set(regen.TOOLS)
    assert [name for name, version in sources.versions().items() if f"\n{name}=={version} " not in lock] == []
