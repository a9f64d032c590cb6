"""Checkpoints that an engine has kept, perhaps from another version of this package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from batchstatus import ConfigurationError

T = TypeVar("T")


async def resumed(checkpoint: Any, call: Callable[[Any], Awaitable[T]]) -> T:
    """Resume from a checkpoint, or start over if another version wrote it: an upgrade must not end running waits."""
    try:
        return await call(checkpoint)
    except ConfigurationError:
        if checkpoint is None:
            raise
    return await call(None)  # this raises again if the checkpoint is not why
