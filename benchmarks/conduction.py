"""How well single features of conduction part bundle branch blocks and AV block I from the rest on real recordings.

Run it from the repository's root: ``python -m benchmarks.conduction``. One window of 10 s a record, through the ward's
own assembler and beat detector; all records with one of the findings and a random choice of those without, by the same
labels that the network learns from. AUROC where the feature is defined, of more of it.
"""

import argparse
import random
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.atrial import auroc_of, windows
from ecg.readers import read_recording
from models.classes import FINDINGS
from models.features import conduction, qrs_shapes
from wardbeat.training.labels import record_truth
from wardbeat.training.records import records_of

SETS = {"PTB-XL": ("ptbxl_z500", "ptbxl_native100"), "CPSC2018": ("cpsc2018",)}
BLOCKS = ("rbbb", "lbbb", "av_block_1")
OTHERS = 250  # records a dataset without any of them
NAMES = ("qrs_width_ms", *conduction.FEATURE_NAMES)
WIDTH = qrs_shapes.FEATURE_NAMES.index("qrs_width_ms")
Floats = npt.NDArray[np.float32]


def drawn(data: Path, dataset: str, seed: int = 0) -> tuple[list[qrs_shapes.ShapeGroups], list[Floats]]:
    """The groups of one window of each chosen record, and what is true of its findings: (8,), NaN = unknown."""
    records = records_of(data, dataset)
    random.Random(seed).shuffle(records)
    room, groups, truths = OTHERS, [], []
    for record in records:
        truth = record_truth(dataset, record.labels).findings
        if not any(truth[FINDINGS.index(name)] == 1 for name in BLOCKS):
            room -= 1
            if room < 0:
                continue
        seen = list(windows(read_recording(data / record.path)))
        for _, microvolts, mask, r_peaks in seen[-2:][:1]:
            groups.append(qrs_shapes.group_shapes(microvolts, mask, r_peaks))
            truths.append(truth)
    return groups, truths


def features(groups: qrs_shapes.ShapeGroups) -> Floats:
    """(len(NAMES),) with NaN where undefined."""
    width = qrs_shapes.shape_features(groups)[0][WIDTH]
    return np.concatenate([[width], conduction.conduction_features(groups)[0]], dtype=np.float32)


def cost(groups: qrs_shapes.ShapeGroups) -> str:
    """Best of some runs, of one window with as many leads as it has."""
    best = np.inf
    for _ in range(300):
        begun = time.perf_counter()
        conduction.conduction_features(groups)
        best = min(best, time.perf_counter() - begun)
    return f"{int(groups.lead.sum())} leads, {len(groups.label)} beats: {best * 1e6:.0f} µs"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(".data"))
    options = parser.parse_args()
    values, truths, example = {}, {}, None
    for title, datasets in SETS.items():
        parts = [drawn(options.data, dataset) for dataset in datasets]
        values[title] = np.stack([features(each) for groups, _ in parts for each in groups])
        truths[title] = np.stack([each for _, some in parts for each in some])
        example = parts[0][0][0]
    heads, columns = [], []
    for block in BLOCKS:
        for title in SETS:
            truth = truths[title][:, FINDINGS.index(block)]
            known = np.isfinite(truth)
            heads.append(f"{block} {title} ({int(truth[known].sum())}/{known.sum()})")
            columns.append((values[title][known], truth[known] == 1))
    print("| feature | " + " | ".join(heads) + " | defined |\n|---|" + "---|" * (len(heads) + 1))
    for k, name in enumerate(NAMES):
        cells = " | ".join(f"{auroc_of(x[:, k], positive):.3f}" for x, positive in columns)
        defined = np.mean([np.isfinite(x[:, k]).mean() for x in values.values()])
        print(f"| `{name}` | {cells} | {defined:.2f} |")
    if example is not None:
        print("\n" + cost(example))


if __name__ == "__main__":
    main()
