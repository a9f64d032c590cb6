"""No key leaves a worker: not into histories, heartbeats, failures, logs, or the server's files."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing

import pytest
from batchstatus import Believe, Gameball
from batchstatus.engines.temporal import start_wait
from temporal_server import attempt, eventually, temporal_server, working
from temporalio.client import Client, WorkflowFailureError

KEYS = "test-planted-gameball-key", "test-planted-secret", "test-planted-believe-key"


def test_no_key_is_in_what_temporal_keeps(add, simulator, queue, tmp_path, caplog):
    """A refused key, an open wait and one that has timed out: everything that was said of them is searched."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "server").mkdir()

    async def scene(address: str) -> list[bytes]:
        client = await Client.connect(address)
        # The simulator accepts none of them, and echoes what it refuses in no header that an error would show.
        gameball = Gameball(*KEYS[:2], base_url=simulator.url, rate_limit=None)
        believe = Believe(KEYS[2], base_url=simulator.url, rate_limit=None)
        good = simulator.accounts(name="good")
        said = []
        async with working(client, queue, [gameball, believe, *good]):
            refused = [
                await start_wait(client, ref, task_queue=queue, timeout=60) for ref in ("gameball:1", "believe:2")
            ]
            for handle in refused:
                with pytest.raises(WorkflowFailureError) as raised:
                    await handle.result()
                said.append(repr([raised.value.cause, raised.value.cause.details]).encode())
            ref = add("gameball", status="processing")
            held = await start_wait(client, f"gameball/good:{ref.id}", task_queue=queue, timeout=3600)
            await eventually(lambda: attempt(held), lambda one: one.HasField("last_failure"))
            said.append((await held.describe()).raw_description.SerializeToString())
            late = await start_wait(client, f"gameball/good:{ref.id}", task_queue=queue, timeout=2, results=True)
            with pytest.raises(WorkflowFailureError):
                await late.result()
            said += [(await handle.fetch_history()).to_json().encode() for handle in (*refused, held, late)]
        return said

    with temporal_server(tmp_path / "server") as address:
        said = asyncio.run(scene(address))
    said += [path.read_bytes() for path in (tmp_path / "server").iterdir() if path.is_file()]
    said.append(caplog.text.encode())
    with closing(sqlite3.connect(tmp_path / "server" / "temporal.db")) as database:
        said.append("\n".join(database.iterdump()).encode())
    keys = [*KEYS, *(key for one in simulator.accounts() for key in revealed(one))]
    assert len(keys) > len(KEYS)
    everything = b"\n".join(said)
    assert b"processing" in everything
    assert b"AuthenticationError" in everything
    for key in keys:
        assert key.encode() not in everything
        assert key.encode().hex() not in everything.decode(errors="replace").lower()


def revealed(account) -> list[str]:
    return [key.reveal() for key in account._keys]
