"""The changes of a spec update: what each means, to whom, and how much (the ids and their meanings: changes.toml).

Both documents are taken apart into facts, each with its key and its place; a fact that came, went or changed is a
change. Requests, answers and refusals are three sides: to be narrowed is a burden on who sends and a promise to who
reads. A schema is the list of its parts: what its references and `allOf` bring together.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import document
from document import Document
from sources import SpecError

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LEVELS = ("breaking", "attention", "harmless")
MAX_SCHEMAS = 5_000  # with references followed; the vendors' documents have 40
MAX_DETAIL = 300  # characters of a description, or of whatever else has changed
TYPES = frozenset({"array", "boolean", "integer", "number", "object", "string"})
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
CONSTRAINTS = (
    "pattern", "multipleOf", "uniqueItems", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
    "patternProperties", "propertyNames", "prefixItems", "contains", "contentEncoding", "contentMediaType",
    "unevaluatedItems", "unevaluatedProperties", "discriminator", "style", "explode", "allowReserved",
)  # fmt: skip
HINTS = re.compile(r"retry|rate|limit|quota|deprecation|sunset", re.IGNORECASE)

Where = tuple[str | int, ...]
Key = tuple[str, ...]


class Rule(NamedTuple):
    """The meaning of an id, for a caller and for a maintainer, and the file that follows."""

    level: str
    caller: str
    maintainer: str = ""
    follows: str = ""


RULES = {
    name: Rule(**row)
    for name, row in tomllib.loads(Path(__file__).with_name("changes.toml").read_text(encoding="utf-8")).items()
}


@dataclass(frozen=True)
class Change:
    """One difference, with the line of the new spec or, for what is gone, of the old one."""

    id: str
    subject: str
    line: int
    gone: bool
    unused: bool = False

    @property
    def level(self) -> str:
        """The rule's level; of an operation that nothing calls, no change hurts."""
        return "harmless" if self.unused else self.rule.level

    @property
    def rule(self) -> Rule:
        return RULES[self.id]


@dataclass(frozen=True)
class Fact:
    """One thing that a request or a reading depends on; it says nothing if its holder came or went as well."""

    noun: str
    title: str
    where: Where
    value: Any = None
    detail: str = ""
    holder: Key | None = None
    verbs: tuple[str, str] = ("added", "removed")
    compare: Callable[[Any, Any], str] = lambda _old, _new: "changed"


class Spot(NamedTuple):
    """Where a walk is: its key, which both documents share, its name for people, and its place in the document."""

    key: Key
    title: str
    where: Where

    def at(self, label: str, *where: str | int, title: str | None = None) -> Spot:
        return Spot((*self.key, label), self.title + (label if title is None else title), (*self.where, *where))


@dataclass(frozen=True)
class Schema:
    """The parts that hold for a value together, each with its place; `refs` are the references that led here."""

    spot: Spot
    parts: list[document.Target]
    refs: frozenset[Where]
    names: list[str] = field(default_factory=list)
    circular: bool = False
    nullable: bool = False

    def values(self, keyword: str) -> list[Any]:
        return [part.value[keyword] for part in self.parts if keyword in part.value]

    def where(self, keyword: str) -> Where:
        """Return the place of a keyword in the part that has it."""
        return next(((*part.place, keyword) for part in self.parts if keyword in part.value), self.spot.where)


def changes(old: Document, new: Document, used: str = "") -> list[Change]:
    """Return the differences, the gravest first; of what came or went whole, only the outermost.

    `used` is the one operation that is called, as the old document names it; without it, all are.
    """
    pairs = _paired(old.contents, new.contents)
    before, after = (_Walk(spec.contents, label).facts for spec, label in zip((old, new), pairs, strict=True))
    unused = {label for pair in pairs for label in pair.values()} - {pairs[0].get(used, used)} if used else set()
    found = _differences(before, after, old, new, unused)
    return sorted(found, key=lambda change: (LEVELS.index(change.level), change.gone, change.line, change.id))


