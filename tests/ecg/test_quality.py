"""Lead states: what is told of each kind of signal, how soon, and that neither cutting nor a restart changes it."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg.leads import LEAD_INDEX, N_LEADS
from ecg.quality import FS, MARK, LeadQuality, LeadState, QualityMark, usable

Samples = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def heart(seconds: float, *, uv: float = 1000.0, noise_uv: float = 5.0, seed: int = 0) -> Samples:
    """(n,) float32 µV: a narrow QRS of ``uv`` 72 times a minute with a T wave, over white noise of ``noise_uv`` rms."""
    t = np.arange(round(seconds * FS)) / FS
    phase = t % (60 / 72)
    qrs = uv * np.exp(-(((phase - 0.3) / 0.012) ** 2)) + 0.2 * uv * np.exp(-(((phase - 0.55) / 0.05) ** 2))
    return (qrs + np.random.default_rng(seed).normal(0, noise_uv, t.shape)).astype(np.float32)


def on_leads(**rows: Samples) -> tuple[Samples, Mask]:
    """(12, n) samples and mask in which only the named leads are measured; NaN in a row is not measured either."""
    n = len(next(iter(rows.values())))
    samples, mask = np.zeros((N_LEADS, n), dtype=np.float32), np.zeros((N_LEADS, n), dtype=bool)
    for name, row in rows.items():
        samples[LEAD_INDEX[name]] = np.nan_to_num(row)
        mask[LEAD_INDEX[name]] = ~np.isnan(row)
    return samples, mask


def of_lead_two(row: Samples) -> list[LeadState]:
    """States of lead II, one each half second."""
    return [mark.states[LEAD_INDEX["II"]] for mark in LeadQuality().push(*on_leads(II=row))]


def told_after(row: Samples, since_s: float, state: LeadState) -> float:
    """Seconds from ``since_s`` until a mark says ``state``, which it must then keep saying."""
    states = of_lead_two(row)
    first = states.index(state)
    assert set(states[first:]) == {state}
    return (first + 1) * MARK / FS - since_s


def test_a_clean_heart_is_good_and_what_never_came_is_missing() -> None:
    """The everyday case: no lead is called noisy, and leads that are not part of the stream are not called off."""
    marks = LeadQuality().push(*on_leads(I=heart(10, uv=500), II=heart(10)))
    assert [mark.at for mark in marks] == list(range(MARK, 10 * FS + 1, MARK))
    assert {mark.states for mark in marks} == {(LeadState.GOOD, LeadState.GOOD, *[LeadState.MISSING] * 10)}


@pytest.mark.parametrize("noise_uv", [2.0, 5.0, 20.0, 40.0])
def test_asystole_stays_judgeable(noise_uv: float) -> None:
    """A heart that stopped under electrodes that hold shows a few µV of noise: never flat, off or noisy."""
    row = heart(20, noise_uv=noise_uv)
    row[10 * FS :] = np.random.default_rng(1).normal(0, noise_uv, 10 * FS)
    assert set(of_lead_two(row)) == {LeadState.GOOD}


def test_ventricular_fibrillation_stays_judgeable() -> None:
    """VF has no QRS to compare noise with; calling it noise would silence the ward."""
    t = np.arange(10 * FS) / FS
    row = 300 * np.sin(2 * np.pi * 5.5 * t + 2 * np.sin(2 * np.pi * 0.7 * t)) + np.random.default_rng(0).normal(
        0, 8, t.shape
    )
    assert set(of_lead_two(row.astype(np.float32))) == {LeadState.GOOD}


@settings(max_examples=30, deadline=None)
@given(after=st.integers(2 * FS, 8 * FS))
def test_off_flat_and_railed_are_told_within_two_seconds(after: int) -> None:
    """Whenever a good lead is lost, in whichever way, the ward knows within 2 s."""
    row = heart(14)
    lost = {LeadState.OFF: np.nan, LeadState.FLAT: 130.0, LeadState.SATURATED: 32767.0}
    for state, value in lost.items():
        gone = row.copy()
        gone[after:] = value
        assert 0 < told_after(gone, after / FS, state) <= 2.0


def test_clipped_peaks_are_saturated() -> None:
    """An input that clips at 3 mV loses its peaks; an ECG of 3 mV that does not clip is good."""
    t = np.arange(10 * FS) / FS
    clipped = np.clip(8000 * np.sin(2 * np.pi * 1.2 * t), -3000, 3000).astype(np.float32)
    assert LeadState.SATURATED in of_lead_two(clipped)[3:]
    assert set(of_lead_two(heart(10, uv=3000))) == {LeadState.GOOD}


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(lambda t, rng: rng.normal(0, 200, t.shape), id="muscle"),
        pytest.param(lambda t, _: 600 * np.sin(2 * np.pi * 50 * t), id="mains"),
        pytest.param(lambda t, _: 4000 * np.sin(2 * np.pi * 0.4 * t), id="wander"),
        pytest.param(lambda t, rng: np.repeat(rng.normal(0, 4000, len(t) // 200), 200), id="electrode motion"),
    ],
)
def test_noise_is_told_and_forgiven(noise) -> None:  # type: ignore[no-untyped-def]
    """Each kind of noise that hides beats is told, and the lead is good again within 3.5 s of its end."""
    t = np.arange(20 * FS) / FS
    row = heart(20) + np.where((t >= 5) & (t < 12), noise(t, np.random.default_rng(0)), 0).astype(np.float32)
    states = of_lead_two(row)
    assert set(states[:10]) == {LeadState.GOOD}
    assert set(states[14:23]) == {LeadState.NOISY}
    assert set(states[31:]) == {LeadState.GOOD}


def test_single_lost_chunks_are_no_lead_off() -> None:
    """A chunk of 0.2 s lost now and then is the network's fault, not an electrode's."""
    row = heart(20)
    for first in range(FS, 20 * FS, 2 * FS):
        row[first : first + FS // 5] = np.nan
    assert set(of_lead_two(row)) == {LeadState.GOOD}


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_cutting_and_restarting_change_nothing(data: st.DataObject, seed: int) -> None:
    """Any cutting of the stream, with a snapshot restored at any cut, yields the very same marks and the same state."""
    rng = np.random.default_rng(seed)
    n = 6 * FS
    samples = np.stack([heart(6, uv=float(rng.uniform(0, 4000)), seed=seed + lead) for lead in range(N_LEADS)])
    samples += rng.choice([0.0, 300.0, 9000.0], (N_LEADS, 1)) * np.sin(np.arange(n) / 150)
    samples = np.clip(samples, -5000, 5000).astype(np.float32)
    mask = np.repeat(rng.random((N_LEADS, n // 100)) < rng.choice([0.3, 0.9, 1.0]), 100, axis=1)
    whole = LeadQuality()
    expected = whole.push(samples, mask)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=12)))
    pieces = LeadQuality()
    found: list[QualityMark] = []
    for first, end in zip([0, *cuts], [*cuts, n], strict=True):
        found += pieces.push(samples[:, first:end], mask[:, first:end])
        if data.draw(st.booleans()):
            data_then, pieces = pieces.snapshot(), LeadQuality()
            pieces.restore(data_then)
    assert found == expected
    assert pieces.snapshot() == whole.snapshot()


def test_reset_begins_anew() -> None:
    """A new epoch knows nothing of the patient before."""
    used, samples_mask = LeadQuality(), on_leads(II=heart(7.3))
    used.push(*samples_mask)
    used.reset()
    assert used.snapshot() == LeadQuality().snapshot()
    assert used.push(*samples_mask) == LeadQuality().push(*samples_mask)


def test_wrong_shapes_and_foreign_snapshots_are_refused() -> None:
    """What is no input of ours is refused, quoting it, and not read as something else."""
    with pytest.raises(ValueError, match=r"got \(3, 50\)"):
        LeadQuality().push(np.zeros((3, 50), dtype=np.float32), np.ones((3, 50), dtype=bool))
    with pytest.raises(ValueError, match="snapshot of LeadQuality, got 3 bytes"):
        LeadQuality().restore(b"abc")


def test_usable_needs_one_good_lead() -> None:
    """One good lead is enough to judge rhythm; noisy, flat and absent ones are not."""
    assert usable((LeadState.NOISY, LeadState.GOOD, LeadState.OFF))
    assert not usable(tuple(state for state in LeadState if state is not LeadState.GOOD))
