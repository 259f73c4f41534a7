"""How beds and workers stand now, as they are kept in the store for the screen."""

import msgspec

NOT_JUDGED = -1.0  # in place of a second's evidence: JSON has no NaN, and a second that nobody judged is no zero


class EpisodeState(msgspec.Struct, frozen=True, kw_only=True):
    """One episode of a rhythm that alarms.

    Attributes:
        kind: ``af`` or ``flutter``.
        onset_ms: Unix milliseconds of its first beat.
        offset_ms: Unix milliseconds at which it ended; None while it lasts.
        confirmed: it lasted long enough to be confirmed; until then it is provisional.
    """

    kind: str
    onset_ms: float
    offset_ms: float | None
    confirmed: bool


class RhythmState(msgspec.Struct, frozen=True, kw_only=True):
    """What the network says of one bed: the rhythm now, why it may be another, and AF over the last 24 h.

    Attributes:
        now: ``sinus``, ``af``, ``flutter``, ``other`` or ``noise``; None where nothing is judged, and in asystole.
        provisional: ``now`` is not confirmed yet.
        probabilities: class → calibrated probability in the newest window; empty where it was not judged.
        prediction_set: rhythms that cannot be ruled out in the newest window.
        evidence: probability of AF in each of the last seconds, 60 at most, the newest last; ``NOT_JUDGED`` where none.
        evidence_end: analysis sample index after the newest of them, to a quarter of a second; None before the first.
        burden: AF time over analysed time of the last 24 h, 0 to 1; None where nothing was analysed.
        af_s: AF time in the last 24 h, seconds.
        analysed_s: time in the last 24 h that could be judged, seconds.
        longest_s: longest AF episode in the last 24 h, seconds.
        episodes: the newest episodes, 20 at most.
        model: hash of the weights.
    """

    now: str | None
    provisional: bool
    probabilities: dict[str, float]
    prediction_set: tuple[str, ...]
    evidence: tuple[float, ...]
    burden: float | None
    af_s: float
    analysed_s: float
    longest_s: float
    episodes: tuple[EpisodeState, ...]
    model: str
    evidence_end: int | None = None


class BedState(msgspec.Struct, frozen=True, kw_only=True):
    """One bed as the worker that owns it sees it, written about once a second.

    Attributes:
        bed: the bed.
        epoch: Unix milliseconds of sample 0.
        sample: analysis sample index (500 Hz) after the newest processed sample.
        hr_bpm: heart rate now; None where it cannot be told.
        usable: there is signal enough to judge by.
        quality: state of each expected lead: good, noisy, saturated, flat, off or missing.
        leads: names of the leads that the monitor sends.
        limits: alarm limits in force, by name, in beats per minute.
        received_at: Unix milliseconds at which the log took the newest processed chunk, by the log's clock.
        processed_at: Unix milliseconds at which that chunk was processed, by the worker's clock.
        model: what judges: ``beats-1`` or the hash of the weights.
        worker: the worker that wrote this; empty if it did not say.
        rhythm: what the network says; None without a network.
    """

    bed: str
    epoch: int
    sample: int
    hr_bpm: float | None
    usable: bool
    quality: dict[str, str]
    leads: tuple[str, ...]
    limits: dict[str, float]
    received_at: float
    processed_at: float
    model: str
    worker: str = ""
    rhythm: RhythmState | None = None


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's heartbeat, written once a second.

    Attributes:
        worker: its name, the same after a restart.
        engine: ``kafka`` or ``embedded``.
        at: Unix milliseconds of the heartbeat, by the worker's clock.
        partitions: the parts of the log that it owns.
        beds: how many beds it has seen in them.
        backlog_s: age of the newest chunk that it processed while others wait; 0 when none waits.
        counters: events since it started, by name: chunks, findings, alarms, deadletters, duplicates, late …
    """

    worker: str
    engine: str
    at: float
    partitions: tuple[int, ...]
    beds: int
    backlog_s: float
    counters: dict[str, int]
