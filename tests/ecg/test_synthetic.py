"""The synthetic patient: the same samples always, and a truth that is true."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.chunk import MISSING
from ecg.leads import LEADS
from ecg.recording import Rhythm
from ecg.synthetic import LeadOff, Script, SyntheticPatient

EVERYTHING = (
    "sinus 2s, af+noise(50) 2.3s, flutter+mains(50, 80) 2s, pvc(every=2)+wander 3s, sinus+leads_off(II+V5) 1.7s, "
    "vt 2s, vf+noise 2s, asystole+leads_off(all) 1.1s"
)


def median_rr_s(patient: SyntheticPatient) -> float:
    """Median RR in seconds."""
    return float(np.median(np.diff(patient.beats))) / patient.fs


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**64),
    fs=st.sampled_from([100, 250, 500, 777]),
    loop=st.booleans(),
    cuts=st.lists(st.integers(0, 12_000), max_size=6),
)
def test_samples_depend_on_their_index_alone(seed: int, fs: int, loop: bool, cuts: list[int]) -> None:
    """However a range is cut, in whatever order it is asked for: the same bytes, so feeders may render again."""
    whole = SyntheticPatient(EVERYTHING, seed, fs, loop=loop)
    n = whole.n_samples + (3 * fs if loop else 0)
    edges = sorted({0, n, *(cut % n for cut in cuts)})
    pieces = SyntheticPatient(EVERYTHING, seed, fs, loop=loop)
    parts = {first: pieces.render(first, end - first) for first, end in reversed(list(pairwise(edges)))}
    assert np.array_equal(whole.render(0, n), np.concatenate([parts[first] for first in sorted(parts)], axis=1))


def test_seed_is_the_patient() -> None:
    """The same seed gives the same bytes; another seed another rate, axis and amplitude; the script does not matter."""
    one, again = SyntheticPatient(EVERYTHING, 7), SyntheticPatient(EVERYTHING, 7)
    assert one.render(0, 5000).tobytes() == again.render(0, 5000).tobytes()
    others = [SyntheticPatient("sinus 30s", seed) for seed in range(6)]
    assert len({round(60 / median_rr_s(patient)) for patient in others}) >= 4
    heights = [patient.microvolts(0, 15_000)[:2].max(axis=1) for patient in others]
    assert np.std([height[1] for height in heights]) > 100
    assert np.std([height[0] / height[1] for height in heights]) > 0.1
    assert SyntheticPatient("af 5s", 3).traits.rate == SyntheticPatient("sinus 5s", 3).traits.rate


@pytest.mark.parametrize("fs", [250, 500, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_beats_stand_on_the_rendered_r_peaks(seed: int, fs: int) -> None:
    """In sinus rhythm each annotated beat is within 4 ms of the R peak in II and of the peak of all leads' energy."""
    patient = SyntheticPatient("sinus 30s", seed, fs)
    signal = patient.microvolts(0, patient.n_samples)
    half = round(0.06 * fs)
    inside = patient.beats[(patient.beats >= half) & (patient.beats < patient.n_samples - half)]
    assert len(inside) > 25
    for beat in inside.tolist():
        around = signal[:, beat - half : beat + half]
        assert abs(int(np.argmax(around[1])) - half) <= max(1, 0.004 * fs)
        assert abs(int(np.argmax((around**2).sum(axis=0))) - half) <= max(1, 0.004 * fs)


@pytest.mark.parametrize("seed", range(3))
def test_ectopic_beats_stand_on_their_peak(seed: int) -> None:
    """A ventricular beat is annotated where the twelve leads together are largest, and is wider than a normal one."""
    patient = SyntheticPatient("pvc(every=4) 30s", seed)
    energy = np.sqrt((patient.microvolts(0, patient.n_samples) ** 2).sum(axis=0))
    width: dict[str, list[int]] = {"N": [], "V": []}
    for beat, symbol in zip(patient.beats.tolist(), patient.beat_symbols, strict=True):
        if 60 <= beat < patient.n_samples - 60:
            around = energy[beat - 60 : beat + 60]
            width[symbol].append(int((around > 0.3 * around.max()).sum()))
            assert abs(int(np.argmax(around)) - 60) <= 6
    assert len(width["V"]) >= 6
    assert np.mean(width["V"]) > 1.8 * np.mean(width["N"])


