"""`--fields`, `--where` and `--results`: the parts of the objects that a command prints, named by their JSON Schema."""

from __future__ import annotations

import difflib
import functools
import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import click
from click.shell_completion import CompletionItem

from .completion import UNFINISHED, listed, words

if TYPE_CHECKING:
    from batchstatus import Batch

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
CONDITION = re.compile(r"\s*([\w.-]+?)\s*(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
TRUTH = {"true": True, "false": False}

Field: TypeAlias = tuple[str, tuple[str, ...]]
"""The name of a field, and the way to it."""


class Name(NamedTuple):
    """A field of an object: the way to it, such as counts and failed, and its schema."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]


@functools.cache
def names(schema: str) -> dict[str, Name]:
    """Return the fields of an object by their names: `state`, `counts.failed`; those of its batch by both names."""
    found = {".".join(name.path): name for name in _walk(_load(schema), ())}
    inner = {name.removeprefix("batch."): path for name, path in found.items() if name.startswith("batch.")}
    return {**inner, **found}


def _load(schema: str) -> dict[str, Any]:
    from importlib.resources import files  # noqa: PLC0415

    text = (files("batchstatus") / "schemas" / f"{schema}.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def _walk(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[Name]:
    """Yield the fields of an object, and those of the objects in it."""
    for name, found in schema.get("properties", {}).items():
        inner = next((each for each in found.get("anyOf", ()) if "$ref" in each), found)
        if "$ref" in inner:
            inner = _load(inner["$ref"].removesuffix(".json"))
        yield Name((*path, name), inner)
        yield from _walk(inner, (*path, name))


def find(schema: str, text: str) -> Name:
    """Return the field of a name; raise ValueError if there is none."""
    known, text = names(schema), text.strip()
    if text in known:
        return known[text]
    outer, _, key = text.partition(".")
    if key and outer in known and "additionalProperties" in known[outer].schema:  # labels.campaign
        return Name((*known[outer].path, key), known[outer].schema["additionalProperties"])
    raise ValueError(f"there is no field {text!r}{_hint(text, known)}")


def _hint(text: str, known: Iterable[str]) -> str:
    """Return the nearest of the valid values, if one is near, and all of them."""
    valid = [name for name in known if not name.startswith("batch.")]  # those stand for themselves, too
    outer = text.partition(".")[0]  # of label.campaign, whose other part may be any word
    tried = (difflib.get_close_matches(each.lower(), valid, 1) for each in (text.removeprefix("batch."), outer))
    near = next(filter(None, tried), None)
    return f"{f'; did you mean {near[0]}? There' if near else '; there'} are {', '.join(valid)}"


class Condition(NamedTuple):
    """A condition of --where: `state=failed,cancelled`, `counts.failed>0`, `error!=null`."""

    path: tuple[str, ...]
    comparison: str
    values: tuple[Any, ...]
    """Any of which may be the one."""

    @classmethod
    def parse(cls, schema: str, text: str) -> Condition:
        """Return a condition; raise ValueError if it cannot be one."""
        parts = CONDITION.fullmatch(text)
        if parts is None:
            raise ValueError(
                f"{text!r} is not a condition; use state=failed, state=failed,cancelled or counts.failed>0"
            )
        name, comparison, rest = parts.groups()
        found = find(schema, name)
        values = tuple(_value(name, found.schema, value.strip()) for value in rest.split(","))
        if comparison not in {"=", "!="} and (len(values) > 1 or not isinstance(values[0], (str, float))):
            raise ValueError(f"{text!r}: {comparison} takes one number or text")
        return cls(found.path, comparison, values)

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Return whether it holds for an object."""
        value = _at(fields, self.path)
        if self.comparison == "!=":
            return value not in self.values
        compare = COMPARISONS[self.comparison]
        return any(_comparable(value, other, self.comparison) and compare(value, other) for other in self.values)


def _comparable(value: Any, other: Any, comparison: str) -> bool:
    """Return whether two values have an order, if one is asked for: null is neither more nor less than anything."""
    if comparison == "=":
        return True
    return isinstance(value, str) == isinstance(other, str) and value is not None


def _value(name: str, schema: Mapping[str, Any], text: str) -> Any:
    """Return a value of a condition as the field would have it; raise ValueError if it never has it."""
    kinds = {schema["type"]} if isinstance(schema.get("type"), str) else {*schema.get("type", ())}
    if text == "null":
        return None
    if choices := [choice for choice in schema.get("enum", ()) if choice is not None]:
        if text.lower() not in choices:
            raise ValueError(f"{name} is never {text!r}{_hint(text, choices)}")
        return text.lower()
    if kinds & {"array", "object"}:
        raise ValueError(f"{name} is not one value; --where compares text, numbers, true and false")
    if "boolean" in kinds:
        if text not in TRUTH:
            raise ValueError(f"{name} is true or false, not {text!r}")
        return TRUTH[text]
    if kinds & {"integer", "number"}:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{name} is a number, not {text!r}") from None
    return text


def _at(fields: Any, path: Iterable[str]) -> Any:
    """Return a field of an object; None if it is not there."""
    for name in path:
        fields = fields.get(name) if isinstance(fields, dict) else None
    return fields


class Selection:
    """The parts of the objects that a command prints."""

    def __init__(self) -> None:
        self.fields: Sequence[Field] = ()
        """The names that --fields gives, each with the way to it; none: all."""
        self.conditions: Sequence[Condition] = ()
        """All of which hold for an object that is printed."""
        self.results = False
        """Whether the items that succeeded are printed, which may be the most of a batch."""

    @property
    def takes_batch(self) -> Callable[[Batch], bool] | None:
        """Whether a batch is printed, as a function; None if each one is."""
        return (lambda batch: self.takes(batch.to_dict(results=self.results))) if self.conditions else None

    def takes(self, fields: Mapping[str, Any]) -> bool:
        """Return whether an object is printed."""
        return all(condition.holds(fields) for condition in self.conditions)

    def of(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return an object without the fields that --fields leaves out."""
        if not self.fields:
            return fields
        found: dict[str, Any] = {"schema": fields["schema"]} if "schema" in fields else {}
        for _, path in self.fields:
            _copy(fields, found, path)
        return found

    def cells(self, fields: Mapping[str, Any]) -> list[str]:
        """Return the values of --fields as text."""
        return [_spelled(_at(fields, path)) for _, path in self.fields]


def _copy(source: Any, target: dict[str, Any], path: tuple[str, ...]) -> None:
    """Copy a field of an object to the same place in another one."""
    name, *inner = path
    value = source.get(name)
    if inner and isinstance(value, dict):
        _copy(value, target.setdefault(name, {}), tuple(inner))
    else:
        target[name] = value


def _spelled(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Fields(click.ParamType[tuple[Field, ...]]):
    """`ref,state,counts.failed`: names of an object's fields."""

    name = "names"

    def __init__(self, schema: str) -> None:
        self.schema = schema

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the names, each with the way to it."""
        if isinstance(value, list):  # of TOML
            value = ",".join(map(str, value))
        try:
            return tuple((name.strip(), find(self.schema, name).path) for name in str(value).split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 (click's)
        """Complete the last of the names."""
        return listed(names(self.schema), incomplete)


class Where(click.ParamType[Condition]):
    """`state=failed`: a condition on an object's fields."""

    name = "condition"

    def __init__(self, schema: str) -> None:
        self.schema = schema

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Condition:
        """Return the condition."""
        if isinstance(value, Condition):
            return value
        try:
            return Condition.parse(self.schema, str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 (click's)
        """Complete the name, then one of the values that a field may have."""
        known = names(self.schema)
        parts = CONDITION.fullmatch(incomplete)
        if parts is None:
            return words((f"{each}=" for each in known), incomplete, kind=UNFINISHED)
        name, comparison, values = parts.groups()
        choices = known[name].schema.get("enum", ()) if name in known else ()
        return listed(filter(None, choices), values, f"{name}{comparison}")
