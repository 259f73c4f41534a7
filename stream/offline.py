"""The same core over a recording in memory: what the live ward would say of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec
import numpy as np
import numpy.typing as npt

from alarms.alarm import AlarmEvent
from alarms.episodes import Burden, Episode, EpisodeConfig
from alarms.observation import Observation
from alarms.rhythm_alarms import RhythmAlarms
from alarms.rules import Rules
from ecg.leads import N_LEADS
from ecg.quality import MARK, LeadState, QualityMark
from ecg.rate import heart_rate_bpm
from ecg.recording import Recording
from models.features.extractor import RhythmMemory
from models.finding import NO_MODEL, Finding
from models.rhythm_network import RhythmNetwork
from stream.bed import Bed, BedConfig, Step
from stream.rhythm_watch import explained, with_judgement
from windowing.spans import ANALYSIS_FS, BLOCK

CHUNK_S = 2.0  # larger than a monitor's chunks: results do not depend on it, the cost does
WINDOW_S = 10.0
RHYTHM_S = 60  # of beats that a window is judged by
BATCH = 64  # windows of beats alone that are judged together: nobody waits for them, and it takes a fifth of the time

LEAST_BEATS = 3  # in a window of beats alone: with fewer, nobody found them, and there is no rhythm to judge

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Analysis:
    """What the core said of one recording; sample indices at 500 Hz.

    Attributes:
        record: its name.
        fs: Hz of the record.
        leads: judged by; none where beats alone were.
        seconds: its length.
        beats: R peaks.
        findings: one a window.
        alarms: in the order of the log.
        episodes: of AF and flutter, by the burden's reading; all have ended. Empty without a network.
        burden: AF of the latest 24 hours; None without a network.
        model: what it was analysed with: the network's name, or ``NO_MODEL``. A finding names what judged it: a window
            that is not usable is not shown to the network.
    """

    record: str
    fs: int
    leads: tuple[str, ...]
    seconds: float
    beats: list[int]
    findings: list[Finding]
    alarms: list[AlarmEvent]
    episodes: tuple[Episode, ...] = ()
    burden: Burden | None = None
    model: str = NO_MODEL

    def as_json(self) -> bytes:
        """One JSON line: beats at the record's own rate, all times in seconds. Names are those of the log's structs."""
        return msgspec.json.encode(
            {
                "record": self.record,
                "fs": self.fs,
                "leads": self.leads,
                "seconds": round(self.seconds, 3),
                "model": self.model,
                "beats": [round(beat * self.fs / ANALYSIS_FS) for beat in self.beats],
                "findings": [
                    {
                        "end_s": finding.end / ANALYSIS_FS,
                        "hr_bpm": None if finding.hr_bpm is None else round(finding.hr_bpm, 1),
                        "usable": finding.usable,
                        "quality": finding.quality,
                        "probabilities": finding.probabilities,
                        "prediction_set": finding.prediction_set,
                        "af_evidence": finding.af_evidence,
                        "flutter_evidence": finding.flutter_evidence,
                        "noise_evidence": finding.noise_evidence,
                        "reason": finding.reason,
                        "model": finding.model,
                    }
                    for finding in self.findings
                ],
                "episodes": [
                    {
                        "kind": episode.kind,
                        "onset_s": episode.onset / ANALYSIS_FS,
                        "offset_s": None if episode.offset is None else episode.offset / ANALYSIS_FS,
                        "confirmed": episode.confirmed,
                    }
                    for episode in self.episodes
                ],
                "burden": self.burden and {**msgspec.structs.asdict(self.burden), "share": self.burden.share},
                "alarms": [
                    {
                        "id": event.id,
                        "kind": event.kind,
                        "priority": event.priority,
                        "phase": event.phase,
                        "at_s": event.at / ANALYSIS_FS,
                        "onset_s": event.onset / ANALYSIS_FS,
                        "offset_s": None if event.offset is None else event.offset / ANALYSIS_FS,
                        "text": event.text,
                        "reason": event.reason,
                        "prediction_set": event.prediction_set,
                        "model": event.model,
                        "saliency": event.saliency,
                        "attention": event.attention,
                        "attention_by_second": event.attention_by_second,
                    }
                    for event in self.alarms
                ],
            }
        )


def analyze_recording(recording: Recording, config: BedConfig, *, bed: str = "offline", epoch: int = 0) -> Analysis:
    """Run the ward core over the signals of ``recording``. ``config.waves`` should be off: nobody looks."""
    ward = Bed(bed, config)
    total = Step()
    episodes: list[Episode] = []
    for chunk in recording.chunks(bed, epoch=epoch, seconds=CHUNK_S, uv_per_bit=uv_per_bit(recording)):
        step = ward.push(chunk)
        total.beats += step.beats
        total.findings += step.findings
        total.alarms += step.alarms
        if ward.rhythm:
            episodes += _newly_ended(ward.rhythm.episodes, episodes)
    return Analysis(
        recording.name,
        recording.fs,
        recording.leads,
        recording.seconds,
        total.beats,
        total.findings,
        total.alarms,
        tuple(episodes),
        ward.rhythm.burden if ward.rhythm else None,
        ward.model,
    )


def analyze_beats(name: str, beats: Indices, fs: float, config: BedConfig, *, bed: str = "offline") -> Analysis:
    """Judge by beats that are known already, without a waveform, up to the last one: nobody knows what came after it.

    Args:
        name: of the record.
        beats: (b,) R peaks, sample indices at ``fs``, ascending.
        fs: Hz, any positive rate: nothing is resampled.
        config: hop, limits and network.
        bed: the bed's id in findings and alarms.
    """
    at_500 = np.rint(np.asarray(beats) * (ANALYSIS_FS / fs)).astype(np.int64)
    watch = _BeatWatch(bed, config.network, config.limits.af_confirm_s) if config.network else None
    rules = Rules(bed, config.limits)
    rules.start(0)
    findings: list[Finding] = []
    alarms: list[AlarmEvent] = []
    episodes: list[Episode] = []
    end = max(round(WINDOW_S * ANALYSIS_FS), int(at_500.max(initial=0)))
    stop = 0
    hops = _hops(at_500, end, config.hop_s, bed)
    while batch := list(islice(hops, BATCH)):
        drawn = [finding for _, finding in batch if finding]
        judged, told = watch.judge(drawn, at_500) if watch else (drawn, [])
        findings += judged
        by_network = iter(told)
        for observation, finding in batch:
            stop = observation.end
            alarms += rules.observe(observation)
            if finding:
                alarms += next(by_network, [])
        if watch:
            episodes += _newly_ended(watch.alarms.episodes, episodes)
    sent_at = stop * 1000 / ANALYSIS_FS
    alarms += rules.finish(stop, sent_at)
    if watch:
        alarms += watch.alarms.finish(stop, sent_at, _latest(at_500, stop))
        episodes += _newly_ended(watch.alarms.episodes, episodes)
    return Analysis(
        name,
        round(fs),
        (),
        end / ANALYSIS_FS,
        at_500.tolist(),
        findings,
        alarms,
        tuple(episodes),
        watch.alarms.burden_24h if watch else None,
        config.network.name if config.network else NO_MODEL,
    )


class _BeatWatch:
    """``stream.rhythm_watch`` where beats alone are known, a batch of windows at a time."""

    def __init__(self, bed: str, network: RhythmNetwork, confirm_s: float) -> None:
        self._network, self._memory = network, RhythmMemory()
        self.alarms = RhythmAlarms(bed, EpisodeConfig(confirm_s=confirm_s), network.excludable)
        self.alarms.start(0)

    def judge(self, findings: list[Finding], at_500: Indices) -> tuple[list[Finding], list[list[AlarmEvent]]]:
        """The findings with the network's word, and the alarms drawn from each; unusable ones are not remembered."""
        known = [_latest(at_500, finding.end) for finding in findings]
        inputs = {i: self._memory.extract(known[i], each.end) for i, each in enumerate(findings) if each.usable}
        judged = list(findings)
        if inputs:
            judgements = self._network.judge_all(list(inputs.values()))
            for i, judgement in zip(inputs, judgements, strict=True):
                judged[i] = with_judgement(findings[i], judgement, self._network.name)
        told = []
        for i, (finding, beats) in enumerate(zip(judged, known, strict=True)):
            events = self.alarms.observe(finding, beats)
            told.append([explained(each, self._network, inputs[i]) for each in events] if i in inputs else events)
        return judged, told


