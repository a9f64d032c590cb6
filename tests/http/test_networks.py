"""Networks that have something in between: caches, and proxies with exceptions."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import ssl
import sys
import warnings
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import trustme
from batchstatus import AsyncBatchClient, BatchRef, BatchState, Believe, RetryPolicy, TransportError
from batchstatus._http import routing
from batchstatus._http.routing import Routes
from batchstatus.service.deliveries import DeliveryFailed, to_url
from batchstatus.service.store import Change
from batchstatus.testing import FakeClock
from leftovers import sockets
from raw_server import response, serving
from waiting import until

KEY = "test-believe-key"
ONCE = RetryPolicy(attempts=1)
GOOD = json.dumps({"id": "1", "status": "EXECUTED"}).encode()


def test_a_cache_in_between_is_to_ask_the_vendor(reader):
    """It answers with the first thing that it heard, unless it is told not to."""
    said = iter([b"AVAILABLE_TO_QUEUE", b"EXECUTED"])
    heard = []

    def cache(head):
        if not heard or b"cache-control: no-cache" in head.lower():
            heard.append(next(said))
        return [response(json.dumps({"id": "1", "status": heard[-1].decode()}).encode())]

    with serving(cache) as server:
        client = reader(Believe(KEY, base_url=server.url), clock=FakeClock())
        assert client.wait("believe:1", timeout=60).state is BatchState.SUCCEEDED


@pytest.mark.parametrize(("age", "is_told"), [("0", False), ("5", False), ("40", True), ("soon", False), ("", False)])
def test_an_old_answer_is_told_of(reader, age, is_told):
    with serving(lambda _: [response(GOOD, age=age)]) as server:
        batch = reader(Believe(KEY, base_url=server.url)).get("believe:1")
    assert [problem.partition(":")[0] for problem in batch.problems] == ["Age"] * is_told


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("vendor.invalid", "http://vendor.invalid", True),
        (".invalid", "http://vendor.invalid", True),
        ("*.invalid", "http://vendor.invalid", True),
        ("other.invalid, vendor.invalid", "http://vendor.invalid", True),
        ("VENDOR.invalid", "http://vendor.invalid", True),
        ("vendor.invalid:80", "http://vendor.invalid", True),
        ("vendor.invalid:8080", "http://vendor.invalid:8080", True),
        ("vendor.invalid:8080", "http://vendor.invalid", False),
        ("endor.invalid", "http://vendor.invalid", False),
        ("192.0.2.0/24", "http://192.0.2.7", True),
        ("192.0.2.7", "http://192.0.2.7", True),
        ("192.0.2.0/28", "http://192.0.2.77", False),
        ("192.0.2.7:81", "http://192.0.2.7", False),
        ("2001:db8::/32", "http://[2001:db8::1]", True),
        ("[2001:db8::1]:80", "http://[2001:db8::1]", True),
        ("*", "http://vendor.invalid", True),
        ("", "http://vendor.invalid", False),
        (" , ,", "http://vendor.invalid", False),
    ],
)
def test_the_forms_of_no_proxy_are_understood(monkeypatch, no_proxy, url, is_direct):
    """A host, a domain, either with a port, an address, a network."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    parts = urlsplit(url)
    proxy = Routes(True, None).to((parts.scheme, parts.hostname, parts.port or 80))["proxy"]
    assert (proxy and bytes(proxy.url)) == (None if is_direct else b"http://proxy.invalid:3128/")


@pytest.mark.parametrize(
    ("no_proxy", "is_direct"),
    [("vendor.invalid:{port}", True), ("*.invalid", True), (".invalid:{port}", True), ("vendor.invalid:1", False)],
)
def test_a_real_proxy_is_passed_by(reader, monkeypatch, no_proxy, is_direct):
    """The proxy and the vendor are servers here, and either says who it is."""
    look_up = socket.getaddrinfo

    def here(host, *arguments, **options):
        return look_up("127.0.0.1" if host in ("vendor.invalid", b"vendor.invalid") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    with serving(lambda _: [response(GOOD)]) as vendor, serving(lambda _: [response(GOOD)]) as proxy:
        port = vendor.url.rpartition(":")[2]
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("NO_PROXY", no_proxy.format(port=port))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        account = Believe(KEY, base_url=f"http://vendor.invalid:{port}", allow_insecure=True, rate_limit=None)
        assert reader(account, retry=ONCE).get("believe:1").has_ended
        assert (len(vendor.heads), len(proxy.heads)) == ((1, 0) if is_direct else (0, 1))


# Certificates


@pytest.fixture
def change():
    return Change(id="1", store="2", ref=BatchRef("believe", "1"), sequence=1, kind="ended", at=datetime.now(UTC))


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    """A vendor over TLS, and the file with the authority that alone vouches for it."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(lambda _: [response(GOOD)]) as server:
        serve = server.serve

        def serve_tls(connection):
            wrapped = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            server.opened(wrapped)
            with suppress(OSError):
                serve(wrapped)

        server.serve = serve_tls
        yield server.url.replace("http:", "https:"), str(tmp_path / "ca.pem")


@contextmanager
def system_store(path):
    """Let OpenSSL find the system's store at a path: it reads the variable of the process, Python its own copy."""
    os.putenv("SSL_CERT_FILE", path)
    try:
        yield
    finally:
        os.unsetenv("SSL_CERT_FILE")


@pytest.mark.parametrize("platform", ["others", "native"])
def test_the_systems_store_is_trusted(reader, change, vendor, monkeypatch, platform):
    """By vendors' clients and by deliveries, and so is nothing else."""
    url, authority = vendor
    if platform == "native":
        monkeypatch.setattr(routing, "NATIVE_STORES", {sys.platform})
    account = Believe(KEY, base_url=url, rate_limit=None)
    with system_store(authority):
        assert reader(account).get("believe:1").has_ended
        asyncio.run(to_url(url)(change))
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        reader(account, retry=ONCE).get("believe:1")
    with pytest.raises(DeliveryFailed, match="CERTIFICATE_VERIFY_FAILED"):
        asyncio.run(to_url(url)(change))


def test_a_given_store_wins(reader, change, vendor, monkeypatch):
    url, authority = vendor
    monkeypatch.setattr(routing, "NATIVE_STORES", {sys.platform})
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    assert reader(Believe(KEY, base_url=url, rate_limit=None)).get("believe:1").has_ended
    asyncio.run(to_url(url)(change))


# Event loops


def test_each_event_loop_closes_its_sockets():
    """A client that is used in one `asyncio.run` after the other leaves none to the garbage collector."""
    with serving(lambda _: [response(GOOD)]) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        before = sockets()
        client = AsyncBatchClient(Believe(KEY, base_url=server.url, rate_limit=None))
        for _ in range(3):
            assert asyncio.run(client.get("believe:1")).has_ended
            until(lambda: sockets() <= before)

        async def last(client):
            async with client:
                await client.get("believe:1")

        asyncio.run(last(client))
        until(lambda: sockets() <= before)
        del client
        gc.collect()


def test_a_loop_closes_none_of_another():
    """Two loops in two threads take turns; the end of the first one costs the second one nothing."""
    with serving(lambda _: [response(GOOD)]) as server:
        client = AsyncBatchClient(Believe(KEY, base_url=server.url, rate_limit=None))
        first, second = asyncio.Runner(), asyncio.Runner()
        first.run(client.get("believe:1"))
        second.run(client.get("believe:1"))
        first.close()
        assert second.run(client.get("believe:1")).has_ended
        assert len(server._connections) == 2
        second.run(client.close())
        second.close()
