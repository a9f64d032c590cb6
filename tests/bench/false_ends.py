"""Ends that are not true, and ends that are missed: 1,000 vendors with outages, refusals and late counts.

What a vendor answers is a function of time, so every poller meets the same stories; no time passes. The peers' own code
runs, with their defaults: google-api-core's PollingFuture, botocore's Waiter with a client of its own, openai's
`vector_stores.file_batches.poll`. They play the first 500 stories, since their clients take most of the time.
"""

from __future__ import annotations

import bisect
import json
import math
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import httpx
from _report import Figure
from attrs import define, field, frozen
from batchstatus import (
    BatchClient,
    BatchState,
    BatchStatusError,
    Believe,
    Gameball,
    RequestTimeout,
    Response,
    SendRequest,
    TransportError,
    TransportFailure,
    WaitTimeout,
)
from batchstatus.testing import FakeClock

STORIES = 1_000
PEERS_STORIES = 500
TIMEOUT = 900.0
COMFORTABLY = 60.0
"""Seconds: an end that comes so long before the deadline is missed if it is not reported."""
EXCHANGE = 0.1
"""Seconds that an answer takes."""
NO_ANSWER = 60.0
"""Seconds after which a peer gives up an exchange without an answer; google-api-core's and openai's default is 600."""
TOTAL = 200
OWN = (400, 401, 403, 404, 409, 410, 422)
PAGE = b"<html><body>Something in between</body></html>"


@frozen
class Answer:
    """What a vendor says for a while."""

    says: str = "reading"
    """`reading`, `own` refusal, `page`, or nothing: `unreachable` or `silent`."""
    status: int = 200
    state: BatchState = BatchState.RUNNING
    processed: int = 0
    failed: int = 0

    @property
    def result(self) -> tuple[BatchState, int | None, int | None] | None:
        """What a poller is to tell of it as an end; None: that it is refused."""
        return (self.state, self.processed, self.failed) if self.says == "reading" else None


