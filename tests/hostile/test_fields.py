"""Every field with every wrong value."""

from __future__ import annotations

import json

import pytest
from attrs import evolve
from batchstatus import (
    BatchState,
    Counts,
    ItemFailure,
)
from hostile import (
    BELIEVE,
    GAMEBALL,
    NOON,
    VENDORS,
    answer,
    bad,
    check,
    each_vendor,
    encoded,
    ok,
    series,
)

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

BUNDLE = {"bundleId": "b", "txHashes": ["h"]}
OTHERS = ("flywheelId", "tokenId", "mintAddress", "batchIndex", "vaultIndex", "multisig", "vaultAddress")
TALLY = {"total": 4, "totalSuccessful": 2, "totalFailed": 1, "successfulExecutions": [BUNDLE]}
COUNTS = Counts(total=4, processed=3, succeeded=2, failed=1)
ALL = Counts(total=4, processed=4, succeeded=3, failed=1)
SETUP = ItemFailure(message="no funds", phase="setup")
HALT = ItemFailure(message="halted", index=2, phase="execution")
WHOLE = {  # a body with every field of the vendor's spec, and what it says
    BELIEVE: (
        {"id": "1", "status": "EXECUTED", **dict.fromkeys(OTHERS, "x")}
        | {"initResult": {**TALLY, "batchIndex": 42, "failedTxMsg": "no funds"}}
        | {"executeResult": {**TALLY, "failedOnTransactionIndex": 2, "failedStartTransactionIndex": 1}}
        | {"dateCreated": "2026-01-27T12:00:00Z", "dateUpdated": "2026-01-27T14:00:00+02:00"},
        {"counts": COUNTS, "progress": 0.75, "results": (BUNDLE,), "created_at": NOON, "updated_at": NOON}
        | {"failures": (SETUP, HALT)},
    ),
    GAMEBALL: (
        {"batchId": "1", "status": "completed", "progress": 50, "totalItems": 4, "processedItems": 4, "failedItems": 1}
        | {"results": [BUNDLE], "errors": ["refused"]},
        {"counts": ALL, "progress": 1.0, "results": (BUNDLE,), "failures": (ItemFailure(message="refused"),)},
    ),
}
WHOLE[BELIEVE][0]["executeResult"]["failedTxMsg"] = "halted"
WRONG = [None, True, 7.5, "x", "", [], [1], {}, {"a": 1}]
MISSING = object()


def unless(fits, name):
    """Return the fact that the problems name a field, unless its value fits."""
    return {} if fits else {"odd": (name,)}


def without(**facts):
    """Return a rule: where a field is wrong, these facts change."""
    return lambda value: facts


def odd(name, **facts):
    """Return a rule: where a field is wrong, these facts change and, unless it is null, a problem names it."""
    return lambda value: facts | unless(value is None, name)


def within(name, **facts):
    """Return a rule: where an object is wrong these facts change, and where it is none a problem names it."""
    return lambda value: facts | unless(value is None or isinstance(value, dict), name)


def bundled(**facts):
    """Return a rule: where a list of objects is wrong these facts change, and where it is none a problem names it."""
    return lambda value: facts | unless(value is None or value == [], "successfulExecutions")


def told(failure, otherwise=""):
    """Return a rule: a message is the vendor's text, any other JSON as it stands, or what is said otherwise."""

    def rule(value):
        words = (value if isinstance(value, str) else json.dumps(value)) if value else otherwise
        told = [evolve(one, message=words) if one is failure else one for one in (SETUP, HALT)]
        return {"failures": tuple(one for one in told if one.message)}

    return rule


def results(value, name="results"):
    """Return what a list of results says: it may hold anything, and what is not a list holds nothing."""
    return {"results": tuple(value) if isinstance(value, list) else ()} | unless(isinstance(value, list | None), name)


def failures(value, name="errors"):
    """Return what a list of failures says: text and objects, too, tell a reason."""
    if isinstance(value, dict):
        failed = tuple(ItemFailure(message=json.dumps(item), id=key) for key, item in value.items())
    else:
        items = value if isinstance(value, list) else [value] if isinstance(value, str) and value else []
        failed = tuple(ItemFailure(message=item if isinstance(item, str) else json.dumps(item)) for item in items)
    return {"failures": failed} | unless(isinstance(value, list | dict | str | None), name)


def both(value):
    """Return what the tutorials' lists say, if each of them is this value."""
    failed, done = failures(value, "failed"), results(value, "successful")
    return failed | done | {"odd": (*failed.get("odd", ()), *done.get("odd", ()))}


