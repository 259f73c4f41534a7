"""Which records the network learns from, through which leads, and at which moments of them."""

import csv
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ecg.beats import BeatDetector
from ecg.leads import LEADS, N_LEADS
from ecg.quality import LeadQuality, LeadState, QualityMark, usable
from ecg.recording import Recording
from models.features.extractor import Extractor, RhythmMemory
from models.features.minirocket_parameters import MiniRocketParameters
from models.inputs import CONTEXT_WINDOWS, SECONDS, NetworkInput
from models.judge import USABLE_SHARE
from stream.offline import CHUNK_S, LEAST_BEATS, uv_per_bit
from wardbeat.training.labels import RARE
from windowing.assembler import Assembler
from windowing.spans import ANALYSIS_FS, EpochStart, Span

HOP_S = 5.0  # half of a window is new
MEMORY = 60 * ANALYSIS_FS  # samples of beats that the ward remembers
CHANGE_S = 90.0  # around an onset or offset, context and window mix rhythms: such moments are rare and hard

Beats = npt.NDArray[np.int64]


class Told(StrEnum):
    """How a dataset says what is true."""

    LABELS = "labels"  # of each record
    ANNOTATIONS = "annotations"  # of each moment
    NO_AF = "no_af"  # nothing but that there is no AF
    SINUS = "sinus"  # of healthy subjects


@dataclass(frozen=True)
class Plan:
    """What is taken of a dataset.

    Attributes:
        told: how its truth is known.
        every_s: seconds between windows of a record: 5, or a multiple of 10.
        copies: augmented copies of each record, with windows half as often in long ones.
        rare_copies: of records with AF, flutter or another rare rhythm or noise.
        beats_only: there is no waveform.
        change_every_s: seconds between windows near a change of rhythm; None = as elsewhere.
        most: windows of a record at most, evenly spread; None = all.
    """

    told: Told
    every_s: float = HOP_S
    copies: int = 1
    rare_copies: int = 2
    beats_only: bool = False
    change_every_s: float | None = None
    most: int | None = None


PLANS: dict[str, Plan] = {
    "ptbxl_z500": Plan(Told.LABELS),
    "ptbxl_native100": Plan(Told.LABELS),
    "ptbxl_native500": Plan(Told.LABELS),
    "cpsc2018": Plan(Told.LABELS),
    "cpsc2018_extra": Plan(Told.LABELS),
    "chapman_ningbo": Plan(Told.LABELS),
    "cinc2017": Plan(Told.LABELS, rare_copies=1),
    "cinc2011": Plan(Told.LABELS, rare_copies=1),
    "mitdb": Plan(Told.ANNOTATIONS),
    "nstdb_118": Plan(Told.ANNOTATIONS, every_s=10, copies=0),
    "cpsc2021": Plan(Told.ANNOTATIONS, copies=2),
    "afpdb_p": Plan(Told.ANNOTATIONS),
    "afpdb_n": Plan(Told.NO_AF, every_s=20),
    "synthetic": Plan(Told.ANNOTATIONS, every_s=10, copies=0, rare_copies=0),
    "afdb_rr": Plan(Told.ANNOTATIONS, every_s=60, beats_only=True, change_every_s=10),
    "ltafdb_rr": Plan(Told.ANNOTATIONS, every_s=60, beats_only=True, change_every_s=10),
    "vitaldb_arrdb_rr": Plan(Told.ANNOTATIONS, every_s=20, beats_only=True, most=40),
    "nsrdb_rr": Plan(Told.SINUS, every_s=300, beats_only=True),
}


@dataclass(frozen=True)
class Record:
    """A row of the index: where a record lies (below the data folder), whose it is and what it is called."""

    dataset: str
    path: str
    subject: str
    labels: tuple[str, ...] = ()

    @property
    def rare(self) -> bool:
        """Whether a label is AF, flutter, noise or another rhythm of which there is little."""
        return bool(set(self.labels) & RARE)

    @property
    def copies(self) -> int:
        """Augmented copies to make of it."""
        plan = PLANS[self.dataset]
        return plan.rare_copies if self.rare else plan.copies


def check_known(dataset: str) -> Plan:
    """The plan of a dataset; ValueError, quoting, for one that there is none for."""
    if dataset not in PLANS:
        raise ValueError(f"unknown dataset {dataset!r}; known: {', '.join(PLANS)}")
    return PLANS[dataset]


def records_of(data: Path, dataset: str) -> list[Record]:
    """The records of a dataset in the order of ``index.csv``.

    Raises:
        ValueError: the dataset is not known, or the index has none of it; quotes it.
    """
    check_known(dataset)
    return indexed(data, dataset)


