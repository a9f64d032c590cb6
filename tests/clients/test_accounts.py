"""Keys, URLs, states and the environment: what is taken, what is refused, and what is never shown."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import subprocess
import sys
import traceback

import pytest
from batchstatus import (
    AsyncBatchClient,
    AuthenticationError,
    BatchClient,
    BatchState,
    Believe,
    ConfigurationError,
    Gameball,
    KeyFile,
)
from batchstatus.testing.simulator.believe import BELIEVE_KEY

PLANTED = "test-planted-key"
ENVIRONMENT = {
    "GAMEBALL_API_KEY": "test-gameball-key",
    "GAMEBALL_SECRET_KEY": "test-gameball-secret",
    "BELIEVE_API_KEY": "test-believe-key",
}


@pytest.fixture
def environ(monkeypatch):
    for variable in ENVIRONMENT:
        for name in (variable, f"{variable}_FILE"):
            monkeypatch.delenv(name, raising=False)
    for vendor in ("GAMEBALL", "BELIEVE"):
        monkeypatch.delenv(f"{vendor}_BASE_URL", raising=False)
        monkeypatch.delenv(f"{vendor}_ALLOW_INSECURE", raising=False)

    def fill(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return fill


BAD_KEYS = {
    "empty": ("", "is empty"),
    "blank-before": (f" {PLANTED}", "begins or ends with a blank"),
    "line-end": (f"{PLANTED}\n", "begins or ends with a blank"),
    "carriage-return": (f"{PLANTED}\r\nx-evil: 1", "no HTTP header can carry"),
    "nul": (f"{PLANTED}\x00", "no HTTP header can carry"),
    "non-ascii": (f"{PLANTED}é", "no HTTP header can carry"),
    "none": (None, "not NoneType"),
    "bytes": (PLANTED.encode(), "not bytes"),
}


@pytest.mark.parametrize(("key", "says"), BAD_KEYS.values(), ids=BAD_KEYS)
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Believe, "Believe's api_key"),
        (lambda key: Gameball(key, "test-secret"), "Gameball's api_key"),
        (lambda key: Gameball("test-key", key), "Gameball's secret_key"),
    ],
    ids=["believe", "gameball", "gameball-secret"],
)
def test_an_illegal_key_is_refused_unshown(make, name, key, says):
    """A key that cannot be sent is refused without being shown."""
    with pytest.raises(ConfigurationError, match=f"{name} .*{says}") as caught:
        make(key)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    ours = [frame.f_locals for frame in frames if "batchstatus" in frame.f_code.co_filename]
    assert ours
    assert PLANTED not in str(caught.value) + repr(ours)


def test_a_key_function_is_asked_each_time(reader, simulator):
    """A key may come from a function which is asked for every attempt."""
    keys = iter(["test-old-key", "test-believe-key", "test-believe-key"])
    account = Believe(lambda: next(keys), base_url=simulator.url)
    client, ref = reader(account), simulator.add("believe", status="EXECUTED")
    with pytest.raises(Exception, match="ERR_KEY_NOT_FOUND"):
        client.get(ref)
    assert client.get(ref).state is BatchState.SUCCEEDED
    assert next(keys) == "test-believe-key"


def test_a_function_without_a_key_is_refused(reader, simulator):
    """A function that returns no key is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="Believe's api_key is empty"):
        reader(Believe(lambda: "", base_url=simulator.url)).get("believe:1")
    assert simulator.reads == []


@pytest.mark.parametrize(
    "bad",
    [
        *(
            "vendor.example.com",
            "ftp://vendor.example.com",
            "https://",
            "https://a b",
            "https://h:99999",
            "https://[::1",
        ),
        *(
            "//h",
            "https://h?x=1",
            "https://h#x",
            "https://user:pw@h",
            "https://user@h",
            "https://h\n",
            7,
            "",
            "https://h\x00",
        ),
    ],
    ids=repr,
)
def test_a_base_url_that_cannot_work_is_refused(bad):
    with pytest.raises(ConfigurationError, match=r"base_url"):
        Believe("test-key", base_url=bad)


@pytest.mark.parametrize(
    "url",
    [
        *(
            f"https://user:{PLANTED}@h",
            f"https://user:{PLANTED}/x@h",
            f"https://user:{PLANTED} @h",
            f"https://h#{PLANTED}",
        ),
        *(f"https://h?key={PLANTED}", f"https://h:{PLANTED}", f"ftp://h/{PLANTED}", f"http://h.example.com/{PLANTED}"),
        *("https://h?", "https://h#", "https://a..b", "https://.", f"https://{'x' * 64}.b"),
    ],
)
def test_a_bad_base_url_is_never_shown(url):
    """It may hold a password or a key where none belongs."""
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        Believe("test-key", base_url=url)
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize("url", ["http://vendor.example.com", "http://10.0.0.1:8080", "http://127.evil.example.com"])
def test_plain_http_is_for_loopback_only(url):
    """Keys go over plain http only on loopback or when allowed."""
    with pytest.raises(ConfigurationError, match="unencrypted: use https"):
        Gameball("test-key", "test-secret", base_url=url)
    assert Gameball("test-key", "test-secret", base_url=url, allow_insecure=True).base_url == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000/", "http://127.9.9.9"])
