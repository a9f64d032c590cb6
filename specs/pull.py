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
from typing import Any

import changes
import httpx
import openapi_spec_validator
import sources
import yaml
from sources import Source, SpecError

FENCE = re.compile(
    r"^(?P<ticks>`{3,})[^\n`]*\n(?P<body>openapi:.*?\n)(?P=ticks)(?!`)[ \t]*(?:\n|\Z)", re.MULTILINE | re.DOTALL
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="a saved page, instead of the URL in SOURCES.toml")
    parser.add_argument("vendors", nargs="*", help="which specs (default: all; with --page: found out from it)")
    arguments = parser.parse_args()
    try:
        pull(arguments.page, arguments.vendors)
    except (SpecError, httpx.HTTPError, OSError) as error:
        print(f"pull-specs: {error}\npull-specs: nothing was changed.", file=sys.stderr)
        return 1
    return 0


def pull(page: Path | None, vendors: list[str]) -> None:
    """Read the pages, say what changes, and write specs and SOURCES.toml together or not at all."""
    known = sources.load()
    if unknown := set(vendors) - set(known):
        raise SpecError(f"unknown vendor {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if page is not None:
        text = read(page)
        spec, line = extract(text)
        pulled = {vendors[0] if len(vendors) == 1 else recognise(spec, known): (spec, line)}
    else:
        pulled = {name: extract(fetch(known[name].page)) for name in vendors or known}
    updated = dict(known)
    for name, (spec, line) in pulled.items():
        document = validate(spec)
        report(name, yaml.safe_load(known[name].path.read_bytes()), document, known[name].path.read_bytes() == spec)
        digest = sources.sha256(spec)
        if (digest, line) != (known[name].sha256, known[name].fence_line):
            today = datetime.now(UTC).date().isoformat()
            updated[name] = dataclasses.replace(known[name], fence_line=line, date=today, sha256=digest)
    write(updated, {updated[name]: spec for name, (spec, _) in pulled.items()})


def fetch(url: str) -> str:
    answer = httpx.get(url, timeout=30, follow_redirects=True).raise_for_status()
    return _decode(answer.content, url)


def read(page: Path) -> str:
    return _decode(page.read_bytes(), str(page))


def _decode(page: bytes, name: str) -> str:
    try:
        return page.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{name} is not UTF-8 text: {error}") from None


def extract(page: str) -> tuple[bytes, int]:
    """Return the bytes of the page's one OpenAPI fence and the line on which the fence opens."""
    fences = list(FENCE.finditer(page))
    if len(fences) != 1:
        raise SpecError(
            f"the page has {len(fences)} closed fences that start with `openapi:`; exactly one is expected. "
            "Read the page: the vendor has moved the spec, or this is not the page."
        )
    return fences[0]["body"].encode("utf-8"), page.count("\n", 0, fences[0].start()) + 1


def validate(spec: bytes) -> dict[str, Any]:
    """Return the parsed document; raise SpecError where it is not valid OpenAPI."""
    try:
        document: dict[str, Any] = yaml.safe_load(spec)
        openapi_spec_validator.validate(document)
    except Exception as error:  # noqa: BLE001 (the validator's, its schemas' and PyYAML's errors share no base class)
        raise SpecError(f"the page's spec is not valid OpenAPI: {type(error).__name__}: {error}") from None
    return document


def recognise(spec: bytes, known: dict[str, Source]) -> str:
    """Return the vendor whose spec names the same servers."""
    servers = _servers(validate(spec))
    found = [name for name, source in known.items() if servers & _servers(yaml.safe_load(source.path.read_bytes()))]
    if len(found) != 1:
        raise SpecError(f"cannot tell whose page this is (servers {sorted(servers)}); add VENDOR={'|'.join(known)}")
    return found[0]


def _servers(document: dict[str, Any]) -> set[str]:
    return {server["url"] for server in document.get("servers", [])}


def report(name: str, old: dict[str, Any], new: dict[str, Any], same: bool) -> None:
    lines = changes.changes(old, new)
    print(f"{name}: " + ("unchanged" if same else f"{len(lines)} changes for a caller"))
    for line in lines:
        print(f"  {line}")


def write(updated: dict[str, Source], specs: dict[Source, bytes]) -> None:
    """Replace the specs and SOURCES.toml; if one replacement fails, put back those that were made."""
    files = {source.path: spec for source, spec in specs.items()}
    files[sources.SPECS / "SOURCES.toml"] = sources.dump(updated).encode("utf-8")
    before = {path: path.read_bytes() for path in files}
    try:
        for path, content in files.items():
            scratch = path.with_suffix(path.suffix + ".new")
            scratch.write_bytes(content)
            scratch.replace(path)
    except OSError:
        for path, content in before.items():
            path.write_bytes(content)
        raise


if __name__ == "__main__":
    sys.exit(main())
