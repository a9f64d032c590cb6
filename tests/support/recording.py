"""How cassettes are written and matched: no secret, no machine's address, nothing that changes by itself."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import yaml
from batchstatus import Believe, Gameball
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
