"""What vendors of other styles need: a scheme before a key, Basic, settings in the path, nested errors, epoch times."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from batchstatus import (
    Account,
    AccountOptions,
    AuthenticationError,
    BatchClient,
    BatchNotFound,
    BatchState,
    ConfigurationError,
    Counts,
    ErrorFields,
    RateLimit,
    Response,
    Secret,
    StatusFields,
    account_from_env,
    fields,
)
from batchstatus.testing import FakeVendors
from batchstatus.testing.simulator import Query, SimulatedVendor, Simulator
from batchstatus.testing.simulator.samples import add_samples

KEY, USER, PASSWORD = "test-planted-key/123+", "test-planted-user", "test-planted-pass=1"
TOKEN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Depot(Account):
    """Bearer, a project in the path, an optional setting in a header, nested errors, epoch times."""

    vendor = "de-pot"
    BASE_URL = "https://api.depot.example/base"
    KEY_HEADERS = {"api_key": "Authorization"}  # noqa: RUF012
    KEY_SCHEMES = {"Authorization": "Bearer"}  # noqa: RUF012
    SETTINGS = {"project": None, "version": "2024-01"}  # noqa: RUF012
    RATE_LIMIT = RateLimit(5)
    WORDS = {  # noqa: RUF012
        "validating": BatchState.PENDING,
        "cancelling": BatchState.RUNNING,
        "done": BatchState.SUCCEEDED,
        "expired": BatchState.FAILED,
    }
    ERRORS = {"no_key": AuthenticationError, "no_batch": BatchNotFound}  # noqa: RUF012
    ADVICE = {}  # noqa: RUF012
    ERROR_FIELDS = {"code": ("error.code", "error"), "message": ("error.message",), "request_id": ()}  # noqa: RUF012
    EXAMPLE_ID = "batch_1"
    PROBE_ID = "batch_0"

    def __init__(self, api_key, *, project, version=None, **options):
        super().__init__(
            Secret("Depot's api_key", api_key), settings={"project": project, "version": version}, **options
        )

    def raw_request(self, batch_id):
        path = f"/v1/projects/{quote(self.settings['project'], safe='')}/batches/{quote(batch_id, safe='')}"
        return self.authenticate({"url": path, "headers": {"x-version": self.settings["version"]}})

    def status_fields(self, body):
        found = Counts(total=fields.count(fields.at(body, "request_counts.total")))
        return StatusFields(
            id=body.get("id"),
            status=body["status"],
            counts=found,
            created_at=fields.epoch(body.get("created_at")),
            raw=None,
        )

    def error_fields(self, body):
        return ErrorFields(**fields.error(body, self.ERROR_FIELDS, self.ERRORS))


class Locker(Depot):
    """Basic, and the same path as Depot."""

    vendor = "locker"
    BASE_URL = "https://api.locker.example"
    KEY_HEADERS = {"user": "authorization", "password": "authorization"}  # noqa: RUF012
    KEY_SCHEMES = {"authorization": "Basic"}  # noqa: RUF012

    def __init__(self, user, password, *, project, version=None, **options):
        keys = Secret("Locker's user", user), Secret("Locker's password", password)
        Account.__init__(self, *keys, settings={"project": project, "version": version}, **options)


class Shelf(Locker):
    """Basic with a key as the user, and no password."""

    vendor = "shelf"
    KEY_HEADERS = {"api_key": "authorization"}  # noqa: RUF012

    def __init__(self, api_key, *, project, **options):
        Account.__init__(self, Secret("Shelf's api_key", api_key), settings={"project": project}, **options)


class SimulatedDepot(SimulatedVendor):
    ACCOUNT = Depot
    KEYS = {"api_key": KEY}  # noqa: RUF012
    SETTINGS = {"project": "acme corp"}  # noqa: RUF012
    LIMITS = ((5, 1.0),)
    RUNNING = BatchState.RUNNING
    OPTIONAL = ()
    SAMPLES = ({},)

    def new_id(self, number):
        return f"batch_{number}"

    def body(self, batch, status, share, epoch):
        counts = {"total": batch.total}
        return {"id": batch.id, "status": status, "created_at": int(epoch.timestamp()), "request_counts": counts}

    def error_body(self, status):
        return self.error(f"simulated_{status}", "Simulated")

    def refuse(self, query: Query):
        if any(self.key(query, name) != key for name, key in self.KEYS.items()):
            return 401, self.error("no_key", "No such key")
        if not query.known or query.settings != self.SETTINGS:
            return 404, self.error("no_batch", "No such batch")
        return None


class SimulatedLocker(SimulatedDepot):
    ACCOUNT = Locker
    KEYS = {"user": USER, "password": PASSWORD}  # noqa: RUF012


MODELS = [SimulatedDepot(), SimulatedLocker()]
DEPOT = Depot(KEY, project="acme corp")
LOCKER = Locker(USER, PASSWORD, project="p")


# Keys


@pytest.mark.parametrize(
    ("account", "value"),
    [
        pytest.param(DEPOT, f"Bearer {KEY}", id="bearer"),
        pytest.param(LOCKER, f"Basic {TOKEN}", id="user and password"),
        pytest.param(
            Shelf(KEY, project="p"), f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}", id="user alone"
        ),
    ],
)
def test_a_header_has_its_scheme(account, value):
    request = account.request("1")
    assert [*request.keys.values()] == [value]
    assert account.keys_in({name.lower(): value for name, value in request.keys.items()}) == {
        name: key.reveal() for name, key in zip(account.KEY_HEADERS, account._keys, strict=True)
    }
    assert not any(key in repr(request) + repr(account) for key in (KEY, USER, PASSWORD, TOKEN))


@pytest.mark.parametrize(
    "header", ["", "Bearer", f"Basic {TOKEN}", "Basic !", "Basic", "Basic /w==", KEY], ids=lambda text: text[:7]
)
def test_a_header_of_another_form_has_no_key(header):
    assert DEPOT.keys_in({"authorization": header}).get("api_key") in {None, ""}
    assert PASSWORD not in LOCKER.keys_in({"authorization": f"Bearer {header}"}).values()


def test_a_users_name_with_a_colon_is_refused():
    account = Locker("test:user", PASSWORD, project="p")
    with pytest.raises(ConfigurationError, match=r"^Locker's user holds a ':'") as caught:
        account.request("1")
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert PASSWORD not in shown
    assert "test:user" not in shown


def spellings(text):
    return [text, quote(text, safe=""), text.replace("/", "\\/")]


class Echo:
    """A transport that answers with one body, whatever is asked."""

    def __init__(self, status, body, **headers):
        self.response = Response(status=status, headers=headers, body=body.encode())

    def send(self, step, timeout):
        return self.response

    def discard_idle_connections(self): ...

    def close(self): ...


@pytest.mark.parametrize(
    ("account", "echoed"),
    [
        pytest.param(account, spelling, id=f"{account.vendor}-{number}")
        for account, texts in (
            (DEPOT, [KEY, f"Bearer {KEY}", f"bearer {KEY}"]),
            (LOCKER, [USER, PASSWORD, f"{USER}:{PASSWORD}", TOKEN, f"Basic {TOKEN}", TOKEN.rstrip("=")]),
        )
        for number, spelling in enumerate(spelling for text in texts for spelling in spellings(text))
    ],
)
@pytest.mark.parametrize("status", [200, 401])
def test_an_echoed_key_is_hidden(account, echoed, status, caplog):
    """The key alone, with its scheme, and of Basic the user, the password, both together, and their encoding."""
    caplog.set_level(logging.DEBUG, "batchstatus")
    body = (
        f'{{"id": "1", "status": "done", "note": "<{echoed}>", "error": {{"code": "no_key", "message": "<{echoed}>"}}}}'
    )
    with BatchClient(account, transport=Echo(status, body, **{"x-request-id": echoed})) as client:
        try:
            batch = client.get(f"{account.vendor}:1")
            shown = json.dumps(batch.payload) + repr(batch) + str(batch.request_id)
        except AuthenticationError as error:
            shown = f"{error} {error.message} {error.request_id}"
    assert "[hidden]" in shown
    secrets = {KEY, USER, PASSWORD, TOKEN.rstrip("=")}
    assert not any(text in shown + caplog.text for secret in secrets for text in (secret, quote(secret, safe="")))


def test_a_short_password_is_hidden_with_its_user():
    """Alone it could be an innocent word."""
    account = Locker(USER, "sesame", project="p")
    with BatchClient(account, transport=Echo(200, f'{{"id": "1", "status": "done", "a": "{USER}:sesame"}}')) as client:
        assert client.get("locker:1").payload["a"] == "[hidden]"


# Settings


def test_settings_are_parts_of_the_request():
    request = DEPOT.request("a/b")
    assert request.url == "https://api.depot.example/base/v1/projects/acme%20corp/batches/a%2Fb"
    assert request.headers == {"x-version": "2024-01"}
    assert repr(DEPOT) == (
        "Depot(project='acme corp', version='2024-01', base_url='https://api.depot.example/base', keys hidden)"
    )


@pytest.mark.parametrize("project", ["", " a", "a\n", None, 3, ".", ".."])
def test_a_setting_that_cannot_be_sent_is_refused(project):
    with pytest.raises(ConfigurationError, match=r"^Depot's project is "):
        Depot(KEY, project=project)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda: Depot(KEY, project="p", nmae="x"), "Depot takes no nmae", id="option"),
        pytest.param(lambda: Account.__init__(DEPOT), "Depot has 1 keys in KEY_HEADERS, and gives 0", id="keys"),
        pytest.param(
            lambda: Account.__init__(DEPOT, Secret("a", KEY), settings={"other": "x"}),
            "Depot has no other",
            id="setting",
        ),
    ],
)
def test_a_wrong_call_is_a_type_error(make, says):
    with pytest.raises(TypeError, match=says):
        make()


def test_a_vendors_own_limit_is_the_default():
    assert DEPOT.rate_limit == RateLimit(5)
    assert Depot(KEY, project="p", rate_limit=None).rate_limit is None
    assert AccountOptions.__annotations__.keys() == {"base_url", "name", "rate_limit", "states", "allow_insecure"}


def test_the_environment_has_settings(monkeypatch):
    """A vendor's `-` is a `_` there."""
    monkeypatch.setenv("DE_POT_API_KEY", KEY)
    with pytest.raises(
        ConfigurationError, match=r"^de-pot needs DE_POT_API_KEY and DE_POT_PROJECT: set DE_POT_PROJECT$"
    ):
        account_from_env(Depot)
    monkeypatch.setenv("DE_POT_PROJECT", "acme")
    assert account_from_env(Depot).settings == {"project": "acme", "version": "2024-01"}
    monkeypatch.setenv("DE_POT_VERSION", "2025-02")
    assert account_from_env(Depot).settings == {"project": "acme", "version": "2025-02"}


