"""Latency of a whole ward on this machine: 50 beds × 12 leads × 500 Hz in 200 ms chunks, both engines.

Everything runs here: feeder, broker, worker, cache, API and the listening client share the cores, so figures are worse
than on a machine that only serves. Left out: the hospital's own network, and the browser's drawing.

Monitors begin at moments of their own, or, as the worst case, all at one instant: then the windows of all beds are
complete at once, every second.

    python benchmarks/latency.py [--beds 50] [--seconds 60] [--engine kafka|embedded]
"""

import argparse
import itertools
import json
import subprocess
import sys

AIM = {"chunk_to_finding_ms": 250, "sample_to_alarm_ms": 1000}


def main() -> None:
    """Run both engines and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--beds", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--engine", choices=("kafka", "embedded"), action="append")
    options = parser.parse_args()
    print(
        "| engine | monitors | beds | chunks | findings | alarms | lost "
        "| chunk → finding p50 / p99 ms | sample → alarm p50 / p99 ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    missed = []
    for engine, in_step in itertools.product(options.engine or ("embedded", "kafka"), (False, True)):
        command = [sys.executable, "-m", "wardbeat", "demo", "--beds", str(options.beds), "--for", str(options.seconds)]
        command += ["--kafka"] * (engine == "kafka") + ["--in-step"] * in_step
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.stdout.strip():
            sys.exit(f"{engine}: {done.stderr}")
        report = json.loads(done.stdout.strip().splitlines()[-1])
        begin = "all at once" if in_step else "by themselves"
        cells = [f"{report[name]['p50']} / {report[name]['p99']}" for name in AIM]
        print(
            f"| {engine} | {begin} | {report['beds']} | {report['chunks_processed']} of {report['chunks_sent']} "
            f"| {report['findings']} | {report['alarms_delivered']} of {report['alarms_expected']} "
            f"| {report['lost']} | {' | '.join(cells)} |",
            flush=True,
        )
        missed += [
            f"{engine}, {begin}: {name} p99 {report[name]['p99']} > {aim}"
            for name, aim in AIM.items()
            if report[name]["p99"] > aim
        ]
        missed += [f"{engine}: lost {report['lost']}"] * bool(report["lost"])
    print("\n" + ("\n".join(missed) or "all aims reached"))


if __name__ == "__main__":
    main()
