"""The wall as a nurse sees it: real browser, real API, real store."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from alarms.alarm import Kind

from .conftest import Api
from .ward import LiveWard

SEEN_MS = 2000  # an alarm is to be seen within a second; the other second is for a busy machine
# The picture of a trace as a number: any sample drawn changes it.
FINGERPRINT = """(bed) => {
  const canvas = document.querySelector(`bed-sector[data-bed="${bed}"] canvas`);
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + 7 * data[i + 1]) >>> 0;
  return sum;
}"""
# Columns without a pixel of the trace's green, as runs (first, length).
EMPTY_COLUMNS = """(bed) => {
  const canvas = document.querySelector(`bed-sector[data-bed="${bed}"] canvas`);
  const { width, height } = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const runs = [];
  let run = 0;
  for (let x = 0; x <= width; x += 1) {
    let drawn = x === width;
    for (let y = 0; y < height && !drawn; y += 1) {
      const at = 4 * (y * width + x);
      drawn = data[at + 1] > 140 && data[at] < 120;
    }
    if (!drawn) run += 1;
    else { if (run > 0) runs.push([x - run, run]); run = 0; }
  }
  return runs;
}"""


def sector(bed: str) -> str:
    """Selector of the bed's sector."""
    return f'bed-sector[data-bed="{bed}"]'


def test_the_font_is_the_ward_s_own(wall: Page) -> None:
    """What fits on a wall must not depend on the fonts of the computer that shows it."""
    cdp = wall.context.new_cdp_session(wall)
    for each in ("DOM", "CSS"):
        cdp.send(f"{each}.enable")
    root = cdp.send("DOM.getDocument")["root"]["nodeId"]
    for selector in (".bar h1", "bed-sector .hr", "bed-sector .limits"):
        node = cdp.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        fonts = cdp.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert [(font["familyName"], font["isCustomFont"]) for font in fonts] == [("Arimo", True)], selector


def test_every_bed_is_there_in_natural_order_with_its_rate(wall: Page, ward: LiveWard) -> None:
    """Bed 10 stands after 3, each with rate, limits and both leads, and nothing needs scrolling."""
    names = wall.eval_on_selector_all("bed-sector", "all => all.map(each => each.dataset.bed)")
    assert names == ["1", "2", "3", "10"]
    for name, bed in ward.beds.items():
        expect(wall.locator(sector(name) + " .hr")).to_have_text(f"{bed.state.hr_bpm:.0f}")
        expect(wall.locator(sector(name) + " .limits")).to_have_text("50–120")
        assert wall.locator(sector(name) + " .lead").all_text_contents() == ["II", "V1"]
    fits = wall.evaluate(
        """() => document.documentElement.scrollHeight <= innerHeight
        && [...document.querySelectorAll("bed-sector")].map(each => each.getBoundingClientRect())
        .every(place => place.bottom <= innerHeight && place.right <= innerWidth)"""
    )
    assert fits
    expect(wall.locator(".foot")).to_contain_text("The bedside monitor remains the primary alarm")


def test_traces_move_behind_one_erase_bar(wall: Page) -> None:
    """The picture changes, and once a sweep is full there is one gap in it: old and new never touch."""
    before = wall.evaluate(FINGERPRINT, "1")
    wall.wait_for_function(f"before => ({FINGERPRINT})('1') !== before", arg=before)
    full = f"() => ({EMPTY_COLUMNS})('1').reduce((sum, run) => sum + run[1], 0) < 20"
    wall.wait_for_function(full, timeout=15_000)
    gaps = [length for _, length in wall.evaluate(EMPTY_COLUMNS, "1")]
    assert 10 <= sum(gaps) < 20
    assert len(gaps) <= 2  # two where the bar reaches over the edge


def test_a_bed_that_falls_silent_is_greyed_and_then_starts_on_a_bare_grid(wall: Page, ward: LiveWard) -> None:
    """A frozen trace is never shown as live, nor the rate, nor the old trace once the bed speaks again."""
    there = wall.locator(sector("2"))
    ward.beds["2"].sending = False
    try:
        expect(there).to_have_attribute("data-stale", "true", timeout=5000)
        expect(there.locator(".no-data")).to_be_visible()
        assert float(there.locator("canvas").evaluate("each => getComputedStyle(each).opacity")) < 0.5
        expect(there).to_have_attribute("data-connection", "offline", timeout=6000)
        expect(there.locator(".hr")).to_have_text("---")
        expect(there.locator(".inops")).not_to_be_empty()
        expect(wall.locator("#list-active")).to_contain_text("INOP")
        expect(wall.locator(sector("1"))).to_have_attribute("data-stale", "false")
    finally:
        ward.beds["2"].sending = True
    expect(there).to_have_attribute("data-stale", "false")
    wall.wait_for_timeout(700)
    width = there.locator("canvas").evaluate("each => each.width")
    assert max(length for _, length in wall.evaluate(EMPTY_COLUMNS, "2")) > width / 3
    expect(there.locator(".hr")).to_have_text("97")


