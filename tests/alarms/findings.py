"""Findings with evidence as a network would give it, and beats to go with them, for the tests of AF and flutter."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from alarms.alarm import AlarmEvent
from alarms.rhythm_alarms import RhythmAlarms
from models.finding import Finding

FS = 500
EPOCH = 1_700_000_000_000
BED = "bed-1"
Level = Callable[[float], float]


def finding(end_s: float, *, usable: bool = True, **fields: object) -> Finding:
    """The finding of the window that ends at second ``end_s``."""
    return Finding(
        bed=BED,
        epoch=EPOCH,
        end=round(end_s * FS),
        usable=usable,
        hr_bpm=90.4,
        beats=(),
        quality={},
        model="net",
        sent_at=EPOCH + 1000 * end_s,
        **fields,  # type: ignore[arg-type]
    )


def rhythm(*pieces: tuple[float, float]) -> Level:
    """1 in the given stretches of seconds, else 0."""
    return lambda second: float(any(first <= second < end for first, end in pieces))


def stream(
    seconds: float,
    af: Level,
    flutter: Level = lambda _: 0.0,
    noise: Level = lambda _: 0.0,
    *,
    hop_s: float = 1.0,
    unusable: Sequence[tuple[float, float]] = (),
    missing: Sequence[tuple[float, float]] = (),
    prediction_set: Callable[[float], tuple[str, ...]] = lambda _: ("af",),
) -> Iterator[Finding]:
    """Windows of ``seconds`` in which each second has the level at its middle, as a perfect network would see it.

    ``unusable`` and ``missing``: windows that end in ``(from, to]`` are called so, or do not come.
    """
    end = 10.0
    while end <= seconds:
        if not any(first < end <= last for first, last in missing):
            middles = [end - 9.5 + second for second in range(10)]
            yield finding(
                end,
                usable=not any(first < end <= last for first, last in unusable),
                af_evidence=tuple(map(af, middles)),
                flutter_evidence=tuple(map(flutter, middles)),
                noise_evidence=tuple(map(noise, middles)),
                prediction_set=prediction_set(end),
                reason="no P waves",
            )
        end += hop_s


def beats_of(seconds: float, irregular: Level = lambda _: 0.0, seed: int = 0) -> npt.NDArray[np.int64]:
    """R peaks: 75 a minute and steady to 1 %, or where ``irregular`` is 1 scattered by a fifth."""
    rng = np.random.default_rng(seed)
    peaks, now = [], 0.3
    while now < seconds:
        peaks.append(round(now * FS))
        now += max(0.3, rng.normal(0.7, 0.15)) if irregular(now) else rng.normal(0.8, 0.008)
    return np.array(peaks, np.int64)


def known(beats: npt.NDArray[np.int64], end: int) -> npt.NDArray[np.int64]:
    """Those that a bed remembers at sample ``end``: decided by then, of the latest minute."""
    return beats[(beats > end - 60 * FS) & (beats <= end - FS // 2)]


def play(
    alarms: RhythmAlarms, findings: Iterable[Finding], beats: npt.NDArray[np.int64] | None = None
) -> list[AlarmEvent]:
    """The events of ``findings``, in an epoch that is started if none is; it is not finished."""
    if alarms.epoch is None:
        alarms.start(EPOCH)
    every = np.empty(0, np.int64) if beats is None else beats
    return [event for each in findings for event in alarms.observe(each, known(every, each.end))]


def brief(events: Iterable[AlarmEvent]) -> list[tuple[str, str, float]]:
    """Kind, phase and second of each event."""
    return [(str(event.kind), str(event.phase), event.at / FS) for event in events]
