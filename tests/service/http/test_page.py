"""The page as HTML: what it shows, and that nothing in it is taken for HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import attrs
import pytest
from batchstatus import BatchRef, BatchState, Counts, Event, EventKind, ServerError
from batchstatus.service.health import Health
from batchstatus.service.http.page import MAX_ROWS, Page
from batchstatus.service.store import Destination, Group, Overview, RecentChange, Store, Tracked

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOSTILE = "</ul><script>alert(1)</script><img src=x onerror='alert(2)'>\"&amp;\n\x1b[31m"
EMPTY = Overview(at=NOW, groups=[], stuck=[], lost=[], troubled=[], unchanged=[], destinations=[], changes=[])


@pytest.fixture
def health(tmp_path):
    with Store(tmp_path / "store.sqlite3") as store:
        health = Health(store)
        health.came_round()
        yield health


def group(state=BatchState.RUNNING, batches=1, **fields):
    values = {"account_ref": "believe", "lost": 0, "troubled": 0, "late": 0, "oldest_reading": NOW} | fields
    ended = state is not None and state.is_terminal
    return Group(state=state, batches=batches, ended=ended, **values)


def tracked(ref="believe:17", **fields):
    values = {"labels": {"token": "test-label-secret"}, "added_at": NOW, "changed_at": NOW, "read_at": NOW} | fields
    return Tracked(ref=BatchRef.parse(ref), **values)


def destination(name, **fields):
    return Destination(name=name, added_at=NOW, served_at=NOW, **{"waiting": 0, "failed": 0} | fields)


class Text(HTMLParser):
    """The text of a page, and its tags."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words = set(), set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.words += data.split()

    def __str__(self):
        return " ".join(self.words)


def shown(overview, health, section=None):
    page = Page("/var/lib/store.sqlite3")
    return str(Text(page.whole(overview, health) if section is None else page.parts(overview, health)[section]))


def test_an_empty_store_says_what_is_next(health):
    said = shown(EMPTY, health)
    assert "Ready: polls and writes succeed." in said
    assert "None is tracked yet." in said
    assert "There is no destination: run --deliver URL." in said


def test_nothing_foreign_becomes_html(health):
    """Whatever a vendor, a receiver or the system said is text."""
    ref = BatchRef("believe", HOSTILE.replace("\n", "").replace("\x1b", ""))
    one = attrs.evolve(
        tracked(), ref=ref, state=BatchState.UNKNOWN, vendor_status=HOSTILE, error=HOSTILE, counts=Counts(total=1)
    )
    change = RecentChange(
        ref=ref, sequence=1, kind="change", at=NOW, error=HOSTILE, state=BatchState.UNKNOWN, vendor_status=HOSTILE,
        counts=Counts(),
    )  # fmt: skip
    load = destination(HOSTILE, waiting=1, failed=1, oldest_at=NOW, reason=HOSTILE)
    health.hear(Event(kind=EventKind.ATTEMPT, ref=ref, error=ServerError(HOSTILE, ref=ref, status_code=500)))
    overview = Overview(
        at=NOW, groups=[group(account_ref=HOSTILE), group()], stuck=[one], lost=[one], troubled=[one], unchanged=[one],
        destinations=[load], changes=[change],
    )  # fmt: skip
    plain = Text(Page("store").whole(EMPTY, health))
    page = Page(HOSTILE).whole(overview, health)
    found = Text(page)
    assert found.tags <= plain.tags | {"code", "progress", "li", "ul", "table", "tr", "th", "td", "svg", "rect", "b"}
    assert not {name for name in found.attributes if name.startswith("on")}
    assert str(found).count("<script>alert(1)</script>") >= 8
    assert "\x1b" not in page


def test_labels_are_not_shown(health):
    overview = attrs.evolve(EMPTY, groups=[group()], unchanged=[tracked()], stuck=[tracked()])
    assert "test-label-secret" not in Page("store").whole(overview, health)


