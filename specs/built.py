"""Hold the generated raw clients against their specs: `python built.py FOLDER`, in a process of its own.

The spec itself is the example: a body with every field that it declares, each with a value of its own, goes through
the raw client and through the facade. What the generator has dropped or swapped, or the facade cannot read, shows.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from typing import Any

if __name__ == "__main__":  # before batchstatus is imported: its raw clients are to be those of the folder
    sys.dont_write_bytecode = True
    sys.path.insert(0, sys.argv[1])

import contract
import httpx
import sources
from attrs import evolve
from batchstatus import (
    Account,
    Batch,
    BatchClient,
    BatchRef,
    ConfigurationError,
    Response,
    RetryPolicy,
    SendRequest,
)
from contract import Contract, alternatives, at_path, properties, types
from document import Target, follow

MAX_DEPTH = 8
"""Of a sample."""
TIME = "2025-01-27T12:00:00Z"
OTHERS = {"number": 770, "string": "another", "date-time": "2027-01-01T00:00:00Z", "array": [{"a": 1}], "object": {}}
"""Values that no sample has, by type."""


def main() -> int:
    lines = [
        line
        for source in sources.load().values()
        for line in findings(contract.account_of(source.name), source.read(), source.overlay.read_bytes())
    ]
    print("\n".join(lines), end="\n" if lines else "")
    return 1 if lines else 0


def findings(account: Account, spec: bytes, overlay: bytes) -> list[str]:
    """Return where the raw client that is importable as `batchstatus_raw` does not do what the spec says."""
    held = contract.read(account, spec, overlay)
    try:
        module = importlib.import_module(f"batchstatus_raw.{account.vendor}.api.default.get_batch_status")
        held.account.load()
        held.account.request(held.account.EXAMPLE_ID)
    except ImportError as error:
        return [held.finding(held.operation.place, f"the generator made no {error.name}: see {held.overlay}")]
    except (ConfigurationError, TypeError) as error:
        return [
            held.finding(
                held.operation.place,
                f"the raw client's request cannot be made ({error}): "
                f"see raw_request in {held.facade}, and {held.overlay}",
            )
        ]
    return contract.ordered([*check_request(held), *check_models(held, module), *check_readings(held)])


def check_request(held: Contract) -> Iterator[str]:
    """Check that the facade's request has every parameter that the vendor requires."""
    request = held.account.request(held.account.EXAMPLE_ID)
    sent = {
        "query": set(httpx.URL(request.url).params),
        "header": {name.lower() for name in (*request.headers, *request.keys)},
    }
    for place, parameter in contract.parameters(held).values():
        where, name = parameter.get("in"), parameter.get("name", "")
        if (
            parameter.get("required")
            and where in sent
            and (name.lower() if where == "header" else name) not in sent[where]
        ):
            yield held.finding(
                place,
                f"the {where} parameter {name!r} is required and not sent: give it in raw_request of {held.facade}",
            )


def check_models(held: Contract, module: Any) -> Iterator[str]:
    """Check that every property has its attribute: the generator drops some, and gives two the same name."""
    raw = importlib.import_module(module.__name__.partition(".api.")[0])
    client = raw.Client(base_url="https://localhost", raise_on_unexpected_status=True)
    for status, response in held.responses():
        schema = held.schema(response)
        if schema is None or not status.isdecimal():
            continue
        body = Sampler(held).sample(schema)
        try:
            model = module._parse_response(client=client, response=httpx.Response(int(status), json=body))  # noqa: SLF001
            back = model.to_dict() if hasattr(model, "to_dict") else model
        except Exception as error:  # noqa: BLE001 (whatever generated code raises)
            yield held.finding(
                schema.place, f"the raw client refuses a body of this schema ({error!r:.200}): {cure(held)}"
            )
            continue
        for path in sorted({*differences(body, back), *unknown(model)}):
            place = (at_path(held.patched, schema, path) or schema).place
            yield held.finding(place, f"the raw client loses {path!r}, or takes another field for it: {cure(held)}")


def cure(held: Contract) -> str:
    return f"write the schema so that the generator takes it, or remove what is not read, in {held.overlay}"


