"""From a connection to an account: keys, address, shared pace, and the Test button."""

from __future__ import annotations

import asyncio
import json

import pytest
from airflow.models.connection import Connection
from airflow_home import connection
from batchstatus import BatchState, ConfigurationError
from batchstatus.engines.airflow import BelieveHook, GameballHook, clients
from pace_servers import Postgres


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """A server of paces."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.end()


def test_a_hook_gives_a_client(simulator):
    ref = simulator.add("gameball", status="completed")
    with GameballHook().get_conn() as client:
        assert client.get(ref).state is BatchState.SUCCEEDED


def test_the_button_asks_the_vendor(simulator):
    assert GameballHook().test_connection() == (True, "Gameball accepts the keys")
    assert BelieveHook().test_connection() == (True, "Believe accepts the keys")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"password": "test-other-key"}, "HTTP 401", id="wrong"),
        pytest.param({"password": None}, "the connection 'c' lacks api_key: set its password", id="none"),
        pytest.param({"extra": {}}, "the connection 'c' lacks secret_key: set its extra field 'secret_key'", id="half"),
        pytest.param({"extra": "[1]"}, "the extra fields of the connection 'c' are not a JSON object", id="extra"),
        pytest.param({"conn_type": "believe"}, "the connection 'c' is of the type believe, not gameball", id="type"),
        pytest.param({"host": "api.example", "schema": "http"}, "would send keys unencrypted: use https", id="http"),
    ],
)
def test_the_button_says_what_is_wrong(simulator, monkeypatch, fields, message):
    """And shows no key."""
    good = json.loads(connection("gameball", simulator.url, "test-gameball-key", secret_key="test-gameball-secret"))
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps(good | fields))
    is_good, said = GameballHook("c").test_connection()
    assert not is_good
    assert message in said
    assert "test-gameball-key" not in said
    assert "test-other-key" not in said


def test_a_missing_connection_is_said():
    assert BelieveHook("nowhere").test_connection() == (False, "The conn_id `nowhere` isn't defined")


def test_the_buttons_detour_keeps_the_address(simulator, monkeypatch):
    """The API server hands a connection to the button as a URI."""
    kept = Connection(
        conn_id="c", conn_type="gameball", host=simulator.url, password="test-gameball-key",
        extra=json.dumps({"secret_key": "test-gameball-secret"}),
    )  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_C", kept.get_uri())
    assert GameballHook("c").test_connection() == (True, "Gameball accepts the keys")


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        pytest.param({}, "https://api.gameball.co", id="vendor"),
        pytest.param({"host": "https://api.example/base"}, "https://api.example/base", id="url"),
        pytest.param({"host": "api.example", "port": 8443}, "https://api.example:8443", id="port"),
        pytest.param({"host": "127.0.0.1", "port": 80, "schema": "http"}, "http://127.0.0.1:80", id="loopback"),
    ],
)
def test_the_address_is_the_vendors_or_the_hosts(monkeypatch, fields, url):
    keys = {"conn_type": "gameball", "password": "test-key", "extra": {"secret_key": "test-secret"}}
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps(keys | fields))
    with GameballHook("c").get_conn() as client:
        (account,) = client._accounts.values()
    assert account.base_url == url


def test_machines_share_a_pace(simulator, monkeypatch, postgres):
    """Workers and triggerers keep it in the database of the connection that `pace_conn_id` names."""
    import psycopg

    paces = {
        "conn_type": "postgres", "host": "127.0.0.1", "port": postgres.port, "login": "tester",
        "password": "test-secret", "schema": "postgres",
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_PACES", json.dumps(paces))
    key = simulator.environment()["BELIEVE_API_KEY"]
    monkeypatch.setenv("AIRFLOW_CONN_C", connection("believe", simulator.url, key, pace_conn_id="paces"))
    ref = simulator.add("believe", status="FAILED")

    async def read():
        async with clients.shared_client("c", ref, 30.0) as shared:
            return await shared.call(lambda client: client.get(ref))

    assert asyncio.run(read()).state is BatchState.FAILED
    with BelieveHook("c").get_conn() as client:
        assert client.get(ref).state is BatchState.FAILED
        (account,) = client._accounts.values()
    account.rate_limit.close()
    with psycopg.connect(postgres.url) as database:
        kept = database.execute("select * from batchstatus_paces").fetchall()
    assert len(kept) == 2  # the salt, and one pace for both
    assert key not in repr(kept)


def test_a_pace_that_cannot_be_had_is_said(simulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_PACES", json.dumps({"conn_type": "http", "host": "x", "password": "test-pass"}))
    monkeypatch.setenv("AIRFLOW_CONN_C", connection("believe", simulator.url, "test-key", pace_conn_id="paces"))
    with pytest.raises(ConfigurationError, match="a shared pace is written") as error:
        BelieveHook("c").get_conn()
    assert "test-pass" not in str(error.value)
