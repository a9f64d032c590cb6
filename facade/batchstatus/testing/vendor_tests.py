"""The tests that every vendor passes: this package's own, and a third party's.

    from batchstatus.testing.vendor_tests import VendorTests

    class TestShop(VendorTests):
        vendor = SimulatedShop()

They need pytest, the extra `simulator`, and an environment in which the vendor is installed. They ask
loopback only, and do not depend on the machine's speed.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import os
import pickle
import socketserver
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import pytest

import batchstatus
from batchstatus import (
    Account,
    APIError,
    AsyncBatchClient,
    AuthenticationError,
    BadRequest,
    Batch,
    BatchClient,
    BatchNotFound,
    BatchRef,
    BatchState,
    BatchStatusError,
    ConfigurationError,
    InvalidResponse,
    PaceState,
    PermissionDenied,
    RateLimited,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    TransportError,
    WaitTimeout,
)
from batchstatus.service import Store, Watcher
from batchstatus.vendors import VENDORS

from .fake_vendors import FakeVendors
from .script import refusal
from .simulator.model import Quirk, SimulatedBatch, SimulatedVendor, simulated, word_for
from .simulator.server import Simulator

ONCE: dict[str, Any] = {"retry": RetryPolicy(attempts=1)}
NOON = datetime(2025, 1, 27, 12, tzinfo=UTC)
IDS = ("a b", "a/b", "a?b=c", "a#b", "a%2fb", "a&b;c", "a..b", "ü", "a\\b", "a+b", "@:a")
"""Ids that a careless path would send elsewhere."""
NOT_A_BATCH = (
    b"", b" ", b"{", b"[]", b"null", b"3", b'"done"', b"<html></html>", b"{}", b'{"status": null}', b'{"status": {}}',
    b"\xff\xfe", b"[" * 100_000, b'{"status": "a"', b'[{"status": "a"}]',
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, "", " ", "a text", True, -1, 1.5, 10**30, 1e308, float("nan"), [], [None], [[]], {}, {"a": 1}, [{"a": [1]}],
)  # fmt: skip
"""Values that no field should have, or most should not."""
BAD_ENDS = (BatchState.FAILED, BatchState.CANCELLED)
PLANTED = "test-planted"


def attempt(client: Any, method: str, *given: Any, **options: Any) -> Any:
    """Return what a method of a client of either kind gives, or an error of this package; others are raised."""

    async def call() -> Any:
        async with client:
            return await getattr(client, method)(*given, **options)

    try:
        if isinstance(client, AsyncBatchClient):
            return asyncio.run(call())
        with client:
            return getattr(client, method)(*given, **options)
    except BatchStatusError as error:
        return error


def put(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of a body with another value of a field."""
    changed = copy.deepcopy(body)
    *holders, name = path.split(".")
    inner = changed
    for holder in holders:
        if not isinstance(inner.get(holder), dict):
            inner[holder] = {}
        inner = inner[holder]
    inner[name] = value
    return changed


