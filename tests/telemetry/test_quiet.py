"""Telemetry that is not used costs nothing, shows no key, and makes no span beside those of other instrumentation."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import warnings

import httpx
import pytest
from batchstatus import BatchStatusError, Believe, Gameball
from batchstatus.testing import FakeClock, FakeVendors
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from raw_server import HANG_UP, response, serving

UNUSED = """\
import sys
from batchstatus import EventKind
from batchstatus.testing import FakeVendors

vendors = FakeVendors()
vendors.script("gameball:1", "pending", "completed")
with vendors.client(on_event=lambda event: None, request_headers=lambda event: {}) as client:
    assert client.wait("gameball:1").has_ended
print([name for name in sys.modules if "opentelemetry" in name])
"""


def test_nothing_is_loaded_unless_it_is_used():
    ended = subprocess.run([sys.executable, "-c", UNUSED], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


# Other instrumentation


def test_an_httpx_instrumentor_sees_no_request(reader, recorded):
    """Requests do not go through httpx, so a request has one span; a request by httpx shows that it would see one."""
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.tracers, meter_provider=recorded.meters)
    try:
        with serving(lambda _: [response(b'{"id": "1", "status": "EXECUTED"}')]) as server:
            client = reader(Believe("test-believe-key", base_url=server.url, rate_limit=None), **recorded.options)
            client.get("believe:1")
            client.wait("believe:1")
            client.wait_all(["believe:1", "believe:1"], timeout=60)
            ours = len(recorded.named("GET"))
            httpx.get(server.url)
    finally:
        instrumentor.uninstrument()
    assert ours == len(server.heads) - 1 == 3
    assert len(recorded.named("GET")) == 4
    assert {span.instrumentation_scope.name for span in recorded.named("GET")} == {
        "batchstatus", "opentelemetry.instrumentation.httpx",
    }  # fmt: skip


# Keys

KEY, SECRET = "test-planted-key/123456+", "test-planted-secret/654321="


@pytest.fixture
def logs():
    """The log of the package, as OpenTelemetry exports it."""
    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its successor is a package of its own
        handler = LoggingHandler(level=logging.DEBUG, logger_provider=provider)
    log = logging.getLogger("batchstatus")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield exporter
    log.removeHandler(handler)
    log.setLevel(level)
    provider.shutdown()


def echoes(*keys):
    """Yield answers that show keys in every place."""
    told = json.dumps({"code": keys[0], "error": keys[-1], "message": " ".join(keys), "requestId": keys[0]}).encode()
    for status in ("401 No", "403 No", "404 No", "429 Slow", "500 Down", "400 Bad", "302 Found"):
        yield [response(told, status, location=f"/{keys[0]}", x_request_id=keys[0])]
    yield [response(b'{"id": "%s", "status": "%s"}' % (keys[0].encode(), keys[0].encode()))]
    yield [response(b'{"id": "1", "batchId": "1", "status": "%s"}' % keys[0].encode())]
    yield [b"HTTP/1.1 200 " + keys[0].encode() + b"\r\ncontent-length: 99\r\n\r\n" + told[:9], HANG_UP]


@pytest.mark.parametrize("vendor", ["believe", "gameball"])
def test_no_key_is_exported(reader, recorded, logs, vendor):
    """Not in spans, metrics or logs, whatever the vendor echoes."""
    keys = (KEY,) if vendor == "believe" else (KEY, SECRET)
    make = Believe if vendor == "believe" else Gameball
    for answer in echoes(*keys):
        with serving(lambda _, answer=answer: answer) as server:
            account = make(*keys, base_url=server.url, rate_limit=None)
            client = reader(account, clock=FakeClock(), **recorded.options)
            for call in (client.get, client.wait, client.step):
                with contextlib.suppress(BatchStatusError):
                    call(f"{vendor}:1", timeout=30)
    exported = [span.to_json() for span in recorded.spans]
    records = [record.to_json() for record in logs.get_finished_logs()]
    assert len(exported) > 40
    assert len(records) > 20
    text = "\n".join([*exported, *records, recorded.metrics_json()])
    assert "planted" not in text
    assert f'"batch.ref": "{vendor}:1"' in text
    assert recorded.is_idle


def test_a_log_record_has_the_ref(reader, recorded, logs):
    vendors = FakeVendors()
    vendors.script("believe:1", "FINALIZED", "EXECUTED")
    reader(vendors=vendors, **recorded.options).wait("believe:1")
    attributes = [dict(record.log_record.attributes) for record in logs.get_finished_logs()]
    assert {each["batch.ref"] for each in attributes} == {"believe:1"}
    assert {each["batch.vendor"] for each in attributes} == {"believe"}
    assert {each["batch.state"] for each in attributes} == {"requires_action", "succeeded"}