def test_leads_look_as_they_should() -> None:
    """Signs and sizes of the QRS: II upright near 1 mV, aVR negative, V1 rS, V5 tall; in every patient."""
    for seed in range(12):
        patient = SyntheticPatient("sinus 20s", seed)
        signal = dict(zip(patient.leads, patient.microvolts(0, patient.n_samples), strict=True))
        up = {lead: float(np.percentile(x, 99.7)) for lead, x in signal.items()}
        down = {lead: float(np.percentile(x, 0.3)) for lead, x in signal.items()}
        assert 500 < up["II"] < 2000
        assert up["II"] > -2 * down["II"]
        assert -down["aVR"] > 2 * up["aVR"]
        assert -down["V1"] > 2 * up["V1"] > 200
        assert up["V5"] > 500
        assert up["V5"] > -2 * down["V5"]


@pytest.mark.parametrize("script", ["sinus+noise(100) 5s", "af+mains 5s", "vf+wander 5s"])
def test_einthoven_and_goldberger(script: str) -> None:
    """Before quantisation the six limb leads are exactly consistent, noise and mains included."""
    one, two, three, avr, avl, avf = SyntheticPatient(script, 3).microvolts(0, 2500)[:6]
    assert np.array_equal(three, two - one)
    assert np.array_equal(avr, (one + two) * np.float32(-0.5))
    assert np.array_equal(avl, one - two * np.float32(0.5))
    assert np.array_equal(avf, two - one * np.float32(0.5))


@pytest.mark.parametrize(
    ("script", "rate"),
    [
        ("sinus(rate=55) 90s", 55),
        ("sinus(rate=120) 90s", 120),
        ("brady(rate=38) 90s", 38),
        ("tachy(rate=150) 90s", 150),
        ("af(rate=70) 90s", 70),
        ("af(rate=140) 90s", 140),
        ("flutter(rate=150) 90s", 150),
        ("flutter(rate=75, block=4) 90s", 75),
        ("vt(rate=190) 90s", 190),
        ("pvc(rate=70, every=3) 90s", 70),
        ("pac(rate=70, p=0.2) 90s", 70),
    ],
)
def test_rate_is_what_the_script_asks_for(script: str, rate: float) -> None:
    """The mean rate of a segment is within 2 % of the one asked for."""
    patient = SyntheticPatient(script, 5)
    assert 60 * patient.fs / np.diff(patient.beats).mean() == pytest.approx(rate, rel=0.02)


def test_af_is_irregular_and_has_no_p() -> None:
    """AF: RR scattered and uncorrelated, never below the refractory time, no P wave. Sinus: the opposite."""
    p_wave, spread = {}, {}
    for script in ("sinus(rate=80) 4m", "af(rate=80) 4m"):
        patient = SyntheticPatient(script, 11)
        rr = np.diff(patient.beats) / patient.fs
        two = patient.microvolts(0, patient.n_samples)[1]
        before = np.mean([two[beat - 125 : beat - 30] for beat in patient.beats.tolist() if beat > 125], axis=0)
        p_wave[script[:2]], spread[script[:2]] = float(before.max() - before[-5:].mean()), rr.std() / rr.mean()
        if script.startswith("af"):
            assert rr.min() > 0.3
            assert abs(np.corrcoef(rr[:-1], rr[1:])[0, 1]) < 0.15
    assert spread["af"] > 0.17 > 0.08 > spread["si"]
    assert p_wave["si"] > 60 > 35 > p_wave["af"]