def _differences(
    before: dict[Key, Fact], after: dict[Key, Fact], old: Document, new: Document, unused: set[str]
) -> Iterator[Change]:
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    for facts, keys, verb, spec in ((before, gone, 1, old), (after, come, 0, new)):
        for key in (key for key in keys if facts[key].holder not in keys):
            fact = facts[key]
            subject = f"{fact.title}: {_short(fact.detail)}" if fact.detail else fact.title
            name = f"{fact.noun}-{fact.verbs[verb]}"
            yield Change(name, subject, document.line(spec, *fact.where), bool(verb), key[0] in unused)
    for key, was, now in ((key, before[key], after[key]) for key in before.keys() & after.keys()):
        if was.value != now.value and (verb_ := now.compare(was.value, now.value)):
            subject = f"{now.title}: {_short(was.detail)} -> {_short(now.detail)}"
            yield Change(f"{now.noun}-{verb_}", subject, document.line(new, *now.where), False, key[0] in unused)


def _short(detail: str) -> str:
    detail = detail or "none"
    return detail if len(detail) <= MAX_DETAIL else f"{detail[: MAX_DETAIL - 4]} ..."


def _paired(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return names for the operations of both documents: the same one for an operation whose path has moved."""
    labels = [{_blank(name): name for name in _operations(spec)} for spec in (old, new)]
    gone, come = labels[0].keys() - labels[1].keys(), labels[1].keys() - labels[0].keys()
    shared = dict(labels[0]) | labels[1]
    if len(gone) == len(come) == 1 and min(gone).split()[0] == min(come).split()[0]:
        shared[min(gone)] = labels[1][min(come)]
    before, after = ({name: shared[blank] for blank, name in label.items()} for label in labels)
    return before, after


def _operations(spec: dict[str, Any]) -> list[str]:
    items = spec.get("paths") or {}
    return [
        f"{method.upper()} {path}"
        for path in items
        for method in METHODS
        if method in document.follow(spec, items[path]).value
    ]


def _blank(name: str) -> str:
    """Return an operation's name without its parameters' names, which a request does not show."""
    return re.sub(r"\{[^{}]*\}", "{}", name)


class _Walk:
    """The facts of a document."""

    def __init__(self, spec: dict[str, Any], labels: dict[str, str]) -> None:
        self.spec = spec
        self.facts: dict[Key, Fact] = {}
        self.schemas = 0
        top = Spot((), "document", ())
        self.add(top.at(" openapi", "openapi"), "openapi", value=spec.get("openapi"), detail=str(spec.get("openapi")))
        self.text(top.at(" info", "info"), spec.get("info") or {})
        for path, node in (spec.get("paths") or {}).items():
            item = document.follow(spec, node, ("paths", path))
            for method in METHODS:
                if method in item.value:
                    name = f"{method.upper()} {path}"
                    spot = Spot((labels[name],), labels[name], (*item.place, method))
                    self.operation(spot, path, item, item.value[method])

    def add(self, spot: Spot, noun: str, where: Where | None = None, **more: Any) -> Key:
        self.facts[spot.key] = Fact(noun, spot.title, spot.where if where is None else where, **more)
        return spot.key

    def text(self, spot: Spot, node: dict[str, Any], holder: Key | None = None) -> None:
        """Add what is said in words, and whether it is on its way out."""
        words = " ".join(str(node[name]) for name in ("summary", "description") if node.get(name))
        self.add(
            spot.at(" text", *(["description"] if "description" in node else []), title=""),
            "description",
            value=" ".join(words.split()),
            detail=repr(words),
            holder=holder,
            verbs=("changed", "changed"),
        )

    def deprecation(self, spot: Spot, noun: str, node: dict[str, Any], holder: Key) -> None:
        if node.get("deprecated") is True or "x-sunset" in node:
            sunset = str(node["x-sunset"]) if "x-sunset" in node else ""
            keyword = "x-sunset" if sunset else "deprecated"
            self.add(
                spot.at(" deprecated", keyword, title=""),
                noun,
                value=sunset,
                detail=f"until {sunset}" if sunset else "",
                holder=holder,
                verbs=("deprecated", "reactivated"),
                compare=lambda _old, _new: "sunset-changed",
            )

    def operation(self, spot: Spot, path: str, item: document.Target, node: dict[str, Any]) -> None:
        holder = self.add(spot, "operation")
        self.add(
            spot.at(" path", title=""), "operation", item.place, value=path, detail=path, holder=holder, compare=_moved
        )
        self.add(
            spot.at(" names", "tags", title=""),
            "operation-names",
            value=(node.get("operationId"), tuple(node.get("tags", ())[:1])),
            detail=f"operationId {node.get('operationId')}, tags {node.get('tags')}",
            holder=holder,
        )
        self.text(spot, node, holder)
        self.deprecation(spot, "operation", node, holder)
        self.servers(spot, item, node, holder)
        self.security(spot, node, holder)
        self.parameters(spot, path, item, node, holder)
        self.body(spot, node, holder)
        self.responses(spot, node.get("responses") or {}, holder)

    def servers(self, spot: Spot, item: document.Target, node: dict[str, Any], holder: Key) -> None:
        levels: tuple[tuple[Where, Any], ...] = ((spot.where, node), (item.place, item.value), ((), self.spec))
        place, servers = next(
            (((*place, "servers"), level["servers"]) for place, level in levels if level.get("servers")),
            ((), [{"url": "/"}]),
        )
        for number, server in enumerate(servers):
            url = server["url"]
            for name, variable in (server.get("variables") or {}).items():
                url = url.replace(f"{{{name}}}", str(variable.get("default")))
                self.add(
                    spot.at(f" server variable {name}"),
                    "server-variable",
                    (*place, number, "variables", name),
                    value=sorted(map(str, variable.get("enum", []))),
                    detail=f"{variable.get('enum', 'any')}",
                    holder=holder,
                    verbs=("changed", "changed"),
                )
            self.add(spot.at(f" server {_address(url)}"), "server", (*place, number, "url"), holder=holder)

    def security(self, spot: Spot, node: dict[str, Any], holder: Key) -> None:
        own = "security" in node
        place: Where = (*spot.where, "security") if own else ("security",)
        for number, option in enumerate((node if own else self.spec).get("security") or [{}]):
            keys = " and ".join(sorted(self.scheme(name, scopes) for name, scopes in option.items()))
            self.add(spot.at(f" keys: {keys or 'none'}"), "security", (*place, number), holder=holder)

    def scheme(self, name: str, scopes: Any) -> str:
        """Return a key as the request shows it; its name in the document does not matter."""
        schemes = (self.spec.get("components") or {}).get("securitySchemes") or {}
        if name not in schemes:
            return f"{name}, which is not declared"
        scheme = document.follow(self.spec, schemes[name]).value
        words = [str(scheme.get("type"))]
        if scheme.get("type") == "apiKey":
            key = str(scheme.get("name"))
            words += [str(scheme.get("in")), key.lower() if scheme.get("in") == "header" else key]
        words += [str(scheme[key]) for key in ("scheme", "openIdConnectUrl") if key in scheme]
        return " ".join([*words, *sorted(map(str, scopes or ()))])

    def parameters(self, spot: Spot, path: str, item: document.Target, node: dict[str, Any], holder: Key) -> None:
        positions = re.findall(r"\{([^{}]*)\}", path)
        found: dict[str, tuple[Spot, dict[str, Any]]] = {}
        # The operation's parameter takes the place of the path's with the same name.
        for place, level in ((item.place, item.value), (spot.where, node)):
            for number, one in enumerate(level.get("parameters") or []):
                where, parameter = document.follow(self.spec, one, (*place, "parameters", number))
                kind, name = str(parameter.get("in")), str(parameter.get("name"))
                title = f" {kind} parameter {name}"
                label = title.lower() if kind == "header" else title
                if kind == "path" and name in positions:
                    label = f" path parameter {positions.index(name)}"
                found[label] = Spot((*spot.key, label), spot.title + title, where), parameter
        for at, parameter in found.values():
            self.parameter(at, parameter, holder)

    def parameter(self, spot: Spot, parameter: dict[str, Any], holder: Key) -> None:
        required = parameter.get("required") is True
        noun = "request-path-parameter" if parameter.get("in") == "path" else "request-parameter"
        schema = document.follow(self.spec, parameter.get("schema")).value
        default = f"default {schema['default']!r}" if isinstance(schema, dict) and "default" in schema else ""
        noun = "request-required-parameter" if required and noun == "request-parameter" else noun
        key = self.add(spot, noun, holder=holder, detail=default)
        self.required(spot, "request-parameter", required, key)
        self.text(spot, parameter, key)
        self.deprecation(spot, "request-parameter", parameter, key)
        self.constraints(Schema(spot, [document.Target(spot.where, parameter)], frozenset()), "request", key)
        if "schema" in parameter:
            self.schema(self.joined(spot, parameter["schema"], (*spot.where, "schema")), "request", key)
        self.contents(spot, "request", parameter, key)

    def required(self, spot: Spot, noun: str, required: bool, holder: Key, where: Where | None = None) -> None:
        if required:
            verbs = "became-required", "became-optional"
            self.add(spot.at(" required", title=""), noun, where, holder=holder, verbs=verbs)

    def body(self, spot: Spot, node: dict[str, Any], holder: Key) -> None:
        if "requestBody" not in node:
            return
        where, body = document.follow(self.spec, node["requestBody"], (*spot.where, "requestBody"))
        required = body.get("required") is True
        at = Spot((*spot.key, " body"), f"{spot.title} body", where)
        key = self.add(at, "request-required-body" if required else "request-body", holder=holder)
        self.required(at, "request-body", required, key)
        self.contents(at, "request", body, key)

    def responses(self, spot: Spot, responses: dict[str, Any], holder: Key) -> None:
        successful = any(str(status).startswith("2") for status in responses)
        for status, declared in responses.items():
            if str(status).startswith("x-"):
                continue
            good = str(status).startswith("2") or (status == "default" and not successful)
            side = "response" if good else "error"
            where, response = document.follow(self.spec, declared, (*spot.where, "responses", status))
            at = Spot((*spot.key, f" {status}"), f"{spot.title} {status}", where)
            other = "redirect" if str(status)[0] in "13" else "error"
            key = self.add(at, f"{side if good else other}-status", (*spot.where, "responses", status), holder=holder)
            self.text(at, response, key)
            self.headers(at, response.get("headers") or {}, key)
            self.contents(at, side, response, key)

    def headers(self, spot: Spot, headers: dict[str, Any], holder: Key) -> None:
        for name, declared in headers.items():
            where, header = document.follow(self.spec, declared, (*spot.where, "headers", name))
            at = Spot((*spot.key, f" header {name.lower()}"), f"{spot.title} header {name}", where)
            noun = "response-hint-header" if HINTS.search(name) else "response-header"
            key = self.add(at, noun, (*spot.where, "headers", name), holder=holder)
            self.text(at, header, key)
            self.deprecation(at, "response-header", header, key)
            # A header is a hint, whatever the status: nothing is read by its schema.
            self.schema(self.joined(at, header.get("schema", {}), (*where, "schema")), "error", key)

    def contents(self, spot: Spot, side: str, node: dict[str, Any], holder: Key) -> None:
        for name, content in (node.get("content") or {}).items():
            plain = name.split(";")[0].strip().lower()
            at = spot.at(f" {plain}", "content", name)
            key = self.add(at, f"{side}-content-type", holder=holder)
            self.schema(self.joined(at, content.get("schema", {}), (*at.where, "schema")), side, key)

    def joined(self, spot: Spot, node: Any, where: Where, refs: frozenset[Where] = frozenset()) -> Schema:
        """Return a schema with the parts that its references, `allOf` and only alternatives bring together."""
        schema = Schema(spot._replace(where=where), [], refs)
        return self.collect(schema, node, where)

    def collect(self, schema: Schema, node: Any, where: Where) -> Schema:
        self.schemas += 1
        if self.schemas > MAX_SCHEMAS:
            raise SpecError(f"more than {MAX_SCHEMAS:,} schemas once references are followed")
        if not isinstance(node, dict):
            schema.parts.extend([document.Target(where, {"not": {}})] if node is False else [])
            return schema
        if isinstance(node.get("$ref"), str):
            target = document.resolve(self.spec, node["$ref"])
            if target.place in schema.refs:
                return replace(schema, circular=True)
            schema = replace(schema, refs=schema.refs | {target.place})
            schema.names.append(str(target.place[-1]) if target.place else "document")
            schema = self.collect(schema, target.value, target.place)
        rest = {name: value for name, value in node.items() if name not in {"$ref", "allOf"}}
        only = _only_alternative(rest)
        if only is not None:
            keyword, number = only
            rest = {name: value for name, value in rest.items() if name != keyword}
            schema = replace(schema, nullable=True)
            schema = self.collect(schema, node[keyword][number], (*where, keyword, number))
        schema.parts.append(document.Target(where, rest))
        for number, part in enumerate(node.get("allOf") or []):
            schema = self.collect(schema, part, (*where, "allOf", number))
        return schema

    def schema(self, schema: Schema, side: str, holder: Key, noun: str = "schema") -> None:
        types, null = self.all_types(schema)
        if not schema.circular and not any(_says_something(part.value) for part in schema.parts):
            self.annotations(schema, side, holder)
            return
        shape = schema.spot.at(" shape", title="")
        holder = self.add(shape, f"{side}-{noun}", holder=holder, verbs=("typed", "untyped"), detail=_listed(types))
        self.names(schema, holder)
        if schema.circular:
            return
        self.types(schema, side, holder, types, null=null)
        self.words(schema, side, holder)
        self.constraints(schema, side, holder)
        self.annotations(schema, side, holder)
        self.properties(schema, side, holder)
        self.items(schema, side, holder, types)
        self.alternatives(schema, side, holder)

    def types(self, schema: Schema, side: str, holder: Key, types: frozenset[str], *, null: bool) -> None:
        where = schema.where("type")
        more: dict[str, Any] = {"value": types, "detail": _listed(types), "compare": _direction}
        self.add(schema.spot.at(" type", title=""), f"{side}-type", where, holder=holder, **more)
        if null and types != TYPES:
            verbs = "became-nullable", "became-not-nullable"
            self.add(schema.spot.at(" null", title=""), f"{side}-value", where, holder=holder, verbs=verbs)

    def names(self, schema: Schema, holder: Key) -> None:
        names = (*schema.names, *schema.values("title"))
        self.add(
            schema.spot.at(" name", title=""),
            "schema-name",
            schema.where("title"),
            value=names,
            detail=_listed(names),
            holder=holder,
        )

    def words(self, schema: Schema, side: str, holder: Key) -> None:
        lists = [*schema.values("enum"), *([value] for value in schema.values("const"))]
        if not lists:
            return
        noun = "status-" if side == "response" and schema.spot.key[-1] == ".status" else ""
        words = [word for word in lists[0] if all(word in others for others in lists) and word is not None]
        keyword = "enum" if schema.values("enum") else "const"
        key = self.add(
            schema.spot.at(" enum", title=""),
            f"{side}-{noun}enum",
            schema.where(keyword),
            detail=_listed([repr(word) for word in words]),
            holder=holder,
        )
        for number, word in enumerate(lists[0]):
            if word in words:
                place = (*schema.where(keyword), number)
                self.add(
                    schema.spot.at(f" word {word!r}", title=""),
                    f"{side}-{noun}word",
                    place,
                    detail=repr(word),
                    holder=key,
                )

    def constraints(self, schema: Schema, side: str, holder: Key) -> None:
        for keywords, compare in ((LOWER, _rising), (UPPER, _falling)):
            for keyword in keywords:
                for value in schema.values(keyword):
                    verbs = "tightened", "loosened"
                    spot = schema.spot.at(f" {keyword}", title=f" {keyword}")
                    more: dict[str, Any] = {"value": value, "detail": str(value), "verbs": verbs, "compare": compare}
                    self.add(spot, f"{side}-bound", schema.where(keyword), holder=holder, **more)
        for keyword in CONSTRAINTS:
            if values := schema.values(keyword):
                text = json.dumps(values, sort_keys=True, default=str)
                spot = schema.spot.at(f" {keyword}")
                more = {"value": text, "detail": text, "verbs": ("changed", "changed")}
                self.add(spot, f"{side}-constraint", schema.where(keyword), holder=holder, **more)
        for value in schema.values("format"):
            spot = schema.spot.at(" format", title="")
            self.add(spot, f"{side}-format", schema.where("format"), value=value, detail=str(value), holder=holder)
        for value in schema.values("default") if side == "request" else ():
            spot = schema.spot.at(" default", title="")
            self.add(spot, "request-default", schema.where("default"), value=value, detail=repr(value), holder=holder)

    def annotations(self, schema: Schema, side: str, holder: Key) -> None:
        for part in schema.parts:
            if part.value.get("description"):
                self.text(Spot(schema.spot.key, schema.spot.title, part.place), part.value, holder)
            spot = Spot(schema.spot.key, schema.spot.title, part.place)
            self.deprecation(spot, f"{side}-property", part.value, holder)

    def properties(self, schema: Schema, side: str, holder: Key) -> None:
        required = {name: part for part in schema.parts for name in part.value.get("required") or ()}
        hidden = "readOnly" if side == "request" else "writeOnly"
        found: dict[str, list[tuple[Where, Any]]] = {}
        for part in schema.parts:
            for name, node in (part.value.get("properties") or {}).items():
                found.setdefault(name, []).append(((*part.place, "properties", name), node))
        for name, nodes in found.items():
            spot = schema.spot.at(f".{name}")._replace(where=nodes[0][0])
            inner = Schema(spot, [], schema.refs)
            for where, node in nodes:
                inner = self.collect(inner, node, where)
            if True in inner.values(hidden):
                continue
            noun = f"{side}-required-property" if side == "request" and name in required else f"{side}-property"
            key = self.add(spot, noun, holder=holder)
            place = (*required[name].place, "required") if name in required else None
            self.required(spot, f"{side}-property", name in required, key, place)
            self.schema(inner, side, key)
        self.additional(schema, side, holder)

    def additional(self, schema: Schema, side: str, holder: Key) -> None:
        for value in schema.values("additionalProperties"):
            spot = schema.spot.at(".*")
            where = schema.where("additionalProperties")
            if value is False:
                verbs = "closed", "opened"
                self.add(spot.at(" closed", title=""), f"{side}-object", where, holder=holder, verbs=verbs)
            elif isinstance(value, dict):
                self.schema(self.joined(spot, value, where, schema.refs), side, holder, "additional-properties")

    def items(self, schema: Schema, side: str, holder: Key, types: frozenset[str]) -> None:
        values = schema.values("items") or ([{}] if "array" in types and types != TYPES else [])
        for value in values[:1]:
            where = schema.where("items")
            self.schema(self.joined(schema.spot.at("[]"), value, where, schema.refs), side, holder, "items")

    def alternatives(self, schema: Schema, side: str, holder: Key) -> None:
        for inner in self.options(schema, "anyOf") + self.options(schema, "oneOf"):
            key = self.add(inner.spot, f"{side}-alternative", holder=holder)
            self.schema(inner, side, key)

    def options(self, schema: Schema, keyword: str) -> list[Schema]:
        """Return the alternatives of a schema, each at a spot that stays when others come before it."""
        found: list[Schema] = []
        names: list[str] = []
        for number, node in enumerate(option for options in schema.values(keyword) for option in options):
            name = _named(node, number)
            names.append(name)
            again = f" #{names.count(name)}" if names.count(name) > 1 else ""
            spot = schema.spot.at(f" {keyword} {name}{again}")
            found.append(self.joined(spot, node, (*schema.where(keyword), number), schema.refs))
        return found

    def all_types(self, schema: Schema) -> tuple[frozenset[str], bool]:
        """Return the types of a schema and whether it may be null, with those that its alternatives leave."""
        types, null = _types(schema)
        for keyword in ("anyOf", "oneOf"):
            if options := [self.all_types(option) for option in self.options(schema, keyword)]:
                types &= frozenset().union(*(option for option, _ in options))
                null &= any(option for _, option in options)
        return types, null


def _types(schema: Schema) -> tuple[frozenset[str], bool]:
    """Return the types that all parts allow, and whether null is allowed, in the spelling of 3.0 or 3.1."""
    types, null = TYPES, True
    for part in schema.parts:
        node = part.value
        if "type" in node:
            named = node["type"] if isinstance(node["type"], list) else [node["type"]]
            types &= frozenset(named) | ({"integer"} if "number" in named else frozenset())
            null &= "null" in named or node.get("nullable") is True
        if "enum" in node:
            null &= None in node["enum"] or "type" in node
    return types, null or schema.nullable


def _address(url: str) -> str:
    """Return a server's address in one spelling."""
    scheme, host = urlsplit(url)[:2]
    origin = f"{scheme}://{host}"
    return url.replace(origin, origin.lower(), 1).rstrip("/")


def _only_alternative(node: dict[str, Any]) -> tuple[str, int] | None:
    """Return the alternative beside null, if there is but one: it is a way to spell a value that may be null."""
    for keyword in ("anyOf", "oneOf"):
        options = node.get(keyword) or []
        real = [number for number, option in enumerate(options) if not _is_null(option)]
        if len(real) == 1 and len(options) > 1:
            return keyword, real[0]
    return None


def _is_null(option: Any) -> bool:
    return isinstance(option, dict) and option.get("type") in ("null", ["null"])


def _says_something(node: dict[str, Any]) -> bool:
    silent = {"description", "title", "example", "examples", "default", "deprecated", "nullable"}
    return any(not (keyword in silent or keyword.startswith("x-")) for keyword in node)


def _named(node: Any, number: int) -> str:
    """Return a name for an alternative that stays when others come before it."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            return str(node["$ref"]).rpartition("/")[2]
        if name := node.get("title") or node.get("type"):
            return str(name)
    return str(number)


def _listed(names: Iterable[Any]) -> str:
    names = set(names) if isinstance(names, frozenset) else list(names)
    if names == set(TYPES):
        return "any"
    if isinstance(names, set):
        return " or ".join(sorted(names - ({"integer"} if "number" in names else set()))) or "null"
    return ", ".join(map(str, names)) or "none"


def _direction(old: frozenset[str], new: frozenset[str]) -> str:
    if new < old:
        return "narrowed"
    return "widened" if new > old else "changed"


def _rising(old: Any, new: Any) -> str:
    return "tightened" if new > old else "loosened"


def _falling(old: Any, new: Any) -> str:
    return "tightened" if new < old else "loosened"


def _moved(old: str, new: str) -> str:
    return "path-parameter-renamed" if _blank(old) == _blank(new) else "path-changed"
