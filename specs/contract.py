"""Hold a vendor's spec against the tables that the facade keeps of it by hand.

`findings(vendor, spec, overlay)` needs nothing but the texts: `make pull-specs` calls it with a spec that it has just
taken, and `make regen` before it generates. `built.py` goes on with the raw client that was generated. Every finding
is one line: `file:line: what is wrong: the next step`.

What costs no caller anything is no finding: one more field, one more optional parameter, a description, a bound.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import document
import patch
import sources
from document import Document, Target, follow
from sources import SpecError

sys.path.append(str(sources.SPECS.parent / "facade"))  # where batchstatus is not installed
from batchstatus import Account, BatchState
from batchstatus.testing.simulator.model import simulated_vendors

Place = tuple[str | int, ...]

TYPES: Mapping[str, str] = {"integer": "number"}
"""Types that are read like another one."""
ERROR_TYPES: Mapping[str, set[str]] = {"code": {"string", "number"}, "message": {"string"}}
"""The types of the fields that an error body should have; numbers are read as text."""
PLAIN_STYLES: Mapping[str, str] = {"path": "simple", "header": "simple", "query": "form", "cookie": "form"}
"""The one way in which the raw client writes a parameter, by its place."""
MAX_SERVERS = 1_000
"""Of a server's address, with all values of its variables."""
ACCOUNT = "facade/batchstatus/_core/account.py"


@dataclass(frozen=True)
class Contract:
    """One vendor's spec, as it was pulled and as the generator reads it, and the account that reads its answers."""

    spec: Document
    overlay: str
    patched: dict[str, Any]
    account: Account
    notes: list[str]

    @property
    def facade(self) -> str:
        return f"facade/batchstatus/vendors/{self.account.vendor}.py"

    @cached_property
    def operation(self) -> patch.Operation:
        return patch.operation(self.patched)

    def finding(self, place: Place, text: str) -> str:
        return f"{self.spec.at(*place)}: {text}"

    def responses(self) -> Iterator[tuple[str, Target]]:
        """Yield each declared status, and its response."""
        place = (*self.operation.place, "responses")
        for status, response in self.operation.value.get("responses", {}).items():
            yield status.upper(), follow(self.patched, response, (*place, status))

    def schema(self, response: Target) -> Target | None:
        """Return the schema of a response's JSON; None if it has none."""
        for kind, content in response.value.get("content", {}).items():
            if "json" in kind.lower() and "schema" in content:
                return follow(self.patched, content["schema"], (*response.place, "content", kind, "schema"))
        return None


def read(account: Account, spec: bytes, overlay: bytes) -> Contract:
    """Return a vendor's contract; raise SpecError, which opens with a place, if the overlay does not fit the spec."""
    pulled = document.load(f"specs/{account.vendor}.yaml", spec)
    repairs = document.load(f"specs/{account.vendor}.overlay.yaml", overlay)
    _check_references(pulled, pulled.contents)
    patched, notes = patch.patch(pulled.contents, repairs)
    _check_references(pulled, patched)
    return Contract(pulled, repairs.name, patched, account, notes)


def _check_references(pulled: Document, contents: dict[str, Any]) -> None:
    for place, reference in document.references(contents):
        try:
            document.resolve(contents, reference)
        except SpecError as error:
            raise SpecError(f"{pulled.at(*place)}: {error}: mend it in the overlay beside it") from None


def account_of(vendor: str) -> Account:
    """Return an account at a vendor, with placeholder keys."""
    return simulated_vendors()[vendor].account(None)


def findings(vendor: str, spec: bytes, overlay: bytes) -> list[str]:
    """Return where a spec and the facade's tables do not fit, in the order of the spec's lines."""
    return findings_of(account_of(vendor), spec, overlay)


def findings_of(account: Account, spec: bytes, overlay: bytes) -> list[str]:
    """Return the same for an account of any class."""
    try:
        contract = read(account, spec, overlay)
        return ordered(line for check in CHECKS for line in check(contract))
    except SpecError as error:
        return [str(error)]


