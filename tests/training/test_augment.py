"""Augmented recordings: the same each time, still an ECG, and their annotations where their signal is."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.leads import LEADS
from ecg.recording import Recording, Rhythm
from ecg.synthetic import SyntheticPatient
from ecg.writer import write_record
from models.features.atrial import FEATURE_NAMES
from models.features.minirocket_leads import fit_shared, shared_config
from models.inputs import PPV_PER_LEAD, RATE, SAMPLES
from tests.training.test_drowned import agreement, beats_s
from wardbeat.training import augment
from wardbeat.training.augment import add_noise, add_tremor, augmented, beats_seen, rng_of
from wardbeat.training.noise import excerpts, noise_bank, swing
from wardbeat.training.records import windows


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


def test_noise_is_of_bad_leads_alone(tmp_path):
    """A good lead is an ECG, and a true alarm's rhythm is not noise; where nothing is left, it is said, not made up."""
    rng = np.random.default_rng(0)
    good = SyntheticPatient("sinus 30s", seed=1, fs=250, leads=("II", "V1")).recording()
    bad = good.microvolts.copy()
    bad[1] = rng.normal(0, 2000, bad.shape[1])
    write_record(replace(good, microvolts=bad), tmp_path / "mixed")
    rows = ["path,dataset,subject,labels", "mixed,cinc2011,p,ACCEPTABLE", "mixed,cinc2015,q,ASYS-TRUE"]
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(ValueError, match="no bad lead in cinc2011 and cinc2015"):
        noise_bank(tmp_path)
    (tmp_path / "index.csv").write_text("\n".join([*rows, "mixed,cinc2015,q,ASYS-FALSE"]) + "\n")
    bank = noise_bank(tmp_path)
    assert bank.shape == (3, 2500)  # V1 alone
    (tmp_path / "index.csv").write_text("\n".join([*rows, "mixed,cinc2011,q,UNACCEPTABLE"]) + "\n")
    assert np.array_equal(noise_bank(tmp_path), bank)


def trembling(recording: Recording, seed: int) -> Recording:
    """The recording with tremor alone."""
    x = recording.microvolts.copy()
    add_tremor(x, swing(x, recording.fs), recording.fs, rng_of("tremor", seed))
    return replace(recording, microvolts=x)


@pytest.mark.parametrize("script", ["sinus(rate=70) 12s", "af(rate=90) 12s"])
def test_tremor_is_one_slow_oscillation_of_some_leads(script):
    """Parkinson's rest tremor to shivering: 4 to 9 Hz, 0.15 to 2 of the lead's level, at times in one lead only."""
    rest = SyntheticPatient(script, seed=2, fs=250, leads=LEADS).recording()
    levels, how_many, hz, size = swing(rest.microvolts, 250), [], [], []
    for seed in range(40):
        added = trembling(rest, seed).microvolts - rest.microvolts
        shaken = added.std(axis=1) > 0
        how_many.append(int(shaken.sum()))
        for lead in np.flatnonzero(shaken):
            power = np.abs(np.fft.rfft(added[lead] * np.hanning(added.shape[1]))) ** 2
            at = np.fft.rfftfreq(added.shape[1], 1 / 250)
            hz.append(at[np.argmax(power)])
            assert power[(at > 3.5) & (at < 19)].sum() / power.sum() > 0.99
            assert power[np.abs(at - hz[-1]) < 0.8].sum() / power.sum() > 0.6
            size.append(np.abs(added[lead]).max() / levels[lead])
    assert {1, 12} < set(how_many)
    assert len(set(how_many)) > 4
    assert max(size) <= 3  # at the top of a harmonic half as large
    assert np.percentile(size, 25) < 0.5 < 1 < np.percentile(size, 90)
    assert min(hz) < 5
    assert max(hz) > 7.5
    assert max(hz) < 9.3


def test_beats_stay_readable_through_tremor():
    """It changes no label, so it may hide no rhythm: what nobody reads is noise, and tremor is not."""
    found = []
    for seed in range(30):
        patient = SyntheticPatient("sinus(rate=75) 15s", seed=seed, leads=("II",))
        rest, true = patient.recording(), patient.beats / patient.fs
        if agreement(beats_s(rest), true) > 0.9:
            found.append(agreement(beats_s(trembling(rest, seed)), true))
    assert len(found) > 20
    assert min(found) > 0.9


def test_tremor_looks_to_atrial_features_as_in_mit_bih_101():
    """MIT-BIH 101 was called flutter for an f concentration of 0.68 in V1, where others in sinus rhythm have 0.27."""
    steps = np.random.default_rng(0).integers(-100, 100, (8, 12, SAMPLES)).astype(np.int16)
    kernels = fit_shared(steps, np.ones(steps.shape, np.bool_), shared_config(RATE, PPV_PER_LEAD, 1.0))
    rest = SyntheticPatient("sinus(rate=70) 12s", seed=2, fs=250, leads=("II", "V1")).recording()
    at = FEATURE_NAMES.index("f_concentration_V1")
    found = [float(next(windows(made, kernels)).input.atrial[at]) for made in (trembling(rest, k) for k in range(12))]
    assert max(found) > 0.6
    assert np.mean(np.array(found) > 0.5) > 0.25
    assert next(windows(rest, kernels)).input.atrial[at] < 0.4


def test_a_few_copies_tremble_whatever_their_rhythm(recording, noise, monkeypatch):
    """A few per cent of all: drawn from the record's name and the copy's number alone, which say nothing of rhythm."""
    drawn = add_tremor
    seen = []

    def counting(*given):
        seen.append(given)
        drawn(*given)

    monkeypatch.setattr(augment, "add_tremor", counting)
    short = recording.sliced(0, 2500)
    for number in range(300):
        augmented(short, noise, rng_of("made", number))
    assert 0.03 < len(seen) / 300 < 0.1


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
