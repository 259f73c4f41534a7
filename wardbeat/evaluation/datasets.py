"""The databases: their records, what is known of each, and through which leads it is looked at. All times at 500 Hz."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.leads import LEADS
from ecg.readers import read_beats, read_recording
from ecg.readers.wfdb_records import wfdb_library
from ecg.recording import Recording, Rhythm
from models.classes import AF, FINDINGS, FLUTTER, OUTPUTS, SINUS
from models.inputs import SECONDS
from wardbeat.evaluation import cpsc2021
from wardbeat.evaluation.intervals import Interval, Intervals, common, without
from wardbeat.evaluation.synthetic import SYNTHETIC, recording_of
from wardbeat.training.config import GROUPS
from wardbeat.training.labels import Annotated, doubted_beats, free_of_af, record_truth
from wardbeat.training.records import LIMB, PLANS, TELEMETRY, Record, Told, named
from windowing.spans import ANALYSIS_FS

DATABASES = tuple(PLANS)
CHALLENGE = "cpsc2021"
NOISE_ADDED = "nstdb_118"
VITALDB = "vitaldb_arrdb_rr"
WINDOW = SECONDS * ANALYSIS_FS
HEALTHY = "healthy subjects"
UNNAMED = "not AF, nobody says what"
RR = "RR"  # the set of leads that has none: beats alone
FREQUENT = 0.05  # of a record's beats: ectopy that a reader would call frequent
SEVERAL = 3  # PACs in a window that make it irregular: fewer leave most intervals alone
NO_AF_SUBSET = "DS1 without AF"
SUBSETS: Mapping[str, Mapping[str, frozenset[str]]] = {  # database → name of a part of it → its records
    "mitdb": {
        # Of the usual split by patient (de Chazal et al. 2004), less 201 and 203, which have AF.
        NO_AF_SUBSET: frozenset(
            f"mitdb/{n}"
            for n in (
                101,
                106,
                108,
                109,
                112,
                114,
                115,
                116,
                118,
                119,
                122,
                124,
                205,
                207,
                208,
                209,
                215,
                220,
                223,
                230,
            )
        )
    }
}
# Moody et al. 1984: after 5 minutes noise is added to 118 for 2 minutes, then none for 2, and so on.
NOISE_FROM_S, NOISE_FOR_S = 300, 120

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# How groups of windows and records are called, by what the databases call them.
NAMES: Mapping[str, str] = {
    "SR": "sinus rhythm",
    "N": "sinus rhythm",
    "SA": "sinus arrhythmia",
    "ST": "sinus tachycardia",
    "SB": "sinus bradycardia",
    "SBR": "sinus bradycardia",
    "PAC": "PACs",
    "SR-mPAC-BT": "PACs, grouped",
    "PVC": "PVCs",
    "VPB": "PVCs",
    "SR-mPVC-BT": "PVCs, grouped",
    "BIGU": "bigeminy, trigeminy",
    "TRIGU": "bigeminy, trigeminy",
    "B": "bigeminy, trigeminy",
    "T": "bigeminy, trigeminy",
    "SND": "sick sinus",
    "PACE": "pacing",
    "PR": "pacing",
    "P": "pacing",
    "AFL": "flutter",
    "AFLT": "flutter",
    "SVARR": "supraventricular arrhythmia",
    "SVTA": "supraventricular tachycardia",
    "SVTAC": "supraventricular tachycardia",
    "PSVT": "supraventricular tachycardia",
    "AT": "atrial tachycardia",
    "MAT": "multifocal atrial tachycardia",
    "AB": "atrial bigeminy",
    "NOD": "junctional rhythm",
    "J": "junctional rhythm",
    "VT": "ventricular tachycardia",
    "BII": "AV block",
    "AVB": "AV block",
    "IAVB": "AV block",
    "1AVB": "AV block",
    "OTHER": "other rhythms",
    "NOISE": "noise",
    "UNACCEPTABLE": "noise",
}
_BEATS = {"PACs": FINDINGS.index("pac"), "PVCs": FINDINGS.index("pvc"), "pacing": FINDINGS.index("paced")}


def check_names(datasets: Iterable[str]) -> None:
    """Raise ValueError, quoting, for a database that is not known."""
    for name in datasets:
        if name not in DATABASES:
            raise ValueError(f"unknown database {name!r}; known: {', '.join(DATABASES)}")


def group_of(dataset: str) -> str:
    """The group that is left out of training together with ``dataset``: its own name, or that of ``GROUPS``."""
    return next((group for group, members in GROUPS.items() if dataset in members), dataset)


def lead_sets(wanted: Sequence[str], leads: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Name → leads of each set that a record with ``leads`` can be seen through: all it has, then those wanted.

    Args:
        wanted: "12" (all), "RR" (none), "limb", or leads such as "V1" and "I+II+V1".
        leads: of the record, in any order.

    Raises:
        ValueError: a set that is no set of leads; quotes it.
    """
    if not leads:
        return {RR: ()}
    sets = {f"{len(leads)}": leads}
    for name in wanted:
        chosen = {"12": leads, RR: (), "limb": LIMB, "I+II+V1": TELEMETRY}.get(name, tuple(name.split("+")))
        if unknown := set(chosen) - set(LEADS):
            raise ValueError(f"leads {name!r}: no lead is called {sorted(unknown)[0]!r}; known: {', '.join(LEADS)}")
        if set(chosen) <= set(leads) and set(chosen) not in map(set, sets.values()):
            sets[named(chosen) if chosen else RR] = chosen
    return sets


