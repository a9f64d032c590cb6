"""Believe's page, changed."""

from __future__ import annotations

from batchstatus import Believe
from drill import Drill, Red, after, everywhere, lines_of, path_of

ID = "550e8400-e29b-41d4-a716-446655440000"
EXECUTION = {
    "total": 3,
    "totalSuccessful": 2,
    "totalFailed": 1,
    "successfulExecutions": [{"bundleId": "b1", "txHashes": ["h1", "h2"]}],
    "failedOnTransactionIndex": 2,
    "failedTxMsg": "out of funds",
}
BODY = {
    "id": ID,
    "flywheelId": "f1",
    "tokenId": "t1",
    "mintAddress": "m1",
    "status": "EXECUTED",
    "batchIndex": "42",
    "vaultIndex": "0",
    "multisig": "s1",
    "vaultAddress": "v1",
    "initResult": {"total": 1, "totalSuccessful": 1, "totalFailed": 0, "successfulExecutions": [], "batchIndex": 42},
    "executeResult": EXECUTION,
    "dateCreated": "2025-01-27T12:00:00.000Z",
    "dateUpdated": "2025-01-27T12:10:00.000Z",
}
READS = {
    "state": "SUCCEEDED",
    "vendor_status": "EXECUTED",
    "counts": [3, 3, 2, 1],
    "results": [{"bundleId": "b1", "txHashes": ["h1", "h2"]}],
    "failures": ["out of funds"],
    "updated_at": "2025-01-27T12:10:00+00:00",
    "has_raw": True,
    "problems": [],
}
"""What the facade says of the body, whatever happened to the page, unless a drill says otherwise."""

FACADE = "facade/batchstatus/vendors/believe.py"
OVERLAY = "specs/believe.overlay.yaml"
PATH = path_of("believe")
ENUM = lines_of("believe", r"^          enum:\n(            - .*\n)+")
OTHER_WORDS = ENUM.count(" - ") - 1
"""How many words there are besides EXECUTED."""
STATUS = f"""\
        status:
          type: string
{ENUM}          description: Current batch status.
"""
COMPONENTS = "components:\n  schemas:\n"
ANSWER = """\
              schema:
                $ref: '#/components/schemas/BatchStatusResponse'
"""
PARAMETERS = "      parameters:\n"
RESPONSES = "      responses:\n"
ERROR = """\
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/Error'
"""
CODES = Believe.ERROR_FIELDS["code"]
CODE = CODES[0]
NO_CODE = f"an error has no {' or '.join(map(repr, CODES))}, which the facade reads as its code"
ERROR_FIELDS = lines_of("believe", rf"^        {CODE}:\n          type: integer\n(.*\n)*?        message:\n.*\n")
NO_STATE = f"has no state: add it to WORDS in {FACADE}"


def reading(status, **more):
    return {"body": {**BODY, "status": status}, "reads": {**READS, "vendor_status": status, **more}}


def adding(parameter):
    return ((PARAMETERS, f"{PARAMETERS}        - {parameter}\n"),)


def added(path, *, items=None):
    """Return the edit that adds a component."""
    return (COMPONENTS, COMPONENTS + path)


def schema(of, then):
    """Return the edit of the first line of a component."""
    return (f"    {of}:\n      type: object\n", then)


WORDS = [
    Drill(
        "a status word is added",
        edits=((ENUM, f"{ENUM}            - UNHEARD_OF\n"),),
        told=("attention response-status-word-added",),
        red=(Red(f"the status word 'UNHEARD_OF' {NO_STATE}", "- UNHEARD_OF"),),
        chosen=True,
    ),
    Drill(
        "a status word is removed",
        edits=(("            - FAILED\n", ""),),
        told=("harmless response-status-word-removed",),
    ),
    Drill(
        "a status word is renamed",
        edits=(("            - EXECUTED\n", "            - DONE\n"),),
        told=("attention response-status-word-added", "harmless response-status-word-removed"),
        red=(Red(f"the status word 'DONE' {NO_STATE}", "- DONE"),),
    ),
    Drill(
        "a status word in other letters",
        edits=(("            - EXECUTED\n", "            - executed\n"),),
        told=("attention response-status-word-added", "harmless response-status-word-removed"),
        **reading("executed"),
    ),
    Drill(
        "a word that is known already",
        edits=((ENUM, f"{ENUM}            - PENDING_APPROVAL\n"),),
        told=("attention response-status-word-added",),
        **reading("PENDING_APPROVAL", state="REQUIRES_ACTION"),
    ),
    Drill(
        "a word that YAML 1.1 takes for a boolean",
        edits=((ENUM, f"{ENUM}            - no\n"),),
        told=("attention response-status-word-added",),
        red=(Red(f"the status word 'no' {NO_STATE}", "- no"),),
    ),
    Drill(
        "the words open",
        edits=((ENUM, ""),),
        told=("attention response-status-enum-removed",),
        **reading("PENDING_APPROVAL", state="REQUIRES_ACTION"),
    ),
    Drill(
        "the words become one constant",
        edits=((ENUM, "          const: EXECUTED\n"),),
        told=("harmless response-status-word-removed",) * OTHER_WORDS,
    ),
    Drill(
        "the words move to a component",
        edits=(
            (f"          type: string\n{ENUM}", "          $ref: '#/components/schemas/Status'\n"),
            added(f"    Status:\n      type: string\n{ENUM.replace('          ', '      ', 1)}"),
        ),
        told=("attention schema-name-changed",),
    ),
    Drill(
        "a new word in an alternative",
        edits=(
            (
                f"          type: string\n{ENUM}",
                "          anyOf:\n            - type: string\n              enum: [EXECUTED]\n"
                "            - type: string\n              enum:\n                - UNHEARD_OF\n",
            ),
        ),
        told=("breaking response-alternative-added",) * 2 + ("attention response-status-enum-removed",),
        red=(Red(f"the status word 'UNHEARD_OF' {NO_STATE}", "- UNHEARD_OF"),),
    ),
    Drill(
        "a status may be null",
        edits=((f"          type: string\n{ENUM}", f"          type: [string, 'null']\n{ENUM}            - null\n"),),
        told=("attention response-value-became-nullable",),
    ),
]