@contextmanager
def serving(answer: Callable[[bytes], bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Serve what a function makes of a request's head, byte for byte; give the address and the heads so far.

    An answer of no bytes comes never, until the block ends; every other one is the last on its connection.
    """
    heads: list[bytes] = []
    over = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline(65536)
                if not line:
                    return
                head += line
            heads.append(head)
            sent = answer(head)
            if not sent:
                over.wait()
            self.wfile.write(sent)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Do nothing: a client may hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", heads
        finally:
            over.set()
            server.shutdown()
            thread.join()


def response(status: int, body: bytes, **headers: str) -> bytes:
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status} Simulated", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class OfVendor:
    """The vendor that is tested, and what its tests share."""

    vendor: ClassVar[SimulatedVendor]

    @property
    def kind(self) -> type[Account]:
        """The class of its accounts."""
        return self.vendor.ACCOUNT

    @property
    def ref(self) -> BatchRef:
        """The ref that its examples have."""
        return BatchRef(self.vendor.name, self.kind.EXAMPLE_ID)

    def words(self, *, terminal: bool) -> list[str]:
        """Return the words that mean an end, or those that do not."""
        return [word for word, state in self.kind.WORDS.items() if state.is_terminal is terminal]

    def body(self, state: BatchState = BatchState.SUCCEEDED, *, id: str = "", failed: int = 1) -> dict[str, Any]:  # noqa: A002 (the field's name)
        """Return a status body of the example, whose items have all been done if it has ended."""
        word, batch_id = word_for(self.kind, state), id or self.ref.id
        batch = SimulatedBatch(vendor=self.vendor.name, id=batch_id, status=word, total=5, failed=failed)
        _, share = self.vendor.phase(batch, 0.0)
        return self.vendor.status_body(batch, word, share, NOON)

    def get(self, step: Any) -> list[Batch | BatchStatusError]:
        """Return what both clients make of an answer: a step of a script."""
        vendors = FakeVendors(vendors=[self.vendor])
        vendors.script(self.ref, step)
        return [attempt(make(**ONCE), "get", self.ref) for make in (vendors.client, vendors.async_client)]

    def ask(self, account: Account, ref: BatchRef, timeout: float = 30.0) -> list[Batch | BatchStatusError]:
        """Return what both clients make of a server's answer."""
        clients = BatchClient(account, **ONCE), AsyncBatchClient(account, **ONCE)
        return [attempt(client, "get", ref, timeout=timeout) for client in clients]


def is_fit(batch: Batch) -> bool:
    """Return whether a batch can be stored, sent and read again."""
    told = batch.to_dict()
    return (
        json.loads(json.dumps(told))["ref"] == str(batch.ref)
        and Batch.from_dict(told).to_dict() == told
        and pickle.loads(pickle.dumps(batch)).to_dict() == told  # noqa: S301 (our own)
        and all(isinstance(problem, str) and problem.isprintable() for problem in batch.problems)
    )


class ReadingTests(OfVendor):
    """A body becomes a batch, and an error body an error."""

    def test_the_vendor_is_registered(self) -> None:
        assert self.vendor.name in VENDORS, "install the vendor's package, with its entry point"
        assert VENDORS[self.vendor.name] is self.kind
        assert type(simulated(self.kind)) is type(self.vendor)

    def test_the_tables_are_complete(self) -> None:
        """There are words for an open batch and both ends, and a code and a message of errors."""
        states = {*self.kind.WORDS.values()}
        assert BatchState.SUCCEEDED in states
        assert not states.isdisjoint(BAD_ENDS)
        assert not all(state.is_terminal for state in states)
        assert self.kind.ERROR_FIELDS["code"]
        assert self.kind.ERROR_FIELDS["message"]
        assert self.kind.STATUS_FIELD in self.kind.FIELDS
        assert self.kind.PROBE_ID != self.kind.EXAMPLE_ID
        assert self.vendor.account(None).base_url.startswith("https://")

    def test_a_word_is_its_state(self) -> None:
        for word, state in self.kind.WORDS.items():
            for spelled in {word, word.upper(), word.lower()}:
                for batch in self.get(spelled):
                    assert isinstance(batch, Batch)
                    assert (batch.state, batch.vendor_status) == (state, spelled)
                    assert is_fit(batch)

    def test_an_unknown_word_is_no_end(self) -> None:
        for batch in self.get("a new word"):
            assert isinstance(batch, Batch)
            assert (batch.state, batch.is_terminal) == (BatchState.UNKNOWN, False)

    def test_counts_are_those_of_the_body(self) -> None:
        """Or None, if the vendor has none."""
        for batch in self.get(self.body(failed=2)):
            assert isinstance(batch, Batch)
            found = batch.counts
            assert found.total in {None, 5}
            assert found.processed in {None, 5}
            assert found.succeeded in {None, 3}
            assert found.failed in {None, 2}
            assert batch.progress in {None, 1.0}
            assert batch.problems == ()

    def test_an_id_cannot_change_the_route(self) -> None:
        account = self.vendor.account("http://127.0.0.1:9/base")
        for batch_id in (*IDS, self.kind.EXAMPLE_ID, self.kind.PROBE_ID):
            url = urlsplit(account.request(batch_id).url)
            assert (url.scheme, url.netloc, url.path[:6]) == ("http", "127.0.0.1:9", "/base/")
            assert self.vendor.asked(url.path) == batch_id
            assert (url.query, url.fragment) == (urlsplit(account.request("1").url).query, "")

    def test_an_answer_about_another_batch_is_refused(self) -> None:
        """If the vendor tells the id."""
        is_told = self.kind.ID_FIELD in self.kind.FIELDS
        for outcome in self.get(self.body(id=self.vendor.new_id(770))):
            assert isinstance(outcome, InvalidResponse if is_told else Batch)

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, BadRequest),
            (401, AuthenticationError),
            (403, PermissionDenied),
            (404, BatchNotFound),
            (422, BadRequest),
            (429, RateLimited),
            (500, ServerError),
            (503, ServerError),
        ],
    )
    def test_an_error_is_that_of_its_status(self, status: int, kind: type[APIError]) -> None:
        """The vendor's own refusal has its code, and need not be tried again."""
        for error in self.get(status):
            assert isinstance(error, kind)
            assert error.status_code == status
            assert error.is_retryable is (status == 429 or status >= 500)
            assert error.is_retryable or error.code

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_a_page_is_not_the_vendors_own_refusal(self, status: int) -> None:
        """It may come from anything in between."""
        for error in self.get(refusal(status, payload=b"<html>No</html>")):
            assert isinstance(error, APIError)
            assert (error.code, error.is_retryable) == (None, True)