def put(body, path, value):
    """Return a body with another value in one place, or nothing there."""
    name, _, rest = path.partition(".")
    if rest:
        value = put(body[name], rest, value)
    return {key: item for key, item in (body | {name: value}).items() if item is not MISSING}


FIELDS = {  # what follows from each wrong value of a field: other facts, or no batch (None)
    BELIEVE: {
        "id": lambda value: {"odd": ("id",)} if value in (None, "") else None,
        "status": lambda value: {"state": BatchState.UNKNOWN, "vendor_status": "x"} if value == "x" else None,
        **dict.fromkeys(OTHERS, without()),
        "dateCreated": odd("dateCreated", created_at=None),
        "dateUpdated": odd("dateUpdated", updated_at=None),
        "initResult": within("initResult", failures=(HALT,)),
        "initResult.successfulExecutions": bundled(),
        "initResult.total": without(),
        "initResult.totalSuccessful": without(),
        "initResult.totalFailed": without(),
        "initResult.batchIndex": without(),
        "initResult.failedTxMsg": told(SETUP),
        "executeResult": within("executeResult", counts=Counts(), progress=None, results=(), failures=(SETUP,)),
        "executeResult.total": odd("total", counts=evolve(COUNTS, total=None), progress=None),
        "executeResult.totalSuccessful": odd("totalSuccessful", counts=Counts(total=4, failed=1), progress=None),
        "executeResult.totalFailed": odd("totalFailed", counts=Counts(total=4, succeeded=2), progress=None),
        "executeResult.successfulExecutions": bundled(results=()),
        "executeResult.failedOnTransactionIndex": odd(
            "failedOnTransactionIndex", failures=(SETUP, evolve(HALT, index=None))
        ),
        "executeResult.failedStartTransactionIndex": without(),
        "executeResult.failedTxMsg": told(HALT, "the vendor gives no message"),
    },
    GAMEBALL: {
        "batchId": lambda value: {} if value in (None, "") else None,
        "status": lambda value: {"state": BatchState.UNKNOWN, "vendor_status": "x"} if value == "x" else None,
        "progress": lambda value: unless(value in (None, 7.5), "progress"),
        "totalItems": odd("totalItems", counts=evolve(ALL, total=None), progress=0.5),
        "processedItems": odd("processedItems", counts=Counts(total=4, failed=1), progress=0.5),
        "failedItems": odd("failedItems", counts=Counts(total=4, processed=4)),
        "results": results,
        "errors": failures,
    },
}

