"""Apply an OpenAPI Overlay 1.x document, strictly.

Strict means that an action which matches nothing, carries no reason, or asks for what the Overlay
Specification does not define is an error: an overlay that has quietly stopped repairing is worse than none.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonpath_rfc9535 as jsonpath
from sources import SpecError


def apply(document: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the document with every action of the overlay applied, in order."""
    if not str(overlay.get("overlay", "")).startswith("1."):
        raise SpecError("not an OpenAPI Overlay 1.x document: it has no `overlay: 1.x` line")
    document = copy.deepcopy(document)
    for number, action in enumerate(overlay["actions"], start=1):
        try:
            _apply_action(document, action)
        except SpecError as error:
            raise SpecError(f"overlay action {number} ({action.get('target')}): {error}") from None
    return document


def _apply_action(document: dict[str, Any], action: dict[str, Any]) -> None:
    if unknown := set(action) - {"target", "description", "update", "remove"}:
        raise SpecError(f"unknown keys {sorted(unknown)}")
    if not action.get("description"):
        raise SpecError("it gives no reason: add a `description`")
    remove = action.get("remove") is True
    if remove == ("update" in action):
        raise SpecError("it needs either `update` or `remove: true`")
    nodes = jsonpath.find(action["target"], document)
    if not nodes:
        raise SpecError("it matches nothing: the spec has changed there; adapt the action or take it out")
    # Last first, so that removing one item of an array does not move the next.
    for node in reversed(nodes):
        if remove:
            _remove(document, node.location)
        else:
            _update(node.value, action["update"])


def _remove(document: Any, location: tuple[str | int, ...]) -> None:
    *parents, last = location
    for key in parents:
        document = document[key]
    del document[last]


def _update(target: Any, update: Any) -> None:
    if isinstance(target, list):
        target.append(copy.deepcopy(update))
    elif isinstance(target, dict) and isinstance(update, dict):
        _merge(target, update)
    else:
        raise SpecError("`update` works on objects and arrays; to replace a value, update its parent")


def _merge(target: dict[str, Any], update: dict[str, Any]) -> None:
    for key, value in update.items():
        old = target.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            old.extend(copy.deepcopy(value))
        else:
            target[key] = copy.deepcopy(value)
