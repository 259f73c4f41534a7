"""What the lead states are worth on real recordings: run it from the repository's root.

Every recording goes the ward's own way, as chunks through the assembler into LeadQuality, so the figures include
resampling, 1 µV steps and the clipping of int16. What is left out: the first 2 s of each recording, 2.5 s after each
edge of nstdb's noise, and what of mitdb lies near a note that an annotator found the signal noisy. The thresholds were
chosen on these same recordings, so the figures describe, they do not predict.
"""

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.leads import LEAD_INDEX, N_LEADS
from ecg.quality import FS, MARK, LeadQuality, LeadState, usable
from ecg.readers import read_recording
from ecg.readers.wfdb_records import wfdb_library
from ecg.recording import Recording
from windowing.assembler import Assembler
from windowing.spans import Span

STATES = tuple(LeadState)
WARM_MARKS = 3  # a mark looks back 2 s
NOISE_BEGINS_S, NOISE_S = 300, 120  # nstdb: noise in every other 2 minutes after the first 5


def states(recording: Recording) -> npt.NDArray[np.int8]:
    """(marks, leads of the recording) index into STATES, one mark each 0.5 s."""
    assembler, quality, marks = Assembler(), LeadQuality(), []
    for chunk in recording.chunks("bench"):
        for item in [*assembler.push(chunk), *(assembler.end() if chunk.final else [])]:
            if isinstance(item, Span):
                marks += quality.push(item.microvolts, item.mask)
    rows = [LEAD_INDEX[lead] for lead in recording.leads]
    found = [[STATES.index(mark.states[row]) for row in rows] for mark in marks[WARM_MARKS:]]
    return np.array(found, dtype=np.int8).reshape(-1, len(rows))


def cut(recording: Recording, seconds: float) -> Recording:
    """The first ``seconds`` of a recording, without its annotations."""
    samples = recording.microvolts[:, : round(seconds * recording.fs)]
    return Recording(recording.name, recording.fs, recording.leads, samples)


def auroc(positive: list[float], negative: list[float]) -> float:
    """Area under the ROC curve: the share of pairs in which the positive scores higher, ties half (Mann-Whitney)."""
    p, n = np.array(positive)[:, None], np.array(negative)[None]
    return float(((p > n) + 0.5 * (p == n)).mean())


def shares(marks: npt.NDArray[np.int8]) -> str:
    """Share of each state among lead-marks, and of marks with some good lead."""
    text = " ".join(
        f"{state} {100 * np.mean(marks == k):5.1f}%" for k, state in enumerate(STATES) if state != "missing"
    )
    return f"{text} | usable {100 * np.mean((marks == 0).any(axis=1)):5.1f}%"


