"""Quillon, an invented vendor, for batchstatus."""

from .account import Quillon

__all__ = ["Quillon"]
