"""A recorded patient goes into AF and out again: replay, ward, shipped network, console and terminal."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright
from ward import SECRET, Ward

from alarms.alarm import AlarmEvent, Kind, Phase
from api.auth import issue_token
from ecg.readers import read_recording
from stream.offline import analyze_recording
from tests.console.conftest import CHROMIUM_ARGS, chromium

RECORD = Path("cpsc2021") / "data_101_9"  # annotated as AF from 15 to 41 s; the shortest whose alarm also ends
SAID = {"af": "AF", "flutter": "flutter", "sinus": "sinus rhythm", "other": "other rhythm", "noise": "noise"}
LATE_MS = 15_000  # of the console, in real time, on a busy machine


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    """A ward on embedded parts with the network that is shipped."""
    with Ward("embedded", tmp_path) as ward:
        ward.start_worker()
        ward.start_api()
        ward.wait_for_worker()
        yield ward


def clock(epoch: int, sample: int) -> str:
    """Time of day of a sample, as the console says it."""
    return datetime.fromtimestamp((epoch + 2 * sample) / 1000).strftime("%H:%M:%S")


def words(event: AlarmEvent) -> str:
    """What the event's prediction set and reason read as."""
    return f"Possible: {', '.join(SAID[name] for name in event.prediction_set)} · {event.reason}"


def test_a_paroxysm_is_alarmed_explained_and_ended(ward: Ward, data: Path) -> None:
    """Protects what the network is for: AF of a real record stands on the console with onset, reason and prediction set
    while it lasts, and ends there; `watch` tells the alarms of the offline analysis."""
    bed = RECORD.name
    offline = analyze_recording(read_recording(data / RECORD), ward.settings.beds(waves=False), bed=bed).alarms
    start = next(event for event in offline if event.kind == Kind.AF and event.phase == Phase.START)
    end = next(event for event in offline if event.kind == Kind.AF and event.phase == Phase.END)
    expected = offline[: offline.index(end) + 1]
    assert start.reason
    assert "af" in start.prediction_set

    token = issue_token(SECRET, "test", "viewer", 3600)
    environment = os.environ | {
        "WARDBEAT_ENGINE": "embedded",
        "WARDBEAT_REDIS": ward.settings.redis,
        "WARDBEAT_TOKEN": token,
    }
    wardbeat = [sys.executable, "-m", "wardbeat"]
    with (
        subprocess.Popen(
            [*wardbeat, "watch", "--url", ward.url, "--json", "--for", f"{end.at / 500 + 60:.0f}"],
            env=environment,
            stdout=subprocess.PIPE,
        ) as watch,
        subprocess.Popen([*wardbeat, "replay", str(data / RECORD)], env=environment) as replay,
    ):
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
                page = browser.new_page(viewport={"width": 1280, "height": 720})
                page.goto(f"{ward.url}/#token={token}")
                sector = page.locator(f'bed-sector[data-bed="{bed}"]')
                sector.wait_for(timeout=30_000)
                sector.click()
                row = page.locator("#panel-alarms li").filter(has_text=re.compile("AF"))
                expect(row.locator("strong")).to_have_text(f"** {start.text}", timeout=2 * start.at + LATE_MS)
                expect(sector.locator(".rhythm-now")).to_have_text("rhythm: AF?", timeout=LATE_MS)
                expect(page.locator("#banner-alarms")).to_contain_text(start.text)
                assert watch.stdout is not None
                told: list[dict[str, Any]] = []
                while not told or told[-1]["kind"] != Kind.AF:
                    told.append(json.loads(watch.stdout.readline())["event"])
                epoch = told[-1]["epoch"]
                expect(row.locator(".when")).to_contain_text(f"Onset {clock(epoch, start.onset)} · alarm ")
                expect(row.locator(".why")).to_have_text(words(start))
                page.screenshot(path=str(ward.folder / "af.png"))

                left_ms = 2 * (end.at - start.at) + LATE_MS
                expect(row.locator("strong")).to_have_text(f"Ended: {end.text}", timeout=left_ms)
                assert end.offset is not None
                expect(row.locator(".when")).to_contain_text(f" · end {clock(epoch, end.offset)}, after ")
                expect(sector.locator(".rhythm-now")).to_have_text("rhythm: Sinus", timeout=LATE_MS)
                expect(page.locator("#banner-alarms")).not_to_contain_text("AF")
                page.screenshot(path=str(ward.folder / "ended.png"))
                browser.close()
            while len(told) < len(expected):
                told.append(json.loads(watch.stdout.readline())["event"])
        finally:
            for process in (replay, watch):
                process.kill()
    seen = [(event["kind"], event["phase"], event["onset"], event["offset"], event["at"]) for event in told]
    assert seen == [(event.kind, event.phase, event.onset, event.offset, event.at) for event in expected]
