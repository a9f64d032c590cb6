"""The tree of errors, and what each error carries."""

from __future__ import annotations

import copy
import pickle

import batchstatus
import pytest
from batchstatus import BatchRef, BatchStatusError
from batchstatus._core import errors

REF = BatchRef("believe", "1")
TREE = {
    "ConfigurationError": ("BatchStatusError", ValueError),
    "ReadError": ("BatchStatusError", Exception),
    "TransportError": ("ReadError", Exception),
    "RequestTimeout": ("TransportError", TimeoutError),
    "APIError": ("ReadError", Exception),
    "AuthenticationError": ("APIError", Exception),
    "PermissionDenied": ("APIError", Exception),
    "BatchNotFound": ("APIError", Exception),
    "BadRequest": ("APIError", Exception),
    "RateLimited": ("APIError", Exception),
    "ServerError": ("APIError", Exception),
    "InvalidResponse": ("ReadError", Exception),
    "BatchFailed": ("BatchStatusError", Exception),
    "WaitError": ("BatchStatusError", Exception),
    "WaitTimeout": ("WaitError", TimeoutError),
    "WaitStopped": ("WaitError", Exception),
}


def all_errors(cls=BatchStatusError):
    return {cls, *(found for sub in cls.__subclasses__() for found in all_errors(sub))}


def example(cls):
    if issubclass(cls, errors.APIError):
        return cls("text", ref=REF, status_code=404, code="4004", message="gone", request_id="r", retry_after=7.0)
    if issubclass(cls, errors.InvalidResponse):
        return cls("text", ref=REF, status_code=200, request_id="r", cut_short=True)
    if issubclass(cls, errors.ReadError):
        return cls("text", ref=REF)
    if issubclass(cls, errors.WaitError):
        return cls("text", ref=REF, last=None, attempts=3, elapsed=1.5, checkpoint={"ref": "believe:1"})
    return cls("text", batch=None) if cls is errors.BatchFailed else cls("text")


def test_the_tree_is_the_documented_one():
    assert {cls.__name__ for cls in all_errors()} - {"BatchStatusError"} == set(TREE)
    for name, (base, builtin) in TREE.items():
        cls = getattr(batchstatus, name)
        assert cls.__mro__[1].__name__ == base
        assert issubclass(cls, builtin)


@pytest.mark.parametrize("cls", sorted(all_errors(), key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_every_error_can_be_pickled_and_copied(cls, way):
    """Every error survives copying and pickling with all it carries."""
    error = example(cls)
    error.attempts = 3
    twin = way(error)
    assert type(twin) is cls
    assert str(twin) == str(error)
    assert twin.detail == error.detail == "text"
    assert vars(twin) == vars(error)