def test_sinus_breathes() -> None:
    """Sinus RR goes with respiration: the spectrum of RR peaks at the patient's respiratory rate or at 0.1 Hz."""
    patient = SyntheticPatient("sinus(rate=60) 10m", 2)
    rr = np.diff(patient.beats) / patient.fs
    even = np.interp(np.arange(0, 590, 0.5), patient.beats[1:] / patient.fs, rr)
    power = np.abs(np.fft.rfft((even - even.mean()) * np.hanning(len(even)))) ** 2
    hertz = np.fft.rfftfreq(len(even), 0.5)
    breathing = np.abs(hertz - patient.traits.respiration_hz) < 0.02
    assert power[breathing].max() > 10 * np.median(power)


def test_marked_sinus_arrhythmia_is_no_af() -> None:
    """As uneven as AF, yet each step goes on where the last one went; in AF the next takes half of it back."""
    unevenness, taken_back = {}, {}
    for name, script in (("marked", "sinus(60, rsa=0.3) 5m"), ("plain", "sinus(60) 5m"), ("af", "af(80) 5m")):
        rr = np.diff(SyntheticPatient(script, 4).beats)
        steps = np.diff(rr)
        unevenness[name] = rr.std() / rr.mean()
        taken_back[name] = float(np.corrcoef(steps[1:], steps[:-1])[0, 1])
    assert unevenness["marked"] > 0.8 * unevenness["af"] > 2 * unevenness["plain"]
    assert taken_back["marked"] > -0.25 > taken_back["af"]
    with pytest.raises(ValueError, match=r"sinus\(rsa\): expected 0 to 0.4, got '0.5'"):
        SyntheticPatient("sinus(rsa=0.5) 9s", 4)


def test_flutter_is_locked_to_its_waves() -> None:
    """Flutter: RR is a whole multiple of the wave, with a varied block as well, and the waves go on between beats."""
    fixed = SyntheticPatient("flutter(rate=75, block=4) 30s", 1)
    assert np.ptp(np.diff(fixed.beats)) <= 1
    varied = SyntheticPatient("flutter(rate=100, block=var) 60s", 1)
    cycles = np.diff(varied.beats) / varied.fs * 100 * 2.9 / 60
    assert np.abs(cycles - np.rint(cycles)).max() < 0.02
    assert set(np.rint(cycles).astype(int)) == {2, 3, 4}
    two = fixed.microvolts(500, 14_000)[1]
    spectrum = np.abs(np.fft.rfft(two * np.hanning(len(two))))
    hertz = np.fft.rfftfreq(len(two), 1 / 500)
    sinus = SyntheticPatient("sinus(rate=75) 30s", 1).microvolts(500, 14_000)[1]
    at_wave = np.abs(hertz - 5) < 0.1
    assert spectrum[at_wave].max() > 2 * np.abs(np.fft.rfft(sinus * np.hanning(len(sinus))))[at_wave].max()


def test_ventricular_fibrillation() -> None:
    """VF: no beats, most power between 3 and 8 Hz, coarse, and no period that repeats."""
    patient = SyntheticPatient("vf 30s", 4)
    assert patient.beats.shape == (0,)
    two = patient.microvolts(500, 14_000)[1]
    power = np.abs(np.fft.rfft(two * np.hanning(len(two)))) ** 2
    hertz = np.fft.rfftfreq(len(two), 1 / 500)
    assert power[(hertz > 2.5) & (hertz < 8.5)].sum() > 0.8 * power[hertz > 0.7].sum()
    assert np.ptp(two) > 600
    slow = two - two.mean()
    echo = np.correlate(slow[:7000], slow[:7000], "full")[7000:] / (slow[:7000] ** 2).sum()
    assert echo[1000:4000].max() < 0.7


def test_asystole_is_a_live_flat_line() -> None:
    """Asystole: no deflection, no P wave, no beats; but no constant either, for the electrodes are on."""
    patient = SyntheticPatient("sinus 10s, asystole 30s, sinus 10s", 6)
    signal = patient.microvolts(11 * 500, 28 * 500).reshape(12, 28, 500)
    assert np.ptp(signal, axis=2).max() < 120
    counts = patient.render(11 * 500, 28 * 500).reshape(12, 28, 500)
    assert np.ptp(counts, axis=2).min() >= 2
    assert not ((patient.beats >= 5000) & (patient.beats < 20_000)).any()
    assert patient.beats[patient.beats >= 20_000][0] < 20_500


