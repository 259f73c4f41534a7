"""The network's input: the same however samples were cut, after restarts, and of any leads."""

from dataclasses import fields

import msgspec
import numpy as np
import pytest

from ecg.beats import BeatDetector
from ecg.synthetic import Script, SyntheticPatient
from models.features.extractor import Extractor, RhythmMemory
from models.features.minirocket_leads import fit_shared, shared_config
from models.features.minirocket_parameters import MiniRocketParameters
from models.inputs import NetworkInput
from windowing.assembler import Assembler
from windowing.spans import EpochStart, Span, Window


@pytest.fixture(scope="module")
def minirocket() -> MiniRocketParameters:
    """Kernels fitted on noise: what they are does not matter here."""
    rng = np.random.default_rng(0)
    windows = (rng.normal(size=(8, 12, 1000)).cumsum(axis=2) * 3).clip(-303, 303).astype(np.int16)
    return fit_shared(windows, np.ones(windows.shape, np.bool_), shared_config(100, 504, 1.0))


def recording(script: str, seed: int = 1):
    """A synthetic patient's twelve leads."""
    return SyntheticPatient(Script.parse(script), seed=seed).recording()


def inputs_of(record, minirocket, *, seconds: float = 0.2, hop_s: float = 1.0, restart_every: int = 0):
    """(window end, input) of a recording, cut into chunks of ``seconds``; restarted after each so many windows."""
    assembler, detector, extractor = Assembler(hop_s=hop_s), BeatDetector(), Extractor(minirocket, hop_s)
    beats, out = np.empty(0, np.int64), []
    for chunk in record.chunks("bed", seconds=seconds):
        for item in assembler.push(chunk):
            if isinstance(item, EpochStart):
                extractor.reset()
            if not isinstance(item, Span):
                continue
            beats = np.concatenate([beats, detector.push(item.microvolts, item.mask).sample])
            extractor.push(item.microvolts, item.mask)
            if item.window is not None:
                out.append((item.window.end, extractor.extract(item.window, beats[beats > item.end - 30_000])))
                if restart_every and len(out) % restart_every == 0:
                    data = extractor.snapshot()
                    extractor = Extractor(minirocket, hop_s)
                    extractor.restore(data)
    return out


def same(one: NetworkInput, other: NetworkInput) -> bool:
    """All fields are equal to the last bit; NaN equals NaN."""
    return all(
        getattr(one, field.name).tobytes() == getattr(other, field.name).tobytes() for field in fields(NetworkInput)
    )


@pytest.mark.parametrize(("hop_s", "seconds"), [(1.0, 1.0), (0.7, 0.13), (5.0, 0.5)])
def test_cutting_does_not_matter(minirocket, hop_s, seconds):
    """What the network sees must not depend on how the monitor cut the stream, or replays would differ."""
    record = recording("sinus 14s, af+leads_off(V1) 14s")
    one = inputs_of(record, minirocket, hop_s=hop_s)
    other = inputs_of(record, minirocket, hop_s=hop_s, seconds=seconds)
    assert [end for end, _ in one] == [end for end, _ in other]
    assert all(same(a, b) for (_, a), (_, b) in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("hop_s", "restart_every", "seconds"), [(1.0, 1, 75), (1.0, 4, 75), (0.7, 4, 24), (3.0, 4, 75)]
)
def test_a_restart_changes_nothing(minirocket, hop_s, restart_every, seconds):
    """After a crash the same windows must give the same findings: alarms come out again with the same ids."""
    record = recording(f"sinus(rate=90) 15s, af+noise(200) {seconds - 15}s")
    one = inputs_of(record, minirocket, hop_s=hop_s)
    other = inputs_of(record, minirocket, hop_s=hop_s, restart_every=restart_every)
    assert len(one) > (seconds - 15) / hop_s
    assert all(same(a, b) for (_, a), (_, b) in zip(one, other, strict=True))


