"""Addresses to listen on, and the hosts by which a browser may ask."""

from __future__ import annotations

import socket

import pytest
from batchstatus import ConfigurationError
from batchstatus.service.http.hosts import check_names, is_own, listen, url_of


@pytest.mark.parametrize("address", ["127.0.0.1:0", "0", "localhost:0", "127.0.0.2:0"])
def test_loopback_is_listened_on(address):
    with listen(address) as listener:
        host, port = listener.getsockname()
        assert host.startswith("127.")
        assert url_of(listener) == f"http://{host}:{port}/"


def test_ipv6_is_listened_on():
    try:
        listener = listen("[::1]:0")
    except ConfigurationError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with listener:
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}/"


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_off_loopback_has_to_be_allowed(address):
    with pytest.raises(ConfigurationError, match="--http-remote"):
        listen(address)


def test_every_address_is_shown_as_loopback():
    """Nobody can open http://0.0.0.0."""
    with listen("0.0.0.0:0", remote=True) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize(
    "address",
    ["", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "::1:80", "http://127.0.0.1:80",
     "127.0.0.1:80/", "a@127.0.0.1:80", "127.0.0.1:-1", "\n:80", "[::1:80"],
)  # fmt: skip
def test_a_wrong_address_names_a_right_one(address):
    with pytest.raises(ConfigurationError, match=r"write 127\.0\.0\.1:9464"):
        listen(address)


def test_a_name_is_not_an_address():
    """Which address it means may change."""
    with pytest.raises(ConfigurationError, match=r"status\.example is a name: listen on an address"):
        listen("status.example:80", remote=True)


def test_a_port_in_use_is_named():
    with listen("0") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            listen(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "header",
    ["127.0.0.1", "127.0.0.1:9464", "localhost:1234", "LOCALHOST", "[::1]:9464", "192.0.2.7:9464", "status.example",
     "Status.Example:443"],
)  # fmt: skip
def test_own_hosts_are_answered(header):
    assert is_own(header, "192.0.2.7", check_names(["STATUS.example"]))


@pytest.mark.parametrize(
    "header",
    ["", "evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.8",
     "x@127.0.0.1", "127.0.0.1/x", "127.0.0.1?x", "127.0.0.1#x", "[::1", "127.0.0.1:x", "0.0.0.0", "127.1",
     "2130706433",
     ],
)  # fmt: skip
def test_other_hosts_are_not(header):
    assert not is_own(header, "192.0.2.7", check_names(["status.example"]))


@pytest.mark.parametrize("name", ["", "https://status.example", "status.example:443", "*", "a b", "-", "x" * 300, "é"])
def test_a_wrong_name_is_refused(name):
    with pytest.raises(ConfigurationError, match="is not a host's name"):
        check_names([name])


def test_the_listener_closes_with_its_block():
    with listen("0") as listener:
        address = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