class HostileTests(OfVendor):
    """Whatever a server sends, a caller gets a batch or an error of this package."""

    def test_an_odd_detail_costs_no_state(self) -> None:
        """Each field that is read, with each odd value, in turn."""
        body = self.body()
        (right, _) = self.get(body)
        assert isinstance(right, Batch)
        for path in self.kind.FIELDS:
            for value in ODD:
                for outcome in self.get(put(body, path, value)):
                    if isinstance(outcome, Batch):
                        assert self.holds(path, self.kind.STATUS_FIELD) or outcome.state is right.state, (path, value)
                        assert is_fit(outcome), (path, value)
                    else:
                        needed = (self.kind.STATUS_FIELD, self.kind.ID_FIELD)
                        assert any(self.holds(path, one) for one in needed), (path, value, outcome)
                        assert isinstance(outcome, InvalidResponse)

    @staticmethod
    def holds(path: str, field: str) -> bool:
        """Return whether a field is another one, or an object with it."""
        return f"{field}.".startswith(f"{path}.")

    def test_what_is_not_a_batch_is_told(self) -> None:
        for body in NOT_A_BATCH:
            for error in self.get(body):
                assert isinstance(error, InvalidResponse), body
                assert str(error).isprintable()

    def test_an_odd_error_is_one_of_its_status(self) -> None:
        names = [path for of_field in self.kind.ERROR_FIELDS.values() for path in of_field]
        for status, kind in ((401, AuthenticationError), (404, BatchNotFound), (500, ServerError)):
            good = self.vendor.error_body(status)
            outer = [path.split(".")[0] for path in names]
            bodies: list[Any] = [put(good, path, value) for path in (*names, *outer) for value in ODD]
            for body in (*bodies, *NOT_A_BATCH):
                for error in self.get(refusal(status, payload=body)):
                    assert isinstance(error, APIError), body
                    assert isinstance(error, kind) or error.code in self.kind.ERRORS, body
                    assert str(error).isprintable()

    @pytest.mark.parametrize(
        "sent",
        [
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", id="cut short"),
            pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", id="in the headers"),
            pytest.param(b"garbage\r\n\r\n", id="garbage"),
            pytest.param(b"\r\n", id="a line"),
        ],
    )
    def test_a_broken_answer_is_a_failed_read(self, sent: bytes) -> None:
        with serving(lambda _: sent) as (url, _):
            for error in self.ask(self.vendor.account(url), self.ref):
                assert isinstance(error, (TransportError, InvalidResponse))

    def test_no_answer_is_a_timeout(self) -> None:
        with serving(lambda _: b"") as (url, _):
            for error in self.ask(self.vendor.account(url), self.ref, timeout=0.5):
                assert isinstance(error, RequestTimeout)


