"""Delay of alarms on synthetic patients, as `wardbeat analyze` gives them: asystole, leads off, rate steps.

From the event in the patient's truth (last beat, lead off, first beat at the new rate) to the sample at which the alarm
was decided; a live ward adds the chunk's length and the latency of `benchmarks/latency.py`. The rate steps are judged
with limits of 60 and 100, as the standard's test does (IEC 60601-2-27, 80 → 120 and 80 → 40 per minute).

    python benchmarks/alarm_delays.py [--patients 20]
"""

import argparse

import numpy as np

from alarms.limits import Limits
from ecg.synthetic import SyntheticPatient
from stream.bed import BedConfig
from stream.offline import analyze_recording

CASES = {
    "asystole": ("sinus(rate=75) 30s, asystole 15s", {"asystole"}, 5.0),
    "leads off": ("sinus 30s, sinus+leads_off(V1) 15s", {"leads_off"}, 3.0),
    "all leads off": ("sinus 30s, sinus+leads_off(all) 15s", {"leads_off"}, 3.0),
    "rate 80 → 120": ("sinus(rate=80) 30s, sinus(rate=120) 20s", {"tachy", "extreme_tachy"}, 10.0),
    "rate 80 → 40": ("sinus(rate=80) 30s, sinus(rate=40) 20s", {"brady", "extreme_brady"}, 10.0),
}


def delay_s(script: str, kinds: set[str], seed: int) -> float | None:
    """Seconds from the change at 30 s (asystole: from the last beat before it) to the first alarm of ``kinds``."""
    patient = SyntheticPatient(script, seed)
    change = 30 * patient.fs
    if "asystole" in kinds:
        change = int(patient.beats[patient.beats < change][-1])
    config = BedConfig(limits=Limits(hr_low=60, hr_high=100), waves=False)
    analysis = analyze_recording(patient.recording("synthetic"), config)
    at = [event.at for event in analysis.alarms if event.kind in kinds and event.phase == "start" and event.at > change]
    return (at[0] - change) / patient.fs if at else None


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=20)
    count = parser.parse_args().patients
    print("| event | alarmed | median s | worst s | aim s |")
    print("|---|---|---|---|---|")
    for name, (script, kinds, aim) in CASES.items():
        delays = [delay_s(script, kinds, seed) for seed in range(1, count + 1)]
        found = [delay for delay in delays if delay is not None]
        print(f"| {name} | {len(found)} of {count} | {np.median(found):.2f} | {max(found):.2f} | {aim} |", flush=True)


if __name__ == "__main__":
    main()
