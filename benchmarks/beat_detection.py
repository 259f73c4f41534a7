"""How well beats are found on real recordings: run it from the repository's root.

Each recording is resampled to 500 Hz (scipy.signal.resample_poly, not the ward's own resampler), limb leads are derived
where I and II are there, and the samples are pushed 0.2 s at a time. A beat counts as found within 150 ms of an
annotated one, each with one partner (ANSI/AAMI EC57); ventricular flutter and fibrillation are left out, as EC57 says.
The detector's constants were chosen on these same recordings, one set for all: the figures describe, they do not
predict.
"""

import argparse
import csv
import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from math import gcd
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.beats import BeatDetector
from ecg.leads import LEAD_INDEX, N_LEADS, derive_limb_leads
from ecg.readers import read_recording
from ecg.recording import Recording

FS = 500
TOLERANCE = 75  # samples, 150 ms (EC57)
LEARNING = 5 * FS  # judged with and without
ANNOTATED = ("mitdb", "nstdb_118", "afpdb_p", "cpsc2021", "cpsc2019_qrs")
TWELVE = ("ptbxl_native100", "ptbxl_native500", "chapman_ningbo", "cpsc2018", "cpsc2018_extra")
Indices = npt.NDArray[np.int64]


@dataclass
class Score:
    """Counts of one or more records; the last two leave out the first 5 s."""

    record: str
    beats: int = 0
    missed: int = 0
    false: int = 0
    missed_later: int = 0
    false_later: int = 0
    jitter_ms: float = 0.0  # standard deviation of found less annotated; mean over records

    def rates(self) -> tuple[float, float]:
        """Sensitivity and positive predictivity in percent."""
        found = self.beats - self.missed
        return 100 * found / max(self.beats, 1), 100 * found / max(found + self.false, 1)


def at_500_hz(recording: Recording) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(12, n) µV and mask at 500 Hz; a gap is held before resampling, so that its edges do not ring."""
    from scipy.signal import resample_poly

    x = recording.microvolts.astype(np.float64)
    real = ~np.isnan(x)
    held = np.maximum.accumulate(np.where(real, np.arange(x.shape[1]), 0), axis=1)
    x = np.nan_to_num(np.take_along_axis(x, held, axis=1))
    step = gcd(FS, recording.fs)
    offset = np.median(x, axis=1, keepdims=True)
    y = resample_poly(x - offset, FS // step, recording.fs // step, axis=1) + offset
    n = y.shape[1] // 50 * 50
    source = np.minimum(np.arange(n) * recording.fs // FS, x.shape[1] - 1)
    microvolts, mask = np.zeros((N_LEADS, n), dtype=np.float32), np.zeros((N_LEADS, n), dtype=np.bool_)
    rows = [LEAD_INDEX[lead] for lead in recording.leads]
    microvolts[rows], mask[rows] = y[:, :n], real[:, source]
    derive_limb_leads(microvolts, mask)
    return microvolts, mask


def detect(microvolts: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], step: int = 100) -> Indices:
    """R peaks of (12, n) µV pushed ``step`` samples at a time."""
    detector = BeatDetector()
    n = microvolts.shape[1]
    parts = [detector.push(microvolts[:, i : i + step], mask[:, i : i + step]).sample for i in range(0, n, step)]
    return np.concatenate([*parts, detector.flush().sample])


def match(annotated: Indices, found: Indices) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs, missed and false as positions in the two arrays; in the order of time, nearest first."""
    pairs: list[tuple[int, int]] = []
    missed: list[int] = []
    false: list[int] = []
    i = j = 0
    while i < len(annotated) and j < len(found):
        apart = found[j] - annotated[i]
        if abs(apart) > TOLERANCE:
            if apart < 0:
                false.append(j)
                j += 1
            else:
                missed.append(i)
                i += 1
        elif j + 1 < len(found) and abs(found[j + 1] - annotated[i]) < abs(apart):
            false.append(j)
            j += 1
        elif i + 1 < len(annotated) and abs(found[j] - annotated[i + 1]) < abs(apart):
            missed.append(i)
            i += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs, [*missed, *range(i, len(annotated))], [*false, *range(j, len(found))]


def annotated_beats(recording: Recording, found: Indices) -> tuple[Indices, Indices]:
    """Annotated and found beats at 500 Hz, without those in ventricular flutter or fibrillation."""
    if recording.beats is None:
        raise ValueError(f"{recording.name}: has no annotated beats")
    annotated = np.rint(recording.beats * (FS / recording.fs)).astype(np.int64)
    for rhythm in recording.rhythms:
        if rhythm.name.lstrip("(").startswith("VF"):
            first, end = rhythm.onset * FS / recording.fs, rhythm.offset * FS / recording.fs
            annotated = annotated[(annotated < first) | (annotated >= end)]
            found = found[(found < first - TOLERANCE) | (found >= end + TOLERANCE)]
    return annotated, found


def score(path: Path, beats: str | None = None) -> Score:
    """Judge one annotated record."""
    recording = read_recording(path, beats=beats)
    annotated, found = annotated_beats(recording, detect(*at_500_hz(recording)))
    pairs, missed, false = match(annotated, found)
    apart = np.array([found[j] - annotated[i] for i, j in pairs] or [0]) * (1000 / FS)
    return Score(
        f"{path.parent.name}/{path.name}",
        len(annotated),
        len(missed),
        len(false),
        int((annotated[missed] >= LEARNING).sum()),
        int((found[false] >= LEARNING).sum()),
        float(apart.std()),
    )