def test_loopback_needs_no_tls(url):
    assert Believe("test-key", base_url=url).base_url == url.rstrip("/")


def test_a_base_url_may_have_a_path(reader, simulator):
    account = Believe("test-believe-key", base_url=f"{simulator.url}/gateway/")
    with pytest.raises(Exception, match="HTTP 404"):
        reader(account).get("believe:1")
    assert account.base_url.endswith("/gateway")


@pytest.mark.parametrize("states", [{"PAUSED": "pending"}, {7: BatchState.PENDING}, ["PAUSED"], "PAUSED"], ids=repr)
def test_states_that_are_none_are_refused(states):
    with pytest.raises(ConfigurationError, match="states maps words to states"):
        Believe("test-key", states=states)


def test_a_wrong_account_name_is_refused():
    """An account name that cannot stand in a ref is refused."""
    with pytest.raises(ConfigurationError, match="account"):
        Believe("test-key", name="Acme Inc")


def test_no_key_shows_in_repr_str_vars_or_pickles():
    for account in (Believe(PLANTED), Gameball(PLANTED, PLANTED)):
        client = BatchClient(account)
        assert PLANTED not in f"{account!r}{account}{vars(account)}{client!r}{vars(client)}"
        assert PLANTED not in f"{account.request('1')!r}"
        for way in (pickle.dumps, copy.deepcopy):
            assert copy.copy(account).request("1") == account.request("1")
            if way is pickle.dumps:
                with pytest.raises(TypeError, match="cannot be pickled"):
                    way(account)
            else:
                assert way(account).request("1") == account.request("1")


def test_no_key_is_logged_at_any_level(reader, simulator, caplog):
    caplog.set_level(logging.DEBUG)
    client = reader(*simulator.accounts())
    client.get(simulator.add("believe", status="EXECUTED"))
    client.get(simulator.add("gameball", status="paused"))
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert not [record for record in caplog.records if "test-" in record.getMessage() + repr(record.args)]


def test_from_env_makes_an_account_per_vendor(environ, simulator):
    """From env makes an account of each vendor that has its keys."""
    environ(**ENVIRONMENT, GAMEBALL_BASE_URL=simulator.url, BELIEVE_BASE_URL=simulator.url)
    with BatchClient.from_env() as client:
        for vendor, status in (("gameball", "completed"), ("believe", "EXECUTED")):
            assert client.get(simulator.add(vendor, status=status)).state is BatchState.SUCCEEDED
    environ(GAMEBALL_API_KEY="", GAMEBALL_SECRET_KEY="")
    client = AsyncBatchClient.from_env()
    assert type(client) is AsyncBatchClient
    with pytest.raises(ConfigurationError, match="no account at 'gameball', only at believe"):
        client._read("gameball:1", 1)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=repr)
def test_a_key_may_be_in_a_file(environ, simulator, tmp_path, end):
    """A key may stand in a file that ends with a line end."""
    path = tmp_path / "key"
    path.write_bytes(f"test-believe-key{end}".encode())
    environ(BELIEVE_API_KEY_FILE=path, BELIEVE_BASE_URL=simulator.url)
    with BatchClient.from_env() as client:
        assert client.get(simulator.add("believe", status="EXECUTED")).is_terminal


def test_a_key_file_is_read_again_once_it_has_changed(environ, simulator, tmp_path):
    """A secret that is rotated on disk, in place or by another file, is used at the next attempt."""
    path = tmp_path / "key"
    path.write_text("test-old-believe-key")
    environ(BELIEVE_API_KEY_FILE=path, BELIEVE_BASE_URL=simulator.url)
    ref = simulator.add("believe", status="EXECUTED")
    with BatchClient.from_env() as client:
        with pytest.raises(AuthenticationError):
            client.get(ref)
        path.write_text(BELIEVE_KEY)
        assert client.get(ref).has_ended
        path.unlink()
        assert client.get(ref).has_ended, "the last one is used while it is replaced"
        (tmp_path / "new").write_text("test-revoked-believe-key")
        (tmp_path / "new").rename(path)
        with pytest.raises(AuthenticationError):
            client.get(ref)


def test_a_refused_key_is_read_again(environ, simulator, tmp_path):
    """Even if its file looks as it did: some file systems keep coarse times."""
    path, old = tmp_path / "key", "x" * len(BELIEVE_KEY)
    path.write_text(old)
    environ(BELIEVE_API_KEY_FILE=path, BELIEVE_BASE_URL=simulator.url)
    ref, times = simulator.add("believe", status="EXECUTED"), path.stat()
    with BatchClient.from_env() as client:
        path.write_text(BELIEVE_KEY)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        with pytest.raises(AuthenticationError):
            client.get(ref)
        assert client.get(ref).has_ended


