"""How well single RR features tell AF on annotated beats, and what they cost beside neurokit2.

Run it from the repository's root: ``python -m benchmarks.hrv``. A feature of a span counts where the whole span is AF
or none of it is, every 10 s; spans with an annotation that says noise or nothing are left out. AUROC is of spans where
the feature is defined, and turned one way for all sets (− marks a feature that falls in AF). Each subject weighs the
same in a class, so that a long record does not outvote the rest. Nothing is fitted, so no split is needed. nsrdb has no
AF: its spans stand against the AF of afdb and ltafdb. VitalDB gives AF and flutter one label. Beats are the annotated
ones, without a detector's errors.
"""

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.readers import read_beats
from models.features.hrv import FEATURE_NAMES, SPANS_S, rr_features
from models.features.hrv_kernels import NAMES

FS = 500
HOP_S = 10
SETS = {"afdb_rr": "qrs", "ltafdb_rr": "qrs", "nsrdb_rr": "atr", "vitaldb_arrdb_rr": "csv"}
AF = ("AFIB", "AFIB/AFL")
UNKNOWN = ("NA", "Noise", "Unclassifiable", "")
Floats = npt.NDArray[np.float32]
Groups = dict[tuple[str, int, bool], Floats]  # (subject, span, AF or not) -> rows of features


def record(path: Path, ext: str, subject: str, groups: dict[tuple[str, int, bool], list[Floats]]) -> None:
    """Sort the record's spans by subject, length and class."""
    notes = read_beats(path, ext)
    peaks = np.unique(np.rint(notes.beats * (FS / notes.fs)).astype(np.int64))
    if len(peaks) < 2:
        return
    first, last = int(peaks[0]), int(peaks[-1])
    af, known = np.zeros(last + 1, np.bool_), np.zeros(last + 1, np.bool_)
    known[:] = not notes.rhythms  # nsrdb has no rhythm annotation: all of it is sinus rhythm
    for rhythm in notes.rhythms:
        onset, offset = round(rhythm.onset * FS / notes.fs), round(rhythm.offset * FS / notes.fs)
        name = rhythm.name.lstrip("(")  # WFDB writes "(AFIB"
        af[onset:offset] = name in AF
        known[onset:offset] = name not in UNKNOWN
    n_af, n_known = np.concatenate([[0], np.cumsum(af)]), np.concatenate([[0], np.cumsum(known)])
    for now in range(first + SPANS_S[0] * FS, last, HOP_S * FS):
        near = peaks[np.searchsorted(peaks, now - 60 * FS) : np.searchsorted(peaks, now, "right")]
        values = rr_features(near, now, since=first).values.reshape(len(SPANS_S), -1)
        for span, row in zip(SPANS_S, values, strict=True):
            n = span * FS
            share = n_af[now] - n_af[max(now - n, 0)]
            if now - n >= first and n_known[now] - n_known[now - n] == n and share in (0, n):
                groups[subject, span, bool(share)].append(row)


def auroc(positive: list[Floats], negative: list[Floats]) -> float:
    """Area under the ROC curve with the same weight a subject in each class, ties counted half; as is, not turned."""
    parts = [(g[np.isfinite(g)], label) for label, gs in ((1, positive), (0, negative)) for g in gs]
    parts = [(g, label) for g, label in parts if len(g)]
    count = [sum(label == k for _, label in parts) for k in (0, 1)]
    if not all(count):
        return float("nan")
    x = np.concatenate([g for g, _ in parts])
    w = np.concatenate([np.full(len(g), 1 / len(g) / count[label]) for g, label in parts])
    y = np.concatenate([np.full(len(g), label == 1) for g, label in parts])
    _, level = np.unique(x, return_inverse=True)
    p, q = np.bincount(level, w * y), np.bincount(level, w * ~y)
    return float(np.sum(p * (np.cumsum(q) - 0.5 * q)))


def table(data: Path) -> None:
    """Print the Markdown table of AUROC by feature, set and span."""
    with (data / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] in SETS]
    sets: dict[str, dict[tuple[str, int, bool], list[Floats]]] = {name: defaultdict(list) for name in SETS}
    for row in rows:
        record(data / row["path"], SETS[row["dataset"]], row["subject"], sets[row["dataset"]])
    groups: dict[str, Groups] = {name: {k: np.array(v) for k, v in g.items()} for name, g in sets.items()}
    groups["nsrdb_rr"] |= {k: v for name in ("afdb_rr", "ltafdb_rr") for k, v in groups[name].items() if k[2]}
    print("| set | span s | spans of AF | of the rest | subjects with AF | without |")
    print("|---|---|---|---|---|---|")
    for name, group in groups.items():
        for span in SPANS_S:
            of = {label: [g for k, g in group.items() if k[1:] == (span, label)] for label in (True, False)}
            n = [sum(map(len, of[label])) for label in (True, False)]
            print(f"| {name} | {span} | {n[0]} | {n[1]} | {len(of[True])} | {len(of[False])} |")
    print("\n| feature |", " | ".join(f"{name.removesuffix('_rr')} {s}" for name in SETS for s in SPANS_S), "| mean |")
    print("|---" * (2 + len(SETS) * len(SPANS_S)) + "|")
    lines = []
    for k, feature in enumerate(NAMES):
        figures = []
        for group in groups.values():
            for span in SPANS_S:
                of = {
                    label: [g[:, k] for key, g in group.items() if key[1:] == (span, label)] for label in (True, False)
                }
                figures.append(auroc(of[True], of[False]))
        sign = "−" if np.nanmean(figures) < 0.5 else "+"
        turned = [1 - a if sign == "−" else a for a in figures]
        lines.append((float(np.nanmean(turned)), f"| {feature} {sign}", turned))
    for mean, feature, turned in sorted(lines, key=lambda line: -line[0]):
        print(feature, "|", " | ".join(f"{a:.3f}" for a in turned), f"| {mean:.3f} |")


def cost() -> None:
    """Print what a call costs, ours and neurokit2's, on a minute of beats at 100 /min."""
    import neurokit2 as nk

    peaks = np.cumsum(np.random.default_rng(0).normal(300, 30, 200)).astype(np.int64)
    now = int(peaks[-1])
    last = peaks[peaks > now - 60 * FS] - peaks[0]
    rr = np.diff(last) * 2.0

    def theirs() -> None:
        nk.hrv_time({"ECG_R_Peaks": last}, sampling_rate=FS)
        nk.entropy_sample(rr, dimension=1, tolerance=0.2 * rr.std(ddof=1))

    def took_ms(call: object, times: int) -> float:
        assert callable(call)
        call()
        spent = []
        for _ in range(times):
            t = time.perf_counter()
            call()
            spent.append(time.perf_counter() - t)
        return float(np.median(spent)) * 1000

    ours_ms, theirs_ms = took_ms(lambda: rr_features(peaks, now), 2000), took_ms(theirs, 20)
    print(f"{len(FEATURE_NAMES)} features of 10, 30 and 60 s at 100 /min: {ours_ms:.3f} ms a call")
    print(
        f"neurokit2, hrv_time and entropy_sample of the 60 s alone: {theirs_ms:.1f} ms, {theirs_ms / ours_ms:.0f} times"
    )


def main() -> None:
    """Print the cost, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(".data"))
    arguments = parser.parse_args()
    cost()
    print()
    table(arguments.data)


if __name__ == "__main__":
    main()