def test_a_ref_shows_with_its_progress(health):
    batch = tracked(
        state=BatchState.RUNNING, vendor_status="processing", counts=Counts(total=200, processed=57, failed=2)
    )
    overview = attrs.evolve(EMPTY, groups=[group()], unchanged=[batch])
    said = shown(overview, health, "open")
    assert (
        said
        == "On their way, unchanged for longest first 1 believe:17 running 57 of 200, 2 failed 2026-01-31 12:00:00 UTC"
    )


def test_counts_that_contradict_make_a_full_bar(health):
    batch = tracked(state=BatchState.RUNNING, counts=Counts(total=8, processed=9))
    html = Page("store").parts(attrs.evolve(EMPTY, groups=[group()], unchanged=[batch]), health)["open"]
    assert '<progress max="8" value="8">' in html
    assert "9 of 8" in html


def test_more_than_a_list_are_a_number(health):
    overview = attrs.evolve(EMPTY, groups=[group(batches=100_000)], unchanged=[tracked()] * 20)
    assert shown(overview, health, "open").endswith(f"and {100_000 - MAX_ROWS:,} more")
    assert "100,000 open" in shown(overview, health, "numbers")


def test_a_lost_batch_says_why(health):
    overview = attrs.evolve(
        EMPTY, groups=[group(lost=1)], lost=[tracked(error="no such batch", lost_since=NOW, state=BatchState.RUNNING)]
    )
    assert "lost, as the vendor denies it: no such batch" in shown(overview, health, "attention")


def test_an_unknown_word_says_what_to_do(health):
    overview = attrs.evolve(
        EMPTY,
        groups=[group(BatchState.UNKNOWN)],
        stuck=[tracked(state=BatchState.UNKNOWN, vendor_status="ARCHIVED")],
    )
    assert "unknown word 'ARCHIVED': map it with the account's states" in shown(overview, health, "attention")


def test_batches_with_one_trouble_stand_together(health):
    overview = attrs.evolve(
        EMPTY,
        groups=[group(troubled=2, late=1)],
        troubled=[tracked("believe:1", error="HTTP 503"), tracked("believe:2", error="HTTP 503"), tracked("believe:3")],
    )
    said = shown(overview, health, "trouble")
    assert said.startswith("In trouble, or late 3 HTTP 503 believe:1")
    assert said.count("HTTP 503") == 1
    assert "Not read for minutes" in said


def test_reasons_stand_at_the_top(health):
    ref = BatchRef("believe", "17")
    down = ServerError("HTTP 503", ref=ref, status_code=503)
    health.hear(Event(kind=EventKind.ATTEMPT, ref=ref))
    health.hear(Event(kind=EventKind.ATTEMPT, ref=ref, error=down))
    assert shown(EMPTY, health, "health") == "Ready, but polls of believe fail just now."
    health._accounts["believe"].answered_at = None
    assert shown(EMPTY, health, "health") == "Not ready believe: no poll has succeeded yet: ServerError: HTTP 503"


def test_an_outbox_shows_its_depth(health):
    found = [
        destination("quiet"),
        destination("well", failed_at=NOW, reason="HTTP 500"),
        destination("hook", waiting=1200, failed=3, oldest_at=NOW, reason="HTTP 503"),
        destination("slow", waiting=1, set_aside=2, oldest_at=NOW, reason="HTTP 400"),
        destination("aside", set_aside=2, reason="HTTP 400"),
        destination("gone", stopped_at=NOW, waiting=1, oldest_at=NOW, reason="HTTP 410"),
    ]
    said = shown(attrs.evolve(EMPTY, destinations=found), health, "deliveries")
    stored = "oldest stored 2026-01-31 12:00:00 UTC"
    assert said == (
        f"Deliveries 6 quiet all arrived well all arrived hook 1,200 wait 3 failed {stored} HTTP 503 "
        f"slow 1 wait 2 set aside {stored} HTTP 400 aside 2 set aside HTTP 400 "
        f"gone stopped 2026-01-31 12:00:00 UTC 1 wait {stored} HTTP 410"
    )


def test_a_page_without_a_store_keeps_what_it_had(health):
    page = Page("store")
    page.parts(attrs.evolve(EMPTY, groups=[group()]), health)
    assert "running" in page.parts(None, health)["states"]
    assert page.parts(None, health).keys() == page.parts(EMPTY, health).keys()