def indexed(data: Path, dataset: str) -> list[Record]:
    """The same of any dataset of the index, also one that nothing is learnt from."""
    with (data / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
    if not rows:
        raise ValueError(f"{data / 'index.csv'} has no record of dataset {dataset!r}")
    return [Record(dataset, row["path"], row["subject"], tuple(row["labels"].split(";"))) for row in rows]


TELEMETRY = ("I", "II", "V1")
LIMB = LEADS[:6]


def named(leads: tuple[str, ...]) -> str:
    """What a set of leads is called."""
    if len(leads) == N_LEADS:
        return "12"
    return "limb" if leads == LIMB else "+".join(leads)


def clean_leads(leads: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The sets of leads that an unaltered recording is seen through, all of its own first."""
    if len(leads) == N_LEADS:
        return [leads, LIMB, TELEMETRY, ("I",), ("II",), ("V1",)]
    return [leads, *((lead,) for lead in leads if len(leads) > 1)]


def augmented_leads(leads: tuple[str, ...], rng: np.random.Generator) -> list[tuple[str, ...]]:
    """The sets of leads that an augmented copy is seen through: several and a single one, drawn."""
    if len(leads) == 1:
        return [leads]
    several = [leads, LIMB, TELEMETRY][int(rng.integers(3))] if len(leads) == N_LEADS else leads
    return [several, (leads[int(rng.integers(len(leads)))],)]


def through(recording: Recording, leads: tuple[str, ...]) -> Recording:
    """The recording with these of its leads only."""
    rows = [recording.leads.index(lead) for lead in leads]
    return replace(recording, leads=leads, microvolts=recording.microvolts[rows])


class Drawn(NamedTuple):
    """A window of a recording: its end at 500 Hz, and whether the ward would judge it at all."""

    end: int
    input: NetworkInput
    usable: bool


def windows(recording: Recording, minirocket: MiniRocketParameters, every_s: float = HOP_S) -> Iterator[Drawn]:
    """Each window as the ward sees it live, with the beats that it knows by then.

    Where windows are wanted more rarely than each 10 s, those between are drawn for the context alone. Windows that the
    ward would not judge leave no trace in what it remembers.
    """
    step_s = HOP_S if every_s == HOP_S else float(SECONDS)
    step, every = round(step_s * ANALYSIS_FS), round(every_s * ANALYSIS_FS)
    first = SECONDS * ANALYSIS_FS
    assembler, detector, extractor = Assembler(hop_s=HOP_S), BeatDetector(), Extractor(minirocket, step_s)
    quality = LeadQuality()
    marks: list[QualityMark] = []
    beats: Beats = np.empty(0, np.int64)
    for chunk in recording.chunks("bed", seconds=CHUNK_S, uv_per_bit=_uv_per_bit(recording)):
        for item in assembler.push(chunk):
            if isinstance(item, EpochStart):
                extractor.reset()
            if not isinstance(item, Span):
                continue
            found = detector.push(item.microvolts, item.mask).sample
            beats = np.concatenate([beats[beats > item.end - MEMORY], found])
            extractor.push(item.microvolts, item.mask)
            marks = [mark for mark in marks if mark.at > item.end - first] + quality.push(item.microvolts, item.mask)
            if item.window is not None and (item.end - first) % step == 0:
                inside = [usable(mark.states) for mark in marks if item.end - first < mark.at <= item.end]
                judged, wanted = sum(inside) >= USABLE_SHARE * max(1, len(inside)), (item.end - first) % every == 0
                if judged or wanted:
                    drawn = (extractor if judged else deepcopy(extractor)).extract(item.window, beats)
                    if wanted:
                        yield Drawn(item.end, drawn, judged)


def good_share(recording: Recording) -> dict[str, float]:
    """Of each lead, the share of half seconds in which the ward would call it good."""
    assembler, quality = Assembler(hop_s=HOP_S), LeadQuality()
    marks = []
    for chunk in recording.chunks("bed", seconds=CHUNK_S, uv_per_bit=_uv_per_bit(recording)):
        for item in assembler.push(chunk):
            if isinstance(item, Span):
                marks += quality.push(item.microvolts, item.mask)
    marks = marks[4:]  # the first 2 s are judged by less
    if not marks:
        return dict.fromkeys(recording.leads, 0.0)
    good = np.array([[state == LeadState.GOOD for state in mark.states] for mark in marks]).mean(axis=0)
    return {lead: float(good[LEADS.index(lead)]) for lead in recording.leads}


def _uv_per_bit(recording: Recording) -> float:
    return 1.0 if np.isnan(recording.microvolts).all() else uv_per_bit(recording)


def beat_windows(beats: Beats, ends: npt.NDArray[np.int64]) -> Iterator[tuple[int, NetworkInput]]:
    """(end, input) at ``ends``, whole multiples of 10 s at 500 Hz, of beats alone; context from the minute before.

    Windows with too few beats are not drawn and not remembered, as ``stream.offline`` does not judge them.
    """
    step = SECONDS * ANALYSIS_FS
    context = {int(end) - k * step for end in ends for k in range(CONTEXT_WINDOWS + 1)}
    wanted = set(ends.tolist())
    memory = RhythmMemory()
    for end in sorted(at for at in context if at >= step):
        oldest, first, last = np.searchsorted(beats, (end - MEMORY, end - step, end))
        if last - first < LEAST_BEATS:
            continue
        drawn = memory.extract(beats[oldest:last], end)
        if end in wanted:
            yield end, drawn


def beat_ends(plan: Plan, last_s: float, changes_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Ends of the windows of a record without a waveform, 500 Hz, up to its last beat."""
    grid = np.arange(SECONDS, last_s, SECONDS)
    kept = (grid - SECONDS) % plan.every_s == 0
    if plan.change_every_s is not None and len(changes_s):
        near = np.abs(grid[:, None] - SECONDS / 2 - changes_s).min(axis=1) <= CHANGE_S
        kept |= near & ((grid - SECONDS) % plan.change_every_s == 0)
    ends: npt.NDArray[np.int64] = np.rint(grid[kept] * ANALYSIS_FS).astype(np.int64)
    if plan.most is not None and len(ends) > plan.most:
        ends = ends[np.linspace(0, len(ends) - 1, plan.most).astype(np.intp)]
    return ends