def test_what_was_not_measured_leaves_a_blank(wall: Page, ward: LiveWard) -> None:
    """Both leads lose their signal: no line is drawn across the hole."""
    wall.wait_for_function(f"() => ({EMPTY_COLUMNS})('3').every(run => run[1] < 20)", timeout=15_000)
    ward.beds["3"].off = ("II", "V1")
    try:
        wall.wait_for_function(f"() => ({EMPTY_COLUMNS})('3').some(run => run[1] > 60)")
        expect(wall.locator(sector("3"))).to_have_attribute("data-stale", "false")
    finally:
        ward.beds["3"].off = ()


def test_a_lead_that_is_off_is_replaced_and_named(wall: Page, ward: LiveWard) -> None:
    """The nearest lead takes its slot under its own name, and the sector says which lead is off."""
    there = wall.locator(sector("3"))
    quality = ward.beds["3"].state.quality
    ward.set("3", quality=quality | {"II": "off", "V1": "noisy"})
    try:
        expect(there.locator(".quality")).to_have_text("II off, V1 noisy")
        assert there.locator(".lead").all_text_contents() == ["I", "V1"]
    finally:
        ward.set("3", quality=quality)
    expect(there.locator(".lead").first).to_have_text("II")


def test_a_rate_that_cannot_be_told_is_no_number(wall: Page, ward: LiveWard) -> None:
    """An unusable signal shows -?- and says so, not the last number."""
    there = wall.locator(sector("10"))
    ward.set("10", usable=False)
    try:
        expect(there.locator(".hr")).to_have_text("-?-")
        expect(there.locator(".quality")).to_have_text("NOT USABLE")
    finally:
        ward.set("10", usable=True)
    expect(there.locator(".hr")).to_have_text(re.compile(r"\d+"))


def test_an_alarm_is_seen_within_a_second_and_ends(wall: Page, ward: LiveWard) -> None:
    """Written to the log: on the banner, on the bed and in the list within 1 s, with stars and words; then it ends."""
    ward.begin_alarm("2", Kind.TACHY, "HR 134 > 120")
    banner = wall.locator("#banner-alarms li")
    expect(banner).to_have_count(1, timeout=SEEN_MS)
    expect(banner).to_contain_text(re.compile(r"\*\*.*Bed 2.*HR 134 > 120.*since \d\d:\d\d:\d\d"))
    there = wall.locator(sector("2"))
    expect(there).to_have_attribute("data-priority", "medium")
    expect(there.locator(".alarm")).to_have_text("** HR 134 > 120")
    expect(wall.locator("#list-active li")).to_have_count(1)
    expect(wall.locator("#announcer")).to_have_text("MEDIUM alarm, Bed 2: HR 134 > 120.")

    ward.begin_alarm("10", Kind.ASYSTOLE, "ASYSTOLE")
    expect(banner).to_have_count(2, timeout=SEEN_MS)
    expect(banner.first).to_contain_text("ASYSTOLE")
    expect(banner.first).to_contain_text("***")

    ward.end_alarm("10", Kind.ASYSTOLE)
    ward.end_alarm("2", Kind.TACHY)
    expect(banner).to_have_count(0, timeout=SEEN_MS)
    expect(there).to_have_attribute("data-priority", "none")
    expect(wall.locator("#list-ended li").first).to_contain_text("HR 134 > 120")
    expect(wall.locator("#banner-calm")).to_have_text("No active alarms")


def test_what_the_banner_names_is_whole(wall: Page, ward: LiveWard) -> None:
    """Protects onset and age of an alarm from the edge of its box: three of usual length stand there whole, of longer
    ones fewer, and the counts go on to say how many there are."""
    rows = wall.locator("#banner-alarms .row:visible")
    cut = "rows => rows.filter(row => row.scrollWidth > row.clientWidth).map(row => row.textContent)"
    usual = (
        ("1", Kind.ASYSTOLE, "ASYSTOLE 14.1 s"),
        ("10", Kind.AF, "AF? HR 108"),
        ("3", Kind.SIGNAL_POOR, "SIGNAL POOR"),
    )
    longer = ("2", Kind.LEADS_OFF, "LEADS OFF I, II, III, aVR, aVL, aVF, V1, V2, V3")
    begun: list[tuple[str, Kind]] = []
    try:
        for bed, kind, text in usual:
            ward.begin_alarm(bed, kind, text)
            begun.append((bed, kind))
        expect(rows).to_have_count(3)
        expect(rows.last.locator(".elapsed")).to_have_text(re.compile(r"\d+ s"))
        assert rows.evaluate_all(cut) == []
        ward.end_alarm(*begun.pop())
        ward.begin_alarm(*longer)
        begun.append(longer[:2])
        expect(wall.locator("#banner-counts")).to_have_text("1\u00a0HIGH · 1\u00a0MEDIUM · 1\u00a0INOP")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("ASYSTOLE 14.1 s")
        assert rows.evaluate_all(cut) == []
        wall.set_viewport_size({"width": 1920, "height": 720})
        expect(rows).to_have_count(3)
        assert rows.evaluate_all(cut) == []
    finally:
        for bed, kind in begun:
            ward.end_alarm(bed, kind)


