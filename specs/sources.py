"""The vendored specs: the origin of each, and proof that it has not been edited since."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

SPECS = Path(__file__).parent
HEADER = """\
# Where each vendored spec was taken from. `make pull-specs` writes this file together with the specs;
# `make regen` refuses a spec whose sha256 differs.
"""


class SpecError(Exception):
    """A spec, page or overlay that cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Source:
    """One row of SOURCES.toml."""

    name: str
    page: str
    fence_line: int
    date: str
    sha256: str

    @property
    def path(self) -> Path:
        return SPECS / f"{self.name}.yaml"

    @property
    def overlay(self) -> Path:
        return SPECS / f"{self.name}.overlay.yaml"

    def read(self) -> bytes:
        """Return the spec's bytes; raise SpecError if they are not those that were pulled."""
        spec = self.path.read_bytes()
        if sha256(spec) != self.sha256:
            raise SpecError(
                f"{self.path.name} is not the file that SOURCES.toml records "
                f"(sha256 {sha256(spec)}, recorded {self.sha256}). Vendored specs are never edited: "
                f"restore the file, put repairs into {self.overlay.name}, or run `make pull-specs`."
            )
        return spec


def sha256(spec: bytes) -> str:
    return hashlib.sha256(spec).hexdigest()


def load() -> dict[str, Source]:
    """Return the rows of SOURCES.toml by vendor name; raise SpecError unless there is one for each overlay."""
    try:
        rows = tomllib.loads((SPECS / "SOURCES.toml").read_text(encoding="utf-8"))
        sources = {name: Source(name=name, **row) for name, row in rows.items()}
    except (ValueError, TypeError) as error:
        raise SpecError(f"SOURCES.toml: {error}") from None
    overlays = {path.name.removesuffix(".overlay.yaml") for path in SPECS.glob("*.overlay.yaml")}
    if overlays != set(sources):
        raise SpecError(f"SOURCES.toml has the rows {sorted(sources)}, and specs/ the overlays of {sorted(overlays)}")
    return sources


def dump(sources: dict[str, Source]) -> str:
    """Return the text of SOURCES.toml."""
    return HEADER + "".join(
        f'\n[{source.name}]\npage = "{source.page}"\nfence_line = {source.fence_line}\n'
        f'date = "{source.date}"\nsha256 = "{source.sha256}"\n'
        for source in sources.values()
    )