SERVERS = [
    Drill(
        "the path gets a server of its own",
        edits=((f"  {PATH}:\n", f"  {PATH}:\n    servers:\n      - url: https://eu.believe.app\n"),),
        told=("breaking server-removed", "harmless server-added"),
        red=(
            Red(
                "the server is https://eu.believe.app, and the facade asks https://public.believe.app: change "
                f"BASE_URL in {FACADE}",
                "- url: https://eu.believe.app",
            ),
        ),
    ),
    Drill(
        "the operation gets a server of its own",
        edits=(
            (
                "      summary: Get Batch Status\n",
                "      summary: Get Batch Status\n      servers:\n        - url: https://eu.believe.app\n",
            ),
        ),
        told=("breaking server-removed", "harmless server-added"),
        red=(Red("the server is https://eu.believe.app, and", "- url: https://eu.believe.app"),),
        chosen=True,
    ),
    Drill(
        "a second server",
        edits=(
            (
                "  - url: https://public.believe.app\n",
                "  - url: https://public.believe.app\n  - url: https://eu.believe.app\n",
            ),
        ),
        told=("harmless server-added",),
    ),
]

REQUESTS = [
    Drill(
        "a required parameter without a default",
        edits=adding("{name: version, in: query, required: true, schema: {type: string}}"),
        told=("breaking request-required-parameter-added",),
        red=(
            Red(
                "the query parameter 'version' is required and has no default: give one in",
                "- {name: version, in: query, required: true, schema: {type: string}}",
            ),
        ),
        chosen=True,
    ),
    Drill(
        "a required parameter with a default",
        edits=adding("{name: version, in: query, required: true, schema: {type: string, default: '2025-01'}}"),
        told=("breaking request-required-parameter-added",),
        reads=READS | {"query": "version=2025-01"},
        chosen=True,
    ),
    Drill(
        "an optional parameter",
        edits=adding("{name: verbose, in: query, schema: {type: boolean}}"),
        told=("harmless request-parameter-added",),
        reads=READS | {"query": ""},
    ),
    Drill(
        "a parameter of the path item",
        edits=(
            (
                f"  {PATH}:\n",
                f"  {PATH}:\n    parameters:\n      - {{name: version, in: query, required: true, "
                "schema: {type: string, default: b}}\n",
            ),
        ),
        told=("breaking request-required-parameter-added",),
        reads=READS | {"query": "version=b"},
    ),
    Drill(
        "a required cookie",
        edits=adding("{name: tenant, in: cookie, required: true, schema: {type: string, default: a}}"),
        told=("breaking request-required-parameter-added",),
        red=(
            Red(
                "the cookie parameter 'tenant' is a cookie, which the facade does not send",
                "- {name: tenant, in: cookie, required: true, schema: {type: string, default: a}}",
            ),
        ),
    ),
    Drill(
        "an optional cookie",
        edits=adding("{name: tenant, in: cookie, schema: {type: string}}"),
        told=("harmless request-parameter-added",),
    ),
    Drill(
        "a key as a parameter as well",
        edits=adding("{name: X-Believe-Api-Key, in: header, required: true, schema: {type: string}}"),
        told=("breaking request-required-parameter-added",),
        red=(
            Red(
                "the header parameter 'X-Believe-Api-Key' is a key, which the facade sends by itself",
                "- {name: X-Believe-Api-Key, in: header, required: true, schema: {type: string}}",
            ),
        ),
    ),
    Drill(
        "a bound of the id",
        edits=(("            format: uuid\n", "            format: uuid\n            maxLength: 36\n"),),
        told=("breaking request-bound-tightened",),
    ),
    Drill(
        "an id without a format",
        edits=(("            format: uuid\n", ""),),
        told=("harmless request-format-removed",),
    ),
    Drill(
        "the id's parameter is renamed",
        edits=(everywhere("batchId", "id"),),
        told=("harmless operation-path-parameter-renamed",),
        red=(
            Red(
                f"the action on $.paths['{PATH}'].get: it matches nothing", f"- target: $.paths['{PATH}'].get", OVERLAY
            ),
        ),
    ),
    Drill(
        "the path moves",
        edits=((f"  {PATH}:\n", "  /v99/flywheel/batches/{batchId}:\n"),),
        told=("breaking operation-path-changed",),
        red=(
            Red(
                f"the action on $.paths['{PATH}'].get: it matches nothing", f"- target: $.paths['{PATH}'].get", OVERLAY
            ),
        ),
        chosen=True,
    ),
    Drill(
        "another method",
        edits=(("    get:\n", "    post:\n"),),
        told=("breaking operation-removed", "harmless operation-added"),
        red=(
            Red(
                f"the action on $.paths['{PATH}'].get: it matches nothing", f"- target: $.paths['{PATH}'].get", OVERLAY
            ),
        ),
    ),
    Drill(
        "a second operation on the path",
        edits=(
            (
                "components:\n",
                "    delete:\n      parameters:\n"
                "        - {name: batchId, in: path, required: true, schema: {type: string}}\n"
                "      responses:\n        '204': {description: gone}\ncomponents:\n",
            ),
        ),
        told=("harmless operation-added",),
        chosen=True,
    ),
    Drill(
        "an operation that the generator cannot take, on another path",
        edits=(
            (
                "components:\n",
                "  /v1/other:\n    get:\n      responses:\n        '200':\n          description: x\n"
                "          content: {application/json: {schema: {type: array}}}\ncomponents:\n",
            ),
        ),
        told=("harmless operation-added",),
    ),
    Drill(
        "an operationId, and another tag",
        edits=(("        - Flywheel\n      summary", "        - Batches\n      operationId: status\n      summary"),),
        told=("harmless operation-names-changed",),
    ),
    Drill(
        "an operation on its way out",
        edits=(("      summary: Get Batch Status\n", "      summary: Get Batch Status\n      deprecated: true\n"),),
        told=("attention operation-deprecated",),
    ),
    Drill(
        "an operation with an end",
        edits=(
            (
                "      summary: Get Batch Status\n",
                "      summary: Get Batch Status\n      deprecated: true\n      x-sunset: 2030-01-01\n",
            ),
        ),
        told=("attention operation-deprecated",),
    ),
    Drill(
        "a required body",
        edits=(
            (
                RESPONSES,
                "      requestBody:\n        required: true\n        content: {application/json: {schema: "
                f"{{type: object}}}}}}\n{RESPONSES}",
            ),
        ),
        told=("breaking request-required-body-added",),
        red=(Red("a body is required, which the facade does not send", "requestBody:"),),
    ),
]

