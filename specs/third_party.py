"""Generate the raw client of a vendor in a package of its own: `python specs/third_party.py NAME SPECS OUTPUT`.

The same is done as by `make regen`: the spec SPECS/NAME.yaml is held against the vendor's account, repaired by
SPECS/NAME.overlay.yaml, and given to the pinned generator. OUTPUT is the folder of the raw client, a Python package,
which is replaced; nothing else is written. The vendor's package has to be installed beside batchstatus.
"""

from __future__ import annotations

import argparse
import inspect
import shutil
import sys
import tempfile
from pathlib import Path

import contract
import regen
import yaml
from batchstatus import ConfigurationError
from batchstatus.vendors import VENDORS
from sources import SpecError
from terminal import say


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="the vendor's name in refs")
    parser.add_argument("specs", type=Path, help="the folder of its spec and overlay")
    parser.add_argument("output", type=Path, help="the folder of its raw client")
    given = parser.parse_args()
    try:
        write(given.name, given.specs, given.output.resolve())
    except (SpecError, ConfigurationError, OSError) as error:
        say(*f"third_party: {error}\nthird_party: {given.output} was left as it was.".split("\n"), file=sys.stderr)
        return 1
    return 0


def write(name: str, specs: Path, output: Path) -> None:
    """Generate a raw client in place of `output`; raise SpecError and touch nothing otherwise."""
    if name not in VENDORS:
        raise SpecError(f"no vendor {name!r} is installed; there are {', '.join(VENDORS)}: install its package here")
    if output.exists() and any(output.iterdir()) and not (output / "client.py").exists():
        raise SpecError(f"{output} is not the folder of a raw client: give an empty one, or a new one")
    regen.check_versions()
    spec, overlay = ((specs / f"{name}{end}").read_bytes() for end in (".yaml", ".overlay.yaml"))
    account = contract.account_of(name)
    regen.refuse([_placed(line, name, specs) for line in contract.findings_of(account, spec, overlay)])
    held = contract.read(account, spec, overlay)
    say(*(f"third_party: {note}" for note in held.notes))
    with tempfile.TemporaryDirectory() as folder:
        patched, made = Path(folder) / f"{name}.yaml", Path(folder) / output.name
        patched.write_text(yaml.safe_dump(held.patched, sort_keys=False, allow_unicode=True), encoding="utf-8")
        refusal = f"the generator refuses this operation: mend in {held.overlay} what it names:"
        regen.generate(patched, made, _placed(held.finding(held.operation.place, refusal), name, specs))
        if output.exists():
            shutil.rmtree(output)
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, output)


def _placed(line: str, name: str, specs: Path) -> str:
    """Return a finding with the files of the vendor's package in place of those of this tree."""
    source = inspect.getsourcefile(VENDORS[name]) or name
    for own, theirs in (
        (f"facade/batchstatus/vendors/{name}.py", source),
        (f"specs/{name}.", f"{specs}/{name}."),
    ):
        line = line.replace(own, theirs)
    return line


if __name__ == "__main__":
    sys.exit(main())
