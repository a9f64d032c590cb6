"""The changes of a spec update for a caller: one line each, opening with the work that it means for the facade.

`BREAKING`: a request or a reading of today may fail. `LEARN`: a response may hold a word that has no meaning yet.
`ok`: nothing has to be done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
KEYWORDS = ("type", "format", "const", "nullable", "minimum", "maximum", "pattern")


@dataclass(frozen=True)
class Fact:
    """One thing that a caller depends on. Its place without the last part is the place of the fact that holds it."""

    place: tuple[str, ...]
    shape: str
    sent: bool = False
    required: bool = False
    word: bool = False

    def __str__(self) -> str:
        return "".join(self.place)


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the differences as sorted lines; of objects that were added or removed whole, only the outermost."""
    before, after = ({fact.place: fact for fact in _facts(spec)} for spec in (old, new))
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    lines = [_removed(before[place]) for place in gone if place[:-1] not in gone]
    lines += [_added(after[place]) for place in come if place[:-1] not in come]
    lines += [_changed(before[place], after[place]) for place in before.keys() & after.keys()]
    return sorted(filter(None, lines))


def _removed(fact: Fact) -> str:
    harmless = fact.word and not fact.sent
    return _line("ok" if harmless else "BREAKING", "removed", fact, _value(fact))


def _added(fact: Fact) -> str:
    if fact.word and not fact.sent:
        return _line("LEARN", "added", fact, _value(fact))
    return _line("BREAKING" if fact.sent and fact.required else "ok", "added", fact, _value(fact))


def _changed(old: Fact, new: Fact) -> str:
    if old == new:
        return ""
    # To be required is a burden on who sends and a promise to who reads.
    harmless = old.shape == new.shape and new.required != new.sent
    return _line("ok" if harmless else "BREAKING", "changed", new, f"{_value(old)} -> {_value(new)}")


def _line(mark: str, verb: str, fact: Fact, value: str) -> str:
    return f"{mark:<8} {verb:<7} {fact} ({value})"


def _value(fact: Fact) -> str:
    return f"required, {fact.shape}" if fact.required else fact.shape


def _facts(spec: dict[str, Any]) -> Iterator[Fact]:
    for server in spec.get("servers", []):
        yield Fact((f"server {server['url']}",), "server")
    for name, scheme in spec.get("components", {}).get("securitySchemes", {}).items():
        yield Fact((f"auth {name}",), ", ".join(f"{key} {value}" for key, value in sorted(scheme.items())), sent=True)
    for path, item in spec.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                yield from _operation((f"{method.upper()} {path}",), item, item[method], spec)


def _operation(
    place: tuple[str, ...], item: dict[str, Any], operation: dict[str, Any], spec: dict[str, Any]
) -> Iterator[Fact]:
    security = operation.get("security", spec.get("security", []))
    keys = " or ".join(" and ".join(sorted(option)) or "none" for option in security or [{}])
    yield Fact(place, f"auth {keys}", sent=True)
    parameters = [_resolve(one, spec) for one in [*item.get("parameters", []), *operation.get("parameters", [])]]
    # The operation's parameter takes the place of the path's with the same name.
    for where, parameter in {f" {one['in']} parameter {one['name']}": one for one in parameters}.items():
        schema, required = parameter.get("schema", {}), parameter.get("required", False)
        yield from _schema((*place, where), schema, spec, sent=True, required=required)
    for status, declared in operation.get("responses", {}).items():
        yield Fact((*place, f" {status}"), "answer")
        for content_type, content in _resolve(declared, spec).get("content", {}).items():
            yield from _schema((*place, f" {status}", f" {content_type}"), content.get("schema", {}), spec)


def _schema(
    place: tuple[str, ...],
    schema: Any,
    spec: dict[str, Any],
    *,
    sent: bool = False,
    required: bool = False,
    seen: tuple[str, ...] = (),
) -> Iterator[Fact]:
    schema = {} if isinstance(schema, bool) else schema
    if reference := schema.get("$ref"):
        schema = _resolve(schema, spec)
    shape = ", ".join(f"{key} {schema[key]}" for key in KEYWORDS if key in schema) or "any"
    yield Fact(place, shape, sent, required)
    if reference in seen:
        return
    inner: dict[str, Any] = {"spec": spec, "sent": sent, "seen": (*seen, reference) if reference else seen}
    # "Any word" is a word too, so that an enum that opens or closes is told like one that grows or shrinks.
    for word in [f" word {word}" for word in schema.get("enum", [])] or [" any word"]:
        yield Fact((*place, word), "enum" if "enum" in schema else "no enum", sent, word=True)
    for name, field in schema.get("properties", {}).items():
        yield from _schema((*place, f".{name}"), field, required=name in schema.get("required", []), **inner)
    if "items" in schema:
        yield from _schema((*place, "[]"), schema["items"], **inner)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for number, part in enumerate(schema.get(keyword, [])):
            yield from _schema((*place, f" {keyword}[{number}]"), part, **inner)


def _resolve(node: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """Follow a local `$ref`; siblings such as a description do not matter to a caller."""
    while "$ref" in node:
        target: Any = spec
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/").replace("~0", "~")]
        node = target
    return node
