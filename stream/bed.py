"""One bed: chunks in order of the log in, findings, alarms and waves out."""

from dataclasses import dataclass, field

import msgspec
import numpy as np

from alarms.alarm import AlarmEvent, Kind
from alarms.limits import Limits
from alarms.observation import Observation
from alarms.rules import Rules
from ecg.beats import BeatDetector, Beats
from ecg.chunk import Chunk
from ecg.leads import LEADS, N_LEADS
from ecg.quality import LeadQuality, LeadState, QualityMark, usable
from ecg.rate import heart_rate_bpm
from models.finding import NO_MODEL, Finding
from models.judge import judge, quality_by_lead
from models.rhythm_network import RhythmNetwork
from stream.checkpoint import BedCheckpoint
from stream.rhythm_watch import RhythmWatch
from stream.states import RhythmState
from stream.waves import StripSecond, WaveFeed
from windowing.assembler import Assembler
from windowing.spans import ANALYSIS_FS, BLOCK, EpochEnd, EpochStart, Span

MEMORY_S = 60  # beats and quality marks older than this serve nothing: the longest rhythm memory of DESIGN.md


@dataclass(frozen=True)
class BedConfig:
    """How beds are watched.

    Attributes:
        hop_s: seconds from window to window, 0.5 to 5.
        reorder_s: seconds of newer samples after which a missing stretch is a gap.
        limits: alarm limits of a bed that has none of its own.
        waves: make display frames and strips (not wanted offline).
        network: what judges the rhythm; None where beats and signal alone are judged.
    """

    hop_s: float = 1.0
    reorder_s: float = 2.0
    limits: Limits = field(default_factory=Limits)
    waves: bool = True
    network: RhythmNetwork | None = None


@dataclass
class Step:
    """What one or more chunks of a bed gave, in order."""

    findings: list[Finding] = field(default_factory=list)
    alarms: list[AlarmEvent] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    strips: list[StripSecond] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)


class BedBrokenError(RuntimeError):
    """The code failed in the middle of a chunk: what the bed remembers is no longer of one piece."""


class _Memory(msgspec.Struct):
    beats: bytes
    marks: list[tuple[int, tuple[LeadState, ...]]]
    end: int
    sent_at: float
    leads: tuple[str, ...]


