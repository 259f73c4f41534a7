"""What the nurse sees of AF: alarm, rhythm now, burden, and the panel of one bed."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from alarms.alarm import Kind
from stream.states import EpisodeState, RhythmState

from .conftest import Api
from .ward import LiveWard, rhythm_state

REASON = "irregular RR, no repeating P wave"
MINUTE = 60_000.0
# For each of the sixty seconds of the strip: height of its bar as a share, or null where it is neither bar nor ground.
BARS = """() => {
  const canvas = document.getElementById("panel-evidence");
  const { width, height } = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  return Array.from({ length: 60 }, (_, second) => {
    const x = Math.floor((second + 0.4) * width / 60);
    let tall = 0;
    let blank = 0;
    for (let y = 0; y < height; y += 1) {
      const [r, g, b] = data.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
      if (r > 150 && b > 200) tall += 1;
      else if (r === 0x23 && g === 0x2d && b === 0x36) blank += 1;
    }
    return blank === height ? null : tall / height;
  });
}"""


def sector(bed: str) -> str:
    """Selector of the bed's sector."""
    return f'bed-sector[data-bed="{bed}"]'


def af_state(**changes: Any) -> RhythmState:
    """A bed in AF that cannot be told from flutter with certainty, and two episodes."""
    now = 1000.0 * int(time.time())
    episodes = (
        EpisodeState(kind="af", onset_ms=now - 90 * MINUTE, offset_ms=now - 25 * MINUTE, confirmed=True),
        EpisodeState(kind="af", onset_ms=now - 2 * MINUTE, offset_ms=None, confirmed=False),
    )
    fields: dict[str, Any] = {
        "provisional": True,
        "probabilities": {"sinus": 0.01, "af": 0.83, "flutter": 0.14, "other": 0.02, "noise": 0.0, "pvc": 0.3},
        "prediction_set": ("af", "flutter"),
        "burden": 0.1234,
        "af_s": 2 * 3600 + 53 * 60.0,
        "longest_s": 65 * 60.0,
        "episodes": episodes,
    }
    return rhythm_state("af", **fields | changes)


@pytest.fixture
def js(api: Api, open_page: Callable[[str], Page]) -> Callable[..., Any]:
    """Runs the body of an async function in the page with the words of rhythm at hand."""
    page = open_page(api.address)

    def run(body: str, argument: Any = None) -> Any:
        return page.evaluate(
            f'async (argument) => {{ const r = await import("/js/rhythm.js"); return {body} }}', argument
        )

    return run


def test_what_else_it_may_be_is_said_and_nothing_more(js: Callable[..., Any]) -> None:
    """A set of one adds nothing; of more, each is named; a set without the named rhythm never claims it."""
    cases = [["af"], ["af", "flutter"], ["flutter", "af", "other"], [], ["sinus"]]
    assert js('argument.map(set => r.certaintyText(set, "af"));', cases) == [
        "",
        "AF, or flutter: not certain",
        "AF, or flutter or other rhythm: not certain",
        "",
        "Sinus rhythm: not certain",
    ]


def test_shares_and_times_are_never_rounded_into_something_else(js: Callable[..., Any]) -> None:
    """A little AF is not 0 %, a little sinus rhythm does not vanish behind 100 %, seconds are no 00:00."""
    assert js("argument.map(r.percentText);", [0, 0.0004, 0.126, 0.996, 1]) == ["0 %", "<1 %", "13 %", ">99 %", "100 %"]
    assert js("argument.map(r.hoursText);", [0, 59.9, 60, 10_380, 86_400]) == ["0 s", "59 s", "00:01", "02:53", "24:00"]


def test_without_the_networks_word_there_is_no_rhythm(js: Callable[..., Any]) -> None:
    """No finding, no judgement, a dead connection, a useless signal: a dash, never a rhythm and never "normal"."""
    good = {"connection": "live", "usable": True, "rhythm": {"now": "af", "provisional": True}}
    cases: list[dict[str, Any]] = [
        {}, {"rhythm": None}, {"rhythm": {"now": None, "provisional": False}}, {"usable": False},
        {"connection": "offline"}, {"connection": "behind"}, {"connection": "unreported"},
    ]  # fmt: skip
    assert js("argument.map(r.rhythmText);", [good | case for case in cases]) == ["AF?"] + ["–"] * 6


