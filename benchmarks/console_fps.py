"""Frames per second and processor time of the console: ``python -m benchmarks.console_fps [--beds 8 16 50 64]``.

A real browser draws a wall of two leads a bed from a real API and store. Chromium runs without a GPU, so drawing and
compositing are on the processor: an office PC with any graphics chip does better. What is left out: a physical screen,
and the time that the API and the synthetic ward take on the same processor: they run beside, and slow the page down.
Percentages are of one core; ``load`` is the machine's load, which should be low.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, CDPSession, sync_playwright

from stream.embedded.server import ValkeyServer
from tests.console.conftest import CHROMIUM_ARGS, Api, chromium
from tests.console.ward import LiveWard

SIZE = {"width": 1920, "height": 1080}
WARM_UP_MS = 6000
MEASURE_MS = 10_000
# Counts animation frames, and keeps how long each one took to come.
COUNT = """(ms) => new Promise((resolve) => {
  const steps = [];
  let last = performance.now();
  const end = last + ms;
  const step = (now) => {
    steps.push(now - last);
    last = now;
    if (now < end) requestAnimationFrame(step);
    else resolve(steps.sort((a, b) => a - b));
  };
  requestAnimationFrame(step);
})"""


def cpu_seconds(browser_pids: list[int]) -> float:
    """User and system time of the browser's processes so far."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in browser_pids)


def script_seconds(metrics: CDPSession) -> float:
    """Time that the page's own code has taken so far: decoding, clocks, drawing calls."""
    named = {item["name"]: item["value"] for item in metrics.send("Performance.getMetrics")["metrics"]}
    return float(named["ScriptDuration"])


def measure(browser: Browser, store: str, beds: int) -> str:
    """One line of the table."""
    api, ward = Api(store), LiveWard(store, [str(number) for number in range(1, beds + 1)])
    api.start()
    try:
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.goto(api.link())
        page.wait_for_function(f"() => document.querySelectorAll('[data-stale=\"false\"]').length === {beds}")
        page.wait_for_timeout(WARM_UP_MS)
        pids = [child.pid for child in psutil.Process().children(recursive=True) if "chrom" in child.name()]
        metrics = page.context.new_cdp_session(page)
        metrics.send("Performance.enable")
        script, before, start = script_seconds(metrics), cpu_seconds(pids), time.monotonic()
        steps = page.evaluate(COUNT, MEASURE_MS)
        took = time.monotonic() - start
        cpu = (cpu_seconds(pids) - before) / took
        script = (script_seconds(metrics) - script) / took
        leads = page.evaluate("() => document.querySelectorAll('.lead:not(:empty)').length")
        page.close()
    finally:
        ward.close()
        api.kill()
    fps = 1000 * len(steps) / sum(steps)
    late = steps[int(0.99 * len(steps))]
    return (
        f"{beds:5} {leads:6.0f} {fps:7.1f} {late:10.1f} {100 * cpu:9.0f} {100 * script:9.1f} {os.getloadavg()[0]:6.1f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beds", type=int, nargs="+", default=[8, 16, 50, 64])
    args = parser.parse_args()
    print(" beds traces     fps  p99 ms/fr  CPU %  script %   load")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for beds in args.beds:
            browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
            with ValkeyServer(Path(folder) / str(beds)) as store:
                print(measure(browser, store.url, beds), flush=True)
            browser.close()


if __name__ == "__main__":
    main()
