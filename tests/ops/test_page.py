"""The page, in a browser, while sixty batches of both vendors move: a vendor goes down, a destination fails."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import commandline
import pytest
from batchstatus.service.store import Store
from batchstatus.testing.simulator import Simulator
from browser import Tab, browsing
from receivers import receiver
from service import Service, serving
from waiting import until

HOSTILE = '<img src=x onerror="document.title=`hostile`">'
SIZES = [(width, dark) for width in (400, 1400) for dark in (False, True)]


class World:
    """Two vendors and a receiver, each of which can go down, and a service with a page."""

    def __init__(self, gameball: Simulator, believe: Simulator, tab: Tab, store: Store) -> None:
        self.gameball = gameball
        self.believe = believe
        self.tab = tab
        self.store = store
        self.status = 200
        """The answer of the receiver."""
        self.service: Service

    def add_sixty(self) -> None:
        """Track sixty batches, some of which stand still."""
        moving = [
            simulator.add(vendor, seconds=10.0 + 4 * number, total=200 + number, failed=number % 5)
            for vendor, simulator in (("gameball", self.gameball), ("believe", self.believe))
            for number in range(28)
        ]
        self.store.track(
            [
                *moving,
                self.believe.add("believe", status="PENDING_APPROVAL"),
                self.believe.add("believe", status="FAILED"),
                self.gameball.add("gameball", status="completed"),
                self.gameball.add("gameball", status=HOSTILE),
            ],
            labels={"token": "test-label-secret"},
        )

    def photograph(self, name: str) -> None:
        """Photograph the page at both widths, light and dark, if asked to."""
        if folder := os.environ.get("PHOTOS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            for width, dark in SIZES:
                self.tab.look(width, dark=dark)
                self.tab.photograph(Path(folder) / f"{name}-{width}-{'dark' if dark else 'light'}.png")


@pytest.fixture
def world(environ, tmp_path):
    with (
        Simulator() as gameball,
        Simulator() as believe,
        browsing(tmp_path) as tab,
        Store(tmp_path / "store.sqlite3") as store,
    ):
        world = World(gameball, believe, tab, store)
        with receiver(lambda _: (world.status, {})) as (url, _):
            environ |= commandline.keys(gameball) | {"BELIEVE_BASE_URL": believe.url}
            environ["BATCHSTATUS_RUN_DELIVER"] = url
            with serving(environ, tmp_path, "--store", store.path) as service:
                world.service = service
                yield world


def numbers(tab: Tab) -> dict[str, int]:
    """Return the numbers at the top."""
    words = tab.run("[...document.querySelectorAll('#numbers li')].map((item) => item.innerText.split(/\\s+/))")
    return {" ".join(name): int(figure.replace(",", "")) for figure, *name in words}


def test_the_page_shows_how_sixty_batches_go(world):
    """Everything that happens shows by itself, on a page that is loaded once."""
    tab = world.tab
    tab.look(1400)
    tab.open(world.service.url)
    assert "No batch is tracked yet." in tab.text("#accounts")
    tab.run("window.isTheSame = true")

    # They move.
    world.add_sixty()
    until(lambda: numbers(tab)["open"] >= 57 and numbers(tab)["failed"] == 1)
    until(lambda: "running" in tab.text("#states") and "all arrived" in tab.text("#deliveries"))
    until(lambda: tab.run("document.querySelector('#changes progress')?.value > 0"))
    until(lambda: "PENDING_APPROVAL" in tab.text("#attention"))
    until(lambda: tab.run("document.title").startswith("("))
    assert tab.text("#connection") == "live"
    assert "Ready" in tab.text("#health")
    assert "No batch is." in tab.text("#trouble")
    assert tab.text("#accounts").count("answers") == 2
    world.photograph("moving")

    # A vendor's word is text, and nothing of it is run; labels do not show, nor the URL of a receiver.
    until(lambda: HOSTILE[:30] in tab.text("#attention"))
    assert tab.run("document.images.length") == 0
    html = tab.run("document.documentElement.outerHTML")
    assert "test-label-secret" not in html
    assert "test-planted-path" not in html

    # Batches end.
    until(lambda: numbers(tab)["succeeded"] >= 3)

    # A vendor goes down, and a destination fails.
    port = int(world.believe.url.rsplit(":", 1)[1])
    world.believe.stop()
    world.status = 500
    until(lambda: "polls of believe fail" in tab.text("#health"))
    until(lambda: numbers(tab)["cannot be read"] > 0)
    assert "cannot connect" in tab.text("#trouble")
    assert "TransportError" in tab.text("#accounts")
    until(lambda: "failed" in tab.text("#deliveries") and "wait" in tab.text("#deliveries"))
    world.photograph("trouble")
    until(lambda: "Not ready" in tab.text("#health"), 120.0)
    assert "believe: no poll has succeeded for" in tab.text("#health")
    assert ready(world.service.url) == 503

    # Both are well again.
    world.believe.start(port)
    world.status = 200
    until(lambda: "Ready: polls and writes succeed." in tab.text("#health"), 120.0)
    until(lambda: numbers(tab)["cannot be read"] == 0, 120.0)
    until(lambda: "all arrived" in tab.text("#deliveries"), 120.0)
    assert ready(world.service.url) == 200

    assert tab.run("window.isTheSame")
    assert tab.complaints == []
    loaded = tab.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(loaded) > 2
    assert all(name.startswith(world.service.url) for name in loaded)


def ready(url: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}readyz") as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_page_says_that_the_service_is_gone(world, environ, tmp_path):
    """It keeps what it has, says since when that is, and goes on by itself with the next service."""
    tab = world.tab
    world.add_sixty()
    tab.open(world.service.url)
    until(lambda: numbers(tab)["open"] >= 57)
    address = world.service.url.removeprefix("http://").rstrip("/")
    assert world.service.end() == 0
    until(lambda: "connection lost since" in tab.text("#connection"))
    assert numbers(tab)["open"] >= 50
    world.photograph("lost")
    with serving(environ, tmp_path, "--store", world.store.path, address=address):
        until(lambda: tab.text("#connection") == "live")


def test_selected_text_stays(world):
    """Whoever copies a ref is not interrupted; news show afterwards."""
    tab = world.tab
    world.add_sixty()
    tab.open(world.service.url)
    until(lambda: "PENDING_APPROVAL" in tab.text("#attention"))
    tab.run("getSelection().selectAllChildren(document.querySelector('#attention .ref'))")
    chosen = tab.run("getSelection().toString()")
    before = tab.text("#changes")
    changed = len(world.store.changes())
    until(lambda: len(world.store.changes()) > changed + 20)
    assert tab.run("getSelection().toString()") == chosen != ""
    tab.run("getSelection().removeAllRanges()")
    until(lambda: tab.text("#changes") != before)


@pytest.mark.parametrize(("width", "dark"), SIZES)
def test_the_page_fits(world, width, dark):
    """No width makes a person scroll sideways, no text is cut off, and the colours are the person's."""
    tab = world.tab
    world.add_sixty()
    tab.look(width, dark=dark)
    tab.open(world.service.url)
    until(lambda: "PENDING_APPROVAL" in tab.text("#attention") and numbers(tab)["open"] >= 57)
    assert tab.run("document.documentElement.scrollWidth") <= width
    is_cut = "(one) => one.clientWidth && one.scrollWidth > one.clientWidth + 1"
    assert tab.run(f"[...document.querySelectorAll('main *')].filter({is_cut}).map((one) => one.outerHTML)") == []
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b)"
    assert (tab.run(brightness) < 384) is dark
    columns = "getComputedStyle(document.querySelector('main')).gridTemplateColumns.split(' ').length"
    assert tab.run(columns) == (1 if width < 900 else 2)


def test_the_page_is_readable_without_scripts(world):
    """Without scripts it is as of its loading, and loads itself again."""
    world.add_sixty()
    until(lambda: all(tracked.read_at for tracked in world.store.tracked()))
    world.tab.scripts(on=False)
    world.tab.open(world.service.url)
    until(lambda: "PENDING_APPROVAL" in world.tab.text("#attention"))
    assert world.tab.text("#connection").startswith("as of 20")