@pytest.mark.parametrize("length", [2.0, 3.5, 6.0])
def test_pause_is_as_long_as_asked(length: float) -> None:
    """One RR interval of a pause segment is the pause, to the sample; no other comes near it."""
    patient = SyntheticPatient(f"sinus 5s, pause(s={length}, rate=75) 12s, sinus 5s", 8)
    rr = np.diff(patient.beats)
    assert (rr == length * 500).sum() == 1
    assert np.sort(rr)[-2] < 1.3 * 500


def test_symbols_of_ectopic_beats() -> None:
    """Bigeminy alternates; PACs come early and are A; VT is all V."""
    bigeminy = "".join(SyntheticPatient("pvc(every=2) 20s", 1).beat_symbols)
    assert bigeminy[:20] == "NV" * 10
    patient = SyntheticPatient("pac(rate=70, p=0.2) 3m", 1)
    early = np.array([symbol == "A" for symbol in patient.beat_symbols])
    assert 0.08 < early.mean() < 0.25
    rr = np.diff(patient.beats) / patient.fs
    assert rr[early[1:]].max() < 0.8 * np.median(rr)
    assert set(SyntheticPatient("vt 10s", 1).beat_symbols) == {"V"}


def test_beats_never_crowd() -> None:
    """Across every change of rhythm two R peaks stay as far apart as a heart allows, and the order is kept."""
    script = "(sinus 3s, af(rate=200) 3s, vt(rate=260) 3s, flutter(rate=300, block=1) 3s, pvc(every=2) 3s, pac 3s) x4"
    for seed in range(10):
        patient = SyntheticPatient(script, seed)
        assert np.diff(patient.beats).min() >= 0.17 * 500
        assert patient.beats[0] >= 0
        assert patient.beats[-1] < patient.n_samples


def test_rhythms_and_leads_off_are_annotated() -> None:
    """Rhythms cover the script without gaps and merge like neighbours; leads off are told by lead and interval."""
    patient = SyntheticPatient(
        "sinus 4s, tachy+leads_off(V1) 4s, af+leads_off(V1+II) 4s, pvc(every=2) 4s, vf 4s, asystole 4s", 1
    )
    assert patient.rhythms == (
        Rhythm("(N", 0, 4000),
        Rhythm("(AFIB", 4000, 6000),
        Rhythm("(B", 6000, 8000),
        Rhythm("(VF", 8000, 10_000),
        Rhythm("(ASYS", 10_000, 12_000),
    )
    assert patient.leads_off == (LeadOff("II", 4000, 6000), LeadOff("V1", 2000, 6000))


def test_leads_off_are_missing_exactly_then() -> None:
    """A lead that is off is MISSING in its interval and nowhere else; the other leads do not change by it."""
    patient = SyntheticPatient("sinus 3.3s, sinus+leads_off(II+V5) 2.5s, sinus 3s", 2)
    counts = patient.render(0, patient.n_samples)
    expected = np.zeros(counts.shape, dtype=bool)
    expected[[1, 10], 1650:2900] = True
    assert np.array_equal(counts == MISSING, expected)
    on = SyntheticPatient("sinus 3.3s, sinus 2.5s, sinus 3s", 2).render(0, patient.n_samples)
    assert np.array_equal(counts[~expected], on[~expected])


def test_loop_plays_the_same_beats_again() -> None:
    """Round two has the beats and the leads off of round one, with other noise."""
    patient = SyntheticPatient("sinus 7.3s, af+leads_off(V2) 3.1s", 9, loop=True)
    n = patient.n_samples
    first, second = patient.render(n, n).astype(float), patient.render(5 * n, n).astype(float)
    assert np.array_equal(first[7] == MISSING, second[7] == MISSING)
    assert np.abs(first - second).max() * patient.uv_per_bit < 250
    assert np.corrcoef(first[1], second[1])[0, 1] > 0.95
    assert not np.array_equal(first, second)


