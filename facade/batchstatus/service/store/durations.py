"""How long batches took: a row for each kind, learned with each change that ends a batch.

A kind is an account, and within it the label `kind` if the batches have one.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping

from batchstatus import Batch, BatchRef, ConfigurationError, Durations

KIND = "kind"
"""The label that names the kind of a batch."""
KIND_OF_LABELS = "coalesce(CASE WHEN json_valid(labels) THEN json_extract(labels, '$.kind') END, '')"

log = logging.getLogger("batchstatus")


def learn(connection: sqlite3.Connection, number: int, batch: Batch, read_at: float | None) -> None:
    """Learn from the end of a batch.

    Args:
        connection: It is in the transaction that stores the end.
        number: The batch's row.
        batch: The reading that shows the end.
        read_at: When it was read before that, as seconds since 1970; a batch that was never seen open says nothing.
    """
    query = f"SELECT account_ref, {KIND_OF_LABELS}, added_at FROM refs WHERE n = ?"
    account_ref, kind, added_at = connection.execute(query, (number,)).fetchone()
    began = added_at if batch.created_at is None else batch.created_at.timestamp()
    lasted = batch.read_at.timestamp() - began
    if read_at is None or lasted <= 0 or not isinstance(kind, str):
        return
    values = {"account_ref": account_ref, "kind": kind}
    query = "SELECT learned FROM durations WHERE account_ref = :account_ref AND kind = :kind"
    found = connection.execute(query, values).fetchone()
    durations = Durations() if found is None else _decoded(account_ref, kind, found[0])
    try:
        durations.add(lasted, earliest=read_at - began)
    except ConfigurationError:  # the vendor says that it began centuries ago
        return
    insert = "INSERT OR REPLACE INTO durations (account_ref, kind, learned) VALUES (:account_ref, :kind, :learned)"
    connection.execute(insert, values | {"learned": json.dumps(durations.to_dict(), separators=(",", ":"))})


def learned(connection: sqlite3.Connection) -> dict[tuple[str, str], Durations]:
    """Return what was learned, by account ref and kind; the kind of batches without one is ""."""
    rows = connection.execute("SELECT account_ref, kind, learned FROM durations ORDER BY account_ref, kind")
    return {(account_ref, kind): _decoded(account_ref, kind, text) for account_ref, kind, text in rows}


def kinds(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the kinds of the open refs that have one."""
    query = f"SELECT ref, {KIND_OF_LABELS} AS kind FROM refs WHERE tracked AND NOT ended AND kind != ''"
    return {ref: str(kind) for ref, kind in connection.execute(query)}


def _decoded(account_ref: str, kind: str, text: str) -> Durations:
    try:
        return Durations.from_dict(json.loads(text))
    except (ConfigurationError, ValueError, TypeError) as error:
        log.warning("durations of %s %s cannot be read; learning starts over: %s", account_ref, kind, error)
        return Durations()


class Past:
    """The past of each tracked batch: what a wait takes as `history`. It is read once, and waits go on learning.

    Args:
        durations: What was learned, by account ref and kind.
        read_kinds: Returns the kinds of the refs that have one.
    """

    def __init__(
        self, durations: Mapping[tuple[str, str], Durations], read_kinds: Callable[[], Mapping[str, str]]
    ) -> None:
        self._durations = dict(durations)
        self._read_kinds = read_kinds
        self._kinds: Mapping[str, str] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the kinds of the tracked batches again, since others were added."""
        self._kinds = self._read_kinds()

    def __call__(self, ref: BatchRef) -> Durations:
        """Return what is known of batches like this one; the same object for all of them."""
        kind = self._kinds.get(str(ref), "") if self._kinds else ""
        return self._durations.setdefault((ref.account_ref, kind), Durations())
