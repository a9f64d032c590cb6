"""Networks that have something in between: caches, and proxies with exceptions."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from batchstatus import BatchState, Believe
from batchstatus._http.routing import Routes
from batchstatus.testing import FakeClock
from raw_server import response, serving

KEY = "test-believe-key"
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
    proxy = Routes(True, None).to((parts.scheme, parts.hostname, parts.port))["proxy"]
    assert proxy == (None if is_direct else "http://proxy.invalid:3128")