def total(name: str, scores: list[Score]) -> Score:
    """Gross sum of the counts, mean of the jitter."""
    fields = ("beats", "missed", "false", "missed_later", "false_later")
    sums = {field: sum(getattr(s, field) for s in scores) for field in fields}
    return Score(name, **sums, jitter_ms=float(np.mean([s.jitter_ms for s in scores])))


def longest_silence_s(path: Path) -> float:
    """Longest time without a beat in the last 25 s, in which the monitor's alarm stands at the end."""
    found = detect(*at_500_hz(read_recording(path)))
    end = round(read_recording(path).seconds * FS)
    return float(np.diff([end - 25 * FS, *found[found > end - 25 * FS], end]).max() / FS)


def one_lead_against_all(path: Path) -> tuple[int, int, int, float]:
    """Beats of all leads after 2 s, those that lead I alone misses and adds, and the rate in bpm."""
    microvolts, mask = at_500_hz(read_recording(path))
    every = detect(microvolts, mask)
    mask[1:] = False
    alone = detect(microvolts, mask)
    every, alone = every[every > 2 * FS], alone[alone > 2 * FS]
    _, missed, false = match(every, alone)
    rate = 60 * FS / float(np.diff(every).mean()) if len(every) > 1 else 0.0
    return len(every), len(missed), len(false), rate


def cost_ms() -> float:
    """CPU milliseconds per bed-second, 12 leads in pushes of 0.2 s, compiled."""
    rng = np.random.default_rng(0)
    microvolts = rng.normal(0, 10, (N_LEADS, 60 * FS)).astype(np.float32)
    microvolts[:, ::400] += 1500
    microvolts = np.apply_along_axis(np.convolve, 1, microvolts, np.hanning(40) / 5, "same").astype(np.float32)
    mask = np.ones(microvolts.shape, dtype=np.bool_)
    detect(microvolts, mask)
    began = time.process_time()
    detect(microvolts, mask)
    return (time.process_time() - began) * 1000 / 60


def main() -> None:
    """Print the tables in Markdown; ``--json`` writes every record's score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".data"))
    parser.add_argument("--json", type=Path, help="file to write the scores of all records to")
    parser.add_argument("--each", type=int, default=40, help="records per set without annotated beats")
    options = parser.parse_args()
    index: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (options.data / "index.csv").open() as file:
        for row in csv.DictReader(file):
            index[row["dataset"]].append(row)

    everything: dict[str, list[dict[str, object]]] = {}
    print("| records | beats | Se % | P+ % | missed | false | after 5 s: missed | false | jitter ms | worst records |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for dataset in ANNOTATED:
        extension = "qrs" if dataset in ("afpdb_p", "cpsc2019_qrs") else "atr"
        scores = [score(options.data / row["path"], extension) for row in index[dataset]]
        everything[dataset] = [asdict(s) for s in scores]
        all_of_it = total(dataset, scores)
        se, ppv = all_of_it.rates()
        worst = sorted(scores, key=lambda s: -(s.missed + s.false))[:4]
        named = ", ".join(f"{s.record.split('/')[1]} (−{s.missed} +{s.false})" for s in worst)
        print(
            f"| {dataset} ({len(scores)}) | {all_of_it.beats} | {se:.2f} | {ppv:.2f} | {all_of_it.missed} |"
            f" {all_of_it.false} | {all_of_it.missed_later} | {all_of_it.false_later} |"
            f" {all_of_it.jitter_ms:.1f} | {named} |",
            flush=True,
        )

    print("\n| cinc2015, alarm of the monitor | records | silent ≥ 3 s | silent ≥ 4 s |\n|---|---|---|---|")
    for label in ("ASYS-TRUE", "ASYS-FALSE", "EBRADY-TRUE", "ETACHY-TRUE", "VTACH-TRUE"):
        rows = [row for row in index["cinc2015"] if label in row["labels"].split(";")]
        silence = np.array([longest_silence_s(options.data / row["path"]) for row in rows])
        print(f"| {label} | {len(rows)} | {(silence >= 3).sum()} | {(silence >= 4).sum()} |", flush=True)

    print("\n| no annotated beats | records | beats | rate 25 to 220 bpm | lead I alone misses % | adds % |")
    print("|---|---|---|---|---|---|")
    for dataset in TWELVE:
        chosen = index[dataset][:: max(1, len(index[dataset]) // options.each)][: options.each]
        found = np.array([one_lead_against_all(options.data / row["path"]) for row in chosen])
        beats, missed, false, _ = found.sum(axis=0)
        plausible = int(((found[:, 3] > 25) & (found[:, 3] < 220)).sum())
        print(f"| {dataset} | {len(chosen)} | {beats:.0f} | {plausible} |", end="")
        print(f" {100 * missed / beats:.2f} | {100 * false / beats:.2f} |", flush=True)
    for label in ("SR", "AF", "OTHER", "NOISE"):
        rows = [row for row in index["cinc2017"] if label in row["labels"].split(";")][: options.each]
        found = np.array([one_lead_against_all(options.data / row["path"]) for row in rows])
        plausible = int(((found[:, 3] > 25) & (found[:, 3] < 220)).sum())
        print(f"| cinc2017 {label} | {len(rows)} | {found[:, 0].sum():.0f} | {plausible} | – | – |", flush=True)

    print(f"\nCost: {cost_ms():.2f} ms of CPU per bed-second, 12 leads in pushes of 0.2 s.")
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    main()
