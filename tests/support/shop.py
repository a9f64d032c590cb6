"""A vendor of the tests' own: its spec, its overlay and its account, whatever becomes of the real ones."""

from __future__ import annotations

import importlib

from batchstatus import Account, BatchState, Counts, ErrorFields, Secret, StatusFields

SPEC = """\
openapi: 3.1.0
info: {title: Shop, version: '1'}
servers:
  - url: https://api.shop.example
security:
  - shopKey: []
paths:
  /v1/jobs/{jobId}:
    get:
      tags: [Jobs]
      parameters:
        - {name: jobId, in: path, required: true, schema: {type: string, format: uuid}}
      responses:
        '200':
          description: A job.
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Job'}
        '404':
          description: No such job.
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Error'}
components:
  schemas:
    Job:
      type: object
      required: [id]
      properties:
        id: {type: string}
        status:
          type: string
          enum:
            - open
            - done
        total: {type: number}
        items: {type: array, items: {type: object, properties: {sku: {type: string}}}}
        notes: {type: string}
        createdAt: {type: string, format: date-time}
        outcome:
          $ref: '#/components/schemas/Outcome'
    Outcome:
      type: object
      properties:
        failed: {type: number}
    Error:
      type: object
      properties:
        code: {type: integer}
        message: {type: string}
  securitySchemes:
    shopKey:
      type: apiKey
      in: header
      name: X-Shop-Key
"""
OVERLAY = """\
overlay: 1.1.0
info: {title: What the raw client needs, version: 1.0.0}
actions:
  - target: $.paths['/v1/jobs/{jobId}'].get
    description: The operation that is read.
    update: {operationId: getBatchStatus}
  - target: $.paths.*[?@.operationId=='getBatchStatus'].parameters[?@.name=='jobId'].schema.format
    description: Any id is asked for.
    remove: true
"""
FACADE = "facade/batchstatus/vendors/shop.py"


def edited(*edits, text=SPEC):
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


class Shop(Account):
    """A vendor of the tests' own."""

    vendor = "shop"
    BASE_URL = "https://api.shop.example"
    KEY_HEADERS = {"api_key": "x-shop-key"}  # noqa: RUF012
    WORDS = {"open": BatchState.RUNNING, "done": BatchState.SUCCEEDED}  # noqa: RUF012
    ERRORS = {}  # noqa: RUF012
    ADVICE = {}  # noqa: RUF012
    FIELDS = {  # noqa: RUF012
        "id": "string",
        "status": "string",
        "total": "number",
        "items": "array",
        "createdAt": "date-time",
        "outcome": "object",
        "outcome.failed": "number",
    }
    ERROR_FIELDS = {"code": ("code", "error"), "message": ("message",)}  # noqa: RUF012
    EXAMPLE_ID = "1"
    PROBE_ID = "0"

    def __init__(self):
        key = Secret("Shop's api_key", "test-shop-key")
        super().__init__(key, base_url=None, name=None, rate_limit=None, states=None, allow_insecure=False)

    def raw_request(self, batch_id):
        return self.authenticate(raw("api.default.get_batch_status")._get_kwargs(batch_id))

    def status_fields(self, body):
        model = raw("models").BatchStatusResponse.from_dict(body)
        items = model.items or ()
        return StatusFields(
            id=model.id,
            status=model.status,
            counts=Counts(total=model.total, failed=model.outcome and model.outcome.failed),
            results=tuple(item.to_dict() for item in items),
            created_at=model.created_at,
            raw=model,
        )

    def error_fields(self, body):
        return ErrorFields(code=body.get("code") or body.get("error"), message=body.get("message"))


def raw(module):
    return importlib.import_module(f"batchstatus_raw.shop.{module}")
