"""Two keys are planted, everything that can happen to a read happens, and then they are searched for everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import itertools
import json
import logging
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import traceback
import types
from functools import cache
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import attrs
import batchstatus
import pytest
from attrs import frozen
from batchstatus import (
    AsyncBatchClient,
    AuthenticationError,
    Batch,
    BatchClient,
    BatchNotFound,
    BatchRef,
    BatchStatusError,
    Believe,
    ConfigurationError,
    Gameball,
    InvalidResponse,
    PollPolicy,
    RateLimit,
    RateLimited,
    ReadError,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    TransportError,
    WaitStopped,
    WaitTimeout,
)
from batchstatus.testing import FakeClock
from batchstatus.testing.simulator.believe import BELIEVE_KEY
from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET
from raw_server import HANG_UP, response, serving
from readers import AsyncReader, SyncReader

KEY, SECRET = "test-planted-key/123456+", "test-planted-secret/654321="
KEYS = {"believe": (KEY,), "gameball": (KEY, SECRET)}
PLANTED = "test-planted"
"""Enough of both keys to know a part of one by."""
BATCH = "550e8400-e29b-41d4-a716-446655440000"
OURS = str(Path(batchstatus.__file__).parent)


def account(vendor, url, *keys, **options):
    keys = keys or KEYS[vendor]
    return (Believe if vendor == "believe" else Gameball)(*keys, base_url=url, **{"rate_limit": None, **options})


# Where to look.


def escaped(text):
    return "".join(f"\\u{ord(char):04x}" for char in text)


def percent(text):
    return "".join(f"%{ord(char):02X}" for char in text)


FORMS = tuple(form.casefold() for form in (PLANTED, escaped(PLANTED), percent(PLANTED)))


def is_shown(text):
    text = text.decode("latin-1") if isinstance(text, bytes | bytearray) else text
    text = re.sub(r"\\+", r"\\", text.replace("\x00", "")).casefold()
    return any(form in text for form in FORMS)


def chain(error):
    """Return an error and all that stand behind it, those included that a traceback suppresses."""
    found, left = [], [error]
    while left:
        each = left.pop()
        if each is not None and not any(each is known for known in found):
            found.append(each)
            left += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
    return found


def pickled(value):
    try:
        return pickle.dumps(value)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return str(error)


def faces(value):
    """Yield each way in which a value can be written down."""
    yield from (repr(value), str(value), f"{value}", pickled(value))
    if isinstance(value, BaseException):
        yield from (repr(value.args), repr(vars(value)), *traceback.format_exception(value, chain=False))
        yield repr(getattr(value, "checkpoint", None))
    if isinstance(value, Batch):
        yield from (repr(value.payload), repr(value.raw), json.dumps(value.to_dict()), repr(attrs.asdict(value)))
    yield repr(getattr(value, "__dict__", None))


def shown(values):
    return [f"{type(value).__name__}: {face!r:.300}" for value in values for face in faces(value) if is_shown(face)]


def locals_of_ours(error):
    """Yield the local variables of our frames that show a key, in the tracebacks of the whole chain."""
    for each in chain(error):
        told = traceback.TracebackException(type(each), each, each.__traceback__, capture_locals=True)
        for frame in told.stack:
            if frame.filename.startswith(OURS):
                yield from (f"{frame.name}: {name}" for name, text in (frame.locals or {}).items() if is_shown(text))


class Log(logging.Handler):
    """All records of all loggers, written out."""

    def __init__(self):
        super().__init__(0)
        self.lines = []

    def emit(self, record):
        self.lines.append((record.name, f"{self.format(record)} {record.args!r} {vars(record)!r}"))

    def shown(self):
        """Return the lines with a key, but for a vendor's answer heads, which httpcore is documented to show."""
        heads = re.compile(r"receive_response_headers\.(complete|failed)")
        lines = [line for line in self.lines if not (line[0].startswith("httpcore") and heads.search(line[1]))]
        return [line for line in lines if is_shown(line[1])]