def quiet(path: Path, fs: int, marks: int) -> npt.NDArray[np.bool_]:
    """Marks of a mitdb record away from stretches that an annotator called noisy ("~" with a subtype)."""
    with wfdb_library() as wfdb:
        notes = wfdb.rdann(str(path), "atr")
    noisy = np.zeros(marks, dtype=bool)
    since = None
    for sample, symbol, kind in zip(notes.sample, notes.symbol, notes.subtype, strict=True):
        if symbol == "~":
            if since is not None:
                noisy[max(0, int(since / fs * 2) - 11) : int(sample / fs * 2) + 5] = True
            since = sample if kind else None
    if since is not None:
        noisy[max(0, int(since / fs * 2) - 11) :] = True
    return ~noisy


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".data"))
    parser.add_argument("--each", type=int, default=100, help="records per class of cinc2017 and per large data set")
    options = parser.parse_args()
    index: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (options.data / "index.csv").open() as file:
        for row in csv.DictReader(file):
            index[row["dataset"]].append(row)

    def of(dataset: str, label: str = "", most: int = 10**6, seconds: float = 1e9) -> list[npt.NDArray[np.int8]]:
        rows = [row for row in index[dataset] if label in row["labels"].split(";") or not label]
        step = max(1, len(rows) // most)
        return [states(cut(read_recording(options.data / r["path"]), seconds)) for r in rows[::step][:most]]

    acceptable, unacceptable = of("cinc2011", "ACCEPTABLE"), of("cinc2011", "UNACCEPTABLE")
    bad_a = [float(np.mean(m != 0)) for m in acceptable]
    bad_u = [float(np.mean(m != 0)) for m in unacceptable]
    worst_a = [float((m != 0).mean(axis=0).max()) for m in acceptable]
    worst_u = [float((m != 0).mean(axis=0).max()) for m in unacceptable]
    print(f"cinc2011 {len(acceptable)} acceptable, {len(unacceptable)} unacceptable")
    print(
        f"  share of lead-marks not good: AUROC {auroc(bad_u, bad_a):.3f};",
        f"worst lead: AUROC {auroc(worst_u, worst_a):.3f}",
    )
    for name, u, a, limit in (
        ("some lead bad half of the time", worst_u, worst_a, 0.5),
        ("any bad mark", worst_u, worst_a, 0),
    ):
        print(f"  {name}: sens {np.mean(np.array(u) > limit):.3f} spec {np.mean(np.array(a) <= limit):.3f}")
    print("  acceptable  ", shares(np.concatenate(acceptable)))
    print("  unacceptable", shares(np.concatenate(unacceptable)))

    per = {label: of("cinc2017", label, options.each) for label in ("NOISE", "SR", "AF", "OTHER")}
    bad = {label: [float(np.mean(m != 0)) for m in found] for label, found in per.items()}
    for label, found in per.items():
        print(f"cinc2017 {label:6}", shares(np.concatenate(found)))
    rest = bad["SR"] + bad["AF"] + bad["OTHER"]
    print(f"  noise against the rest: AUROC {auroc(bad['NOISE'], rest):.3f}")

    for row in index["nstdb_118"]:
        marks = states(read_recording(options.data / row["path"]))
        at_s = (np.arange(len(marks)) + 1 + WARM_MARKS) * MARK / FS - NOISE_BEGINS_S
        edge = (at_s % NOISE_S) < 2.5
        noise = (at_s > 0) & (at_s % (2 * NOISE_S) < NOISE_S)
        print(f"{row['path']} noise", shares(marks[noise & ~edge]))
        print(f"{row['path']} clean", shares(marks[~noise & ~edge]))

    found = []
    for row in index["mitdb"]:
        recording = cut(read_recording(options.data / row["path"]), 600)
        marks = states(recording)
        found.append(marks[quiet(options.data / row["path"], recording.fs, len(marks))])
    print("mitdb clean", shares(np.concatenate(found)))
    for dataset in (
        "ptbxl_native100",
        "ptbxl_native500",
        "ptbxl_z500",
        "cpsc2018",
        "chapman_ningbo",
        "cpsc2021",
        "afpdb_n",
    ):
        found12 = of(dataset, "", options.each, 300)
        usable12 = np.concatenate([(m == 0).any(axis=1) for m in found12])
        good = np.mean(np.concatenate([(m == 0).ravel() for m in found12]))
        print(f"{dataset:15} lead-marks good {100 * good:5.1f}% usable {100 * np.mean(usable12):5.1f}%")
    for label in ("ASYS-TRUE", "VFIB-TRUE", "VTACH-TRUE", "EBRADY-TRUE", "ETACHY-TRUE", "ASYS-FALSE", "VFIB-FALSE"):
        ends = [m[-30:] for m in of("cinc2015", label)]
        some = np.concatenate([(m == 0).any(axis=1) for m in ends])
        every = np.concatenate([m.ravel() for m in ends])
        text = " ".join(f"{s} {100 * np.mean(every == k):5.1f}%" for k, s in enumerate(STATES) if s != "missing")
        print(f"cinc2015 {label:11} last 15 s: {text} | usable {100 * np.mean(some):5.1f}%")
    cost()


def cost() -> None:
    """Processor time per bed-second: 12 leads of noise in pushes of 200 ms."""
    rng = np.random.default_rng(0)
    microvolts = rng.normal(0, 50, (N_LEADS, 100 * FS)).astype(np.float32)
    mask = np.ones(microvolts.shape, dtype=bool)
    best = np.inf
    for _ in range(4):  # the first one compiles
        quality = LeadQuality()
        began = time.process_time()
        for first in range(0, microvolts.shape[1], FS // 5):
            for mark in quality.push(microvolts[:, first : first + FS // 5], mask[:, first : first + FS // 5]):
                usable(mark.states)
        best = min(best, (time.process_time() - began) * 1000 / 100)
    print(f"cost {best:.3f} ms per bed-second, snapshot {len(quality.snapshot())} bytes")


if __name__ == "__main__":
    main()
