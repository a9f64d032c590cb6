"""What a store has that begins with some text, for completion: bounded work, whatever the store holds, and no waiting.

It opens the file by itself, to read alone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from .schema import check_readable, connect

LIMIT = 50
"""How many are returned at most."""
NEWEST = 2_000
"""Tracked batches, the newest, that are looked at first: with 100,000 that have a reading it takes 1.2 ms of CPU."""
BUSY_TIMEOUT = 0.2
"""Seconds to wait for another process: a person who types waits, too."""
LAST = "\U0010ffff"
"""Comes behind all other characters."""


@contextmanager
def _rows(path: Path) -> Iterator[sqlite3.Connection]:
    check_readable(path)
    with closing(connect(path, busy_timeout=BUSY_TIMEOUT, mode="ro")) as connection:
        yield connection


def refs(path: Path, start: str) -> list[tuple[str, str]]:
    """Return tracked refs that begin so, the newest first, each with its state."""
    newest = "SELECT ref, reading, n FROM refs WHERE tracked ORDER BY n DESC LIMIT ?"
    with _rows(path) as connection:
        found = connection.execute(
            f"SELECT ref, reading FROM ({newest}) WHERE substr(ref, 1, ?) = ? ORDER BY n DESC LIMIT ?",
            (NEWEST, len(start), start, LIMIT),
        ).fetchall()
        if len(found) < LIMIT:  # older ones: by the index, in its order
            among = {ref for ref, _ in found}
            older = connection.execute(
                "SELECT ref, reading FROM refs WHERE tracked AND ref >= ? AND ref < ? ORDER BY ref LIMIT ?",
                (start, start + LAST, 2 * LIMIT),
            )
            found += [row for row in older if row[0] not in among]
    return [(ref, _state(reading)) for ref, reading in found[:LIMIT]]


def labels(path: Path, start: str) -> list[str]:
    """Return the labels, as `campaign=spring`, that begin so, of the newest tracked batches."""
    newest = "SELECT labels FROM refs WHERE tracked ORDER BY n DESC LIMIT ?"
    with _rows(path) as connection:
        rows = connection.execute(f"SELECT DISTINCT labels FROM ({newest})", (NEWEST,)).fetchall()
    pairs = {f"{name}={value}": None for (text,) in rows for name, value in json.loads(text).items()}
    return _first(pair for pair in pairs if pair.startswith(start))


def change_ids(path: Path, start: str) -> list[tuple[str, str]]:
    """Return the ids of changes that begin so, the newest first, each with its ref and kind."""
    with _rows(path) as connection:
        only, values = ("WHERE changes.id >= ? AND changes.id < ?", [start, start + LAST]) if start else ("", [])
        rows: Sequence[Any] = connection.execute(
            f"SELECT changes.id, refs.ref, changes.kind FROM changes JOIN refs ON refs.n = changes.ref {only} "
            "ORDER BY changes.n DESC LIMIT ?",
            (*values, LIMIT),
        ).fetchall()
    return [(id_, f"{ref} {kind}") for id_, ref, kind in rows]


def destinations(path: Path, start: str) -> list[str]:
    """Return the names of destinations that begin so."""
    with _rows(path) as connection:
        rows = connection.execute("SELECT name FROM destinations ORDER BY n").fetchall()
    return _first(name for (name,) in rows if name.startswith(start))


def _first(found: Iterable[str]) -> list[str]:
    return [*found][:LIMIT]


def _state(reading: str | None) -> str:
    return "not read yet" if reading is None else str(json.loads(reading)[0])