def ordered(lines: Iterable[str]) -> list[str]:
    """Return findings once each, in the order of their lines."""
    return sorted(dict.fromkeys(lines), key=lambda line: int(line.split(":")[1]))


# Where and how to ask


def check_servers(contract: Contract) -> Iterator[str]:
    """Check that the facade's address is among the servers that count: the operation's, else its path's."""
    ours = contract.account.base_url
    place, servers = _innermost(contract, "servers")
    urls = [url for server in servers for url in _urls(server)] or ["/"]
    if ours not in urls:
        shown = ", ".join(urls[:3])
        yield contract.finding(
            (*place, 0),
            f"the server is {shown}, and the facade asks {ours}: change BASE_URL in {contract.facade}",
        )


def _innermost(contract: Contract, key: str) -> tuple[Place, Any]:
    """Return a keyword of the operation or, if it has none, of its path or of the document."""
    place: Place = contract.operation.place
    while True:
        holder = _dig(contract.patched, place)
        if key in holder or not place:
            return (*place, key), holder.get(key) or []
        place = place[:-1] if len(place) > 2 else ()


def _urls(server: dict[str, Any]) -> Iterator[str]:
    """Yield a server's address with each value of its variables."""
    variables = server.get("variables", {})
    values = [
        dict.fromkeys([variable.get("default", ""), *variable.get("enum", [])]) for variable in variables.values()
    ]
    for chosen in itertools.islice(itertools.product(*values), MAX_SERVERS):
        url = server["url"]
        for name, value in zip(variables, chosen, strict=True):
            url = url.replace(f"{{{name}}}", str(value))
        origin, host = urlsplit(url)[:2]
        yield url.replace(f"{origin}://{host}", f"{origin}://{host}".lower(), 1).rstrip("/")


def check_keys(contract: Contract) -> Iterator[str]:
    """Check that the facade sends all keys of one alternative of the operation's security."""
    alternatives = contract.operation.value.get("security", [])
    faults = [list(_key_faults(contract, alternative)) for alternative in alternatives]
    yield from min(faults, key=len, default=[])


def _key_faults(contract: Contract, alternative: Mapping[str, Any]) -> Iterator[str]:
    account = contract.account
    schemes = {header.lower(): account.KEY_SCHEMES.get(header, "").lower() for header in account.KEY_HEADERS.values()}
    for name in alternative:
        place: Place = "components", "securitySchemes", name
        scheme = follow(contract.patched, _dig(contract.patched, place) or {}, place).value
        kind, where = scheme.get("type"), scheme.get("in")
        if not scheme:
            yield contract.finding(
                (*contract.operation.place, "security"),
                f"the key {name!r} is declared nowhere: add it to components.securitySchemes in {contract.overlay}",
            )
        elif kind == "http" and schemes.get("authorization") == scheme.get("scheme", "").lower():
            continue
        elif kind == "http":
            yield contract.finding(
                place,
                f"the key {name!r} travels otherwise ({scheme.get('scheme')}): the facade sends "
                f"{', '.join(sorted(schemes))}: change KEY_HEADERS and KEY_SCHEMES in {contract.facade}",
            )
        elif kind != "apiKey" or where != "header":
            how = f"in the {where}, as {scheme.get('name')!r}" if kind == "apiKey" else scheme.get("scheme", kind)
            yield contract.finding(
                place,
                f"the key {name!r} travels otherwise ({how}): the facade sends keys in headers of their own only: "
                f"extend `authenticate` in {ACCOUNT}, then KEY_HEADERS in {contract.facade}",
            )
        elif scheme["name"].lower() not in schemes:
            yield contract.finding(
                place,
                f"the key {name!r} travels in the header {scheme['name']!r}, and the facade sends "
                f"{', '.join(sorted(schemes))}: change KEY_HEADERS in {contract.facade}",
            )


