"""From labels and annotations of a database to what the network is to say; what a database does not tell is NaN.

A record's labels hold for all of it, but where AF begins and ends within it they do not say. Annotated rhythms speak of
each second: a second is of the rhythm that covers more than half of it.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg.recording import Rhythm
from models.classes import AF, FINDINGS, FLUTTER, NOISE, OTHER, RHYTHMS, SINUS
from models.inputs import SECONDS

Floats = npt.NDArray[np.float32]

UNKNOWN = np.nan
SHORT_RECORD_S = 31.0  # CinC 2017's usual 30 s and a little: a sinus rhythm so labelled holds in each of its seconds
COVERING = 0.6  # share of a record that a window must see for an ectopic beat somewhere in it to be its own
MARGIN_BPM = 3.0  # around 60 and 100 /min, where a rate counted over 10 s may fall on either side
LEAST_BEATS = 4  # for a rate
STEADY = 0.05  # SD of the intervals / mean: AF is rarely below 0.1, flutter with a fixed block nearly always
NO_BEATS = np.empty(0)

# By the databases' own words: SCP codes of PTB-XL, abbreviations of the Challenges 2020 and 2021.
AF_WORDS = {"AF", "AFIB"}
FLUTTER_WORDS = {"AFL", "AFLT"}
SINUS_WORDS = {"SR", "NORM", "SB", "ST", "SA"}
GROUPED = {"BIGU", "TRIGU"}
PACED = {"PACE", "PR"}
OTHER_WORDS = {"AT", "SVARR", "SVTAC", "PSVT", "AVRT", "AVNRT", "JR", "ARH", "PVT"} | GROUPED | PACED
RARE = AF_WORDS | FLUTTER_WORDS | OTHER_WORDS | {"NOISE", "UNACCEPTABLE"}

_POSITIVE: dict[str, set[str]] = {
    "pac": {"PAC"},
    "pvc": {"PVC", "VPB"},
    "lbbb": {"LBBB", "CLBBB", "ILBBB"},
    "rbbb": {"RBBB", "CRBBB"},
    "av_block_1": {"1AVB", "IAVB"},
    "brady": {"SB", "Brady"},
    "tachy": {"ST", "SVTAC", "PSVT"},
    "paced": PACED,
}
# Labels that leave a finding open: ectopy whose origin is not said, an incomplete block, a long PR interval.
_OPEN: dict[str, set[str]] = {
    "pac": {"BIGU", "TRIGU", "SVARR", "PRC(S)", "BPAC"},
    "pvc": {"BIGU", "TRIGU", "PRC(S)", "PVT"},
    "lbbb": {"IVCD", "NSIVCB", "PACE", "PR"},
    "rbbb": {"IRBBB", "IVCD", "NSIVCB", "PACE", "PR"},
    "av_block_1": {"LPR"},
    "brady": set(),
    "tachy": set(),
    "paced": set(),
}
_TOLD_BY_ABSENCE = (AF, FLUTTER, NOISE)  # in no second where the record's labels do not name them
# What a database labels wherever it is there; what it does not look for is not absent.
_CONDUCTION = ("pac", "pvc", "lbbb", "rbbb", "av_block_1")
LABELLED: dict[str, tuple[str, ...]] = {
    "ptbxl": FINDINGS,
    "chapman": FINDINGS,
    "cpsc2018": _CONDUCTION,
    "cpsc2018_extra": (*_CONDUCTION, "brady", "tachy"),
}


def source_of(dataset: str) -> str:
    """The database whose words a dataset's labels are."""
    return next((source for source in ("ptbxl", "chapman") if dataset.startswith(source)), dataset)


@dataclass(frozen=True)
class Truth:
    """What is known of one window; NaN = unknown.

    Attributes:
        seconds: (10, 5) float32 rhythm of each second, oldest first.
        rhythm: (5,) float32 the rhythm occurs.
        findings: (8,) float32 the finding occurs.
    """

    seconds: Floats
    rhythm: Floats
    findings: Floats

    @property
    def known(self) -> bool:
        """Whether anything is."""
        return any(np.isfinite(each).any() for each in (self.seconds, self.rhythm, self.findings))