@contextlib.contextmanager
def logged():
    log, names = Log(), (None, "batchstatus", "httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level) for logger in loggers]
    loggers[0].addHandler(log)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        loggers[0].removeHandler(log)
        for logger, level in before:
            logger.setLevel(level)


# What happens.


def body(vendor, status="FAILED", **fields):
    return json.dumps({"id" if vendor == "believe" else "batchId": BATCH, "status": status, **fields}).encode()


def refused(body):
    return response(body, "401 Unauthorized")


def spelled(body):
    """Return JSON with escapes that it does not need."""
    return json.dumps(body).replace("/", "\\/").replace("t", "\\u0074")


def quoted(key):
    return quote(key, safe="")


def told(vendor, spell=str):
    """Return an error body in which every text is a key, or has one in it."""
    first, last = spell(KEYS[vendor][0]), spell(KEYS[vendor][-1])
    return {"error": first, "code": last, "message": f"no {first}, {'x' * 480}{last}", "requestId": last, first: last}


def echo(vendor, status):
    key = KEYS[vendor][-1]
    headers = {"x_request_id": key, "x_echo": key, "retry_after": "0", "set_cookie": f"key={key}"}
    return response(json.dumps(told(vendor)).encode(), f"{status} {key}", **headers)


def broken(vendor, spell):
    return response(b'{"key": "%s' % "".join(map(spell, KEYS[vendor])).encode())


def praised(vendor):
    fields = {"message": KEY, "errors": [told(vendor), KEY], "executeResult": {"failedTxMsg": KEY}, "tokenId": KEY}
    return response(body(vendor, KEY, **fields, **{KEY: KEY}), x_request_id=KEY)


SCENARIOS = {
    "success": (Batch, lambda vendor: [response(body(vendor))]),
    "success-with-echo": (Batch, lambda vendor: [praised(vendor)]),
    "401-with-echo": (AuthenticationError, lambda vendor: [echo(vendor, 401)]),
    "401-with-escaped-echo": (AuthenticationError, lambda vendor: [refused(spelled(told(vendor)).encode())]),
    "401-with-wide-echo": (AuthenticationError, lambda vendor: [refused(json.dumps(told(vendor)).encode("utf-16"))]),
    "401-with-quoted-echo": (AuthenticationError, lambda vendor: [refused(json.dumps(told(vendor, quoted)).encode())]),
    "404": (BatchNotFound, lambda vendor: [echo(vendor, 404)]),
    "429": (RateLimited, lambda vendor: [echo(vendor, 429)]),
    "503": (ServerError, lambda vendor: [echo(vendor, 503)]),
    "redirect": (InvalidResponse, lambda _: [response(b"", "302 Found", location=f"https://127.0.0.1:1/?key={KEY}")]),
    "hang-up": (TransportError, lambda _: [HANG_UP]),
    "no-http": (TransportError, lambda vendor: [f"{KEYS[vendor][-1]} is no status\r\n\r\n".encode(), HANG_UP]),
    "bad-header": (TransportError, lambda _: [f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode(), HANG_UP]),
    "timeout": (RequestTimeout, lambda vendor: [echo(vendor, 200)[:-9], 9.0]),
    "broken-json": (InvalidResponse, lambda vendor: [broken(vendor, str)]),
    "broken-escaped-json": (InvalidResponse, lambda vendor: [broken(vendor, escaped)]),
    "broken-percent-json": (InvalidResponse, lambda vendor: [broken(vendor, percent)]),
    "no-utf-8": (InvalidResponse, lambda vendor: [response(b"\xff" + KEY.encode())]),
    "another-batch": (InvalidResponse, lambda vendor: [response(body(vendor, KEY, id=KEY, batchId=KEY))]),
    "no-status": (InvalidResponse, lambda vendor: [response(json.dumps(told(vendor)).encode())]),
    "unknown-encoding": (InvalidResponse, lambda vendor: [response(body(vendor), content_encoding=KEY)]),
}


@frozen
class Seen:
    """What one scenario has brought to light."""

    got: object
    public: list
    log: Log
    heads: list
    stored: list


def outcome_of(call, *args, **options):
    try:
        return call(*args, **options)
    except BatchStatusError as error:
        return error


RETRY = RetryPolicy(attempts=2, first_delay=0.001)
HASTY = attrs.evolve(RETRY, attempt_timeout=0.2)


@cache
def seen(make, vendor, scenario):
    """Let a client read, many and one, from a server that does one thing; the observer fails each time it is told."""
    events, script = [], SCENARIOS[scenario][1](vendor)

    def observe(event):
        events.append(event)
        raise LookupError(str(event))

    with pytest.MonkeyPatch.context() as patch, logged() as log, serving(lambda _: script) as server:
        patch.setenv("PYTHONASYNCIODEBUG", "1")
        own = account(vendor, server.url)
        reader = make(own, retry=HASTY if scenario == "timeout" else RETRY, on_event=observe, clock=FakeClock())
        try:
            many = reader.get_many([f"{vendor}:{BATCH}"], timeout=1.5)
            got = outcome_of(reader.get, f"{vendor}:{BATCH}")
            stored = [*kept(reader.client._transport)]
        finally:
            reader.finish()
    outcomes = [*many.values(), *(event.outcome for event in events)]
    errors = [thing.error for thing in (*outcomes, *events) if thing.error is not None]
    return Seen(got, [got, reader.client, own, *many, *outcomes, *errors, *events], log, server.heads, stored)


def kept(root):
    """Yield the texts that can be reached from an object, but through no module, class, function or frame."""
    closed = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType, types.FrameType, logging.Filterer)
    known, left = {}, [root]
    while left:
        value = left.pop()
        if id(value) in known or isinstance(value, closed):
            continue
        known[id(value)] = value
        if isinstance(value, str | bytes | bytearray):
            yield value
        left += gc.get_referents(value)