def check_parameters(contract: Contract) -> Iterator[str]:
    """Check that every required parameter has a value, and a place in a request that the facade can fill."""
    declared = list(parameters(contract).values())
    given = contract.account.PARAMETERS
    ids = [each for _, each in declared if each.get("in") == "path" and each.get("name") not in given]
    for place, parameter in declared:
        if fault := _parameter_fault(contract, parameter, len(ids)):
            name = f"{parameter.get('in')} parameter {parameter.get('name')!r}"
            yield contract.finding(place, f"the {name} {fault}")
    body = follow(contract.patched, contract.operation.value.get("requestBody", {})).value
    if body.get("required"):
        place = *contract.operation.place, "requestBody"
        yield contract.finding(
            place, f"a body is required, which the facade does not send: extend Request in {ACCOUNT}"
        )


def parameters(contract: Contract) -> dict[tuple[str, str], Target]:
    """Return the parameters by place and name; the operation's take the place of its path's."""
    path, method = contract.operation.place[:2], contract.operation.place
    return {
        (found.value.get("in"), found.value.get("name")): found
        for holder in (path, method)
        for number, one in enumerate(_dig(contract.patched, holder).get("parameters", []))
        for found in [follow(contract.patched, one, (*holder, "parameters", number))]
    }


def _parameter_fault(contract: Contract, parameter: Mapping[str, Any], ids: int) -> str:
    name, where = parameter.get("name", ""), parameter.get("in")
    schema = follow(contract.patched, parameter.get("schema")).value
    has_default = isinstance(schema, dict) and "default" in schema
    plain = PLAIN_STYLES.get(where or "")
    if (where == "path" or has_default) and parameter.get("style", plain) != plain:
        return (
            f"has the style {parameter['style']!r}, which the raw client does not write: send it in {contract.facade}"
        )
    if where == "path":
        is_open = ids > 1 and name not in contract.account.PARAMETERS
        return (
            f"is one of {ids}: give all values in raw_request of {contract.facade}, with PARAMETERS" if is_open else ""
        )
    if where == "cookie" and (parameter.get("required") or has_default):
        return f"is a cookie, which the facade does not send: extend `carried` in {ACCOUNT}"
    if not parameter.get("required") or has_default or name in contract.account.PARAMETERS:
        return ""
    if where == "header" and name.lower() in map(str.lower, contract.account.KEY_HEADERS.values()):
        return f"is a key, which the facade sends by itself: remove the parameter in {contract.overlay}"
    return (
        f"is required and has no default: give one in {contract.overlay}, or a value in raw_request and its name in "
        f"PARAMETERS of {contract.facade}"
    )


# What an answer says


def check_statuses(contract: Contract) -> Iterator[str]:
    """Check that every declared 2xx is one that the facade takes for a reading, and that there is a 200."""
    declared = dict(contract.responses())
    for status, response in declared.items():
        if status.startswith("2") and status not in map(str, contract.account.STATUSES):
            yield contract.finding(
                response.place, f"an answer {status} is declared: add it to STATUSES in {contract.facade}"
            )
    if "200" not in declared:
        place = *contract.operation.place, "responses"
        yield contract.finding(
            place, f"no answer 200 is declared: name the one that brings a batch 200 in {contract.overlay}"
        )


def check_fields(contract: Contract) -> Iterator[str]:
    """Check that every field that the facade reads is there, with the type that it expects."""
    for status, response in contract.responses():
        if status not in map(str, contract.account.STATUSES):
            continue
        answer = contract.schema(response)
        if answer is None:
            yield contract.finding(
                response.place,
                f"an answer {status} has no JSON with a schema, which the facade reads: see {contract.facade}",
            )
        elif len(alternatives(contract.patched, answer)) > 1 or types(contract.patched, answer) - {"object"}:
            yield contract.finding(
                answer.place,
                f"the answer {status} is not one object: read each shape in status_fields of {contract.facade}, and "
                f"make one schema of them in {contract.overlay}",
            )
        else:
            read = {name: contract.account.FIELDS[name] for name in patch.NEEDED}
            yield from _check_answer(contract, answer, contract.account.FIELDS if status == "200" else read)


