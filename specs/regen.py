"""Regenerate `generated/` from the vendored specs and their overlays (`make regen`).

Everything is built in a folder beside the target and moved into place, in one step, when all of it has succeeded: a
regeneration that fails or is killed leaves `generated/` as it was.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl-C ends it without a word while it still loads
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import contract
import sources
import swap
import yaml
from sources import SpecError
from terminal import say

GENERATED = sources.SPECS.parent / "generated"
BANNER = "# Written by `make regen` from specs/{name}.yaml and specs/{name}.overlay.yaml. Do not edit.\n"
PACKAGE_DOC = '"""Raw clients, generated from the vendors\' specs. Applications import `batchstatus`."""\n'
TOOLS = ("openapi-python-client", "ruff")
"""The packages whose versions change `generated/`."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=GENERATED, help="the folder to write (default: generated/)")
    output = parser.parse_args().output.resolve()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    try:
        with swap.locked(output):
            say(*(f"regen: {line}" for line in swap.recover(output)), file=sys.stderr)
            regenerate(output)
    except (SpecError, OSError) as error:
        lines = f"regen: {error}\nregen: {output.name}/ was left as it was.".split("\n")
        say(*lines, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say(f"regen: stopped; {output.name}/ was left as it was.", file=sys.stderr)
        return 130
    return 0


def regenerate(output: Path) -> None:
    """Build both raw clients and put them in place of `output`; raise SpecError and touch nothing otherwise."""
    check_versions()
    known = sources.load().values()
    refuse([line for source in known for line in contract.findings(*texts(source))])
    contracts = {source: contract.read(contract.account_of(source.name), *texts(source)[1:]) for source in known}
    say(*(f"regen: {note}" for held in contracts.values() for note in held.notes))
    with swap.workshop(output) as workshop:
        built = workshop / "generated"
        package = built / "batchstatus_raw"
        package.mkdir(parents=True)
        (built / "patched-specs").mkdir()
        for source, held in contracts.items():
            patched = built / "patched-specs" / source.path.name
            patched.write_text(patched_text(source, held), encoding="utf-8", newline="\n")
            refusal = f"the generator refuses this operation: mend in {held.overlay} what it names:"
            generate(patched, package / source.name, held.finding(held.operation.place, refusal))
        (package / "__init__.py").write_text(PACKAGE_DOC, encoding="utf-8")
        (package / "py.typed").touch()
        (built / swap.MANIFEST).write_text(swap.manifest(built), encoding="utf-8", newline="\n")
        refuse(built_findings(built))
        say(*(f"regen: {line}; it is overwritten" for line in swap.edits(output)), file=sys.stderr)
        swap.swap(output, built, workshop / "previous")


def check_versions() -> None:
    """Raise SpecError unless the tools are those that wrote generated/: others would write other bytes."""
    recorded = sources.versions()
    for tool in TOOLS:
        try:
            installed = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            installed = "none"
        if recorded.get(tool) != installed:
            raise SpecError(
                f"specs/SOURCES.toml records {tool} {recorded.get(tool, 'not at all')}, and installed is {installed}: "
                "`rm .venv/ready; make .venv/ready` installs the locked version; to raise it on purpose, see "
                '"Raise the generator" in docs/how-to/take-over-a-spec-change.md'
            )


def texts(source: sources.Source) -> tuple[str, bytes, bytes]:
    """Return a vendor's name, spec and overlay."""
    return source.name, source.read(), source.overlay.read_bytes()


def refuse(findings: list[str]) -> None:
    """Raise SpecError with each finding as a line, if there are any."""
    if findings:
        raise SpecError("\n".join(findings))


def patched_text(source: sources.Source, held: contract.Contract) -> str:
    """Return the document that the generator reads, as text."""
    text: str = yaml.safe_dump(held.patched, sort_keys=False, allow_unicode=True, width=100)
    return BANNER.format(name=source.name) + text


def generate(document: Path, target: Path, refusal: str) -> None:
    """Run the generator into an empty folder; raise SpecError, the refusal and its words, if it fails or warns."""
    bin_dir = Path(sys.executable).parent
    command = [
        str(bin_dir / "openapi-python-client"), "generate", "--path", str(document), "--output-path", str(target),
        "--config", str(sources.SPECS / "generator.yaml"), "--meta", "none", "--fail-on-warning",
    ]  # fmt: skip
    # The post hooks find their ruff on PATH: it has to be the pinned one.
    env = {**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ.get('PATH', '')}"}
    run = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if run.returncode:
        raise SpecError(f"{refusal}\n{run.stdout}{run.stderr}".rstrip())


def built_findings(built: Path) -> list[str]:
    """Return the findings of `built.py`, in a process that has imported no other raw clients."""
    command = [sys.executable, str(sources.SPECS / "built.py"), str(built)]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if run.returncode and not run.stdout:
        raise SpecError(f"the raw clients cannot be held against the specs:\n{run.stderr}".rstrip())
    return run.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main())