@pytest.fixture(params=SCENARIOS)
def scenario(request):
    """What happens; with it, a test looks at what comes of it in both clients and with both vendors."""
    return request.param


def each(scenario):
    return [(vendor, seen(make, vendor, scenario)) for make in (SyncReader, AsyncReader) for vendor in KEYS]


HEADERS = {vendor.vendor: [*vendor.KEY_HEADERS.values()] for vendor in (Believe, Gameball)}


def test_each_scenario_sends_its_keys_once(scenario):
    """Each scenario comes out as meant and the vendor gets its keys once."""
    for vendor, found in each(scenario):
        assert type(found.got) is SCENARIOS[scenario][0]
        assert len(found.heads) >= 2
        for head in found.heads:
            sent = [line.split(": ", 1) for line in head.decode().split("\r\n") if is_shown(line)]
            expected = zip(HEADERS[vendor], KEYS[vendor], strict=True)
            assert sorted((name.lower(), value) for name, *value in sent) == [(name, [key]) for name, key in expected]


def test_no_key_is_in_anything_that_a_caller_gets(scenario):
    for _, found in each(scenario):
        assert len(found.public) > 8
        assert shown(found.public) == []


def test_no_key_is_logged(scenario):
    for _, found in each(scenario):
        assert {name.partition(".")[0] for name, _ in found.log.lines} >= {"batchstatus", "httpcore"}
        assert found.log.shown() == []


def test_no_key_is_in_what_stands_behind_an_error(scenario):
    for _, found in each(scenario):
        assert not isinstance(found.got, Exception) or shown(chain(found.got)) == []


def test_no_key_is_in_our_local_variables(scenario):
    """No key is in the local variables of our frames."""
    for _, found in each(scenario):
        assert not isinstance(found.got, Exception) or [*locals_of_ours(found.got)] == []


def test_no_transport_keeps_a_key(scenario):
    for _, found in each(scenario):
        assert [text for text in found.stored if is_shown(text)] == []


# Waits.


