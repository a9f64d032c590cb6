"""docs/reference/objects.md, drawn from the JSON Schemas: `make pages` writes it."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "objects.md"
SCHEMAS = ROOT / "facade" / "batchstatus" / "schemas"
OPENING = """# The objects in JSON

Every object that the [command line](command-line.md) prints, that a webhook receives, and that a wait goes on
from, has a JSON Schema (2020-12) in the package, as `batchstatus/schemas/*.json`;
`importlib.resources.files("batchstatus") / "schemas"` has them after installation. A new field may come with any
version; if one is dropped or changes its meaning, `schema` has another number. An object in a list has no `schema` of
its own, unless it is a change.

The names below are those of `--fields` and `--where`. An object that `--fields` has thinned out has the same form, and
only those fields. This page is drawn from the schemas, and a test holds it to them.
"""
ORDER = (
    "batch", "counts", "batches", "message", "change", "changes", "tracked", "tracked-list", "track-add", "track-rm",
    "track-retry", "destination", "destinations", "delivery", "deliveries", "deliveries-retry",
    "deliveries-drop", "replay", "durations", "durations-list", "check", "checks", "store-check",
    "init", "simulation", "log", "checkpoint",
)  # fmt: skip


def page() -> str:
    """Return the page."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
    names = [*ORDER, *sorted(found.keys() - {*ORDER})]
    return "\n".join([OPENING, *(_section(name, found[name]) for name in names)])


def _section(name: str, schema: dict) -> str:
    lines = [
        f"## {schema['title']}",
        "",
        f"{schema['description']} `{name}.json`",
        "",
        "| field | type | |",
        "|---|---|---|",
    ]
    for path, field in _fields(schema, ""):
        text = field.get("description", "").replace("|", "\\|")
        if choices := [f"`{choice}`" for choice in field.get("enum", ()) if choice is not None]:
            text = f"{text} {', '.join(choices)}"
        lines.append(f"| `{path}` | {_type(field)} | {text.strip()} |")
    return "\n".join([*lines, ""])


def _fields(schema: dict, prefix: str) -> list[tuple[str, dict]]:
    found = []
    for name, field in schema.get("properties", {}).items():
        found.append((prefix + name, field))
        found += _fields(field, f"{prefix}{name}.")
        items = field.get("items")
        if isinstance(items, dict) and "$ref" not in items:
            found += _fields(items, f"{prefix}{name}[].")
    return found


def _type(field: dict) -> str:
    if "$ref" in field:
        return _link(field["$ref"])
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return "text or null" if None in field["enum"] else "text"
    kinds = [field["type"]] if isinstance(field["type"], str) else field["type"]
    items = field.get("items")
    of = f" of {_type(items)}" if isinstance(items, dict) and "properties" not in items else ""
    names = {"string": "time" if field.get("format") == "date-time" else "text", "array": f"list{of}"}
    return " or ".join(names.get(kind, kind) for kind in kinds)


def _link(ref: str) -> str:
    title = json.loads((SCHEMAS / ref).read_text(encoding="utf-8"))["title"]
    return f"[{title}](#{title.lower().replace(' ', '-')})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