@dataclass(frozen=True)
class RecordTruth:
    """What a record's labels say of it as a whole."""

    rhythm: Floats
    findings: Floats

    def window(self, record_s: float, end_s: float) -> Truth:
        """The window that ends at ``end_s`` seconds of a record of ``record_s`` seconds."""
        seconds = np.full((SECONDS, len(RHYTHMS)), UNKNOWN, np.float32)
        if self.rhythm[AF] == 0:  # a record with AF does not say in which of its seconds
            absent = [c for c in _TOLD_BY_ABSENCE if self.rhythm[c] == 0]
            seconds[:, absent] = 0
        ectopic = np.any(self.findings[:2] == 1) or self.rhythm[OTHER] != 0
        steady = self.rhythm[SINUS] == 1 and not self.rhythm[[AF, FLUTTER]].any() and not ectopic
        if self.rhythm[NOISE] == 1 or (steady and record_s <= SHORT_RECORD_S):
            seconds[:] = self.rhythm
        starts = end_s - SECONDS + np.arange(SECONDS)
        seconds[starts + 0.5 > record_s] = UNKNOWN  # a short record's window is filled up with nothing
        findings = self.findings.copy()
        seen = min(end_s, record_s) - max(end_s - SECONDS, 0.0)
        if seen < COVERING * record_s:
            findings[:2][findings[:2] == 1] = UNKNOWN
        return Truth(seconds, self.rhythm.copy(), findings)


def record_truth(dataset: str, labels: Iterable[str]) -> RecordTruth:
    """What the labels of a record of ``dataset`` say.

    Raises:
        ValueError: a dataset whose labels say nothing about a record's rhythm, or a record of CinC 2017 that has not
            one of its four labels; quotes it.
    """
    names = set(labels)
    source = source_of(dataset)
    rhythm = np.full(len(RHYTHMS), UNKNOWN, np.float32)
    findings = np.full(len(FINDINGS), UNKNOWN, np.float32)
    if source == "cinc2011":
        if "UNACCEPTABLE" in names:
            return all_noise()
        rhythm[NOISE] = 0
        return RecordTruth(rhythm, findings)
    if source == "cinc2017":
        if "OTHER" in names:  # flutter, or sinus rhythm with ectopic beats, or anything else that is neither of them
            rhythm[[AF, NOISE]] = 0
        else:
            rhythm[:] = _one(_CINC2017[_only(names)])
        return RecordTruth(rhythm, findings)
    if source not in LABELLED:
        raise ValueError(f"no labels of records are known for dataset {dataset!r}; known: {', '.join(LABELLED)}")
    for c, words in ((AF, AF_WORDS), (FLUTTER, FLUTTER_WORDS), (SINUS, SINUS_WORDS), (OTHER, OTHER_WORDS)):
        rhythm[c] = 1 if names & words else 0
    rhythm[NOISE] = 0
    if (rhythm[AF] == 1 or rhythm[FLUTTER] == 1) and not names & (SINUS_WORDS - {"NORM"}):
        rhythm[SINUS] = 0  # PTB-XL's "NORM" is the whole ECG's, not a rhythm's: beside AF it means no other disease
    if not rhythm.any():  # only beats, conduction or ischaemia are named: AF and flutter would have been
        rhythm[[SINUS, OTHER]] = UNKNOWN
    elif rhythm[AF] == 1 and names & (GROUPED | PACED):  # those say what the ventricles do
        rhythm[OTHER] = UNKNOWN
    elif rhythm[OTHER] == rhythm[SINUS] == 1:  # ST beside AT, SR beside BIGU: which of the seconds are sinus?
        rhythm[SINUS] = UNKNOWN
    for k, name in enumerate(FINDINGS):
        if name not in LABELLED[source]:
            continue
        if names & _POSITIVE[name]:
            findings[k] = 1
        elif not names & _OPEN[name]:
            findings[k] = 0
        if name in ("brady", "tachy") and findings[k] == 0 and rhythm[SINUS] != 1:
            findings[k] = UNKNOWN  # the words mean sinus rhythms: of a fast AF they are not said
    return RecordTruth(rhythm, findings)