# Bodies


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param({"error": {"code": "no_key", "message": "No"}}, "no_key", "No", id="nested"),
        pytest.param({"error": {"code": 7}}, "7", None, id="number"),
        pytest.param({"error": "no_batch"}, "no_batch", None, id="text instead"),
        pytest.param({"error": ["a"]}, None, None, id="list"),
        pytest.param({"error": None}, None, None, id="null"),
        pytest.param({"error.code": "no_key"}, None, None, id="a name with a dot"),
        pytest.param({}, None, None, id="nothing"),
    ],
)
def test_nested_errors_are_read(body, code, message):
    found = DEPOT.error_fields(body)
    assert (found.code, found.message) == (code, message)


NOON = datetime(2025, 1, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        pytest.param(1737979200, NOON, id="whole"),
        pytest.param(1737979200.5, NOON.replace(microsecond=500_000), id="decimal"),
        pytest.param("1737979200", NOON, id="digits"),
        *(
            pytest.param(value, None, id=repr(value)[:12])
            for value in (0, -1, None, True, "", "2025-01-27", 10**18, float("nan"), float("inf"), [], {}, 10**400)
        ),
    ],
)
def test_epoch_times_are_read(value, moment):
    assert fields.epoch(value) == moment


def test_milliseconds_are_read():
    assert fields.epoch_ms(1737979200_500) == NOON.replace(microsecond=500_000)
    assert fields.epoch_ms("1737979200000") == NOON
    assert fields.epoch_ms(0) is None


