"""The document that the generator reads: reachable, tolerant and cut down, whatever the vendor's own is like."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from shop import OVERLAY, SPEC, Shop, edited

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "specs"))
import built
import contract
import document
import patch

JOB = "schema: {$ref: '#/components/schemas/Job'}"
PATH = "/v1/jobs/{jobId}"


def patched(*edits):
    made, notes = patch.patch(document.load("spec", edited(*edits)).contents, document.load("overlay", OVERLAY))
    assert notes == []
    return made


def answer(made):
    return made["paths"][PATH]["get"]["responses"]["200"]["content"]["application/json"]["schema"]


def test_a_reference_with_percent_signs_is_written_without():
    assert patched((JOB, JOB.replace("Job", "J%6Fb"))) == patched()


def test_a_copy_takes_the_place_of_a_reference_elsewhere():
    """The generator follows references to components only; what stands beside one wins over its copy."""
    reference = "#/paths/~1v1~1jobs~1%7BjobId%7D/get/responses/404/content/application~1json/schema"
    made = patched(
        ("outcome:\n          $ref: '#/components/schemas/Outcome'", f"outcome: {{$ref: '{reference}', x: 1}}")
    )
    outcome = made["components"]["schemas"]["Job"]["properties"]["outcome"]
    assert outcome == {**made["components"]["schemas"]["Error"], "x": 1}


def test_a_reference_to_a_part_of_itself_stays():
    made = patched(("        notes: {type: string}", "        notes: {$ref: '#/components/schemas/Job/properties'}"))
    assert made["components"]["schemas"]["Job"]["properties"]["notes"] == {
        "$ref": "#/components/schemas/Job/properties"
    }


def test_a_path_item_may_stand_in_a_component():
    spec = document.load("spec", SPEC).contents
    spec["components"]["pathItems"] = {"Job": spec["paths"][PATH]}
    spec["paths"][PATH] = {"$ref": "#/components/pathItems/Job"}
    made, _ = patch.patch(spec, document.load("overlay", OVERLAY))
    assert made == patched()


def test_another_operation_of_our_name_is_not_ours():
    other = "paths:\n  /v2:\n    get: {operationId: getBatchStatus, responses: {'200': {description: x}}}\n"
    assert patched(("paths:\n", other)) == patched()


def test_a_property_of_any_kind_is_one_that_the_generator_takes():
    made = patched(("        notes: {type: string}", "        notes: true"))
    assert made["components"]["schemas"]["Job"]["properties"]["notes"] == {}


@pytest.mark.parametrize(
    ("parts", "titles"),
    [
        ("[{$ref: '#/components/schemas/BatchStatusResponse'}]", (None, "BatchStatusResponse")),
        (
            "[{$ref: '#/components/schemas/BatchStatusResponse'}, {type: object}]",
            ("BatchStatusResponse", "BatchStatusResponsePart"),
        ),
    ],
    ids=["the only part", "one of two parts"],
)
def test_no_two_models_share_a_name(parts, titles):
    """An answer and its part of the same name would cost the answer; the generator makes one model of an only part."""
    made = patched(("    Job:\n", "    BatchStatusResponse:\n"), (JOB, f"schema: {{allOf: {parts}}}"))
    part = made["components"]["schemas"]["BatchStatusResponse"]
    assert (answer(made).get("title"), part.get("title")) == titles


def sample(*edits):
    held = contract.read(Shop(), edited(*edits).encode(), OVERLAY.encode())
    (schema,) = (held.schema(response) for status, response in held.responses() if status == "200")
    return built.Sampler(held).body(schema, "open")


def test_a_sample_leaves_out_what_holds_it():
    job = "{$ref: '#/components/schemas/Job'}"
    inner = f"        parent: {job}\n        children: {{type: array, items: {job}}}\n"
    body = sample(("        notes: {type: string}\n", inner))
    assert "parent" not in body
    assert body["children"] == []


def test_a_sample_has_times_where_the_vendor_has_times():
    body = sample(("        notes: {type: string}", "        endedAt: {type: string, format: date-time}"))
    assert body["endedAt"] == body["createdAt"] == built.TIME
