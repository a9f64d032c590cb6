"""The default path of the store, and the folders of the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path

from batchstatus import ConfigurationError


def xdg_folder(variable: str, default: str) -> Path | None:
    """Return the folder that a variable names, else one in the home folder; None if there is no home folder.

    The specification has relative paths ignored.
    """
    folder = Path(os.environ.get(variable) or "")
    if folder.is_absolute():
        return folder
    try:
        return Path.home() / default
    except RuntimeError:
        return None


def default_path() -> Path:
    """Return the default path of the store: in the XDG folder for state.

    Raises:
        ConfigurationError: There is no home folder.
    """
    state = xdg_folder("XDG_STATE_HOME", ".local/state")
    if state is None:
        raise ConfigurationError("there is no home folder for the store: name it, or set HOME")
    return state / "batchstatus" / "store.sqlite3"