class SecretTests(OfVendor):
    """A key shows nowhere, and goes nowhere but to the account's own address."""

    def keys(self) -> dict[str, str]:
        """Return a key to look for, for each parameter."""
        return {name: f"{PLANTED}-{name}/123456=+" for name in self.kind.KEY_HEADERS}

    def make(self, **keys: str) -> Account:
        """Return an account with these keys."""
        make: Callable[..., Account] = self.kind
        return make(**keys, **self.vendor.SETTINGS)

    def forms(self, account: Account) -> set[str]:
        """Return all that a key could show as."""
        sent = account.request("1").keys.values()
        alone = (value.partition(" ")[2].rstrip("=") for value in sent)  # without a scheme, if there is one
        texts = {text for text in (*self.keys().values(), *sent, *alone) if text}
        return {PLANTED, *texts, *(quote(text, safe="") for text in texts)}

    def shown(self, outcome: Batch | BatchStatusError) -> str:
        """Return all faces of an outcome, the local variables of our frames and the vendor's included."""
        if isinstance(outcome, Batch):
            faces = outcome.payload, outcome.raw, outcome.problems, json.dumps(outcome.to_dict())
            return f"{outcome!r} {faces} {pickle.dumps(outcome)!r}"
        told = traceback.TracebackException.from_exception(outcome, capture_locals=True)
        ours = (str(Path(batchstatus.__file__).parent), str(Path(sys.modules[self.kind.__module__].__file__ or "")))
        found = [str(outcome), repr(outcome), repr(vars(outcome)), str(pickle.dumps(outcome))]
        while told is not None:
            frames = [frame for frame in told.stack if frame.filename.startswith(ours) and frame.filename != __file__]
            found += [str(told), *(text for frame in frames for text in (frame.locals or {}).values())]
            told = told.__cause__ or told.__context__  # type: ignore[assignment]
        return " ".join(found)

    def test_an_account_shows_no_key(self) -> None:
        account = self.vendor.account("http://127.0.0.1:9", **self.keys())
        shown = f"{account!r} {account} {account.request('1')!r} {account.credential} {account.pace_name('salt' * 5)}"
        assert not any(form in shown for form in self.forms(account))
        with pytest.raises(TypeError) as caught:
            pickle.dumps(account)
        assert PLANTED not in str(caught.value)

    @pytest.mark.parametrize("end", ["\n", " ", "\x00", "ü"])
    def test_a_key_that_cannot_be_sent_is_not_shown(self, end: str) -> None:
        """Neither in the error nor in the local variables of the frames that it comes through."""
        for name in self.kind.KEY_HEADERS:
            keys = self.keys()
            keys[name] += end
            with pytest.raises(ConfigurationError) as caught:
                self.make(**keys)
            assert keys[name].strip() not in self.shown(caught.value)

    @pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
    def test_an_echoed_key_is_hidden(self, status: int, caplog: pytest.LogCaptureFixture) -> None:
        """The key alone, with its scheme, in the header as it was sent, and each of them in other spellings."""
        caplog.set_level(logging.DEBUG, "batchstatus")
        plain = self.body() if status == 200 else self.vendor.error_body(status)
        message = self.kind.ERROR_FIELDS["message"][0]
        forms = self.forms(self.vendor.account("http://127.0.0.1:9", **self.keys())) - {PLANTED}

        def answer(head: bytes) -> bytes:
            told = " ".join([*(f"<{form}>" for form in sorted(forms)), head.decode().replace("\r\n", " ")])
            body = put(plain, message if status != 200 else "echo", told)
            return response(status, json.dumps(body | {"more": [{told: told}]}).encode(), **{"x-request-id": told})

        with serving(answer) as (url, heads):
            for outcome in self.ask(self.vendor.account(url, **self.keys()), self.ref):
                assert isinstance(outcome, Batch if status == 200 else APIError)
                shown = self.shown(outcome) + caplog.text
                assert "[hidden]" in shown
                assert [form for form in self.forms(self.vendor.account(url, **self.keys())) if form in shown] == []
        assert len(heads) == 2

    def test_a_redirect_takes_no_key_along(self) -> None:
        with serving(lambda _: response(200, b"{}")) as (trap, trapped):
            moved = response(302, b"", location=f"{trap}/elsewhere")
            with serving(lambda _: moved) as (url, heads):
                for error in self.ask(self.vendor.account(url, **self.keys()), self.ref):
                    assert isinstance(error, InvalidResponse)
            assert len(heads) == 2
        assert trapped == []


