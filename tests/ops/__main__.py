"""`make test-ops`: the service as people operate it, with their own tools: a browser, Prometheus, systemd, an image;
and the shells that people complete its command in.

As root it installs Debian's packages of them if they are missing. The tests of the page write pictures of it to the
folder in PHOTOS, if that is set.

    make test-ops ONLY="page alerts"     some of it
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PACKAGES = {
    "chromium": "chromium",
    "promtool": "prometheus",
    "systemd-analyze": "systemd",
    "zsh": "zsh",
    "fish": "fish",
}
"""Debian's packages by the programs in them that the tests need."""
SHELLS = ROOT / "tests" / "cli" / "test_completion.py"
"""Of the usual suite, which leaves out the shells that are not installed."""


def install() -> None:
    """Install the packages that are missing; end the program if only root could."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return
    apt = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SystemExit(f"ops: {', '.join(missing)} missing here; as root, on Debian: {' '.join(apt)}")
    print(f"Installing {', '.join(missing)}", flush=True)
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], apt):
        ended = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)
        if ended.returncode:
            raise SystemExit(f"ops: {' '.join(command)} failed:\n{ended.stdout[-2_000:]}{ended.stderr[-2_000:]}")


def main(words: list[str]) -> int:
    """Install and test; return the exit code."""
    files = {path.stem.removeprefix("test_"): path for path in sorted(HERE.glob("test_*.py"))} | {"shells": SHELLS}
    if unknown := set(words) - set(files):
        raise SystemExit(f"ops: no {', '.join(sorted(unknown))}; there are {', '.join(files)}")
    install()
    selected = {files[word] for word in words} or set(files.values())
    codes = []
    if operated := sorted(selected - {SHELLS}):
        codes.append(test("-c", HERE / "pytest.ini", "--rootdir", ROOT, "--confcutdir", HERE.parent, *operated))
    if SHELLS in selected:
        codes.append(test("-q", "-k", "shell", SHELLS))
    return max(codes)


def test(*arguments: object) -> int:
    """Run tests; return the exit code."""
    command = [sys.executable, "-m", "pytest", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