def _check_answer(contract: Contract, answer: Target, read: Mapping[str, str]) -> Iterator[str]:
    missing: dict[str, list[str]] = {}
    for path, kind in read.items():
        holder, _, name = path.rpartition(".")
        parent = at_path(contract.patched, answer, holder)
        if parent is None:
            continue  # its own line says so
        found = properties(contract.patched, parent).get(name)
        if found is None:
            missing.setdefault(holder, []).append(path)
        else:
            yield from _check_type(contract, path, found, kind)
    for holder, paths in missing.items():
        parent = at_path(contract.patched, answer, holder)
        assert parent is not None
        yield contract.finding(
            (*parent.place, "properties"),
            f"there is no {', '.join(_with_hint(contract, answer, path) for path in paths)}, which the facade reads: "
            f"change FIELDS and status_fields in {contract.facade}",
        )


def _with_hint(contract: Contract, answer: Target, path: str) -> str:
    """Return a missing field's name, with a field of that name elsewhere in the answer, if there is one."""
    name = path.rpartition(".")[2]
    others = [other for other in paths(contract.patched, answer) if other.rpartition(".")[2] == name]
    others = [other for other in others if other not in contract.account.FIELDS]
    return f"{path!r} (but {others[0]!r})" if others else repr(path)


def _check_type(contract: Contract, path: str, found: Target, kind: str) -> Iterator[str]:
    expected = "string" if kind == "date-time" else kind
    declared = types(contract.patched, found)
    if declared - {expected}:
        is_, wanted = " or ".join(sorted(declared)), f"the facade reads {_article(expected)}"
        yield contract.finding(
            found.place, f"{path!r} is {is_}, and {wanted}: change FIELDS and status_fields in {contract.facade}"
        )
    elif kind == "date-time":
        for place, form in values(contract.spec.contents, found.place, "format"):
            if form != kind:
                yield contract.finding(
                    place,
                    f"{path!r} has the format {form!r}, and the facade reads {kind}: read it in status_fields, and "
                    f"change FIELDS, in {contract.facade}",
                )


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def check_words(contract: Contract) -> Iterator[str]:
    """Check that every status word has a state; the vendor's own spec has the enum, the patched one has none."""
    for status, response in contract.responses():
        answer = contract.schema(response) if status in map(str, contract.account.STATUSES) else None
        found = answer and properties(contract.patched, answer).get("status")
        for place, word in words(contract, found):
            if contract.account.state_of(word) is BatchState.UNKNOWN:
                yield contract.finding(
                    place, f"the status word {word!r} has no state: add it to WORDS in {contract.facade}"
                )


def words(contract: Contract, status: Target | None) -> Iterator[tuple[Place, str]]:
    """Yield the words that the vendor gives for a status, and their places."""
    if status is None:
        return
    for place, enum in values(contract.spec.contents, status.place, "enum"):
        yield from (((*place, number), str(word)) for number, word in enumerate(enum) if word is not None)
    yield from ((place, str(word)) for place, word in values(contract.spec.contents, status.place, "const"))


def check_errors(contract: Contract) -> Iterator[str]:
    """Check that every declared error has the fields from which the facade takes a code and a message."""
    for status, response in contract.responses():
        error = contract.schema(response) if status[0] in "45D" else None
        for shape in alternatives(contract.patched, error) if error is not None else ():
            if properties(contract.patched, shape):
                for field in ERROR_TYPES:
                    yield from _check_error(contract, shape, field)


def _check_error(contract: Contract, error: Target, field: str) -> Iterator[str]:
    names, table = contract.account.ERROR_FIELDS[field], f"ERROR_FIELDS in {contract.facade}"
    there = next((name for name in names if at_path(contract.patched, error, name) is not None), None)
    if there is not None:
        target = at_path(contract.patched, error, there)
        assert target is not None
        if declared := types(contract.patched, target) - ERROR_TYPES[field]:
            yield contract.finding(
                target.place,
                f"the error's {there!r} is {_article(min(declared))}, and the facade reads text as its {field}: "
                f"read it in error_fields, and change {table}",
            )
    elif names:
        wanted = " or ".join(map(repr, names))
        yield contract.finding(
            (*error.place, "properties"),
            f"an error has no {wanted}, which the facade reads as its {field}: put the new name first in {table}, and "
            f"keep the old one behind it while such answers may come",
        )


