"""Put a folder in the place of another one, so that a kill at any moment leaves the old one or the new one.

Linux and macOS exchange two folders in one step. Elsewhere there are two renames, and a kill between them leaves the
folder in the workshop beside its place: the next run puts it back before anything else.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sources import SpecError

AT_FDCWD = -100
EXCHANGE = 2  # RENAME_EXCHANGE of renameat2 and RENAME_SWAP of renamex_np alike
MANIFEST = "SHA256SUMS"
NOTE = """\
A `make regen` works here. If none is running, one was killed, and the next one takes this folder away; if it is the
only one to hold {name}/, as `previous`, it puts that back first.
"""


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Keep all other runs from the folder; the lock is on its parent, and goes with the process."""
    descriptor = os.open(output.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise SpecError(f"another run is writing {output.name}/: wait until it has ended, then run again") from None
    finally:
        os.close(descriptor)


def recover(output: Path) -> list[str]:
    """Put back a folder that a killed run had moved away, and take its workshop away; return a line for each."""
    lines = []
    for workshop in sorted(output.parent.glob(f".regen-{output.name}-*")):
        if (workshop / "previous").exists() and not output.exists():
            (workshop / "previous").rename(output)
            lines.append(f"{output.name}/ is back from {workshop.name}/, where a run that was killed had left it")
        shutil.rmtree(workshop, ignore_errors=True)
        lines.append(f"{workshop.name}/ was left by a run that was killed, and is gone")
    return lines


@contextmanager
def workshop(output: Path) -> Iterator[Path]:
    """Make a folder beside the output, on the same file system, and take it away in the end."""
    folder = Path(tempfile.mkdtemp(prefix=f".regen-{output.name}-", dir=output.parent))
    try:
        (folder / "README").write_text(NOTE.format(name=output.name), encoding="utf-8")
        yield folder
    finally:
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, signal.SIG_IGN)
        shutil.rmtree(folder, ignore_errors=True)


def swap(output: Path, built: Path, previous: Path) -> None:
    """Put `built` in place of `output`, which may be missing."""
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)  # the rest takes a moment, and "stopped" would be half true
    if not output.exists():
        built.rename(output)
    elif not exchange(output, built):
        output.rename(previous)
        try:
            built.rename(output)
        except OSError:
            previous.rename(output)
            raise


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return whether the system can."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE)
    elif sys.platform == "darwin":
        failed = libc.renamex_np(os.fsencode(one), os.fsencode(other), EXCHANGE)
    else:
        return False
    code = ctypes.get_errno()
    if failed and code not in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        raise OSError(code, os.strerror(code), str(one))
    return not failed


def manifest(folder: Path) -> str:
    """Return the sha256 of each file, as `sha256sum --check` reads it."""
    return "".join(f"{digest}  {name}\n" for name, digest in _digests(folder).items())


def edits(output: Path) -> list[str]:
    """Return the files that differ from the manifest of the run that wrote them."""
    if not output.is_dir() or not any(output.iterdir()):
        return []
    try:
        lines = (output / MANIFEST).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return [f"{output.name}/ has no {MANIFEST} that can be read, which would tell edits by hand"]
    written = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = _digests(output)
    words = {(True, True): "was edited", (True, False): "was taken away", (False, True): "was added"}
    return [
        f"{output.name}/{name} {words[name in written, name in there]} by hand"
        for name in sorted(written.keys() | there.keys())
        if written.get(name) != there.get(name)
    ]


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path != folder / MANIFEST
    }
