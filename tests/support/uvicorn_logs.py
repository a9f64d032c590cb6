"""The loggers of uvicorn, as an application has them that is served by it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")]


@contextmanager
def left_alone() -> Iterator[list[str]]:
    """Set them up for a block, which may not change them; give the names of those that are written to."""
    told: list[str] = []
    handler, set_up = logging.Handler(), _state()
    handler.emit = lambda record: told.append(record.name)  # type: ignore[method-assign]
    for logger in LOGGERS:
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    before = _state()
    try:
        yield told
        assert _state() == before
    finally:
        for logger, (handlers, level, propagate) in set_up.items():
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


def _state() -> dict[logging.Logger, tuple[list[logging.Handler], int, bool]]:
    return {logger: (list(logger.handlers), logger.level, logger.propagate) for logger in LOGGERS}
