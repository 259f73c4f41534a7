"""One record through the ward's own core, and what it said beside what is true of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alarms.alarm import AlarmEvent, Kind, Phase
from alarms.episodes import Episode
from ecg.quality import LeadState
from models.classes import AF, FINDINGS, FLUTTER, NOISE, OUTPUTS, RHYTHMS
from models.finding import Finding
from models.rhythm_network import RhythmNetwork
from stream.bed import BedConfig
from stream.offline import Analysis, analyze_beats, analyze_recording
from wardbeat.evaluation import cpsc2021
from wardbeat.evaluation.datasets import CHALLENGE, WINDOW, Case, Indices, challenge_reference, lead_sets, load, merged
from wardbeat.evaluation.episodes import Alarm
from wardbeat.evaluation.episodes import Record as Episodes
from wardbeat.evaluation.intervals import Interval, Intervals
from wardbeat.evaluation.networks import model_of
from wardbeat.evaluation.synthetic import SYNTHETIC
from wardbeat.training.records import Record, through
from windowing.spans import ANALYSIS_FS

HOP_S = 1.0  # as in the ward
WINDOWS_HOP_S = 5.0  # where only windows are scored, not episodes; and for beats alone, of which there are 700 h
EDGE = 2 * ANALYSIS_FS  # an episode told up to so near an end of a record reaches it: no window ends in the last hop

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """What is the same for all records of a database.

    Attributes:
        data: folder of ``index.csv``.
        weights: of the network.
        leads: sets to look through besides all leads; see ``datasets.lead_sets``.
        hop_s: seconds between windows of records with a waveform that are judged by episode.
    """

    data: Path
    weights: Path
    leads: tuple[str, ...] = ()
    hop_s: float = HOP_S


@dataclass(frozen=True)
class Windows:
    """What was said and what is true of a record's windows, or of the record where its labels hold for all of it.

    Attributes:
        truth: (m, 13) float32 1, 0 or NaN = not known or both, in the order of ``models.classes.OUTPUTS``.
        score: (m, 13) float32 calibrated probabilities. What could not be judged counts as noise and as nothing else.
        judged: (m,) bool.
        good: (m,) float32 share of the leads that were good, 0 … 1.
        held: (m,) float32 share of the windows whose prediction set holds the one rhythm that is true; NaN where that
            is not known, or there is no set.
        set_size: (m,) float32 mean number of rhythms in the sets; NaN without any.
        groups: (m,) what each window is called.
    """

    truth: Floats
    score: Floats
    judged: npt.NDArray[np.bool_]
    good: Floats
    held: Floats
    set_size: Floats
    groups: list[frozenset[str]]


@dataclass(frozen=True)
class Judged:
    """All that is to be counted of one record.

    Attributes:
        record: its row of the index.
        tags: what beats it is full of.
        windows: by set of leads, all leads first.
        episodes: annotated and told by the burden's reading; None of records whose truth is a label.
        alarms: of AF.
        r_peaks: annotated ones, else those that were found, 500 Hz.
        stretches: where rhythms other than AF were annotated.
        score: the challenge's.
        flutter: as ``episodes``, of flutter.
        flutter_alarms: of flutter.
    """

    record: Record
    tags: tuple[str, ...]
    windows: dict[str, Windows]
    episodes: Episodes | None = None
    alarms: tuple[Alarm, ...] = ()
    r_peaks: Indices | None = None
    stretches: dict[str, Intervals] | None = None
    score: cpsc2021.Score | None = None
    flutter: Episodes | None = None
    flutter_alarms: tuple[Alarm, ...] = ()


@cache
def network_of(weights: Path) -> RhythmNetwork:
    """The network, made once in each process."""
    return RhythmNetwork(model_of(weights))


def judge(record: Record, task: Task) -> Judged:
    """Run the core over a record, through each set of leads.

    Raises:
        ecg.readers.RecordError: it cannot be read.
        models.network.weights.WeightsError: nor can the weights.
        ValueError: its annotations make no sense.
    """
    case = load(task.data, record)
    widest: Analysis | None = None
    windows: dict[str, Windows] = {}
    leads = case.recording.leads if case.recording else ()
    wanted = () if record.dataset == SYNTHETIC else task.leads  # a generator's leads say nothing of fewer
    for name, chosen in lead_sets(wanted, leads).items():
        first = widest is None
        analysis = _analyze(case, chosen, task, task.hop_s if first and case.long else WINDOWS_HOP_S, widest)
        widest = widest or analysis
        windows[name] = windows_of(case, analysis)
    assert widest is not None
    if not case.long:
        return Judged(record, case.tags(), windows)
    af = Episodes(
        name=record.path,
        subject=record.subject,
        fs=ANALYSIS_FS,
        analysed=Interval(0, case.end),
        reference=case.reference,
        told=told_of(widest.episodes, Kind.AF, case.end),
        flutter=case.flutter,
        unknown=case.unknown(AF),
    )
    flutter = replace(
        af,
        reference=case.flutter,
        told=told_of(widest.episodes, Kind.FLUTTER, case.end),
        flutter=(),
        unknown=case.unknown(FLUTTER),
    )
    return Judged(
        record,
        case.tags(),
        windows,
        af,
        alarms_of(widest.alarms, Kind.AF),
        np.array(widest.beats, np.int64) if case.beats is None else case.beats,
        case.stretches(),
        _challenge_score(task.data, case, widest.episodes) if record.dataset == CHALLENGE else None,
        flutter,
        alarms_of(widest.alarms, Kind.FLUTTER),
    )


def _analyze(case: Case, chosen: tuple[str, ...], task: Task, hop_s: float, widest: Analysis | None) -> Analysis:
    network = network_of(task.weights)
    if case.recording is None or not chosen:
        beats = case.beats if widest is None else np.array(widest.beats, np.int64)
        assert beats is not None
        config = BedConfig(hop_s=WINDOWS_HOP_S, waves=False, network=network)
        return analyze_beats(case.record.path, beats, ANALYSIS_FS, config)
    return analyze_recording(
        through(case.recording, chosen), BedConfig(hop_s=hop_s, waves=False, network=network), bed="evaluation"
    )


def windows_of(case: Case, analysis: Analysis) -> Windows:
    """The windows that do not overlap; of a record that a label holds for, the record."""
    findings = analysis.findings if not case.long else [f for f in analysis.findings if f.end % WINDOW == 0]
    truth, groups = case.truth(np.array([finding.end for finding in findings], np.int64))
    parts = Windows(
        truth,
        np.array([_score(finding) for finding in findings], np.float32).reshape(-1, len(OUTPUTS)),
        np.array([_was_judged(finding) for finding in findings], np.bool_),
        np.array([_good(finding) for finding in findings], np.float32),
        np.array([_held(finding, row) for finding, row in zip(findings, truth, strict=True)], np.float32),
        np.array([len(finding.prediction_set) or np.nan for finding in findings], np.float32),
        groups,
    )
    return parts if case.long else _whole(parts)


def _whole(parts: Windows) -> Windows:
    """The record: mean probabilities over the windows judged; ectopic beats need be in one of them only."""
    counted = parts.judged if parts.judged.any() else np.ones(len(parts.judged), np.bool_)
    score = parts.score[counted].mean(axis=0)
    ectopic = [OUTPUTS.index(name) for name in FINDINGS[:2]]
    score[ectopic] = parts.score[counted][:, ectopic].max(axis=0)
    return Windows(
        parts.truth[:1],
        score[None],
        np.array([parts.judged.any()]),
        parts.good.mean(keepdims=True),
        parts.held[counted].mean(keepdims=True),
        parts.set_size[counted].mean(keepdims=True),
        parts.groups[:1],
    )


def _was_judged(finding: Finding) -> bool:
    return bool(finding.probabilities)


def _score(finding: Finding) -> list[float]:
    if not finding.probabilities:
        return [float(k == NOISE) for k in range(len(OUTPUTS))]
    return [finding.probabilities[name] for name in OUTPUTS]


def _good(finding: Finding) -> float:
    states = finding.quality.values()
    return sum(state == LeadState.GOOD for state in states) / len(states) if states else 1.0


def _held(finding: Finding, truth: Floats) -> float:
    true = [name for name, value in zip(RHYTHMS, truth, strict=False) if value == 1]
    return float(true[0] in finding.prediction_set) if len(true) == 1 and finding.prediction_set else np.nan


def told_of(episodes: Sequence[Episode], kind: Kind, end: int) -> Intervals:
    """Stretches of the episodes of one kind, within the record."""
    return tuple(
        Interval(episode.onset, min(episode.offset, end))
        for episode in episodes
        if episode.kind is kind and episode.offset is not None and episode.onset < min(episode.offset, end)
    )


def alarms_of(events: Sequence[AlarmEvent], kind: Kind) -> tuple[Alarm, ...]:
    """The alarms of one kind of a record, from start to end, each with the onset that was known last.

    Raises:
        ValueError: an alarm did not end: the record did not.
    """
    of: dict[str, list[AlarmEvent]] = {}
    for event in events:
        if event.kind is kind:
            of.setdefault(event.id, []).append(event)
    alarms = []
    for name, life in of.items():
        last = life[-1]
        if last.phase is not Phase.END or last.offset is None:
            raise ValueError(f"alarm {name} is still active after its record: {last.phase} at {last.at}")
        confirmed = next((event.at for event in life if event.phase is Phase.ESCALATE), None)
        # An alarm that was given for nothing, and ends where it began, was given nevertheless: one sample of it.
        alarms.append(Alarm(last.onset, max(last.offset, last.onset + 1), life[0].at, confirmed))
    return tuple(sorted(alarms, key=lambda alarm: alarm.onset))


def _challenge_score(data: Path, case: Case, episodes: Sequence[Episode]) -> cpsc2021.Score:
    """Flutter counts as AF in the challenge."""
    reference, fs = challenge_reference(data, case.record)
    told: list[Interval] = []
    for kind in (Kind.AF, Kind.FLUTTER):
        told += told_of(episodes, kind, case.end)
    endpoints = [_endpoints(part, case.end, fs, reference.length) for part in merged(told)]
    return cpsc2021.score(reference, endpoints)


def _endpoints(part: Interval, end: int, fs: int, length: int) -> tuple[int, int]:
    first = 0 if part.onset <= EDGE else round(part.onset * fs / ANALYSIS_FS)
    last = length - 1 if part.offset >= end - EDGE else round(part.offset * fs / ANALYSIS_FS) - 1
    return min(first, length - 1), max(min(last, length - 1), min(first, length - 1))
