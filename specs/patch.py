"""Make the document that the generator reads: the spec as pulled, tolerant, repaired by its overlay, and cut down.

- Tolerant: a raw client refuses an answer that lacks a required field, holds a new word or writes a time in another
  form; the facade reads all of these. So the schemas of answers lose what only refuses. An array without items gets
  items of any kind, since the generator drops the whole answer for one.
- Reachable: the generator knows references to components by their plain names only. One that is written with percent
  signs is written without, and a copy takes the place of one that leads elsewhere.
- Cut down: a second operation, on whatever path, is not read by anybody and must not stop the one that is.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

import overlay
from document import MAX_DEPTH, Document, follow, references, resolve
from sources import SpecError

OPERATION = "getBatchStatus"
"""The operationId that each overlay gives to the operation that the facade calls: its module is named after it."""
MODEL = "BatchStatusResponse"
"""The name of the model of its 200, whatever the vendor calls the schema."""
NEEDED = ["status"]
"""The fields without which an answer is no answer (G6, B18)."""
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
REFUSING = ("required", "enum", "const", "format")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")


class Operation(NamedTuple):
    """The operation that the facade calls, and where it stands."""

    path: str
    method: str
    value: dict[str, Any]

    @property
    def place(self) -> tuple[str, ...]:
        return "paths", self.path, self.method


def patch(spec: dict[str, Any], repairs: Document) -> tuple[dict[str, Any], list[str]]:
    """Return the document, and notes about actions of the overlay that have nothing left to do."""
    tolerated = tolerant(reachable(spec))
    patched, notes = overlay.apply(tolerated, repairs)
    _keep_name(patched, {one.place for one in operations(tolerated) if one.value.get("operationId") == OPERATION})
    try:
        return cut_down(patched), notes
    except SpecError as error:
        raise SpecError(f"{repairs.at('actions')}: {error}") from None


def _keep_name(patched: dict[str, Any], before: set[tuple[str, ...]]) -> None:
    """Leave the name of our operation to the one to which the overlay has given it: the vendor may use it, too."""
    found = [one for one in operations(patched) if one.value.get("operationId") == OPERATION]
    for one in found if len(found) > len(before) else ():
        if one.place in before:
            del one.value["operationId"]


def operation(document: dict[str, Any]) -> Operation:
    """Return the operation that the facade calls; raise SpecError unless there is exactly one."""
    found = [one for one in operations(document) if one.value.get("operationId") == OPERATION]
    if len(found) != 1:
        raise SpecError(f"{len(found)} operations have the operationId {OPERATION}: give it to one, and remove others")
    return found[0]


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if isinstance(item, dict) and isinstance(item.get(method), dict):
                yield Operation(path, method, item[method])


def reachable(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a document whose references lead to components, by their plain names."""
    spec = copy.deepcopy(spec)
    # A copy may hold references that lead elsewhere, too; one that leads to a part of itself stays as it is.
    waiting = list(references(spec))
    while waiting:
        (*holder, key), reference = waiting.pop()
        pointer = unquote(reference)
        if re.fullmatch(r"#/components/(schemas|responses|parameters|requestBodies)/[^/]*", pointer):
            at(spec, holder)[key] = pointer
            continue
        target = resolve(spec, reference)
        if tuple(map(str, holder))[: len(target.place)] != target.place and isinstance(target.value, dict):
            node = at(spec, holder)
            del node[key]
            node |= copy.deepcopy(target.value) | node
            waiting += references(node, tuple(holder))
    return spec


def at(contents: Any, place: Iterable[str | int]) -> Any:
    for key in place:
        contents = contents[key]
    return contents


def tolerant(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a document whose answers are declared without what only makes a raw client refuse them."""
    spec = copy.deepcopy(spec)
    seen: set[int] = set()
    for one in operations(spec):
        for response in one.value.get("responses", {}).values():
            for content in follow(spec, response).value.get("content", {}).values():
                _loosen(content.get("schema"), spec, seen)
    return spec


def _loosen(schema: Any, spec: dict[str, Any], seen: set[int]) -> None:
    schema = follow(spec, schema).value
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    seen.add(id(schema))
    for keyword in (*REFUSING, "title"):  # a title would rename the model
        schema.pop(keyword, None)
    for name, child in schema.get("properties", {}).items():
        if isinstance(child, bool):  # legal in 3.1, and more than the generator takes
            schema["properties"][name] = {}
    for child in subschemas(schema):
        _loosen(child, spec, seen)
    if "array" in _types(schema):
        schema.setdefault("items", {})
    if "allOf" in schema and "properties" in schema:
        # The generator drops properties beside an allOf of one reference; as a part of it they mean the same.
        schema["allOf"].append({"type": "object", "properties": schema.pop("properties")})


def subschemas(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield the schemas right inside a schema."""
    yield from schema.get("properties", {}).values()
    yield from (part for keyword in LISTS for part in schema.get(keyword, []))
    yield from (schema[keyword] for keyword in ("items", "additionalProperties") if keyword in schema)


def _types(schema: dict[str, Any]) -> list[str]:
    declared = schema.get("type", [])
    return [declared] if isinstance(declared, str) else declared


def cut_down(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a document with the one operation that the facade calls, and the components that it uses."""
    document = copy.deepcopy(document)
    path, method, kept = operation(document)
    if "security" in document:
        kept.setdefault("security", document["security"])
    kept.pop("tags", None)  # the module of the operation would move with its first tag
    item = {key: value for key, value in document["paths"][path].items() if key not in METHODS} | {method: kept}
    document["paths"] = {path: item}
    _name_answer(document, kept)
    document = {key: value for key, value in document.items() if key not in {"security", "tags", "webhooks"}}
    return document | {"components": _used_components(document, kept)}


def _name_answer(document: dict[str, Any], kept: dict[str, Any]) -> None:
    answer = follow(document, kept.get("responses", {}).get("200", {})).value
    for content in answer.get("content", {}).values():
        if isinstance(schema := _innermost(document, content.get("schema")), dict):
            schema |= {"title": MODEL, "required": NEEDED.copy()}
            part = document.get("components", {}).get("schemas", {}).get(MODEL)
            if part is not schema and isinstance(part, dict):
                part["title"] = f"{MODEL}Part"  # two models of one name would cost the answer


def _innermost(document: dict[str, Any], schema: Any) -> Any:
    """Return the only part of a schema that is nothing but that part: the generator makes one model of both."""
    schema = follow(document, schema).value
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, dict) or "properties" in schema:
            break
        parts = [part for keyword in ("allOf", "anyOf", "oneOf") for part in schema.get(keyword, [])]
        if len(parts) != 1:
            break
        schema = follow(document, parts[0]).value
    return schema


def _used_components(document: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """Return the components that the operation reaches; a circle of references ends where it was before."""
    components = document.get("components", {})
    used = {("securitySchemes", name) for alternative in kept.get("security", []) for name in alternative}
    waiting: list[Any] = [document["paths"], *(components.get(kind, {}).get(name) for kind, name in used)]
    while waiting:
        for _, reference in references(waiting.pop()):
            _, _, kind, name, *_ = [*reference.split("/"), "", "", "", ""]
            part = kind, name.replace("~1", "/").replace("~0", "~")
            if part not in used and part[1] in components.get(kind, {}):
                used.add(part)
                waiting.append(components[kind][part[1]])
    kinds = {kind: {name: each[name] for name in each if (kind, name) in used} for kind, each in components.items()}
    return {kind: each for kind, each in kinds.items() if each}
