"""The vendored pages: the origin of each spec and its prose, and proof that neither has been edited since."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPECS = Path(__file__).parent
HEADER = """\
# Where each vendored spec was taken from, with the prose around it. `make pull-specs` writes the rows of the vendors
# together with the files; `make regen` refuses a file whose sha256 differs, and other versions than these.
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
    prose_sha256: str

    @property
    def path(self) -> Path:
        return SPECS / f"{self.name}.yaml"

    @property
    def prose(self) -> Path:
        """The vendor's page without the spec."""
        return SPECS / f"{self.name}.prose.md"

    @property
    def overlay(self) -> Path:
        return SPECS / f"{self.name}.overlay.yaml"

    def read(self) -> bytes:
        """Return the spec's bytes; raise SpecError if they or the prose are not those that were pulled."""
        for path, recorded in ((self.prose, self.prose_sha256), (self.path, self.sha256)):
            content = path.read_bytes()
            if sha256(content) != recorded:
                raise SpecError(
                    f"{path.name} is not the file that SOURCES.toml records "
                    f"(sha256 {sha256(content)}, recorded {recorded}). Vendored files are never edited: "
                    f"restore it (git checkout specs), put repairs into {self.overlay.name}, or run `make pull-specs`."
                )
        return content


@dataclass(frozen=True)
class Citation:
    """A line of a page's prose that a table of ours stands on."""

    table: str
    text: str


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def load() -> dict[str, Source]:
    """Return the rows of SOURCES.toml by vendor name; raise SpecError unless there is one for each overlay."""
    try:
        rows = _table("SOURCES.toml")
        sources = {name: Source(name=name, **row) for name, row in rows.items() if name != "versions"}
    except TypeError as error:
        raise SpecError(f"SOURCES.toml: {error}") from None
    overlays = {path.name.removesuffix(".overlay.yaml") for path in SPECS.glob("*.overlay.yaml")}
    if overlays != set(sources):
        raise SpecError(f"SOURCES.toml has the rows {sorted(sources)}, and specs/ the overlays of {sorted(overlays)}")
    return sources


def versions() -> dict[str, str]:
    """Return the versions of the tools that wrote generated/."""
    recorded: dict[str, str] = _table("SOURCES.toml").get("versions", {})
    return recorded


def citations(vendor: str) -> list[Citation]:
    """Return the lines that a vendor's tables stand on."""
    try:
        return [Citation(**row) for row in _table("citations.toml").get(vendor, [])]
    except TypeError as error:
        raise SpecError(f"citations.toml: {vendor}: {error}") from None


def dump(sources: dict[str, Source], tools: dict[str, str]) -> str:
    """Return the text of SOURCES.toml."""
    rows: dict[str, dict[str, Any]] = {"versions": tools}
    for source in sources.values():
        rows[source.name] = {key: value for key, value in vars(source).items() if key != "name"}
    # A string of JSON is a string of TOML.
    tables = ("".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items()) for row in rows.values())
    return HEADER + "".join(f"\n[{name}]\n{table}" for name, table in zip(rows, tables, strict=True))


def _table(name: str) -> dict[str, Any]:
    try:
        return tomllib.loads((SPECS / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpecError(f"{name}: {error}") from None