def test_overlays_are_as_large_as_asked() -> None:
    """Muscle noise has the rms, mains the amplitude and frequency, wander the size that the script says."""
    quiet = SyntheticPatient("asystole 30s", 3).microvolts(0, 15_000)
    noisy = SyntheticPatient("asystole+noise(80) 30s", 3).microvolts(0, 15_000)
    assert (noisy - quiet)[:3].std() == pytest.approx(80, rel=0.2)
    hum = SyntheticPatient("asystole+mains(60, 200) 30s", 3).microvolts(0, 15_000) - quiet
    lines = np.abs(np.fft.rfft(hum[:, 1000:14_000])) * 2 / 13_000
    assert np.fft.rfftfreq(13_000, 1 / 500)[lines.max(axis=0).argmax()] == 60
    assert lines.max() == pytest.approx(200, rel=0.1)
    wander = SyntheticPatient("asystole+wander(600) 30s", 3).microvolts(0, 15_000)
    assert 400 < np.abs(wander).max() < 1500


def test_recording_is_what_a_feeder_sends() -> None:
    """The recording's chunks carry the very counts of the renderer, its gaps and its truth."""
    patient = SyntheticPatient("sinus 3s, af+leads_off(V1) 2s", 4, leads=("II", "V1"))
    recording = patient.recording("one")
    chunks = list(recording.chunks("bed", uv_per_bit=patient.uv_per_bit))
    sent = np.concatenate([chunk.check().counts() for chunk in chunks], axis=1)
    assert np.array_equal(sent, patient.render(0, patient.n_samples))
    assert chunks[0].leads == ("II", "V1")
    assert recording.beats is patient.beats
    assert (recording.beat_symbols, recording.rhythms) == (patient.beat_symbols, patient.rhythms)


def test_a_lead_set_is_a_part_of_the_twelve() -> None:
    """Fewer leads are the same leads: a telemetry pack on the same patient shows the same signal."""
    twelve = SyntheticPatient("pac 5s", 1).render(0, 2500)
    three = SyntheticPatient("pac 5s", 1, leads=("MLII", "V1", "I"))
    assert three.leads == ("II", "V1", "I")
    assert np.array_equal(three.render(0, 2500), twelve[[LEADS.index(lead) for lead in three.leads]])


def test_a_loop_shorter_than_a_beat() -> None:
    """The shortest scripts play and loop as well, wherever the seconds and the rounds fall."""
    patient = SyntheticPatient("af 0.7s", 5, loop=True)
    whole, again = patient.render(0, 5000), SyntheticPatient("af 0.7s", 5, loop=True)
    assert np.array_equal(whole[:, 1234:4321], again.render(1234, 3087))
    assert SyntheticPatient("vf 0.1s", 5).render(0, 50).shape == (12, 50)


def test_refusals() -> None:
    """Wrong arguments are refused with the value quoted; a script that does not loop has an end."""
    patient = SyntheticPatient("sinus 2s", 0)
    with pytest.raises(ValueError, match=r"within \[0, 1000\), got \[900, 1001\)"):
        patient.render(900, 101)
    with pytest.raises(ValueError, match=r"got \[-1, 4\)"):
        patient.render(-1, 5)
    with pytest.raises(ValueError, match="got 50"):
        SyntheticPatient("sinus 2s", 0, fs=50)
    with pytest.raises(ValueError, match="'X'"):
        SyntheticPatient("sinus 2s", 0, leads=("X",))
    with pytest.raises(ValueError, match="got -3"):
        SyntheticPatient("sinus 2s", -3)
    with pytest.raises(ValueError, match="at least one segment"):
        SyntheticPatient(Script(()), 0)
    assert patient.render(1000, 0).shape == (12, 0)
