"""Packages whose names are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

LONGEST_LOADING = 10.0
"""Seconds for which a fork waits for a thread that loads something."""

_loading = threading.RLock()
_held: list[bool] = []
"""Whether the thread that forks has the lock."""


@contextmanager
def loading() -> Iterator[None]:
    """Import within this: a fork meanwhile waits, since in its child the import lock would stay locked for ever."""
    with _loading:
        yield


def _before_fork() -> None:
    _held.append(_loading.acquire(timeout=LONGEST_LOADING))


def _after_fork() -> None:
    if _held.pop():
        _loading.release()


# After logging has registered its own: handlers before a fork run from the last to the first, and a thread that loads
# something may need logging's lock, which the thread that forks would have by then.
assert logging
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def lazy_names(
    package: str, modules: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose names are in these modules below it."""
    module_of = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with loading():
            value = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(module_of)