CHECKS = (
    check_servers,
    check_keys,
    check_parameters,
    check_statuses,
    check_fields,
    check_words,
    check_errors,
)


# Schemas


def alternatives(contents: dict[str, Any], schema: Target, seen: frozenset[Place] = frozenset()) -> list[Target]:
    """Return the schemas of which a value has one, null apart; a schema without any is its own."""
    if schema.place in seen or not isinstance(schema.value, dict):
        return [schema]
    found = [
        one
        for keyword in ("anyOf", "oneOf")
        for number, part in enumerate(schema.value.get(keyword, []))
        for one in alternatives(
            contents, follow(contents, part, (*schema.place, keyword, number)), seen | {schema.place}
        )
        if not (isinstance(one.value, dict) and one.value.get("type") == "null")
    ]
    return found or [schema]


def properties(contents: dict[str, Any], schema: Target, seen: frozenset[Place] = frozenset()) -> dict[str, Target]:
    """Return the properties of a schema, those of all its parts and those that all its alternatives have."""
    if schema.place in seen or not isinstance(schema.value, dict):
        return {}
    seen |= {schema.place}
    found = {
        name: follow(contents, child, (*schema.place, "properties", name))
        for name, child in schema.value.get("properties", {}).items()
    }
    for number, part in enumerate(schema.value.get("allOf", [])):
        found |= properties(contents, follow(contents, part, (*schema.place, "allOf", number)), seen)
    others = [one for one in alternatives(contents, schema) if one.place != schema.place]
    first, *rest = [properties(contents, one, seen) for one in others] or [{}]
    return {name: one for name, one in first.items() if all(name in other for other in rest)} | found


def types(contents: dict[str, Any], schema: Target, seen: frozenset[Place] = frozenset()) -> set[str]:
    """Return the types that a value may have, null apart; none if the schema does not say."""
    if schema.place in seen or not isinstance(schema.value, dict):
        return set()
    seen |= {schema.place}
    others = [one for one in alternatives(contents, schema) if one.place != schema.place]
    if others:
        return {kind for one in others for kind in types(contents, one, seen)}
    declared = schema.value.get("type") or []
    found = {declared} if isinstance(declared, str) else set(declared)
    for number, part in enumerate(schema.value.get("allOf", [])):
        found |= types(contents, follow(contents, part, (*schema.place, "allOf", number)), seen)
    shape = {"properties": "object", "items": "array"}
    found = found or {kind for keyword, kind in shape.items() if keyword in schema.value}
    return {TYPES.get(kind, kind) for kind in found - {"null"}}


def at_path(contents: dict[str, Any], schema: Target, path: str) -> Target | None:
    """Return the schema of a field, `a.b` inside the object `a`; None if it is missing."""
    for name in path.split(".") if path else ():
        found = properties(contents, schema).get(name)
        if found is None:
            return None
        schema = found
    return schema


def paths(contents: dict[str, Any], schema: Target, depth: int = 3) -> Iterator[str]:
    """Yield the paths of all fields, so many objects deep."""
    for name, child in properties(contents, schema).items():
        yield name
        if depth > 1:
            yield from (f"{name}.{inner}" for inner in paths(contents, child, depth - 1))


def values(
    contents: dict[str, Any], place: Place, keyword: str, seen: frozenset[Place] = frozenset()
) -> Iterator[tuple[Place, Any]]:
    """Yield a keyword's value in a schema and in each of its parts and alternatives, with its place."""
    place, schema = follow(contents, _dig(contents, place), place)
    if place in seen or not isinstance(schema, dict):
        return
    if keyword in schema:
        yield (*place, keyword), schema[keyword]
    for combined in ("allOf", "anyOf", "oneOf"):
        for number in range(len(schema.get(combined, []))):
            yield from values(contents, (*place, combined, number), keyword, seen | {place})


def _dig(contents: Any, place: Iterable[str | int]) -> Any:
    for key in place:
        try:
            contents = contents[int(key) if isinstance(contents, list) else key]
        except (LookupError, TypeError, ValueError):
            return None
    return contents