class WaitingTests(OfVendor):
    """A wait ends if the batch has, and not before."""

    def wait(self, *steps: Any, timeout: float = 900.0) -> list[tuple[Batch | BatchStatusError, FakeVendors]]:
        """Return what a wait of either client comes to, and the vendors with their clock."""
        found = []
        for kind in ("client", "async_client"):
            vendors = FakeVendors(vendors=[self.vendor])
            vendors.script(self.ref, *steps)
            found.append((attempt(getattr(vendors, kind)(), "wait", self.ref, timeout=timeout), vendors))
        return found

    def test_a_wait_gets_through_trouble(self) -> None:
        is_open, done = self.words(terminal=False)[0], word_for(self.kind, BatchState.SUCCEEDED)
        story = (is_open, is_open, 503, refusal(429, retry_after=7), refusal(502, payload=b"<html>"), done)
        for batch, vendors in self.wait(*story):
            assert isinstance(batch, Batch)
            assert (batch.state, len(vendors.reads)) == (BatchState.SUCCEEDED, len(story))
            assert vendors.clock.now >= 7

    def test_every_end_ends_a_wait(self) -> None:
        for word in self.words(terminal=True):
            for batch, vendors in self.wait(self.words(terminal=False)[0], word):
                assert isinstance(batch, Batch)
                assert (batch.vendor_status, len(vendors.reads)) == (word, 2)

    def test_no_other_word_ends_a_wait(self) -> None:
        for word in (*self.words(terminal=False), "a new word"):
            for error, vendors in self.wait(word, timeout=60.0):
                assert isinstance(error, WaitTimeout)
                assert error.last is not None
                assert (error.last.vendor_status, vendors.clock.now) == (word, 60.0)
                assert json.loads(json.dumps(error.checkpoint))["ref"] == str(self.ref)

    def test_a_wait_goes_on_from_its_checkpoint(self) -> None:
        vendors = FakeVendors(vendors=[self.vendor])
        vendors.script(self.ref, self.words(terminal=False)[0])
        with vendors.client() as client, pytest.raises(WaitTimeout) as caught:
            client.wait(self.ref, timeout=5.0)
        later = FakeVendors(vendors=[self.vendor])
        later.script(self.ref, word_for(self.kind, *BAD_ENDS))
        with later.client() as client:
            assert client.wait(self.ref, resume=caught.value.checkpoint).state in BAD_ENDS

    def test_the_pace_keeps_the_limits(self) -> None:
        """Those of the simulated vendor: reads are spaced evenly."""
        assert (self.kind.RATE_LIMIT is None) == (not self.vendor.LIMITS)
        for most, span in self.vendor.LIMITS:
            assert self.kind.RATE_LIMIT is not None
            assert PaceState.of_limit(self.kind.RATE_LIMIT).spacing * most >= span


class StoreTests(OfVendor):
    """The service stores and delivers what a vendor's batches do."""

    def test_a_change_is_stored_and_delivered_once(self, tmp_path: Path) -> None:
        path, delivered = tmp_path / "store.db", []

        def deliver(change: Any) -> None:
            delivered.append((str(change.ref), change.kind))

        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            ended = simulator.add(self.vendor.name, status=word_for(self.kind, BatchState.SUCCEEDED), total=5, failed=2)
            is_open = simulator.add(self.vendor.name, status=self.words(terminal=False)[0])
            with Store(path) as store:
                assert store.track([ended, is_open], {"kind": "test"}) == 2
                asyncio.run(Watcher(store, simulator.accounts(), deliver=deliver).once(timeout=30.0))
                asyncio.run(Watcher(store, simulator.accounts(), deliver=deliver).once(timeout=30.0))
        with Store(path) as store:
            found = {tracked.ref: tracked for tracked in store.tracked()}
            assert [tracked.ref for tracked in store.tracked(open_only=True)] == [is_open]
            assert found.keys() == {ended, is_open}
            assert [change.kind for change in store.history(ended)] == ["ended"]
        assert delivered.count((str(ended), "ended")) == 1

    def test_a_store_holds_no_key(self, tmp_path: Path) -> None:
        keys = {name: f"{PLANTED}-{name}-0123456789" for name in self.kind.KEY_HEADERS}
        answer = response(401, json.dumps(self.vendor.error_body(401)).encode())
        with serving(lambda _: answer) as (url, _), Store(tmp_path / "store.db") as store:
            store.track([self.ref])
            asyncio.run(Watcher(store, [self.vendor.account(url, **keys)]).once(timeout=30.0))
        assert not any(PLANTED.encode() in path.read_bytes() for path in tmp_path.iterdir())