class Story:
    """One vendor with one batch, from the first request on.

    The batch goes on for 2 to 120 s, then something is in the way, or two or three things one after the other; and so
    on until its end, which stays. Of 100 batches 4 never end, 3 are refused from the beginning, and 3 from some time.

    Some cannot be read at first: 404 for up to 10 s, or one thing in the way. They go on for so long then that every
    poller has read them before it is refused: what comes before a first reading is judged by stricter rules.
    """

    def __init__(self, number: int) -> None:
        self._draw = draw = random.Random(number)
        self._starts: list[float] = []
        self._answers: list[Answer] = []
        self.vendor = draw.choice(["gameball", "believe"])
        self._counts = draw.random() < 0.7
        self.end: Answer | None = None
        """The last answer, which stays; None if the batch goes on for ever."""
        self.length = self._write(draw.choices(["ends", "never", "unknown", "refused"], [90, 4, 3, 3])[0])
        """When the last answer begins."""

    def at(self, now: float) -> Answer:
        """Return what the vendor answers at a time."""
        answer = self._answers[bisect.bisect_right(self._starts, now) - 1]
        if answer.says != "reading" or answer.state is not BatchState.RUNNING:
            return answer
        return Answer(processed=int(0.95 * TOTAL * min(now / self.length, 1.0)) if self._counts else 0)

    def _write(self, fate: str) -> float:
        draw = self._draw
        if fate == "unknown":
            self.end = Answer("own", 404)
            return self._add(self.end, 0.0, 0.0)
        until = {"ends": draw.uniform(5, 1_000), "refused": draw.uniform(60, 600)}.get(fate, 2 * TIMEOUT)
        now, least = self._begin()
        while True:
            now = self._add(Answer(), now, log_uniform(draw, least, max(120.0, 2 * least)))
            if now >= until:
                break
            least = 2.0
            for _ in range(draw.choices([1, 2, 3], [7, 2, 1])[0]):
                now = self._trouble(now)
        if fate == "refused":
            self.end = Answer("own", draw.choice([404, 410]))
        elif fate == "ends":
            now = self._finish(now)
        if self.end is not None:
            self._add(self.end, now, 0.0)
        return now

    def _begin(self) -> tuple[float, float]:
        """Return when the batch can be read first, and for how long at least."""
        beginning = self._draw.choices(["visible", "not yet", "trouble"], [5, 3, 2])[0]
        if beginning == "not yet":
            return self._add(Answer("own", 404), 0.0, self._draw.uniform(0, 10)), 20.0
        if beginning == "trouble":
            return self._trouble(0.0, refuses=False), NO_ANSWER + 40.0
        return 0.0, 2.0

    def _finish(self, now: float) -> float:
        """Decide on the end; return when it comes, which is after its state if the counts are late."""
        draw = self._draw
        state = draw.choices([BatchState.SUCCEEDED, BatchState.FAILED, BatchState.CANCELLED], [8, 1, 1])[0]
        if state is BatchState.CANCELLED and self.vendor == "believe":
            state = BatchState.FAILED  # it has no word for a batch that was cancelled
        failed = draw.choice([0, 0, draw.randint(1, TOTAL)])
        if state is not BatchState.SUCCEEDED:
            self.end = Answer(state=state, processed=draw.randint(failed, TOTAL), failed=failed)
            return now
        self.end = Answer(state=state, processed=TOTAL, failed=failed)
        if draw.random() < 0.5:
            early = draw.randint(0, TOTAL - 1)
            late = Answer(state=state, processed=early, failed=failed * early // TOTAL)
            now = self._add(late, now, draw.uniform(0.5, 8.0))
            if draw.random() < 0.2:
                now = self._trouble(now)
        return now

    def _trouble(self, now: float, *, refuses: bool = True) -> float:
        draw = self._draw
        kind = draw.choice(["own", "page", "page instead of JSON", "outage", "outage"][not refuses :])
        if kind == "own":
            return self._add(Answer("own", draw.choice(OWN)), now, draw.uniform(0.5, 10))
        if kind == "outage":
            says, status = draw.choice([("page", 502), ("page", 503), ("unreachable", 0), ("silent", 0)])
            return self._add(Answer(says, status), now, log_uniform(draw, 2, 300))
        return self._add(Answer("page", 200 if "JSON" in kind else draw.choice(OWN)), now, draw.uniform(1, 20))

    def _add(self, answer: Answer, now: float, seconds: float) -> float:
        self._starts.append(now)
        self._answers.append(answer)
        return now + seconds

    def __str__(self) -> str:
        return "\n".join(f"{start:7.1f} {answer}" for start, answer in zip(self._starts, self._answers, strict=True))


def log_uniform(draw: random.Random, least: float, most: float) -> float:
    return math.exp(draw.uniform(math.log(least), math.log(most)))


class OutOfTime(BaseException):
    """A poller without a timeout of its own has used up its caller's."""


class Play:
    """One story, as one poller meets it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.clock = FakeClock()
        self.polls = 0

    def ask(self, timeout: float = NO_ANSWER) -> Answer:
        """Perform an exchange."""
        answer = self.story.at(self.clock.now)
        self.polls += 1
        self.clock.sleep(min(timeout, math.inf if answer.says == "silent" else EXCHANGE))
        return answer


@frozen
class Told:
    """What a poller told its caller."""

    result: tuple[BatchState, int | None, int | None] | None = None
    """State and counts; None if it gave up."""
    timed_out: bool = False


Poller = Callable[[Play], Told]


# batchstatus


class OwnTransport:
    """Asks a story in the vendors' own words."""

    WORDS = {
        "gameball": {
            BatchState.RUNNING: "processing",
            BatchState.SUCCEEDED: "completed",
            BatchState.FAILED: "failed",
            BatchState.CANCELLED: "stopped",
        },
        "believe": {
            BatchState.RUNNING: "AVAILABLE_TO_QUEUE",
            BatchState.SUCCEEDED: "EXECUTED",
            BatchState.FAILED: "FAILED",
        },
    }

    def __init__(self, play: Play) -> None:
        self._play = play

    def send(self, step: SendRequest, timeout: float) -> Response | TransportFailure:
        answer = self._play.ask(timeout)
        if answer.says == "silent":
            return TransportFailure(error=RequestTimeout, reason="no answer")
        if answer.says == "unreachable":
            return TransportFailure(error=TransportError, reason="no connection")
        body = PAGE if answer.says == "page" else json.dumps(self._body(answer)).encode()
        return Response(status=answer.status, headers={}, body=body)

    def _body(self, answer: Answer) -> dict[str, Any]:
        vendor = self._play.story.vendor
        if answer.says == "own":
            return {"code" if vendor == "gameball" else "error": str(answer.status), "message": "refused"}
        word, processed, failed = self.WORDS[vendor][answer.state], answer.processed, answer.failed
        if vendor == "gameball":
            counts = {"totalItems": TOTAL, "processedItems": processed, "failedItems": failed}
            return {"batchId": 1, "status": word} | counts
        if answer.state is BatchState.RUNNING:
            return {"id": "1", "status": word}  # its counts come with its end
        result = {"total": TOTAL, "totalSuccessful": processed - failed, "totalFailed": failed}
        return {"id": "1", "status": word, "executeResult": result}

    def discard_idle_connections(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def batchstatus() -> Poller:
    accounts = (Gameball("test-key", "test-secret"), Believe("test-key"))

    def wait(play: Play) -> Told:
        with BatchClient(*accounts, clock=play.clock, transport=OwnTransport(play)) as client:
            try:
                batch = client.wait(f"{play.story.vendor}:1", timeout=TIMEOUT)
            except WaitTimeout:
                return Told(timed_out=True)
            except BatchStatusError:
                return Told()
        if not batch.has_ended:  # the time is up, and it says so
            return Told(timed_out=True)
        return Told((batch.state, batch.counts.processed, batch.counts.failed))

    return wait


# google-api-core


def google() -> Poller:
    """Poll as a long-running operation does, each time with the retries of `operations_v1.OperationsClient`."""
    import concurrent.futures

    from google.api_core import exceptions
    from google.api_core.future.polling import PollingFuture
    from google.api_core.retry import Retry, if_exception_type, retry_base, retry_unary

    again = if_exception_type(exceptions.DeadlineExceeded, exceptions.ServiceUnavailable)
    read = Retry(initial=0.1, maximum=60.0, multiplier=1.3, predicate=again, timeout=600.0)(google_answer)

    class Operation(PollingFuture):
        def __init__(self, play: Play) -> None:
            super().__init__()
            self._play = play

        def done(self, retry: Any = None) -> bool:
            answer = read(self._play)
            if answer.state.is_terminal:
                self.set_result(answer.result)
            return answer.state.is_terminal

        def cancel(self) -> None:
            raise NotImplementedError

        cancelled = cancel

    def wait(play: Play) -> Told:
        with (
            mock.patch.object(retry_unary, "time", clocked(play)),
            mock.patch.object(retry_base, "time", clocked(play)),
        ):
            try:
                return Told(Operation(play).result(timeout=TIMEOUT))
            except concurrent.futures.TimeoutError:
                return Told(timed_out=True)
            except (exceptions.GoogleAPIError, ValueError):
                return Told()

    return wait


def google_answer(play: Play) -> Answer:
    """Return an answer, or raise what Google's clients make of it."""
    from google.api_core import exceptions

    answer = play.ask()
    if answer.says == "unreachable":
        raise exceptions.ServiceUnavailable("no connection")
    if answer.says == "silent":
        raise exceptions.DeadlineExceeded("no answer")
    if answer.status != 200:
        raise exceptions.from_http_status(answer.status, answer.says)
    if answer.says == "page":
        raise ValueError("not JSON")
    return answer


def clocked(play: Play) -> SimpleNamespace:
    """Return what stands for the module `time`."""
    return SimpleNamespace(sleep=play.clock.sleep, monotonic=play.clock.monotonic, time=play.clock.monotonic)


# botocore

MEMBERS = {"State": {"shape": "Text"}, "Processed": {"shape": "Number"}, "Failed": {"shape": "Number"}}
SERVICE = {
    "version": "2.0",
    "metadata": {
        "apiVersion": "2025-01-01",
        "endpointPrefix": "batches",
        "protocol": "rest-json",
        "serviceFullName": "Batches",
        "serviceId": "batches",
    },
    "operations": {
        "GetBatch": {
            "name": "GetBatch",
            "http": {"method": "GET", "requestUri": "/batches/1"},
            "output": {"shape": "Batch"},
        }
    },
    "shapes": {
        "Text": {"type": "string"},
        "Number": {"type": "integer"},
        "Batch": {"type": "structure", "members": MEMBERS},
    },
}
"""The model of a made-up service, from which botocore makes a client as it does for those of AWS."""
WAITER = {
    "version": 2,
    "waiters": {
        "BatchEnded": {
            "operation": "GetBatch",
            "delay": 15,
            "maxAttempts": TIMEOUT // 15,
            "acceptors": [
                {"state": state, "matcher": "path", "argument": "State", "expected": word}
                for state, word in (("success", "succeeded"), ("failure", "failed"), ("failure", "cancelled"))
            ],
        }
    },
}


def botocore() -> Poller:
    """Wait as the waiter of a service does: every 15 s, for as many polls as the timeout has room for."""
    from botocore import endpoint, exceptions, waiter

    make_client = botocore_clients()
    model = waiter.WaiterModel(WAITER)

    def wait(play: Play) -> Told:
        last: list[dict[str, Any]] = []
        client = make_client()  # of its own, since those of one client share a quota of retries
        client.meta.events.register("before-send", lambda request, **_: botocore_answer(play, request.url))
        client.meta.events.register("after-call", lambda parsed, **_: last.append(parsed))
        ended = waiter.create_waiter_with_client("BatchEnded", model, client)
        with mock.patch.object(waiter, "time", clocked(play)), mock.patch.object(endpoint, "time", clocked(play)):
            try:
                ended.wait()
            except exceptions.WaiterError as error:
                if "Max attempts exceeded" in str(error):
                    return Told(timed_out=True)
                if "Error" in error.last_response:
                    return Told()
            except exceptions.BotoCoreError:
                return Told()
        state, processed, failed = (last[-1][name] for name in MEMBERS)
        return Told((BatchState(state), processed, failed))

    return wait


def botocore_clients() -> Callable[[], Any]:
    """Return what makes a client of the made-up service, with botocore's default retries."""
    from botocore import UNSIGNED, session
    from botocore.config import Config

    made, unsigned = session.Session(), Config(signature_version=UNSIGNED)

    def make() -> Any:
        return made.create_client(
            "batches",
            "us-east-1",
            endpoint_url="https://127.0.0.1",
            aws_access_key_id="test-key",  # else it looks for some
            aws_secret_access_key="test-secret",
            config=unsigned,
        )

    with tempfile.TemporaryDirectory() as folder:
        service = Path(folder, "batches", "2025-01-01", "service-2.json")
        service.parent.mkdir(parents=True)
        service.write_text(json.dumps(SERVICE))
        made.get_component("data_loader").search_paths.append(folder)
        make()  # the model stays in the session's cache
    return make


def botocore_answer(play: Play, url: str) -> Any:
    """Return an answer as it comes to botocore, or raise what its HTTP session does."""
    from botocore import exceptions
    from botocore.awsrequest import AWSResponse

    answer = play.ask()
    if answer.says == "unreachable":
        raise exceptions.EndpointConnectionError(endpoint_url=url)
    if answer.says == "silent":
        raise exceptions.ReadTimeoutError(endpoint_url=url)
    response = AWSResponse(url, answer.status, {}, None)
    response._content = PAGE
    if answer.says == "own":
        response.headers["x-amzn-errortype"] = f"Refused{answer.status}"
        response._content = b'{"message": "refused"}'
    elif answer.says == "reading":
        response._content = json.dumps(dict(zip(MEMBERS, answer.result or (), strict=True))).encode()
    return response


# openai


STATUS = {
    BatchState.RUNNING: "in_progress",
    BatchState.SUCCEEDED: "completed",
    BatchState.FAILED: "failed",
    BatchState.CANCELLED: "cancelled",
}


def openai() -> Poller:
    """Poll as `vector_stores.file_batches.poll` does, which goes on while a file of the batch is in progress."""
    from openai import OpenAI, OpenAIError, _base_client, _resource

    playing: list[Play] = []
    transport = httpx.MockTransport(lambda request: openai_answer(playing[0], request))
    http = httpx.Client(transport=transport)
    client = OpenAI(api_key="test-key", base_url="https://127.0.0.1", timeout=NO_ANSWER, http_client=http)

    def wait(play: Play) -> Told:
        playing[:] = [play]
        with (
            mock.patch.object(_base_client, "time", clocked(play)),
            mock.patch.object(_resource, "time", clocked(play)),
        ):
            try:
                batch = client.vector_stores.file_batches.poll("1", vector_store_id="1")
            except OutOfTime:
                return Told(timed_out=True)
            except (OpenAIError, AttributeError):  # the second if a page comes with a 200: it is taken for the batch
                return Told()
        counts = batch.file_counts
        state = next(state for state, word in STATUS.items() if word == batch.status)
        return Told((state, counts.completed + counts.failed, counts.failed))

    return wait


def openai_answer(play: Play, request: httpx.Request) -> httpx.Response:
    """Return an answer as it comes to openai's client, or raise what its HTTP client does."""
    if play.clock.now >= TIMEOUT:
        raise OutOfTime
    answer = play.ask()
    if answer.says == "unreachable":
        raise httpx.ConnectError("no connection", request=request)
    if answer.says == "silent":
        raise httpx.ReadTimeout("no answer", request=request)
    if answer.says == "page":
        return httpx.Response(answer.status, html=PAGE.decode())
    if answer.says == "own":
        return httpx.Response(answer.status, json={"error": {"code": "refused", "message": "refused"}})
    goes_on = answer.state in {BatchState.RUNNING, BatchState.SUCCEEDED}
    counts = {
        "in_progress": TOTAL - answer.processed if goes_on else 0,
        "completed": answer.processed - answer.failed,
        "failed": answer.failed,
        "cancelled": 0,
        "total": TOTAL,
    }
    batch = {"id": "1", "object": "vector_store.files_batch", "created_at": 0, "vector_store_id": "1"}
    return httpx.Response(200, json=batch | {"status": STATUS[answer.state], "file_counts": counts})


@define
class Score:
    """What came of all stories, as one poller told them."""

    false_ends: list[int] = field(factory=list)
    """The numbers of the stories."""
    missed_ends: list[int] = field(factory=list)
    polls: int = 0

    def add(self, number: int, play: Play, told: Told) -> None:
        """Add what the poller told of a story."""
        story, now = play.story, play.clock.now
        self.polls += play.polls
        if told.timed_out:
            if story.end is not None and story.length <= TIMEOUT - COMFORTABLY:
                self.missed_ends.append(number)
        elif story.end is None or now < story.length or told.result != story.end.result:
            self.false_ends.append(number)


def score(poller: Poller, stories: int) -> Score:
    found = Score()
    for number in range(stories):
        play = Play(Story(number))
        found.add(number, play, poller(play))
    return found


def figures() -> Iterator[Figure]:
    state = random.getstate()
    for make in (batchstatus, google, botocore, openai):
        try:
            poller = make()
        except ModuleNotFoundError as error:
            print(f"  {make.__name__} is left out: {error.name} is not installed")
            continue
        random.seed(0)  # for the peers' jitter
        goal, stories = (0, STORIES) if make is batchstatus else (None, PEERS_STORIES)
        found, name = score(poller, stories), f"{stories:,} stories: {make.__name__}"
        for what, numbers in (("false", found.false_ends), ("missed", found.missed_ends)):
            first = f", first in story {numbers[0]}" if numbers and goal == 0 else ""
            yield Figure(f"{name}, {what} ends{first}", len(numbers), goal)
        yield Figure(f"{name}, polls each", found.polls / stories)
    random.setstate(state)
