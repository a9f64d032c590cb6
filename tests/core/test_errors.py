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
    "PaceUnavailable": ("ReadError", Exception),
    "BatchFailed": ("BatchStatusError", Exception),
    "WaitError": ("BatchStatusError", Exception),
    "WaitTimeout": ("WaitError", TimeoutError),
    "WaitStopped": ("WaitError", Exception),
}


def all_errors(cls=BatchStatusError):
    """Return the errors of the core; the command line has some of its own."""
    found = {cls, *(found for sub in cls.__subclasses__() for found in all_errors(sub))}
    return {each for each in found if each.__module__ == errors.__name__}


def example(cls):
    if issubclass(cls, errors.APIError):
        return cls("text", ref=REF, status_code=404, code="4004", message="gone", request_id="r", retry_after=7.0)
    if issubclass(cls, errors.InvalidResponse):
        return cls("text", ref=REF, status_code=200, request_id="r", is_too_large=True)
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
    if isinstance(error, errors.ReadError):
        error.is_lasting, error.checkpoint = True, {"ref": "believe:1"}
    twin = way(error)
    assert type(twin) is cls
    assert str(twin) == str(error)
    assert twin.detail == error.detail == "text"
    assert vars(twin) == vars(error)


def test_a_read_error_that_ended_no_wait_carries_nothing_of_one():
    error = example(errors.TransportError)
    assert (error.is_lasting, error.last, error.checkpoint, error.retry_after) == (False, None, None, None)


@pytest.mark.parametrize(
    ("options", "is_retryable", "is_lasting"),
    [
        ({}, False, False),
        ({"cut_short": True}, True, False),
        ({"is_too_large": True}, False, False),
        ({"is_lasting": True}, False, True),
    ],
    ids=["wrong", "cut short", "too large", "a page"],
)
def test_an_invalid_response_says_whether_time_mends_it(options, is_retryable, is_lasting):
    error = errors.InvalidResponse("text", ref=REF, status_code=200, **options)
    assert (error.is_retryable, error.is_lasting) == (is_retryable, is_lasting)
    assert error.cut_short is options.get("cut_short", False)
    assert error.is_too_large is options.get("is_too_large", False)