def test_a_key_file_may_be_empty_for_a_moment(environ, simulator, tmp_path):
    """As it is while a shell writes it anew; one that is empty from the start is refused."""
    path = tmp_path / "key"
    path.write_text(BELIEVE_KEY)
    environ(BELIEVE_API_KEY_FILE=path, BELIEVE_BASE_URL=simulator.url)
    with BatchClient.from_env() as client:
        path.write_text("")
        assert client.get(simulator.add("believe", status="EXECUTED")).has_ended


def test_accounts_of_one_key_file_share_a_pace(tmp_path):
    (tmp_path / "key").write_text("test-believe-key")
    (tmp_path / "other").write_text("test-believe-key")
    one, two, other = (Believe(KeyFile(tmp_path / name)) for name in ("key", "key", "other"))
    assert one.credential == two.credential != other.credential
    assert "test-believe-key" not in repr(KeyFile(tmp_path / "key"))


@pytest.mark.parametrize("value", ["1", "true", "Yes"])
def test_a_stand_in_may_be_plain_http_if_the_environment_says_so(environ, caplog, value):
    environ(BELIEVE_API_KEY="test-believe-key", BELIEVE_BASE_URL="http://simulator:8080", BELIEVE_ALLOW_INSECURE=value)
    with BatchClient.from_env():
        pass
    told = [record.getMessage() for record in caplog.records]
    assert told == ["BELIEVE_ALLOW_INSECURE is set: keys are sent unencrypted to http://simulator:8080"]


@pytest.mark.parametrize("value", ["0", "", "no"])
def test_plain_http_is_refused_otherwise(environ, value):
    environ(BELIEVE_API_KEY="test-believe-key", BELIEVE_BASE_URL="http://simulator:8080", BELIEVE_ALLOW_INSECURE=value)
    with pytest.raises(ConfigurationError, match="unencrypted"):
        BatchClient.from_env()


def test_a_flag_is_1_or_0(environ):
    environ(BELIEVE_API_KEY="test-believe-key", BELIEVE_ALLOW_INSECURE="perhaps")
    with pytest.raises(ConfigurationError, match="BELIEVE_ALLOW_INSECURE is 1 or 0"):
        BatchClient.from_env()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "set BELIEVE_API_KEY, or GAMEBALL_API_KEY and GAMEBALL_SECRET_KEY"),
        ({"GAMEBALL_API_KEY": PLANTED}, "set GAMEBALL_SECRET_KEY, or GAMEBALL_SECRET_KEY_FILE"),
        ({"GAMEBALL_SECRET_KEY": PLANTED}, "set GAMEBALL_API_KEY"),
        ({"BELIEVE_API_KEY": PLANTED, "BELIEVE_API_KEY_FILE": "key"}, "both BELIEVE_API_KEY and BELIEVE_API_KEY_FILE"),
        ({"BELIEVE_API_KEY_FILE": PLANTED}, "BELIEVE_API_KEY_FILE names a file that cannot be read: No such file"),
        ({"BELIEVE_API_KEY_FILE": "."}, "cannot be read: Is a directory"),
        ({"BELIEVE_API_KEY_FILE": "empty"}, "BELIEVE_API_KEY is empty"),
        ({"BELIEVE_API_KEY_FILE": "latin"}, "not UTF-8"),
        ({"BELIEVE_API_KEY": f"{PLANTED} "}, "BELIEVE_API_KEY begins or ends with a blank"),
        ({"BELIEVE_API_KEY": PLANTED, "BELIEVE_BASE_URL": "http://vendor.example.com"}, "unencrypted"),
    ],
    ids=repr,
)
def test_a_wrong_environment_names_the_variable(environ, monkeypatch, tmp_path, variables, says):
    """An environment that cannot work says which variable and what to do."""
    (tmp_path / "empty").touch()
    (tmp_path / "latin").write_bytes(b"\xe9")
    monkeypatch.chdir(tmp_path)
    environ(**variables)
    with pytest.raises(ConfigurationError, match=says) as caught:
        BatchClient.from_env()
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(caught.value.__traceback__)][1:]
    assert PLANTED not in str(caught.value) + repr(frames)


def test_from_env_takes_the_options_of_its_class(environ):
    environ(**ENVIRONMENT)
    with pytest.raises(ConfigurationError, match="proxy"):
        BatchClient.from_env(proxy="nonsense")


@pytest.mark.parametrize("client", ["BatchClient", "AsyncBatchClient"])
def test_all_that_a_read_needs_is_loaded_when_a_client_is_made(client):
    """Within a read's timeout the import of the raw client would take a second on a busy machine."""
    code = f"""if True:
        import sys
        from batchstatus import {client}, Believe, Gameball
        from batchstatus.testing import FakeVendors
        vendors = FakeVendors()
        made = vendors.client() if "{client}" == "BatchClient" else vendors.async_client()
        before = set(sys.modules)
        ref = vendors.script("gameball:1", "completed"), vendors.script("believe:1", "EXECUTED")
        read = made.get_many(ref, timeout=9)
        if "{client}" == "AsyncBatchClient":
            import asyncio
            before |= set(sys.modules)
            asyncio.run(read)
        print(sorted(name for name in set(sys.modules) - before if "batchstatus" in name))"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (said.stdout, said.stderr) == ("[]\n", "")
