"""The folders of the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path


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
