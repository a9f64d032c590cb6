"""One exchange over real sockets: deadlines, bounds, redirects, connections, and where keys go."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import time
import tracemalloc
import zlib
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import trustme
from batchstatus import (
    APIError,
    AuthenticationError,
    BatchNotFound,
    Believe,
    ConfigurationError,
    InvalidResponse,
    RateLimited,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    TransportError,
)
from raw_server import HANG_UP, drip, elapsed, response, serving
from waiting import HANG

KEY = "test-believe-key"
PATH = urlsplit(Believe(KEY).request("1").url).path
HEADER = Believe.KEY_HEADERS["api_key"]
ONCE = RetryPolicy(attempts=1)
SILENCE = 30.0
GOOD = json.dumps({"id": "1", "status": "EXECUTED"}).encode()


def read(reader, server, *, timeout=5.0, **options):
    return reader(Believe(KEY, rate_limit=None, base_url=server.url), **{"retry": ONCE, **options}).get(
        "believe:1", timeout=timeout
    )


def test_a_request_carries_known_headers_only(reader):
    """A request carries our headers the key and nothing else."""
    with serving(lambda _: [response(GOOD)]) as server:
        read(reader, server)
    line, *headers = server.heads[0].decode().strip().split("\r\n")
    sent = dict(header.lower().split(": ", 1) for header in headers)
    assert line == f"GET {PATH} HTTP/1.1"
    assert sent.pop("user-agent").startswith("batchstatus/")
    assert sent.pop("host") == server.url.removeprefix("http://")
    assert sent == {
        "accept": "application/json",
        "accept-encoding": "gzip",
        "cache-control": "no-cache",
        HEADER: KEY,
    }


class Dated(Believe):
    """Believe, as if its spec had more required parameters, each with a default."""

    def raw_request(self, batch_id):
        params = {"api-version": "2026-01 b&c", "expand": ["a", "b"], "dry": False, "page": 1}
        raw = {"method": "post", "url": f"/v2/{batch_id}", "params": params, "headers": {"X-Dated": "2026-01-27"}}
        return self.authenticate(raw)


def test_all_of_the_raw_request_is_sent(reader):
    """The method, the query and the headers that the raw client's builder gives go out."""
    with serving(lambda _: [response(GOOD)]) as server:
        reader(Dated(KEY, rate_limit=None, base_url=server.url), retry=ONCE).get("believe:1", timeout=5)
    line, *headers = server.heads[0].decode().strip().split("\r\n")
    sent = dict(header.lower().split(": ", 1) for header in headers)
    assert line == "POST /v2/1?api-version=2026-01%20b%26c&expand=a&expand=b&dry=false&page=1 HTTP/1.1"
    assert (sent["x-dated"], sent[HEADER]) == ("2026-01-27", KEY)


