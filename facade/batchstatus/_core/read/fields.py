"""Decode a body and coerce its fields; never guess."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from batchstatus._core.values import printable

MAX_COUNT = 2**63 - 1
MAX_TEXT_LENGTH = 500
MAX_NOTED = 100
"""How many NaNs and infinities of a body are noted: a body of a few megabytes may have millions."""
MAX_NAME = 60
"""Characters of a field's name in a problem: a name may be as long as the body."""
CHARSET = re.compile(r"charset=[\"']?((?:iso-8859|windows)-[0-9]{1,4}|latin-?[0-9]{1,2}|cp125[0-9])\b", re.IGNORECASE)
"""The charsets that are heard: with all of them a key in the text is the same bytes in the body, where it is searched
for. Python knows charsets that hide it, that take quadratic time, or that raise errors of their own."""
DECODER = json.JSONDecoder(strict=False)
REFUSALS = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""What a raw model raises if it refuses a value."""

T = TypeVar("T")


class NotJSON(ValueError):
    """The body is not JSON; `cut_short` says whether it only ends too early."""

    def __init__(self, reason: str, *, cut_short: bool = False) -> None:
        super().__init__(reason)
        self.cut_short = cut_short


def decode(body: bytes, content_type: str = "") -> tuple[Any, list[str]]:
    """Return the JSON value and the problems with its text; raise NotJSON.

    Line ends and other control characters within text are taken as they are, and so are NaN and Infinity; a number of
    more digits than Python converts becomes text.

    Args:
        body: As it came.
        content_type: The header; its charset counts for a body that is not Unicode.
    """
    if not body.strip():
        raise NotJSON("the body is empty", cut_short=True)
    text, problems = _text_of(body, content_type)
    try:
        try:
            return DECODER.decode(text), problems
        except json.JSONDecodeError:
            raise
        except ValueError:  # a whole number of thousands of digits
            return json.loads(text, strict=False, parse_int=_whole), problems
    except json.JSONDecodeError as error:
        problem = NotJSON(f"the body is not JSON ({error})", cut_short=_ends_early(error))
    except RecursionError:
        problem = NotJSON("the body is nested too deep")
    raise problem  # outside of the except: JSON's own error holds the body, and stays behind


def _text_of(body: bytes, content_type: str) -> tuple[str, list[str]]:
    encoding = json.detect_encoding(body)
    with suppress(UnicodeDecodeError):
        return body.decode(encoding, "surrogatepass"), []
    declared = CHARSET.search(content_type)
    with suppress(UnicodeDecodeError, LookupError):
        return body.decode(declared[1] if declared else encoding), []
    return body.decode(encoding, "replace"), ["the body is not Unicode text"]


def _ends_early(error: json.JSONDecodeError) -> bool:
    """Return whether the text ends too early: more of it could make it JSON."""
    rest = error.doc[error.pos :].strip()
    if error.msg.startswith("Invalid \\u"):
        return len(rest) < len("uXXXX") + 1
    return error.msg.startswith("Unterminated") or any(word.startswith(rest) for word in ("true", "false", "null", "-"))


def _whole(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits


def cleaned(value: Any, problems: list[str], name: str = "the body") -> Any:
    """Return a copy without nulls, which vendors send for absent (B17, G22), and without what is not a number.

    Args:
        value: A JSON value.
        problems: Where each NaN and infinity is noted, the first hundred of them.
        name: The field's name.
    """
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            # Text and whole numbers, of which a body mostly consists, are no call each.
            copy = cleaned(item, problems, key) if isinstance(item, (dict, list, float)) else item
            if copy is not None:
                found[key] = copy
        return found
    if isinstance(value, list):
        return [copy for item in value if (copy := cleaned(item, problems, name)) is not None]
    if isinstance(value, float) and not math.isfinite(value):
        if len(problems) < MAX_NOTED:
            problems.append(f"{name:.{MAX_NAME}}: {value} is not a number")
        return None
    return value


def odd(body: Mapping[str, Any], kind: str, parse: Callable[[object], object], *names: str) -> list[str]:
    """Return the problems with those of the named fields that are there and are not of a kind.

    Args:
        body: The body, without nulls.
        kind: In words, for people: "a count".
        parse: Returns None for a value that is not of the kind.
        *names: The fields; `a.b` is inside the object `a`.
    """
    found = ((name, at(body, name)) for name in names)
    return [
        f"{name}: {rendering(value):.60} is not {kind}"
        for name, value in found
        if value is not None and parse(value) is None
    ]


def accepted(make: Callable[[dict[str, Any]], T], body: dict[str, Any], needed: str, problems: list[str]) -> T | None:
    """Return the raw model of a body; if it refuses a detail, the model of the body without that; else None.

    Args:
        make: Makes the model; raises if it refuses the body.
        body: The body; it stays as it is.
        needed: The field without which there is no model.
        problems: Where each detail that was left out is noted.

    Raises:
        KeyError: The needed field is missing.
    """
    with suppress(*REFUSALS):
        return make(body)
    kept = {needed: body[needed]}
    only_needed = dict(kept)
    try:
        for name, value in body.items():
            # Beside the needed field alone: beside all that was kept, a body of 100 KB would take minutes.
            found = _taken(_beside(only_needed, name, make), value, name, problems)
            if found is not None:
                kept[name] = found
        return make(kept)
    except REFUSALS:
        problems.append("the body: the raw model takes nothing of it")
        return None


def _taken(make: Callable[[Any], object], value: Any, name: str, problems: list[str]) -> Any:
    """Return as much of a value as a model takes; None if that is nothing."""
    with suppress(*REFUSALS):
        make(value)
        return value
    with suppress(*REFUSALS):
        if isinstance(value, dict):
            make({})
            kept: dict[str, Any] = {}
            for key, item in value.items():
                found = _taken(_beside({}, key, make), item, key, problems)
                if found is not None:
                    kept[key] = found
            return kept
        if isinstance(value, list):
            make([])
            items = _taken_items(make, value)
            problems.append(f"{name:.{MAX_NAME}}: {len(value) - len(items)} of {len(value)} are of another shape")
            return items
    problems.append(f"{name:.{MAX_NAME}}: {rendering(value):.60} is of another shape")
    return None


def _taken_items(make: Callable[[Any], object], items: list[Any]) -> list[Any]:
    """Return the items that a model takes; halves are tried, as of thousands mostly one is odd."""
    if _takes(make, items):
        return items
    if len(items) == 1:
        return []
    half = len(items) // 2
    return _taken_items(make, items[:half]) + _taken_items(make, items[half:])


def _beside(needed: dict[str, Any], name: str, make: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return a function that makes a model of what it needs and one more value."""
    return lambda part: make({**needed, name: part})


