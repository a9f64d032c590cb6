"""Reads replayed from cassettes, with the network blocked.

Nobody here has an account at a vendor: `make record` records from the simulator, under the vendors' own host names,
and every cassette says so (`server: batchstatus-simulator`). `LIVE=1 make record` records from the vendors what a
real account can show; see docs/how-to/record.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpcore
import pytest
import recording
import vcr as vcrpy
from batchstatus import (
    AuthenticationError,
    BatchClient,
    BatchNotFound,
    BatchRef,
    BatchState,
    BatchStatusError,
    Believe,
    Gameball,
    PermissionDenied,
)
from batchstatus.testing import FakeClock
from batchstatus.testing.simulator import Quirk, Simulator
from batchstatus.testing.simulator.believe import BELIEVE_KEY, BELIEVE_KEY_WITHOUT_SCOPE
from batchstatus.testing.simulator.gameball import GAMEBALL_KEY, GAMEBALL_SECRET, GameballQuirk
from batchstatus.testing.vcr import PATCHES
from raw_server import response, serving

CASSETTES = Path(__file__).parent / "cassettes"
LIVE = bool(os.environ.get("LIVE"))
UUID = "550e8400-e29b-41d4-a716-446655440000"
WRONG_KEY = "test-wrong-key"
SECRETS = {GAMEBALL_KEY, GAMEBALL_SECRET, BELIEVE_KEY, BELIEVE_KEY_WITHOUT_SCOPE, WRONG_KEY}

simulated = pytest.mark.skipif(LIVE, reason="only the simulator can be put into this state")


class Stage:
    """Where a scenario plays: the simulator or the vendors while it is recorded, its cassette afterwards."""

    def __init__(self, simulator: Simulator | None, clock: FakeClock) -> None:
        self.simulator = simulator
        self.clock = clock

    def add(self, vendor: str, batch_id: str, **fields) -> BatchRef:
        if self.simulator is not None:
            return self.simulator.add(vendor, id=batch_id, **fields)
        return BatchRef(vendor, os.environ.get(f"LIVE_{vendor}_BATCH".upper(), batch_id) if LIVE else batch_id)

    def gameball(self, api_key: str = GAMEBALL_KEY, secret_key: str = GAMEBALL_SECRET) -> Gameball:
        if LIVE and api_key == GAMEBALL_KEY:
            return Gameball(os.environ["GAMEBALL_API_KEY"], os.environ["GAMEBALL_SECRET_KEY"])
        return Gameball(api_key, secret_key, base_url=self.simulator and self.simulator.url, rate_limit=None)

    def believe(self, api_key: str = BELIEVE_KEY) -> Believe:
        if LIVE and api_key == BELIEVE_KEY:
            return Believe(os.environ["BELIEVE_API_KEY"])
        return Believe(api_key, base_url=self.simulator and self.simulator.url, rate_limit=None)


@pytest.fixture
def stage(pytestconfig: pytest.Config) -> Iterator[Stage]:
    clock = FakeClock()
    if LIVE or pytestconfig.getoption("--record-mode") != "rewrite":
        yield Stage(None, clock)
    else:
        with Simulator(clock=clock.monotonic, epoch=clock.utc()) as simulator:
            yield Stage(simulator, clock)


@pytest.fixture
def vcr_config(stage: Stage) -> dict:
    secrets = SECRETS | {os.environ[name] for name in os.environ if name.endswith("_KEY") and LIVE}
    origins = {}
    if stage.simulator is not None:
        # Both vendors' simulated APIs share an origin; their paths tell them apart.
        for account in (Gameball(GAMEBALL_KEY, GAMEBALL_SECRET), Believe(BELIEVE_KEY)):
            shown = account.request(account.EXAMPLE_ID).url.partition(account.EXAMPLE_ID)[0]
            origins[shown.replace(account.BASE_URL, stage.simulator.url)] = shown
    return recording.options(secrets=secrets, origins=origins)


@pytest.fixture
def vcr_cassette_dir() -> str:
    return str(CASSETTES)


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    """One cassette for both clients: they have to send the same."""
    name = request.node.originalname.removeprefix("test_")
    if request.config.getoption("--record-mode") == "rewrite":
        # The plugin takes the old one away under its serializer's suffix, and would add to this one.
        (CASSETTES / f"{name}.yaml").unlink(missing_ok=True)
    return name


@pytest.fixture(autouse=True)
def all_played(request: pytest.FixtureRequest) -> Iterator[None]:
    """A scenario that sends less than was recorded has changed, too."""
    yield
    if request.node.get_closest_marker("vcr") and request.config.getoption("--record-mode") != "rewrite":
        assert request.getfixturevalue("vcr").all_played


@pytest.mark.vcr
def test_a_gameball_batch_is_read(reader, stage):
    ref = stage.add("gameball", "1748392", status="completed", total=5, failed=2)
    batch = reader(stage.gameball()).get(ref)
    assert batch.ref == ref
    assert batch.vendor_status
    if not LIVE:
        assert (batch.state, batch.is_partial, batch.counts.failed) == (BatchState.SUCCEEDED, True, 2)


@pytest.mark.vcr
def test_a_believe_batch_is_read(reader, stage):
    ref = stage.add("believe", UUID, status="EXECUTED")
    batch = reader(stage.believe()).get(ref)
    assert batch.ref == ref
    assert batch.vendor_status
    if not LIVE:
        assert (batch.state, batch.counts.succeeded, len(batch.results)) == (BatchState.SUCCEEDED, 8, 2)


@pytest.mark.vcr
def test_an_unknown_gameball_batch_is_not_found(reader, stage):
    with pytest.raises(BatchNotFound):
        reader(stage.gameball()).get("gameball:999999999")


@pytest.mark.vcr
def test_an_unknown_believe_batch_is_not_found(reader, stage):
    with pytest.raises(BatchNotFound):
        reader(stage.believe()).get("believe:00000000-0000-4000-8000-000000000404")


@pytest.mark.vcr
def test_a_wrong_gameball_key_is_refused(reader, stage):
    with pytest.raises(AuthenticationError):
        reader(stage.gameball(WRONG_KEY, WRONG_KEY)).get("gameball:1748392")


@pytest.mark.vcr
def test_a_wrong_believe_key_is_refused(reader, stage):
    with pytest.raises(AuthenticationError):
        reader(stage.believe(WRONG_KEY)).get(f"believe:{UUID}")


@simulated
@pytest.mark.vcr
def test_a_believe_key_without_scope_is_denied(reader, stage):
    with pytest.raises(PermissionDenied):
        reader(stage.believe(BELIEVE_KEY_WITHOUT_SCOPE)).get(f"believe:{UUID}")


@simulated
@pytest.mark.vcr
def test_a_batch_in_the_tutorials_shape_is_read(reader, stage):
    ref = stage.add("gameball", "123456", status="running", total=4, quirks=[GameballQuirk.TUTORIAL_SHAPE])
    batch = reader(stage.gameball()).get(ref)
    assert (batch.state, batch.counts.succeeded, batch.progress) == (BatchState.RUNNING, 2, 0.5)


@simulated
@pytest.mark.vcr
def test_a_batch_is_read_until_it_has_ended(reader, stage):
    ref = stage.add("gameball", "1748393", seconds=10, total=10)
    client, seen = reader(stage.gameball(), clock=stage.clock), []
    for _ in range(3):
        seen.append(client.get(ref).state)
        stage.clock.sleep(5)
    assert seen == [BatchState.PENDING, BatchState.RUNNING, BatchState.SUCCEEDED]


@simulated
@pytest.mark.vcr
def test_a_full_rate_is_waited_for(reader, stage):
    ref = stage.add("believe", UUID, status="FINALIZED", quirks=[Quirk.RETRY_AFTER])
    client = reader(stage.believe(), clock=stage.clock)
    assert [client.get(ref).attempts for _ in range(11)] == [1] * 10 + [2]


@pytest.mark.parametrize("path", sorted(CASSETTES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_cassette_holds_no_key(path):
    """A cassette holds no key and says where it comes from."""
    text = path.read_text(encoding="utf-8")
    assert not [secret for secret in SECRETS if secret in text]
    assert "127.0.0.1" not in text
    if not LIVE:
        assert text.count("batchstatus-simulator") == text.count("uri: ") > 0
    for interaction in recording.LiteralYAML.deserialize(text)["interactions"]:
        keys = {name: value for name, value in interaction["request"]["headers"].items() if name != "accept"}
        assert keys
        assert all(value == [recording.REDACTED] for value in keys.values())


def recorder(**options) -> vcrpy.VCR:
    made = vcrpy.VCR(**recording.options(**options), custom_patches=PATCHES)
    made.register_serializer("literal", recording.LiteralYAML)
    made.register_matcher("keys", recording.same_keys)
    return made


def test_an_echoed_key_is_not_recorded(tmp_path):
    """A key that a vendor echoes in its body is not recorded."""
    with serving(lambda _: [response(f'{{"error": "no key {BELIEVE_KEY}"}}'.encode(), "401 Unauthorized")]) as server:
        account = Believe(BELIEVE_KEY, base_url=server.url)
        cassette = recorder(secrets=SECRETS).use_cassette(tmp_path / "echo.yaml")
        with cassette, BatchClient(account) as client, pytest.raises(AuthenticationError):
            client.get("believe:1")
    text = (tmp_path / "echo.yaml").read_text()
    assert "no key REDACTED" in text
    assert BELIEVE_KEY not in text


def test_a_cassette_with_a_key_is_not_written(tmp_path):
    """Here the key comes back in a header that is kept.

    The cassette is saved by hand: where saving raises on the way out of its context, VCR stays patched in.
    """
    with serving(lambda _: [response(b'{"error": "ERR_X"}', "401 Unauthorized", x_request_id=BELIEVE_KEY)]) as server:
        tape = recorder(secrets=SECRETS).use_cassette(tmp_path / "echo.yaml", record_on_exception=False)
        account = Believe(BELIEVE_KEY, base_url=server.url)

        def record():
            with tape as cassette, BatchClient(account) as client:
                with pytest.raises(AuthenticationError):
                    client.get("believe:1")
                cassette._save()

        with pytest.raises(AssertionError, match="about to be written"):
            record()
    assert not (tmp_path / "echo.yaml").exists()
    assert not hasattr(httpcore.ConnectionPool, "cassette")


def test_a_client_without_key_gets_no_replay(tmp_path, monkeypatch):
    """A client that sends no key is not answered from a cassette."""
    with Simulator() as simulator, recorder().use_cassette(tmp_path / "keys.yaml"):
        ref = simulator.add("believe", status="EXECUTED")
        with BatchClient(*simulator.accounts()) as client:
            client.get(ref)
    account = Believe(BELIEVE_KEY, base_url=simulator.url)
    monkeypatch.setattr(Believe, "KEY_HEADERS", {"api_key": "x-other-header"})
    with recorder().use_cassette(tmp_path / "keys.yaml", record_mode="none"), BatchClient(account) as client:
        with pytest.raises(Exception, match="closest differ in same_keys") as caught:
            client.get(ref)
        assert not isinstance(caught.value, BatchStatusError)
