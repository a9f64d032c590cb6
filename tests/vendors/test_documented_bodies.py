"""Every documented body gives the batch that a person reading the page would write down: over HTTP, to both clients."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from batchstatus import BatchNotFound, BatchRef, Believe, Gameball
from documented import BODIES, ERROR, UUID


def path_of(name: str) -> str:
    """Return the path at which a body's vendor is asked for the batch that has the body's name."""
    accounts = {"gameball": Gameball("test-gameball-key", "test-gameball-secret"), "believe": Believe("test-key")}
    return urlsplit(accounts[name.partition("-")[0]].request(name).url).path


PATHS = {path_of(name): name for name in BODIES}


class Bodies(BaseHTTPRequestHandler):
    """Answers with the body whose name is the batch's id, at the path that its vendor's raw client asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = PATHS.get(self.path, "")
        body = BODIES.get(name, (ERROR, None))[0]
        if "id" in body or "batchId" in body:
            body = {**body, "id" if "id" in body else "batchId": name}
        raw = json.dumps(body).encode()
        self.send_response(404 if body is ERROR else 200)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url():
    with ThreadingHTTPServer(("127.0.0.1", 0), Bodies) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(30)


@pytest.fixture
def client(reader, url):
    return reader(
        Gameball("test-gameball-key", "test-gameball-secret", base_url=url, rate_limit=None),
        Believe("test-key", base_url=url, rate_limit=None),
    )


@pytest.mark.parametrize("name", BODIES)
def test_a_documented_body_is_its_batch(client, name):
    """A documented body gives the batch that a person would write down."""
    body, expected = BODIES[name]
    batch = client.get(BatchRef(name.partition("-")[0], name))
    assert {field: getattr(batch, field) for field in expected} == expected
    assert batch.vendor_status == body["status"]
    assert batch.payload == body | {key: name for key in ("id", "batchId") if key in body}
    assert type(batch.raw).__name__ == "BatchStatusResponse"


def test_believes_error_is_batch_not_found(client):
    """Believes documented error is batch not found."""
    with pytest.raises(BatchNotFound) as caught:
        client.get(f"believe:{UUID}")
    assert (caught.value.code, caught.value.message) == ("ERR_BATCH_NOT_FOUND", "Batch not found")
    assert caught.value.status_code == 404