def _takes(make: Callable[[Any], object], value: Any) -> bool:
    with suppress(*REFUSALS):
        make(value)
        return True
    return False


def count(value: object) -> int | None:
    """Return a whole number from 0, also of an integral float or decimal digits (G7, B12); None for all else."""
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"[0-9]{1,19}", value) else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    return None


def mapping(value: object) -> dict[str, Any] | None:
    """Return a JSON object; None for all else."""
    return value if isinstance(value, dict) else None


def items(value: object) -> list[Any] | None:
    """Return a JSON array; None for all else."""
    return value if isinstance(value, list) else None


def number(value: object) -> float | None:
    """Return a finite number as a float; None for all else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_COUNT:
        return None
    return float(value)


def text(value: object) -> str | None:
    """Return non-empty text, whole numbers in decimal digits included; None for all else.

    At most 500 characters; those that are not printable are escaped, so that it can stand in a message or a log.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_COUNT:
        value = str(value)
    return printable(value[:MAX_TEXT_LENGTH])[:MAX_TEXT_LENGTH] if isinstance(value, str) and value else None


def rendering(value: object) -> str:
    """Return text as it is and any other JSON value as JSON, at most 500 characters."""
    return text(value) or printable(json.dumps(value, ensure_ascii=False)[:MAX_TEXT_LENGTH])[:MAX_TEXT_LENGTH]


def plain(item: Any) -> Any:
    """Return an item of a raw model as JSON has it: an object is a model only where the vendor's spec types it."""
    return item.to_dict() if hasattr(item, "to_dict") else item


def at(body: object, path: str) -> Any:
    """Return the value of a field, `a.b` inside the object `a`; None if it is not there."""
    for name in path.split("."):
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def first(mapping: Mapping[str, Any], *names: str) -> Any:
    """Return the first of the named values that is neither null nor empty, or None."""
    return next((mapping[name] for name in names if mapping.get(name) not in (None, "")), None)


def error(
    body: Mapping[str, Any], names: Mapping[str, tuple[str, ...]], known: Container[str]
) -> dict[str, str | None]:
    """Return the texts of an error body by field: of several codes the one that is known, else the first.

    Args:
        body: The error body.
        names: `Account.ERROR_FIELDS`.
        known: The codes that are known, such as `Account.ERRORS`.
    """
    texts = {field: [text(at(body, path)) for path in of_field] for field, of_field in names.items()}
    found = {field: next(filter(None, values), None) for field, values in texts.items()}
    codes = texts["code"]
    return found | {"code": next((code for code in codes if code is not None and code in known), found["code"])}


def timestamp(value: object) -> datetime | None:
    """Return an ISO 8601 time with an offset as aware UTC; None for all else, since without one it is a guess."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def epoch(value: object) -> datetime | None:
    """Return a time in seconds since 1970 as aware UTC; None for all else, and for 0, which some send for no time.

    Args:
        value: A number, or whole seconds in decimal digits.
    """
    return _since_1970(value, 1)


def epoch_ms(value: object) -> datetime | None:
    """Return a time in milliseconds since 1970, likewise."""
    return _since_1970(value, 1_000)


def _since_1970(value: object, per_second: int) -> datetime | None:
    since = number(count(value)) if isinstance(value, str) else number(value)
    if since is None or since <= 0:
        return None
    try:
        return datetime.fromtimestamp(since / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return None
