"""Take the vendors' specs out of their documentation pages (`make pull-specs`).

Only the one fence that holds an OpenAPI document is used; nothing else on a page is read, followed or obeyed.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import changes
import httpx
import openapi_spec_validator
import sources
import yaml
from sources import Source, SpecError

FENCE = re.compile(
    r"^(?P<ticks>`{4,})[^\n`]*\n(?P<body>openapi:.*?\n)(?P=ticks)(?!`)[ \t]*(?:\n|\Z)", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^#+ .*$", re.MULTILINE)


class Taken(NamedTuple):
    """The contents of a page: the spec's bytes, the line on which its fence opens, and the spec parsed."""

    spec: bytes
    line: int
    document: dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="a saved page, instead of the URL in SOURCES.toml")
    parser.add_argument("vendors", nargs="*", help="which specs (default: all; with --page: found out from it)")
    arguments = parser.parse_args()
    try:
        pull(arguments.page, arguments.vendors)
    except (SpecError, OSError) as error:
        print(f"pull-specs: {error}\npull-specs: nothing was changed.", file=sys.stderr)
        return 1
    return 0


def pull(page: Path | None, vendors: list[str]) -> None:
    """Read the pages, print the changes, and write specs and SOURCES.toml together or not at all."""
    known = sources.load()
    if unknown := set(vendors) - set(known):
        raise SpecError(f"unknown vendor {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if page is not None:
        taken = take(str(page), page.read_bytes())
        pulled = {recognise(taken.document, known, vendors): taken}
    else:
        pulled = {name: take(known[name].page, fetch(known[name].page)) for name in vendors or known}
    updated = dict(known)
    for name, taken in pulled.items():
        report(known[name], taken)
        digest = sources.sha256(taken.spec)
        if (digest, taken.line) != (known[name].sha256, known[name].fence_line):
            today = datetime.now(UTC).date().isoformat()
            updated[name] = dataclasses.replace(known[name], fence_line=taken.line, date=today, sha256=digest)
    write(updated, {known[name].path: taken.spec for name, taken in pulled.items()})


def fetch(url: str) -> bytes:
    try:
        return httpx.get(url, timeout=30, follow_redirects=True).raise_for_status().content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SpecError(f"{url}: {error}") from None


def take(name: str, page: bytes) -> Taken:
    """Return the contents of the page; raise SpecError, which names the page, if they are not one valid spec."""
    try:
        spec, line = extract(page.decode("utf-8").replace("\r\n", "\n"))
        return Taken(spec, line, validate(spec))
    except UnicodeDecodeError as error:
        raise SpecError(f"{name}: not UTF-8 text: {error}") from None
    except SpecError as error:
        raise SpecError(f"{name}: {error}") from None


def extract(page: str) -> tuple[bytes, int]:
    """Return the bytes of the page's one OpenAPI fence and the line on which the fence opens."""
    fences = list(FENCE.finditer(page))
    headings = [HEADING.findall(page, 0, fence.start())[-1:] for fence in fences]
    if headings != [["## OpenAPI"]]:
        raise SpecError(
            f"the page has {len(fences)} closed four-backtick fences that start with `openapi:`; exactly one is "
            "expected, under `## OpenAPI`. Read the page: the vendor has moved the spec, or this is not the page."
        )
    return fences[0]["body"].encode("utf-8"), page.count("\n", 0, fences[0].start()) + 1


def validate(spec: bytes) -> dict[str, Any]:
    """Return the parsed document; raise SpecError if it is not valid OpenAPI."""
    try:
        document: dict[str, Any] = yaml.safe_load(spec)
        _stay_inside(document)
        openapi_spec_validator.validate(document)
    except Exception as error:  # noqa: BLE001 (the validator's, its schemas' and PyYAML's errors share no base class)
        raise SpecError(f"the spec is not valid OpenAPI: {type(error).__name__}: {error}") from None
    return document


def _stay_inside(node: Any) -> None:
    """Raise ValueError at a reference out of the document: the validator would open the address or file it names."""
    if isinstance(node, dict):
        for key in ("$ref", "$dynamicRef"):
            if not str(node.get(key, "#")).startswith("#"):
                raise ValueError(f"{key} {node[key]} leads out of it")
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            _stay_inside(child)


def recognise(document: dict[str, Any], known: dict[str, Source], named: list[str]) -> str:
    """Return the vendor whose spec names the same servers; if there is none, the one that was named."""
    servers = _servers(document)
    found = [name for name, source in known.items() if servers & _servers(yaml.safe_load(source.path.read_bytes()))]
    vendors = [name for name in known if name in (found or named) and name in (named or found)]
    if len(vendors) != 1:
        raise SpecError(
            f"whose page is this? Its servers {sorted(servers)} are those of {' and '.join(found) or 'no vendor'}, "
            f"and VENDOR is {' and '.join(named) or 'not given'}; give VENDOR={'|'.join(known)}"
        )
    return vendors[0]


def _servers(document: dict[str, Any]) -> set[str]:
    return {server["url"] for server in document.get("servers", [])}


def report(source: Source, taken: Taken) -> None:
    before = source.path.read_bytes()
    lines = changes.changes(yaml.safe_load(before), taken.document)
    moved = f"; the fence has moved to line {taken.line}" if taken.line != source.fence_line else ""
    news = "unchanged" if before == taken.spec else f"changed; differences for a caller: {len(lines)}"
    print(f"{source.name}: {news}{moved}")
    for line in lines:
        print(f"  {line}")


def write(updated: dict[str, Source], specs: dict[Path, bytes]) -> None:
    """Replace the specs and SOURCES.toml; if one replacement fails, put back those that were made."""
    files = specs | {sources.SPECS / "SOURCES.toml": sources.dump(updated).encode("utf-8")}
    before = {path: path.read_bytes() for path in files}
    scratches = {path: path.with_name(f"{path.name}.new") for path in files}
    try:
        # All are written before one is replaced: a full disk is noticed while everything is as it was.
        for path, scratch in scratches.items():
            scratch.write_bytes(files[path])
        for path, scratch in scratches.items():
            scratch.replace(path)
    except OSError:
        for path, content in before.items():
            if path.read_bytes() != content:
                path.write_bytes(content)
        raise
    finally:
        for scratch in scratches.values():
            scratch.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
