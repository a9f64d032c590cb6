"""What a process still holds."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def sockets() -> int:
    """Return how many sockets this process has open."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own is closed by now
            found += str(descriptor.readlink()).startswith("socket:")
    return found