_CINC2017 = {"AF": "af", "SR": "sinus", "NOISE": "noise"}


def _only(names: set[str]) -> str:
    """The one label of a record of CinC 2017."""
    if len(names) != 1 or not names <= _CINC2017.keys():
        raise ValueError(f"cinc2017: expected one label of {', '.join(_CINC2017)} or OTHER, got {sorted(names)}")
    (name,) = names
    return name


def all_noise() -> RecordTruth:
    """A record of which nothing can be read."""
    return RecordTruth(_one("noise"), np.full(len(FINDINGS), UNKNOWN, np.float32))


def _one(name: str) -> Floats:
    row = np.zeros(len(RHYTHMS), np.float32)
    row[RHYTHMS.index(name)] = 1
    return row


_ALL_UNKNOWN = np.full(len(RHYTHMS), UNKNOWN, np.float32)
NOT_AF = np.array([0, 0, UNKNOWN, UNKNOWN, 0], np.float32)  # neither AF nor flutter, and nobody says what else
_NAMED: dict[str, Floats] = {
    "AFIB": _one("af"),
    "AFL": _one("flutter"),
    "N": _one("sinus"),
    "SBR": _one("sinus"),
    "PREX": NOT_AF,  # sinus rhythm by another way down
    "ASYS": NOT_AF,
    "NOISE": _one("noise"),  # of synthetic patients
    **dict.fromkeys(("B", "T", "P", "VT", "SVTA", "BII", "NOD", "IVR", "VFL", "VF", "AB", "J"), _one("other")),
}
_IN: dict[str, dict[str, Floats]] = {
    "afdb": {"N": NOT_AF},  # "(N" stands for all other rhythms there
    "nstdb_118": {"N": np.array([0, 0, UNKNOWN, 0, UNKNOWN], np.float32)},  # at times the added noise hides it
    "cpsc2021": {"N": NOT_AF},  # records "without AF" are of patients with other arrhythmias
    "vitaldb": {
        "AFIB/AFL": np.array([1, UNKNOWN, 0, 0, 0], np.float32),  # one of the two; AF, unless beats are steady
        "SVTA": np.array([0, UNKNOWN, 0, UNKNOWN, 0], np.float32),  # flutter with a regular block looks the same
        "Noise": _ALL_UNKNOWN,
        "Unclassifiable": _ALL_UNKNOWN,
        **dict.fromkeys(("SR-mPVC-BT", "SR-mPAC-BT", "SND", "MAT", "AVB"), _one("other")),
    },
}
# Where only AF is noted, and what follows it: before the first note, and in records without any, there is none.
_BEGINS_WITH = {"cpsc2021": "N"}


def rhythm_rows(dataset: str) -> Mapping[str, Floats]:
    """Rhythm name → (5,) what it says of each of ``models.classes.RHYTHMS``, in the words of ``dataset``."""
    source = {"afpdb_p": "afdb", "afdb_rr": "afdb", "vitaldb_arrdb_rr": "vitaldb"}.get(dataset, dataset)
    return {**_NAMED, **_IN.get(source, {})}


_OF_BEATS: dict[str, str] = {"pac": "AaJS", "pvc": "V", "lbbb": "L", "rbbb": "R", "paced": "/f"}
_OPEN_BEATS: dict[str, str] = {"pac": "jeF", "pvc": "FE"}  # escapes and fusions: not early, or only half ventricular
# Whose beat symbols were set by people who looked for these; the others' are a detector's.
BEATS_SAY: dict[str, tuple[str, ...]] = {
    "mitdb": ("pac", "pvc", "lbbb", "rbbb", "paced"),
    "nstdb_118": ("pac", "pvc", "lbbb", "rbbb", "paced"),
    "vitaldb_arrdb_rr": ("pac", "pvc"),
    "synthetic": ("pac", "pvc", "lbbb", "rbbb", "paced"),
}