class Bed:
    """The watch over one bed. Pure: everything it yields follows from the chunks it was given, in their order."""

    def __init__(self, name: str, config: BedConfig) -> None:
        self.name = name
        self._assembler = Assembler(hop_s=config.hop_s, reorder_s=config.reorder_s)
        self._detector = BeatDetector()
        self._quality = LeadQuality()
        self._rules = Rules(name, config.limits)
        self.rhythm = (
            RhythmWatch(name, config.network, config.hop_s, config.limits.af_confirm_s) if config.network else None
        )
        self._waves = WaveFeed() if config.waves else None
        self._forget()

    def _forget(self) -> None:
        self._beats = np.empty(0, dtype=np.int64)
        self._marks: list[QualityMark] = []
        self._leads: tuple[str, ...] = ()
        self.end = 0
        self.sent_at = 0.0

    @property
    def epoch(self) -> int | None:
        """The running epoch, or None before the first."""
        return self._assembler.epoch

    @property
    def active(self) -> tuple[AlarmEvent, ...]:
        """The alarms that stand now, by their latest event."""
        return self._rules.active + (self.rhythm.active if self.rhythm else ())

    @property
    def rhythm_state(self) -> RhythmState | None:
        """What the network says now, for the screen; None without a network, or before an epoch."""
        if self.rhythm is None or self.epoch is None:
            return None
        return self.rhythm.state(self.epoch, silent=any(event.kind is Kind.ASYSTOLE for event in self.active))

    @property
    def counts(self) -> dict[str, int]:
        """What was dropped or bridged so far: duplicates, late, gaps …"""
        return {name: int(value) for name, value in msgspec.structs.asdict(self._assembler.counts).items()}

    @property
    def latest_quality(self) -> dict[str, str]:
        """State of each lead that is part of the stream, at the latest mark."""
        return quality_by_lead(self._marks[-1].states) if self._marks else {}

    @property
    def usable_now(self) -> bool:
        """Some lead is good enough to judge by, at the latest mark."""
        return bool(self._marks) and usable(self._marks[-1].states)

    @property
    def hr_bpm(self) -> float | None:
        """Heart rate now; None where it cannot be told."""
        return heart_rate_bpm(self._beats, self.end) if self.usable_now else None

    @property
    def model(self) -> str:
        """What judges: the network's name, or that of the rules where there is none."""
        return self.rhythm.model if self.rhythm else NO_MODEL

    @property
    def leads(self) -> tuple[str, ...]:
        """Leads that the monitor sends."""
        return self._leads

    def push(self, chunk: Chunk) -> Step:
        """Take the next chunk of the log.

        Raises:
            ValueError: the chunk contradicts its epoch; nothing of it was used.
            BedBrokenError: a defect of ours; this bed can only be begun anew.
        """
        step = Step()
        contradiction = True
        try:
            items = self._assembler.push(chunk)  # refuses at once or not at all
            contradiction = False
            self._leads = chunk.leads
            self._take(items, step)
        except Exception as error:
            if contradiction and isinstance(error, ValueError):
                raise
            raise BedBrokenError(f"internal error: {error!r}") from error
        return step

    def end_epoch(self) -> Step:
        """The recording is over: what a final chunk does."""
        step = Step()
        self._take(self._assembler.end(), step)
        return step

    def refill(self, chunk: Chunk) -> None:
        """Take a chunk that already went into the restored state: only the ring is filled."""
        self._assembler.refill(chunk)

    def needs(self, chunk: tuple[int, int, float]) -> bool:
        """Whether a chunk (declared epoch, end, sent-at) must stay in the log to refill a checkpoint taken now."""
        return self._assembler.needs(*chunk)

    def checkpoint(self, position: int, held: tuple[int, int, float] | None = None) -> BedCheckpoint:
        """The small state after the message at ``position``; with the ring inside if the log does not hold it."""
        memory = _Memory(
            self._beats.tobytes(),
            [(mark.at, mark.states) for mark in self._marks],
            self.end,
            self.sent_at,
            self._leads,
        )
        parts = {
            "assembler": self._assembler.snapshot(with_ring=held is not None),
            "detector": self._detector.snapshot(),
            "quality": self._quality.snapshot(),
            "rules": self._rules.snapshot(),
            "memory": msgspec.msgpack.encode(memory),
        }
        if self.rhythm:
            parts["rhythm"] = self.rhythm.snapshot()
        return BedCheckpoint(
            bed=self.name,
            position=position,
            held=held,
            parts=parts,
            standing=self.active,
            end=self.end,
            sent_at=self.sent_at,
        )

    def restore(self, checkpoint: BedCheckpoint) -> None:
        """Go on from ``checkpoint``. Raises ValueError where it is none of this version."""
        parts = checkpoint.parts
        self._assembler.restore(parts["assembler"])
        self._detector.restore(parts["detector"])
        self._quality.restore(parts["quality"])
        self._rules.restore(parts["rules"])
        if self.rhythm:
            self.rhythm.restore(parts["rhythm"])
        memory = msgspec.msgpack.decode(parts["memory"], type=_Memory)
        self._beats = np.frombuffer(memory.beats, dtype=np.int64)
        self._marks = [QualityMark(at, states) for at, states in memory.marks]
        self.end, self.sent_at, self._leads = memory.end, memory.sent_at, memory.leads

    def _take(self, items: object, step: Step) -> None:
        for item in items:  # type: ignore[attr-defined]
            if isinstance(item, Span):
                self._judge(item, step)
            elif isinstance(item, EpochStart):
                leads = self._leads
                self._forget()
                self._leads = leads
                self._detector.reset()
                self._quality.reset()
                self._rules.start(item.epoch)
                if self.rhythm:
                    self.rhythm.start(item.epoch)
                if self._waves:
                    self._waves.reset()
            elif isinstance(item, EpochEnd):
                self._remember(self._detector.flush(), [], step)
                step.alarms += self._rules.finish(item.end, item.sent_at)
                if self.rhythm:
                    step.alarms += self.rhythm.finish(item.end, item.sent_at, self._beats)

    def _judge(self, span: Span, step: Step) -> None:
        beats = self._detector.push(span.microvolts, span.mask)
        marks = self._quality.push(span.microvolts, span.mask)
        self._remember(beats, marks, step)
        self.end, self.sent_at = span.end, span.sent_at
        step.alarms += self._rules.observe(
            Observation(
                first=span.first,
                end=span.end,
                beat_samples=beats.sample,
                beat_at=beats.at,
                quality=marks,
                covered=np.atleast_1d(span.mask.any(axis=0).reshape(-1, BLOCK).any(axis=1)),
                received=span.received,
                sent_at=span.sent_at,
            )
        )
        if self._waves:
            frame = self._waves.frame(self.name, span)
            if frame is not None:
                step.frames.append(frame)
            step.strips += self._waves.strip(span)
        if self.rhythm:
            self.rhythm.push(span)
        if span.window is not None:
            finding = judge(self.name, span.window, self._beats, self._marks, span.sent_at)
            if self.rhythm:
                finding, alarms = self.rhythm.judge(finding, span.window, self._beats)
                step.alarms += alarms
            step.findings.append(finding)

    def _remember(self, beats: Beats, marks: list[QualityMark], step: Step) -> None:
        if beats.sample.size:
            step.beats += beats.sample.tolist()
            self._beats = np.concatenate((self._beats, beats.sample))
            self._beats = self._beats[self._beats > beats.sample[-1] - MEMORY_S * ANALYSIS_FS]
        if marks:
            self._marks += marks
            self._marks = [mark for mark in self._marks if mark.at > marks[-1].at - MEMORY_S * ANALYSIS_FS]


def warm_up(config: BedConfig) -> None:
    """Run every kernel once, so that the first chunk of a patient does not wait for the compiler."""
    bed = Bed("warm-up", config)
    for seq in range(60):
        counts = np.zeros((N_LEADS, 50), dtype="<i2")
        counts[:, 10:14] = 1000 if seq % 4 == 0 else 0
        bed.push(
            Chunk(
                bed=bed.name,
                epoch=0,
                seq=seq,
                first_sample=50 * seq,
                fs=250,  # not 500, so that the resampler runs too
                leads=LEADS,
                uv_per_bit=1.0,
                sent_at=200.0 * (seq + 1),
                samples=counts.tobytes(),
                final=seq == 59,
            )
        )
