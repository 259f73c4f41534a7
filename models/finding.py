"""The finding: what the models say of one window."""

import msgspec

NO_MODEL = "beats-1"  # judging by beats and signal alone; a network's findings carry the hash of its weights


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What beats, signal and (where there is one) the network say of the 10 s that end at ``end``.

    Attributes:
        bed: the bed.
        epoch: Unix milliseconds of sample 0.
        end: analysis sample index (500 Hz) after the window's last sample.
        usable: there is signal enough to judge by.
        hr_bpm: heart rate over the latest beats of the window; None where it cannot be told.
        beats: R peaks in the window, analysis sample indices.
        quality: state of each lead that was expected: good, noisy, saturated, flat, off or missing.
        probabilities: class → probability; empty without a network.
        prediction_set: classes that cannot be ruled out; empty without a network.
        af_evidence: calibrated probability of AF in each second of the window, oldest first; empty without a network.
        flutter_evidence: the same of atrial flutter.
        noise_evidence: the same of noise: where it is high the two others say nothing.
        reason: what the network judged by, in words; empty without a network.
        sent_at: Unix milliseconds at which the monitor sent the samples that completed the window.
        model: what judged: ``NO_MODEL`` or the hash of the weights.
    """

    bed: str
    epoch: int
    end: int
    usable: bool
    hr_bpm: float | None
    beats: tuple[int, ...]
    quality: dict[str, str]
    probabilities: dict[str, float] = {}
    prediction_set: tuple[str, ...] = ()
    af_evidence: tuple[float, ...] = ()
    flutter_evidence: tuple[float, ...] = ()
    noise_evidence: tuple[float, ...] = ()
    reason: str = ""
    sent_at: float = 0.0
    model: str = NO_MODEL
    v: int = 1