NOT_ID_1 = [
    *["2", "01", " 1", "1 ", "\uff11", "1" * 99_999, "1\r\n\ud800", 0, 1.5, -1, 10, 10**30, 1.0000000000000002],
    *[True, False, ["1"], [], {"id": "1"}, {}],
]
UNKNOWN_WORDS = ["PAUSED", "0", "null", "UNKNOWN", "execut\u00e9d", "\u2714", "x" * 99_999, "a\r\nb\x1b[31m", "\ud800"]
LARGEST = 2**63 - 1
AS_COUNT = [  # numbers, and the counts they are
    *[(0, 0), (-0.0, 0), (7.0, 7), ("7", 7), ("007", 7), (LARGEST, LARGEST), (-1, None), (7.5, None), ("7.0", None)],
    *[(LARGEST + 1, None), (10**30, None), (10**400, None), (1e300, None), (-1e300, None), ("9" * 20, None)],
    *[("-7", None), ("7 ", None), ("NaN", None), ("\u0667", None), (True, None), ([7], None)],
]
AS_PROGRESS = [  # Gameball's, whose scale is documented nowhere
    *[(0, 0.0), (0.5, None), (1, None), (1.5, 0.015), (50, 0.5), (100, 1.0), (100.5, None), (1000, None), (-1, None)],
    (-0.5, None),
]
NOT_PROGRESS = ["50%", "50", "", True, [50], {}, 10**400, 1e300]
AS_TIME = [
    *[(value, NOON) for value in ("2026-01-27T12:00Z", "2026-01-27T12:00:00.0000009Z", "2026-01-27T06:30:00-05:30")],
    *[(value, None) for value in ("2026-01-27T12:00:00", "2026-01-27", "2026", "2026-01-27T12:00:00+99:99")],
    *[(value, None) for value in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z")],
    *[(value, None) for value in ("2026-02-30T12:00:00Z", "2026-01-27T25:00:00Z", "Tue, 27 Jan 2026 12:00:00 GMT")],
    *[(value, None) for value in ("today", "2026-" * 9999, "\ud800", "", 1769515200, 10**30, {"$date": 0})],
]
COUNT_OF = {
    BELIEVE: lambda value, total: ({"executeResult": {"total": value}}, unless(total is not None, "total")),
    GAMEBALL: lambda value, total: ({"totalItems": value}, unless(total is not None, "totalItems")),
}
TIME_OF = {
    BELIEVE: lambda value, at: (
        {"dateCreated": value, "dateUpdated": value},
        {"created_at": at, "updated_at": at} | ({} if at else {"odd": ("dateCreated", "dateUpdated")}),
    ),
    GAMEBALL: lambda value, at: ({"createdAt": value}, {"created_at": at} | unless(at, "createdAt")),
}


def items(total, processed, failed, **facts):
    return {"totalItems": total, "processedItems": processed, "failedItems": failed}, facts


def tally(total, succeeded, failed, **facts):
    return {"executeResult": {"total": total, "totalSuccessful": succeeded, "totalFailed": failed}}, facts


def setup(message, words):
    return {"initResult": {"failedTxMsg": message}}, {"failures": (ItemFailure(message=words, phase="setup"),)}


def refusing(item, message, **fields):
    return {"errors": [item]}, {"failures": (ItemFailure(message=message, **fields),)}


def bundles(*values):
    kept = tuple(value for value in values if isinstance(value, dict))
    is_whole = all(isinstance(value, dict | None) for value in values)
    facts = {"results": kept} | unless(is_whole, "successfulExecutions")
    return {"executeResult": {"successfulExecutions": list(values)}}, facts


def tutorial(response, **facts):
    body = {"totalCount": 4, "finishedCount": 3, "errorCount": 1, "response": response}
    return body, {"counts": ALL, "progress": 1.0, **facts}


NONE = Counts(total=0, processed=0, succeeded=0, failed=0)
FIVE_OF_NONE = Counts(total=0, processed=5, succeeded=5, failed=0)
BEHIND = {"is_settled": False, "odd": ("counts",)}
UNSETTLED = {"counts": Counts(total=200, processed=150, succeeded=150, failed=0), "progress": 0.75, **BEHIND}
QUOTA_OF_0 = ItemFailure(message="quota", index=0)
MORE_THAN_ALL = {"counts": Counts(total=9, processed=LARGEST, succeeded=LARGEST, failed=0), "progress": 1.0}
OWN = {  # fields besides id and status, and what they say; None: it is no batch
    BELIEVE: {
        "contradictions": [
            tally(4, 9, 1, counts=Counts(total=4, processed=10, succeeded=9, failed=1), progress=1.0),
            tally(0, 0, 0, counts=NONE),
            tally(0, 5, 0, counts=FIVE_OF_NONE),
            tally(4, -1, 1, counts=Counts(total=4, failed=1), odd=("totalSuccessful",)),
            tally(4, 1, -1, counts=Counts(total=4, succeeded=1), odd=("totalFailed",)),
            tally(9, LARGEST, 0, **MORE_THAN_ALL),
            tally(200, 150, 0, **UNSETTLED),
            ({"progress": 50}, {}),
        ],
        "odd-messages": [
            setup("a\n\u2028\ud800", "a\\n\\u2028\\ud800"),
            setup("x" * 9999, "x" * 500),
            setup(["x" * 9999], '["' + "x" * 498),
        ],
        "unprintable-objects": [setup({"x": "\u2028\x7f\ud800"}, '{"x": "\\u2028\\x7f\\ud800"}')],
        "odd-bundles": [
            *[bundles(BUNDLE, value, BUNDLE) for value in WRONG],
            *[bundles(put(BUNDLE, part, value)) for part in BUNDLE for value in (*WRONG[1:], MISSING)],
        ],
        "1-000-results": [bundles(*[BUNDLE] * 1000)],
    },
    GAMEBALL: {
        "contradictions": [
            items(4, 9, 1, counts=Counts(total=4, processed=9, succeeded=8, failed=1), progress=1.0),
            items(4, 1, 3, counts=Counts(total=4, processed=1, failed=3), progress=0.25, **BEHIND),
            items(0, 0, 0, counts=NONE),
            items(0, 5, 0, counts=FIVE_OF_NONE),
            items(4, -1, 1, counts=Counts(total=4, failed=1), odd=("processedItems",)),
            items(4, 4, -1, counts=Counts(total=4, processed=4), progress=1.0, odd=("failedItems",)),
            items(9, LARGEST, 0, **MORE_THAN_ALL),
            items(200, 150, 0, **UNSETTLED),
        ],
        "odd-progress": [
            *[({"progress": value}, {"progress": part}) for value, part in AS_PROGRESS],
            *[({"progress": value}, {"odd": ("progress",)}) for value in NOT_PROGRESS],
        ],
        "odd-errors": [
            ({"errors": [None]}, {}),
            refusing("", '""'),
            refusing(0, "0"),
            refusing([[[]]], "[[[]]]"),
            refusing({}, "{}"),
            refusing("x" * 9999, "x" * 500),
            refusing(["x" * 9999], '["' + "x" * 498),
            refusing("a\n\u2028\x1b\ud800", "a\\n\\u2028\\x1b\\ud800"),
            refusing({"message": {"en": "no"}, "code": [], "index": -1, "id": {}}, '{"en": "no"}'),
            refusing({"message": "", "error": "no", "code": 5.0, "index": "3"}, "no", code="5", index=3),
            refusing({"message": "no", "customerId": 7}, "no", id="7"),
        ],
        "errors-that-are-not-a-list": [
            ({"errors": value}, {"failures": failed})
            for value, failed in [
                ("quota", (ItemFailure(message="quota"),)),
                ({"message": "quota", "code": 7}, (ItemFailure(message="quota", code="7"),)),
                ({"error": "quota"}, (ItemFailure(message="quota"),)),
                ({"0": {"message": "quota"}, "7": "x"}, (QUOTA_OF_0, ItemFailure(message="x", index=7))),
                ({"c-1": {"message": "quota", "index": 3}}, (ItemFailure(message="quota", index=3, id="c-1"),)),
                ({"0": {"message": "quota", "id": "c-1"}}, (evolve(QUOTA_OF_0, id="c-1"),)),
            ]
        ],
        "unprintable-objects": [refusing({"x": "\u2028\x7f\ud800"}, '{"x": "\\u2028\\x7f\\ud800"}')],
        "1-000-results": [
            (
                {"results": list(range(1000)), "errors": list(range(1000))},
                {"results": tuple(range(1000))}
                | {"failures": tuple(ItemFailure(message=str(number)) for number in range(1000))},
            )
        ],
        "odd-tutorials": [
            *[tutorial(value, **unless(isinstance(value, dict | None), "response")) for value in WRONG],
            *[tutorial({"failed": value, "successful": value}, **both(value)) for value in WRONG],
            (tutorial({"successful": [1]})[0] | {"totalItems": 8}, {"counts": Counts(total=8)}),
        ],
    },
}


def contents(vendor):
    """Yield series of bodies, each with what it says or, where it is no batch, None."""
    whole, said = WHOLE[vendor]
    base = {vendor.id: "1", "status": vendor.done}
    yield "nothing-odd", [(whole, said), (base, {}), (base | {vendor.id: 1}, {}), (base | {vendor.id: 1.0}, {})]
    for path, rule in FIELDS[vendor].items():
        changes = [(value, rule(None if value is MISSING else value)) for value in (*WRONG, MISSING)]
        bodies = [(put(whole, path, value), None if facts is None else said | facts) for value, facts in changes]
        yield f"wrong-{path}", bodies
    yield "another-id", [(base | {vendor.id: value}, None) for value in NOT_ID_1]
    yield "unprintable-objects-as-id", [(base | {vendor.id: {"\u2028": "\ud800"}}, None)]
    words = [vendor.done.swapcase(), vendor.done.title(), f" {vendor.done}\t", f"\r\n{vendor.done.lower()}\u3000"]
    yield "a-known-word-in-disguise", [(base | {"status": word}, {"vendor_status": word}) for word in words]
    unknown = {"state": BatchState.UNKNOWN}
    yield "an-unknown-word", [(base | {"status": word}, unknown | {"vendor_status": word}) for word in UNKNOWN_WORDS]
    yield "no-word", [(base | {"status": word}, None) for word in ("", "  ", "\u3000\r\n")]
    counts = [(COUNT_OF[vendor](value, total), {"counts": Counts(total=total)}) for value, total in AS_COUNT]
    yield "odd-counts", [(base | fields, facts | told) for (fields, told), facts in counts]
    times = [TIME_OF[vendor](value, moment) for value, moment in AS_TIME]
    for name, bodies in (OWN[vendor] | {"odd-times": times}).items():
        yield name, [(base | fields, facts) for fields, facts in bodies]


def says_so(body, facts):
    return bad(answer(encoded(body))) if facts is None else ok(answer(encoded(body)), **facts)


@pytest.mark.parametrize(
    ("vendor", "rows"),
    [
        param
        for vendor in VENDORS
        for param in each_vendor(
            {name: series(says_so(*body) for body in bodies) for name, bodies in contents(vendor)}, [vendor]
        )
    ],
)
def test_a_field(reader, trap, caplog, vendor, rows):
    """A wrong value costs its field only, or the reading if it is the id or the status."""
    check(reader, trap, caplog, vendor, rows)
