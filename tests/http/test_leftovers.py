"""The one file that looks inside httpcore: all of it that is private, and that it is still there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from batchstatus import Believe
from batchstatus import _http as package
from batchstatus._http.leftovers import is_clean
from raw_server import response, serving

GOOD = b'{"id": "1", "status": "EXECUTED"}'


def private_attributes(source):
    """The private attributes of anything but the object itself."""
    return [
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    ]


def test_private_attributes_are_used_in_one_file():
    found = {path.name: private_attributes(path.read_text()) for path in Path(package.__file__).parent.glob("*.py")}
    assert {name: used for name, used in found.items() if used} == {"leftovers.py": ["_connection", "_h11_state"]}


@pytest.mark.parametrize("way", ["direct", "proxy"])
def test_the_private_attributes_are_there(reader, way):
    """A new httpcore without them raises AttributeError in is_clean, so no read would succeed."""
    with serving(lambda _: [response(GOOD)]) as server:
        is_direct = way == "direct"
        url = server.url if is_direct else "http://vendor.invalid"
        client = reader(
            Believe("test-key", base_url=url, allow_insecure=True), **({} if is_direct else {"proxy": server.url})
        )
        client.get("believe:1")
        (free,) = client.client._transport._pool._free.values()
        (connection,) = [getattr(one.transport, "http", one.transport) for one in free]
        assert is_clean(connection)
