"""The default path of the configuration file."""

from __future__ import annotations

from pathlib import Path

from batchstatus.service.folders import xdg_folder


def config_path() -> Path:
    """Return the path of the configuration file, unless --config names one."""
    return (xdg_folder("XDG_CONFIG_HOME", ".config") or Path()) / "batchstatus" / "config.toml"
