"""A server that goes away and comes back: the wall says so at once, and misses nothing."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from alarms.alarm import Kind
from stream.embedded.server import ValkeyServer

from .conftest import Api
from .ward import LiveWard


def test_a_dead_server_is_told_at_once_and_what_was_missed_is_shown(api: Api, ward: LiveWard, wall: Page) -> None:
    """Within 5 s nothing looks live; after the server's return the alarms of the meantime are there, once."""
    ward.begin_alarm("1", Kind.BRADY, "HR 44 < 50")
    expect(wall.locator("#banner-alarms li")).to_have_count(1)
    api.kill()
    expect(wall.locator("#lost")).to_be_visible(timeout=5000)
    expect(wall.locator("#lost")).to_contain_text("NO CONNECTION TO THE SERVER")
    expect(wall.locator('bed-sector[data-stale="false"]')).to_have_count(0)
    for rate in wall.locator("bed-sector .hr").all():
        expect(rate).to_have_text("---")

    ward.end_alarm("1", Kind.BRADY)
    ward.begin_alarm("3", Kind.PAUSE, "PAUSE 3.4 s")
    api.start()
    expect(wall.locator("#lost")).to_be_hidden(timeout=10_000)
    banner = wall.locator("#banner-alarms li")
    expect(banner).to_have_count(1)
    expect(banner).to_contain_text("PAUSE 3.4 s")
    expect(wall.locator("#list-ended li")).to_have_count(1)
    expect(wall.locator('bed-sector[data-stale="false"]')).to_have_count(len(ward.beds))
    expect(wall.locator('bed-sector[data-bed="1"] .hr')).to_have_text(re.compile(r"\d+"))
    ward.end_alarm("3", Kind.PAUSE)


# Writes down all that the banner showed and the announcer said, from the first moment of the page on.
WITNESS = """
  window.shown = new Set();
  new MutationObserver(() => {
    for (const at of document.querySelectorAll("#announcer, #banner-alarms .text")) {
      if (at.textContent) window.shown.add(at.textContent);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true });
"""


def test_who_opens_the_wall_hears_nothing_of_what_is_over(wall: Page, ward: LiveWard) -> None:
    """Hundreds of alarms come and go while the log is read from its beginning: only what stands is shown and said."""
    for i in range(150):
        ward.begin_alarm("2", Kind.ASYSTOLE, f"ASYSTOLE {i}", ago_s=300 - i)
        ward.end_alarm("2", Kind.ASYSTOLE)
    ward.begin_alarm("3", Kind.AF, "AF?")
    expect(wall.locator("#banner-alarms li")).to_contain_text("AF?")
    wall.add_init_script(WITNESS)
    wall.reload()
    expect(wall.locator("#banner-alarms li")).to_contain_text("AF?")
    expect(wall.locator("#announcer")).to_have_text("MEDIUM alarm, Bed 3: AF?.")
    assert wall.evaluate("[...window.shown].sort()") == ["AF?", "MEDIUM alarm, Bed 3: AF?."]
    ward.end_alarm("3", Kind.AF)


def test_a_store_that_is_gone_is_told_and_its_successor_read_from_the_start(
    tmp_path: Path, open_page: Callable[[str], Page]
) -> None:
    """Without its store the server knows nothing: the wall says so. A new, empty log takes the old alarms with it."""
    store = ValkeyServer(tmp_path)
    store.start()
    api = Api(store.url)
    api.start()
    ward, closed = LiveWard(store.url, ["1", "2"], frames=False), False
    try:
        page = open_page(api.link())
        ward.begin_alarm("1", Kind.TACHY, "HR 134 > 120")
        ward.begin_alarm("2", Kind.ASYSTOLE, "ASYSTOLE")
        expect(page.locator("#banner-alarms li")).to_have_count(2)
        ward.close()
        closed = True
        store.kill()
        expect(page.locator("#lost")).to_contain_text("NO LIVE DATA FROM THE SERVER", timeout=8000)
        expect(page.locator("#lost")).to_be_visible()
        for rate in page.locator("bed-sector .hr").all():
            expect(rate).to_have_text("---")

        store.start()
        ward, closed = LiveWard(store.url, ["1", "2"], frames=False), False
        ward.begin_alarm("1", Kind.BRADY, "HR 41 < 50")
        expect(page.locator("#lost")).to_be_hidden(timeout=10_000)
        expect(page.locator("#banner-alarms li")).to_have_count(1, timeout=8000)
        expect(page.locator("#banner-alarms li")).to_contain_text("HR 41 < 50")
    finally:
        if not closed:
            ward.close()
        api.kill()
        store.stop()