def test_a_snapshot_of_another_hop_or_version_is_refused(minirocket):
    """Protects a bed over an update: amplitudes laid out otherwise would be taken for a scale, and kept for days."""
    with pytest.raises(ValueError, match="expected 720 levels of amplitude, got 144"):
        Extractor(minirocket).restore(Extractor(minirocket, 5.0).snapshot())
    rhythm, _, *rest = msgspec.msgpack.decode(Extractor(minirocket).snapshot())
    before = np.full(12, np.nan)  # the one memory a lead of the fourth training
    with pytest.raises(ValueError, match="expected 720 levels of amplitude, got 24"):
        Extractor(minirocket).restore(msgspec.msgpack.encode([rhythm, before.tobytes(), *rest]))


def test_gain_is_taken_out_and_moves_slowly(minirocket):
    """A monitor of another gain shows the same picture; a burst of noise does not change the scale at once."""
    record = recording("sinus 20s")
    loud = type(record)(record.name, record.fs, record.leads, record.microvolts * 4)
    (_, one), (_, other) = inputs_of(record, minirocket)[-1], inputs_of(loud, minirocket)[-1]
    difference = np.abs(one.signal.astype(int) - other.signal)
    assert np.median(np.abs(one.signal[1])) > 0
    assert difference.max() <= 3
    factor = [
        np.ptp(x.signal[1]) for _, x in inputs_of(recording("sinus 20s, sinus+noise(1500) 3s, sinus 12s"), minirocket)
    ]
    assert factor[-1] == pytest.approx(factor[0], rel=0.1)


def test_missing_leads_are_missing(minirocket):
    """A lead that is not there must look like nothing, not like a flat line that was measured."""
    record = recording("sinus 12s")
    two = type(record)(record.name, record.fs, record.leads[:2], record.microvolts[:2])
    (_, x), *_ = inputs_of(two, minirocket)
    assert x.leads.tolist() == [True] * 6 + [False] * 6
    assert not x.signal[6:].any()
    assert not x.ppv[6:].any()
    assert x.signal[:6].any(axis=1).all()


def test_context_is_of_the_past_minute(minirocket):
    """Sixty seconds of context: windows that do not overlap, newest first, and none before the epoch's start."""
    seen = dict(inputs_of(recording("sinus 75s"), minirocket))
    assert np.isnan(seen[5000].context_age_s).all()
    assert seen[10_000].context_age_s.tolist()[:1] == [10.0]
    assert seen[37_000].context_age_s.tolist() == [14.0, 24.0, 34.0, 44.0, 54.0]
    assert np.isfinite(seen[37_000].context[:, 0]).all()


def test_pulse_follows_the_beats():
    """The RR interval that a moment lies in is what stands there; after the last beat nothing is made up."""
    beats = np.arange(200, 5000, 400)
    x = RhythmMemory().extract(beats, 5000)
    known = x.pulse[:, 5] == 1
    assert np.unique(x.pulse[known, 0]).tolist() == [np.float32(0.8)]
    assert not known[-4:].any()
    assert not known[:4].any()
    assert x.pulse[:, 3].sum() == len(beats)
    assert not x.leads.any()


def test_each_lead_has_the_same_kernels(minirocket):
    """Two leads with the same signal have the same features: what is learned of one serves the other."""
    record = recording("sinus 12s")
    same_signal = type(record)(record.name, record.fs, record.leads, np.repeat(record.microvolts[1:2], 12, axis=0))
    (_, x), *_ = inputs_of(same_signal, minirocket)
    assert x.ppv[6].any()
    assert np.array_equal(x.ppv[6], x.ppv[11])


def test_windows_are_refused_out_of_place(minirocket):
    """A window that does not end with the pushed samples would mix two times."""
    window = Window(0, 5000, np.zeros((12, 5000), np.float32), np.zeros((12, 5000), np.bool_))
    with pytest.raises(ValueError, match="expected to end at 0, got 5000"):
        Extractor(minirocket).extract(window, np.empty(0, np.int64))
