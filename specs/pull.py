"""Take the vendors' specs out of their documentation pages (`make pull-specs`).

Only the one fence that holds an OpenAPI document becomes the spec. The rest of a page, its prose, is kept and compared,
since tables of ours stand on it; nothing on a page is followed or obeyed, and all of it is escaped before it is shown.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":  # Ctrl-C ends it without a word while it still loads
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import dataclasses
import re
import sys
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import changes
import contract
import document
import openapi_spec_validator
import patch
import prose
import sources
from document import Document
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError
from sources import Source, SpecError
from terminal import say

FENCE = re.compile(
    r"^(?P<ticks>`{4,})[^\n`]*\n(?P<body>openapi:.*?\n)(?P=ticks)(?!`)[ \t]*(?:\n|\Z)", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^#+ .*$", re.MULTILINE)
GONE = re.compile(r"(?:\.|: ')([^.:'\s]+)'?$")
"""The field or the word at the end of a change's subject."""
MAX_PAGE = 5_000_000  # bytes; the vendors' pages have 15,000
CHANGED = 3


class Taken(NamedTuple):
    """The contents of a page: the spec's bytes, the line on which its fence opens, the spec parsed, and the prose."""

    spec: bytes
    line: int
    document: Document
    prose: str


class News(NamedTuple):
    """What a pull has to tell about one vendor."""

    lines: list[str]
    entries: list[str]
    to_edit: list[str]
    faults: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="a saved page, instead of the URL in SOURCES.toml")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 3 if there is a change")
    parser.add_argument("vendors", nargs="*", help="which specs (default: all; with --page: found out from it)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return pull(arguments.page, arguments.vendors, check=arguments.check)
    except (SpecError, OSError) as error:
        say(*f"pull-specs: {error}".split("\n"), "pull-specs: nothing was changed.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("pull-specs: stopped; nothing was changed.", file=sys.stderr)
        return 130


def pull(page: Path | None, vendors: list[str], *, check: bool = False) -> int:
    """Read the pages, print the changes, and write specs, prose and SOURCES.toml together or not at all."""
    known = sources.load()
    if unknown := set(vendors) - set(known):
        raise SpecError(f"unknown vendor {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if page is not None:
        taken = take(str(page), page.read_bytes())
        pulled = {recognise(taken.document.contents, known, vendors): taken}
    else:
        pulled = {name: take(known[name].page, fetch(known[name].page)) for name in vendors or known}
    updated = dict(known) | {name: update(known[name], taken) for name, taken in pulled.items()}
    news = [report(known[name], taken) for name, taken in pulled.items()]
    say(*(line for one in news for line in one.lines))
    if entries := [entry for one in news for entry in one.entries]:
        say("", "For CHANGELOG.md, below Unreleased, once the facade follows:", *entries)
    if to_edit := [line for one in news for line in one.to_edit]:
        say("", "The facade does not take this spec yet. To edit before `make regen`:", *to_edit)
    faults = [fault for one in news for fault in one.faults]
    if check:
        say(*faults)
        return CHANGED if updated != known else 0
    if faults:
        raise SpecError("\n".join(faults))
    write(updated, pulled)
    if updated != known:
        say("", "specs/ is written. Next: docs/how-to/take-over-a-spec-change.md; to give up: git checkout specs")
    return 0


def update(source: Source, taken: Taken) -> Source:
    """Return the row of SOURCES.toml for a page; the date is that of the last page that differed."""
    updated = dataclasses.replace(
        source,
        fence_line=taken.line,
        sha256=sources.sha256(taken.spec),
        prose_sha256=sources.sha256(taken.prose.encode("utf-8")),
    )
    return updated if updated == source else dataclasses.replace(updated, date=today())


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def fetch(url: str) -> bytes:
    import httpx  # noqa: PLC0415 (a quarter of a second, and a saved page needs none)

    try:
        return httpx.get(url, timeout=30, follow_redirects=True).raise_for_status().content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SpecError(f"{url}: {error}") from None


def take(name: str, page: bytes) -> Taken:
    """Return the contents of the page; raise SpecError, which names the page, if they are not one valid spec."""
    if len(page) > MAX_PAGE:
        raise SpecError(f"{name}: {len(page):,} bytes; a page of a spec has no more than {MAX_PAGE:,}")
    try:
        text = page.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise SpecError(f"{name}: not UTF-8 text: {error}") from None
    try:
        fence = extract(text)
    except SpecError as error:
        raise SpecError(f"{name}: {error}") from None
    spec = fence["body"].encode("utf-8")
    line = text.count("\n", 0, fence.start()) + 1
    return Taken(spec, line, validate(spec, name, line + 1), text[: fence.start()] + text[fence.end() :])


def extract(page: str) -> re.Match[str]:
    """Return the page's one OpenAPI fence."""
    fences = list(FENCE.finditer(page))
    headings = [HEADING.findall(page, 0, fence.start())[-1:] for fence in fences]
    if headings != [["## OpenAPI"]]:
        raise SpecError(
            f"the page has {len(fences)} closed four-backtick fences that start with `openapi:`; exactly one is "
            "expected, under `## OpenAPI`. Read the page: the vendor has moved the spec, or this is not the page."
        )
    return fences[0]


def validate(spec: bytes, name: str, first: int = 1) -> Document:
    """Return the parsed document; raise SpecError, which opens with its place, if it is not valid OpenAPI."""
    parsed = document.load(name, spec, first)
    # Before the validator sees it: it would open the address or file that a reference names.
    for place, reference in document.references(parsed.contents):
        try:
            document.resolve(parsed.contents, reference)
        except SpecError as error:
            raise SpecError(f"{parsed.at(*place)}: {error}") from None
    try:
        openapi_spec_validator.validate(parsed.contents)
    except OpenAPIValidationError as error:
        place = _place(parsed.contents, error)
        raise SpecError(f"{parsed.at(*place)}: the spec is not valid OpenAPI: {_summary(error)}") from None
    except RecursionError:
        raise SpecError(f"{name}: the spec is not valid OpenAPI: a schema holds itself without an end") from None
    except Exception as error:  # noqa: BLE001 (the validator's errors share no base class)
        raise SpecError(f"{name}: the spec is not valid OpenAPI: {type(error).__name__}: {error!s:.200}") from None
    return parsed


def _summary(error: OpenAPIValidationError) -> str:
    """Return the validator's sentence without the part of the spec that it repeats."""
    message = error.message.partition("\n")[0]
    return message if len(message) <= 200 else f"{message[:100]} ... {message[-100:]}"


def _place(contents: Any, error: OpenAPIValidationError) -> tuple[str | int, ...]:
    """Return where the validator's finding is: it names a path in the document or only the end of one."""
    path = tuple(error.absolute_path)
    if not path:
        return _said(contents, error)
    return next(
        (place for place, node in _nodes(contents) if place[-len(path) :] == path and node == error.instance), path
    )


def _said(contents: Any, error: OpenAPIValidationError) -> tuple[str | int, ...]:
    """Return the place of an operation that a finding without a path names, or of a default that it shows."""
    named = [("paths", path) for path in contents.get("paths") or {} if repr(path) in error.message]
    shown = [place for place, node in _nodes(contents) if place[-1:] == ("default",) and node == error.instance]
    return next(iter([*shown, *named]), ())


def _nodes(contents: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every node of a document and its place, the outermost first."""
    queue: deque[tuple[tuple[str | int, ...], Any]] = deque([((), contents)])
    while queue:
        place, node = queue.popleft()
        yield place, node
        children: Any = node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else ())
        queue.extend(((*place, key), child) for key, child in children)


def recognise(contents: dict[str, Any], known: dict[str, Source], named: list[str]) -> str:
    """Return the vendor whose spec has a server of this one, or else a path; if there is none, the one named."""
    servers = _servers(contents)
    specs = {name: vendored(source).contents for name, source in known.items()}
    found = [name for name, spec in specs.items() if servers & _servers(spec)]
    found = found or [name for name, spec in specs.items() if _paths(contents) & _paths(spec)]
    vendors = [name for name in known if name in (found or named) and name in (named or found)]
    if len(vendors) != 1:
        raise SpecError(
            f"whose page is this? Its servers {sorted(servers)} are those of {' and '.join(found) or 'no vendor'}, "
            f"and VENDOR is {' and '.join(named) or 'not given'}; give VENDOR={'|'.join(known)}"
        )
    return vendors[0]


def _servers(contents: dict[str, Any]) -> set[str]:
    return {server["url"].rstrip("/") for server in contents.get("servers") or []}


def _paths(contents: dict[str, Any]) -> set[str]:
    return set(contents.get("paths") or {})


def vendored(source: Source) -> Document:
    return document.load(f"specs/{source.path.name}", source.path.read_bytes())


def report(source: Source, taken: Taken) -> News:
    """Compare a page with what is vendored of it."""
    found = changes.changes(vendored(source), dataclasses.replace(taken.document, first=1), used(source))
    words = compare_prose(source, taken)
    lines = [f"{source.name}: {_summed(source, taken, found)}"]
    for path, recorded in ((source.path, source.sha256), (source.prose, source.prose_sha256)):
        if sources.sha256(path.read_bytes()) != recorded:
            lines.append(f"  specs/{path.name} was not the file that SOURCES.toml records, and is compared as it is")
    lines += [f"  {line}" for change in found for line in (*told(source, change), *told_still(source, taken, change))]
    if words.diff:
        tables = f"; these tables stand on or beside the lines: {', '.join(words.tables)}" if words.tables else ""
        lines.append(f"  attention prose-changed: the page says something else{tables}")
        lines += [f"    {line}" for line in words.diff]
    to_edit = contract.findings(source.name, taken.spec, source.overlay.read_bytes())
    return News(lines, entries(source, found), to_edit, faults(source, taken, words.gone))


def used(source: Source) -> str:
    """Return the name of the operation that the facade calls, or nothing if the overlay no longer fits."""
    repairs = document.load(f"specs/{source.overlay.name}", source.overlay.read_bytes())
    try:
        patched, _ = patch.patch(vendored(source).contents, repairs)
        path, method, _ = patch.operation(patched)
    except SpecError:
        return ""
    return f"{method.upper()} {path}"


def _summed(source: Source, taken: Taken, found: list[changes.Change]) -> str:
    levels = [change.level for change in found]
    counts = ", ".join(f"{levels.count(level)} {level}" for level in changes.LEVELS if level in levels)
    spec = sources.sha256(taken.spec) != source.sha256
    news = [f"changed: {counts or 'nothing that a request or a reading depends on'}"] if spec else []
    news += ["its prose has changed"] if sources.sha256(taken.prose.encode("utf-8")) != source.prose_sha256 else []
    news += [f"the fence has moved to line {taken.line}"] if taken.line != source.fence_line else []
    return "; ".join(news) or "unchanged"


def told(source: Source, change: changes.Change) -> list[str]:
    """Return a change in lines: its place, level, id and subject, and what it means for a caller and a maintainer."""
    rule = change.rule
    when = " before" if change.gone else ""
    unused = " (nothing calls it)" if change.unused else ""
    lines = [f"specs/{source.path.name}:{change.line}{when}: {change.level} {change.id}: {change.subject}{unused}"]
    if change.level != "harmless":
        lines.append(f"    caller: {rule.caller}")
    if rule.maintainer and not change.unused:
        lines.append(f"    maintainer: {rule.maintainer} ({follows(source, rule)})")
    return lines


def told_still(source: Source, taken: Taken, change: changes.Change) -> list[str]:
    """Return a line with the places at which the page's prose still names a field or a word that the spec has lost."""
    lost = GONE.search(change.subject) if change.gone and not change.unused else None
    if lost is None:
        return []
    names = re.compile(rf"[\"`]{re.escape(lost[1])}[\"`]")
    lines = [str(number) for number, line in enumerate(taken.prose.splitlines(), 1) if names.search(line)]
    place = f"specs/{source.prose.name}:{', '.join(lines)}"
    return [f"    the page's prose still has it, {place}: a row for specs/QUIRKS.md"] if lines else []


def follows(source: Source, rule: changes.Rule) -> str:
    return rule.follows.format(
        facade=f"facade/batchstatus/vendors/{source.name}.py",
        overlay=f"specs/{source.overlay.name}",
    )


def entries(source: Source, found: list[changes.Change]) -> list[str]:
    """Return the lines that a CHANGELOG may take over."""
    return [
        f"- {source.name.capitalize()}'s spec of {today()}: {change.id.replace('-', ' ')}: {change.subject}."
        for change in found
        if change.level != "harmless"
    ]


def compare_prose(source: Source, taken: Taken) -> prose.Report:
    old = source.prose.read_text(encoding="utf-8")
    return prose.compare(f"specs/{source.prose.name}", old, taken.prose, sources.citations(source.name))


def faults(source: Source, taken: Taken, gone: list[sources.Citation]) -> list[str]:
    """Return a line for each citation whose line is no longer on the page."""
    lines = (sources.SPECS / "citations.toml").read_text(encoding="utf-8").splitlines()
    found = []
    for citation in gone:
        number = next((at for at, line in enumerate(lines, 1) if line.startswith("text") and citation.text in line), 1)
        now = prose.nearest(citation.text, taken.prose.splitlines())
        found.append(
            f"specs/citations.toml:{number}: {citation.table} in facade/batchstatus/vendors/{source.name}.py stands on "
            f"a line that the page no longer has: {citation.text!r}"
            + (f"; the nearest is now {now!r}" if now else "")
            + ". Compare the table with the page, put the new line there (or take the citation out), and pull again."
        )
    return found


def write(updated: dict[str, Source], pulled: dict[str, Taken]) -> None:
    """Replace specs, prose and SOURCES.toml; if one replacement fails, put back those that were made."""
    files = {sources.SPECS / "SOURCES.toml": sources.dump(updated, sources.versions()).encode("utf-8")}
    for name, taken in pulled.items():
        files |= {updated[name].path: taken.spec, updated[name].prose: taken.prose.encode("utf-8")}
    before = {path: path.read_bytes() for path in files}
    files = {path: content for path, content in files.items() if content != before[path]}
    scratches = {path: path.with_name(f"{path.name}.new") for path in files}
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what has begun is done in a moment
    try:
        # All are written before one is replaced: a full disk is noticed while everything is as it was.
        for path, scratch in scratches.items():
            scratch.write_bytes(files[path])
        for path, scratch in scratches.items():
            scratch.replace(path)
    except OSError:
        for path in files:
            if path.read_bytes() != before[path]:
                path.write_bytes(before[path])
        raise
    finally:
        for scratch in scratches.values():
            scratch.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
