"""A service in a process of its own, as an operator starts it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from commandline import COMMAND
from waiting import LONG, until

SHOWN_AT = re.compile(r"(http://\S+/) shows them")


class Service:
    """A running `batchstatus run`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where its page is."""
        found = SHOWN_AT.search(self.log)
        assert found, self.log
        return found[1]

    def end(self) -> int:
        """End it as systemd does; return its exit code."""
        self.process.terminate()
        return self.process.wait(LONG)


@contextmanager
def serving(
    environ: Mapping[str, str],
    folder: Path,
    *options: object,
    command: tuple[object, ...] = (*COMMAND, "run"),
    address: str = "127.0.0.1:0",
) -> Iterator[Service]:
    """Have a service whose page is shown, ended with the block."""
    words = [*map(str, (*command, "--http", address, *options))]
    log = folder / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output
        )
    service = Service(process, log)
    try:

        def has_begun() -> bool:
            assert process.poll() is None, service.log
            return SHOWN_AT.search(service.log) is not None

        until(has_begun)
        yield service
    finally:
        process.kill()
        process.wait(LONG)
