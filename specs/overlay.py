"""Apply an OpenAPI Overlay 1.0 or 1.1 document, strictly.

Strict means that an action is an error if it matches nothing, gives no reason, or uses a feature that the Overlay
Specification does not define, or not in both versions alike: an overlay that has quietly stopped repairing is
worse than none. Of 1.1 one feature is supported, since the overlays need it: the removal of plain values.

A removal whose parent is there without it is done already: the vendor has mended that, which is worth a note.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonpath_rfc9535 as jsonpath
from document import Document
from sources import SpecError

VERSION = re.compile(r"1\.[01]\.\d+")
KEYS = {"target", "description", "update", "remove"}


def apply(document: dict[str, Any], overlay: Document) -> tuple[dict[str, Any], list[str]]:
    """Return a copy of the document with every action of the overlay applied, in order, and notes.

    Errors and notes open with the place of their action.
    """
    actions = overlay.contents.get("actions")
    if not VERSION.fullmatch(str(overlay.contents.get("overlay"))) or not isinstance(actions, list) or not actions:
        raise SpecError(
            f"{overlay.name}: not an OpenAPI Overlay document: it needs `overlay: 1.0.0` (or 1.1.0) and `actions`"
        )
    document, notes = copy.deepcopy(document), []
    for number, action in enumerate(actions):
        target = action.get("target") if isinstance(action, dict) else None
        try:
            note = _apply_action(document, action)
        except (SpecError, jsonpath.JSONPathError) as error:
            raise SpecError(f"{overlay.at('actions', number)}: the action on {target}: {error}") from None
        if note:
            notes.append(f"{overlay.at('actions', number)}: the action on {target}: {note}")
    return document, notes


def _apply_action(document: dict[str, Any], action: Any) -> str:
    """Apply an action; return a note if it had nothing to do."""
    if not isinstance(action, dict):
        raise SpecError("an action is an object")
    if unknown := set(action) - KEYS:
        raise SpecError(f"unknown keys {sorted(unknown)}")
    if not isinstance(action.get("target"), str):
        raise SpecError("it has no `target`")
    if not action.get("description"):
        raise SpecError("it gives no reason: add a `description`")
    remove = action.get("remove") is True
    if remove == ("update" in action):
        raise SpecError("it needs either `update` or `remove: true`")
    query = jsonpath.compile(action["target"])
    found = {node.location: node.value for node in query.find(document)}
    if not found:
        parent = jsonpath.JSONPathQuery(env=query.env, segments=query.segments[:-1])
        if remove and parent.find(document):
            return "there is nothing left to remove, the vendor has mended it: take the action out"
        raise SpecError("it matches nothing: the spec has changed there; adapt the action or take it out")
    # Last first, so that removing one item of an array does not move the next.
    for location in sorted(found, reverse=True):
        if remove:
            _remove(document, location)
        else:
            _update(found[location], action["update"])
    return ""


def _remove(document: Any, location: tuple[str | int, ...]) -> None:
    *parents, last = location
    for key in parents:
        document = document[key]
    del document[last]


def _update(target: Any, update: Any) -> None:
    if isinstance(target, list) and not isinstance(update, list):
        target.append(copy.deepcopy(update))
    elif isinstance(target, dict) and isinstance(update, dict):
        _merge(target, update)
    else:
        # A list for a list is one item in 1.0 and its items in 1.1; a plain value has a target in 1.1 only.
        raise SpecError("`update` merges an object into an object or appends one item; else, update the parent")


def _merge(target: dict[str, Any], update: dict[str, Any]) -> None:
    for key, value in update.items():
        match target.get(key), value:
            case dict() as old, dict():
                _merge(old, value)
            case list() as old, list():
                old.extend(copy.deepcopy(value))
            case (dict() | list(), _) | (_, dict() | list()) if key in target:
                raise SpecError(f"`{key}` would change its kind: remove it first")
            case _:
                target[key] = copy.deepcopy(value)
