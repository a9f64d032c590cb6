"""Recordings of an application that uses the package: with pytest-recording nothing is to be done for them."""

from __future__ import annotations

import pytest
import vcr
from batchstatus import BatchClient
from batchstatus.testing.simulator import Simulator
from batchstatus.testing.vcr import PATCHES

APPLICATION = """
    import asyncio
    import pytest
    from batchstatus import AsyncBatchClient, BatchClient, Believe
    from batchstatus.testing.simulator.believe import BELIEVE_KEY

    ACCOUNT = Believe(BELIEVE_KEY, base_url="{url}")

    @pytest.mark.vcr
    def test_sync():
        with BatchClient(ACCOUNT) as client:
            assert client.get("{ref}").vendor_status == "EXECUTED"

    @pytest.mark.vcr
    def test_async():
        async def main():
            async with AsyncBatchClient(ACCOUNT) as client:
                return await client.get("{ref}")
        assert asyncio.run(main()).vendor_status == "EXECUTED"
"""


@pytest.mark.timeout(180)  # two more runs of pytest: under 16 workers they took more than 60 s
def test_an_application_records_and_replays(pytester):
    with Simulator() as simulator:
        ref = simulator.add("believe", status="EXECUTED")
        pytester.makepyfile(APPLICATION.format(url=simulator.url, ref=ref))
        recorded = pytester.runpytest_subprocess("--record-mode=once", "-p", "no:randomly")
        recorded.assert_outcomes(passed=2)
        assert len(simulator.reads) == 2
    replayed = pytester.runpytest_subprocess("--block-network", "-p", "no:randomly")
    replayed.assert_outcomes(passed=2)


def test_a_request_that_was_not_recorded_is_refused(pytester):
    pytester.makepyfile(APPLICATION.format(url="http://127.0.0.1:9", ref="believe:1"))
    result = pytester.runpytest_subprocess("--record-mode=none")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*CannotOverwriteExistingCassetteException*"])


@pytest.mark.parametrize("mode", ["once", "none"])
def test_with_vcrpy_alone_the_patches_are_given(tmp_path, mode):
    with Simulator() as simulator:
        ref = simulator.add("gameball", status="completed")
        account = next(account for account in simulator.accounts() if account.vendor == "gameball")
        recorder = vcr.VCR(custom_patches=PATCHES)
        with recorder.use_cassette(str(tmp_path / "one.yaml")), BatchClient(account) as client:
            client.get(ref)
        with recorder.use_cassette(str(tmp_path / "one.yaml"), record_mode=mode), BatchClient(account) as client:
            assert client.get(ref).vendor_status == "completed"
        assert len(simulator.reads) == 1
