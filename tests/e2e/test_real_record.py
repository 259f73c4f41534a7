"""A recorded patient through the whole ward: Kafka, Faust, cache, API, console and terminal."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from ward import SECRET, Ward

from api.auth import issue_token
from ecg.readers import read_recording
from stream.offline import analyze_recording
from tests.console.conftest import CHROMIUM_ARGS, chromium

RECORD = Path("cinc2015") / "t357l_60s"  # a true tachycardia alarm; the rate is above 120 from its first seconds
FED_S = 25.0

# How much of the bed's canvases is drawn, and a digest of it: a sweeping trace changes it from look to look.
DRAWN = """() => [...document.querySelectorAll('canvas')].map(canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + data[i + 1] * 7 + data[i + 3]) % 4294967291;
  return sum;
}).join()"""


def test_a_real_record_is_seen_and_heard(kafka_ward: Ward, data: Path) -> None:
    """Protects the promise of the first issue: a real record's trace moves on the console, its alarms reach `watch`."""
    ward = kafka_ward
    ward.start_worker()
    ward.start_api()
    ward.wait_for_worker()
    token = issue_token(SECRET, "test", "viewer", 3600)
    environment = os.environ | {
        "WARDBEAT_ENGINE": "kafka",
        "WARDBEAT_KAFKA": ward.settings.kafka,
        "WARDBEAT_REDIS": ward.settings.redis,
        "WARDBEAT_TOKEN": token,
    }
    wardbeat = [sys.executable, "-m", "wardbeat"]
    watch = subprocess.Popen(
        [*wardbeat, "watch", "--url", ward.url, "--json", "--for", str(FED_S + 10)],
        env=environment,
        stdout=subprocess.PIPE,
    )
    replay = subprocess.Popen([*wardbeat, "replay", str(data / RECORD)], env=environment)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(f"{ward.url}/#token={token}")
            page.get_by_text("t357l_60s").first.wait_for(timeout=30_000)
            page.get_by_text("> 120").first.wait_for(timeout=30_000)
            looks = set()
            for _ in range(5):
                looks.add(page.evaluate(DRAWN))
                time.sleep(0.4)
            assert len(looks) == 5, "the trace does not move"
            page.screenshot(path=str(ward.folder / "console.png"))
            browser.close()
        lines, _ = watch.communicate(timeout=FED_S + 30)
    finally:
        replay.kill()
        replay.wait()
        watch.kill()
        watch.wait()
    told = [json.loads(line)["event"] for line in lines.splitlines()]
    offline = analyze_recording(read_recording(data / RECORD), ward.settings.beds(waves=False), bed="t357l_60s")
    expected = [(event.kind, event.phase, event.at) for event in offline.alarms if event.at < 500 * 12]
    assert expected
    assert [(event["kind"], event["phase"], event["at"]) for event in told][: len(expected)] == expected
