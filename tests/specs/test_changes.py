"""The changes of a spec update: an id each, its level by who sends and who reads, and its line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

SPECS = Path(__file__).parent.parent.parent / "specs"

sys.path.insert(0, str(SPECS))
import changes  # noqa: E402 (specs/ holds scripts, not a package)
import document  # noqa: E402 (the same)
from sources import SpecError  # noqa: E402 (the same)

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
A = {"type": "object", "properties": {"a": TEXT}}
B = {"type": "object", "properties": {"b": TEXT}}


def parsed(contents):
    return document.load("spec", yaml.safe_dump(contents, sort_keys=False))


def told(before, after, used=""):
    found = changes.changes(parsed(before), parsed(after), used)
    return [f"{change.level} {change.id}: {change.subject}" for change in found]


def operation(**more):
    return {"paths": {"/b": {"get": more}}}


def asking(*parameters, **more):
    return operation(parameters=list(parameters), **more)


def parameter(where="query", name="p", **more):
    return asking({"name": name, "in": where, "schema": TEXT, **more})


def sending(schema, **body):
    return operation(requestBody={"content": {"json": {"schema": schema}}, **body})


def answering(schema, status="200", **components):
    answers = operation(responses={status: {"content": {"json": {"schema": schema}}}})
    return answers | ({"components": {"schemas": components}} if components else {})


def refusing(schema, **components):
    return answering(schema, "404", **components)


def headed(**headers):
    return operation(responses={"200": {"headers": headers}})


def served(*urls, **more):
    return {"servers": [{"url": url} for url in urls], **operation(**more)}


def secured(*alternatives, **schemes):
    return {"components": {"securitySchemes": schemes}, **operation(security=list(alternatives))}


def key(name, where="header"):
    return {"type": "apiKey", "in": where, "name": name}


def record(*required, **properties):
    return {"type": "object", "required": list(required), "properties": properties}


def inheriting(path, own):
    lists = ([{"name": "p", "in": "query", "schema": schema}] if schema else [] for schema in (path, own))
    return {"paths": {"/b": {"parameters": next(lists), "get": {"parameters": next(lists)}}}}


PLACES = {"request": (sending, "body"), "response": (answering, "200"), "error": (refusing, "404")}
ALTERNATIVES = {"oneOf": [{"title": "A", **A}, {"title": "B", **B}]}
SCHEMAS = {
    # Before and after, what has happened, and its level for a body that is sent, an answer and a refusal.
    "narrower": (NUMBER, {"type": "integer"}, "type-narrowed", "breaking harmless harmless"),
    "wider": ({"type": "integer"}, NUMBER, "type-widened", "harmless breaking attention"),
    "another": (TEXT, NUMBER, "type-changed", "breaking breaking attention"),
    "null in 3.1": (TEXT, {"type": ["string", "null"]}, "value-became-nullable", "harmless attention harmless"),
    "null in 3.0": (TEXT, {**TEXT, "nullable": True}, "value-became-nullable", "harmless attention harmless"),
    "null by a union": (
        TEXT, {"anyOf": [TEXT, {"type": "null"}]}, "value-became-nullable", "harmless attention harmless",
    ),
    "null no more": ({"type": ["null", "string"]}, TEXT, "value-became-not-nullable", "breaking harmless harmless"),
    "a word comes": ({"enum": ["x"]}, {"enum": ["x", "y"]}, "word-added", "harmless attention attention"),
    "a word goes": ({"enum": ["x", "y"]}, {"enum": ["y"]}, "word-removed", "breaking harmless harmless"),
    "words close": (TEXT, {**TEXT, "enum": ["x"]}, "enum-added", "breaking harmless harmless"),
    "words close by a constant": (TEXT, {**TEXT, "const": "x"}, "enum-added", "breaking harmless harmless"),
    "words open": ({**TEXT, "enum": ["x"]}, TEXT, "enum-removed", "harmless attention attention"),
    "a least value": (NUMBER, {**NUMBER, "minimum": 0}, "bound-tightened", "breaking harmless harmless"),
    "a greater least value": (
        {**NUMBER, "minimum": 0}, {**NUMBER, "minimum": 1}, "bound-tightened", "breaking harmless harmless",
    ),
    "a greater length": (
        {**TEXT, "maxLength": 1}, {**TEXT, "maxLength": 2}, "bound-loosened", "harmless attention harmless",
    ),
    "no length": ({**TEXT, "maxLength": 1}, TEXT, "bound-loosened", "harmless attention harmless"),
    "a pattern": (TEXT, {**TEXT, "pattern": "x"}, "constraint-changed", "breaking attention harmless"),
    "no pattern": ({**TEXT, "pattern": "x"}, TEXT, "constraint-changed", "breaking attention harmless"),
    "a format": (TEXT, {**TEXT, "format": "uuid"}, "format-added", "breaking harmless harmless"),
    "no format": ({**TEXT, "format": "uuid"}, TEXT, "format-removed", "harmless attention harmless"),
    "another format": (
        {**TEXT, "format": "date"}, {**TEXT, "format": "uuid"}, "format-changed", "breaking attention harmless",
    ),
    "a shape": ({}, TEXT, "schema-typed", "breaking attention harmless"),
    "no shape": (TEXT, {"description": ""}, "schema-untyped", "harmless breaking attention"),
    "typed items": ({"type": "array"}, {"type": "array", "items": A}, "items-typed", "breaking attention harmless"),
    "untyped items": (
        {"type": "array", "items": A}, {"type": "array"}, "items-untyped", "harmless attention attention",
    ),
    "typed extras": (
        {"type": "object"}, {"type": "object", "additionalProperties": A}, "additional-properties-typed",
        "breaking attention harmless",
    ),
    "untyped extras": (
        {"type": "object", "additionalProperties": A}, {"type": "object"}, "additional-properties-untyped",
        "harmless harmless harmless",
    ),
    "no extras": (A, {**A, "additionalProperties": False}, "object-closed", "breaking attention harmless"),
    "extras": ({**A, "additionalProperties": False}, A, "object-opened", "harmless harmless harmless"),
    "a union grows": (
        ALTERNATIVES, {"oneOf": [{"title": "C", **A}, *ALTERNATIVES["oneOf"]]}, "alternative-added",
        "harmless breaking attention",
    ),
    "a union shrinks": (
        ALTERNATIVES, {"oneOf": ALTERNATIVES["oneOf"][1:]}, "alternative-removed", "breaking harmless harmless",
    ),
    "a property comes": (A, record(a=TEXT, b=TEXT), "property-added", "harmless harmless harmless"),
    "a property goes": (record(a=TEXT, b=TEXT), A, "property-removed", "attention breaking attention"),
    "a property goes from allOf": (
        {"allOf": [A, B]}, {"allOf": [A]}, "property-removed", "attention breaking attention",
    ),
    "required": (record(a=TEXT), record("a", a=TEXT), "property-became-required", "breaking harmless harmless"),
    "optional": (record("a", a=TEXT), record(a=TEXT), "property-became-optional", "harmless breaking attention"),
    "on its way out": (
        record(a=TEXT), record(a={**TEXT, "deprecated": True}), "property-deprecated", "attention attention harmless",
    ),
    "back again": (
        record(a={**TEXT, "deprecated": True}), record(a=TEXT), "property-reactivated", "harmless harmless harmless",
    ),
    "out at another time": (
        record(a={**TEXT, "x-sunset": "2030-01-01"}), record(a={**TEXT, "x-sunset": "2029-01-01"}),
        "property-sunset-changed", "attention attention harmless",
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("before", "after", "happened", "levels"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_changes_by_who_sends_and_reads(before, after, happened, levels, place):
    """One change of a schema is one line, and its level is that of its side."""
    holding, side = PLACES[place]
    level = dict(zip(PLACES, levels.split(), strict=True))[place]
    lines = told(holding(before), holding(after))
    assert [line.partition(": ")[0] for line in lines] == [f"{level} {place}-{happened}"]
    assert lines[0].partition(": ")[2].startswith(f"GET /b {side} json")


CHANGES = {
    "the version of OpenAPI": (
        {"openapi": "3.0.3", **operation()},
        {"openapi": "3.1.0", **operation()},
        ["attention openapi-changed: document openapi: 3.0.3 -> 3.1.0"],
    ),
    "a description": (
        operation(summary="x"),
        operation(summary="x", description="10 a second"),
        ["attention description-changed: GET /b: 'x' -> 'x 10 a second'"],
    ),
    "a description's blanks": (operation(description="x y"), operation(description="x\n  y"), []),
    "a first description of a property": (
        answering(record(a=TEXT)),
        answering(record(a={**TEXT, "description": "x"})),
        ["attention description-changed: GET /b 200 json.a: 'x'"],
    ),
    "an operation comes with all that it needs": (
        {"paths": {}},
        parameter(required=True),
        ["harmless operation-added: GET /b"],
    ),
    "an operation goes with all that it gave": (
        answering(A),
        {"paths": {}},
        ["breaking operation-removed: GET /b"],
    ),
    "an operation moves": (
        {"paths": {"/v1/b/{id}": {"get": {"deprecated": True}}}},
        {"paths": {"/v2/b/{id}": {"get": {}}}},
        [
            "breaking operation-path-changed: GET /v2/b/{id}: /v1/b/{id} -> /v2/b/{id}",
            "harmless operation-reactivated: GET /v2/b/{id}",
        ],
    ),
    "a parameter of the path is renamed": (
        {"paths": {"/b/{id}": {"get": {"parameters": [{"name": "id", "in": "path", "schema": TEXT}]}}}},
        {"paths": {"/b/{key}": {"get": {"parameters": [{"name": "key", "in": "path", "schema": TEXT}]}}}},
        ["harmless operation-path-parameter-renamed: GET /b/{key}: /b/{id} -> /b/{key}"],
    ),
    "an operation is renamed": (
        operation(operationId="x", tags=["t"]),
        operation(operationId="y", tags=["t", "u"]),
        ["harmless operation-names-changed: GET /b: operationId x, tags ['t'] -> operationId y, tags ['t', 'u']"],
    ),
    "an operation is on its way out": (
        operation(),
        operation(deprecated=True),
        ["attention operation-deprecated: GET /b"],
    ),
    "an operation has another end": (
        operation(**{"x-sunset": "2030-01-01"}),
        operation(**{"x-sunset": "2029-01-01"}),
        ["attention operation-sunset-changed: GET /b: until 2030-01-01 -> until 2029-01-01"],
    ),
    "a server moves": (
        served("https://a"),
        served("https://b"),
        [
            "breaking server-removed: GET /b server https://a",
            "harmless server-added: GET /b server https://b",
        ],
    ),
    "an operation gets a server of its own": (
        served("https://a"),
        served("https://a", servers=[{"url": "https://b"}]),
        [
            "breaking server-removed: GET /b server https://a",
            "harmless server-added: GET /b server https://b",
        ],
    ),
    "a path gets a server of its own": (
        served("https://a"),
        {"servers": [{"url": "https://a"}], "paths": {"/b": {"servers": [{"url": "https://b"}], "get": {}}}},
        [
            "breaking server-removed: GET /b server https://a",
            "harmless server-added: GET /b server https://b",
        ],
    ),
    "a server is written with a variable": (
        served("https://a.eu"),
        {"servers": [{"url": "https://a.{r}", "variables": {"r": {"default": "eu"}}}], **operation()},
        ["attention server-variable-changed: GET /b server variable r: any"],
    ),
    "a server's variable has another default": (
        {"servers": [{"url": "https://{r}", "variables": {"r": {"default": "eu"}}}], **operation()},
        {"servers": [{"url": "https://{r}", "variables": {"r": {"default": "us"}}}], **operation()},
        ["breaking server-removed: GET /b server https://eu", "harmless server-added: GET /b server https://us"],
    ),
    "a slash behind a server": (served("https://a"), served("https://a/"), []),
    "another alternative of keys": (
        secured({"a": []}, a=key("k")),
        secured({"a": []}, {"b": []}, a=key("k"), b={"type": "http", "scheme": "bearer"}),
        ["harmless security-added: GET /b keys: http bearer"],
    ),
    "a key in another header": (
        secured({"a": []}, a=key("k")),
        secured({"a": []}, a=key("x")),
        [
            "breaking security-removed: GET /b keys: apiKey header k",
            "harmless security-added: GET /b keys: apiKey header x",
        ],
    ),
    "a key of another name in the document": (secured({"a": []}, a=key("K")), secured({"b": []}, b=key("k")), []),
    "the document's keys are those of its operations": (
        {"security": [{"a": []}], **secured({"a": []}, a=key("k"))},
        {"security": [{"a": []}], "components": {"securitySchemes": {"a": key("k")}}, **operation()},
        [],
    ),
    "a key that is declared nowhere": (
        secured({}),
        secured({"a": ["read"]}),
        [
            "breaking security-removed: GET /b keys: none",
            "harmless security-added: GET /b keys: a, which is not declared",
        ],
    ),
    "a parameter comes": (asking(), parameter(), ["harmless request-parameter-added: GET /b query parameter p"]),
    "a required parameter comes": (
        asking(),
        parameter("header", required=True),
        ["breaking request-required-parameter-added: GET /b header parameter p"],
    ),
    "a required parameter with a default comes": (
        asking(),
        parameter(required=True, schema={**TEXT, "default": "1"}),
        ["breaking request-required-parameter-added: GET /b query parameter p: default '1'"],
    ),
    "a part of the path comes": (
        asking(),
        parameter("path", required=True),
        ["breaking request-path-parameter-added: GET /b path parameter p"],
    ),
    "a part of the path goes": (
        parameter("path", required=True),
        asking(),
        ["breaking request-path-parameter-removed: GET /b path parameter p"],
    ),
    "a parameter goes": (parameter(), asking(), ["attention request-parameter-removed: GET /b query parameter p"]),
    "a required parameter goes": (
        parameter("cookie", required=True),
        asking(),
        ["attention request-required-parameter-removed: GET /b cookie parameter p"],
    ),
    "a parameter becomes required": (
        parameter(),
        parameter(required=True),
        ["breaking request-parameter-became-required: GET /b query parameter p"],
    ),
    "a parameter becomes optional": (
        parameter(required=True),
        parameter(),
        ["harmless request-parameter-became-optional: GET /b query parameter p"],
    ),
    "a parameter's header in other letters": (parameter("header", "X-A"), parameter("header", "x-a"), []),
    "a parameter is on its way out": (
        parameter(),
        parameter(deprecated=True),
        ["attention request-parameter-deprecated: GET /b query parameter p"],
    ),
    "a parameter is back": (
        parameter(deprecated=True),
        parameter(),
        ["harmless request-parameter-reactivated: GET /b query parameter p"],
    ),
    "a parameter has another end": (
        parameter(**{"x-sunset": "2030-01-01"}),
        parameter(**{"x-sunset": "2029-01-01"}),
        ["attention request-parameter-sunset-changed: GET /b query parameter p: until 2030-01-01 -> until 2029-01-01"],
    ),
    "a parameter's style": (
        parameter(),
        parameter(explode=False),
        ["breaking request-constraint-changed: GET /b query parameter p explode: [false]"],
    ),
    "a parameter gets a default": (
        parameter(),
        parameter(schema={**TEXT, "default": "x"}),
        ["attention request-default-added: GET /b query parameter p: 'x'"],
    ),
    "a parameter loses its default": (
        parameter(schema={**TEXT, "default": "x"}),
        parameter(),
        ["attention request-default-removed: GET /b query parameter p: 'x'"],
    ),
    "a parameter has another default": (
        parameter(schema={**TEXT, "default": "x"}),
        parameter(schema={**TEXT, "default": "y"}),
        ["attention request-default-changed: GET /b query parameter p: 'x' -> 'y'"],
    ),
    "a path gets a parameter for its operations": (
        inheriting(None, None),
        inheriting(TEXT, None),
        ["harmless request-parameter-added: GET /b query parameter p"],
    ),
    "a path's parameter gives way to the operation's": (
        inheriting(None, {**TEXT, "enum": ["x"]}),
        inheriting({**TEXT, "enum": ["y"]}, {**TEXT, "enum": ["x"]}),
        [],
    ),
    "a body comes": (operation(), sending(A), ["harmless request-body-added: GET /b body"]),
    "a required body comes": (
        operation(),
        sending(A, required=True),
        ["breaking request-required-body-added: GET /b body"],
    ),
    "a body goes": (sending(A), operation(), ["attention request-body-removed: GET /b body"]),
    "a required body goes": (
        sending(A, required=True),
        operation(),
        ["attention request-required-body-removed: GET /b body"],
    ),
    "a body becomes required": (
        sending(A),
        sending(A, required=True),
        ["breaking request-body-became-required: GET /b body"],
    ),
    "a body becomes optional": (
        sending(A, required=True),
        sending(A),
        ["harmless request-body-became-optional: GET /b body"],
    ),
    "a body of another type": (
        operation(requestBody={"content": {"a/b": {}}}),
        operation(requestBody={"content": {"c/d": {}}}),
        [
            "breaking request-content-type-removed: GET /b body a/b",
            "harmless request-content-type-added: GET /b body c/d",
        ],
    ),
    "a body needs one property more": (
        sending(A),
        sending(record("b", a=TEXT, b=TEXT)),
        ["breaking request-required-property-added: GET /b body json.b"],
    ),
    "a body needs one property less": (
        sending(record("b", a=TEXT, b=TEXT)),
        sending(A),
        ["attention request-required-property-removed: GET /b body json.b"],
    ),
    "a property that is only read is not sent": (sending(A), sending(record(a=TEXT, b={"readOnly": True})), []),
    "a property is only written from now on": (
        answering(record(a=TEXT)),
        answering(record(a={**TEXT, "writeOnly": True})),
        ["breaking response-property-removed: GET /b 200 json.a"],
    ),
    "another success": (
        answering(A),
        operation(responses={**answering(A)["paths"]["/b"]["get"]["responses"], "202": {}}),
        ["breaking response-status-added: GET /b 202"],
    ),
    "a success of another number": (
        answering(A),
        answering(A, "2XX"),
        ["breaking response-status-added: GET /b 2XX", "breaking response-status-removed: GET /b 200"],
    ),
    "the only answer is the default": (
        answering(A, "default"),
        answering(record(), "default"),
        ["breaking response-property-removed: GET /b default json.a"],
    ),
    "a refusal comes": (answering(A), operation(responses={"200": {}, "429": {}})
        , [
            "breaking response-content-type-removed: GET /b 200 json",
            "harmless error-status-added: GET /b 429",
        ]),
    "a refusal goes": (refusing(A), operation(responses={}), ["harmless error-status-removed: GET /b 404"]),
    "a redirect comes": (
        operation(responses={"200": {}}),
        operation(responses={"200": {}, "302": {}}),
        ["attention redirect-status-added: GET /b 302"],
    ),
    "a redirect goes": (
        operation(responses={"200": {}, "302": {}}),
        operation(responses={"200": {}}),
        ["harmless redirect-status-removed: GET /b 302"],
    ),
    "an answer of another type": (
        answering(A),
        operation(responses={"200": {"content": {"json": {"schema": A}, "text/csv": {}}}}),
        ["attention response-content-type-added: GET /b 200 text/csv"],
    ),
    "a charset": (
        operation(responses={"200": {"content": {"a/b": {}}}}),
        operation(responses={"200": {"content": {"A/B; charset=utf-8": {}}}}),
        [],
    ),
    "a refusal of another type": (
        operation(responses={"404": {"content": {"a/b": {}}}}),
        operation(responses={"404": {"content": {"c/d": {}}}}),
        [
            "attention error-content-type-removed: GET /b 404 a/b",
            "harmless error-content-type-added: GET /b 404 c/d",
        ],
    ),
    "a header comes": (headed(), headed(A={}), ["harmless response-header-added: GET /b 200 header A"]),
    "a header goes": (headed(A={}), headed(), ["harmless response-header-removed: GET /b 200 header A"]),
    "a header is on its way out": (
        headed(A={}),
        headed(a={"deprecated": True}),
        ["harmless response-header-deprecated: GET /b 200 header a"],
    ),
    "a header is back": (
        headed(A={"deprecated": True}),
        headed(A={}),
        ["harmless response-header-reactivated: GET /b 200 header A"],
    ),
    "a header has another end": (
        headed(A={"x-sunset": "a"}),
        headed(A={"x-sunset": "b"}),
        ["harmless response-header-sunset-changed: GET /b 200 header A: until a -> until b"],
    ),
    "a hint comes": (
        headed(),
        headed(**{"X-RateLimit-Limit": {"schema": NUMBER}}),
        ["attention response-hint-header-added: GET /b 200 header X-RateLimit-Limit"],
    ),
    "a hint goes": (
        headed(**{"Retry-After": {}}),
        headed(),
        ["attention response-hint-header-removed: GET /b 200 header Retry-After"],
    ),
    "a status learns a word": (
        answering(record(status={"enum": ["x"]})),
        answering(record(status={"enum": ["x", "y"]})),
        ["attention response-status-word-added: GET /b 200 json.status: 'y'"],
    ),
    "a status loses a word": (
        answering(record(status={"enum": ["x", "y"]})),
        answering(record(status={"enum": ["y"]})),
        ["harmless response-status-word-removed: GET /b 200 json.status: 'x'"],
    ),
    "a status's words close": (
        answering(record(status=TEXT)),
        answering(record(status={**TEXT, "enum": ["x", "y"]})),
        ["attention response-status-enum-added: GET /b 200 json.status: 'x', 'y'"],
    ),
    "a status's words open": (
        answering(record(status={**TEXT, "enum": ["x", "y"]})),
        answering(record(status=TEXT)),
        ["attention response-status-enum-removed: GET /b 200 json.status: 'x', 'y'"],
    ),
    "a schema moves behind a reference": (
        answering(A),
        answering({"$ref": "#/components/schemas/A~1%20B"}, **{"A/ B": A}),
        ["attention schema-name-changed: GET /b 200 json: none -> A/ B"],
    ),
    "a schema becomes the only part of another": (
        answering({"$ref": "#/components/schemas/X"}, X=A),
        answering({"allOf": [{"$ref": "#/components/schemas/X"}]}, X=A),
        [],
    ),
    "a schema that holds itself": (
        answering({"$ref": "#/components/schemas/X"}, X=record(x={"$ref": "#/components/schemas/X"})),
        answering({"$ref": "#/components/schemas/X"}, X=record(x={"$ref": "#/components/schemas/X"}, y=TEXT)),
        ["harmless response-property-added: GET /b 200 json.y"],
    ),
    "a type becomes two alternatives of it": (
        answering(record(a=TEXT)),
        answering(record(a={"anyOf": [{"title": "A", **TEXT}, {"title": "B", **TEXT}]})),
        [
            "breaking response-alternative-added: GET /b 200 json.a anyOf A",
            "breaking response-alternative-added: GET /b 200 json.a anyOf B",
        ],
    ),
    "a schema of true and false": (
        answering(record(a=True)),
        answering(record(a=False)),
        ["attention response-schema-typed: GET /b 200 json.a: any"],
    ),
    "an example": (answering(A), answering({**A, "example": {"a": "x"}}), []),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "lines"), CHANGES.values(), ids=CHANGES)
def test_each_change_is_told(before, after, lines):
    assert told(before, after) == lines


def test_every_id_of_the_table_is_reached():
    """No row of changes.toml is dead, and no change is without a row."""
    reached = {line.split()[1].rstrip(":") for before, after, _ in CHANGES.values() for line in told(before, after)}
    for before, after, _, _ in SCHEMAS.values():
        for holding, _ in PLACES.values():
            reached |= {line.split()[1].rstrip(":") for line in told(holding(before), holding(after))}
    assert reached == set(changes.RULES)


def test_every_row_has_a_level_and_a_meaning():
    assert [name for name, rule in changes.RULES.items() if rule.level not in changes.LEVELS or not rule.caller] == []
    files = {"{facade}", "{overlay}", "pyproject.toml", ""}
    assert [name for name, rule in changes.RULES.items() if rule.follows not in files] == []
    assert [name for name, rule in changes.RULES.items() if bool(rule.maintainer) != bool(rule.follows)] == []


def test_what_nothing_calls_is_harmless():
    before = {"paths": {"/b": {"get": {}}, "/c": {"get": {"responses": {"200": {}}}}}}
    after = {"paths": {"/b": {"get": {"deprecated": True}}}}
    assert told(before, after, "GET /b") == [
        "attention operation-deprecated: GET /b",
        "harmless operation-removed: GET /c",
    ]


@pytest.mark.parametrize("vendor", ["gameball", "believe"])
def test_a_spec_does_not_differ_from_itself(vendor):
    spec = document.load(vendor, (SPECS / f"{vendor}.yaml").read_bytes())
    assert changes.changes(spec, spec) == []


def test_a_change_has_its_line():
    """What came has its line in the new spec, what went its line in the old one."""
    before = "paths:\n  /b:\n    get:\n      deprecated: true\n"
    after = "paths:\n  /b:\n    get:\n      responses:\n        '200': {}\n        '404': {}\n"
    found = changes.changes(document.load("spec", before), document.load("spec", after))
    assert [(change.id, change.line, change.gone) for change in found] == [
        ("response-status-added", 5, False),
        ("error-status-added", 6, False),
        ("operation-reactivated", 4, True),
    ]


def test_references_are_followed_within_bounds():
    """Twenty schemas that each hold the next one twice are a million of them."""
    following = ({"$ref": f"#/components/schemas/S{number}"} for number in range(1, 22))
    schemas = {f"S{number}": record(a=(one := next(following)), b=one) for number in range(20)} | {"S20": TEXT}
    spec = answering({"$ref": "#/components/schemas/S0"}, **schemas)
    with pytest.raises(SpecError, match="more than 5,000 schemas once references are followed"):
        told(spec, spec)