SLOW = {
    "silent": lambda _: [9.0],
    "silent-after-headers": lambda _: [response(GOOD)[: -len(GOOD)], 9.0],
    "one-byte-at-a-time-in-headers": lambda _: drip(response(GOOD), 0.05),
    "one-byte-at-a-time-in-the-body": lambda _: [response(GOOD)[: -len(GOOD)], *drip(GOOD, 0.05)],
    "endless-chunks": lambda _: [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        *[b"1\r\n \r\n", 0.05] * 100,
    ],
    "endless-100-continue": lambda _: [b"HTTP/1.1 100 Continue\r\n\r\n", 0.05] * 100,
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
def test_no_server_holds_a_read_beyond_its_budget(reader, script):
    """Each pause is far below the timeout, so only a deadline over the whole exchange can end these."""
    with serving(script) as server:
        client = reader(Believe(KEY, rate_limit=None, base_url=server.url))
        started = time.monotonic()
        with pytest.raises(RequestTimeout, match="no complete response within"):
            client.get("believe:1", timeout=0.5)
        assert elapsed(started) < 0.5 + HANG


BROKEN = {
    "hangs-up": lambda _: [HANG_UP],
    "hangs-up-in-headers": lambda _: [b"HTTP/1.1 200 OK\r\nconte", HANG_UP],
    "hangs-up-in-the-body": lambda _: [response(GOOD)[:-5], HANG_UP],
    "is-no-http": lambda _: [b"220 smtp.example.com ESMTP\r\n\r\n", HANG_UP],
    "bad-chunk": lambda _: [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", HANG_UP],
    "two-lengths": lambda _: [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nxxxxxx", HANG_UP],
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_a_broken_connection_is_retried(reader, script):
    """A connection that breaks is a transport error and tried again."""
    with serving(script) as server:
        with pytest.raises(TransportError, match="believe:1: the connection broke") as caught:
            read(reader, server, retry=RetryPolicy(attempts=2, first_delay=0.01))
        assert caught.value.attempts == len(server.heads) == 2


def test_a_body_cut_short_is_retried(reader):
    """A body cut short without a length is tried again."""
    heads = []

    def script(head):
        heads.append(head)
        return [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", GOOD[:-5] if len(heads) == 1 else GOOD, HANG_UP]

    with serving(script) as server:
        assert read(reader, server, retry=RetryPolicy(first_delay=0.01)).attempts == 2


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(reader, status):
    """A redirect is not followed and no key reaches its target."""

    def script(_):
        return [response(status=status, location=f"{other.url}{PATH}")]

    with serving(lambda _: [response(GOOD)]) as other, serving(script) as server:
        with pytest.raises(InvalidResponse, match=f"HTTP {status[:3]} instead of a batch"):
            read(reader, server)
        assert other.heads == []


def test_cookies_are_not_kept(reader):
    with serving(lambda _: [response(GOOD, set_cookie="session=1; Path=/")]) as server:
        client = reader(Believe(KEY, rate_limit=None, base_url=server.url))
        client.get("believe:1")
        client.get("believe:1")
        assert b"cookie" not in server.heads[1].lower()


def test_a_connection_is_kept_for_the_next_read(reader):
    connections = set()

    with serving(lambda _: [response(GOOD)]) as server:
        serve = server.serve
        server.serve = lambda connection: (connections.add(connection.getpeername()), serve(connection))
        client = reader(Believe(KEY, rate_limit=None, base_url=server.url))
        for _ in range(3):
            client.get("believe:1")
    assert len(connections) == 1


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
def test_a_compressed_body_is_read(reader, coding):
    with serving(lambda _: [response(gzip.compress(GOOD), content_encoding=coding)]) as server:
        assert read(reader, server).vendor_status == "EXECUTED"


TOO_LARGE = r"larger than max_body allows, 1024 bytes: see RetryPolicy\(max_body=...\), --max-body"
BAD_CONTENT = {
    "unknown-encoding": (response(b"x", content_encoding="br"), "encoding that was not asked for: br"),
    "no-gzip": (response(GOOD, content_encoding="gzip"), "not valid gzip"),
    "gzip-cut-short": (response(gzip.compress(GOOD)[:-9], content_encoding="gzip"), "within its gzip stream"),
    "too-large": (response(b" " * 1025), TOO_LARGE),
    "gzip-bomb": (response(gzip.compress(b" " * 50_000_000), content_encoding="gzip"), TOO_LARGE),
    "gzip-in-gzip": (response(gzip.compress(gzip.compress(GOOD)), content_encoding="gzip"), "not JSON"),
}


@pytest.mark.parametrize(("raw", "says"), BAD_CONTENT.values(), ids=BAD_CONTENT)
def test_an_unreadable_body_is_invalid(reader, raw, says):
    """A body that cannot be taken is an invalid response."""
    with serving(lambda _: [raw, HANG_UP]) as server:
        with pytest.raises(InvalidResponse, match=says) as caught:
            read(reader, server, retry=RetryPolicy(attempts=1, max_body=1024))
        assert caught.value.status_code == 200
        assert caught.value.is_too_large is (says is TOO_LARGE)


def test_a_body_of_exactly_the_cap_is_read(reader):
    with serving(lambda _: [response(GOOD.ljust(1024))]) as server:
        assert read(reader, server, retry=RetryPolicy(max_body=1024)).state.is_terminal


@pytest.mark.parametrize(
    "raw",
    [
        response(b'{"error": "ERR_BATCH_NOT_FOUND"}'.ljust(200_000), status="404 Not Found"),
        response(b"<html>" * 50_000, status="404 Not Found"),
        response(b"not gzip", status="404 Not Found", content_encoding="gzip"),
        response(zlib.compress(b"{}"), status="404 Not Found", content_encoding="deflate"),
    ],
    ids=["padded", "large-page", "no-gzip", "unknown-encoding"],
)
def test_an_error_body_never_hides_its_status(reader, raw):
    """The body of an error never hides its status; without a code that can be read, a retry may help."""
    with serving(lambda _: [raw, HANG_UP]) as server, pytest.raises(BatchNotFound, match="HTTP 404") as caught:
        read(reader, server)
    assert (caught.value.code, caught.value.is_retryable) == (None, True)


def test_an_unknown_status_is_read(reader):
    """A status that python does not know is read."""
    raw = response(status="520 Web Server Returned an Unknown Error")
    with serving(lambda _: [raw]) as server, pytest.raises(ServerError, match="HTTP 520"):
        read(reader, server)


def test_an_unknown_host_is_a_transport_error(reader):
    with pytest.raises(TransportError, match="cannot connect") as caught:
        reader(Believe(KEY, rate_limit=None, base_url="https://batchstatus.invalid"), retry=ONCE).get("believe:1")
    assert caught.value.is_lasting


def test_a_refused_connection_may_be_mended_by_time(reader):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(TransportError, match="cannot connect") as caught:
        reader(Believe(KEY, rate_limit=None, base_url=url), retry=ONCE).get("believe:1")
    assert not caught.value.is_lasting


def test_plain_http_instead_of_tls_is_explained(reader):
    """Plain http where tls is expected is a transport error."""
    with serving(lambda _: [response(GOOD)]) as server:
        account = Believe(KEY, rate_limit=None, base_url=server.url.replace("http:", "https:"))
        server.receive = lambda connection: connection.recv(1)  # it answers before it understands
        with pytest.raises(TransportError, match=r"cannot connect.*SSL"):
            reader(account, retry=ONCE).get("believe:1")


def proxy(head):
    return [response(GOOD) if head.startswith(f"GET http://vendor.invalid{PATH} ".encode()) else HANG_UP]


def test_a_proxy_given_is_used(reader):
    account = Believe(KEY, rate_limit=None, base_url="http://vendor.invalid", allow_insecure=True)
    with serving(proxy) as server:
        assert reader(account, proxy=server.url).get("believe:1").vendor_status == "EXECUTED"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_used(reader, monkeypatch, variable):
    """A proxy of the environment is used but for no proxy and loopback."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    account = Believe(KEY, rate_limit=None, base_url="http://vendor.invalid", allow_insecure=True)
    with serving(proxy) as server, serving(lambda _: [response(GOOD)]) as vendor:
        monkeypatch.setenv(variable, server.url)
        assert reader(account).get("believe:1").vendor_status == "EXECUTED"
        assert reader(Believe(KEY, rate_limit=None, base_url=vendor.url)).get("believe:1").vendor_status == "EXECUTED"
        monkeypatch.setenv("NO_PROXY", "vendor.invalid")
        with pytest.raises(TransportError, match="cannot connect"):
            reader(account, retry=ONCE).get("believe:1")
        assert len(server.heads) == 1


def test_a_netrc_file_is_not_read(reader, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password test-password\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(lambda _: [response(GOOD)]) as server:
        read(reader, server)
    assert b"authorization" not in server.heads[0].lower()


def test_a_missing_bundle_is_refused(reader, tmp_path):
    """A bundle of certificates that is not there is refused."""
    with pytest.raises(ConfigurationError, match="verify names"):
        reader(Believe(KEY, rate_limit=None), verify=str(tmp_path / "missing.pem"))


CODE = b'{"error": "ERR_X"}'
CUT_OFF = {
    "cut-short": ([HANG_UP], TransportError, "the connection broke"),
    "stalled": ([SILENCE], RequestTimeout, "HTTP 401 came, and its body not within the time for it"),
}


@pytest.mark.parametrize(("rest", "gives", "says"), CUT_OFF.values(), ids=CUT_OFF)
def test_a_refusal_that_is_cut_off_is_not_believed(reader, rest, gives, says):
    """A refusal counts only with its whole body: what broke it may have made it."""
    raw = response(CODE, "401 Unauthorized")[:-3]
    with serving(lambda _: [raw, *rest]) as server, pytest.raises(TransportError, match=says) as caught:
        read(reader, server, timeout=30.0)
    assert (type(caught.value), caught.value.is_retryable, caught.value.is_lasting) == (gives, True, False)


@pytest.mark.parametrize("rest", [rest for rest, *_ in CUT_OFF.values()], ids=CUT_OFF)
@pytest.mark.parametrize(("status", "gives"), [("429 Slow", RateLimited), ("503 Down", ServerError)])
def test_an_outage_that_is_cut_off_keeps_its_status(reader, status, gives, rest):
    """An outage is no answer just now with half a body too, and its Retry-After counts."""
    raw = response(CODE, status, retry_after="7")[:-3]
    with serving(lambda _: [raw, *rest]) as server, pytest.raises(gives) as caught:
        read(reader, server, timeout=30.0)
    assert (caught.value.retry_after, caught.value.code) == (7.0, None)


def test_a_refusal_after_one_that_was_cut_off_is_believed(reader):
    """The vendor's own refusal is raised after the attempt that it ends."""

    def script(_):
        whole = response(CODE, "404 Not Found")
        return [whole[:-3], HANG_UP] if len(server.heads) == 1 else [whole]

    with serving(script) as server, pytest.raises(BatchNotFound, match="ERR_X") as caught:
        read(reader, server, retry=RetryPolicy(first_delay=0.01))
    assert (caught.value.attempts, caught.value.is_retryable) == (2, False)


def test_an_endless_refusal_is_not_read_to_its_end(reader):
    """Of an endless page the status is known, but not that it is the vendor's."""
    head = response(b"", "401 Unauthorized", transfer_encoding="chunked").replace(b"content-length: 0\r\n", b"")
    # In large pieces: 64 KiB in pieces of 4 bytes are 16,000 reads, for which 2 s were too short on a busy machine.
    steps = [head, *[b"1000\r\n" + b"x" * 4096 + b"\r\n"] * 10_000]
    with serving(lambda _: steps) as server, pytest.raises(AuthenticationError, match="HTTP 401") as caught:
        read(reader, server, timeout=30.0)
    assert "without the vendor's error body" in str(caught.value)
    assert caught.value.is_retryable


def test_a_407_of_the_way_is_an_outage(reader):
    """Whoever asks for a proxy's key, it is not the vendor that refuses."""
    raw = response(CODE, "407 Proxy Authentication Required")
    with serving(lambda _: [raw]) as server, pytest.raises(APIError, match="HTTP 407") as caught:
        read(reader, server, retry=RetryPolicy(attempts=2, first_delay=0.01))
    assert (caught.value.attempts, caught.value.is_retryable) == (2, True)


def test_the_first_of_two_retry_afters_counts(reader):
    raw = b"HTTP/1.1 429 Slow\r\ncontent-length: 0\r\nretry-after: 7\r\nretry-after: 9\r\n\r\n"
    with serving(lambda _: [raw]) as server, pytest.raises(RateLimited) as caught:
        read(reader, server)
    assert caught.value.retry_after == 7


def test_a_gzip_bomb_is_never_unpacked(reader):
    raw = response(gzip.compress(b" " * 200_000_000), content_encoding="gzip")
    with serving(lambda _: [raw, HANG_UP]) as server:
        client = reader(
            Believe(KEY, rate_limit=None, base_url=server.url), retry=RetryPolicy(attempts=1, max_body=1_000_000)
        )
        tracemalloc.start()
        with pytest.raises(InvalidResponse, match="larger than"):
            client.get("believe:1")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20_000_000


def test_endless_bytes_after_gzip_are_refused(reader):
    """Endless bytes behind the end of a gzip stream are refused."""
    raw = response(gzip.compress(GOOD) + b"x" * 5000, content_encoding="gzip")
    with serving(lambda _: [raw, HANG_UP]) as server, pytest.raises(InvalidResponse, match=TOO_LARGE):
        read(reader, server, retry=RetryPolicy(attempts=1, max_body=1024))


@pytest.mark.parametrize("header", ["x-request-id", "request-id", "x-correlation-id", "cf-ray"])
def test_the_vendors_id_of_the_exchange_is_kept(reader, header):
    with serving(lambda _: [response(GOOD, **{header: "r-1"})]) as server:
        assert read(reader, server).request_id == "r-1"


@pytest.mark.parametrize("variable", ["ALL_PROXY", "http_proxy"])
@pytest.mark.parametrize("value", ["socks://127.0.0.1:1", "ftp://127.0.0.1:1", "socks5://127.0.0.1:1"])
def test_a_wrong_proxy_is_a_configuration_error(reader, monkeypatch, variable, value):
    """A proxy of the environment that cannot work is a configuration error."""
    monkeypatch.setenv(variable, value)
    account = Believe(KEY, rate_limit=None, base_url="http://vendor.invalid", allow_insecure=True)
    with pytest.raises(ConfigurationError, match="proxy"):
        reader(account).get("believe:1")


def test_a_proxy_without_a_scheme_is_http(reader, monkeypatch):
    """A proxy without a scheme is an http proxy."""
    with serving(proxy) as server:
        monkeypatch.setenv("http_proxy", server.url.removeprefix("http://"))
        account = Believe(KEY, rate_limit=None, base_url="http://vendor.invalid", allow_insecure=True)
        assert reader(account).get("believe:1").state.is_terminal


def test_a_proxy_that_refuses_is_named(reader):
    with serving(lambda _: [response(status="407 Proxy Authentication Required")]) as server:
        account = Believe(KEY, rate_limit=None, base_url="https://vendor.invalid")
        with pytest.raises(TransportError, match="the proxy refused"):
            reader(account, retry=ONCE, proxy=server.url).get("believe:1")


def test_unreadable_certificates_are_refused(reader, monkeypatch, tmp_path):
    """Certificates that cannot be loaded are a configuration error and not needed for http."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with serving(lambda _: [response(GOOD)]) as server:
        assert read(reader, server).state.is_terminal
    with pytest.raises(ConfigurationError, match="certificates"):
        reader(Believe(KEY, rate_limit=None)).get("believe:1")
    (tmp_path / "empty.pem").write_text("no certificate")
    with pytest.raises(ConfigurationError, match="certificates"):
        reader(Believe(KEY, rate_limit=None), verify=str(tmp_path / "empty.pem")).get("believe:1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path_factory.mktemp("ca") / "ca.pem")
    made.path = str(next(tmp_path_factory.getbasetemp().glob("ca*/ca.pem")))
    return made


@pytest.fixture
def tls(authority):
    """Serve over TLS, with a certificate for 127.0.0.1 that only this authority vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(lambda _: [response(GOOD)]) as server:
        serve = server.serve

        def serve_tls(connection):
            wrapped = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            server.opened(wrapped)
            with suppress(OSError):
                serve(wrapped)

        server.serve = serve_tls
        yield Believe(KEY, rate_limit=None, base_url=server.url.replace("http:", "https:"))


def test_an_untrusted_certificate_gets_no_key(reader, tls):
    """A certificate that nobody vouches for is refused and gets no key."""
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        reader(tls, retry=ONCE).get("believe:1")
    assert caught.value.is_lasting


def test_a_given_bundle_is_trusted(reader, tls, authority):
    """A certificate is taken on the word of the bundle or context given."""
    assert reader(tls, verify=authority.path).get("believe:1").state.is_terminal
    assert reader(tls, verify=ssl.create_default_context(cafile=authority.path)).get("believe:1").state.is_terminal


def test_verify_false_checks_nothing(reader, tls):
    assert reader(tls, verify=False).get("believe:1").state.is_terminal


def test_a_silent_tls_server_is_left_in_time(reader):
    with serving(lambda _: [9.0]) as server:
        started = time.monotonic()
        with pytest.raises(RequestTimeout):
            reader(Believe(KEY, rate_limit=None, base_url=server.url.replace("http:", "https:")), retry=ONCE).get(
                "believe:1", timeout=0.5
            )
        assert elapsed(started) < 0.5 + HANG


def test_no_test_reaches_another_machine():
    with socket.socket() as outward, pytest.raises(RuntimeError, match="disabled for host"):
        outward.connect(("192.0.2.1", 80))
