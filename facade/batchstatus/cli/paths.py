"""The default path of the configuration file, and how help shows paths."""

from __future__ import annotations

from pathlib import Path

from batchstatus.service.folders import xdg_folder


def config_path() -> Path:
    """Return the path of the configuration file, unless --config names one."""
    return (xdg_folder("XDG_CONFIG_HOME", ".config") or Path()) / "batchstatus" / "config.toml"


def shown(path: Path) -> str:
    """Return a path as a person writes it: `~` is the home folder."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (RuntimeError, ValueError):  # there is no home folder, or the path is elsewhere
        return str(path)