def test_nothing_flashes_faster_than_three_hertz(wall: Page, ward: LiveWard) -> None:
    """High flashes at 1.4–2.8 Hz, medium at 0.4–0.8 Hz, and nothing at all for who asked for less motion."""
    ward.begin_alarm("1", Kind.ASYSTOLE, "ASYSTOLE")
    ward.begin_alarm("3", Kind.BRADY, "HR 44 < 50")
    rates = """() => Object.fromEntries([...document.querySelectorAll("bed-sector")].map(each => [each.dataset.bed,
        each.getAnimations({ subtree: true }).map(flash => 1000 / flash.effect.getComputedTiming().duration)]))"""
    try:
        expect(wall.locator(sector("1"))).to_have_attribute("data-priority", "high")
        expect(wall.locator(sector("3"))).to_have_attribute("data-priority", "medium")
        found = wall.evaluate(rates)
        assert [1.4 <= rate <= 2.8 for rate in found["1"]] == [True]
        assert [0.4 <= rate <= 0.8 for rate in found["3"]] == [True]
        assert found["2"] == []
        wall.emulate_media(reduced_motion="reduce")
        assert wall.evaluate(rates)["1"] == []
    finally:
        ward.end_alarm("1", Kind.ASYSTOLE)
        ward.end_alarm("3", Kind.BRADY)


def test_the_keyboard_goes_everywhere(wall: Page, ward: LiveWard) -> None:
    """From an alarm in the list to its bed by Enter, from bed to bed by arrows, and the list opens and closes."""
    ward.begin_alarm("3", Kind.BRADY, "HR 44 < 50")
    focused = "() => document.activeElement.dataset.bed"
    try:
        wall.locator("#list-active button").focus()
        wall.keyboard.press("Enter")
        assert wall.evaluate(focused) == "3"
        wall.keyboard.press("ArrowRight")
        assert wall.evaluate(focused) == "10"
        wall.keyboard.press("Home")
        assert wall.evaluate(focused) == "1"
    finally:
        ward.end_alarm("3", Kind.BRADY)
    wall.locator("#list-toggle").focus()
    wall.keyboard.press("Enter")
    expect(wall.locator("#alarm-list")).to_be_hidden()
    wall.keyboard.press("Enter")
    expect(wall.locator("#alarm-list")).to_be_visible()


def test_sound_is_off_until_a_person_touched_the_page_and_the_wall_says_so(wall: Page) -> None:
    """AUDIO OFF stands there from the start; the button turns it on and off again."""
    button = wall.locator("#audio")
    expect(button).to_have_text("AUDIO OFF")
    button.click()
    expect(button).to_have_text("Audio on")
    button.click()
    expect(button).to_have_text("AUDIO OFF")


def test_speed_and_gain_are_kept(wall: Page) -> None:
    """What a person set stands after the page was loaded again."""
    wall.locator("#speed").select_option("50")
    wall.locator("#gain").select_option("20")
    wall.reload()
    expect(wall.locator("#speed")).to_have_value("50")
    expect(wall.locator("#gain")).to_have_value("20")
    wall.wait_for_selector('bed-sector[data-bed="1"][data-stale="false"]')


def test_the_token_leaves_the_address(wall: Page, api: Api) -> None:
    """Who looks over a shoulder or at the history finds no token."""
    assert wall.url == f"{api.address}/"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (lambda api: api.address + "/", "No access token"),
        (lambda api: api.address + "/#token=none.of.ours", "does not accept"),
    ],
)
def test_without_a_good_token_there_is_no_wall(
    api: Api, open_page: Callable[[str], Page], address: Callable[[Api], str], says: str
) -> None:
    """A plain screen says so; nothing looks as if beds were watched."""
    page = open_page(address(api))
    expect(page.locator("#gate-title")).to_contain_text(says)
    expect(page.locator("#gate")).to_be_visible()
    assert page.locator("bed-sector").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement === document.body")


@pytest.mark.usefixtures("ward")
def test_a_token_that_runs_out_closes_the_wall(api: Api, open_page: Callable[[str], Page]) -> None:
    """A session that ends says so over the whole screen; it does not stand there with old beds."""
    page = open_page(api.link(ttl=4))
    page.wait_for_selector("bed-sector")
    expect(page.locator("#gate-title")).to_have_text("The access token has expired.", timeout=8000)
    expect(page.locator("#gate")).to_be_visible()
