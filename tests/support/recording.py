"""How cassettes are written and matched: no secret, no machine's address, nothing that changes by itself."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import httpcore
import yaml
from batchstatus import Believe, Gameball
from vcr.cassette import Cassette
from vcr.errors import CannotOverwriteExistingCassetteException
from vcr.request import Request

KEY_HEADERS = (*Gameball.KEY_HEADERS.values(), *Believe.KEY_HEADERS.values())
REQUEST_HEADERS = ("accept", *KEY_HEADERS)
RESPONSE_HEADERS = ("content-type", "retry-after", "server", "x-request-id")
REDACTED = "REDACTED"


def same_keys(played: Request, recorded: Request) -> None:
    """Match by the presence of each key: without it a client that sends none would still be answered."""
    sent, known = ({name for name in KEY_HEADERS if name in request.headers} for request in (played, recorded))
    assert sent == known, f"keys in {sorted(sent)}, recorded in {sorted(known)}"


def options(*, secrets: Collection[str] = (), origins: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return VCR's options.

    Args:
        secrets: What must be in no cassette.
        origins: Which origin a cassette shows instead of another, such as the vendor's for the simulator's.
    """

    def request_as_kept(request: Request) -> Request:
        for origin, shown in (origins or {}).items():
            request.uri = request.uri.replace(origin, shown)
        request.headers = {
            name: REDACTED if name in KEY_HEADERS else value
            for name, value in sorted((name.lower(), value) for name, value in request.headers.items())
            if name in REQUEST_HEADERS
        }
        return request

    def response_as_kept(response: dict[str, Any]) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in response["headers"].items()}
        body = without_secrets(response["body"]["string"].decode(), secrets)
        return {
            "status": response["status"],
            "headers": {name: headers[name] for name in RESPONSE_HEADERS if name in headers},
            "body": {"string": pretty(body).encode()},
        }

    def refuse_secrets(request: Request, response: dict[str, Any]) -> tuple[Request, dict[str, Any]]:
        shown = f"{request.uri}{request.headers}{response}"
        assert not [secret for secret in secrets if secret in shown], "a key is about to be written into a cassette"
        return request, response

    return {
        "decode_compressed_response": True,
        "before_record_request": request_as_kept,
        "before_record_response": response_as_kept,
        "before_save_interaction": refuse_secrets,
        "match_on": ("method", "scheme", "host", "port", "path", "query", "keys"),
        "serializer": "literal",
        "custom_patches": Patches(
            ((httpcore, "ConnectionPool", RecordedPool), (httpcore, "AsyncConnectionPool", AsyncRecordedPool))
        ),
        "path_transformer": lambda path: str(path).removesuffix(".literal").removesuffix(".yaml") + ".yaml",
    }


def without_secrets(text: str, secrets: Collection[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text


def pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2) + "\n"
    except ValueError:
        return body


class LiteralYAML:
    """A serializer of VCR: bodies as literal blocks, interactions in an order that does not depend on timing."""

    @staticmethod
    def serialize(cassette: dict[str, Any]) -> str:
        cassette["interactions"].sort(key=lambda interaction: interaction["request"]["uri"])
        return yaml.dump(cassette, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=120)

    @staticmethod
    def deserialize(text: str) -> Any:
        return yaml.safe_load(text)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a literal block."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


# VCR knows httpx's transports. The package speaks to httpcore's connections, so these stand in for their pools; VCR
# gives a class that has a `cassette` the one that is in use.


class Patches(tuple[Any, ...]):
    """What VCR puts in place of what; pytest-recording copies its options deeply, and a module cannot be copied."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> Patches:
        return self


class RecordedPool(httpcore.ConnectionPool):
    cassette: Cassette | None = None

    def create_connection(self, origin: httpcore.Origin) -> httpcore.ConnectionInterface:
        return _Connection(super().create_connection(origin), self.cassette)


class AsyncRecordedPool(httpcore.AsyncConnectionPool):
    cassette: Cassette | None = None

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        return _AsyncConnection(super().create_connection(origin), self.cassette)


class _Once:
    """A connection that serves one exchange: from the cassette, or for it."""

    def __init__(self, connection: Any, cassette: Any) -> None:
        self._connection = connection
        self._cassette = cassette

    def is_idle(self) -> bool:
        return False

    def _asked(self, request: httpcore.Request) -> Request:
        headers = {name.decode(): value.decode() for name, value in request.headers}
        return Request(request.method.decode(), bytes(request.url).decode(), b"", headers)

    def _played(self, asked: Request) -> httpcore.Response | None:
        if not self._cassette.can_play_response_for(asked):
            if self._cassette.write_protected and self._cassette.filter_request(asked):
                raise CannotOverwriteExistingCassetteException(cassette=self._cassette, failed_request=asked)
            return None
        played = self._cassette.play_response(asked)
        headers = [(name, value) for name, values in played["headers"].items() for value in values]
        return httpcore.Response(played["status"]["code"], headers=headers, content=played["body"]["string"])

    def _record(self, asked: Request, response: httpcore.Response) -> httpcore.Response:
        headers: dict[str, list[str]] = {}
        for name, value in response.headers:
            headers.setdefault(name.decode().lower(), []).append(value.decode())
        status = {"code": response.status, "message": response.extensions["reason_phrase"].decode()}
        self._cassette.append(asked, {"status": status, "headers": headers, "body": {"string": response.content}})
        return httpcore.Response(response.status, headers=response.headers, content=response.content)


class _Connection(_Once, httpcore.ConnectionInterface):
    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        asked = self._asked(request)
        if (played := self._played(asked)) is not None:
            return played
        response = self._connection.handle_request(request)
        response.read()
        response.close()
        return self._record(asked, response)

    def close(self) -> None:
        self._connection.close()


class _AsyncConnection(_Once, httpcore.AsyncConnectionInterface):
    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        asked = self._asked(request)
        if (played := self._played(asked)) is not None:
            return played
        response = await self._connection.handle_async_request(request)
        await response.aread()
        await response.aclose()
        return self._record(asked, response)

    async def aclose(self) -> None:
        await self._connection.aclose()