KEYS = [
    Drill(
        "the key in another header",
        edits=(("      name: x-believe-api-key\n", "      name: Api-Key\n"),),
        told=("breaking security-removed", "harmless security-added"),
        red=(
            Red(
                "the key 'apiKeyAuth' travels in the header 'Api-Key', and the facade sends x-believe-api-key: change "
                f"KEY_HEADERS in {FACADE}",
                "apiKeyAuth:",
            ),
        ),
        chosen=True,
    ),
    Drill(
        "the key's header in other letters",
        edits=(("      name: x-believe-api-key\n", "      name: X-Believe-API-Key\n"),),
    ),
    Drill(
        "the key in the query",
        edits=(("      in: header\n      name: x-believe-api-key\n", "      in: query\n      name: key\n"),),
        told=("breaking security-removed", "harmless security-added"),
        red=(Red("the key 'apiKeyAuth' travels otherwise (in the query, as 'key')", "apiKeyAuth:"),),
    ),
    Drill(
        "the key in a cookie",
        edits=(("      in: header\n      name: x-believe-api-key\n", "      in: cookie\n      name: key\n"),),
        told=("breaking security-removed", "harmless security-added"),
        red=(Red("the key 'apiKeyAuth' travels otherwise (in the cookie, as 'key')", "apiKeyAuth:"),),
    ),
    Drill(
        "a bearer token",
        edits=(("        - apiKeyAuth: []\n", "        - bearerAuth: []\n"),),
        told=("breaking security-removed", "harmless security-added"),
        red=(Red("the key 'bearerAuth' travels otherwise (bearer)", "bearerAuth:"),),
    ),
    Drill(
        "the document's keys",
        edits=(("      security:\n        - apiKeyAuth: []\n", ""),),
        told=("breaking security-removed", "harmless security-added"),
        red=(Red("the key 'bearerAuth' travels otherwise (bearer)", "bearerAuth:"),),
    ),
    Drill(
        "a token beside the key",
        edits=(("        - apiKeyAuth: []\n", "        - apiKeyAuth: []\n        - bearerAuth: []\n"),),
        told=("harmless security-added",),
    ),
    Drill(
        "a token with the key",
        edits=(("        - apiKeyAuth: []\n", "        - apiKeyAuth: []\n          bearerAuth: []\n"),),
        told=("breaking security-removed", "harmless security-added"),
        red=(Red("the key 'bearerAuth' travels otherwise (bearer)", "bearerAuth:"),),
    ),
    Drill(
        "no key",
        edits=(("      security:\n        - apiKeyAuth: []\n", "      security: []\n"),),
        told=("breaking security-removed", "harmless security-added"),
    ),
    Drill(
        "the key's name in the document",
        edits=(everywhere("apiKeyAuth", "ApiKey"),),
    ),
]