def test_a_bed_without_findings_shows_nothing_invented(wall: Page) -> None:
    """On the wall and in the panel: a dash, no burden, no probabilities, no strip, and it says that this is unknown."""
    there = wall.locator(sector("1"))
    expect(there.locator(".rhythm")).to_have_text("rhythm: –")
    expect(there).to_have_attribute("aria-label", re.compile("rhythm not known"))
    there.click()
    expect(wall.locator("#panel-rhythm")).to_have_text("–")
    expect(wall.locator("#panel-certainty")).to_have_text("Nothing is judged now.")
    expect(wall.locator("#panel-rows li")).to_have_count(0)
    expect(wall.locator("#panel-burden")).to_have_text("–")
    expect(wall.locator("#panel-no-episodes")).to_have_text("Not known.")
    expect(wall.locator("#panel-table")).to_be_hidden()
    expect(wall.locator("#panel-model")).to_have_text("No finding of the network for this bed.")
    assert wall.evaluate(BARS) == [0] * 60
    assert "normal" not in wall.locator("#bed-panel").inner_text().lower()


def test_rhythm_and_burden_stand_in_the_sector(wall: Page, ward: LiveWard) -> None:
    """AF? until it is confirmed, then AF; share of the day or of what there was of it, hours and longest episode; gone
    when the network falls silent.
    """
    there = wall.locator(sector("2"))
    ward.set("2", rhythm=af_state())
    try:
        expect(there.locator(".rhythm-now")).to_have_text("rhythm: AF?")
        expect(there.locator(".burden-now")).to_have_text("AF 24 h 12 %02:53longest 01:05")
        ward.set("2", rhythm=af_state(provisional=False))
        expect(there.locator(".rhythm-now")).to_have_text("rhythm: AF")
        ward.set("2", rhythm=af_state(burden=0.7, analysed_s=36.0, af_s=25.2, longest_s=25.2))
        expect(there.locator(".burden-now")).to_have_text("AF 70 % of 36 s25 slongest 25 s")
        ward.set("2", rhythm=rhythm_state(None, burden=None, analysed_s=0.0))
        expect(there.locator(".rhythm")).to_have_text("rhythm: –")
        expect(there).to_have_attribute("data-rhythm", "unknown")
    finally:
        ward.set("2", rhythm=None)


def test_an_af_alarm_is_provisional_then_confirmed_then_over(wall: Page, ward: LiveWard) -> None:
    """Stars, onset, reason and doubt from the first word on; the end names offset and duration, and is spoken."""
    ward.begin_alarm("3", Kind.AF, "AF?", ago_s=14, reason=REASON, prediction_set=("af", "flutter"))
    banner = wall.locator("#banner-alarms li")
    row = wall.locator("#list-active li")
    announcer = wall.locator("#announcer")
    expect(wall.locator(sector("3") + " .alarm")).to_have_text("** AF?")
    expect(wall.locator(sector("3"))).to_have_attribute("data-priority", "medium")
    expect(banner).to_contain_text(
        re.compile(r"\*\*Bed 3AF\?.*AF, or flutter: not certain.*since \d\d:\d\d:\d\d, \d+ s")
    )
    expect(row.locator(".why")).to_have_text(f"AF, or flutter: not certain · {REASON}")
    expect(announcer).to_have_text(f"MEDIUM alarm, Bed 3: AF?, AF, or flutter: not certain · {REASON}.")

    ward.confirm_alarm("3", Kind.AF, "AF", prediction_set=("af",))
    expect(row.locator(".text")).to_have_text("AF")
    expect(row.locator(".why")).to_have_text(REASON)
    expect(announcer).to_have_text(f"MEDIUM alarm, Bed 3: AF, {REASON}.")

    started = ward.alarm("3", Kind.AF).onset
    ward.end_alarm("3", Kind.AF, offset=started + 500 * 12)
    ended = wall.locator("#list-ended li").first
    expect(ended).to_contain_text(re.compile(r"AF.*\d\d:\d\d:\d\d–\d\d:\d\d:\d\d, 12 s"))
    expect(announcer).to_have_text("Ended, Bed 3: AF, after 12 s.")
    expect(wall.locator("#banner-alarms li")).to_have_count(0)


def test_flutter_is_low_and_an_old_end_is_not_spoken(wall: Page, ward: LiveWard) -> None:
    """One star in cyan; and who opens the page later is not told of what was over before."""
    ward.begin_alarm("1", Kind.FLUTTER, "Flutter?", prediction_set=("flutter", "af"))
    expect(wall.locator(sector("1"))).to_have_attribute("data-priority", "low")
    expect(wall.locator(sector("1") + " .alarm")).to_have_text("* Flutter?")
    expect(wall.locator("#list-active .why")).to_have_text("Flutter, or AF: not certain")
    ward.end_alarm("1", Kind.FLUTTER)
    expect(wall.locator("#announcer")).to_have_text(re.compile("^Ended, Bed 1: Flutter"))
    wall.reload()
    expect(wall.locator("#list-ended li").first).to_contain_text("Flutter?")
    expect(wall.locator("#announcer")).to_have_text("")


