"""Tiny databases in the form of the real ones, and networks whose answer is known beforehand."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from ecg.leads import LEADS
from ecg.recording import Recording, Rhythm
from ecg.synthetic import SyntheticPatient
from ecg.writer import write_record
from models.classes import AF, OUTPUTS, RHYTHMS
from models.features.minirocket import fit
from models.features.minirocket_leads import shared_config, tiled
from models.inputs import PPV_PER_LEAD
from models.network.config import NetworkConfig
from models.network.shapes import tensor_shapes
from models.network.weights import Model, save_model
from models.uncertainty.calibration import Calibration
from tests.models.unfitted import all_five, identity

SURE = 8.0  # logit of 0.9997
SEED = 7  # of the split by patient


def random_model(path: Path, left_out: tuple[str, ...] = ()) -> Model:
    """Random tensors: answers nobody can know, but the same ones each time."""
    return _save(path, identity(), left_out)


def always_af(path: Path) -> Model:
    """The calibration drowns whatever the network says: AF in every second of every window."""
    k, r = len(OUTPUTS), len(RHYTHMS)
    offset = np.where(np.arange(k) == AF, SURE, -SURE)
    return _save(path, Calibration(np.full(k, 1e-9), offset, np.full(r, 1e-9), offset[:r].copy()), ())


def _save(path: Path, calibration: Calibration, left_out: tuple[str, ...]) -> Model:
    rng = np.random.default_rng(1)
    tensors = {}
    for name, shape in tensor_shapes(NetworkConfig()).items():
        small = (rng.normal(size=shape) * 0.05).astype(np.float32)  # large ones would saturate each answer
        tensors[name] = np.abs(small) + 1 if name.endswith("scale") else small
    noise = np.repeat(rng.integers(-300, 300, (4, 1, 1000)).astype(np.int16), 12, axis=1)
    kernels = tiled(fit(noise, np.ones(noise.shape, np.bool_), shared_config(100, PPV_PER_LEAD, 3.0)))
    training = {"left_out": list(left_out), "seed": SEED}
    return save_model(path, tensors, NetworkConfig(), kernels, calibration, all_five(), training)


def patient(script: str, seed: int, leads: tuple[str, ...] = LEADS) -> Recording:
    """A synthetic patient at 250 Hz."""
    return SyntheticPatient(script, seed, 250, leads).recording(f"r{seed}")


def silent(seconds: int) -> Recording:
    """Twelve leads that no electrode is on: nothing to judge by."""
    return Recording("silent", 250, LEADS, np.zeros((12, 250 * seconds), np.float32))


def annotated(script: str, seed: int, rhythms: list[tuple[str, int, int]]) -> Recording:
    """Leads I and II with rhythms (name, onset s, offset s) of our own choice."""
    named = tuple(Rhythm(name, 250 * onset, 250 * offset) for name, onset, offset in rhythms)
    return replace(patient(script, seed, ("I", "II")), rhythms=named)


def write_databases(folder: Path) -> Path:
    """Three databases: four short labelled records, one with AF annotated, and two of beats alone without any."""
    rows = []

    def add(dataset: str, name: str, recording: Recording, labels: str, subject: str) -> Path:
        (folder / dataset).mkdir(exist_ok=True)
        header = write_record(recording, folder / dataset / name)
        rows.append({"path": f"{dataset}/{name}", "dataset": dataset, "subject": subject, "labels": labels})
        return header

    plain = {"rhythms": (), "beats": None, "beat_symbols": ()}
    sinus, af = "sinus(rate=70) 10s", "af(rate=110) 10s"
    add("ptbxl_native500", "a", replace(patient(sinus, 1), **plain), "SR;SA", "p1")
    add("ptbxl_native500", "b", replace(patient(af, 2), **plain), "AF", "p2")
    add("ptbxl_native500", "c", replace(patient("sinus(rate=70) 15s", 3), **plain), "SR;PAC", "p2")
    add("ptbxl_native500", "d", silent(10), "AF", "p4")
    # As there, nothing is said before the first AF: that it is none, is meant.
    told = [("(AFIB", 20, 40), ("(N", 40, 50)]
    header = add("cpsc2021", "e", annotated("sinus 20s, af 20s, sinus 10s", 5, told), "paroxysmal", "c1")
    header.write_text(header.read_text() + "# paroxysmal atrial fibrillation\n")
    for k, subject in ((6, "n1"), (7, "n2")):
        add("nsrdb_rr", f"s{k}", patient("sinus(rate=70) 61s", k), "SR", subject)
        (folder / "nsrdb_rr" / f"s{k}.dat").unlink()
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["path", "dataset", "subject", "labels"])
        table.writeheader()
        table.writerows(rows)
    return folder