def test_states_of_other_vendors_have_a_place():
    with BatchClient(
        DEPOT, transport=Echo(200, '{"id": "1", "status": "EXPIRED", "created_at": 1737979200}')
    ) as client:
        batch = client.wait("de-pot:1")
    assert (batch.state, batch.vendor_status, batch.created_at) == (BatchState.FAILED, "EXPIRED", NOON)


# The testing kit


def test_two_vendors_may_have_the_same_path():
    """The simulator serves the second one below its name, so that each gets its own answers."""
    with Simulator(vendors=MODELS, limits=False) as simulator, BatchClient(*simulator.accounts()) as client:
        refs = [
            simulator.add(vendor, id="a b/c", status="done", total=total)
            for vendor, total in (("de-pot", 1), ("locker", 2))
        ]
        assert [client.get(ref).counts.total for ref in refs] == [1, 2]
        assert [account.base_url for account in simulator.accounts()] == [simulator.url, f"{simulator.url}/locker"]
        assert all(check.error is None for check in client.check())
    assert simulator.reads[0] == "/v1/projects/acme corp/batches/a b/c"


@pytest.mark.parametrize("name", ["api_key", "project"])
def test_a_simulated_vendor_refuses(name):
    with Simulator(vendors=MODELS) as simulator:
        account = MODELS[0].account(simulator.url, **{name: "test-another-one"})
        ref = simulator.add("de-pot", status="done")
        with BatchClient(account) as client, pytest.raises(AuthenticationError if name == "api_key" else BatchNotFound):
            client.get(ref)


