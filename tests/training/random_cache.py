"""Small caches in the format of ``wardbeat.training.cache``, random but for what a rhythm shows."""

from pathlib import Path
from typing import Any

import numpy as np

from ecg.leads import N_LEADS
from models.classes import AF, FINDINGS, RHYTHMS, SINUS
from models.inputs import (
    CONTEXT_WINDOWS,
    N_ATRIAL,
    N_CONTEXT,
    N_PULSE,
    N_RR,
    N_SHAPE,
    PPV_PER_LEAD,
    SAMPLES,
    SECONDS,
    TOKENS,
)
from wardbeat.training.identity import drawn_by, stored

NOWHERE = Path("nowhere")  # a cache without kernels and noise


def arrays(subjects: list[str], windows: int, seed: int = 0) -> dict[str, Any]:
    """Each subject has ``windows`` windows of one to five leads, every second one AF: 20 RR features say so.

    The signal of AF is rougher too; half of the seconds' rhythms and a quarter of the findings are unknown.
    """
    rng = np.random.default_rng(seed)
    n = len(subjects) * windows
    lead = [np.sort(rng.permutation(N_LEADS)[: rng.integers(1, 6)]) for _ in range(n)]
    start = np.concatenate([[0], np.cumsum([len(each) for each in lead])]).astype(np.int64)
    rows = int(start[-1])
    af = np.arange(n) % 2 == 0
    rr = rng.normal(size=(n, N_RR)).astype(np.float32)
    rr[:, :20] += np.where(af, 2.0, -2.0)[:, None].astype(np.float32)
    rr[rng.random(rr.shape) < 0.1] = np.nan
    rhythm = np.zeros((n, len(RHYTHMS)), np.float16)
    rhythm[af, AF] = 1
    rhythm[~af, SINUS] = 1
    seconds = np.repeat(rhythm[:, None], SECONDS, axis=1)
    seconds[rng.random(n) < 0.5] = np.nan
    findings = (rng.random((n, len(FINDINGS))) < 0.2).astype(np.float16)
    findings[rng.random(findings.shape) < 0.25] = np.nan
    context = rng.normal(size=(n, CONTEXT_WINDOWS, N_CONTEXT)).astype(np.float32)
    age = np.tile(np.arange(10, 60, 10, dtype=np.float32), (n, 1))
    context[:, 3:], age[:, 3:] = np.nan, np.nan
    signal = rng.normal(scale=np.repeat(np.where(af, 60, 20), np.diff(start))[:, None], size=(rows, SAMPLES))
    return {
        "signal": signal.astype(np.int16),
        "ppv": rng.random((rows, PPV_PER_LEAD)).astype(np.float16),
        "lead": np.concatenate(lead).astype(np.uint8),
        "start": start,
        "rr": rr,
        "shape": rng.normal(size=(n, N_SHAPE)).astype(np.float32),
        "atrial": rng.normal(size=(n, N_ATRIAL)).astype(np.float32),
        "pulse": rng.normal(size=(n, TOKENS, N_PULSE)).astype(np.float16),
        "context": context,
        "context_age_s": age,
        "seconds_target": seconds,
        "rhythm_target": rhythm,
        "findings_target": findings,
        "record": np.repeat([f"record-{s}" for s in subjects], windows),
        "subject": np.repeat(subjects, windows),
        "end_s": np.tile(10.0 * np.arange(1, windows + 1), len(subjects)),
        "leads_name": np.full(n, "all"),
        "augmented": np.zeros(n, np.bool_),
        "identity": stored(drawn_by(NOWHERE)),
    }


def write(folder: Path, name: str, subjects: list[str], windows: int, seed: int = 0, **changed: Any) -> Path:
    """One dataset of a cache, some of its arrays changed; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = stored(drawn_by(folder))
    np.savez(folder / f"{name}.npz", **{**arrays(subjects, windows, seed), "identity": identity, **changed})
    return folder
