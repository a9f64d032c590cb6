"""The contract of spec and facade: what costs a caller something is a line with its place, all else is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from shop import FACADE, OVERLAY, Shop, edited

SPECS = Path(__file__).parent.parent.parent / "specs"
VENDORS = ["gameball", "believe"]

sys.path.insert(0, str(SPECS))
import built  # noqa: E402 (specs/ holds scripts, not a package)
import contract  # noqa: E402 (the same)
import sources  # noqa: E402 (the same)


class Worldly(Shop):
    """The same, for more statuses, and with values for parameters."""

    STATUSES = (200, 202)
    PARAMETERS = ("tenant",)


def findings(spec, account=None, overlay=OVERLAY):
    return contract.findings_of(account or Shop(), spec.encode(), overlay.encode())


def line_of(text, word):
    return 1 + next(number for number, line in enumerate(text.splitlines()) if word in line)


AT_GET = "    get:\n"
QUERY = "        - {name: version, in: query, required: true, schema: {type: string}}\n"
OK = "      responses:\n        '200':"
JOB = "schema: {$ref: '#/components/schemas/Job'}"
OUTCOME = "$ref: '#/components/schemas/Outcome'"
ERROR_SCHEMA = "schema: {$ref: '#/components/schemas/Error'}"
NO_JOB = ("              schema: {$ref: '#/components/schemas/Job'}", "              example: {}")
NO_ERROR = ("              schema: {$ref: '#/components/schemas/Error'}", "              example: {}")
SERVER = "  - url: https://api.shop.example"
SERVERS = "  - {url: 'https://{at}.shop.example', variables: {at: {default: eu, enum: [eu, %s]}}}"
KEY = "    shopKey:\n"
KEY_IN_HEADER = "      type: apiKey\n      in: header\n      name: X-Shop-Key"
OTHER_KEY = "    other: {type: http, scheme: bearer}\n    shopKey:\n"
ENUM = "          enum:\n            - open\n            - done\n"
ERROR = "        '404':"
ITEMS = "items: {type: array, items: {type: object, properties: {sku: {type: string}}}}"
HARMLESS = {
    "nothing": [],
    "a field more": [("        notes: {type: string}", "        notes: {type: string}\n        more: {type: number}")],
    "a field more that is required": [
        ("required: [id]", "required: [id, more]"),
        ("        notes: {type: string}", "        more: {type: string, enum: [a], format: uuid}"),
    ],
    "a field less that nobody reads": [("        notes: {type: string}\n", "")],
    "a description": [("description: A job.", "description: Some job, of whatever kind.")],
    "another title": [("    Job:\n", "    Job:\n      title: Job of the shop\n")],
    "a narrower number": [("total: {type: number}", "total: {type: integer, minimum: 0}")],
    "null beside a type": [("total: {type: number}", "total: {type: [number, 'null']}")],
    "null in an alternative": [
        (f"          {OUTCOME}", f"          anyOf: [{{{OUTCOME}}}, {{type: 'null'}}]"),
    ],
    "alternatives of one type": [("total: {type: number}", "total: {oneOf: [{type: integer}, {type: number}]}")],
    "a type that is not given": [("total: {type: number}", "total: {}")],
    "items without a type": [(ITEMS, "items: {type: array}")],
    "a word less": [("            - done\n", "")],
    "a word in another spelling": [("- done", "- DONE")],
    "no enum": [(ENUM, "")],
    "null among the words": [("            - done\n", "            - done\n            - null\n")],
    "a format less": [("type: string, format: date-time", "type: string")],
    "an optional parameter": [(OK, QUERY.replace("true", "false") + OK)],
    "a required parameter with a default": [(OK, QUERY.replace("type: string", "type: string, default: '2'") + OK)],
    "an optional body": [(OK, "      requestBody: {content: {application/json: {schema: {type: object}}}}\n" + OK)],
    "an optional cookie": [(OK, QUERY.replace("true", "false").replace("query", "cookie") + OK)],
    "a second operation": [
        ("  /v1/jobs/{jobId}:\n", "  /v2:\n    get: {responses: {'200': {description: x}}}\n  /v1/jobs/{jobId}:\n")
    ],
    "a second operation of our name": [
        (
            "  /v1/jobs/{jobId}:\n",
            "  /v2:\n    get: {operationId: getBatchStatus, responses: {}}\n  /v1/jobs/{jobId}:\n",
        )
    ],
    "a second operation on the path": [(AT_GET, "    post: {responses: {'202': {description: x}}}\n" + AT_GET)],
    "another server beside ours": [("servers:\n", "servers:\n  - url: https://eu.shop.example\n")],
    "a slash at the end of the server": [("https://api.shop.example", "https://API.shop.example/")],
    "a server with our name as a value": [
        (SERVER, SERVERS % "api"),
    ],
    "an alternative of the key": [("  - shopKey: []", "  - other: []\n  - shopKey: []"), (KEY, OTHER_KEY)],
    "no key": [("security:\n  - shopKey: []\n", "")],
    "the key's header in another case": [("X-Shop-Key", "x-SHOP-key")],
    "a scheme that nobody uses": [(KEY, OTHER_KEY)],
    "another tag": [("[Jobs]", "[Work]")],
    "an error for all other statuses": [("'404':", "default:")],
    "an error by its other name": [("code: {type: integer}", "error: {type: string}")],
    "a field more in the error": [
        ("message: {type: string}", "message: {type: string}\n        trace: {type: object}")
    ],
    "an error without JSON": [NO_ERROR],
    "an error more": [(ERROR, "        '429': {description: Too many.}\n        '404':")],
    "parts instead of properties": [
        ("      type: object\n      required: [id]\n", "      allOf: [{$ref: '#/components/schemas/Outcome'}]\n")
    ],
}


@pytest.mark.parametrize("edits", HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_change_is_no_finding(edits):
    assert findings(edited(*edits)) == []


FOUND = {
    "a word more": (
        [("            - done\n", "            - done\n            - REJECTED\n")],
        "- REJECTED",
        f"the status word 'REJECTED' has no state: add it to WORDS in {FACADE}",
    ),
    "a word in an alternative": (
        [(ENUM, "          anyOf: [{enum: [open]}, {const: lost}]\n")],
        "const: lost",
        f"the status word 'lost' has no state: add it to WORDS in {FACADE}",
    ),
    "an id in another style": (
        [("in: path, ", "in: path, style: label, ")],
        "style: label",
        f"the path parameter 'jobId' has the style 'label', which the raw client does not write: send it in {FACADE}",
    ),
    "a default in another style": (
        [(OK, QUERY.replace("type: string}", "type: string, default: a}, style: pipeDelimited") + OK)],
        "pipeDelimited",
        "the query parameter 'version' has the style 'pipeDelimited', which the raw client does not write",
    ),
    "an alternative of an error": (
        [(ERROR_SCHEMA, f"schema: {{oneOf: [{ERROR_SCHEMA[8:]}, {{type: object, properties: {{message: {{}}}}}}]}}")],
        "oneOf:",
        "an error has no 'code' or 'error', which the facade reads as its code",
    ),
    "a server that has moved": (
        [("https://api.shop.example", "https://api2.shop.example")],
        "api2",
        f"example, and the facade asks https://api.shop.example: change BASE_URL in {FACADE}",
    ),
    "a server of the operation": (
        [(AT_GET, AT_GET + "      servers: [{url: https://jobs.shop.example}]\n")],
        "https://jobs",
        "the server is https://jobs.shop.example",
    ),
    "a server of the path": (
        [(AT_GET, "    servers: [{url: https://path.shop.example}]\n" + AT_GET)],
        "https://path",
        "the server is https://path.shop.example",
    ),
    "a server whose values are others": (
        [(SERVER, SERVERS % "us")],
        "variables",
        "the server is https://eu.shop.example, https://us.shop.example",
    ),
    "no server": ([("servers:\n  - url: https://api.shop.example\n", "")], "openapi", "the server is /"),
    "a key in another header": (
        [("name: X-Shop-Key", "name: Authorization")],
        "    shopKey:",
        f"in the header 'Authorization', and the facade sends x-shop-key: change KEY_HEADERS in {FACADE}",
    ),
    "a key in the query": ([("in: header", "in: query")], "    shopKey:", "(in the query, as 'X-Shop-Key')"),
    "a key in a cookie": ([("in: header", "in: cookie")], "    shopKey:", "(in the cookie, as 'X-Shop-Key')"),
    "a bearer": (
        [(KEY_IN_HEADER, "      type: http\n      scheme: bearer")],
        "    shopKey:",
        f"(bearer): the facade sends x-shop-key: change KEY_HEADERS and KEY_SCHEMES in {FACADE}",
    ),
    "OAuth": (
        [(KEY_IN_HEADER, "      type: openIdConnect\n      openIdConnectUrl: https://x")],
        "    shopKey:",
        "(openIdConnect)",
    ),
    "a second key": (
        [
            ("  - shopKey: []", "  - {shopKey: [], second: []}"),
            ("    shopKey:\n", "    second: {type: apiKey, in: header, name: x-second}\n    shopKey:\n"),
        ],
        "second: {type",
        "the key 'second' travels in the header 'x-second'",
    ),
    "a key that is not declared": (
        [("  - shopKey: []", "  - lost: []")],
        "    get:",
        "the key 'lost' is declared nowhere",
    ),
    "a required parameter": (
        [(OK, QUERY + OK)],
        "name: version",
        f"or a value in raw_request and its name in PARAMETERS of {FACADE}",
    ),
    "a required header": (
        [(OK, QUERY.replace("query", "header") + OK)],
        "name: version",
        "the header parameter 'version' is required",
    ),
    "a required parameter of the path item": (
        [(AT_GET, "    parameters:\n" + QUERY.replace("        -", "      -") + AT_GET)],
        "name: version",
        "the query parameter 'version' is required",
    ),
    "a required parameter behind a reference": (
        [
            (OK, "        - {$ref: '#/components/parameters/Version'}\n" + OK),
            ("components:\n", "components:\n  parameters:\n    Version:" + QUERY[9:]),
        ],
        "    Version:",
        "the query parameter 'version' is required",
    ),
    "the key as a parameter": (
        [(OK, QUERY.replace("query", "header").replace("version", "X-Shop-Key") + OK)],
        "name: X-Shop-Key, in: header, required",
        "is a key, which the facade sends by itself: remove the parameter in specs/shop.overlay.yaml",
    ),
    "a cookie with a default": (
        [(OK, QUERY.replace("query", "cookie").replace("type: string", "type: string, default: '2'") + OK)],
        "name: version",
        f"'version' is a cookie, which the facade does not send: extend `carried` in {contract.ACCOUNT}",
    ),
    "a body": (
        [(OK, "      requestBody: {required: true, content: {application/json: {schema: {type: object}}}}\n" + OK)],
        "requestBody",
        "a body is required, which the facade does not send",
    ),
    "another 2xx": (
        [(ERROR, "        '202': {description: Later.}\n        '404':")],
        "'202'",
        f"an answer 202 is declared: add it to STATUSES in {FACADE}",
    ),
    "any 2xx": ([(ERROR, "        2XX: {description: Later.}\n        '404':")], "2XX", "an answer 2XX is declared"),
    "no 200": ([("        '200':", "        '201':")], "      responses:", "no answer 200 is declared"),
    "an answer without JSON": ([NO_JOB], "'200'", "an answer 200 has no JSON"),
    "a list as the answer": (
        [(JOB, f"schema: {{type: array, items: {JOB[8:]}}}")],
        "schema: {type: array",
        f"the answer 200 is not one object: read each shape in status_fields of {FACADE}",
    ),
    "alternatives as the answer": (
        [(JOB, f"schema: {{oneOf: [{JOB[8:]}, {{{OUTCOME}}}]}}")],
        "schema: {oneOf",
        "the answer 200 is not one object",
    ),
    "a renamed field": (
        [("        total: {type: number}", "        sum: {type: number}")],
        "      properties:",
        f"there is no 'total', which the facade reads: change FIELDS and status_fields in {FACADE}",
    ),
    "a removed object": (
        [("        outcome:\n          $ref: '#/components/schemas/Outcome'\n", "")],
        "      properties:",
        "there is no 'outcome', which",
    ),
    "a field less in an object": (
        [("        failed: {type: number}", "        bad: {type: number}")],
        "inside     Outcome:",
        "there is no 'outcome.failed'",
    ),
    "an envelope": (
        [(JOB, f"schema: {{type: object, properties: {{data: {JOB[8:]}}}}}")],
        "properties: {data",
        "there is no 'id' (but 'data.id'), 'status' (but 'data.status'), 'total' (but 'data.total')",
    ),
    "a field of another type": (
        [("total: {type: number}", "total: {type: string}")],
        "total:",
        f"'total' is string, and the facade reads a number: change FIELDS and status_fields in {FACADE}",
    ),
    "a field of two types": (
        [("total: {type: number}", "total: {type: [number, string]}")],
        "total:",
        "'total' is number or string",
    ),
    "alternatives of a field": (
        [("total: {type: number}", "total: {oneOf: [{type: number}, {$ref: '#/components/schemas/Outcome'}]}")],
        "total:",
        "'total' is number or object, and the facade reads a number",
    ),
    "a list that is an object": (
        [(ITEMS, "items: {type: object}")],
        "items:",
        "'items' is object, and the facade reads an array",
    ),
    "a time in another form": (
        [("format: date-time", "format: date")],
        "format: date",
        f"the facade reads date-time: read it in status_fields, and change FIELDS, in {FACADE}",
    ),
    "a renamed field of the error": (
        [("        code: {type: integer}", "        reason: {type: string}")],
        "inside     Error:",
        f"which the facade reads as its code: put the new name first in ERROR_FIELDS in {FACADE}, and keep the old one",
    ),
    "no message in the error": (
        [("        message: {type: string}\n", "")],
        "inside     Error:",
        "an error has no 'message'",
    ),
    "an object as the error's code": (
        [("code: {type: integer}", "code: {type: object}")],
        "code: {type: object}",
        f"and the facade reads text as its code: read it in error_fields, and change ERROR_FIELDS in {FACADE}",
    ),
    "a path that has moved": (
        [("/v1/jobs/{jobId}", "/v2/jobs/{jobId}")],
        "overlay:4",
        "the action on $.paths['/v1/jobs/{jobId}'].get: it matches nothing",
    ),
    "a parameter of any kind": (
        [(OK, QUERY.replace("{type: string}", "true") + OK)],
        "name: version",
        "the query parameter 'version' is required",
    ),
    "another method": (
        [(AT_GET, "    post:\n")],
        "overlay:4",
        "it matches nothing: the spec has changed there; adapt the action",
    ),
    "a second id in the path": (
        [
            (
                "  /v1/jobs/{jobId}:\n    get:\n",
                "  /v1/jobs/{jobId}:\n    parameters: [{name: tenant, in: path, required: true}]\n    get:\n",
            )
        ],
        "name: tenant",
        "the path parameter 'tenant' is one of 2",
    ),
    "a circle of references": (
        [
            (
                "        failed: {type: number}",
                "        failed: {$ref: '#/components/schemas/Outcome/properties/failed'}",
            )
        ],
        "failed: {$ref",
        "goes round in a circle: mend it in the overlay beside it",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_change_that_matters_is_a_line(name):
    edits, word, text = FOUND[name]
    spec = edited(*edits)
    found = findings(spec)
    assert text in found[0]
    assert "\n" not in found[0]
    if word.startswith("inside "):
        place = f"specs/shop.yaml:{line_of(spec, word.removeprefix('inside ')) + 2}: "
    elif word.startswith("overlay:"):
        place = f"specs/shop.overlay.yaml:{word.partition(':')[2]}: "
    else:
        place = f"specs/shop.yaml:{line_of(spec, word)}: "
    assert found[0].startswith(place)


def test_one_change_is_one_line():
    """An error that two statuses share, and a field in several answers, are told once."""
    shared = (ERROR, "        '401': {$ref: '#/components/responses/Bad'}\n        '404':")
    bad = "{description: x, content: {application/json: {schema: {$ref: '#/components/schemas/Error'}}}}"
    spec = edited(
        shared,
        ("components:\n", f"components:\n  responses:\n    Bad: {bad}\n"),
        ("        message: {type: string}\n", ""),
    )
    assert len(findings(spec)) == 1


def test_a_further_status_needs_a_status_word_only():
    content = "{application/json: {schema: {type: object, properties: {%s}}}}"
    later = f"        '202':\n          description: Later.\n          content: {content}\n        '404':"
    assert findings(edited((ERROR, later % "status: {type: string}")), Worldly()) == []
    assert "there is no 'status'" in findings(edited((ERROR, later % "state: {type: string}")), Worldly())[0]


def test_the_facade_may_give_a_parameter():
    spec = edited((OK, QUERY.replace("version", "tenant") + OK))
    assert findings(spec, Worldly()) == []
    assert len(findings(spec)) == 1


def test_a_removal_that_is_done_is_a_note():
    """Where the vendor has mended what an action removes, the rest goes on."""
    spec = edited((", format: uuid", ""))
    assert findings(spec) == []
    (note,) = contract.read(Shop(), spec.encode(), OVERLAY.encode()).notes
    assert note.startswith("specs/shop.overlay.yaml:7: the action on $.paths")
    assert note.endswith("there is nothing left to remove, the vendor has mended it: take the action out")


def test_what_the_overlay_mends_is_no_finding():
    target = "$.components.schemas.Job.properties.total"
    mend = f"  - {{target: {target}, description: It is a number., update: {{type: number}}}}\n"
    spec = edited(("total: {type: number}", "total: {type: string}"))
    assert len(findings(spec)) == 1
    assert findings(spec, overlay=OVERLAY + mend) == []


class Bearer(Shop):
    """The same, with a scheme before its key, a project in the path, and nested errors."""

    KEY_HEADERS = {"api_key": "Authorization"}  # noqa: RUF012
    KEY_SCHEMES = {"Authorization": "Bearer"}  # noqa: RUF012
    PARAMETERS = ("tenant",)
    ERROR_FIELDS = {"code": ("error.code",), "message": ("error.message",)}  # noqa: RUF012


BEARER = edited(
    (KEY_IN_HEADER, "      type: http\n      scheme: bearer"),
    ("/v1/jobs/{jobId}:\n", "/v1/{tenant}/jobs/{jobId}:\n"),
    ("      parameters:\n", "      parameters:\n        - {name: tenant, in: path, required: true}\n"),
    (
        "        code: {type: integer}\n        message: {type: string}",
        "        error: {type: object, properties: {code: {type: string}, message: {type: string}}}",
    ),
)
AT_TENANT = OVERLAY.replace("/v1/jobs/", "/v1/{tenant}/jobs/")


def test_a_vendor_of_another_style_keeps_the_contract():
    """A scheme, another parameter in the path, and an error inside of an object."""
    assert findings(BEARER, Bearer(), AT_TENANT) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(
            ("scheme: bearer", "scheme: basic"),
            "travels otherwise (basic): the facade sends authorization: change KEY_HEADERS and KEY_SCHEMES",
            id="scheme",
        ),
        pytest.param(("{code: {type", "{kind: {type"), "an error has no 'error.code', which the facade", id="error"),
        pytest.param(
            ("code: {type: string}", "code: {type: boolean}"), "the error's 'error.code' is a boolean", id="type"
        ),
    ],
)
def test_such_a_vendors_spec_is_held_as_well(change, says):
    (line,) = findings(edited(change, text=BEARER), Bearer(), AT_TENANT)
    assert says in line


# The vendors


def texts(vendor):
    source = sources.load()[vendor]
    return source.read(), source.overlay.read_bytes()


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_facade_keeps_the_contract(vendor):
    assert contract.findings(vendor, *texts(vendor)) == []
    assert built.findings(contract.account_of(vendor), *texts(vendor)) == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_overlays_name_their_operation(vendor):
    """A target of every path would change with a second operation."""
    targets = [line.partition("target: ")[2] for line in texts(vendor)[1].decode().splitlines() if "target: " in line]
    paths = [target for target in targets if target.startswith("$.paths")]
    assert paths
    assert all("$.paths['/" in target or "operationId=='getBatchStatus'" in target for target in paths)


@pytest.mark.parametrize("vendor", VENDORS)
def test_fields_are_the_fields_that_are_read(vendor):
    """A field is in FIELDS if, and only if, another value of it gives another reading."""
    held = contract.read(contract.account_of(vendor), *texts(vendor))
    (answer,) = (held.schema(response) for status, response in held.responses() if status == "200")
    assert built.fields_read(held, answer, next(iter(held.account.WORDS))) == set(held.account.FIELDS)


@pytest.mark.parametrize("vendor", VENDORS)
def test_error_fields_are_the_fields_that_are_read(vendor):
    account = contract.account_of(vendor)
    for field, names in account.ERROR_FIELDS.items():
        assert [getattr(account.error_fields({name: "a text"}), field) for name in names] == ["a text"] * len(names)
        assert getattr(account.error_fields({"another": "a text"}), field) is None