ANSWERS = [
    Drill(
        "another success",
        edits=(
            (
                f"{RESPONSES}",
                f"{RESPONSES}        '202':\n          description: Not yet.\n          content:\n"
                f"            application/json:\n{ANSWER}",
            ),
        ),
        told=("breaking response-status-added",),
        red=(Red(f"an answer 202 is declared: add it to STATUSES in {FACADE}", "'202':"),),
        chosen=True,
    ),
    Drill(
        "any success",
        edits=(("        '200':\n", "        2XX:\n"),),
        told=("breaking response-status-added", "breaking response-status-removed"),
        red=(Red("no answer 200 is declared", "responses:"), Red("an answer 2XX is declared", "2XX:")),
    ),
    Drill(
        "another success instead",
        edits=(("        '200':\n", "        '201':\n"),),
        told=("breaking response-status-added", "breaking response-status-removed"),
        red=(Red("no answer 200 is declared", "responses:"), Red("an answer 201 is declared", "'201':")),
    ),
    Drill(
        "the statuses without quotes",
        edits=(everywhere("        '200':\n", "        200:\n"), everywhere("        '404':\n", "        404:\n")),
    ),
    Drill(
        "a rate limit with its headers",
        edits=(
            (
                RESPONSES,
                f"{RESPONSES}        '429':\n          description: Too many.\n          headers:\n"
                "            Retry-After: {schema: {type: integer}}\n",
            ),
        ),
        told=("harmless error-status-added",),
    ),
    Drill(
        "a hint in an answer",
        edits=(
            (
                "          description: Successful batch status retrieval.\n",
                "          description: Successful batch status retrieval.\n          headers:\n"
                "            X-RateLimit-Remaining: {schema: {type: integer}}\n",
            ),
        ),
        told=("attention response-hint-header-added",),
    ),
    Drill(
        "a refusal more",
        edits=((RESPONSES, f"{RESPONSES}        '403':\n          description: No.\n{ERROR}"),),
        told=("harmless error-status-added",),
    ),
    Drill(
        "a default",
        edits=((RESPONSES, f"{RESPONSES}        default:\n          description: No.\n{ERROR}"),),
        told=("harmless error-status-added",),
    ),
    Drill(
        "a redirect",
        edits=((RESPONSES, f"{RESPONSES}        '302':\n          description: There.\n"),),
        told=("attention redirect-status-added",),
    ),
    Drill(
        "a refusal less",
        edits=((f"        '404':\n          description: Not Found - Batch not found.\n{ERROR}", ""),),
        told=("harmless error-status-removed",),
    ),
    Drill(
        "the error's code is renamed",
        edits=(
            (ERROR_FIELDS, ERROR_FIELDS.replace(f"{CODE}:", "reason:")),
            (f"        - {CODE}\n", "        - reason\n"),
        ),
        told=("attention error-property-removed",) * 2 + ("harmless error-property-added",) * 2,
        red=(
            Red(
                f"as its code: put the new name first in ERROR_FIELDS in {FACADE}, and keep the old one behind it",
                "properties:",
            ),
        ),
        chosen=True,
    ),
    Drill(
        "the error's message is renamed",
        edits=(
            (ERROR_FIELDS, ERROR_FIELDS.replace("message:", "detail:")),
            ("        - message\n", "        - detail\n"),
        ),
        told=("attention error-property-removed",) * 2 + ("harmless error-property-added",) * 2,
        red=(Red("an error has no 'message', which the facade reads as its message", "properties:"),),
    ),
    Drill(
        "the error's code is the text that it is",
        edits=((ERROR_FIELDS, ERROR_FIELDS.replace("integer\n          format: int32", "string")),),
        told=("attention error-type-changed",) * 2 + ("harmless error-format-removed",) * 2,
        body={CODE: "ERR_BATCH_NOT_FOUND", "message": "Batch not found"},
        status=404,
        reads={"error": "BatchNotFound", "code": "ERR_BATCH_NOT_FOUND"},
    ),
    Drill(
        "the error is an object",
        edits=((ERROR_FIELDS, ERROR_FIELDS.replace("integer\n          format: int32", "object")),),
        told=("attention error-type-changed",) * 2 + ("harmless error-format-removed",) * 2,
        red=(Red(f"the error's {CODE!r} is an object, and the facade reads text as its code", f"{CODE}:"),),
    ),
    Drill(
        "an answer that is not JSON",
        edits=(after("'200':", ("application/json:", "text/csv:")),),
        told=("breaking response-content-type-removed", "attention response-content-type-added"),
        red=(Red(f"an answer 200 has no JSON with a schema, which the facade reads: see {FACADE}", "'200':"),),
    ),
    Drill(
        "an answer in a component",
        edits=(
            (
                f"        '200':\n          description: Successful batch status retrieval.\n          content:\n"
                f"            application/json:\n{ANSWER}",
                "        '200': {$ref: '#/components/responses/Ok'}\n",
            ),
            (
                "components:\n",
                "components:\n  responses:\n    Ok:\n      description: Successful batch status retrieval.\n"
                "      content: {application/json: {schema: {$ref: '#/components/schemas/BatchStatusResponse'}}}\n",
            ),
        ),
    ),
]

