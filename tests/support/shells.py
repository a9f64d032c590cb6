"""Types into real shells in a pseudo-terminal, with the completion of `batchstatus` loaded."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commandline import COMMAND
from waiting import LONG

READY = "ready> "
START = {
    "bash": (".bashrc", f"PS1='{READY}'\nbind 'set bell-style none'\n", ["bash", "--rcfile", ".bashrc", "-i"]),
    "zsh": (".zshrc", f"PS1='{READY}'\nautoload -Uz compinit && compinit -u\nunsetopt beep\n", ["zsh", "-i"]),
    "fish": (
        "config.fish",
        f"function fish_prompt; printf '{READY}'; end\n",
        ["fish", "-i", "-C", "source config.fish"],
    ),
}
"""The file that a shell starts with, what it says before the completion, and the command."""
STUB = f"""#!{sys.executable}
import json, os, sys
if "_BATCHSTATUS_COMPLETE" in os.environ:
    os.execv({COMMAND[0]!r}, {COMMAND!r})
print("typed", json.dumps(sys.argv[1:]), flush=True)
"""
"""The command `batchstatus` of the shell: it completes, and prints its arguments instead of running."""


class Shell:
    """A shell in a folder of its own; a person types into it."""

    def __init__(self, name: str, environ: dict[str, str]) -> None:
        if name != "bash" and shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
        home = Path(environ["HOME"])
        (home / "bin").mkdir()
        stub = home / "bin" / "batchstatus"
        stub.write_text(STUB)
        stub.chmod(0o700)
        script = subprocess.run([*COMMAND, "completion", name], env=environ, capture_output=True, text=True, check=True)
        file, settings, command = START[name]
        (home / file).write_text(settings + script.stdout)
        self._environ = environ | {"PATH": f"{home / 'bin'}{os.pathsep}{environ['PATH']}", "ZDOTDIR": str(home)}
        self._environ |= {"LC_ALL": "C.UTF-8", "COLUMNS": "100", "LINES": "40"}
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            os.chdir(home)
            os.execvpe(command[0], command, self._environ)
        self.drawn = ""
        self._wait_for(READY)

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._screen)

    def _wait_for(self, text: str) -> str:
        """Return what is drawn until a text comes, without the terminal's control sequences."""
        end, found = time.monotonic() + LONG, ""
        while text not in found:
            assert time.monotonic() < end, f"{text!r} did not come: {found!r}"
            if select.select([self._screen], [], [], 0.1)[0]:
                self.drawn += os.read(self._screen, 65536).decode(errors="replace")
                found = re.sub(r"\x1b\[[0-9;?>=]*[A-Za-z]|\x1b[()>=][0-9A-Z]?|\x1b\][^\a]*\a|\r|\x08", "", self.drawn)
        self.drawn = ""
        return found

    def typed(self, keys: str) -> list[str]:
        """Type something and Enter; return the arguments that the command got."""
        os.write(self._screen, f"{keys}\r".encode())
        drawn = self._wait_for("typed [")
        while "]" not in drawn.rpartition("typed [")[2]:
            drawn += self._wait_for("]")
        arguments: list[str] = json.loads(re.search(r"typed (\[.*?\])", drawn)[1])
        return arguments

    def offered(self, keys: str, last: str) -> str:
        """Type something and Tab; return what is drawn until the last value is there."""
        os.write(self._screen, f"{keys}\t\t".encode())
        return self._wait_for(last)
