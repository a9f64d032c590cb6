"""From a connection to an account: keys, address, shared pace, and the Test button."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import EntryPoint

import batchstatus.engines.airflow
import pytest
from airflow.models.connection import Connection
from airflow_home import connection
from batchstatus import Account, BatchState, ConfigurationError, Gameball, Secret
from batchstatus.engines.airflow import BelieveHook, GameballHook, clients, hooks, provider
from batchstatus.vendors import Vendors
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


class Shop(Gameball):
    """A vendor of a third party, with a key of its own name and a setting."""

    vendor = "shop"
    KEY_HEADERS = {"token": "x-token"}  # noqa: RUF012
    SETTINGS = {"project": None}  # noqa: RUF012

    def __init__(self, token, *, project, **options):
        Account.__init__(self, Secret("Shop's token", token), settings={"project": project}, **options)


def test_every_vendor_has_a_hook(monkeypatch):
    """Those of other packages, too, with a connection type whose form has their settings."""
    found = Vendors(lambda: [EntryPoint("shop", f"{__name__}:Shop", "batchstatus.vendors")])
    for module in (hooks, provider):
        monkeypatch.setattr(module, "VENDORS", found)
    (kind,) = provider.get_provider_info()["connection-types"]
    assert (kind["connection-type"], kind["hook-class-name"]) == ("shop", "batchstatus.engines.airflow.ShopHook")
    assert kind["conn-fields"].keys() == {"project", "pace_conn_id"}
    fields = {"conn_type": "shop", "password": "test-token", "extra": {"project": "acme"}}
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps(fields))
    with batchstatus.engines.airflow.ShopHook(shop_conn_id="c").get_conn() as client:
        (account,) = client._accounts.values()
    assert (account.vendor, account.settings) == ("shop", {"project": "acme"})
    monkeypatch.setenv("AIRFLOW_CONN_C", json.dumps(fields | {"extra": {}}))
    is_good, said = batchstatus.engines.airflow.ShopHook("c").test_connection()
    assert (is_good, said) == (False, "the connection 'c' lacks project: set its extra field 'project'")
    with pytest.raises(TypeError, match="takes shop_conn_id, not gameball_conn_id"):
        batchstatus.engines.airflow.ShopHook(gameball_conn_id="c")


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
