"""Signed deliveries, and their check by a receiver: ours, and the one that Standard Webhooks publishes."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import time
import traceback
from datetime import UTC, datetime
from email.message import Message

import pytest
import standardwebhooks
from batchstatus import BatchRef, BatchStatusError, ConfigurationError, KeyFile
from batchstatus.service import Change, to_url
from batchstatus.webhooks import WebhookVerificationError, new_secret, sign, verify
from receivers import receiver

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECRET, OTHER = (f"whsec_{base64.b64encode(b'test-secret-%d-of-32-bytes-length' % n).decode()}" for n in (1, 2))


@pytest.fixture
def change():
    return Change(
        id="0d9f2c1a7b3e4f5688a1c2d3e4f50617",
        store="5b8e0c3f1d2a4b6c9e7f8a0b1c2d3e4f",
        ref=BatchRef("gameball", "é 7"),
        sequence=3,
        kind="ended",
        at=NOW,
        labels={"campaign": "frühling"},
        batch={"state": "succeeded"},
    )


def shown(error):
    """Return the message of an error, and the local variables of our frames that a traceback may show."""
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    return f"{error} {[frame.locals for frame in found.stack if 'facade' in frame.filename]}"


def delivered(change, **options):
    """Deliver a change to a real server; return the path, headers and body that came."""
    with receiver() as (url, came):
        asyncio.run(to_url(url, **options)(change))
    return came[0]


def test_a_delivery_is_verified_by_standard_webhooks(change):
    """The published library takes each of the signatures, by each of the secrets."""
    _, headers, body = delivered(change, secret=[SECRET, OTHER])
    for secret in (SECRET, OTHER):
        assert standardwebhooks.Webhook(secret).verify(body, headers) == change.to_dict()
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(new_secret()).verify(body, headers)


def test_a_receiver_gets_the_change(change):
    _, headers, body = delivered(change, secret=SECRET)
    assert verify(headers, body, SECRET) == change
    assert verify({name.upper(): value for name, value in headers.items()}, bytearray(body), [OTHER, SECRET]) == change
    message = Message()
    for name, value in headers.items():
        message[name] = value
    assert verify(message, body, f"{OTHER}\n{SECRET}\n") == change


def test_what_standard_webhooks_signs_is_verified(change):
    """Signed by the published library, not by ours."""
    body = json.dumps(change.to_dict()).encode()
    now = datetime.now(UTC)
    signature = standardwebhooks.Webhook(SECRET).sign(change.id, now, body.decode())
    headers = {
        "webhook-id": change.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1a,unknown v1,{'A' * 44} {signature}",
    }
    assert verify(headers, body, SECRET) == change


def test_each_attempt_has_its_own_time(change, monkeypatch):
    times = []
    with receiver() as (url, came):
        deliver = to_url(url, secret=SECRET)
        for seconds in (0, 7):
            monkeypatch.setattr(time, "time", lambda seconds=seconds: NOW.timestamp() + seconds)
            asyncio.run(deliver(change))
            times.append(int(came[-1][1]["webhook-timestamp"]))
            assert verify(came[-1][1], came[-1][2], SECRET) == change
    assert times == [NOW.timestamp(), NOW.timestamp() + 7]
    assert [headers["webhook-id"] for _, headers, _ in came] == [change.id] * 2


def test_without_a_secret_nothing_is_signed(change):
    _, headers, body = delivered(change)
    assert not any(name.lower().startswith("webhook-") for name in headers)
    with pytest.raises(WebhookVerificationError, match="not signed: it has no webhook-id, webhook-timestamp, webhook-"):
        verify(headers, body, SECRET)


def later(headers):
    return changed(headers, timestamp=str(int(headers["webhook-timestamp"]) + 1))


def changed(headers, **values):
    return headers | {f"webhook-{name}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        pytest.param(lambda h, b: (changed(h, id="another"), b), "by another secret", id="id"),
        pytest.param(lambda h, b: (changed(h, timestamp="17e8"), b), "not a number of seconds", id="exponent"),
        pytest.param(lambda h, b: (later(h), b), "by another secret", id="time"),
        pytest.param(lambda h, b: (h, b + b" "), "by another secret", id="body"),
        pytest.param(lambda h, b: (changed(h, signature="v1,"), b), "by another secret", id="empty"),
        pytest.param(lambda h, b: (changed(h, signature=h["webhook-signature"][3:]), b), "by another", id="version"),
        pytest.param(lambda h, b: (changed(h, signature="v1,\u00e9\ud800"), b), "by another secret", id="odd"),
        pytest.param(lambda h, b: (changed(h, signature=" "), b), "has no webhook-signature", id="blank"),
        pytest.param(lambda h, b: (changed(h, timestamp="\u0661"), b), "not a number of seconds", id="digits"),
        pytest.param(lambda h, b: (changed(h, timestamp="9" * 5000), b), "not a number of seconds", id="long"),
        pytest.param(lambda h, b: (changed(h, timestamp="nan"), b), "not a number of seconds", id="nan"),
    ],
)  # fmt: skip
def test_what_is_changed_on_the_way_is_refused(change, edit, says):
    headers, body = sign(change, SECRET)
    assert verify(headers, body, SECRET) == change
    with pytest.raises(WebhookVerificationError, match=says) as refused:
        verify(*edit(headers, body), SECRET)
    assert isinstance(refused.value, BatchStatusError)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("off", "says"), [(301, "301 s ago"), (-301, "301 s ahead of this clock"), (300, ""), (-300, "")]
)
def test_a_delivery_counts_for_five_minutes(change, monkeypatch, off, says):
    """Either way, since a clock may be wrong: what somebody sends again later is refused."""
    monkeypatch.setattr(time, "time", NOW.timestamp)
    headers, body = sign(change, SECRET)
    monkeypatch.setattr(time, "time", lambda: NOW.timestamp() + off)
    if not says:
        assert verify(headers, body, SECRET) == change
        return
    with pytest.raises(WebhookVerificationError, match=says):
        verify(headers, body, SECRET)
    assert verify(headers, body, SECRET, tolerance=302) == change


def test_another_secret_is_refused(change):
    headers, body = sign(change, [SECRET, OTHER])
    assert verify(headers, body, OTHER) == change
    with pytest.raises(WebhookVerificationError, match="by another secret"):
        verify(headers, body, new_secret())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not JSON", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"{}", "not a change"),
        (b"[1]", "not a change"),
    ],
)
def test_a_signed_body_may_be_no_change(change, body, says):
    """Another sender may have the same secret."""
    now = int(time.time())
    digest = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), b"%s.%d.%s" % (b"x", now, body), "sha256")
    headers = {"webhook-id": "x", "webhook-timestamp": str(now)}
    headers |= {"webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}
    with pytest.raises(WebhookVerificationError, match=says):
        verify(headers, body, SECRET)


def test_a_signed_change_is_the_one_of_its_header(change):
    body = sign(change, SECRET)[1]
    now = int(time.time())
    digest = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), b"x.%d.%s" % (now, body), "sha256")
    headers = {"webhook-id": "x", "webhook-timestamp": str(now)}
    headers |= {"webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}
    with pytest.raises(WebhookVerificationError, match="not the change that webhook-id names"):
        verify(headers, body, SECRET)


def test_a_body_is_bytes(change):
    headers, body = sign(change, SECRET)
    with pytest.raises(ConfigurationError, match="bytes as they came, not str"):
        verify(headers, body.decode(), SECRET)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("", id="empty"),
        pytest.param([], id="none"),
        pytest.param("test-planted-secret", id="no-prefix"),
        pytest.param("whsec_test-planted-secret!", id="no-base64"),
        pytest.param("whsec_" + base64.b64encode(b"planted" * 3).decode(), id="21-bytes"),
        pytest.param("whsec_" + base64.b64encode(b"planted!" * 9).decode(), id="72-bytes"),
        pytest.param([SECRET, "whsec_planted\ud800"], id="surrogate"),
        pytest.param(f"{SECRET} planted", id="second"),
    ],
)
def test_a_secret_that_is_none_is_refused_unshown(change, secret):
    """In its own message and in a traceback with local variables."""
    for call in (
        lambda: verify({}, b"", secret),
        lambda: sign(change, secret),
        lambda: to_url("https://x/", secret=secret),
    ):
        with pytest.raises(ConfigurationError, match="whsec_ and 24 to 64 bytes in base64") as refused:
            call()
        text = shown(refused.value)
        assert "planted" not in text.lower()
        assert SECRET not in text


@pytest.mark.parametrize("secret", [None, 5], ids=["variable that is not set", "number"])
def test_no_secret_is_refused(change, secret):
    for call in (lambda: verify({}, b"", secret), lambda: sign(change, secret)):
        with pytest.raises(ConfigurationError, match="secret has no secret: it is written whsec_"):
            call()


def test_new_secrets_differ():
    assert len({new_secret() for _ in range(9)}) == 9
    assert len(base64.b64decode(new_secret().removeprefix("whsec_"))) == 32


def test_secrets_rotate_without_a_restart(change, tmp_path, caplog):
    """A file is read again when it has changed; if it holds no secret then, the last ones sign, which is told."""
    path = tmp_path / "secrets"
    path.write_text(f"{SECRET}\n")
    with receiver() as (url, came):
        deliver = to_url(url, secret=KeyFile(path, "--deliver-secret-file"))
        for text, valid in (
            (f"{SECRET}\n", {SECRET}),
            (f"{OTHER}\r\n{SECRET}\n", {SECRET, OTHER}),
            ("nonsense\n", {SECRET, OTHER}),
            (f"\n{OTHER}\n", {OTHER}),
        ):
            path.write_text(text)
            asyncio.run(deliver(change))
            _, headers, body = came[-1]
            assert headers["webhook-signature"].count("v1,") == len(valid)
            for secret in (SECRET, OTHER):
                if secret in valid:
                    assert verify(headers, body, secret) == change
                else:
                    with pytest.raises(WebhookVerificationError):
                        verify(headers, body, secret)
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 3
    assert "the previous secrets stay in use: --deliver-secret-file has a secret (number 1)" in told[1].getMessage()
    assert SECRET not in caplog.text
    assert "nonsense" not in caplog.text


# Headers of one's own


def test_headers_of_ones_own_are_sent(change, tmp_path):
    path = tmp_path / "headers"
    path.write_text(
        "# for the gateway\nAuthorization: Bearer test-planted-token\n\nX-Team:  a : b \nUser-Agent: mine\n"
    )
    with receiver() as (url, came):
        deliver = to_url(url, headers=KeyFile(path, "--deliver-header-file"))
        asyncio.run(deliver(change))
        path.write_text("Authorization: Bearer test-other-token\n")
        asyncio.run(deliver(change))
    (first, second) = ({name.lower(): value for name, value in headers.items()} for _, headers, _ in came)
    assert (first["authorization"], first["x-team"], first["user-agent"]) == (
        "Bearer test-planted-token",
        "a : b",
        "mine",
    )
    assert (second["authorization"], second.get("x-team")) == ("Bearer test-other-token", None)
    assert "planted" not in repr(deliver)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Authorization Bearer planted", "line 1: a header is written Name: value"),
        ("X-A: 1\nX a: planted", "line 2: a header is written"),
        ("Content-Type: planted", "Content-Type cannot be set"),
        ("webhook-ID: planted", "webhook-ID cannot be set"),
        ("Host: planted", "Host cannot be set"),
        ("Proxy-Authorization: planted", "Proxy-Authorization cannot be set"),
        ("X-A: planted\nx-a: planted", "x-a is there twice"),
        ("X-A:", "the value of X-A is empty"),
        ("X-A: pläntedplanted", "not in printable ASCII"),
        ("X-A: planted\x1b[31m", "not in printable ASCII"),
    ],
)
def test_headers_that_cannot_be_are_refused_unshown(tmp_path, text, says):
    path = tmp_path / "headers"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=f"^--deliver-header-file.*{says}") as refused:
        to_url("https://example.com/", headers=KeyFile(path, "--deliver-header-file"))
    assert "planted" not in shown(refused.value)


@pytest.mark.parametrize(
    "headers", [{"X-A": "planted\nX-B: planted"}, {"X A": "planted"}, {"Host": "planted"}, ["X-A: planted"], 5]
)
def test_headers_of_a_mapping_are_checked_too(headers):
    with pytest.raises(ConfigurationError, match=r"^headers") as refused:
        to_url("https://example.com/", headers=headers)
    assert "planted" not in shown(refused.value)


def test_headers_that_break_later_are_told_once(change, tmp_path, caplog):
    path = tmp_path / "headers"
    path.write_text("X-A: test-planted-value")
    with receiver() as (url, came):
        deliver = to_url(url, headers=KeyFile(path, "--deliver-header-file"))
        path.write_text("X-B test-planted-value\x1b")
        for _ in range(3):
            asyncio.run(deliver(change))
    assert [headers["x-a"] for _, headers, _ in came] == ["test-planted-value"] * 3
    assert caplog.text.count("the previous headers stay in use") == 1
    assert "planted" not in caplog.text


@pytest.mark.parametrize("timeout", [0, -1, 3601, float("nan"), "5s", None])
def test_a_timeout_that_cannot_be_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="the timeout of a delivery is up to 3600 s"):
        to_url("https://example.com/", timeout)
