"""The same core over a recording in memory: what the live ward would say of it."""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from alarms.alarm import AlarmEvent
from alarms.observation import Observation
from alarms.rules import Rules
from ecg.leads import N_LEADS
from ecg.quality import MARK, LeadState, QualityMark
from ecg.rate import heart_rate_bpm
from ecg.recording import Recording
from models.finding import NO_MODEL, Finding
from stream.bed import Bed, BedConfig, Step
from windowing.spans import ANALYSIS_FS, BLOCK

CHUNK_S = 2.0  # larger than a monitor's chunks: results do not depend on it, the cost does
WINDOW_S = 10.0


@dataclass(frozen=True)
class Analysis:
    """What the core said of one recording; sample indices at 500 Hz."""

    record: str
    fs: int
    leads: tuple[str, ...]
    seconds: float
    beats: list[int]
    findings: list[Finding]
    alarms: list[AlarmEvent]

    def as_json(self) -> bytes:
        """One JSON line: beats at the record's own rate, all times in seconds."""
        model = self.findings[-1].model if self.findings else NO_MODEL
        return msgspec.json.encode(
            {
                "record": self.record,
                "fs": self.fs,
                "leads": self.leads,
                "seconds": round(self.seconds, 3),
                "model": model,
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
                    }
                    for finding in self.findings
                ],
                "episodes": [],
                "alarms": [
                    {
                        "id": event.id,
                        "kind": event.kind,
                        "priority": event.priority,
                        "phase": event.phase,
                        "at_s": event.at / ANALYSIS_FS,
                        "onset_s": event.onset / ANALYSIS_FS,
                        "text": event.text,
                    }
                    for event in self.alarms
                ],
            }
        )


def analyze_recording(recording: Recording, config: BedConfig, *, bed: str = "offline", epoch: int = 0) -> Analysis:
    """Run the ward core over the signals of ``recording``. ``config.waves`` should be off: nobody looks."""
    ward = Bed(bed, config)
    total = Step()
    for chunk in recording.chunks(bed, epoch=epoch, seconds=CHUNK_S, uv_per_bit=uv_per_bit(recording)):
        step = ward.push(chunk)
        total.beats += step.beats
        total.findings += step.findings
        total.alarms += step.alarms
    return Analysis(
        recording.name, recording.fs, recording.leads, recording.seconds, total.beats, total.findings, total.alarms
    )


def analyze_beats(
    name: str, beats: npt.NDArray[np.int64], fs: float, config: BedConfig, *, bed: str = "offline"
) -> Analysis:
    """Judge by beats that are known already, without a waveform, up to the last one: nobody knows what came after it.

    Args:
        name: of the record.
        beats: (b,) R peaks, sample indices at ``fs``, ascending.
        fs: Hz, any positive rate: nothing is resampled.
        config: hop and limits.
        bed: the bed's id in findings and alarms.
    """
    at_500 = np.rint(np.asarray(beats) * (ANALYSIS_FS / fs)).astype(np.int64)
    hop = round(config.hop_s * ANALYSIS_FS)
    window = round(WINDOW_S * ANALYSIS_FS)
    end = max(window, int(at_500.max(initial=0)))
    rules = Rules(bed, config.limits)
    rules.start(0)
    good = (LeadState.GOOD,) * N_LEADS
    findings: list[Finding] = []
    alarms: list[AlarmEvent] = []
    first = 0
    for stop in range(window % hop or hop, end + 1, hop):
        new = at_500[np.searchsorted(at_500, first) : np.searchsorted(at_500, stop)]
        marks = [QualityMark(at, good) for at in range(first // MARK * MARK + MARK, stop + 1, MARK)]
        alarms += rules.observe(
            Observation(
                first=first,
                end=stop,
                beat_samples=new,
                beat_at=new,
                quality=marks,
                covered=np.ones((stop - first) // BLOCK, dtype=np.bool_),
                sent_at=stop * 1000 / ANALYSIS_FS,
            )
        )
        first = stop
        if stop >= window:
            known = at_500[np.searchsorted(at_500, stop - 60 * ANALYSIS_FS) : np.searchsorted(at_500, stop)]
            findings.append(
                Finding(
                    bed=bed,
                    epoch=0,
                    end=stop,
                    usable=True,
                    hr_bpm=heart_rate_bpm(known, stop),
                    beats=tuple(known[known >= stop - window].tolist()),
                    quality={},
                )
            )
    alarms += rules.finish(first, first * 1000 / ANALYSIS_FS)
    return Analysis(name, round(fs), (), end / ANALYSIS_FS, at_500.tolist(), findings, alarms)


def uv_per_bit(recording: Recording) -> float:
    """The finest step at which the recording's voltages fit into int16, in µV: 1 wherever they do."""
    peak = float(np.nanmax(np.abs(recording.microvolts), initial=0.0))
    return max(1.0, float(np.ceil(peak / 32_000)))
