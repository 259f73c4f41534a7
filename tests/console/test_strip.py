"""The strip of an alarm: marks, evidence below it, and what the network looked at."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from alarms.alarm import Kind

from .ward import LiveWard, rhythm_state

FS = 500
SALIENCY = {"II": (0, 0, 0, 100, 50, 0, 0, 0, 25, 0), "V1": (0,) * 10}
ATTENTION = {"joint": 4, "rr_10s": 9, "rr_60s": 31, "atrial": 40, "morphology": 10, "past_minute": 6}
AF: dict[str, Any] = {
    "reason": "irregular RR, no repeating P wave",
    "prediction_set": ("af", "flutter"),
    "saliency": SALIENCY,
    "attention": ATTENTION,
}
# Of a canvas: [r, g, b] at the given x, all rows of pixels; x in seconds from the left end of the strip.
COLUMN = """([id, seconds, samples]) => {
  const canvas = document.getElementById(id);
  const long = document.getElementById("strip-long");
  const scroll = document.getElementById("strip-scroll");
  const x = Math.round((seconds * 500 * long.offsetWidth) / samples - scroll.scrollLeft);
  if (x < 0 || x >= canvas.width) return null;
  const data = canvas.getContext("2d").getImageData(x, 0, 1, canvas.height).data;
  return Array.from({ length: canvas.height }, (_, y) => [...data.slice(4 * y, 4 * y + 3)]);
}"""
# Contrast of two colours as WCAG defines it.
RATIO = """argument => {
  const linear = each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4;
  const level = colour => {
    const [r, g, b] = colour.map(each => linear(each / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = argument.map(level).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
BLUE = (0xA9, 0xC1, 0xFF)


def open_strip(wall: Page, bed: str) -> None:
    """Open the strip of the bed's first alarm and wait until its traces are there."""
    wall.locator(f'bed-sector[data-bed="{bed}"]').click()
    wall.locator("#panel-alarms button").first.click()
    expect(wall.locator("#strip")).to_be_visible()
    expect(wall.locator("#strip-traces")).to_have_attribute("aria-label", re.compile("^I, II, III, aVR"))


def column(wall: Page, ward: LiveWard, bed: str, kind: Kind, canvas: str, seconds: float) -> list[tuple[int, ...]]:
    """Pixels of the canvas at ``seconds`` after the alarm's onset, which must be in view."""
    event = ward.alarm(bed, kind)
    seen = wall.evaluate(COLUMN, [canvas, seconds + 10, event.at - event.onset + 10 * FS])
    assert seen is not None, f"{seconds} s is out of view"
    return [tuple(pixel) for pixel in seen]


def switch(wall: Page, on: bool) -> None:
    """Show what the network looked at, or not."""
    wall.locator("#strip-look").set_checked(on)


def test_the_strip_tells_the_alarm_in_words(wall: Page, ward: LiveWard) -> None:
    """Bed, priority, onset and moment of the alarm, the prediction set and the reason stand above its strip."""
    ward.begin_alarm("3", Kind.AF, "AF? HR 112", ago_s=14, **AF)
    try:
        open_strip(wall, "3")
        expect(wall.locator("#strip-title")).to_have_text("Bed 3 · ** AF? HR 112")
        expect(wall.locator("#strip-when")).to_have_text(re.compile(r"^Onset \d\d:\d\d:\d\d · alarm \d\d:\d\d:\d\d$"))
        expect(wall.locator("#strip-why")).to_have_text("Possible: AF, flutter · irregular RR, no repeating P wave")
        row = wall.locator("#panel-alarms li").first
        expect(row.locator(".why")).to_have_text("Possible: AF, flutter · irregular RR, no repeating P wave")
        expect(row.locator("button")).to_have_attribute("aria-expanded", "true")
    finally:
        ward.end_alarm("3", Kind.AF)


def test_every_lead_has_its_trace(wall: Page, ward: LiveWard) -> None:
    """Twelve rows, and in each of them the trace's green runs through most columns."""
    ward.begin_alarm("3", Kind.AF, "AF?", ago_s=14, **AF)
    try:
        open_strip(wall, "3")
        wall.wait_for_function(
            """() => { const canvas = document.getElementById("strip-traces");
            const { width, height } = canvas;
            const row = (height - 18) / 12;
            const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
            return Array.from({ length: 12 }, (_, lead) => { let drawn = 0;
              for (let x = 60; x < width; x += 1)
                for (let y = Math.ceil(18 + lead * row); y < 18 + (lead + 1) * row; y += 1) {
                  const at = 4 * (Math.floor(y) * width + x);
                  if (data[at + 1] > 110 && data[at] < 100) { drawn += 1; break; }
                }
              return drawn / (width - 60); }).every(share => share > 0.8); }"""
        )
    finally:
        ward.end_alarm("3", Kind.AF)


def test_the_shade_stands_where_the_network_looked_and_only_when_asked(wall: Page, ward: LiveWard) -> None:
    """Second by second behind its lead: none until the toggle is on, the darkest at 100, half at 50, none at 0."""
    ward.begin_alarm("3", Kind.AF, "AF?", ago_s=14, **AF)
    try:
        open_strip(wall, "3")
        event = ward.alarm("3", Kind.AF)
        window = (event.at - event.onset) / FS - 10  # its beginning, seconds after the onset

        def blue(second: float) -> int:
            found = []
            for near in (second - 0.12, second, second + 0.12):  # one of them may be an R wave, from top to bottom
                pixels = column(wall, ward, "3", Kind.AF, "strip-traces", window + near)
                found.append(sorted(b - r for r, _, b in pixels[62:100])[19])  # in lead II; half of it is no trace
            return sorted(found)[1]

        wall.get_by_role("button", name="Alarm", exact=True).click()
        assert max(blue(second + 0.5) for second in range(10)) < 15
        switch(wall, True)
        assert blue(3.7) > blue(4.7) + 30 > blue(8.7) + 50
        assert blue(8.7) > 25
        assert max(blue(second + 0.5) for second in (0, 1, 2, 5, 6, 7, 9)) < 15
        switch(wall, False)
        assert max(blue(second + 0.5) for second in range(10)) < 15
    finally:
        ward.end_alarm("3", Kind.AF)


def test_a_bar_says_in_its_length_what_the_shade_says(wall: Page, ward: LiveWard) -> None:
    """Without any sense of colour: the bar under a second ends at its share of the second."""
    ward.begin_alarm("3", Kind.AF, "AF?", ago_s=14, **AF)
    try:
        open_strip(wall, "3")
        switch(wall, True)
        wall.get_by_role("button", name="Alarm", exact=True).click()
        event = ward.alarm("3", Kind.AF)
        window = (event.at - event.onset) / FS - 10

        def bar(second: float) -> bool:
            return BLUE in column(wall, ward, "3", Kind.AF, "strip-traces", window + second)[19:-8]

        assert [bar(3.2), bar(3.9)] == [True, True]
        assert [bar(4.3), bar(4.7)] == [True, False]
        assert [bar(8.15), bar(8.4)] == [True, False]
    finally:
        ward.end_alarm("3", Kind.AF)


def test_attention_is_listed_in_plain_words(wall: Page, ward: LiveWard) -> None:
    """Largest first, bars as long as their share, and a kind that this page does not know keeps its name."""
    ward.begin_alarm("3", Kind.AF, "AF?", ago_s=14, **AF | {"attention": ATTENTION | {"ppg_pulse": 1}})
    try:
        open_strip(wall, "3")
        expect(wall.locator("#strip-looked")).to_be_hidden()
        switch(wall, True)
        rows = wall.locator("#strip-attention li")
        expect(rows).to_have_text(
            [
                "P and f waves40 %", "RR intervals, 60 s31 %", "Waveform of each lead10 %", "RR intervals, 10 s9 %",
                "The minute before6 %", "All measurements together4 %", "Ppg pulse1 %",
            ]
        )  # fmt: skip
        width = rows.nth(1).locator(".fill").evaluate("each => each.offsetWidth / each.parentElement.offsetWidth")
        assert abs(width - 0.31) < 0.02
        expect(wall.locator("#strip-most")).to_have_text(re.compile(r"^Most in lead II, at \d\d:\d\d:\d\d\.$"))
    finally:
        ward.end_alarm("3", Kind.AF)


def test_attention_is_drawn_second_by_second(wall: Page, ward: LiveWard) -> None:
    """A bar a second, as high as its share of the tallest of all kinds, and in words for who cannot see it; an alarm
    that was told without seconds has none and says nothing of them.
    """
    seconds = {"rr_60s": (0, 10, 20, 30, 40, 50, 60, 70, 80, 80), "atrial": (40,) * 10}
    ward.begin_alarm("3", Kind.AF, "AF?", ago_s=14, **AF | {"attention_by_second": seconds})
    ward.begin_alarm("2", Kind.AF, "AF?", ago_s=14, **AF)
    try:
        open_strip(wall, "3")
        switch(wall, True)
        rows = wall.locator("#strip-attention li")
        bars = rows.nth(1).locator(".seconds")
        expect(bars).to_have_attribute("aria-label", "second by second: 0, 10, 20, 30, 40, 50, 60, 70, 80, 80 %")
        heights = "each => [...each.children].map(bar => bar.offsetHeight / each.clientHeight)"
        assert bars.evaluate(heights) == pytest.approx([second / 80 for second in seconds["rr_60s"]], abs=0.05)
        assert rows.nth(0).locator(".seconds").evaluate(heights) == pytest.approx([0.5] * 10, abs=0.05)
        assert rows.nth(2).locator(".seconds > span").count() == 0
        expect(wall.locator("#strip-tallest")).to_have_text(", then second by second (the tallest bar is 80 %)")
        names = "rows => rows.every(row => row.children[0].scrollWidth <= row.children[0].clientWidth)"
        assert rows.evaluate_all(names), "a name runs into its bars"
        wall.keyboard.press("Escape")
        open_strip(wall, "2")
        assert wall.locator("#strip-attention .seconds > span").count() == 0
        expect(wall.locator("#strip-tallest")).to_have_text("")
    finally:
        ward.end_alarm("3", Kind.AF)
        ward.end_alarm("2", Kind.AF)


def test_onset_and_end_are_marked(wall: Page, ward: LiveWard) -> None:
    """A white line from top to bottom at the onset, and after the end at the offset; a button leads to each."""
    ward.begin_alarm("3", Kind.AF, "AF?", ago_s=14, **AF)
    ended = False
    white = (0xEE, 0xF3, 0xF7)

    def line(seconds: float) -> float:
        around = [
            column(wall, ward, "3", Kind.AF, "strip-traces", seconds + step).count(white) for step in (-0.01, 0, 0.01)
        ]
        return max(around) / len(column(wall, ward, "3", Kind.AF, "strip-traces", seconds))

    try:
        open_strip(wall, "3")
        jumps = wall.locator("#strip-jumps button")
        expect(jumps).to_have_text(["Onset", "Alarm"])
        jumps.nth(0).click()
        assert line(0) > 0.8
        assert line(2.5) < 0.1
        started = ward.alarm("3", Kind.AF)
        ward.end_alarm("3", Kind.AF, offset=started.onset + 9 * FS)
        ended = True
        expect(jumps).to_have_text(["Onset", "End", "Alarm"])
        expect(wall.locator("#strip-when")).to_have_text(re.compile(r"end \d\d:\d\d:\d\d, after 9 s$"))
        expect(wall.locator("#panel-alarms li strong").first).to_have_text("Ended: AF?")
        jumps.nth(1).click()
        seen = wall.evaluate(
            """() => { const canvas = document.getElementById("strip-traces");
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return Array.from({ length: canvas.width }, (_, x) => { let n = 0;
              for (let y = 0; y < canvas.height; y += 1) n += data[4 * (y * canvas.width + x)] > 230;
              return n / canvas.height; }).filter(share => share > 0.8).length; }"""
        )
        assert seen >= 2  # lines of two pixels: the end, and the onset where it is in view
    finally:
        if not ended:
            ward.end_alarm("3", Kind.AF)


def test_the_evidence_stands_under_its_second(wall: Page, ward: LiveWard) -> None:
    """Each second of AF evidence below the trace of that second; not judged is grey, not heard of is nothing."""
    ward.begin_alarm("10", Kind.AF, "AF?", ago_s=14, **AF)
    event = ward.alarm("10", Kind.AF)
    given = (0.5,) * 6 + (-1.0,) * 2 + (1.0,) * 6
    ward.set("10", rhythm=rhythm_state("af", evidence=given, evidence_end=event.onset // 250 * 250 + 14 * FS))
    try:
        open_strip(wall, "10")
        wall.wait_for_timeout(1500)

        def bar(seconds: float) -> float | None:
            """Share of the column that is bar; None where it is grey."""
            pixels = column(wall, ward, "10", Kind.AF, "strip-evidence", seconds)[: 52 - 15]
            if pixels.count((0x23, 0x2D, 0x36)) > 30:
                return None
            return pixels.count((0xC9, 0xA7, 0xFF)) / len(pixels)

        wall.get_by_role("button", name="Onset", exact=True).click()
        assert bar(-2) == 0
        assert abs((bar(3) or 0) - 0.5) < 0.08
        wall.get_by_role("button", name="Alarm", exact=True).click()
        assert bar(7.0) is None
        assert (bar(11) or 0) > 0.85
    finally:
        ward.set("10", rhythm=None)
        ward.end_alarm("10", Kind.AF)


def test_alarm_and_confirmation_each_have_their_look(wall: Page, ward: LiveWard) -> None:
    """The confirmation arrives while the strip is open: it is shown, and the first look can be had back."""
    ward.begin_alarm("2", Kind.AF, "AF?", ago_s=14, **AF)
    try:
        open_strip(wall, "2")
        switch(wall, True)
        top = wall.locator("#strip-attention li").first
        expect(top).to_have_text("P and f waves40 %")
        expect(wall.locator("#strip-looks")).to_be_hidden()
        ward.confirm_alarm("2", Kind.AF, "AF", attention={"rr_30s": 80}, prediction_set=("af",))
        expect(wall.locator("#strip-title")).to_have_text("Bed 2 · ** AF")
        expect(wall.locator("#strip-when")).to_contain_text("confirmed")
        expect(top).to_have_text("RR intervals, 30 s80 %")
        wall.get_by_label("at the alarm").check()
        expect(top).to_have_text("P and f waves40 %")
        ward.end_alarm("2", Kind.AF)
        expect(wall.locator("#panel-alarms li strong").first).to_have_text("Ended: AF")
        expect(top).to_have_text("P and f waves40 %")
    finally:
        switch(wall, False)


def test_the_strip_is_worked_by_keyboard(wall: Page, ward: LiveWard) -> None:
    """Enter opens it, Tab and Space reach the toggle, Escape closes it, then the panel; no bed is covered meanwhile."""
    ward.begin_alarm("1", Kind.AF, "AF?", ago_s=14, **AF)
    focused = "() => document.activeElement.id || document.activeElement.textContent"
    try:
        wall.locator('bed-sector[data-bed="1"]').focus()
        wall.keyboard.press("Enter")
        for _ in range(2):
            wall.keyboard.press("Tab")
        assert wall.evaluate(focused) == "Strip"
        wall.keyboard.press("Enter")
        expect(wall.locator("#strip")).to_be_visible()
        assert wall.evaluate(focused) == "strip"
        edge = wall.locator("#strip").bounding_box()
        assert edge is not None
        wall.wait_for_function(
            """edge => [...document.querySelectorAll("bed-sector")].every(each =>
            each.getBoundingClientRect().bottom <= edge && each.getBoundingClientRect().height > 60)""",
            arg=edge["y"],
        )
        for _ in range(4):  # close, onset, alarm, toggle
            wall.keyboard.press("Tab")
        assert wall.evaluate(focused) == "strip-look"
        wall.keyboard.press("Space")
        expect(wall.locator("#strip-looked")).to_be_visible()
        wall.keyboard.press("Space")
        wall.keyboard.press("Tab")
        assert wall.evaluate(focused) == "strip-scroll"
        wall.keyboard.press("Home")
        before = wall.evaluate("() => document.getElementById('strip-scroll').scrollLeft")
        wall.keyboard.press("ArrowLeft")
        wall.wait_for_function(
            "before => before === 0 || document.getElementById('strip-scroll').scrollLeft < before", arg=before
        )
        wall.keyboard.press("Escape")
        expect(wall.locator("#strip")).to_be_hidden()
        expect(wall.locator("#bed-panel")).to_be_visible()
        assert wall.evaluate(focused) == "Strip"
        wall.keyboard.press("Escape")
        expect(wall.locator("#bed-panel")).to_be_hidden()
    finally:
        ward.end_alarm("1", Kind.AF)


def test_what_is_not_there_is_said(wall: Page, ward: LiveWard) -> None:
    """An alarm that the network has no part in has no toggle; a strip that is no longer kept is not an empty trace."""
    ward.begin_alarm("1", Kind.TACHY, "HR 134 > 120", ago_s=5)
    ward.begin_alarm("2", Kind.AF, "AF?", ago_s=400, **AF)
    try:
        open_strip(wall, "1")
        expect(wall.locator("#strip-look")).to_be_disabled()
        expect(wall.locator("#strip-why")).to_have_text("")
        wall.locator('bed-sector[data-bed="2"]').click()
        expect(wall.locator("#strip")).to_be_hidden()
        wall.locator("#panel-alarms button").first.click()
        expect(wall.locator("#strip-jumps button").first).to_be_disabled()
        expect(wall.locator("#strip-note")).to_contain_text("No signal of that time is kept")
        wall.get_by_role("button", name="Alarm", exact=True).click()
        expect(wall.locator("#strip-note")).to_have_text("")
    finally:
        ward.end_alarm("1", Kind.TACHY)
        ward.end_alarm("2", Kind.AF)


def test_on_paper_it_is_dark_on_white(wall: Page, ward: LiveWard) -> None:
    """Printing drops the wall and draws strip and panel on white, the shade still light enough to read a trace on."""
    ward.begin_alarm("3", Kind.AF, "AF?", ago_s=14, **AF)
    try:
        open_strip(wall, "3")
        switch(wall, True)
        wall.emulate_media(media="print")
        expect(wall.locator("#wall")).to_be_hidden()
        expect(wall.locator("#strip")).to_be_visible()
        ground = "() => [...document.getElementById('strip-evidence').getContext('2d').getImageData(3, 1, 1, 1).data]"
        wall.wait_for_function(f"() => ({ground})()[0] > 240")
        wall.emulate_media(media="screen")
        wall.wait_for_function(f"() => ({ground})()[0] < 40")
    finally:
        wall.emulate_media(media="screen")
        switch(wall, False)
        ward.end_alarm("3", Kind.AF)


@pytest.mark.parametrize("media", ["screen", "print"])
def test_the_trace_is_legible_on_the_darkest_shade(wall: Page, media: Any) -> None:
    """At least 3 : 1 (WCAG 1.4.11), by the colours that the page itself has, on screen and on paper."""
    wall.emulate_media(media=media)
    trace, ground, look = wall.evaluate(
        """() => ["--trace", "--trace-ground", "--look"].map(name => {
        const probe = document.createElement("canvas").getContext("2d");
        probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
        probe.fillRect(0, 0, 1, 1);
        return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)]; })"""
    )
    shade = [0.55 * over + 0.45 * under for over, under in zip(look, ground, strict=True)]
    assert wall.evaluate(RATIO, [trace, shade]) >= 3


def test_a_log_that_is_read_again_brings_no_look_twice(js: Callable[..., Any]) -> None:
    """Another log took the place of ours: the looks are those of the new reading, one for each word."""
    seen = js(
        """const { AlarmBook } = await import("/js/alarms.js");
        const book = new AlarmBook();
        const say = (entry, phase, at) => book.take(entry, { id: "a", event: `a.${phase}.${at}`, bed: "1", epoch: 0,
          kind: "af", priority: "medium", phase, state: "active", onset: 4, at, text: "AF",
          saliency: { II: [1] }, attention: { atrial: at } });
        const read = () => { say("1-0", "start", 5); say("2-0", "escalate", 9); };
        read();
        book.reread();
        read();
        const [alarm] = book.active();
        return { looks: alarm.looks.map(look => [look.when, look.at]), moments: alarm.moments };"""
    )
    assert seen["looks"] == [["told", 5], ["confirmed", 9]]
    assert seen["moments"] == {"epoch": 0, "onset": 4, "told": 5, "confirmed": 9, "offset": None, "last": 9}


def test_evidence_is_kept_by_its_own_time(js: Callable[..., Any]) -> None:
    """What was said of a second stands there until it is said anew; unheard seconds and other epochs are unknown."""
    seen = js(
        """const { EvidenceBook } = await import("/js/strip_data.js");
        const book = new EvidenceBook();
        const say = (epoch, evidence, end) =>
          book.take([{ bed: "1", epoch, rhythm: { evidence, evidence_end: end } }]);
        say(7, [0.1, 0.2], 2000);
        say(7, [0.3, -1], 2500);
        say(7, [0.9], 5000);
        const at = [0, 1000, 1250, 1500, 2000, 3000, 4500, 5000].map(sample => String(book.at("1", 7, sample)));
        say(8, [0.5], 500);
        return [...at, String(book.at("1", 7, 1000)), String(book.at("1", 8, 0)), String(book.at("2", 7, 0))];"""
    )
    assert [value[:4] for value in seen] == [
        "NaN", "0.10", "0.10", "0.30", "-1", "NaN", "0.89", "NaN", "NaN", "0.5", "NaN"
    ]  # fmt: skip
