"""Regenerate `generated/` from the vendored specs and their overlays (`make regen`).

Everything is built in a folder beside the target and moved into place when all of it has succeeded,
so a regeneration that fails leaves `generated/` as it was.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import overlay
import sources
import yaml
from sources import SpecError

GENERATED = sources.SPECS.parent / "generated"
BANNER = "# Written by `make regen` from specs/{name}.yaml and specs/{name}.overlay.yaml. Do not edit.\n"
PACKAGE_DOC = '"""Raw clients, generated from the vendors\' specs. Applications import `batchstatus`."""\n'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=GENERATED, help="the folder to write (default: generated/)")
    output = parser.parse_args().output.resolve()
    try:
        regenerate(output)
    except (SpecError, OSError) as error:
        print(f"regen: {error}\nregen: {output.name}/ was left as it was.", file=sys.stderr)
        return 1
    return 0


def regenerate(output: Path) -> None:
    """Build both raw clients and put them in place of `output`; raise SpecError and touch nothing otherwise."""
    documents = {source: patch(source) for source in sources.load().values()}
    with tempfile.TemporaryDirectory(prefix=".regen-", dir=output.parent) as workshop:
        built = Path(workshop) / "generated"
        package = built / "batchstatus_raw"
        package.mkdir(parents=True)
        (built / "patched-specs").mkdir()
        for source, document in documents.items():
            patched = built / "patched-specs" / source.path.name
            patched.write_text(document, encoding="utf-8", newline="\n")
            generate(patched, package / source.name)
        (package / "__init__.py").write_text(PACKAGE_DOC, encoding="utf-8")
        (package / "py.typed").touch()
        replace(output, built, Path(workshop) / "previous")


def patch(source: sources.Source) -> str:
    """Return the document that the generator reads: the spec as pulled, with its overlay applied."""
    spec = yaml.safe_load(source.read())
    try:
        patched = overlay.apply(spec, yaml.safe_load(source.overlay.read_bytes()))
    except (SpecError, yaml.YAMLError) as error:
        raise SpecError(f"{source.overlay.name}: {error}") from None
    text: str = yaml.safe_dump(patched, sort_keys=False, allow_unicode=True, width=100)
    return BANNER.format(name=source.name) + text


def generate(document: Path, target: Path) -> None:
    """Run the generator into an empty folder; raise SpecError with its words if it fails or warns."""
    bin_dir = Path(sys.executable).parent
    command = [
        str(bin_dir / "openapi-python-client"), "generate", "--path", str(document), "--output-path", str(target),
        "--config", str(sources.SPECS / "generator.yaml"), "--meta", "none", "--fail-on-warning",
    ]  # fmt: skip
    # The post hooks find their ruff on PATH: it has to be the pinned one.
    env = {**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ.get('PATH', '')}"}
    run = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if run.returncode:
        raise SpecError(f"the generator refused {document.name}:\n{run.stdout}{run.stderr}".rstrip())


def replace(output: Path, built: Path, previous: Path) -> None:
    """Swap the two folders; if the second move fails, put the first one back."""
    if output.exists():
        output.rename(previous)
    try:
        built.rename(output)
    except OSError:
        if previous.exists():
            previous.rename(output)
        raise
    shutil.rmtree(previous, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
