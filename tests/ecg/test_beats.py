"""The beat detector on made-up hearts: what it must find, what it must not, and what a replay relies on."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.beats import LATENCY_SAMPLES, BeatDetector, Beats

FS = 500
# R and T amplitudes of the twelve leads, as shares: a plausible heart, aVR upside down, V1 small.
SHARE = np.array([0.6, 1.0, 0.4, -0.8, 0.2, 0.7, -0.4, -0.5, 0.6, 1.2, 1.1, 0.8])


def heart(
    bpm: float = 75,
    seconds: float = 20,
    millivolts: float = 1.0,
    t_wave: float = 0.25,
    noise_uv: float = 10,
    seed: int = 1,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """(12, n) µV of a regular rhythm with P, QRS and T, and the R peaks: (b,) samples."""
    n = int(seconds * FS)
    r_peaks = np.arange(int(0.4 * FS), n - int(0.6 * FS), round(60 / bpm * FS), dtype=np.int64)
    t = np.arange(n)[None, :] / FS - r_peaks[:, None] / FS
    wave = np.exp(-0.5 * (t / 0.012) ** 2) - 0.25 * np.exp(-0.5 * ((t - 0.03) / 0.01) ** 2)
    wave += 0.12 * np.exp(-0.5 * ((t + 0.16) / 0.022) ** 2) + t_wave * np.exp(-0.5 * ((t - 0.26) / 0.04) ** 2)
    rng = np.random.default_rng(seed)
    x = 1000 * millivolts * SHARE[:, None] * wave.sum(axis=0) + rng.normal(0, noise_uv, (12, n))
    return x.astype(np.float32), r_peaks


def detect(x: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None, step: int = 100) -> Beats:
    """All beats of (12, n) µV, pushed ``step`` samples at a time and flushed."""
    mask = np.ones(x.shape, dtype=np.bool_) if mask is None else mask
    detector = BeatDetector()
    parts = [detector.push(x[:, i : i + step], mask[:, i : i + step]) for i in range(0, x.shape[1], step)]
    parts.append(detector.flush())
    return Beats(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("sample", "at", "confidence")))


def missed_and_false(beats: Beats, r_peaks: npt.NDArray[np.int64], since_s: float = 2.0) -> tuple[int, int]:
    """How many R peaks after ``since_s`` have no beat within 60 ms, and how many beats have no R peak."""
    apart = np.abs(r_peaks[:, None] - beats.sample[None, :]) > 30
    missed = apart.all(axis=1) & (r_peaks > since_s * FS)
    false = apart.all(axis=0) & (beats.sample > since_s * FS)
    return int(missed.sum()), int(false.sum())


@pytest.mark.parametrize("bpm", [28, 75, 190])
@pytest.mark.parametrize("millivolts", [0.25, 1.0, 3.0])
def test_every_beat_once_in_time_and_in_place(bpm: float, millivolts: float) -> None:
    """Rates and amplitudes of the ward: a missed or doubled beat is a wrong heart rate on the screen."""
    x, r_peaks = heart(bpm, millivolts=millivolts)
    beats = detect(x)
    assert missed_and_false(beats, r_peaks) == (0, 0)
    behind = beats.at - beats.sample
    assert behind.max() <= LATENCY_SAMPLES < FS / 2
    nearest = r_peaks[np.abs(r_peaks[:, None] - beats.sample[None, :]).argmin(axis=0)]
    assert np.abs(beats.sample - nearest).max() <= 8
    assert np.ptp((beats.sample - nearest)[2:]) <= 4
    assert np.all((beats.confidence >= 0) & (beats.confidence <= 1))


@pytest.mark.parametrize("rows", [(0,), (1,), (6,), (11,), (0, 1), (0, 1, 6), (6, 7, 8, 9, 10, 11), tuple(range(12))])
def test_any_lead_set(rows: tuple[int, ...]) -> None:
    """A telemetry pack may send one lead, a cart twelve; what the others hold must not be looked at."""
    x, r_peaks = heart()
    mask = np.zeros(x.shape, dtype=np.bool_)
    mask[list(rows)] = True
    x[~mask] = np.nan
    assert missed_and_false(detect(x, mask), r_peaks) == (0, 0)


@settings(max_examples=15, deadline=None)
@given(
    blocks=st.lists(st.integers(1, 8), min_size=1, max_size=40),
    gap=st.tuples(st.integers(0, 11), st.integers(0, 2900), st.integers(1, 900)),
)
def test_any_cutting_gives_the_same_beats(blocks: list[int], gap: tuple[int, int, int]) -> None:
    """Chunks of any size, masks at any sample: an offline replay must find the same beats to the last bit."""
    x, _ = heart(95, seconds=6, noise_uv=60)
    mask = np.ones(x.shape, dtype=np.bool_)
    row, first, length = gap
    mask[row, first : first + length] = False
    whole = detect(x, mask, step=3000)
    detector, parts, at = BeatDetector(), [], 0
    while at < x.shape[1]:
        n = min(50 * blocks[len(parts) % len(blocks)], x.shape[1] - at)
        parts.append(detector.push(x[:, at : at + n], mask[:, at : at + n]))
        at += n
    parts.append(detector.flush())
    for name in ("sample", "at", "confidence"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))


@pytest.mark.parametrize("cut", [50, 1050, 2500, 2850])
def test_restored_detector_continues_byte_for_byte(cut: int) -> None:
    """A worker that takes over a bed, in the middle of a beat or a gap, goes on as the dead one would have."""
    x, _ = heart(110, seconds=10, noise_uv=50)
    mask = np.ones(x.shape, dtype=np.bool_)
    mask[:, 2490:2600] = False
    detector, other = BeatDetector(), BeatDetector()
    detector.push(x[:, :cut], mask[:, :cut])
    other.restore(detector.snapshot())
    one, two = detector.push(x[:, cut:], mask[:, cut:]), other.push(x[:, cut:], mask[:, cut:])
    for name in ("sample", "at", "confidence"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert len(one) > 5
    assert detector.snapshot() == other.snapshot()
    assert len(detector.snapshot()) < 8000


def broken(x: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], row: int, how: str) -> None:
    """Break one lead in place from second 8 to 16."""
    rng, part = np.random.default_rng(5), slice(8 * FS, 16 * FS)
    n = 8 * FS
    if how == "noise":
        x[row, part] += rng.normal(0, 1500, n)
    elif how == "mains":
        x[row, part] += 3000 * np.sin(2 * np.pi * 50.2 * np.arange(n) / FS)
    elif how == "flat":
        x[row, part] = x[row, 8 * FS]
    elif how == "open":
        x[row, part] = 5000 + rng.normal(0, 8, n)
    elif how == "saturated":
        x[row, part] = np.where(np.arange(n) // 800 % 2, 5000, -5000)
    elif how == "off":
        mask[row, part] = False
        x[row, 16 * FS :] += 5000


@pytest.mark.parametrize("how", ["noise", "mains", "flat", "open", "saturated", "off"])
@pytest.mark.parametrize("rows", [(1, 6), (0, 1, 6), tuple(range(12))])
def test_one_lead_may_fail(how: str, rows: tuple[int, ...]) -> None:
    """An electrode comes loose somewhere every hour: the other leads carry the rhythm through, no false asystole."""
    x, r_peaks = heart(seconds=22)
    mask = np.zeros(x.shape, dtype=np.bool_)
    mask[list(rows)] = True
    broken(x, mask, 1, how)
    missed, false = missed_and_false(detect(x, mask), r_peaks)
    assert missed <= (2 if len(rows) == 2 else 0)
    assert false <= (1 if how == "saturated" and len(rows) == 2 else 0)


@pytest.mark.parametrize("kind", ["zeros", "offset", "noise", "wander", "mains", "p_waves", "spikes"])
def test_a_standstill_has_no_beats(kind: str) -> None:
    """Asystole must be seen through whatever an electrode adds; also P waves alone, spikes without capture."""
    x, r_peaks = heart(seconds=24)
    still = int(r_peaks[12]) + 300
    n = x.shape[1] - still
    t = np.arange(n) / FS
    x[:, still:] = {
        "zeros": np.zeros(n),
        "offset": np.full(n, 5000.0),
        "noise": np.random.default_rng(2).normal(0, 20, (12, n)),
        "wander": 800 * np.sin(2 * np.pi * 0.3 * t),
        "mains": 500 * np.sin(2 * np.pi * 50 * t) + 500 * np.sin(2 * np.pi * 60 * t),
        "p_waves": SHARE[:, None] * 120 * np.exp(-0.5 * (((t % 0.7) - 0.35) / 0.025) ** 2),
        "spikes": np.where(np.arange(n) % 400 < 1, 4000.0, 0.0),
    }[kind]
    beats = detect(x)
    assert missed_and_false(Beats(beats.sample[:-1], beats.at[:-1], beats.confidence[:-1]), r_peaks[:13])[0] <= 1
    assert not np.any(beats.sample > still + 150)


def test_a_flat_line_from_the_beginning_has_no_beats() -> None:
    """An empty bed with electrodes that hum is not a heart."""
    noise = np.random.default_rng(3).normal(0, 20, (12, 30 * FS)).astype(np.float32)
    assert len(detect(noise)) == 0


def test_a_perfectly_still_baseline_hides_no_beat() -> None:
    """A simulator without noise: the line is constant soon after each QRS, and the lead must still count."""
    x, r_peaks = heart(40, noise_uv=0, t_wave=0)
    assert missed_and_false(detect(np.rint(x / 5) * 5), r_peaks) == (0, 0)


@pytest.mark.parametrize("t_wave", [0.5, 0.8])
def test_tall_t_waves_are_not_beats(t_wave: float) -> None:
    """Hyperkalaemia must not double the heart rate."""
    x, r_peaks = heart(70, t_wave=t_wave)
    assert missed_and_false(detect(x), r_peaks) == (0, 0)


def test_paced_beats_are_counted_once() -> None:
    """A spike of 4 mV just before each QRS, another before each P wave."""
    x, r_peaks = heart(70)
    for before in (25, 100):
        x[:, r_peaks - before] += 4000
    assert missed_and_false(detect(x), r_peaks) == (0, 0)


def test_wander_offset_and_mains_at_once() -> None:
    """A restless patient on a bad earth: 5 mV offset, 1 mV of breathing, 0.5 mV of mains."""
    x, r_peaks = heart()
    t = np.arange(x.shape[1]) / FS
    x += (5000 + 1000 * np.sin(2 * np.pi * 0.3 * t) + 500 * np.sin(2 * np.pi * 50 * t)).astype(np.float32)
    assert missed_and_false(detect(x), r_peaks) == (0, 0)


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_amplitude_may_change_at_once(factor: float) -> None:
    """A patient turns over: found again within three seconds, and no beat twice."""
    x, r_peaks = heart(seconds=24, millivolts=1.2 if factor < 1 else 0.3)
    x[:, 12 * FS :] *= factor
    beats = detect(x)
    before = Beats(*(v[beats.sample < 12 * FS - 100] for v in (beats.sample, beats.at, beats.confidence)))
    assert missed_and_false(before, r_peaks[r_peaks < 12 * FS - 100]) == (0, 0)
    assert missed_and_false(beats, r_peaks, since_s=15) == (0, 0)


def test_all_leads_may_come_and_go() -> None:
    """Cable out, cable in with another offset: no beat in the gap, none made of the edge."""
    x, r_peaks = heart(seconds=24)
    mask = np.ones(x.shape, dtype=np.bool_)
    mask[:, 8 * FS : 12 * FS + 7] = False
    x[~mask] = 0
    x[:, 12 * FS + 7 :] += 5000
    beats = detect(x, mask)
    assert not np.any((beats.sample > 8 * FS) & (beats.sample < 12 * FS))
    real = r_peaks[(r_peaks < 8 * FS - 40) | (r_peaks > 12 * FS + 150)]
    assert missed_and_false(beats, real) == (0, 0)


def test_absurd_values_count_as_missing() -> None:
    """A NaN or a huge number that slipped through must not poison the memory for ever."""
    x, r_peaks = heart()
    x[3, 3000], x[5, 4000], x[1, 5000] = np.nan, np.inf, 1e30
    assert missed_and_false(detect(x), r_peaks) == (0, 0)


def test_the_last_beat_is_told_by_flush_and_reset_forgets() -> None:
    """A record that ends 0.1 s after its last QRS still has that beat; the next epoch begins from nothing."""
    x, r_peaks = heart()
    end = int(r_peaks[10]) // 50 * 50 + 100
    ones = np.ones(x.shape, dtype=np.bool_)
    detector = BeatDetector()
    told = detector.push(x[:, :end], ones[:, :end])
    rest = detector.flush()
    assert abs(int(rest.sample[0]) - int(r_peaks[10])) < 10
    assert int(rest.at[0]) == end - 1
    assert int(told.sample[-1]) < int(rest.sample[0])
    assert len(detector.flush()) == 0
    detector.reset()
    assert detector.snapshot() == BeatDetector().snapshot()


def test_wrong_shapes_and_foreign_snapshots_are_refused() -> None:
    """The error quotes what came."""
    detector = BeatDetector()
    with pytest.raises(ValueError, match=r"\(12, 70\)"):
        detector.push(np.zeros((12, 70), dtype=np.float32), np.ones((12, 70), dtype=np.bool_))
    with pytest.raises(ValueError, match=r"\(3, 50\)"):
        detector.push(np.zeros((3, 50), dtype=np.float32), np.ones((3, 50), dtype=np.bool_))
    with pytest.raises(ValueError, match="mask"):
        detector.push(np.zeros((12, 50), dtype=np.float32), np.ones((12, 100), dtype=np.bool_))
    with pytest.raises(ValueError, match="raws"):
        detector.restore(b"\x9a" + b"\xc4\x00" * 10)
