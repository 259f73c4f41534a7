"""How well single atrial and QRS-shape features part AF and flutter from the rest on real recordings.

Run it from the repository's root: ``python -m benchmarks.atrial``. Windows of 10 s come through the ward's own
assembler and beat detector. AUROC is of one feature, turned so that its mean over the sets is at least 0.5, over
windows where it is defined (share beside it); nothing is fitted, so no split is needed. The feature constants were
chosen on these same sets: the figures describe, they do not predict. CinC 2017's noise class is left out. Long records
are read in excerpts. ``--fit`` adds a boosted check with one database left out at a time; it needs scikit-learn.
"""

import argparse
import csv
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.beats import BeatDetector
from ecg.readers import read_recording
from ecg.recording import Recording
from models.features import atrial, qrs_shapes
from wardbeat.evaluation.metrics import auroc, confusion
from windowing.assembler import Assembler
from windowing.spans import Span

WINDOW = 5000
UV_PER_BIT = 0.5  # z-scored sets reach ±16 of their units, CPSC 2021 stands on 5 mV
EXCERPT_S = 240
SETS = {  # most windows of AF, of flutter and of the rest
    "ptbxl_z500": (98, 60, 250),
    "ptbxl_native100": (60, 60, 150),
    "cpsc2018": (60, 60, 154),
    "chapman_ningbo": (9, 20, 85),
    "cinc2017": (200, 0, 400),
    "mitdb": (160, 80, 400),
    "afpdb_p": (120, 60, 120),
    "afpdb_n": (0, 0, 300),
    "cpsc2021": (160, 60, 200),
}
RR_NAMES = ("rr_cv", "rr_rmssd", "rr_median_step", "rr_mean_s", "rr_turning")
NAMES = (*RR_NAMES, *qrs_shapes.FEATURE_NAMES, *atrial.FEATURE_NAMES)
Floats = npt.NDArray[np.float32]


@dataclass
class Sample:
    """One window: its record's subject, its class (AF, AFL, SR or other) and its signal."""

    subject: str
    rhythm: str
    microvolts: Floats
    mask: npt.NDArray[np.bool_]
    r_peaks: npt.NDArray[np.int64]


def windows(recording: Recording) -> Iterator[tuple[int, Floats, npt.NDArray[np.bool_], npt.NDArray[np.int64]]]:
    """(end, microvolts, mask, R peaks) of each 10 s, in steps of 5 s, as the ward sees them."""
    assembler, detector = Assembler(hop_s=5.0), BeatDetector()
    kept, beats = [], []
    for chunk in recording.chunks("bed", seconds=1.0, uv_per_bit=UV_PER_BIT):
        for item in assembler.push(chunk):
            if isinstance(item, Span):
                beats.append(detector.push(item.microvolts, item.mask).sample)
                if item.window is not None:
                    kept.append((item.window.end, item.window.microvolts.copy(), item.window.mask.copy()))
    found = np.concatenate([*beats, detector.flush().sample])
    for end, microvolts, mask in kept:
        yield end, microvolts, mask, found[(found >= end - WINDOW) & (found < end)] - (end - WINDOW)


def of_labels(labels: str) -> str:
    """Class of a record by its labels; empty for noise."""
    names = set(labels.split(";"))
    if "NOISE" in names:
        return ""
    for names_of, rhythm in (
        ({"AF", "AFIB"}, "AF"),
        ({"AFL", "AFLT"}, "AFL"),
        ({"SR", "NORM", "SB", "ST", "SA"}, "SR"),
    ):
        if names & names_of:
            return rhythm
    return "other"


def of_rhythms(recording: Recording, first_s: float, last_s: float) -> str:
    """Class of a stretch by annotated rhythms; empty where it is mixed with AF or flutter."""
    share = {"AF": 0.0, "AFL": 0.0, "SR": 0.0}
    for rhythm in recording.rhythms:
        name = rhythm.name.strip("(\x00")
        key = {"AFIB": "AF", "AFL": "AFL", "N": "SR", "SR": "SR"}.get(name)
        inside = min(last_s, rhythm.offset / recording.fs) - max(first_s, rhythm.onset / recording.fs)
        if key and inside > 0:
            share[key] += inside / (last_s - first_s)
    for key in ("AF", "AFL"):
        if share[key] > 0.95:
            return key
        if share[key] > 0:
            return ""
    return "SR" if share["SR"] > 0.95 else "other"


