"""Inputs of the network: made up, with everything that may be missing missing somewhere, and of synthetic patients."""

from functools import cache

import numpy as np
import numpy.typing as npt

from ecg.beats import BeatDetector
from ecg.leads import N_LEADS
from ecg.synthetic import SyntheticPatient
from models.features.extractor import Extractor
from models.inputs import (
    CONTEXT_WINDOWS,
    N_ATRIAL,
    N_CONTEXT,
    N_PULSE,
    N_RR,
    N_SHAPE,
    PPV_PER_LEAD,
    SAMPLES,
    TOKENS,
    NetworkInput,
)
from models.network.batch import Batch
from models.network.weights import load_model
from windowing.assembler import Assembler
from windowing.spans import Span


def random_batch(windows: int, seed: int = 0, leads: float = 0.4, unknown: float = 0.1) -> Batch:
    """Windows of noise: each lead is known with probability ``leads``, each feature NaN with ``unknown``."""
    rng = np.random.default_rng(seed)
    known = rng.random((windows, N_LEADS)) < leads

    def features(*shape: int) -> npt.NDArray[np.float32]:
        return np.where(rng.random(shape) < unknown, np.nan, 100 * rng.normal(size=shape)).astype(np.float32)

    return Batch(
        signal=(100 * rng.normal(size=(windows, N_LEADS, SAMPLES)) * known[..., None]).astype(np.int16),
        leads=known,
        ppv=(rng.random((windows, N_LEADS, PPV_PER_LEAD)) * known[..., None]).astype(np.float32),
        rr=features(windows, N_RR),
        shape=features(windows, N_SHAPE),
        atrial=features(windows, N_ATRIAL),
        pulse=rng.normal(size=(windows, TOKENS, N_PULSE)).astype(np.float32),
        context=features(windows, CONTEXT_WINDOWS, N_CONTEXT),
        context_age_s=features(windows, CONTEXT_WINDOWS),
    )


@cache
def patient_window(script: str, seed: int) -> NetworkInput:
    """What the ward draws of the newest 10 s of a synthetic patient's twelve leads."""
    assembler, detector, extractor = Assembler(), BeatDetector(), Extractor(load_model().minirocket)
    beats = np.empty(0, np.int64)
    drawn: list[NetworkInput] = []
    for chunk in SyntheticPatient(script, seed).recording().chunks("bed", seconds=1.0):
        for item in assembler.push(chunk):
            if isinstance(item, Span):
                beats = np.concatenate([beats, detector.push(item.microvolts, item.mask).sample])
                extractor.push(item.microvolts, item.mask)
                if item.window is not None:
                    drawn.append(extractor.extract(item.window, beats))
    return drawn[-1]
