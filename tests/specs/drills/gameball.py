"""Gameball's page, changed."""

from __future__ import annotations

from batchstatus import Gameball
from drill import Drill, Red, everywhere, lines_of, path_of

BODY = {
    "batchId": "1748392",
    "status": "completed",
    "progress": 100,
    "totalItems": 3,
    "processedItems": 3,
    "failedItems": 1,
    "results": [{"customerId": "c1"}, {"customerId": "c2"}],
    "errors": [{"message": "no such customer", "id": "c3"}],
}
READS = {
    "state": "SUCCEEDED",
    "vendor_status": "completed",
    "counts": [3, 3, 2, 1],
    "progress": 1.0,
    "results": [{"customerId": "c1"}, {"customerId": "c2"}],
    "failures": ["no such customer"],
    "has_raw": True,
    "problems": [],
}

FACADE = "facade/batchstatus/vendors/gameball.py"
OVERLAY = "specs/gameball.overlay.yaml"
PATH = path_of("gameball")
WORD = "                      - failed\n"
LAST = "                  errors:\n                    type: array\n"
FIRST = "                  batchId:\n"
RESULTS = "                  results:\n                    type: array\n"
SERVER = lines_of("gameball", r"^  - url: .*\n")
OURS = Gameball.BASE_URL
VARIABLE = OURS.replace("//api.", "//{host}.")
PARAMETERS = "      parameters:\n"
RESPONSES = "      responses:\n"
NO_STATE = f"has no state: add it to WORDS in {FACADE}"


def replied(status, schema):
    return (
        (
            RESPONSES,
            f"{RESPONSES}        '{status}':\n          description: x\n          content:\n"
            f"            application/json:\n              schema: {schema}\n",
        ),
    )


def moved(spec):
    """Return the spec with the answer's schema as a component."""
    head, schema, tail = spec.partition("              schema:\n                type: object\n")
    body, security, rest = (schema + tail).partition("      security:\n        - apiKey")
    lines = [line.removeprefix("          ") for line in body.splitlines()[1:]]
    component = "components:\n  schemas:\n    BatchStatus:\n" + "".join(f"{line}\n" for line in lines)
    reference = "              schema: {$ref: '#/components/schemas/BatchStatus'}\n"
    return head + reference + security + rest.replace("components:\n", component, 1)