def _hops(at_500: Indices, end: int, hop_s: float, bed: str) -> Iterator[tuple[Observation, Finding | None]]:
    """What became known in each hop, and the finding of the window that ends with it, if one does."""
    hop, window = round(hop_s * ANALYSIS_FS), round(WINDOW_S * ANALYSIS_FS)
    good = (LeadState.GOOD,) * N_LEADS
    first = 0
    for stop in range(window % hop or hop, end + 1, hop):
        new = at_500[np.searchsorted(at_500, first) : np.searchsorted(at_500, stop)]
        observation = Observation(
            first=first,
            end=stop,
            beat_samples=new,
            beat_at=new,
            quality=[QualityMark(at, good) for at in range(first // MARK * MARK + MARK, stop + 1, MARK)],
            covered=np.ones((stop - first) // BLOCK, dtype=np.bool_),
            sent_at=stop * 1000 / ANALYSIS_FS,
        )
        first, finding = stop, None
        if stop >= window:
            known = _latest(at_500, stop)
            inside = known[known >= stop - window]
            finding = Finding(
                bed=bed,
                epoch=0,
                end=stop,
                usable=len(inside) >= LEAST_BEATS,
                hr_bpm=heart_rate_bpm(known, stop),
                beats=tuple(inside.tolist()),
                quality={},
            )
        yield observation, finding


def _latest(at_500: Indices, end: int) -> Indices:
    return at_500[np.searchsorted(at_500, end - RHYTHM_S * ANALYSIS_FS) : np.searchsorted(at_500, end)]


def _newly_ended(latest: Iterable[Episode], known: list[Episode]) -> list[Episode]:
    """Episodes that have ended and are not ``known`` yet; the ward itself keeps the latest ones only."""
    last = known[-1].onset if known else -1
    return [episode for episode in latest if episode.offset is not None and episode.onset > last]


def uv_per_bit(recording: Recording) -> float:
    """The finest step at which the recording's voltages fit into int16, in µV: 1 wherever they do."""
    peak = float(np.max(np.abs(recording.microvolts), initial=0.0, where=~np.isnan(recording.microvolts)))
    return max(1.0, float(np.ceil(peak / 32_000)))