@pytest.mark.parametrize("vendor", KEYS)
@pytest.mark.parametrize("end", [WaitTimeout, WaitStopped])
def test_no_key_is_in_a_checkpoint(reader, vendor, end):
    """No key is in the end of a wait or its checkpoint."""
    events, stop = [], threading.Event() if reader_is_sync(reader) else asyncio.Event()

    def observe(event):
        events.append(event)
        if len(events) > 20 and end is WaitStopped:
            stop.set()

    answers = itertools.cycle([praised(vendor), echo(vendor, 503), response(body(vendor, KEYS[vendor][-1]))])
    with logged() as log, serving(lambda _: [next(answers)]) as server:
        client = reader(account(vendor, server.url), clock=FakeClock(), on_event=observe, retry=RETRY)
        error = outcome_of(client.wait, f"{vendor}:{BATCH}", timeout=200.0, stop=stop)
        assert type(error) is end
        resumed = outcome_of(client.wait, f"{vendor}:{BATCH}", timeout=1.0, resume=json.dumps(error.checkpoint))
        outcomes = client.wait_all([f"{vendor}:{BATCH}"], timeout=20.0).values()
    public = [error, error.last, error.checkpoint, resumed, resumed.last, *outcomes, *events]
    assert shown([*public, *chain(error), *(outcome.error for outcome in outcomes)]) == []
    assert not is_shown(json.dumps(error.checkpoint))
    assert [*locals_of_ours(error), *log.shown()] == []
    assert {name for name, _ in log.lines} >= {"batchstatus"}


def reader_is_sync(reader):
    """Return which of the two clients the fixture makes."""
    return isinstance(reader(Believe("test-key")), SyncReader)


# What a caller makes, and keys that cannot be had.


@pytest.mark.parametrize("vendor", KEYS)
def test_no_key_is_in_what_a_caller_makes(vendor):
    for keys in (KEYS[vendor], [lambda key=key: key for key in KEYS[vendor]]):
        own = account(vendor, None, *keys, name="acme")
        clients = BatchClient(own), AsyncBatchClient(own)
        things = [
            own,
            *clients,
            own.credential,
            RateLimit(5, 1.0),
            RETRY,
            PollPolicy(),
            BatchRef(vendor, BATCH, "acme"),
        ]
        copies = [copy.copy(own), copy.deepcopy(own), *map(copy.copy, clients)]
        values = [value for thing in (own, *clients) for value in (vars(thing), *vars(thing).values())]
        assert shown([*things, *copies, *values]) == []
        assert not is_shown(repr(own.request(BATCH)))
        assert copies[1].request(BATCH) == own.request(BATCH)
        for thing in (own, *clients):
            with pytest.raises(TypeError):
                pickle.dumps(thing)
        clients[0].close()


ILLEGAL = {
    "line-end": f"{KEY}\n",
    "header": f"{KEY}\r\nx-evil: 1",
    "nul": f"{KEY}\x00",
    "non-ascii": f"{KEY}é",
    "bytes": KEY.encode(),
    "list": [KEY],
}


@pytest.mark.parametrize("key", ILLEGAL.values(), ids=ILLEGAL)
@pytest.mark.parametrize(
    ("vendor", "place"), [("believe", 0), ("gameball", 0), ("gameball", 1)], ids=["believe", "gameball", "secret"]
)
@pytest.mark.parametrize("call", ["get", "wait"])
def test_a_key_turned_illegal_is_not_sent(reader, vendor, place, call, key):
    """A key that becomes illegal is refused unsent and unshown."""
    keys = [lambda key=key: key for key in KEYS[vendor]]
    keys[place] = lambda: key
    with logged() as log, serving(lambda _: [HANG_UP]) as server:
        client = reader(account(vendor, server.url, *keys), clock=FakeClock())
        error = outcome_of(getattr(client, call), f"{vendor}:{BATCH}")
        assert server.heads == []
    assert isinstance(error, ConfigurationError)
    assert [*shown(chain(error)), *locals_of_ours(error), *log.shown()] == []


@pytest.mark.parametrize(("vendor", "place"), [("believe", 0), ("gameball", 0), ("gameball", 1)])
def test_a_missing_key_shows_no_other(reader, vendor, place):
    """A function that has no key shows none of the others."""

    def sealed():
        raise LookupError("the vault is sealed")

    keys = [lambda key=key: key for key in KEYS[vendor]]
    keys[place] = sealed
    with logged() as log, serving(lambda _: [HANG_UP]) as server:
        client = reader(account(vendor, server.url, *keys), clock=FakeClock())
        for error in (outcome_of(call, f"{vendor}:{BATCH}", timeout=9.0) for call in (client.get, client.wait)):
            assert isinstance(error, ReadError | WaitTimeout)
            assert [*shown(chain(error)), *locals_of_ours(error)] == []
        assert server.heads == []
    assert log.shown() == []


