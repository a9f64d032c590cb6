"""One file per vendor; the only direct importers of the generated clients."""

from __future__ import annotations

from collections.abc import Mapping

from ._base import Account
from .believe import Believe
from .gameball import Gameball

__all__ = ["VENDORS", "Account", "Believe", "Gameball"]

VENDORS: Mapping[str, type[Account]] = {vendor.name: vendor for vendor in (Gameball, Believe)}
