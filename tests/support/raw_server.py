"""A server on loopback that sends exactly the bytes it is told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

Script = Callable[[bytes], Iterable[bytes | float]]
"""Gets a request's head; yields bytes to send and seconds to wait. The connection is closed after it."""


class RawServer:
    """One thread per connection; `heads` are the requests so far."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.heads: list[bytes] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.opened(connection)
                thread = threading.Thread(target=self.serve, args=(connection,))
                thread.start()
                self._threads.append(thread)

    def opened(self, connection: socket.socket) -> None:
        """Note a connection, so that the server's end is its end too."""
        self._connections.append(connection)

    def serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while head := self.receive(connection):
                self.heads.append(head)
                for step in self.script(head):
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    elif step < 0 or self._over.wait(step):
                        return

    def receive(self, connection: socket.socket) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := connection.recv(1)):
                return b""
            head += byte
        return head

    def close(self) -> None:
        self._over.set()
        for open_socket in (self._listener, *self._connections):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(30)


@contextmanager
def serving(script: Script) -> Iterator[RawServer]:
    """Serve until the block ends; no connection and no thread outlives it."""
    server = RawServer(script)
    acceptor = threading.Thread(target=server.accept)
    acceptor.start()
    try:
        yield server
    finally:
        server.close()
        acceptor.join(30)


HANG_UP = -1.0


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """Return the bytes of a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def drip(data: bytes, every: float) -> Iterator[bytes | float]:
    """Yield the bytes one at a time."""
    for byte in data:
        yield bytes([byte])
        yield every


def elapsed(since: float) -> float:
    """Return the seconds since a `time.monotonic()`."""
    return time.monotonic() - since