@dataclass(frozen=True)
class Annotated:
    """A record with rhythms and beats annotated, all in seconds of the record.

    Attributes:
        dataset: whose words they are.
        onset: (r,) float64 of each rhythm.
        offset: (r,) float64.
        rows: (r, 5) float32 what the rhythm says of each class.
        beats: (b,) float64, ascending.
        symbols: (b,) one character each; empty where unknown.
        doubted: (d,) float64 beats of which somebody said that the signal was bad, ascending.
    """

    dataset: str
    onset: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    rows: Floats
    beats: npt.NDArray[np.float64]
    symbols: npt.NDArray[np.str_]
    doubted: npt.NDArray[np.float64] = field(default_factory=lambda: NO_BEATS)

    @classmethod
    def of(
        cls,
        dataset: str,
        rhythms: Iterable[Rhythm],
        fs: float,
        beats: npt.NDArray[np.int64] | None = None,
        symbols: tuple[str, ...] = (),
        doubted: npt.NDArray[np.float64] = NO_BEATS,
    ) -> "Annotated":
        """From a recording's own annotations.

        Args:
            dataset: whose words they are.
            rhythms: with onset and offset as sample indices, ascending.
            fs: of the indices, Hz.
            beats: (b,) int64 sample indices of R peaks, ascending; None = unknown.
            symbols: of the b beats, as the annotation file has them; none = unknown.
            doubted: (d,) float64 s, as :func:`doubted_beats` gives them.

        Raises:
            ValueError: a rhythm has a name that is not known; quotes it.
        """
        known, some = rhythm_rows(dataset), list(rhythms)
        if dataset in _BEGINS_WITH:
            first = some[0].onset if some else np.iinfo(np.int64).max
            some.insert(0, Rhythm(_BEGINS_WITH[dataset], 0, first))
        names = [rhythm.name.strip("(\0 ") for rhythm in some]
        for name in names:
            if name not in known:
                raise ValueError(f"{dataset}: unknown rhythm {name!r}; known: {', '.join(known)}")
        return cls(
            dataset,
            np.array([rhythm.onset / fs for rhythm in some]),
            np.array([rhythm.offset / fs for rhythm in some]),
            np.array([known[name] for name in names], np.float32).reshape(-1, len(RHYTHMS)),
            np.empty(0) if beats is None else np.asarray(beats) / fs,
            np.array(symbols, dtype="U1"),
            doubted,
        )

    def moved(self, start_s: float, pace: float) -> "Annotated":
        """The same in a time of which second t is ``start_s + t · pace`` of this one."""
        names = ("onset", "offset", "beats", "doubted")
        return replace(self, **{name: (getattr(self, name) - start_s) / pace for name in names})

    def window(self, end_s: float) -> Truth:
        """The window that ends at ``end_s``."""
        first = end_s - SECONDS
        near = (self.offset > first) & (self.onset < end_s)
        onset, offset, rows = self.onset[near], self.offset[near], self.rows[near]
        starts = (first + np.arange(SECONDS))[:, None]
        covered = np.clip(np.minimum(offset, starts + 1) - np.maximum(onset, starts), 0, None)  # (10, r)
        seconds = np.full((SECONDS, len(RHYTHMS)), UNKNOWN, np.float32)
        seconds[covered @ (rows == 0) > 0.5] = 0
        seconds[covered @ (rows == 1) > 0.5] = 1
        if self.doubted[slice(*np.searchsorted(self.doubted, (first, end_s)))].size:  # intervals are wrong all around
            return nothing_known()
        if self.dataset == "vitaldb_arrdb_rr" and self._steady(first, end_s):
            both = np.ix_((seconds[:, AF] == 1), (AF, FLUTTER))
            seconds[both] = UNKNOWN
            rows = np.where(rows[:, [AF]] == 1, np.array([UNKNOWN, UNKNOWN, 0, 0, 0], np.float32), rows)

        rhythm = np.full(len(RHYTHMS), UNKNOWN, np.float32)
        nowhere = (seconds == 0).all(axis=0) & ~(rows != 0).any(axis=0)  # not even for a few beats
        rhythm[nowhere] = 0
        rhythm[(seconds == 1).any(axis=0)] = 1
        return Truth(seconds, rhythm, self._findings(first, end_s, rhythm))

    def _steady(self, first: float, end_s: float) -> bool:
        rr = np.diff(self.beats[slice(*np.searchsorted(self.beats, (first, end_s)))])
        return len(rr) < LEAST_BEATS or bool(np.std(rr) < STEADY * np.mean(rr))

    def _findings(self, first: float, end_s: float, rhythm: Floats) -> Floats:
        findings = np.full(len(FINDINGS), UNKNOWN, np.float32)
        inside = slice(*np.searchsorted(self.beats, (first, end_s)))
        beats = self.beats[inside]
        if len(beats) < LEAST_BEATS:
            return findings
        if len(self.symbols):
            seen = set(self.symbols[inside].tolist())
            for name in BEATS_SAY.get(self.dataset, ()):
                if seen & set(_OF_BEATS[name]):
                    findings[FINDINGS.index(name)] = 1
                elif not seen & set(_OPEN_BEATS.get(name, "")):
                    findings[FINDINGS.index(name)] = 0
        if rhythm[AF] != 0:  # beats from the atria cannot be told as early in AF, and VitalDB calls all of them so
            findings[FINDINGS.index("pac")] = UNKNOWN
        if rhythm[SINUS] == 1 and not rhythm[np.arange(len(RHYTHMS)) != SINUS].any():
            bpm = 60 * (len(beats) - 1) / (beats[-1] - beats[0])
            findings[FINDINGS.index("brady")] = _beyond(60 - bpm)
            findings[FINDINGS.index("tachy")] = _beyond(bpm - 100)
        return findings


