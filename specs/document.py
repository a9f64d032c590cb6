"""Read a spec's text: strictly, within bounds, and with the line of every node.

A page is a stranger's text. What YAML allows and JSON does not (dates, `no` as a boolean, tags, keys given twice) is
read as JSON would have it or refused, an alias becomes a copy, and a reference stays inside the document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

import referencing
import yaml
from sources import SpecError

MAX_NODES = 50_000  # with every alias and reference followed; the vendors' documents have 400
MAX_DEPTH = 100  # theirs: 12
BREAKS = dict.fromkeys(map(ord, "\x85\u2028\u2029"), " ")  # they end a line for YAML 1.1, and for no editor
PLAIN = "tag:yaml.org,2002:"


SCALARS: dict[str, Callable[[str], Any]] = {
    PLAIN + "null": lambda _: None,
    PLAIN + "bool": lambda text: text.lower() == "true",
    PLAIN + "int": int,
    PLAIN + "float": float,
    PLAIN + "str": str,
}


class Loader(yaml.SafeLoader):
    """The scalars of YAML 1.2's JSON schema, which OpenAPI asks for: `on`, `1:30`, `0777` and `2025-01-27` are text."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"null|Null|NULL|~|", [*"nN~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"-?(0|[1-9][0-9]*)", [*"-0123456789"]),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", [*"-0123456789"]),
):
    Loader.add_implicit_resolver(PLAIN + tag, re.compile(rf"(?:{pattern})\Z"), first)


@dataclass(frozen=True)
class Document:
    """A spec's contents, and its YAML nodes, which know their lines."""

    name: str
    contents: dict[str, Any]
    root: yaml.MappingNode
    first: int = 1

    def at(self, *place: str | int) -> str:
        """Return `file:line` of a node, as messages open with it."""
        return f"{self.name}:{line(self, *place)}"


class Target(NamedTuple):
    """The end of a reference: the place of the node in the document, and the node."""

    place: tuple[str | int, ...]
    value: Any


def load(name: str, text: bytes | str, first: int = 1) -> Document:
    """Return the document; raise SpecError, which opens with `name:line`, if it is not one that tools can share.

    `first` is the number of the text's first line in the file that messages name.
    """
    try:
        text = (text.decode("utf-8") if isinstance(text, bytes) else text).translate(BREAKS)
        _bound(name, text, first)
        root = yaml.compose(text, Loader)
    except UnicodeDecodeError as error:
        raise SpecError(f"{name}: not UTF-8 text: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpecError(f"{name}:{mark.line + first if mark else first}: not YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        raise SpecError(f"{name}: not YAML: {error.reason} at character {error.position}") from None
    if not isinstance(root, yaml.MappingNode):
        raise SpecError(f"{name}:{first}: the document is not an object")
    return Document(name, _Builder(name, first).build(root), root, first)


def line(document: Document, *place: str | int) -> int:
    """Return the line, from 1, on which a node's key or item stands; if the node is missing, its nearest parent's."""
    node: yaml.Node = document.root
    number: int = node.start_mark.line
    for key in place:
        found = _child(node, key)
        if found is None:
            break
        mark, node = found
        number = mark.line
    return number + document.first


def resolve(contents: Any, reference: str) -> Target:
    """Follow a reference, and those it leads to, inside `contents`; raise SpecError if it has no end there."""
    resolver = referencing.Registry().with_resource("", referencing.Specification.OPAQUE.create_resource(contents))
    seen: list[str] = []
    while True:
        if reference in seen:
            raise SpecError(f"$ref {reference!r} goes round in a circle")
        seen.append(reference)
        if not reference.startswith("#"):
            raise SpecError(f"$ref {reference!r} leads out of the document")
        try:
            value = resolver.resolver().lookup(reference).contents
        # Of a list it takes the segment for a number, and of a scalar for an index.
        except (referencing.exceptions.Unresolvable, ValueError, TypeError):
            raise SpecError(f"$ref {reference!r} leads to nothing") from None
        if not isinstance(value, (dict, bool)):
            raise SpecError(f"$ref {reference!r} leads to {value!r:.40}, which is not an object")
        further = value.get("$ref") if isinstance(value, dict) else None
        if not isinstance(further, str):
            return Target(tuple(_segments(reference)), value)
        reference = further


def follow(contents: Any, node: Any, place: tuple[str | int, ...] = ()) -> Target:
    """Return a node and its place or, if it is a reference, those of its end."""
    reference = node.get("$ref") if isinstance(node, dict) else None
    return resolve(contents, reference) if isinstance(reference, str) else Target(place, node)


def references(node: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the place and the text of every reference of a document."""
    if isinstance(node, dict):
        for key, child in node.items():
            if key in {"$ref", "$dynamicRef"} and isinstance(child, str):
                yield (*place, key), child
            else:
                yield from references(child, (*place, key))
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from references(child, (*place, number))


def _bound(name: str, text: str, first: int) -> None:
    """Raise SpecError if the text is deeper or larger than PyYAML's composer, which recurses, can take."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or number > 2 * MAX_NODES:
            mark = event.start_mark
            raise SpecError(f"{name}:{mark.line + first if mark else first}: {_excess(depth)}")


class _Builder:
    """The values of nodes, every alias copied, so that an edit of one place is not an edit of another."""

    def __init__(self, name: str, first: int) -> None:
        self.name = name
        self.first = first
        self.number = 0

    def build(self, node: yaml.Node, depth: int = 1) -> Any:
        self.number += 1
        if self.number > MAX_NODES or depth > MAX_DEPTH:
            raise self.error(node, _excess(depth))
        match node:
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self.mapping(node, depth + 1)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self.build(child, depth + 1) for child in node.value]
            case yaml.ScalarNode(tag=tag) if tag in SCALARS:
                return self.scalar(node)
        raise self.error(node, f"a value with the tag {node.tag.removeprefix(PLAIN)!r}, which JSON does not have")

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                raise self.error(
                    key, "a key that JSON does not have: write the text of the key or, for `<<`, its fields"
                )
            if key.value in built:
                raise self.error(key, f"the key {key.value!r} is given twice")
            self.scalar(key)
            built[key.value] = self.build(child, depth)
        return built

    def scalar(self, node: yaml.ScalarNode) -> Any:
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            raise self.error(node, f"{node.value!r:.60} holds half a character, which UTF-8 does not have")
        try:
            return SCALARS[node.tag](node.value)
        except (KeyError, ValueError):
            raise self.error(node, f"{node.value!r:.60} is not {node.tag.removeprefix(PLAIN)!r}") from None

    def error(self, node: yaml.Node, message: str) -> SpecError:
        return SpecError(f"{self.name}:{node.start_mark.line + self.first}: {message}")


def _excess(depth: int) -> str:
    if depth > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} deep, or an alias that holds itself"
    return f"more than {MAX_NODES:,} nodes, each alias counted as a copy"


def _child(node: yaml.Node, key: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
    """Return a child's node and the mark at which its key or item stands."""
    if isinstance(node, yaml.MappingNode):
        found = next((pair for pair in node.value if pair[0].value == str(key)), None)
        return (found[0].start_mark, found[1]) if found else None
    if isinstance(node, yaml.SequenceNode) and str(key).isdecimal() and int(key) < len(node.value):
        return node.value[int(key)].start_mark, node.value[int(key)]
    return None


def _segments(reference: str) -> list[str]:
    pointer = unquote(reference.removeprefix("#"))
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
