"""Takes the pictures in docs/screenshots: ``python -m tests.console.screenshots``."""

import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from alarms.alarm import Kind
from stream.embedded.server import ValkeyServer
from stream.states import NOT_JUDGED, EpisodeState

from .conftest import CHROMIUM_ARGS, Api, chromium
from .ward import LiveWard, rhythm_state

OUT = Path(__file__).parent.parent.parent / "docs" / "screenshots"
SMALL, LARGE = (1280, 720), (1920, 1080)
COLOURS = 200  # the page has few; a picture of 2 million pixels then takes a tenth of a megabyte
SWEEP_MS = 9000  # a full sweep of the widest sector
AF_S = 24  # the bed is in AF for so long before the alarm: its strip goes back to the onset
# What the shipped network gave for a synthetic patient in AF; every lead of it differs from lead II by a few per cent.
SALIENCY = {"II": (25, 13, 67, 82, 60, 74, 93, 60, 84, 90), "V1": (34, 20, 66, 57, 52, 67, 48, 47, 73, 51)}
ATTENTION = {
    "joint": 2, "rr_10s": 34, "rr_30s": 4, "rr_60s": 4, "qrs_shape": 1, "atrial": 17, "morphology": 19,
    "past_minute": 19,
}  # fmt: skip
ATTENTION_BY_SECOND = {
    "joint": (2, 2, 2, 2, 2, 3, 2, 2, 2, 2),
    "rr_10s": (32, 28, 35, 40, 34, 29, 36, 38, 40, 33),
    "rr_30s": (3, 4, 6, 5, 4, 6, 4, 3, 4, 6),
    "rr_60s": (2, 3, 4, 4, 2, 6, 4, 3, 3, 4),
    "qrs_shape": (2, 2, 1, 1, 1, 1, 1, 1, 1, 1),
    "atrial": (18, 16, 14, 15, 19, 14, 19, 20, 17, 18),
    "morphology": (18, 19, 21, 18, 19, 22, 19, 13, 17, 20),
    "past_minute": (22, 26, 17, 15, 20, 18, 15, 21, 16, 16),
}


def wall(browser: Browser, api: Api, size: tuple[int, int], beds: int) -> Page:
    """The wall after a full sweep."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(api.link())
    page.wait_for_function(f"() => document.querySelectorAll('bed-sector[data-stale=\"false\"]').length >= {beds}")
    page.wait_for_timeout(SWEEP_MS)
    return page


def take(page: Page, name: str) -> None:
    """Write the picture, with the flashing held at its bright phase."""
    page.evaluate("() => document.getAnimations().forEach(each => { each.currentTime = 0; each.pause(); })")
    path = OUT / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).quantize(COLOURS).save(path, optimize=True)


def trouble(ward: LiveWard, beds: list[str]) -> None:
    """One alarm of each priority, a lead off, and a monitor that went away."""
    ward.play(beds[1], "asystole", None)
    ward.begin_alarm(beds[1], Kind.ASYSTOLE, "ASYSTOLE 4.0 s", ago_s=12)
    ward.play(beds[2], "tachy(rate=134)", 134)
    ward.begin_alarm(beds[2], Kind.TACHY, "HR 134 > 120", ago_s=75)
    ward.play(beds[4], "brady(rate=44)", 44)
    ward.begin_alarm(beds[4], Kind.BRADY, "HR 44 < 50", ago_s=31)
    ward.begin_alarm(beds[3], Kind.FLUTTER, "Flutter", ago_s=48, reason="regular atrial waves, 300 per minute")
    ward.beds[beds[5]].off = ("V1",)
    ward.set(beds[5], quality=ward.beds[beds[5]].state.quality | {"V1": "off"})
    ward.begin_alarm(beds[5], Kind.LEADS_OFF, "LEAD V1 OFF", ago_s=40)
    ward.begin_alarm(beds[6], Kind.PAUSE, "PAUSE 3.2 s", ago_s=300)
    ward.end_alarm(beds[6], Kind.PAUSE)
    ward.beds[beds[7]].sending = False


def judge(ward: LiveWard, beds: list[str]) -> None:
    """The network's word on every bed but one, and a bed that has just gone into AF, not to be told from flutter."""
    ward.play(beds[0], "af", 112)
    time.sleep(AF_S)
    for bed in beds:
        ward.set(bed, rhythm=rhythm_state("sinus"))
    ward.set(beds[1], rhythm=rhythm_state(None, probabilities={}, prediction_set=(), evidence=(NOT_JUDGED,) * 60))
    ward.set(beds[3], rhythm=rhythm_state("flutter"))
    ward.set(beds[6], rhythm=None)
    now = 1000.0 * int(time.time())
    ward.begin_alarm(
        beds[0],
        Kind.AF,
        "AF? HR 112",
        ago_s=22,
        reason="irregular RR, no repeating P wave",
        prediction_set=("af", "flutter"),
        saliency=SALIENCY,
        attention=ATTENTION,
        attention_by_second=ATTENTION_BY_SECOND,
    )
    rise = [min(0.97, max(0.02, (second - 34) / 9 + 0.06 * (second % 3))) for second in range(60)]
    rise[8:12] = [NOT_JUDGED] * 4
    ward.set(
        beds[0],
        rhythm=rhythm_state(
            "af",
            provisional=True,
            probabilities={"af": 0.83, "flutter": 0.14, "sinus": 0.01, "other": 0.02, "noise": 0.0},
            prediction_set=("af", "flutter"),
            evidence=tuple(rise),
            evidence_end=ward.alarm(beds[0], Kind.AF).at,
            burden=0.1244,
            af_s=2 * 3600 + 53 * 60.0,
            longest_s=65 * 60.0,
            episodes=(
                EpisodeState(kind="af", onset_ms=now - 6.4e6, offset_ms=now - 2.5e6, confirmed=True),
                EpisodeState(kind="flutter", onset_ms=now - 1.9e6, offset_ms=now - 1.8e6, confirmed=True),
                EpisodeState(kind="af", onset_ms=now - 22_000, offset_ms=None, confirmed=False),
            ),
        ),
    )


def main() -> None:
    """Take all of them."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
        for count in (8, 50):
            with ValkeyServer(Path(folder) / str(count)) as store:
                beds = [str(number) for number in range(1, count + 1)]
                api, ward = Api(store.url), LiveWard(store.url, beds)
                api.start()
                if count == 8:
                    page = wall(browser, api, SMALL, count)
                    take(page, "wall-8-calm-1280x720")
                    page.close()
                trouble(ward, beds)
                judge(ward, beds)
                for size in (SMALL, LARGE):
                    page = wall(browser, api, size, count - 1)
                    take(page, f"wall-{count}-alarms-{size[0]}x{size[1]}")
                    if count == 8:
                        page.locator(f'bed-sector[data-bed="{beds[0]}"]').click()
                        page.wait_for_timeout(SWEEP_MS)
                        take(page, f"bed-panel-{size[0]}x{size[1]}")
                        page.locator("#panel-alarms button").first.click()
                        page.locator("#strip-look").check()
                        page.wait_for_timeout(SWEEP_MS)
                        take(page, f"alarm-strip-{size[0]}x{size[1]}")
                        page.locator("#strip-close").click()
                        page.locator("#panel-close").click()
                    if count == 8 and size == LARGE:
                        api.kill()
                        page.wait_for_selector("#lost:not([hidden])")
                        take(page, f"wall-{count}-connection-lost-{size[0]}x{size[1]}")
                    page.close()
                ward.close()
                api.kill()
        browser.close()


if __name__ == "__main__":
    main()