FIELDS = [
    Drill(
        "a required field",
        edits=(
            ("        - dateUpdated\n", "        - dateUpdated\n        - network\n"),
            ("        dateCreated:\n", "        network:\n          type: string\n        dateCreated:\n"),
        ),
        told=("harmless response-property-added",),
        body=BODY | {"network": "main"},
    ),
    Drill(
        "a field that may be missing",
        edits=(("        - dateUpdated\n", ""),),
        told=("breaking response-property-became-optional",),
        body={name: value for name, value in BODY.items() if name != "dateUpdated"},
        reads=READS | {"updated_at": None},
    ),
    Drill(
        "a field that is read goes",
        edits=(
            (
                "        executeResult:\n          $ref: '#/components/schemas/ExecutionResult'\n"
                "          description: Results from the batch execution process (optional).\n",
                "",
            ),
        ),
        told=("breaking response-property-removed",),
        red=(
            Red(
                f"there is no 'executeResult', which the facade reads: change FIELDS and status_fields in {FACADE}",
                "properties:",
            ),
        ),
    ),
    Drill(
        "a time is renamed",
        edits=(everywhere("dateUpdated", "updatedAt"),),
        told=("breaking response-property-removed", "harmless response-property-added"),
        red=(Red("there is no 'dateUpdated', which the facade reads", "properties:"),),
    ),
    Drill(
        "a count goes",
        edits=(after("    ExecutionResult:", ("        totalFailed:\n", "        totalLost:\n")),),
        told=("breaking response-property-removed", "harmless response-property-added"),
        red=(
            Red(
                "there is no 'executeResult.totalFailed' (but 'initResult.totalFailed'), which the facade reads",
                "properties:",
            ),
        ),
    ),
    Drill(
        "whole counts",
        edits=(everywhere("          type: number\n", "          type: integer\n"),),
        told=("harmless response-type-narrowed",) * 9,
    ),
    Drill(
        "a count as text",
        edits=(
            after(
                "    ExecutionResult:",
                ("        total:\n          type: number", "        total:\n          type: string"),
            ),
        ),
        told=("breaking response-type-changed",),
        red=(Red("'executeResult.total' is string, and the facade reads a number", "total:"),),
    ),
    Drill(
        "a time in seconds",
        edits=(after("        dateUpdated:", ("type: string\n          format: date-time", "type: integer")),),
        told=("breaking response-type-changed", "attention response-format-removed"),
        red=(Red("'dateUpdated' is number, and the facade reads a string", "dateUpdated:"),),
    ),
    Drill(
        "a time is a day",
        edits=(after("        dateUpdated:", ("format: date-time", "format: date")),),
        told=("attention response-format-changed",),
        red=(Red("'dateUpdated' has the format 'date', and the facade reads date-time", "format: date"),),
    ),
    Drill(
        "a time without a format",
        edits=(after("        dateUpdated:", ("          format: date-time\n", "")),),
        told=("attention response-format-removed",),
    ),
    Drill(
        "results may be null",
        edits=(
            (
                "          $ref: '#/components/schemas/ExecutionResult'\n",
                "          oneOf:\n            - $ref: '#/components/schemas/ExecutionResult'\n"
                "            - type: 'null'\n",
            ),
        ),
        told=("attention response-value-became-nullable",),
        body=BODY | {"status": "FINALIZED", "executeResult": None},
        reads=READS
        | {
            "state": "REQUIRES_ACTION",
            "vendor_status": "FINALIZED",
            "counts": [None] * 4,
            "results": [],
            "failures": [],
        },
    ),
    Drill(
        "a field is on its way out",
        edits=(("        dateUpdated:\n", "        dateUpdated:\n          deprecated: true\n"),),
        told=("attention response-property-deprecated",),
    ),
    Drill(
        "a description",
        edits=(("          description: Current batch status.\n", "          description: The status of a batch.\n"),),
        told=("attention description-changed",),
    ),
    Drill(
        "an example",
        edits=(
            (
                "          description: Current batch status.\n",
                "          description: Current batch status.\n          example: EXECUTED\n",
            ),
        ),
    ),
    Drill(
        "a day as an example",
        edits=(("        dateUpdated:\n", "        dateUpdated:\n          example: 2025-01-27\n"),),
    ),
    Drill(
        "an envelope",
        edits=(
            (
                ANSWER,
                "              schema:\n                type: object\n                properties:\n"
                "                  data:\n                    $ref: '#/components/schemas/BatchStatusResponse'\n",
            ),
        ),
        told=("breaking response-property-removed",) * 13
        + ("attention schema-name-changed", "harmless response-property-added"),
        red=(Red("there is no", "properties:"),),
    ),
    Drill(
        "one of two shapes",
        edits=(
            (
                ANSWER,
                "              schema:\n                oneOf:\n"
                "                  - $ref: '#/components/schemas/BatchStatusResponse'\n"
                "                  - $ref: '#/components/schemas/Error'\n",
            ),
        ),
        told=("breaking response-alternative-added",) * 2
        + ("breaking response-property-removed",) * 13
        + ("attention schema-name-changed",),
        red=(Red(f"the answer 200 is not one object: read each shape in status_fields of {FACADE}", "schema:"),),
    ),
    Drill(
        "the only part of an answer",
        edits=(
            (
                ANSWER,
                "              schema:\n                allOf:\n"
                "                  - $ref: '#/components/schemas/BatchStatusResponse'\n",
            ),
        ),
    ),
    Drill(
        "the answer in two parts",
        edits=(
            (
                ANSWER,
                "              schema:\n                allOf:\n"
                "                  - $ref: '#/components/schemas/BatchStatusResponse'\n"
                "                  - $ref: '#/components/schemas/Network'\n",
            ),
            added("    Network:\n      type: object\n      properties:\n        network: {type: string}\n"),
        ),
        told=("attention schema-name-changed", "harmless response-property-added"),
        body=BODY | {"network": "main"},
    ),
    Drill(
        "properties beside the only part",
        edits=(
            (
                "    BatchStatusResponse:\n      type: object\n",
                "    BatchStatusResponse:\n      allOf:\n        - $ref: '#/components/schemas/Network'\n"
                "      type: object\n",
            ),
            added("    Network:\n      type: object\n      properties:\n        network: {type: string}\n"),
        ),
        told=("attention schema-name-changed", "harmless response-property-added"),
        body=BODY | {"network": "main"},
        chosen=True,
    ),
    Drill(
        "a result is a part",
        edits=(
            (
                "          $ref: '#/components/schemas/ExecutionResult'\n",
                "          allOf:\n            - $ref: '#/components/schemas/ExecutionResult'\n",
            ),
        ),
    ),
    Drill(
        "two names that are one in Python",
        edits=(("        vaultIndex:\n", "        batch_index:\n          type: string\n        vaultIndex:\n"),),
        told=("harmless response-property-added",),
        body=BODY | {"batch_index": "43"},
        reads=READS | {"payload": BODY | {"batch_index": "43"}},
    ),
    Drill(
        "a word of Python as a name",
        edits=(("        vaultIndex:\n", "        class:\n          type: string\n        vaultIndex:\n"),),
        told=("harmless response-property-added",),
        body=BODY | {"class": "a"},
    ),
    Drill(
        "a name of the generated class",
        edits=(("        vaultIndex:\n", "        to_dict:\n          type: string\n        vaultIndex:\n"),),
        told=("harmless response-property-added",),
        red=(Red("the raw client refuses a body of this schema", "BatchStatusResponse:"),),
    ),
    Drill(
        "a name that Python does not have",
        edits=(("        vaultIndex:\n", "        2nd-mint address:\n          type: string\n        vaultIndex:\n"),),
        told=("harmless response-property-added",),
        body=BODY | {"2nd-mint address": "a"},
    ),
    Drill(
        "a name that moves the cursor",
        edits=(
            ("        vaultIndex:\n", '        "x\\e[2K\\e[1A\\u202e":\n          type: string\n        vaultIndex:\n'),
        ),
        told=("harmless response-property-added",),
        red=(Red(r"the raw client loses 'x\x1b[2K\x1b[1A\u202e'", r'"x\e[2K\e[1A\u202e":'),),
    ),
    Drill(
        "no further fields",
        edits=(
            (
                "    BatchStatusResponse:\n      type: object\n",
                "    BatchStatusResponse:\n      type: object\n      additionalProperties: false\n",
            ),
        ),
        told=("attention response-object-closed",),
        body=BODY | {"network": "main"},
    ),
    Drill(
        "the answer's schema is renamed",
        edits=(everywhere("BatchStatusResponse", "FlywheelBatch"),),
        told=("attention schema-name-changed",),
    ),
    Drill(
        "a result's schema is renamed",
        edits=(
            everywhere("schemas/ExecutionResult", "schemas/Execution"),
            ("    ExecutionResult:\n", "    Execution:\n"),
        ),
        told=("attention schema-name-changed",),
    ),
    Drill(
        "a title",
        edits=(
            (
                "    BatchStatusResponse:\n      type: object\n",
                "    BatchStatusResponse:\n      title: Batch\n      type: object\n",
            ),
        ),
        told=("attention schema-name-changed",),
    ),
    Drill(
        "a batch that holds batches",
        edits=(
            (
                "        vaultIndex:\n",
                "        parent:\n          $ref: '#/components/schemas/BatchStatusResponse'\n        vaultIndex:\n",
            ),
        ),
        told=("harmless response-property-added",),
        body=BODY | {"parent": BODY},
    ),
]

