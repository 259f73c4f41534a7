"""The windows of one record, drawn by the ward's own pipeline, with the truth beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecg.readers import read_beats, read_recording
from ecg.recording import Recording
from models.classes import NOISE
from models.features.minirocket_parameters import KNOWN_SHARE, MiniRocketParameters
from models.inputs import PULSE_NAMES, SECONDS, NetworkInput
from wardbeat.training import drowned, patients
from wardbeat.training.augment import Copy, augmented, beats_seen, rng_of
from wardbeat.training.labels import (
    NO_BEATS,
    Annotated,
    RecordTruth,
    Truth,
    all_noise,
    doubted_beats,
    free_of_af,
    record_truth,
)
from wardbeat.training.records import (
    PLANS,
    Plan,
    Record,
    Told,
    augmented_leads,
    beat_ends,
    beat_windows,
    clean_leads,
    good_share,
    named,
    through,
    windows,
)
from windowing.spans import ANALYSIS_FS

LONG_S = 61.0  # a longer record has enough windows for copies to take every second one
GOOD_ENOUGH = 0.5  # share of good half seconds from which on an "unacceptable" lead is no noise
OF_A_PIECE = 2  # windows of a drowned recording through one set of leads
OF_A_PATIENT = 4  # windows of a synthetic minute: more would be the same again
_KNOWN = PULSE_NAMES.index("known")

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Row:
    """One window to be kept."""

    drawn: NetworkInput
    truth: Truth
    record: Record
    end_s: float
    leads_name: str
    augmented: bool


@dataclass(frozen=True)
class Tools:
    """What drawing needs: the folder of the recordings, the kernels, and noise as ``noise.noise_bank`` has it."""

    data: Path
    minirocket: MiniRocketParameters
    noise: Floats


def stack(rows: Sequence[Row]) -> Arrays:
    """The arrays of ``CachedDataset`` of these windows."""
    known = [np.flatnonzero(row.drawn.leads) for row in rows]

    def each(name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
        return np.stack([getattr(row.drawn, name) for row in rows]).astype(dtype)

    return {
        "signal": np.concatenate([row.drawn.signal[k] for row, k in zip(rows, known, strict=True)]),
        "ppv": np.concatenate([row.drawn.ppv[k] for row, k in zip(rows, known, strict=True)]).astype(np.float16),
        "lead": np.concatenate(known).astype(np.uint8),
        "start": np.concatenate([[0], np.cumsum([len(k) for k in known])]).astype(np.int64),
        "rr": each("rr", np.float32),
        "shape": each("shape", np.float32),
        "atrial": each("atrial", np.float32),
        "pulse": each("pulse", np.float16),
        "context": each("context", np.float32),
        "context_age_s": each("context_age_s", np.float32),
        "seconds_target": np.stack([row.truth.seconds for row in rows]).astype(np.float16),
        "rhythm_target": np.stack([row.truth.rhythm for row in rows]).astype(np.float16),
        "findings_target": np.stack([row.truth.findings for row in rows]).astype(np.float16),
        "record": np.array([row.record.path for row in rows]),
        "subject": np.array([row.record.subject for row in rows]),
        "end_s": np.array([row.end_s for row in rows], np.float64),
        "leads_name": np.array([row.leads_name for row in rows]),
        "augmented": np.array([row.augmented for row in rows], np.bool_),
    }


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Many stacks as one."""
    out = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "start"}
    counts = np.concatenate([np.diff(part["start"]) for part in parts])
    out["start"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return out


def rows_of(record: Record, tools: Tools) -> list[Row]:
    """All windows of a record: as it is through each set of leads, then of its augmented copies.

    Raises:
        RecordError: it cannot be read.
        ValueError: it has a label or a rhythm that is not known; quotes it.
    """
    plan = PLANS[record.dataset]
    if plan.beats_only:
        return _rows_of_beats(record, plan, tools.data)
    if record.dataset == "synthetic":
        recording = patients.patient(int(record.path))
        rows = _rows_of_copy(record, plan, Copy(recording, 0.0, 1.0), [recording.leads], plan.every_s, tools)
        return [rows[k] for k in sorted(rng_of(record.path, 0).permutation(len(rows))[:OF_A_PATIENT].tolist())]
    recording = read_recording(tools.data / record.path)
    rows = _rows_of_copy(record, plan, Copy(recording, 0.0, 1.0), clean_leads(recording.leads), plan.every_s, tools)
    seldom = 2 * plan.every_s if recording.seconds > LONG_S else plan.every_s
    for copy in range(1, record.copies + 1):
        rng = rng_of(record.path, copy)
        sets = augmented_leads(recording.leads, rng)
        rows += _rows_of_copy(record, plan, augmented(recording, tools.noise, rng), sets, seldom, tools, copy)
    return rows


def rows_of_drowned(record: Record, tools: Tools) -> list[Row]:
    """Windows of a record under noise, through several leads and a single one; noise is all that is true of most.

    Raises:
        RecordError, ValueError: as for :func:`rows_of`.
    """
    plan = PLANS[record.dataset]
    recording = read_recording(tools.data / record.path)
    rows: list[Row] = []
    cuts = drowned.pieces(recording, record.dataset, drowned.rng_of_piece(record, 0))
    for number, (start_s, piece) in enumerate(cuts, start=1):
        rng = drowned.rng_of_piece(record, number)
        for leads in drowned.lead_sets(piece.leads, rng):
            under = drowned.drowned(through(piece, leads), tools.noise, rng)
            copy = Copy(under.recording, start_s, 1.0)
            truth = (
                _Of(all_noise(), piece.seconds)
                if under.whole
                else _truth(record, plan, under.recording, recording.seconds, start_s)
            )
            found = _rows_of_copy(record, plan, copy, [leads], SECONDS, tools, number, truth)
            found = [row for row in found if row.drawn.leads.any()]  # an electrode that is off is no noise
            rows += [found[k] for k in sorted(rng.permutation(len(found))[:OF_A_PIECE].tolist())]
    return rows


def _rows_of_copy(
    record: Record,
    plan: Plan,
    copy: Copy,
    lead_sets: Iterable[tuple[str, ...]],
    every_s: float,
    tools: Tools,
    number: int = 0,
    truth: "_Of | None" = None,
) -> list[Row]:
    """``truth`` is what the record itself says where none is given."""
    recording = copy.recording
    truth = truth or _truth(record, plan, recording, recording.seconds)
    bad = "UNACCEPTABLE" in record.labels
    good = good_share(recording) if bad else {}
    rows = []
    for leads in lead_sets:
        # A record is unacceptable already where one of twelve leads is: the others are no noise.
        if bad and max(good[lead] for lead in leads) > GOOD_ENOUGH:
            continue
        for end, drawn, usable in windows(through(recording, leads), tools.minirocket, every_s):
            end_s = end / ANALYSIS_FS
            true = truth(end_s)
            # The ward asks the network of usable windows alone; that others are noise is worth learning, no more.
            if true.known and (usable or true.rhythm[NOISE] == 1):
                at = copy.start_s + end_s * copy.pace
                rows.append(Row(drawn, true, record, at, named(leads), number > 0))
    return rows


class _Of:
    """Truth of a recording's windows by their end, seconds.

    ``record_s`` and ``start_s``: the length of the record that the labels are of, and where in it the recording begins.
    """

    def __init__(self, truth: RecordTruth | Annotated | Truth, record_s: float, start_s: float = 0.0) -> None:
        self._truth, self._record_s, self._start_s = truth, record_s, start_s

    def __call__(self, end_s: float) -> Truth:
        if isinstance(self._truth, RecordTruth):
            return self._truth.window(self._record_s, self._start_s + end_s)
        return self._truth.window(end_s) if isinstance(self._truth, Annotated) else self._truth


def _truth(record: Record, plan: Plan, recording: Recording, record_s: float, start_s: float = 0.0) -> _Of:
    if plan.told is Told.LABELS:
        return _Of(record_truth(record.dataset, record.labels), record_s, start_s)
    if plan.told is Told.NO_AF:
        return _Of(free_of_af(sinus=False), record_s)
    annotated = Annotated.of(record.dataset, recording.rhythms, recording.fs, recording.beats, recording.beat_symbols)
    return _Of(annotated, record_s)


def _rows_of_beats(record: Record, plan: Plan, data: Path) -> list[Row]:
    path = data / record.path
    ext = "qrs" if path.with_name(path.name + ".qrs").is_file() else "atr"
    told = read_beats(path, ext)
    if not len(told.beats):
        raise ValueError(f"{path}: has no beats")
    doubted = doubted_beats(path) if record.dataset == "vitaldb_arrdb_rr" else NO_BEATS
    annotated = Annotated.of(record.dataset, told.rhythms, told.fs, told.beats, told.symbols, doubted)
    changes = np.unique(np.concatenate([annotated.onset, annotated.offset]))
    changes = changes[(changes > 0) & (changes < told.n_samples / told.fs)]
    rows = []
    for number in range(plan.copies + 1):
        rng = rng_of(record.path, number)
        beats, pace, start_s = told.beats, 1.0, 0.0
        if number:
            pace, start_s = float(rng.uniform(0.95, 1.05)), float(rng.uniform(0, 10))
            beats = beats_seen(beats, told.fs, rng)
        at_500 = np.unique(np.rint((beats / told.fs - start_s) / pace * ANALYSIS_FS).astype(np.int64))
        at_500 = at_500[at_500 >= 0]
        if not len(at_500):
            continue  # a copy that begins after the last beat
        ends = beat_ends(plan, at_500[-1] / ANALYSIS_FS, (changes - start_s) / pace)
        if number:
            ends = ends[int(rng.integers(2)) :: 2]
        moved = annotated.moved(start_s, pace)
        for end, drawn in beat_windows(at_500, ends):
            if drawn.pulse[:, _KNOWN].mean() < KNOWN_SHARE:
                continue  # the recorder was off, or nobody found beats
            end_s = end / ANALYSIS_FS
            truth = free_of_af(sinus=True) if plan.told is Told.SINUS else moved.window(end_s)
            if truth.known:
                rows.append(Row(drawn, truth, record, start_s + end_s * pace, "rr", number > 0))
    return rows