def test_a_simulator_has_an_environment():
    with Simulator(vendors=MODELS) as simulator:
        assert simulator.environment() == {
            "DE_POT_API_KEY": KEY,
            "DE_POT_PROJECT": "acme corp",
            "DE_POT_BASE_URL": simulator.url,
            "LOCKER_USER": USER,
            "LOCKER_PASSWORD": PASSWORD,
            "LOCKER_PROJECT": "acme corp",
            "LOCKER_BASE_URL": f"{simulator.url}/locker",
        }


def test_samples_are_those_of_the_simulators_vendors():
    with Simulator(vendors=MODELS) as simulator:
        assert [ref.vendor for ref in add_samples(simulator, 3, 1.0)] == ["de-pot", "locker", "de-pot"]


def test_scripts_know_vendors_with_the_same_path_apart():
    vendors = FakeVendors(vendors=MODELS)
    vendors.script("de-pot:1", "done")
    vendors.script("locker:1", "expired")
    with vendors.client() as client:
        assert [client.get(ref).vendor_status for ref in ("de-pot:1", "locker:1")] == ["done", "expired"]
    own = Depot(KEY, project="another", base_url="https://127.0.0.1/prefix")
    with vendors.client(own) as client:
        assert client.get("de-pot:1").vendor_status == "done"
    vendors.assert_played()


def test_an_id_outside_of_the_path_cannot_be_simulated():
    class Asker(Depot):
        def raw_request(self, batch_id):
            return self.authenticate({"url": "/batches", "params": {"id": batch_id}})

    class SimulatedAsker(SimulatedDepot):
        ACCOUNT = Asker

    with pytest.raises(ConfigurationError, match="Asker's request has the id in its path once, not '/batches'"):
        FakeVendors(vendors=[SimulatedAsker()]).client().get("de-pot:1")