def samples(data: Path, dataset: str, seed: int = 0) -> list[Sample]:
    """A random choice of windows of a set, at most as many of a class as SETS says."""
    with (data / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
    random.Random(seed).shuffle(rows)
    room = dict(zip(("AF", "AFL", "rest"), SETS[dataset], strict=True))
    long = dataset in ("mitdb", "afpdb_p", "afpdb_n", "cpsc2021")
    found: list[Sample] = []
    for row in rows:
        rhythm = "" if long else of_labels(row["labels"])
        key = rhythm if rhythm in room else "rest"
        if not long and (not rhythm or room[key] <= 0):
            continue
        recording = read_recording(data / row["path"])
        excerpts = [(0.0, recording)]
        if long and recording.seconds > 2 * EXCERPT_S:
            starts = {60.0, recording.seconds - EXCERPT_S} | {
                max(r.onset / recording.fs - 60, 0.0) for r in recording.rhythms if "AF" in r.name
            }
            excerpts = [(start, _cut(recording, start)) for start in sorted(starts)[:6]]
        for start, part in excerpts:
            seen = list(windows(part))
            for end, microvolts, mask, r_peaks in seen[1:] if long else seen[-2:][:1]:
                if long and dataset == "afpdb_n":
                    rhythm = "SR"
                elif long:
                    rhythm = of_rhythms(recording, start + end / 500 - 10, start + end / 500)
                key = rhythm if rhythm in room else "rest"
                # A twentieth of the room for one excerpt: many patients rather than many windows of one.
                if not rhythm or room[key] <= 0 or (long and random.Random(end).random() > 0.4):
                    continue
                room[key] -= 1
                found.append(Sample(f"{dataset}/{row['subject']}", rhythm, microvolts, mask, r_peaks))
    return found


def _cut(recording: Recording, start_s: float) -> Recording:
    first = int(start_s * recording.fs)
    cut = recording.microvolts[:, first : first + EXCERPT_S * recording.fs]
    return replace(recording, microvolts=cut, beats=None, beat_symbols=(), rhythms=())


def rr_features(r_peaks: npt.NDArray[np.int64]) -> list[float]:
    """The plain measures of all RR intervals that the others are compared with."""
    rr = np.diff(r_peaks) / 500
    if len(rr) < 4:
        return [np.nan] * len(RR_NAMES)
    step = np.diff(rr)
    return [
        rr.std() / rr.mean(),
        float(np.sqrt((step**2).mean())) / rr.mean(),
        float(np.median(np.abs(step))) / rr.mean(),
        rr.mean(),
        float((step[1:] * step[:-1] < 0).mean()),
    ]


def features(sample: Sample) -> Floats:
    """(len(NAMES),) with NaN where undefined."""
    groups = qrs_shapes.group_shapes(sample.microvolts, sample.mask, sample.r_peaks)
    parts = (rr_features(sample.r_peaks), qrs_shapes.shape_features(groups)[0], atrial.atrial_features(groups)[0])
    return np.concatenate(parts, dtype=np.float32)


def auroc_of(values: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Where the feature is defined; NaN without either class there."""
    known = ~np.isnan(values)
    return auroc(positive[known], values[known])


def table(title: str, columns: dict[str, tuple[Floats, npt.NDArray[np.bool_]]], most: int) -> None:
    """Markdown: a row a feature, best mean first; ``columns`` name → (values (n, f), positive (n,))."""
    columns = {name: (x, y) for name, (x, y) in columns.items() if y.any() and not y.all()}
    area = np.array([[auroc_of(x[:, k], y) for x, y in columns.values()] for k in range(len(NAMES))])
    turned = np.nanmean(area, axis=1) < 0.5
    area[turned] = 1 - area[turned]
    known = np.array([np.mean([1 - np.isnan(x[:, k]).mean() for x, _ in columns.values()]) for k in range(len(NAMES))])
    print(f"\n### {title}\n")
    heads = [f"{name} ({y.sum()}/{len(y)})" for name, (_, y) in columns.items()]
    print("| feature | more is | " + " | ".join(heads) + " | mean | defined |")
    print("|---|---|" + "---|" * (len(heads) + 2))
    for k in np.argsort(-np.nan_to_num(area.mean(axis=1)))[:most]:
        cells = " | ".join("–" if np.isnan(a) else f"{a:.3f}" for a in area[k])
        print(f"| {NAMES[k]} | {'less' if turned[k] else 'more'} | {cells} | {area[k].mean():.3f} | {known[k]:.2f} |")


def fitted(values: dict[str, Floats], rhythms: dict[str, npt.NDArray[np.str_]]) -> None:
    """AUROC of AF by boosted trees, each database left out of training in turn (and so its patients)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    n_rr, n_shape = len(RR_NAMES), len(RR_NAMES) + qrs_shapes.N_FEATURES
    families = {"RR": slice(0, n_rr), "RR + shape": slice(0, n_shape), "RR + shape + atrial": slice(0, len(NAMES))}
    print("\n### Boosted trees, AF against all else, that database left out\n")
    print("| set | " + " | ".join(f"{name}: AUROC / F1 at 0.5" for name in families) + " |\n|---|" + "---|" * 3)
    for left_out in (name for name in values if (rhythms[name] == "AF").any()):
        # Sets of one name come from one database and may share patients.
        others = [name for name in values if name.split("_")[0] != left_out.split("_")[0]]
        y = np.concatenate([rhythms[name] for name in others]) == "AF"
        truth = rhythms[left_out] == "AF"
        cells = []
        for columns in families.values():
            model = HistGradientBoostingClassifier(max_iter=120, learning_rate=0.06, max_leaf_nodes=12, random_state=0)
            model.fit(np.concatenate([values[name] for name in others])[:, columns], y)
            p = model.predict_proba(values[left_out][:, columns])[:, 1]
            cells.append(f"{auroc(truth, p):.3f} / {confusion(truth, p).f1:.2f}")
        print(f"| {left_out} | " + " | ".join(cells) + " |")


def cost(sample: Sample) -> str:
    """Best of some runs, milliseconds of one window with as many leads as the sample has."""
    groups = qrs_shapes.group_shapes(sample.microvolts, sample.mask, sample.r_peaks)
    calls = {
        "groups": lambda: qrs_shapes.group_shapes(sample.microvolts, sample.mask, sample.r_peaks),
        "shape features": lambda: qrs_shapes.shape_features(groups),
        "atrial": lambda: atrial.atrial_features(groups),
    }
    told = []
    for name, call in calls.items():
        best = np.inf
        for _ in range(200):
            begun = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - begun)
        told.append(f"{name} {best * 1e3:.3f} ms")
    return f"{int(groups.lead.sum())} leads, {len(sample.r_peaks)} beats: " + ", ".join(told)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(".data"))
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=list(SETS))
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--fit", action="store_true", help="needs scikit-learn")
    options = parser.parse_args()
    chosen = {name: samples(options.data, name) for name in options.sets}
    values = {name: np.stack([features(sample) for sample in some]) for name, some in chosen.items()}
    rhythms = {name: np.array([sample.rhythm for sample in some]) for name, some in chosen.items()}
    report(values, rhythms, options.rows, fit=options.fit)
    print("\n" + cost(next(iter(chosen.values()))[0]))


def report(values: dict[str, Floats], rhythms: dict[str, npt.NDArray[np.str_]], rows: int, *, fit: bool) -> None:
    """The tables of all sets: ``values`` (n, f) and class names (n,) by set."""
    table("AF against all else", {name: (x, rhythms[name] == "AF") for name, x in values.items()}, rows)
    kept = {name: np.isin(rhythms[name], ("AF", "AFL", "SR")) for name in values}
    flutter = {
        name: (x[kept[name] & (rhythms[name] != "AF")], rhythms[name][kept[name] & (rhythms[name] != "AF")] == "AFL")
        for name, x in values.items()
    }
    table("Flutter against sinus rhythm", flutter, rows)
    if fit:
        fitted(values, rhythms)


if __name__ == "__main__":
    main()