def test_the_panel_opens_and_closes_by_keyboard(wall: Page) -> None:
    """Enter on a bed opens its panel, Escape closes it and leads back to the bed; no bed is covered meanwhile."""
    focused = "() => document.activeElement.id || document.activeElement.dataset.bed"
    panel = wall.locator("#bed-panel")
    expect(panel).to_be_hidden()
    wall.locator(sector("1")).focus()
    wall.keyboard.press("ArrowRight")
    wall.keyboard.press("Enter")
    expect(panel).to_be_visible()
    expect(wall.locator("#panel-bed")).to_have_text("Bed 2")
    expect(wall.locator(sector("2"))).to_have_attribute("aria-expanded", "true")
    assert wall.evaluate(focused) == "bed-panel"
    edge = panel.bounding_box()
    assert edge is not None
    wall.wait_for_function(
        """edge => [...document.querySelectorAll("bed-sector")].every(each => {
        const place = each.getBoundingClientRect();
        return place.right <= edge && place.bottom <= innerHeight && place.width > 100; })""",
        arg=edge["x"],
    )
    expect(wall.locator("#alarm-list")).to_be_visible()
    wall.keyboard.press("Tab")
    assert wall.evaluate(focused) == "panel-close"
    wall.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    assert wall.evaluate(focused) == "2"
    expect(wall.locator(sector("2"))).to_have_attribute("aria-expanded", "false")
    wall.keyboard.press("Space")
    expect(panel).to_be_visible()
    wall.keyboard.press("Tab")
    wall.keyboard.press("Enter")
    expect(panel).to_be_hidden()


def test_the_panel_tells_what_the_network_says(wall: Page, ward: LiveWard) -> None:
    """Probabilities with their set, burden, episodes newest first, and the hash of the weights."""
    ward.set("2", rhythm=af_state())
    try:
        wall.locator(sector("2")).click()
        expect(wall.locator("#panel-rhythm")).to_have_text("AF?")
        expect(wall.locator("#panel-certainty")).to_have_text("Provisional. AF, or flutter: not certain")
        rows = wall.locator("#panel-rows li")
        expect(rows).to_have_text(
            ["AF83 %possible", "Flutter14 %possible", "Sinus rhythm1 %", "Other rhythm2 %", "Noise0 %", "PVC30 %"]
        )
        width = rows.nth(0).locator(".fill").evaluate("each => each.offsetWidth / each.parentElement.offsetWidth")
        assert abs(width - 0.83) < 0.02
        expect(wall.locator("#panel-burden")).to_have_text("12 %")
        expect(wall.locator("#panel-burden-note")).to_have_text("02:53 of 23:10 analysed · longest 01:05")
        episodes = wall.locator("#panel-episodes tr")
        expect(episodes.nth(0)).to_contain_text(
            re.compile(r"^AF\?.*lasts2 minprovisional|^AF\?.*lasts2 min \d+ sprovisional")
        )
        expect(episodes.nth(1)).to_contain_text(re.compile(r"^AF.*\d\d:\d\d:\d\d.*1 h 05 minconfirmed$"))
        expect(wall.locator("#panel-model")).to_have_text("Model 4be1c0de90a7f215")

        ward.set("2", usable=False)
        expect(wall.locator("#panel-rhythm")).to_have_text("–")
        expect(rows).to_have_count(0)
        expect(episodes).to_have_count(2)
    finally:
        ward.set("2", usable=True, rhythm=None)


def test_the_strip_draws_what_it_is_given(wall: Page, ward: LiveWard) -> None:
    """Each second at its height, newest at the right; what was not judged is grey, what was not sent stays empty."""
    given = (0.25,) * 10 + (-1.0,) * 5 + (1.0,) * 10 + (0.0,) * 5
    ward.set("10", rhythm=rhythm_state("af", evidence=given))
    try:
        wall.locator(sector("10")).click()
        strip = wall.locator("#panel-evidence")
        expect(strip).to_have_attribute("aria-label", "AF evidence, last 30 s: 10 s at or above 50 %, 5 s not judged")
        bars = wall.evaluate(BARS)
        assert bars[:30] == [0] * 30
        assert all(abs(bar - 0.25) < 0.03 for bar in bars[30:40])
        assert bars[40:45] == [None] * 5
        assert all(bar > 0.95 for bar in bars[45:55])
        assert all(0 < bar < 0.06 for bar in bars[55:])
        ward.set("10", rhythm=None)
        expect(strip).to_have_attribute("aria-label", "AF evidence: none judged")
        assert wall.evaluate(BARS) == [0] * 60
    finally:
        ward.set("10", rhythm=None)
