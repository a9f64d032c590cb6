"""`examples/fastapi_app/`, served by uvicorn as its first line says."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import commandline
import httpx
import pytest
from batchstatus import Batch, BatchClient, BatchRef
from batchstatus.service import Change
from batchstatus.testing.simulator import Simulator
from batchstatus.webhooks import new_secret, sign

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "fastapi_app"
SECRET = new_secret()


@pytest.fixture(scope="module")
def simulator():
    with Simulator(limits=False) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def web(simulator, tmp_path_factory):
    """A client of the application, which ends after the last test, and in good order."""
    log = tmp_path_factory.mktemp("web") / "log"
    command = [sys.executable, "-m", "uvicorn", "--app-dir", EXAMPLE, "--port", "0", "main:app"]
    environ = simulator.environment() | {"HOOK_SECRET": SECRET}
    with log.open("w") as file:
        served = subprocess.Popen(command, env=environ, stdout=file, stderr=file)
    try:
        while not (address := re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())):
            assert served.poll() is None, log.read_text()
            time.sleep(0.02)
        with httpx.Client(base_url=address[1], trust_env=False) as client:
            yield client
        served.terminate()
        served.wait(30)
    finally:
        served.kill()
        served.wait(30)
    said = log.read_text()
    assert "Application shutdown complete" in said
    assert "Traceback" not in said


def until_ended(web, ref):
    """Return the batch as the application shows it, once it has ended."""
    while not (shown := web.get(f"/batches/{ref}").raise_for_status().json())["has_ended"]:
        time.sleep(0.02)
    return shown


def change_of(batch: Batch) -> Change:
    return Change(
        id="c-1", store="s", ref=batch.ref, sequence=2, kind="ended", at=datetime.now(UTC), batch=batch.to_dict()
    )


def test_a_batch_is_followed(web, simulator):
    """It answers by what it has heard of: the vendor is not asked for that."""
    ref = simulator.add("gameball", seconds=1, total=200, failed=2)
    assert web.post("/batches", json={"ref": str(ref)}).status_code == 202
    assert until_ended(web, ref)["counts"] == {"total": 200, "processed": 200, "succeeded": 198, "failed": 2}
    reads = len(simulator.reads)
    assert web.get(f"/batches/{ref}").json()["state"] == "succeeded"
    assert len(simulator.reads) == reads


def test_any_batch_is_shown(web, simulator):
    ref = simulator.add("believe", status="FINALIZED")
    assert web.get(f"/batches/{ref}").json()["state"] == "requires_action"


@pytest.mark.parametrize(
    ("ref", "status"), [("gameball:404404", 404), ("1748392", 422), ("gameball/acme:1748392", 422)]
)
def test_a_wrong_ref_is_told(web, ref, status):
    answer = web.get(f"/batches/{ref}")
    assert (answer.status_code, [*answer.json()]) == (status, ["detail"])
    assert "test-gameball-key" not in answer.text


def test_a_ref_of_no_vendor_is_not_followed(web):
    assert web.post("/batches", json={"ref": "nobody:1"}).status_code == 422


def test_a_delivery_is_taken(web, simulator):
    """A signed one; a repeat changes nothing, and neither does an older one."""
    ref = simulator.add("gameball", status="completed")
    with BatchClient(*simulator.accounts()) as client:
        batch = client.get(ref)
    reads = len(simulator.reads)
    newest = Batch.from_dict(batch.to_dict() | {"state": "failed"})
    older = Batch.from_dict(batch.to_dict() | {"read_at": (batch.read_at - timedelta(hours=1)).isoformat()})
    for delivered in (newest, newest, older):
        headers, body = sign(change_of(delivered), SECRET)
        assert web.post("/hooks/batchstatus", headers=headers, content=body).status_code == 204
        assert web.get(f"/batches/{ref}").json()["state"] == "failed"
    assert len(simulator.reads) == reads


def test_a_lost_batch_is_taken(web):
    lost = Change(id="c-2", store="s", ref=BatchRef("gameball", "7"), sequence=2, kind="lost", at=datetime.now(UTC))
    headers, body = sign(lost, SECRET)
    assert web.post("/hooks/batchstatus", headers=headers, content=body).status_code == 204


def test_a_forged_delivery_is_refused(web, simulator):
    with BatchClient(*simulator.accounts()) as client:
        headers, body = sign(change_of(client.get(simulator.add("gameball", status="completed"))), new_secret())
    assert web.post("/hooks/batchstatus", headers=headers, content=body).status_code == 401
    assert web.post("/hooks/batchstatus", content=body).status_code == 401


def test_the_service_delivers_to_it(web, user, simulator):
    """The command line's own delivery arrives: nobody has told the application of the batch."""
    ref = simulator.add("gameball", status="completed")
    service = user | {"BATCHSTATUS_DELIVER_SECRET": SECRET}
    assert commandline.run(service, "track", "add", ref).returncode == 0
    ended = commandline.run(service, "run", "--once", "--deliver", f"{web.base_url}/hooks/batchstatus")
    assert ended.returncode == 0, ended.stderr
    reads = len(simulator.reads)
    assert web.get(f"/batches/{ref}").json()["state"] == "succeeded"
    assert len(simulator.reads) == reads
