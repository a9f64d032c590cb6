"""What a spec update changes for a caller: one line per change, breaking ones marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
KEYWORDS = ("type", "format", "enum", "const", "nullable", "minimum", "maximum", "pattern")


@dataclass(frozen=True)
class Fact:
    """One thing that a caller depends on, and whether it concerns what is sent or what comes back."""

    place: str
    value: str
    sent: bool = False


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the differences as lines, `BREAKING` first where a caller or the facade has to act."""
    before, after = ({fact.place: fact for fact in _facts(spec)} for spec in (old, new))
    lines = [f"BREAKING removed {place} ({before[place].value})" for place in before if place not in after]
    for place, fact in after.items():
        if place not in before:
            breaking = fact.sent and fact.value.startswith("required")
            lines.append(f"{'BREAKING' if breaking else 'ok      '} added   {place} ({fact.value})")
        elif before[place].value != fact.value:
            lines.append(f"BREAKING changed {place} ({before[place].value} -> {fact.value})")
    return sorted(lines)


def _facts(spec: dict[str, Any]) -> Iterator[Fact]:
    for server in spec.get("servers", []):
        yield Fact(f"server {server['url']}", "server")
    for name, scheme in spec.get("components", {}).get("securitySchemes", {}).items():
        yield Fact(f"auth {name}", " ".join(f"{key}={value}" for key, value in sorted(scheme.items())), sent=True)
    for path, item in spec.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                yield from _operation(f"{method.upper()} {path}", item, item[method], spec)


def _operation(place: str, item: dict[str, Any], operation: dict[str, Any], spec: dict[str, Any]) -> Iterator[Fact]:
    security = operation.get("security", spec.get("security", []))
    yield Fact(place, "auth " + " or ".join(" and ".join(sorted(option)) for option in security), sent=True)
    for declared in [*item.get("parameters", []), *operation.get("parameters", [])]:
        parameter = _resolve(declared, spec)
        where = f"{place} {parameter['in']} parameter {parameter['name']}"
        need = "required" if parameter.get("required") else "optional"
        yield Fact(where, need, sent=True)
        yield from _schema(where, parameter.get("schema", {}), spec, sent=True)
    for status, declared in operation.get("responses", {}).items():
        response = _resolve(declared, spec)
        yield Fact(f"{place} {status}", "answer")
        for content_type, content in response.get("content", {}).items():
            yield from _schema(f"{place} {status} {content_type}", content.get("schema", {}), spec)


def _schema(
    place: str, schema: dict[str, Any], spec: dict[str, Any], sent: bool = False, seen: tuple[str, ...] = ()
) -> Iterator[Fact]:
    reference = schema.get("$ref", "")
    if reference in seen:
        return
    schema, seen = _resolve(schema, spec), (*seen, reference) if reference else seen
    described = [f"{key} {schema[key]}" for key in KEYWORDS if key in schema and key != "enum"]
    yield Fact(f"{place} shape", ", ".join(described) or "any", sent)
    for word in schema.get("enum", []):
        yield Fact(f"{place} word {word}", "enum word", sent)
    for name, field in schema.get("properties", {}).items():
        need = "required" if name in schema.get("required", []) else "optional"
        yield Fact(f"{place}.{name}", need, sent)
        yield from _schema(f"{place}.{name}", field, spec, sent, seen)
    if isinstance(schema.get("items"), dict):
        yield from _schema(f"{place}[]", schema["items"], spec, sent, seen)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for number, part in enumerate(schema.get(keyword, [])):
            yield from _schema(f"{place} {keyword}[{number}]", part, spec, sent, seen)


def _resolve(node: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """Follow a local `$ref`; siblings such as a description do not matter to a caller."""
    while "$ref" in node:
        target: Any = spec
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/").replace("~0", "~")]
        node = target
    return node
