"""The watch over one bed's rhythm: samples and beats in, the network's word and the alarms drawn from it out."""

import msgspec
import numpy as np
import numpy.typing as npt

from alarms.alarm import AlarmEvent, Kind, Phase
from alarms.episodes import Burden, Episode, EpisodeConfig
from alarms.rhythm_alarms import RhythmAlarms
from models.classes import RHYTHMS
from models.features.extractor import Extractor
from models.finding import Finding
from models.inputs import NetworkInput
from models.rhythm_network import Judgement, RhythmNetwork
from stream.states import NOT_JUDGED, EpisodeState, RhythmState
from windowing.spans import ANALYSIS_FS, Span, Window

SHOWN_S = 60  # of evidence on the screen
SHOWN_EPISODES = 20
MS_PER_SAMPLE = 1000 / ANALYSIS_FS

Indices = npt.NDArray[np.int64]


class RhythmWatch:
    """Network, episodes and alarms of one bed. Small state: the window's samples come back from the log.

    Attributes:
        latest: the newest finding, None before one in this epoch.
    """

    def __init__(self, bed: str, network: RhythmNetwork, hop_s: float, confirm_s: float) -> None:
        """Watch ``bed`` with ``network``, a window every ``hop_s`` seconds; AF is confirmed after ``confirm_s``."""
        self._network = network
        self._extractor = Extractor(network.minirocket, hop_s)
        self._alarms = RhythmAlarms(bed, EpisodeConfig(confirm_s=confirm_s), network.excludable)
        self.latest: Finding | None = None

    @property
    def model(self) -> str:
        """The network's name."""
        return self._network.name

    @property
    def active(self) -> tuple[AlarmEvent, ...]:
        """The rhythm alarm that stands now, by its latest event."""
        return self._alarms.active

    @property
    def episodes(self) -> list[Episode]:
        """AF and flutter of the running epoch, in order."""
        return self._alarms.episodes

    @property
    def burden(self) -> Burden:
        """AF of the latest 24 hours of the running epoch."""
        return self._alarms.burden_24h

    def start(self, epoch: int) -> None:
        """Begin ``epoch``."""
        self._extractor.reset()
        self._alarms.start(epoch)
        self.latest = None

    def push(self, span: Span) -> None:
        """Take new samples."""
        self._extractor.push(span.microvolts, span.mask)

    def judge(self, finding: Finding, window: Window, beats: Indices) -> tuple[Finding, list[AlarmEvent]]:
        """Add the network's word to what beats and signal say of ``window``; beats are those of the last 60 s."""
        if not finding.usable:
            self.latest = finding
            return finding, self._alarms.observe(finding, beats)
        inputs = self._extractor.extract(window, beats)
        self.latest = with_judgement(finding, self._network.judge(inputs), self.model)
        events = self._alarms.observe(self.latest, beats)
        return self.latest, [explained(event, self._network, inputs) for event in events]

    def finish(self, end: int, sent_at: float, beats: Indices) -> list[AlarmEvent]:
        """The epoch is over at sample ``end``."""
        return self._alarms.finish(end, sent_at, beats)

    def state(self, epoch: int, *, silent: bool) -> RhythmState:
        """How it stands now, for the screen; ``silent``, in asystole, the newest window's rhythm is none of now."""
        finding, burden = self.latest, self._alarms.burden_24h
        judged = finding is not None and bool(finding.probabilities) and not silent
        now = self._now() if judged else None
        return RhythmState(
            now=now,
            provisional=now in (Kind.AF, Kind.FLUTTER) and not self._alarms.confirmed,
            probabilities=finding.probabilities if finding and judged else {},
            prediction_set=finding.prediction_set if finding and judged else (),
            evidence=tuple(NOT_JUDGED if value is None else round(value, 3) for value in self._alarms.recent(SHOWN_S)),
            burden=burden.share,
            af_s=burden.af_s,
            analysed_s=burden.analysed_s,
            longest_s=burden.longest_s,
            episodes=tuple(
                EpisodeState(
                    kind=str(episode.kind),
                    onset_ms=epoch + MS_PER_SAMPLE * episode.onset,
                    offset_ms=None if episode.offset is None else epoch + MS_PER_SAMPLE * episode.offset,
                    confirmed=episode.confirmed,
                )
                for episode in self.episodes[-SHOWN_EPISODES:]
            ),
            model=self.model,
            evidence_end=None if finding is None else finding.end,
        )

    def _now(self) -> str:
        """An alarm that stands says it; else the likeliest rhythm of the newest window."""
        if self.active:
            return str(self.active[-1].kind)
        assert self.latest is not None
        return max(RHYTHMS, key=self.latest.probabilities.__getitem__)

    def snapshot(self) -> bytes:
        """All of it (MessagePack)."""
        return msgspec.msgpack.encode((self._extractor.snapshot(), self._alarms.snapshot(), self.latest))

    def restore(self, data: bytes) -> None:
        """Go on where ``snapshot`` was taken. Raises ValueError where it is none."""
        extractor, alarms, self.latest = msgspec.msgpack.decode(data, type=tuple[bytes, bytes, Finding | None])
        self._extractor.restore(extractor)
        self._alarms.restore(alarms)


def with_judgement(finding: Finding, judgement: Judgement, model: str) -> Finding:
    """The finding with what the network of that name said."""
    return msgspec.structs.replace(
        finding,
        probabilities=judgement.probabilities,
        prediction_set=judgement.prediction_set,
        af_evidence=judgement.af_evidence,
        flutter_evidence=judgement.flutter_evidence,
        noise_evidence=judgement.noise_evidence,
        reason=judgement.reason,
        model=model,
    )


def explained(event: AlarmEvent, network: RhythmNetwork, inputs: NetworkInput) -> AlarmEvent:
    """The event with what the network looked at, where it starts or confirms an alarm."""
    if event.phase not in (Phase.START, Phase.ESCALATE):
        return event
    explanation = network.explain(inputs, str(event.kind))
    return msgspec.structs.replace(
        event,
        saliency=explanation.saliency,
        attention=explanation.attention,
        attention_by_second=explanation.attention_by_second,
    )
