"""`make test-engines`: what needs an engine or a server, against the real ones.

Each folder beside this file that has a requirements.txt is one of them: a virtual environment of its own
(`.venv-engines/NAME`), its types checked there, its tests run there. To add one: `NAME/requirements.in` with the wheels
of its servers, then `make lock`, then tests that start and stop these servers by `support/servers.py`.

    make test-engines ONLY="temporal"     some of them
    HA=1 make test-engines                the trials, too, in which processes are killed; they print what they measured
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FACADE = ROOT / "facade"
VENVS = ROOT / ".venv-engines"
PROJECT = ROOT / "pyproject.toml"
PACKAGES = ("engines", "paces")
"""Where in the facade the module is that has the folder's name."""
EXTRAS = {"paces": ("redis", "postgres")}
"""Of a folder, if it is not the one of its name."""


def run(*command: object, **env: str) -> None:
    """Run a command in the checkout; an error ends the program, as the command has said why."""
    ended = subprocess.run([str(part) for part in command], cwd=ROOT, env=os.environ | env, check=False)
    if ended.returncode:
        raise SystemExit(ended.returncode)


def lock(name: str) -> None:
    """Write the requirements.txt of an engine from its requirements.in and its extras."""
    extras = [word for extra in EXTRAS.get(name, (name,)) for word in ("--extra", extra)]
    run(
        *(find_uv_bin(), "pip", "compile", PROJECT.name, HERE / name / "requirements.in"),
        *(*extras, "--extra", "simulator", "--universal", "--python-version", "3.11"),
        *("--generate-hashes", "--no-emit-index-url", "--no-annotate", "--custom-compile-command", "make lock"),
        *("--quiet", "--output-file", HERE / name / "requirements.txt"),
    )


def set_up(name: str) -> Path:
    """Return the bin folder of an engine's environment; make the environment if its requirements have changed."""
    pins, venv = HERE / name / "requirements.txt", VENVS / name
    wanted, ready = hashlib.sha256(pins.read_bytes() + PROJECT.read_bytes()).hexdigest(), venv / "ready"
    if not ready.exists() or ready.read_text() != wanted:
        print(f"Setting up .venv-engines/{name}", flush=True)
        pip = find_uv_bin(), "pip"
        into = "--quiet", "--python", venv / "bin" / "python"
        run(find_uv_bin(), "venv", "--quiet", "--clear", "--python", sys.executable, venv)
        run(*pip, "sync", *into, "--require-hashes", pins)
        run(*pip, "install", *into, "--no-deps", "--no-build-isolation", "--editable", ROOT)
        ready.write_text(wanted)
    return venv / "bin"


def modules_of(name: str) -> list[str]:
    """Return the modules of the facade that have an engine's name, one by one: mypy leaves them out of packages."""
    folders = [FACADE / "batchstatus" / package / name for package in PACKAGES]
    files = [
        path for folder in folders for path in (folder.with_suffix(".py"), *folder.rglob("*.py")) if path.is_file()
    ]
    names = (".".join(path.relative_to(FACADE).with_suffix("").parts) for path in files)
    return sorted(name.removesuffix(".__init__") for name in names)


def check_documented(name: str, python: Path) -> None:
    """Check the types of the examples on an engine's page; those that have a title are files beside each other."""
    page = ROOT / "docs" / "how-to" / f"run-on-{name}.md"
    if not page.exists():
        return
    blocks = re.findall(r'^```py(?:thon title="(\w+\.py)")?\n(.*?)^```', page.read_text(), re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, title or f"example_{number}.py") for number, (title, _) in enumerate(blocks)]
        for file, (_, code) in zip(files, blocks, strict=True):
            file.write_text(code, encoding="utf-8")
        mypy = sys.executable, "-m", "mypy", "--python-executable", python, "--follow-imports", "silent"
        run(*mypy, *files, MYPYPATH=folder)


def check(name: str) -> None:
    """Check the types of an engine's module and of its documented examples, and run its tests."""
    binaries = set_up(name)
    python = binaries / "python"
    print(f"\n{name}", flush=True)
    mypy = sys.executable, "-m", "mypy", "--python-executable", python
    if modules := [word for module in modules_of(name) for word in ("--module", module)]:
        run(*mypy, *modules)
    if examples := sorted((ROOT / "examples").glob(f"{name}_*.py")):
        run(*mypy, *examples)
    check_documented(name, python)
    selected = ("-m", "") if os.environ.get("HA") else ()
    # The root makes the tests' modules `tests.engines.NAME...`: as `airflow...` they would hide the package.
    options = "-c", HERE / "pytest.ini", "--rootdir", ROOT, "--confcutdir", HERE
    run(
        *(python, "-m", "pytest", *options, *selected, HERE / name),
        PATH=f"{binaries}{os.pathsep}{os.environ['PATH']}",
    )


def main(words: list[str]) -> None:
    """Lock or check the engines that are named, or all."""
    names = [path.parent.name for path in sorted(HERE.glob("*/requirements.in"))]
    asked = [word for word in words if word != "--lock"]
    if unknown := set(asked) - set(names):
        raise SystemExit(f"engines: no folder {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for name in asked or names:
        (lock if "--lock" in words else check)(name)


if __name__ == "__main__":
    main(sys.argv[1:])