TEXTS = [
    Drill(
        "a reference in a circle",
        edits=(added("    One: {$ref: '#/components/schemas/Two'}\n    Two: {$ref: '#/components/schemas/One'}\n"),),
        by="pull",
        red=(Red("$ref '#/components/schemas/Two' goes round in a circle", "One: {$ref: '#/components/schemas/Two'}"),),
    ),
    Drill(
        "a reference to nothing",
        edits=((ANSWER, ANSWER.replace("Response'", "Answer'")),),
        by="pull",
        red=(
            Red(
                "$ref '#/components/schemas/BatchStatusAnswer' leads to nothing",
                "$ref: '#/components/schemas/BatchStatusAnswer'",
            ),
        ),
    ),
    Drill(
        "a reference to another document",
        edits=((ANSWER, ANSWER.replace("'#/comp", "'https://docs.example/openapi.yaml#/comp")),),
        by="pull",
        red=(
            Red(
                "leads out of the document",
                "$ref: 'https://docs.example/openapi.yaml#/components/schemas/BatchStatusResponse'",
            ),
        ),
    ),
    Drill(
        "a reference with a percent sign",
        edits=((ANSWER, ANSWER.replace("BatchStatusResponse", "Batch%53tatusResponse")),),
    ),
    Drill(
        "a reference with an index of a list",
        edits=(
            adding(
                f"{{name: other, in: query, schema: {{$ref: '#/paths/{PATH.replace('/', '~1')}/get/parameters/1/"
                "schema'}}"
            )
        ),
        told=("harmless request-parameter-added",),
    ),
    Drill(
        "an alias",
        edits=(
            ("        vaultIndex:\n          type: string\n", "        vaultIndex: &text\n          type: string\n"),
            (
                "        multisig:\n          type: string\n          description: The multisig wallet address.\n",
                "        multisig: *text\n",
            ),
        ),
        told=("attention description-changed",),
    ),
    Drill(
        "an alias bomb",
        edits=(
            (
                "openapi: 3.1.0\n",
                "openapi: 3.1.0\nx-a: &a [x, x, x, x, x, x, x, x, x]\n"
                + "".join(
                    f"x-{new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
                    for old, new in zip("abcdef", "bcdefg", strict=True)
                ),
            ),
        ),
        by="pull",
        red=(Red("more than 50,000 nodes, each alias counted as a copy", "x-a: &a [x, x, x, x, x, x, x, x, x]"),),
        chosen=False,
    ),
    Drill(
        "a key given twice",
        edits=(("        vaultIndex:\n", "        tokenId: {}\n        vaultIndex:\n"),),
        by="pull",
        red=(Red("the key 'tokenId' is given twice", "tokenId: {}"),),
    ),
    Drill(
        "a merge key",
        edits=(
            ("        vaultIndex:\n          type: string\n", "        vaultIndex:\n          <<: {type: string}\n"),
        ),
        by="pull",
        red=(Red("a key that JSON does not have", "<<: {type: string}"),),
    ),
    Drill(
        "a type that there is not",
        edits=(("        vaultIndex:\n          type: string\n", "        vaultIndex:\n          type: strng\n"),),
        by="pull",
        red=(Red("the spec is not valid OpenAPI: 'strng' is not valid", "type: strng"),),
    ),
    Drill(
        "OpenAPI 3.0",
        edits=(("openapi: 3.1.0\n", "openapi: 3.0.3\n"),),
        told=("attention openapi-changed",),
    ),
    Drill("other quotes and comments", edits=(everywhere("type: string\n", 'type: "string"  # text\n'),)),
    Drill("Windows' line ends", whole=lambda page: page.replace("\n", "\r\n")),
]

