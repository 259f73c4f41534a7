"""Augmented recordings: the same each time, still an ECG, and their annotations where their signal is."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.recording import Recording, Rhythm
from ecg.synthetic import SyntheticPatient
from wardbeat.training.augment import add_noise, augmented, beats_seen, rng_of
from wardbeat.training.noise import excerpts, stressed, swing


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Seventy seconds with a change of rhythm, and a stretch that was not measured."""
    made = SyntheticPatient("sinus 40s, af 30s", seed=3, fs=250, leads=("I", "II", "V1")).recording("made")
    microvolts = made.microvolts.copy()
    microvolts[0, 2500:2750] = np.nan
    return replace(made, microvolts=microvolts)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Something rough of RMS 1."""
    return np.random.default_rng(1).normal(size=(7, 2500)).astype(np.float32)


def test_a_copy_follows_from_its_record_and_number(recording, noise):
    """A cache that is built again must be the same cache, whichever worker takes the record."""
    one, again, other = (augmented(recording, noise, rng_of("made", copy)) for copy in (1, 1, 2))
    assert one.recording.microvolts.tobytes() == again.recording.microvolts.tobytes()
    assert (one.start_s, one.pace) == (again.start_s, again.pace)
    assert (one.start_s, one.pace) != (other.start_s, other.pace)


def test_the_original_is_left_alone(recording, noise):
    """The clean copy is drawn from the same object."""
    before = recording.microvolts.copy()
    augmented(recording, noise, rng_of("made", 1))
    assert np.array_equal(recording.microvolts, before, equal_nan=True)


def test_copies_are_still_an_ecg(recording, noise):
    """Microvolts in, microvolts out: no copy is silent, none beyond what an electrode gives, none upside down."""
    for number in range(10):
        copy = augmented(recording, noise, rng_of("made", number)).recording
        known = np.isfinite(copy.microvolts)
        assert copy.microvolts.dtype == np.float32
        assert known.mean() > 0.95
        assert 100 < np.ptp(copy.microvolts[1][known[1]]) < 30_000
        assert abs(copy.fs / recording.fs - 1) <= 0.055
        assert copy.leads == recording.leads
    quiet = [augmented(recording, noise * 0, rng_of("made", number)) for number in range(5)]
    for copy in quiet:
        first = round(copy.start_s * recording.fs)
        one, two = copy.recording.microvolts[1], recording.microvolts[1, first:]
        steps = [np.diff(np.nan_to_num(x)) for x in (one, two)]
        lag = max((np.corrcoef(np.roll(steps[0], -k), steps[1])[0, 1] for k in range(12)), key=abs)
        assert lag > 0.5  # what narrows the band comes a little late


def test_what_was_not_measured_stays_so(recording, noise):
    """A gap filled with noise would be a measured lead."""
    for number in range(10):
        copy = augmented(recording, noise, rng_of("made", number))
        first = 2500 - round(copy.start_s * recording.fs)
        assert np.isnan(copy.recording.microvolts[0, first : first + 250]).all()


def test_annotations_move_along(recording, noise):
    """Seconds of AF are learnt from the copy's own time."""
    copy = augmented(recording, noise, rng_of("made", 4))
    onset = next(r.onset for r in copy.recording.rhythms if r.name == "(AFIB") / copy.recording.fs
    assert copy.start_s > 0
    assert copy.start_s + onset * copy.pace == pytest.approx(40.0)
    assert len(copy.recording.beats) == len(copy.recording.beat_symbols)
    last = copy.start_s + copy.recording.beats[-1] / copy.recording.fs * copy.pace
    assert last == pytest.approx(recording.beats[-1] / recording.fs)


def test_short_recordings_keep_their_start(recording, noise):
    """Ten seconds have nothing to give away."""
    short = replace(recording, microvolts=recording.microvolts[:, :2500], beats=None, beat_symbols=(), rhythms=())
    for number in range(5):
        copy = augmented(short, noise, rng_of("short", number))
        assert copy.start_s == 0
        assert copy.recording.microvolts.shape == (3, 2500)


