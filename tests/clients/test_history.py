"""What a wait is told of past batches, and how it takes very many refs; in threads and in tasks alike."""

from __future__ import annotations

import asyncio

import pytest
from batchstatus import ConfigurationError, Durations, EventKind
from batchstatus.testing import FakeVendors

PAST = [60.0] * 50
KNOWN = Durations(PAST)


@pytest.fixture(params=["threads", "tasks"])
def wait_all(request):
    """Return a function that waits for all refs in one of the two clients."""

    def wait_all(vendors, refs, **options):
        if request.param == "threads":
            with vendors.client(**options.pop("client", {})) as client:
                return client.wait_all(refs, timeout=900, **options)

        async def main():
            async with vendors.async_client(**options.pop("client", {})) as client:
                return await client.wait_all(refs, timeout=900, **options)

        return asyncio.run(main())

    return wait_all


@pytest.mark.parametrize("history", [PAST, tuple(PAST), Durations(PAST), lambda _: KNOWN],
                         ids=["list", "tuple", "durations", "function"])  # fmt: skip
def test_history_gives_the_expected_end(wait_all, history):
    """Without counts `remaining` comes from past batches."""
    vendors, rests = FakeVendors(), []
    vendors.script("believe:1", "FINALIZED", "EXECUTED")

    def note(event):
        if event.kind is EventKind.ATTEMPT and not event.batch.is_terminal:
            rests.append(event.remaining)

    wait_all(vendors, ["believe:1"], history=history, client={"on_event": note})
    assert rests == [pytest.approx(60, rel=0.3)]


@pytest.mark.parametrize("history", ["60", 60.0, [0], [None]])
def test_what_is_not_a_history_is_refused(wait_all, history):
    polls = []
    with pytest.raises(ConfigurationError, match=r"history takes durations|a duration is a positive"):
        wait_all(FakeVendors(), ["believe:1"], history=history, client={"on_event": polls.append})
    assert polls == []


def test_the_first_of_many_refs_is_polled_while_the_rest_is_parsed(wait_all):
    """A generator is asked for its last refs after the first poll."""
    vendors, polls, polls_before = FakeVendors(), [], []
    for n in range(600):
        vendors.script(f"believe:{n}", "EXECUTED")

    def refs():
        for n in range(600):
            polls_before.append(len(polls))
            yield f"believe:{n}"

    found = wait_all(vendors, refs(), client={"on_event": polls.append})
    assert len(found) == 600
    assert polls_before[255] == 0 < polls_before[-1]


def test_a_bad_ref_among_many_is_told(wait_all):
    """It ends the wait when its turn comes."""
    vendors = FakeVendors()
    for n in range(400):
        vendors.script(f"believe:{n}", "EXECUTED")
    with pytest.raises(ConfigurationError, match="a ref is written vendor:id or vendor/account:id, not 'nonsense'"):
        wait_all(vendors, [*(f"believe:{n}" for n in range(400)), "nonsense"])


def test_duplicates_beyond_the_first_are_polled_once(wait_all):
    vendors, polls = FakeVendors(), []
    for n in range(300):
        vendors.script(f"believe:{n}", "EXECUTED")
    found = wait_all(vendors, [f"believe:{n % 300}" for n in range(900)], client={"on_event": polls.append})
    assert len(found) == sum(event.kind is EventKind.ATTEMPT for event in polls) == 300