LIMIT = "Requests to this endpoint are rate-limited to 10 requests per second per API key."
PROSE = [
    Drill(
        "another rate limit in the prose",
        page=((LIMIT, LIMIT.replace("10", "5")),),
        by="pull",
        told=("attention prose-changed",),
        red=(
            Red(
                f"RATE_LIMIT in {FACADE} stands on a line that the page no longer has",
                f'text = "{LIMIT}"',
                "specs/citations.toml",
            ),
        ),
        chosen=True,
    ),
    Drill(
        "another meaning of a word in the prose",
        page=(("Batch has been finalized and is ready for execution approval.", "Batch is done."),),
        by="pull",
        told=("attention prose-changed",),
        red=(
            Red(
                f"WORDS in {FACADE} stands on a line",
                'text = "| `FINALIZED` | Batch has been finalized and is ready for execution approval. |"',
                "specs/citations.toml",
            ),
        ),
    ),
    Drill(
        "another scope in the prose",
        page=(("either `burn` or `airdrop` scopes", "the `burn` scope"),),
        by="pull",
        told=("attention prose-changed",),
        red=(
            Red(
                f"ADVICE (scopes) in {FACADE} stands on a line",
                'text = "This endpoint requires API key authentication. The API key must have either `burn` or '
                '`airdrop` scopes."',
                "specs/citations.toml",
            ),
        ),
    ),
    Drill(
        "another tip in the prose",
        page=(("* **Polling Strategy**", "* **Polling**"),),
        told=("attention prose-changed",),
    ),
    Drill(
        "a word in the prose alone",
        page=(
            ("### Init Result Object (Optional)", "| `UNHEARD_OF` | Stopped. |\n\n### Init Result Object (Optional)"),
        ),
        told=("attention prose-changed",),
    ),
    Drill(
        "a table of the prose set wider",
        page=(everywhere("| Batch execution failed.", "|   Batch execution failed."),),
        told=("attention prose-changed",),
    ),
    Drill(
        "the prose in another order",
        page=(
            (f"## Rate Limiting\n\n{LIMIT}\n\n", ""),
            ("## Use Cases\n", f"## Rate Limiting\n\n{LIMIT}\n\n## Use Cases\n"),
        ),
        told=("attention prose-changed",),
    ),
]