def test_noise_is_added_at_the_leads_own_level(recording, noise):
    """0 to 24 dB below the ECG, also of a lead that is ten times as large."""
    loud = replace(recording, microvolts=recording.microvolts * 10)
    one, ten = (augmented(x, noise, rng_of("made", 1)).recording.microvolts for x in (recording, loud))
    plain = augmented(recording, noise * 0, rng_of("made", 1)).recording.microvolts
    loud_plain = augmented(loud, noise * 0, rng_of("made", 1)).recording.microvolts
    added, added_ten = np.nanstd(one - plain), np.nanstd(ten - loud_plain)
    assert added > 1
    assert added_ten == pytest.approx(10 * added, rel=0.01)


@pytest.mark.parametrize("snr_db", [0.0, 12.0, 24.0])
def test_the_noise_is_as_loud_as_asked(recording, noise, snr_db):
    """A robustness figure at so many dB is one of so many dB: ± 3 between leads, of which at least half have it."""
    x = np.nan_to_num(recording.microvolts)
    levels = swing(x, 250)
    reached = []
    for number in range(20):
        noisy = x.copy()
        add_noise(noisy, levels, noise, 250, snr_db, rng_of("made", number))
        added = (noisy - x).std(axis=1)
        assert (added > 0).any()
        reached += list(20 * np.log10(levels[added > 0] / added[added > 0]))
    assert min(reached) > snr_db - 3.3
    assert max(reached) < snr_db + 3.3
    assert np.mean(reached) == pytest.approx(snr_db, abs=0.8)
    assert levels[1] == pytest.approx((x[1] - x[1].mean()).std(), rel=0.5)


def test_what_the_stress_test_added():
    """Its two-minute pauses hold no noise, and the ECG itself must not come back as noise."""
    rng = np.random.default_rng(5)
    n = 900 * 50
    ecg, hiss = rng.normal(0, 200, (2, n)), np.zeros((2, n))
    for first in (300, 540, 780):
        hiss[:, first * 50 : (first + 120) * 50] = rng.normal(0, 400, (2, 120 * 50))
    clean = Recording("118", 50, ("II", "V1"), ecg.astype(np.float32))
    noisy = replace(clean, name="118e06", microvolts=(ecg + hiss).astype(np.float32))
    found = stressed(noisy, clean)
    assert found.seconds == 360
    assert found.microvolts.std() == pytest.approx(400, rel=0.02)
    assert np.corrcoef(found.microvolts[0], ecg[0, 300 * 50 : 660 * 50])[0, 1] == pytest.approx(0, abs=0.05)
    with pytest.raises(ValueError, match="360 Hz"):
        stressed(replace(noisy, fs=360), clean)


def test_beats_as_a_detector_tells_them():
    """A few are missed or false, the rest stay within some milliseconds, in order."""
    beats = np.arange(200, 360_000, 300)
    seen = beats_seen(beats, 360, rng_of("beats", 1))
    again = beats_seen(beats, 360, rng_of("beats", 1))
    assert np.array_equal(seen, again)
    assert (np.diff(seen) > 0).all()
    assert 0.97 < len(seen) / len(beats) < 1.02
    nearest = np.abs(seen[:, None] - beats).min(axis=1)
    assert np.median(nearest) <= 3
    assert len(beats_seen(np.empty(0, np.int64), 360, rng_of("beats", 1))) == 0


def test_excerpts_of_noise_have_one_level():
    """The signal-to-noise ratio means something only if each excerpt has the same level, and silence has none."""
    rng = np.random.default_rng(2)
    x = np.stack([rng.normal(0, 300, 10_800), np.zeros(10_800)]).astype(np.float32)
    found = excerpts(Recording("noise", 360, ("II", "V1"), x, rhythms=(Rhythm("(N", 0, 1),)), np.arange(2))
    assert found.shape == (3, 2500)
    assert np.sqrt((found**2).mean(axis=1)) == pytest.approx([1, 1, 1], rel=0.02)
