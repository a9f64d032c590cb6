"""Decode a body and coerce its fields; never guess."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from batchstatus._core.values import printable

MAX_COUNT = 2**63 - 1
MAX_TEXT_LENGTH = 500


class NotJSON(ValueError):
    """The body is not JSON; `cut_short` says whether it only ends too early."""

    def __init__(self, reason: str, *, cut_short: bool = False) -> None:
        super().__init__(reason)
        self.cut_short = cut_short


def decode(body: bytes) -> Any:
    """Return the JSON value; raise NotJSON."""
    if not body.strip():
        raise NotJSON("the body is empty", cut_short=True)
    try:
        return json.loads(body, parse_constant=_no_number, parse_float=_finite)
    except json.JSONDecodeError as error:
        problem = NotJSON(f"the body is not JSON ({error})", cut_short=_ends_early(error))
    except UnicodeDecodeError as error:
        problem = NotJSON(
            f"the body is not JSON (no {error.encoding})", cut_short=error.reason == "unexpected end of data"
        )
    except RecursionError:
        problem = NotJSON("the body is nested too deep")
    except ValueError:  # a number that is none, or of thousands of digits
        problem = NotJSON("the body is not JSON (a number is out of range)")
    raise problem  # outside of the except: JSON's own error holds the body, and stays behind


def _ends_early(error: json.JSONDecodeError) -> bool:
    """Return whether the text ends too early: more of it could make it JSON."""
    rest = error.doc[error.pos :].strip()
    if error.msg.startswith("Invalid \\u"):
        return len(rest) < len("uXXXX") + 1
    return error.msg.startswith("Unterminated") or any(word.startswith(rest) for word in ("true", "false", "null", "-"))


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _no_number(digits)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name:.20} is not a number")


def without_nulls(value: Any) -> Any:
    """Return the value with every null in it left out: both vendors send null for absent (B17, G22)."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value if item is not None]
    return value


def count(value: object) -> int | None:
    """Return a whole number from 0, also of an integral float or decimal digits (G7, B12); None for all else."""
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"[0-9]{1,19}", value) else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    return None


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


def first(mapping: Mapping[str, Any], *names: str) -> Any:
    """Return the first of the named values that is neither null nor empty, or None."""
    return next((mapping[name] for name in names if mapping.get(name) not in (None, "")), None)


def timestamp(value: object) -> datetime | None:
    """Return an ISO 8601 time with an offset as aware UTC; None for all else, since without one it is a guess."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
