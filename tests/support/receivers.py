"""A receiver of deliveries on loopback, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Came: TypeAlias = list[tuple[str, dict[str, str], bytes]]
Answer: TypeAlias = Callable[[Came], tuple[int, Mapping[str, str]]]


@contextmanager
def receiver(answer: Answer = lambda _: (204, {})) -> Iterator[tuple[str, Came]]:
    """Answer every POST so; the block gets the URL, and the path, headers and body of each request."""
    came: Came = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((self.path, dict(self.headers.items()), body))
            status, headers = answer(came)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook/test-planted-path", came
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()
