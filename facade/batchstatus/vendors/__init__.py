"""One file per vendor; only these import the generated clients."""

from __future__ import annotations

from collections.abc import Mapping

from batchstatus._core.account import Account

from .believe import Believe
from .gameball import Gameball

__all__ = ["VENDORS", "Believe", "Gameball"]

VENDORS: Mapping[str, type[Account]] = {vendor.vendor: vendor for vendor in (Gameball, Believe)}
"""The account class of each vendor, by the vendor's name in refs."""