def test_a_key_functions_error_is_not_quoted(reader):
    """What a function for keys raises is named but not quoted."""

    def leak():
        raise LookupError(f"cannot decrypt {KEY}")

    error = outcome_of(reader(Believe(leak)).get, f"believe:{BATCH}")
    assert "LookupError" in str(error)
    assert shown([error]) == []


@pytest.mark.parametrize("make", [SyncReader, AsyncReader])
@pytest.mark.parametrize("answer", ["success", "401-with-echo", "no-http", "broken-json"])
def test_a_functions_key_is_not_kept(make, answer):
    """A key from a function lives no longer than its exchange."""
    begin, end = token_hex(8), token_hex(8)
    script = SCENARIOS[answer][1]("believe")
    with serving(lambda _: script) as server:
        reader = make(Believe(lambda: f"{begin}+{end}", base_url=server.url, rate_limit=None), retry=RETRY)
        outcome_of(reader.get, f"believe:{BATCH}")
    assert begin in repr(server.heads)
    server.heads.clear()
    gc.collect()
    assert [text for text in everywhere() if begin in text and end in text] == []
    reader.finish()


def everywhere():
    """Yield each text that something alive holds."""
    known, left = set(), gc.get_objects()
    while left:
        value = left.pop()
        for held in gc.get_referents(value):
            if isinstance(held, str):
                yield held
            elif isinstance(held, bytes | bytearray):
                yield held.decode("latin-1")
            elif not gc.is_tracked(held) and isinstance(held, tuple | dict) and id(held) not in known:
                known.add(id(held))
                left.append(held)


# Interruptions.


def interrupted(vendor, url):
    with BatchClient(account(vendor, url)) as client, pytest.raises(KeyboardInterrupt) as caught:
        client.get(f"{vendor}:{BATCH}", timeout=5.0)
    assert any(str(entry.path).startswith(OURS) for entry in caught.traceback)
    return caught.value


