"""How many times faster than real time one core analyses a recording, and what each step takes.

python benchmarks/analysis_speed.py [--seconds 600]
"""

import argparse
import time

from ecg.beats import BeatDetector
from ecg.quality import LeadQuality
from ecg.recording import Recording
from ecg.synthetic import SyntheticPatient
from stream.bed import BedConfig, warm_up
from stream.offline import analyze_recording, uv_per_bit
from windowing.assembler import Assembler
from windowing.spans import Span


def ms_per_bed_second(recording: Recording) -> dict[str, float]:
    """Milliseconds of one core for a second of one bed, by step, in one run."""
    chunks = list(recording.chunks("b", seconds=0.2, uv_per_bit=uv_per_bit(recording)))
    took = {}
    began = time.perf_counter()
    spans = [
        (item.microvolts.copy(), item.mask.copy())
        for assembler in [Assembler()]
        for chunk in chunks
        for item in assembler.push(chunk)
        if isinstance(item, Span)
    ]
    took["assemble (200 ms chunks)"] = time.perf_counter() - began
    detector, quality = BeatDetector(), LeadQuality()
    began = time.perf_counter()
    for microvolts, mask in spans:
        detector.push(microvolts, mask)
    took["beats"] = time.perf_counter() - began
    began = time.perf_counter()
    for microvolts, mask in spans:
        quality.push(microvolts, mask)
    took["quality"] = time.perf_counter() - began
    began = time.perf_counter()
    analyze_recording(recording, BedConfig(waves=False))
    took["everything, as `wardbeat analyze` does it"] = time.perf_counter() - began
    return {name: 1000 * seconds / recording.seconds for name, seconds in took.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600)
    seconds = parser.parse_args().seconds
    warm_up(BedConfig(waves=False))
    print("| signal | step | ms per bed-second | times real time |")
    print("|---|---|---|---|")
    for name, fs, leads in (("12 leads, 500 Hz", 500, None), ("2 leads, 360 Hz", 360, ("II", "V1"))):
        patient = SyntheticPatient(f"sinus {seconds // 2}s, af {seconds // 2}s", 1, fs, *([leads] if leads else []))
        for step, ms in ms_per_bed_second(patient.recording(name)).items():
            print(f"| {name} | {step} | {ms:.3f} | {1000 / ms:.0f} |", flush=True)


if __name__ == "__main__":
    main()