def differences(body: Any, back: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields that came back as other ones."""
    if isinstance(body, dict) and isinstance(back, dict):
        for name in body.keys() | back.keys():
            yield from differences(body.get(name), back.get(name), f"{path}.{name}" if path else name)
    elif isinstance(body, list) and isinstance(back, list) and len(body) == len(back):
        for item, other in zip(body, back, strict=True):
            yield from differences(item, other, path)
    elif body != back:
        yield path


def unknown(model: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields that a model has no attribute for, in the models inside of it as well."""
    for name in getattr(model, "additional_properties", {}):
        yield f"{path}.{name}" if path else name
    for attribute in getattr(model, "__attrs_attrs__", ()):
        inner = getattr(model, attribute.name)
        for item in inner if isinstance(inner, list) else [inner]:
            yield from unknown(item, f"{path}.{attribute.name}" if path else attribute.name)


def check_readings(held: Contract) -> Iterator[str]:
    """Check that the facade reads a body as the spec has it, in each status, with nothing left over."""
    for status, response in held.responses():
        answer = held.schema(response)
        if answer is None or status != "200":
            continue
        words = [word for _, word in contract.words(held, properties(held.patched, answer).get("status"))]
        words = words or list(held.account.WORDS)
        for word in words:
            yield from _check_reading(held, answer, word)
        yield from _check_fields(held, answer, words[0])


def _check_reading(held: Contract, answer: Target, word: str) -> Iterator[str]:
    body = Sampler(held).body(answer, word)
    try:
        batch = read(held.account, body)
    except Exception as error:  # noqa: BLE001 (a client of another shape: whatever the facade raises)
        yield held.finding(
            answer.place, f"the facade refuses such an answer ({error}): see status_fields in {held.facade}"
        )
        return
    for problem in batch.problems:
        name = problem.partition(":")[0]
        if name != "counts":  # those of a sample do contradict each other
            yield held.finding(
                _place_of(held, answer, name),
                f"the facade cannot use it ({problem}): see status_fields in {held.facade}",
            )
    if not all(is_json(item) for item in (*batch.results, batch.payload)):
        yield held.finding(
            answer.place, f"`results` holds models of the raw client: make them plain in status_fields of {held.facade}"
        )


def _check_fields(held: Contract, answer: Target, word: str) -> Iterator[str]:
    """Check that the reading follows each field: where two names become one in Python, the facade reads the other."""
    read = fields_read(held, answer, word)
    for path in held.account.FIELDS.keys() - read:
        if found := at_path(held.patched, answer, path):
            yield held.finding(
                found.place,
                f"the facade does not read {path!r} any more, but perhaps a field of nearly the same name: remove that "
                f"one in {held.overlay}, or see status_fields in {held.facade}",
            )


def fields_read(held: Contract, answer: Target, word: str) -> set[str]:
    """Return the fields of which another value gives another reading."""
    body = Sampler(held).body(answer, word)
    before = _reading(held.account, body)
    read = set()
    for path in contract.paths(held.patched, answer, depth=2):
        schema = at_path(held.patched, answer, path)
        kinds = types(held.patched, schema) if schema else set()
        kind = held.account.FIELDS.get(path, min(kinds, default="string"))
        if _reading(held.account, _put(body, path, OTHERS.get(kind, "another"))) != before:
            read.add(path)
    return read


def _reading(account: Account, body: dict[str, Any]) -> object:
    """Return what a body gives to a caller, apart from the body itself; or the class of what it raises."""
    try:
        return evolve(account.status_fields(body), raw=None)
    except Exception as error:  # noqa: BLE001 (whatever generated code raises)
        return type(error)


def _put(body: Any, path: str, value: Any) -> Any:
    """Return a copy of a body with another value of a field."""
    name, _, rest = path.partition(".")
    if not isinstance(body, dict) or name not in body:
        return body
    return {**body, name: _put(body[name], rest, value) if rest else value}


def _place_of(held: Contract, answer: Target, name: str) -> contract.Place:
    """Return the place of the first field of a name, however deep."""
    path = next((path for path in contract.paths(held.patched, answer) if path.rpartition(".")[2] == name), "")
    return (at_path(held.patched, answer, path) or answer).place


def read(account: Account, body: Any) -> Batch:
    """Return the batch that a client makes of a body."""
    with BatchClient(account, transport=Canned(body), retry=RetryPolicy(attempts=1)) as client:
        return client.get(BatchRef(account.vendor, account.EXAMPLE_ID))


def is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(is_json, value.values()))
    if isinstance(value, list):
        return all(map(is_json, value))
    return value is None or isinstance(value, (str, int, float, bool))


class Canned:
    """A transport that answers with one body."""

    def __init__(self, body: Any) -> None:
        self._response = httpx.Response(200, json=body)

    def send(self, step: SendRequest, timeout: float) -> Response:  # noqa: ARG002 (the names of a Transport)
        return Response(status=200, headers=dict(self._response.headers), body=self._response.content)

    def discard_idle_connections(self) -> None: ...

    def close(self) -> None: ...


class Sampler:
    """Makes bodies of a schema; no two values of one body are equal, so that a swap shows."""

    def __init__(self, held: Contract) -> None:
        self._held = held
        self._numbers = itertools.count(1)

    def body(self, answer: Target, word: str) -> Any:
        """Return a body about the example's id in a status, with times where the facade reads times."""
        account, body = self._held.account, self.sample(answer)
        times = {name: TIME for name in body if self._is_time(answer, name)}
        ids = {name: account.EXAMPLE_ID for name in ("id", "batchId") if name in account.FIELDS and name in body}
        return body | times | ids | {"status": word}

    def _is_time(self, answer: Target, name: str) -> bool:
        """Return whether a field is a time, for the facade or in the vendor's own spec, which has the formats."""
        if self._held.account.FIELDS.get(name) == "date-time":
            return True
        found = properties(self._held.patched, answer).get(name)
        formats = contract.values(self._held.spec.contents, found.place, "format") if found else ()
        return any(form == "date-time" for _, form in formats)

    def sample(self, schema: Target, seen: tuple[contract.Place, ...] = ()) -> Any:
        """Return a value of a schema with every field that it declares, of an alternative the first.

        A field that holds what it is in, or is too deep, is left out.
        """
        contents, number = self._held.patched, next(self._numbers)
        kinds = types(contents, schema)
        first = alternatives(contents, schema)[0]
        if first.place != schema.place:
            return self.sample(first, seen)
        seen = (*seen, schema.place)
        if "object" in kinds:
            fields = properties(contents, schema) if len(seen) <= MAX_DEPTH else {}
            return {name: self.sample(child, seen) for name, child in fields.items() if child.place not in seen}
        if "array" in kinds:
            items = follow(contents, schema.value.get("items", {}), (*schema.place, "items"))
            return [self.sample(items, seen)] if len(seen) <= MAX_DEPTH and items.place not in seen else []
        if "number" in kinds:
            return number
        return number % 2 == 0 if kinds == {"boolean"} else f"text {number}"


if __name__ == "__main__":
    sys.exit(main())
