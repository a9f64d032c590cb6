"""Our vendors pass the tests that a third party's pass, and a careless vendor does not."""

from __future__ import annotations

import attrs
import httpx
import pytest
from batchstatus import Believe, Counts, RateLimit, Secret
from batchstatus.testing.simulator import Quirk, Simulator
from batchstatus.testing.simulator.believe import BELIEVE_KEY, SimulatedBelieve
from batchstatus.testing.simulator.gameball import SimulatedGameball
from batchstatus.testing.vendor_tests import VendorTests


class TestBelieve(VendorTests):
    vendor = SimulatedBelieve()


class TestGameball(VendorTests):
    vendor = SimulatedGameball()


class Unquoted(Believe):
    def raw_request(self, batch_id):
        return self.authenticate({"url": f"/v1/flywheel/batch/{batch_id}"})


class Guessing(Believe):
    def status_fields(self, body):
        found = super().status_fields(body)
        return attrs.evolve(found, counts=Counts(total=int(body.get("executeResult", {}).get("total", 0))))


class Hasty(Believe):
    RATE_LIMIT = RateLimit(100, 1.0)


class Talkative(Believe):
    def raw_request(self, batch_id):
        made = super().raw_request(batch_id)
        return attrs.evolve(made, keys={}, headers=dict(made.keys))


class Showing(Believe):
    def __init__(self, api_key, **options):
        super().__init__("test-believe-key", **options)
        self._keys = (Secret("Believe's api_key", api_key),)
        self._keys[0].check()


class Wordless(Believe):
    WORDS = {**Believe.WORDS, "EXECUTED": Believe.WORDS["FAILED"]}  # noqa: RUF012


class Codeless(Believe):
    def error_fields(self, body):
        return attrs.evolve(super().error_fields(body), code=None)


@pytest.mark.parametrize(
    ("kind", "test", "given"),
    [
        pytest.param(Believe, "the_vendor_is_registered", (), id="another class of that name"),
        pytest.param(Unquoted, "an_id_cannot_change_the_route", (), id="an id that is not quoted"),
        pytest.param(Guessing, "an_odd_detail_costs_no_state", (), id="a detail that is taken for granted"),
        pytest.param(Hasty, "the_pace_keeps_the_limits", (), id="more than the vendor allows"),
        pytest.param(Talkative, "an_account_shows_no_key", (), id="a key among the other headers"),
        pytest.param(Showing, "a_key_that_cannot_be_sent_is_not_shown", (" ",), id="a key in a local variable"),
        pytest.param(Wordless, "the_tables_are_complete", (), id="no word for success"),
        pytest.param(Codeless, "a_check_proves_keys_without_a_batch", (), id="errors without a code"),
    ],
)
def test_a_careless_vendor_fails(kind, test, given):
    class Careless(SimulatedBelieve):
        ACCOUNT = kind
        KEYS = {"api_key": BELIEVE_KEY}  # noqa: RUF012

    class Suite(VendorTests):
        vendor = Careless()

    with pytest.raises(AssertionError):
        getattr(Suite(), f"test_{test}")(*given)


class Particular(SimulatedBelieve):
    """Says when to come back, as a rule; a field inside an object may be null."""

    RETRY_AFTER = 7
    OPTIONAL = ("initResult.note", "initResult.failedTxMsg", "note", "nowhere.note")


def test_a_model_says_its_own_rules():
    vendor = Particular()
    with Simulator(vendors=[vendor]) as simulator:
        headers = {"x-believe-api-key": BELIEVE_KEY}
        down = simulator.add("believe", quirks=[Quirk.OUTAGE, Quirk.NULLS])
        failed = simulator.add("believe", status="FAILED", failed=1, quirks=[Quirk.NULLS])
        answers = {
            ref: httpx.get(f"{simulator.url}/v1/flywheel/batch/{ref.id}", headers=headers) for ref in (down, failed)
        }
    assert (answers[down].status_code, answers[down].headers["retry-after"]) == (503, "7")
    body = answers[failed].json()
    assert (body["note"], body["initResult"]["note"], "nowhere" in body) == (None, None, False)
    assert "retry-after" not in answers[failed].headers