class CommandLineTests(OfVendor):
    """The command line knows the vendor."""

    @pytest.fixture
    def environ(self, tmp_path: Path) -> dict[str, str]:
        """Return the environment of a user with no accounts and no files."""
        keep = ("PATH", "LANG", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")
        return {name: os.environ[name] for name in keep if name in os.environ} | {"HOME": str(tmp_path)}

    def run(self, environ: dict[str, str], *arguments: object, code: int | None = 0) -> str:
        """Return what a command says; it has to end with the code."""
        command = [sys.executable, "-m", "batchstatus.cli", *map(str, arguments)]
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        assert code is None or ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def test_batches_are_read_and_waited_for(self, environ: dict[str, str]) -> None:
        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            environ |= simulator.environment()
            ref = simulator.add(self.vendor.name, status=word_for(self.kind, BatchState.SUCCEEDED))
            moving = simulator.add(self.vendor.name, seconds=0.5)
            found = json.loads(self.run(environ, "status", ref, "--output", "ndjson"))
            assert (found["ref"], found["state"]) == (str(ref), "succeeded")
            assert '"succeeded"' in self.run(environ, "wait", moving, "--timeout", "30s", "--output", "ndjson")

    def test_the_service_follows_them(self, environ: dict[str, str]) -> None:
        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            environ |= simulator.environment()
            ref = simulator.add(self.vendor.name, status=word_for(self.kind, *BAD_ENDS))
            self.run(environ, "track", "add", ref)
            assert '"ended"' in self.run(environ, "run", "--once", "--deliver", "-")
            assert str(ref) in self.run(environ, "history", ref, "--output", "ndjson")

    def test_doctor_proves_keys(self, environ: dict[str, str]) -> None:
        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            environ |= simulator.environment()
            said = self.run(environ, "doctor", "--output", "table")
            assert f"{self.vendor.name} access" in said
            assert f"{self.vendor.name} " in said[said.index("vendors") :]
            for name in self.kind.KEY_HEADERS:
                wrong = environ | {self.kind.variable(name): f"{PLANTED}-wrong"}
                said = self.run(wrong, "doctor", "--output", "table", code=None)
                assert "FAIL" in said
                assert PLANTED not in said

    def test_an_account_stands_in_the_configuration_file(self, environ: dict[str, str], tmp_path: Path) -> None:
        """Its keys in files of their own, under another name."""
        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            table = {"vendor": self.vendor.name, "name": "acme", "base_url": simulator.url, **self.vendor.SETTINGS}
            for name, key in self.vendor.KEYS.items():
                (tmp_path / name).write_text(key)
                table[f"{name}_file"] = str(tmp_path / name)
            lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
            (tmp_path / "config.toml").write_text("\n".join(["[[account]]", *lines]))
            ref = simulator.add(self.vendor.name, status=word_for(self.kind, BatchState.SUCCEEDED))
            named = f"{self.vendor.name}/acme:{ref.id}"
            assert '"succeeded"' in self.run(
                environ, "status", named, "--config", tmp_path / "config.toml", "--output", "ndjson"
            )

    def test_an_account_is_set_up(self, environ: dict[str, str], tmp_path: Path) -> None:
        """By `init`, from the environment or from options; then the file is enough."""
        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            ref = simulator.add(self.vendor.name, status=word_for(self.kind, BatchState.SUCCEEDED))
            files = []
            for name, key in self.vendor.KEYS.items():
                (tmp_path / name).write_text(key)
                files += ["--key-file", f"{name}={tmp_path / name}"]
            options = [word for name, value in self.vendor.SETTINGS.items() for word in ("--set", f"{name}={value}")]
            options += [*files, "--base-url", simulator.url]
            for number, (given, variables) in enumerate(
                ((["--from-env"], simulator.environment()), (options, dict[str, str]()))
            ):
                config = ["--config", tmp_path / f"{number}.toml"]
                self.run(environ | variables, "init", "--vendor", self.vendor.name, *given, *config)
                assert '"succeeded"' in self.run(environ, "status", ref, *config, "--output", "ndjson")

    def test_missing_keys_are_named(self, environ: dict[str, str]) -> None:
        said = self.run(environ, "status", self.ref, code=None)
        assert all(variable in said for variable in self.kind.environment_variables().values())


class SimulatorTests(OfVendor):
    """The simulated vendor does what the vendor documents."""

    def test_it_checks_every_key(self) -> None:
        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            ref = simulator.add(self.vendor.name)
            for name in self.kind.KEY_HEADERS:
                for error in self.ask(self.vendor.account(simulator.url, **{name: "test-another-key"}), ref):
                    assert isinstance(error, AuthenticationError)
                    assert error.code

    def test_a_check_proves_keys_without_a_batch(self) -> None:
        with Simulator(vendors=[self.vendor], limits=False) as simulator, BatchClient(*simulator.accounts()) as client:
            assert [check.error for check in client.check()] == [None]

    def test_an_unknown_batch_is_not_found(self) -> None:
        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            for error in self.ask(simulator.accounts()[0], self.ref):
                assert isinstance(error, BatchNotFound)
                assert error.code

    def test_ids_of_any_form_arrive(self) -> None:
        with Simulator(vendors=[self.vendor], limits=False) as simulator, BatchClient(*simulator.accounts()) as client:
            word = word_for(self.kind, BatchState.SUCCEEDED)
            for batch_id in (*IDS, *(self.vendor.new_id(number) for number in (1, 2))):
                ref = simulator.add(self.vendor.name, id=batch_id, status=word)
                assert client.get(ref).ref.id == batch_id

    def test_a_limit_is_kept(self) -> None:
        """With a clock that stands still."""
        for most, _ in sorted(self.vendor.LIMITS)[:1]:
            with (
                Simulator(vendors=[self.vendor], clock=lambda: 0.0) as simulator,
                BatchClient(*simulator.accounts(rate_limit=None), **ONCE) as client,
            ):
                ref = simulator.add(self.vendor.name, status=self.words(terminal=False)[0])
                assert all(client.get(ref) for _ in range(most))
                with pytest.raises(RateLimited):
                    client.get(ref)

    def test_a_batch_moves_to_its_end(self) -> None:
        """Through all its phases, on a clock that is moved by hand."""
        now = [0.0]
        with (
            Simulator(vendors=[self.vendor], limits=False, clock=lambda: now[0]) as simulator,
            BatchClient(*simulator.accounts()) as client,
        ):
            ref = simulator.add(self.vendor.name, seconds=100.0, total=10)
            states = []
            for now[0] in (0.0, 50.0, 99.0, 100.0, 1000.0):
                batch = client.get(ref)
                states.append(batch.state)
                assert batch.problems == ()
        words = self.vendor.words(())
        pending, running, succeeded = (
            self.kind.WORDS[word] for word in (words.pending, words.running, words.succeeded)
        )
        assert states == [pending, running, running, succeeded, succeeded]

    def test_samples_are_read_without_a_problem(self) -> None:
        with Simulator(vendors=[self.vendor], limits=False) as simulator, BatchClient(*simulator.accounts()) as client:
            assert self.vendor.SAMPLES
            for sample in self.vendor.SAMPLES:
                batch = client.get(simulator.add(self.vendor.name, **sample, seconds=0.0))
                assert batch.has_ended, f"SAMPLES are batches that end; {sample} stays {batch.vendor_status}"
                assert batch.problems == ()

    @pytest.mark.parametrize("quirk", Quirk)
    def test_common_quirks_are_lived_with(self, quirk: Quirk) -> None:
        """They cost a detail, or the read; never the truth."""
        word = word_for(self.kind, *BAD_ENDS)
        with Simulator(vendors=[self.vendor], limits=False) as simulator:
            ref = simulator.add(self.vendor.name, status=word, quirks=[quirk], failed=1)
            for outcome in self.ask(simulator.accounts()[0], ref):
                if quirk is Quirk.OUTAGE:
                    assert isinstance(outcome, ServerError)
                else:
                    assert isinstance(outcome, Batch)
                    assert outcome.state in BAD_ENDS
                    if quirk in {Quirk.FLOAT_COUNTS, Quirk.TEXT_COUNTS}:
                        assert outcome.counts.failed in {None, 1}


class VendorTests(ReadingTests, HostileTests, SecretTests, WaitingTests, StoreTests, CommandLineTests, SimulatorTests):
    """All of them."""