DRILLS = [
    Drill(
        "a status word is added",
        edits=((WORD, f"{WORD}                      - unheard_of\n"),),
        told=("attention response-status-word-added",),
        red=(Red(f"the status word 'unheard_of' {NO_STATE}", "- unheard_of"),),
    ),
    Drill("a status word is removed", edits=((WORD, ""),), told=("harmless response-status-word-removed",)),
    Drill(
        "a word that the tutorials have",
        edits=((WORD, f"{WORD}                      - stopped\n"),),
        told=("attention response-status-word-added",),
        body=BODY | {"status": "stopped"},
        reads=READS | {"state": "CANCELLED", "vendor_status": "stopped"},
    ),
    Drill(
        "the server moves",
        edits=((SERVER, "  - url: https://api.eu.gameball.co\n"),),
        told=("breaking server-removed", "harmless server-added"),
        red=(
            Red(
                f"the server is https://api.eu.gameball.co, and the facade asks {OURS}: change BASE_URL in {FACADE}",
                "- url: https://api.eu.gameball.co",
            ),
        ),
    ),
    Drill(
        "the server gets a path",
        edits=((SERVER, f"  - url: {OURS}/v5\n"),),
        told=("breaking server-removed", "harmless server-added"),
        red=(Red(f"the server is {OURS}/v5, and the facade", f"- url: {OURS}/v5"),),
    ),
    Drill("a slash behind the server", edits=((SERVER, f"  - url: {OURS}/\n"),)),
    Drill(
        "the server in a variable",
        edits=((SERVER, f"  - url: {VARIABLE}\n    variables: {{host: {{default: api}}}}\n"),),
        told=("attention server-variable-changed",),
    ),
    Drill(
        "the server among a variable's values",
        edits=((SERVER, f"  - url: {VARIABLE}\n    variables: {{host: {{default: eu, enum: [eu, api]}}}}\n"),),
        told=("breaking server-removed", "attention server-variable-changed", "harmless server-added"),
    ),
    Drill(
        "no server",
        edits=((f"servers:\n{SERVER}", ""),),
        told=("breaking server-removed", "harmless server-added"),
        red=(Red(f"the server is /, and the facade asks {OURS}", "openapi: 3.1.0"),),
    ),
    Drill(
        "a required header with a default, such as a dated version",
        edits=(
            (
                PARAMETERS,
                f"{PARAMETERS}        - {{name: X-Api-Version, in: header, required: true, "
                "schema: {type: string, default: 2025-01-27}}\n",
            ),
        ),
        told=("breaking request-required-parameter-added",),
        reads=READS | {"headers": {"x-api-version": "2025-01-27"}},
    ),
    Drill(
        "a required header without a default",
        edits=(
            (
                PARAMETERS,
                f"{PARAMETERS}        - {{name: tenant, in: header, required: true, schema: {{type: string}}}}\n",
            ),
        ),
        told=("breaking request-required-parameter-added",),
        red=(
            Red(
                "the header parameter 'tenant' is required and has no default",
                "- {name: tenant, in: header, required: true, schema: {type: string}}",
            ),
        ),
    ),
    Drill(
        "a parameter in a component",
        edits=(
            (
                "        - name: batchId\n          in: path\n          required: true\n          schema:\n"
                "            type: string\n          description: Unique identifier for the batch operation\n",
                "        - $ref: '#/components/parameters/batchId'\n",
            ),
            (
                "components:\n",
                "components:\n  parameters:\n    batchId:\n      name: batchId\n      in: path\n"
                "      required: true\n      schema: {type: string}\n"
                "      description: Unique identifier for the batch operation\n",
            ),
        ),
    ),
    Drill(
        "the id is a number",
        edits=(
            (
                "          required: true\n          schema:\n            type: string\n",
                "          required: true\n          schema:\n            type: integer\n",
            ),
        ),
        told=("breaking request-type-changed",),
    ),
    Drill(
        "the path moves",
        edits=((f"  {PATH}:\n", "  /api/v99.0/batches/{batchId}:\n"),),
        told=("breaking operation-path-changed",),
        red=(Red("it matches nothing", f"- target: $.paths['{PATH}'].get", OVERLAY),),
    ),
    Drill(
        "a second part of the path",
        edits=(
            (f"  {PATH}:\n", "  /api/v4.0/{tenant}/batches/{batchId}/status:\n"),
            (
                PARAMETERS,
                f"{PARAMETERS}        - {{name: tenant, in: path, required: true, schema: {{type: string}}}}\n",
            ),
        ),
        told=(
            "breaking operation-path-changed",
            "breaking request-path-parameter-added",
            "attention description-changed",
        ),
        red=(Red("it matches nothing", f"- target: $.paths['{PATH}'].get", OVERLAY),),
    ),
    Drill(
        "an optional body",
        edits=(
            (
                RESPONSES,
                f"      requestBody:\n        content: {{application/json: {{schema: {{type: object}}}}}}\n{RESPONSES}",
            ),
        ),
        told=("harmless request-body-added",),
    ),
    Drill(
        "either key",
        edits=(("        - apiKey: []\n          secretKey: []\n", "        - apiKey: []\n        - secretKey: []\n"),),
        told=("breaking security-removed", "harmless security-added", "harmless security-added"),
    ),
    Drill(
        "a third key",
        edits=(
            ("          secretKey: []\n", "          secretKey: []\n          tenant: []\n"),
            ("    secretKey:\n", "    tenant: {type: apiKey, in: header, name: tenant}\n    secretKey:\n"),
        ),
        told=("breaking security-removed", "harmless security-added"),
        red=(
            Red(
                "the key 'tenant' travels in the header 'tenant', and the facade sends apikey, secretkey: change "
                f"KEY_HEADERS in {FACADE}",
                "tenant: {type: apiKey, in: header, name: tenant}",
            ),
        ),
    ),
    Drill(
        "a key that is declared nowhere",
        edits=(("          secretKey: []\n", "          other: []\n"),),
        told=("breaking security-removed", "harmless security-added"),
        red=(Red("the key 'other' is declared nowhere", "security:"),),
    ),
    Drill(
        "items of results",
        edits=(
            (
                RESULTS,
                f"{RESULTS}                    items:\n                      type: object\n"
                "                      properties:\n                        customerId: {type: string}\n",
            ),
        ),
        told=("attention response-items-typed",),
        chosen=True,
    ),
    Drill(
        "items of errors, in a component",
        edits=(
            (LAST, f"{LAST}                    items: {{$ref: '#/components/schemas/ItemError'}}\n"),
            (
                "components:\n",
                "components:\n  schemas:\n    ItemError:\n      type: object\n      properties:\n"
                "        message: {type: string}\n        id: {type: string}\n",
            ),
        ),
        told=("attention response-items-typed",),
    ),
    Drill(
        "errors are texts",
        edits=((LAST, f"{LAST}                    items: {{type: string}}\n"),),
        told=("attention response-items-typed",),
        body=BODY | {"errors": ["no such customer"]},
    ),
    Drill(
        "a progress from 0 to 100",
        edits=(
            (
                "progress:\n                    type: number\n",
                "progress:\n                    type: integer\n                    minimum: 0\n"
                "                    maximum: 100\n",
            ),
        ),
        told=(
            "harmless response-type-narrowed",
            "harmless response-bound-tightened",
            "harmless response-bound-tightened",
        ),
    ),
    Drill(
        "a progress that may be null",
        edits=(
            (
                "progress:\n                    type: number\n",
                "progress:\n                    type: [number, 'null']\n",
            ),
        ),
        told=("attention response-value-became-nullable",),
        body=BODY | {"progress": None},
    ),
    Drill(
        "a progress that may be null, in OpenAPI 3.0",
        edits=(
            (
                "progress:\n                    type: number\n",
                "progress:\n                    type: number\n                    nullable: true\n",
            ),
            ("openapi: 3.1.0\n", "openapi: 3.0.3\n"),
        ),
        told=("attention openapi-changed", "attention response-value-became-nullable"),
        body=BODY | {"progress": None},
    ),
    Drill(
        "a progress that may be text",
        edits=(
            (
                "progress:\n                    type: number\n",
                "progress:\n                    type: [number, string]\n",
            ),
        ),
        told=("breaking response-type-widened",),
        red=(Red("'progress' is number or string, and the facade reads a number", "progress:"),),
    ),
    Drill(
        "the number of items goes",
        edits=(("                  totalItems:\n                    type: number\n", ""),),
        told=("breaking response-property-removed",),
        red=(Red("there is no 'totalItems', which the facade reads", "properties:"),),
    ),
    Drill(
        "the id is a number in the answer",
        edits=((f"{FIRST}                    type: string\n", f"{FIRST}                    type: integer\n"),),
        told=("breaking response-type-changed",),
        red=(Red("'batchId' is number, and the facade reads a string", "batchId:"),),
    ),
    Drill(
        "all fields are required",
        edits=(
            (
                "              schema:\n                type: object\n",
                "              schema:\n                type: object\n"
                "                required: [batchId, status, errors]\n",
            ),
        ),
        told=("harmless response-property-became-required",) * 3,
        body={name: value for name, value in BODY.items() if name != "errors"},
        reads=READS | {"failures": []},
    ),
    Drill(
        "the answer moves to a component",
        edits=(moved,),
        told=("attention schema-name-changed",),
    ),
    Drill(
        "an untyped array more",
        edits=((LAST, f"{LAST}                  warnings:\n                    type: array\n"),),
        told=("harmless response-property-added",),
        body=BODY | {"warnings": ["slow"]},
    ),
    Drill(
        "no further fields",
        edits=(
            (
                "              schema:\n                type: object\n",
                "              schema:\n                type: object\n                additionalProperties: false\n",
            ),
        ),
        told=("attention response-object-closed",),
        body={"id": "x", "status": "completed", "totalCount": 3, "finishedCount": 2, "errorCount": 1},
        reads={"state": "SUCCEEDED", "counts": [3, 3, 2, 1]},
    ),
    Drill(
        "a time more",
        edits=((LAST, f"{LAST}                  createdAt: {{type: string, format: date-time}}\n"),),
        told=("harmless response-property-added",),
        body=BODY | {"createdAt": "2025-01-27T12:00:00Z"},
    ),
    Drill(
        "the counts of the tutorials",
        edits=(
            (
                LAST,
                f"{LAST}                  totalCount: {{type: integer}}\n"
                "                  finishedCount: {type: integer}\n                  errorCount: {type: integer}\n",
            ),
        ),
        told=("harmless response-property-added",) * 3,
        body={"batchId": "1748392", "status": "completed", "totalCount": 3, "finishedCount": 2, "errorCount": 1},
        reads={"state": "SUCCEEDED", "counts": [3, 3, 2, 1], "problems": []},
    ),
    Drill(
        "a header that belongs to the connection",
        edits=(
            (
                PARAMETERS,
                f"{PARAMETERS}        - {{name: Host, in: header, required: true, "
                "schema: {type: string, default: x}}\n",
            ),
        ),
        told=("breaking request-required-parameter-added",),
        red=(Red("the raw client's header 'Host' is not one that a request can set", "get:"),),
    ),
    Drill(
        "JSON with a charset",
        edits=(("            application/json:\n", "            application/json; charset=utf-8:\n"),),
    ),
    Drill(
        "a refusal with its body",
        edits=replied(404, "{type: object, properties: {code: {type: integer}, message: {type: string}}}"),
        told=("harmless error-status-added",),
        body={"code": 4004, "message": "no such batch"},
        status=404,
        reads={"error": "BatchNotFound", "code": "4004"},
    ),
    Drill(
        "a refusal with a body of another form",
        edits=replied(404, "{type: object, properties: {reason: {type: string}}}"),
        told=("harmless error-status-added",),
        red=(
            Red(
                "an error has no 'code' or 'error', which the facade reads as its code",
                "schema: {type: object, properties: {reason: {type: string}}}",
            ),
            Red("an error has no 'message'", "schema: {type: object, properties: {reason: {type: string}}}"),
        ),
    ),
    Drill("another title", edits=(("title: Gameball API", "title: Gameball's API"),)),
    Drill(
        "another description of the API",
        edits=(("  description: >-\n", "  description: >-\n    At most ten requests a second.\n"),),
        told=("attention description-changed",),
    ),
    Drill(
        "another sentence in the prose",
        page=(("> Monitor batch job status", "> Watch batch job status"),),
        told=("attention prose-changed",),
    ),
    Drill(
        "no fence",
        whole=lambda page: page.replace("````", "```"),
        by="pull",
        red=(Red("the page has 0 closed four-backtick fences"),),
    ),
    Drill(
        "two fences",
        whole=lambda page: page + "\n\n" + page[page.index("````yaml") :],
        by="pull",
        red=(Red("the page has 2 closed four-backtick fences"),),
    ),
    Drill(
        "another heading",
        whole=everywhere("## OpenAPI\n", "## Specification\n"),
        by="pull",
        red=(Red("exactly one is expected, under `## OpenAPI`"),),
    ),
    Drill(
        "a page that is not text",
        whole=lambda page: page.encode().replace(b"loyalty", b"loyalt\xff"),
        by="pull",
        red=(Red("not UTF-8 text"),),
    ),
    Drill(
        "a page of HTML",
        whole=lambda page: "<html><body>Just a moment...</body></html>",
        by="pull",
        red=(Red("the page has 0 closed four-backtick fences"),),
    ),
]