@pytest.mark.parametrize("vendor", KEYS)
def test_no_key_is_in_frames_of_a_broken_write(monkeypatch, vendor):
    """No key is in the frames of a read that is interrupted as it writes."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(socket.socket, "send", interrupt)
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = interrupted(vendor, f"http://127.0.0.1:{server.getsockname()[1]}")
    assert [*locals_of_ours(error)] == []


@pytest.mark.parametrize("vendor", KEYS)
def test_no_key_is_in_frames_of_a_broken_read(vendor):
    """No key is in the frames of a read that is interrupted as it reads."""

    def interrupt(_):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return [9.0]

    with serving(interrupt) as server:
        error = interrupted(vendor, server.url)
    assert [*locals_of_ours(error)] == []


@pytest.mark.parametrize("vendor", KEYS)
def test_no_key_is_in_frames_of_a_cancelled_read(vendor):
    """No key is in the frames of a read that is cancelled."""

    async def cancelled(url):
        async with AsyncBatchClient(account(vendor, url)) as client:
            try:
                async with asyncio.timeout(0.1):
                    await client.get(f"{vendor}:{BATCH}", timeout=5.0)
            except TimeoutError as error:
                return error

    with serving(lambda _: [9.0]) as server:
        error = asyncio.run(cancelled(server.url))
    assert {type(each) for each in chain(error)} == {TimeoutError, asyncio.CancelledError}
    assert [*locals_of_ours(error)] == []


# Other places.


@pytest.mark.parametrize("vendor", KEYS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_sends_nothing_elsewhere(reader, vendor, status):
    """A redirect brings nothing to another host."""

    def redirect(head):
        there = f"{other.url}{head.split()[1].decode()}"
        return [response(b"", f"{status} There", location=there, refresh=f"0; url={there}", content_location=there)]

    with serving(lambda _: [response(body(vendor))]) as other, serving(redirect) as server:
        client = reader(account(vendor, server.url), clock=FakeClock(), retry=RETRY)
        for call in (client.get, client.wait):
            error = outcome_of(call, f"{vendor}:{BATCH}", timeout=300.0)
            assert isinstance(error, InvalidResponse | WaitTimeout)
            assert shown(chain(error)) == []
        assert len(server.heads) > 1
        assert other._connections == []


@pytest.mark.parametrize("vendor", KEYS)
def test_a_proxy_gets_no_key_of_a_vendor_with_tls(reader, vendor):
    with serving(lambda _: [response(b"", "502 Bad Gateway"), HANG_UP]) as proxy:
        url = proxy.url.replace("//", "//user:secret@")
        client = reader(account(vendor, "https://vendor.invalid"), proxy=url, retry=RETRY)
        error = outcome_of(client.get, f"{vendor}:{BATCH}")
    assert isinstance(error, TransportError)
    assert {head.split()[0] for head in proxy.heads} == {b"CONNECT"}
    assert not any(map(is_shown, proxy.heads))
    assert not any("user:secret" in face for each in chain(error) for face in map(str, faces(each)))


PLAIN = [
    *("http://vendor.example.com", "HTTP://10.0.0.1", "http://0.0.0.0", "http://[::]", "http://[::ffff:10.0.0.1]"),
    *("http://127.0.0.1.example.com", "http://localhost.example.com", "http://\uff4cocalhost.example.com"),
    *("http://127.1", "http://2130706433"),
]


@pytest.mark.parametrize("vendor", KEYS)
@pytest.mark.parametrize("url", PLAIN)
def test_no_key_goes_over_plain_http(monkeypatch, vendor, url):
    """No key goes over plain http off this machine unless allowed."""
    with pytest.raises(ConfigurationError, match="unencrypted") as caught:
        account(vendor, url)
    assert [*shown(chain(caught.value)), *locals_of_ours(caught.value)] == []
    assert account(vendor, url, allow_insecure=True).base_url == url
    for name, key in zip(type(account(vendor, None)).KEY_HEADERS, KEYS[vendor], strict=True):
        monkeypatch.setenv(f"{vendor}_{name}".upper(), key)
    monkeypatch.setenv(f"{vendor}_BASE_URL".upper(), url)
    with pytest.raises(ConfigurationError, match="unencrypted") as caught:
        BatchClient.from_env()
    assert [*shown(chain(caught.value)), *locals_of_ours(caught.value)] == []


WATCHED = """
import json, sys
from batchstatus.testing.simulator import demo
begun = []
ways = {"subprocess.Popen": 1, "os.system": 0, "os.exec": 1, "os.posix_spawn": 1, "os.putenv": 0}
sys.addaudithook(lambda event, args: event in ways and begun.append(repr(args[ways[event]])))
demo.SECONDS = 0.2
ended = demo.main()
print(json.dumps([*sys.argv, *sys.orig_argv, *begun]), file=sys.stderr)
sys.exit(ended)
"""


def test_the_demonstration_shows_no_key(monkeypatch):
    """The demonstration passes no key to a process and prints none."""
    for name in ("GAMEBALL_API_KEY", "GAMEBALL_SECRET_KEY", "BELIEVE_API_KEY"):
        monkeypatch.setenv(name, KEY)
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "HTTP exchanges" in done.stdout
    assert "batchstatus.cli" in done.stderr.splitlines()[-1]
    for key in (PLANTED, GAMEBALL_KEY, GAMEBALL_SECRET, BELIEVE_KEY):
        assert key not in done.stdout + done.stderr
    recipes = (Path(__file__).parent.parent.parent / "Makefile").read_text(encoding="utf-8")
    assert "-m batchstatus.testing.simulator.demo\n" in recipes
    assert "_KEY" not in recipes


def test_no_cassette_holds_a_key():
    cassettes = [
        path.read_text(encoding="utf-8")
        for path in (Path(__file__).parent.parent.parent / "tests" / "vendors" / "cassettes").glob("**/*.yaml")
    ]
    assert len(cassettes) >= 5
    for text in cassettes:
        for key in (PLANTED, GAMEBALL_KEY, GAMEBALL_SECRET, BELIEVE_KEY):
            assert key not in text
        values = re.findall(
            rf"^ +(?:{'|'.join(map(re.escape, [*HEADERS['gameball'], *HEADERS['believe']]))}):\n +- (.*)$",
            text,
            re.MULTILINE,
        )
        assert set(values) == {"REDACTED"}
        assert not re.search(r"authorization|cookie", text, re.IGNORECASE)