ODD = [
    Drill(
        "the id in another style",
        edits=(("          in: path\n", "          in: path\n          style: matrix\n"),),
        told=("breaking request-constraint-changed",),
        red=(
            Red(
                "the path parameter 'batchId' has the style 'matrix', which the raw client does not write: "
                f"send it in {FACADE}",
                "- name: batchId",
            ),
        ),
    ),
    Drill(
        "a required list with a default",
        edits=adding(
            "{name: f, in: query, required: true, schema: {type: array, items: {type: string}, default: [a]}}"
        ),
        told=("breaking request-required-parameter-added",),
        red=(Red("the raw client's request cannot be made", "get:"),),
    ),
    Drill(
        "a required number in a header, with a default",
        edits=adding("{name: X-Version, in: header, required: true, schema: {type: integer, default: 5}}"),
        told=("breaking request-required-parameter-added",),
        reads=READS | {"headers": {"x-version": "5"}},
    ),
    Drill(
        "the path item in a component",
        edits=(
            (
                f"  {PATH}:\n",
                f"  {PATH}:\n    $ref: '#/components/pathItems/Batch'\ncomponents:\n  pathItems:\n   Batch:\n",
            ),
            (COMPONENTS, "  schemas:\n"),
        ),
    ),
    Drill(
        "another operation with the name of ours",
        edits=(
            (
                "components:\n",
                "  /v1/x:\n    get:\n      operationId: getBatchStatus\n"
                "      responses: {'200': {description: x}}\ncomponents:\n",
            ),
        ),
        told=("harmless operation-added",),
    ),
    Drill(
        "the host in capitals",
        edits=(("https://public.believe.app", "https://Public.Believe.app/"),),
    ),
    Drill(
        "a default that is not of its type",
        edits=(after("    ExecutionResult:", ("type: number\n", "type: number\n          default: abc\n")),),
        by="pull",
        red=(Red("the spec is not valid OpenAPI: 'abc' is not of type 'number'", "default: abc"),),
    ),
    Drill(
        "a path without its parameter",
        edits=(everywhere("name: batchId", "name: id"),),
        by="pull",
        red=(Red("Path parameter 'batchId' for 'get' operation", f"{PATH}:"),),
    ),
    Drill(
        "an error of two shapes",
        edits=(
            (
                "    Error:\n",
                "    Error:\n      oneOf:\n        - $ref: '#/components/schemas/Short'\n"
                "        - $ref: '#/components/schemas/Long'\n    Short:\n      type: object\n"
                "      properties: {reason: {type: string}}\n    Long:\n",
            ),
        ),
        told=("attention error-alternative-added",) * 4 + ("attention error-property-removed",) * 4,
        red=(
            Red(NO_CODE, "properties: {reason: {type: string}}"),
            Red("an error has no 'message', which the facade", "properties: {reason: {type: string}}"),
        ),
    ),
    Drill(
        "a field of any kind",
        edits=(
            (
                "        vaultIndex:\n          type: string\n"
                "          description: The vault index within the multisig.\n",
                "        vaultIndex: true\n",
            ),
        ),
        told=("breaking response-schema-untyped",),
        body=BODY | {"vaultIndex": {"a": 1}},
    ),
    Drill(
        "a condition on the answer",
        edits=(
            (
                "    BatchStatusResponse:\n      type: object\n",
                "    BatchStatusResponse:\n      if: {properties: {status: {const: FAILED}}}\n"
                "      then: {required: [executeResult]}\n      type: object\n",
            ),
        ),
        told=("attention response-constraint-changed",) * 2,
    ),
    Drill(
        "the words in a definition of the answer's own",
        edits=(
            (
                f"          type: string\n{ENUM}",
                "          $ref: '#/components/schemas/BatchStatusResponse/$defs/Status'\n",
            ),
            (
                "    BatchStatusResponse:\n      type: object\n",
                "    BatchStatusResponse:\n      $defs: {Status: {type: string, enum: [EXECUTED, UNHEARD_OF]}}\n"
                "      type: object\n",
            ),
        ),
        told=(
            "attention response-status-word-added",
            "attention schema-name-changed",
            *["harmless response-status-word-removed"] * OTHER_WORDS,
        ),
        red=(
            Red(
                f"the status word 'UNHEARD_OF' {NO_STATE}",
                "$defs: {Status: {type: string, enum: [EXECUTED, UNHEARD_OF]}}",
            ),
        ),
    ),
    Drill(
        "a list of batches",
        edits=((ANSWER, ANSWER.replace("$ref: ", "type: array\n                items:\n                  $ref: ")),),
        told=("breaking response-type-changed",)
        + ("breaking response-property-removed",) * 13
        + ("attention schema-name-changed", "attention response-items-typed"),
        red=(Red("the answer 200 is not one object", "schema:"),),
    ),
    Drill(
        "results by their ids",
        edits=(
            after(
                "description: Array of successful bundle executions with their details.",
                ("items:\n            $ref", "additionalProperties:\n            $ref"),
            ),
            after("    ExecutionResult:", ("type: array", "type: object")),
        ),
        told=(
            "breaking response-type-changed",
            "attention response-additional-properties-typed",
            "attention response-items-untyped",
        ),
        red=(
            Red(
                "'executeResult.successfulExecutions' is object, and the facade reads an array", "successfulExecutions:"
            ),
        ),
    ),
]

DRILLS = [*ODD, *WORDS, *SERVERS, *REQUESTS, *KEYS, *ANSWERS, *FIELDS, *TEXTS, *PROSE]