def merged(parts: Iterable[tuple[int, int]]) -> Intervals:
    """Intervals in order, with those that touch made one and empty ones left out."""
    whole: list[Interval] = []
    for onset, offset in sorted(parts):
        if offset <= onset:
            continue
        if whole and onset <= whole[-1].offset:
            whole[-1] = Interval(whole[-1].onset, max(offset, whole[-1].offset))
        else:
            whole.append(Interval(onset, offset))
    return tuple(whole)


@dataclass(frozen=True)
class Case:
    """A record with all that is known of it.

    Attributes:
        record: its row of the index.
        told: how its truth is known.
        recording: its signals; None where beats alone are known.
        beats: (b,) R peaks as annotated, 500 Hz; None where nobody annotated them.
        symbols: of the beats; empty where unknown.
        rhythms: as annotated, 500 Hz, names without brackets.
        end: sample after the last one of which anything is known, 500 Hz.
        doubted_s: beats, in seconds, around which somebody called the signal bad: windows of them have no truth.
    """

    record: Record
    told: Told
    recording: Recording | None
    beats: Indices | None
    symbols: tuple[str, ...]
    rhythms: tuple[Rhythm, ...]
    end: int
    doubted_s: tuple[float, ...] = ()

    @property
    def long(self) -> bool:
        """Its truth is known moment by moment, so that episodes and alarms can be judged."""
        return self.told is not Told.LABELS

    @property
    def reference(self) -> Intervals:
        """Annotated AF; where a database has one word for AF and flutter, that."""
        return self._where(lambda row: bool(row[AF] == 1))

    @property
    def flutter(self) -> Intervals:
        """Annotated atrial flutter."""
        return self._where(lambda row: bool(row[FLUTTER] == 1))

    def unknown(self, rhythm: int) -> Intervals:
        """Where nobody says whether there is ``rhythm``, an index of ``RHYTHMS``; free of AF is free of flutter."""
        if self.told is not Told.ANNOTATIONS:
            return ()
        known = self._where(lambda row: not np.isnan(row[rhythm]))
        return without((Interval(0, self.end),), known)

    def stretches(self) -> dict[str, Intervals]:
        """Where each rhythm was annotated that is neither AF nor plain sinus rhythm, by ``NAMES``, and ``marked``."""
        names = {NAMES[rhythm.name] for rhythm in self.rhythms if rhythm.name in NAMES} - {"sinus rhythm"}
        rhythms = {
            name: merged((r.onset, min(r.offset, self.end)) for r in self.rhythms if NAMES.get(r.name) == name)
            for name in sorted(names)
        }
        return {name: merged((*rhythms.get(name, ()), *self.marked.get(name, ()))) for name in rhythms | self.marked}

    @cached_property
    def marked(self) -> dict[str, Intervals]:
        """Windows that are named by something else than an annotated rhythm: their beats, or how they were made."""
        whole = (Interval(0, self.end),)
        if self.record.dataset == SYNTHETIC:
            return dict.fromkeys(self.record.labels, whole)
        if self.record.dataset == NOISE_ADDED:
            at = range(NOISE_FROM_S, self.end // ANALYSIS_FS, 2 * NOISE_FOR_S)
            return {NAMES["NOISE"]: merged((s * ANALYSIS_FS, (s + NOISE_FOR_S) * ANALYSIS_FS) for s in at)}
        if self.beats is None or not self.symbols:
            return {}
        found = {}
        for name, symbols, least in (("frequent PACs", "AaJS", SEVERAL), ("pacing", "/f", 1)):
            window = self.beats[np.array([each in symbols for each in self.symbols])] // WINDOW
            numbers, counts = np.unique(window, return_counts=True)
            often = merged((n * WINDOW, (n + 1) * WINDOW) for n in numbers[counts >= least].tolist())
            if often:
                found[name] = often
        return found

    def tags(self) -> tuple[str, ...]:
        """What beats the record is full of."""
        of = {"frequent PACs": "AaJS", "frequent PVCs": "V", "pacing": "/f"}
        n = len(self.symbols)
        return tuple(
            name for name, symbols in of.items() if sum(each in symbols for each in self.symbols) > FREQUENT * max(1, n)
        )

    def truth(self, ends: Indices) -> tuple[Floats, list[frozenset[str]]]:
        """What the network should have said of the windows that end at ``ends`` (w,), and the groups of each.

        Returns:
            (w, 13) 1, 0 or NaN: a rhythm is 1 where it fills the whole window, 0 where none of it is in it. Labels of a
            whole record hold for each window.
        """
        if self.told is Told.LABELS:
            whole = record_truth(self.record.dataset, self.record.labels)
            row = np.concatenate([whole.rhythm, whole.findings])
            group = frozenset(NAMES[label] for label in self.record.labels if label in NAMES)
            return np.tile(row, (len(ends), 1)), [group] * len(ends)
        rows, groups = np.empty((len(ends), len(OUTPUTS)), np.float32), []
        for i, end in enumerate(ends.tolist()):
            truth = self._annotated.window(end / ANALYSIS_FS) if self._annotated else free_of_af(self._healthy)
            rhythm = truth.rhythm.copy()
            rhythm[(rhythm == 1) & ~(truth.seconds == 1).all(axis=0)] = np.nan
            rows[i] = np.concatenate([rhythm, truth.findings])
            filled = {r.name for r in self.rhythms if r.onset <= end - WINDOW and end <= r.offset}
            beats = {name for name, k in _BEATS.items() if truth.findings[k] == 1}
            window = Interval(end - WINDOW, end)
            beats |= {name for name, where in self.marked.items() if common((window,), where) == (window,)}
            names = {NAMES[name] for name in filled - {"N"} if name in NAMES}  # "N" is not sinus rhythm everywhere
            if not names | beats and rhythm[AF] == 0:
                names = {HEALTHY if self._healthy else NAMES["SR"] if rhythm[SINUS] == 1 else UNNAMED}
            groups.append(frozenset(names | beats))
        return rows, groups

    @property
    def _healthy(self) -> bool:
        return self.told is Told.SINUS

    @cached_property
    def _annotated(self) -> Annotated | None:
        if self.told is not Told.ANNOTATIONS:
            return None
        return Annotated.of(
            self.record.dataset, self.rhythms, ANALYSIS_FS, self.beats, self.symbols, np.array(self.doubted_s)
        )

    def _where(self, holds: Callable[[Floats], bool]) -> Intervals:
        told = self._annotated
        if told is None:
            return ()
        # Cut before it is rounded: a rhythm that nothing ends lasts for ever.
        at = np.minimum(np.stack([told.onset, told.offset], axis=1) * ANALYSIS_FS, self.end)
        parts = zip(np.rint(at).astype(np.int64).tolist(), told.rows, strict=True)
        return merged((onset, offset) for (onset, offset), row in parts if holds(row))


def load(data: Path, record: Record) -> Case:
    """Read a record and its annotations.

    Raises:
        ecg.readers.RecordError: it cannot be read.
        ValueError: it has a rhythm whose name is not known, or no beats where beats alone are known.
    """
    plan, path = PLANS[record.dataset], data / record.path
    recording: Recording | None = None
    if plan.beats_only:
        ext = "qrs" if path.with_name(path.name + ".qrs").is_file() else "atr"
        known = read_beats(path, ext)
        fs, beats, symbols, rhythms = known.fs, known.beats, known.symbols, known.rhythms
        if not len(beats):
            raise ValueError(f"{record.path}: expected beats in its {ext} annotations, got none")
        end = int(np.rint(beats[-1] / fs * ANALYSIS_FS)) + 1  # a header may outlast its beats
    else:
        recording = recording_of(record) if record.dataset == SYNTHETIC else read_recording(path)
        fs, rhythms = recording.fs, recording.rhythms
        end = int(recording.seconds * ANALYSIS_FS)
        beats = np.empty(0, np.int64) if recording.beats is None else recording.beats
        symbols = recording.beat_symbols
    return Case(
        record=record,
        told=plan.told,
        recording=recording,
        beats=_at_500(beats, fs) if len(beats) else None,
        symbols=symbols,
        rhythms=tuple(
            Rhythm(rhythm.name.strip("(\0 "), *_at_500(np.array([rhythm.onset, rhythm.offset]), fs).tolist())
            for rhythm in (rhythms if plan.told is Told.ANNOTATIONS else ())
        ),
        end=end,
        doubted_s=tuple(doubted_beats(path).tolist()) if record.dataset == VITALDB else (),
    )


def _at_500(samples: Indices, fs: float) -> Indices:
    at: Indices = np.rint(samples * (ANALYSIS_FS / fs)).astype(np.int64)
    return at


def challenge_reference(data: Path, record: Record) -> tuple[cpsc2021.Reference, int]:
    """What the challenge's score is computed against, and the record's own rate in Hz."""
    name = str(data / record.path)
    with wfdb_library() as wfdb:
        header, notes = wfdb.rdheader(name), wfdb.rdann(name, "atr")
    return cpsc2021.reference(notes.sample, notes.aux_note, header.comments, header.sig_len), int(header.fs)