def _beyond(excess_bpm: float) -> float:
    return UNKNOWN if abs(excess_bpm) < MARGIN_BPM else float(excess_bpm > 0)


def nothing_known() -> Truth:
    """A window of which the database says nothing."""
    seconds = np.full((SECONDS, len(RHYTHMS)), UNKNOWN, np.float32)
    return Truth(seconds, _ALL_UNKNOWN.copy(), np.full(len(FINDINGS), UNKNOWN, np.float32))


def doubted_beats(path: Path) -> npt.NDArray[np.float64]:
    """Beats of a VitalDB table that are flagged as of bad signal quality.

    Args:
        path: of the CSV file with the columns ``time_second`` and ``bad_signal_quality``, a beat a row.

    Returns:
        (d,) float64 s after the table's first beat, in its order.

    Raises:
        OSError: the table cannot be read.
        ValueError: the table has no such column, or a flag is neither True nor False; quotes it.
    """
    flags, times = [], []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            flag = row.get("bad_signal_quality")
            if flag not in ("True", "False"):
                raise ValueError(f"{path}: expected True or False as bad_signal_quality, got {flag!r}")
            flags.append(flag == "True")
            times.append(float(row["time_second"]))
    return (np.array(times) - times[0])[np.array(flags, np.bool_)] if times else NO_BEATS


def free_of_af(sinus: bool) -> Truth:
    """A window of a record without annotations that is known to hold no AF, and of a healthy subject if ``sinus``."""
    row = _one("sinus") if sinus else NOT_AF
    return Truth(np.tile(row, (SECONDS, 1)), row.copy(), np.full(len(FINDINGS), UNKNOWN, np.float32))
