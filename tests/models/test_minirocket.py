"""MiniRocket: hop by hop as in whole windows, against its definition, and against sktime."""

import functools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sktime.transformations.rocket import MiniRocketMultivariate

from ecg.leads import N_LEADS
from models.features.minirocket import LIMIT, fit, transform
from models.features.minirocket_kernels import N_KERNELS, TWOS
from models.features.minirocket_parameters import MiniRocketConfig, MiniRocketParameters, alternating
from models.features.minirocket_stream import MiniRocketStream

Samples = npt.NDArray[np.int16]
SMALL = MiniRocketConfig(rate=100, window_s=2, features=6 * N_KERNELS, seed=4)


def signal(shape: tuple[int, ...], seed: int = 1) -> Samples:
    """A wandering, noisy signal that reaches both limits."""
    rng = np.random.default_rng(seed)
    walk = 200 * np.sin(np.cumsum(rng.normal(0, 0.3, shape), axis=-1)) + rng.normal(0, 60, shape)
    return np.clip(np.rint(walk), -LIMIT, LIMIT).astype(np.int16)


def all_real(samples: Samples) -> npt.NDArray[np.bool_]:
    """A mask of nothing missing."""
    return np.ones(samples.shape, dtype=np.bool_)


@functools.cache
def fitted(config: MiniRocketConfig) -> MiniRocketParameters:
    """Parameters fitted on some of :func:`signal`."""
    windows = signal((5, N_LEADS, 2 * config.window), seed=2)
    return fit(windows, all_real(windows), config)


def from_sktime(reference: MiniRocketMultivariate, window: int) -> MiniRocketParameters:
    """What ``sktime`` fitted on integer samples: there C > b exactly if C > ⌊b⌋."""
    counts, leads, dilations, per_dilation, biases = reference.parameters
    return MiniRocketParameters(
        geometry=np.array([500, window], dtype=np.int32),
        dilations=dilations.astype(np.int32),
        per_dilation=per_dilation.astype(np.int32),
        lead_counts=counts.astype(np.int32),
        leads=leads.astype(np.int32),
        padded=alternating(len(dilations)),
        biases=np.floor(biases).astype(np.int16),
    )


@settings(max_examples=40, deadline=None)
@given(
    hop=st.sampled_from([10, 25, 40, 50, 100, 200]),
    use_history=st.booleans(),
    most_leads=st.sampled_from([1, 9]),
    missing=st.sets(st.integers(0, 11), max_size=12),
    gaps=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 590), st.integers(1, 300)), max_size=6),
    seed=st.integers(0, 99),
)
def test_hop_by_hop_equals_whole_windows(
    hop: int,
    use_history: bool,
    most_leads: int,
    missing: set[int],
    gaps: list[tuple[int, int, int]],
    seed: int,
) -> None:
    """Trained on whole windows, run hop by hop: one bit apart and the shipped numbers would not be the ward's."""
    parameters = fitted(
        MiniRocketConfig(
            rate=100, window_s=2, features=6 * N_KERNELS, use_history=use_history, most_leads=most_leads, seed=seed % 3
        )
    )
    x = signal((N_LEADS, 600), seed)
    mask = all_real(x)
    mask[list(missing)] = False
    for lead, first, length in gaps:
        mask[lead, first : first + length] = False
    stream = MiniRocketStream(parameters, hop / 100)
    for end in range(hop, 600 + 1, hop):
        stream.push(x[:, end - hop : end], mask[:, end - hop : end])
        if end >= parameters.window:
            expected, known = transform(x[None, :, :end], mask[None, :, :end], parameters)
            got, got_known = stream.features()
            np.testing.assert_array_equal(got, expected[0])
            np.testing.assert_array_equal(got_known, known[0])


@pytest.mark.parametrize("use_history", [True, False])
@pytest.mark.parametrize("given_samples", [100, 200, 250, 600])
def test_refilled_stream_goes_on_as_the_first_would(use_history: bool, given_samples: int) -> None:
    """After a crash the log's last samples are all there is; the features must be those of the worker that died."""
    parameters = fitted(MiniRocketConfig(rate=100, window_s=2, features=6 * N_KERNELS, use_history=use_history))
    enough = parameters.window + parameters.history
    x = signal((N_LEADS, 900), 5)
    mask = all_real(x)
    mask[3, 420:560] = False
    first = 600 - given_samples if given_samples < enough else 0
    stream, refilled = MiniRocketStream(parameters, 0.5), MiniRocketStream(parameters, 0.5)
    stream.push(x[:, first:600], mask[:, first:600])
    newest = slice(max(first, 600 - enough), 600)
    refilled.push(x[:, :300], mask[:, :300])
    refilled.refill(x[:, newest], mask[:, newest])
    for at in range(600, 900, 50):
        for ours, theirs in zip(stream.features(), refilled.features(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for each in (stream, refilled):
            each.push(x[:, at : at + 50], mask[:, at : at + 50])


def test_equals_the_definition() -> None:
    """Both forms could share one mistake; the definition, written with plain integers, shares no code with them."""
    parameters = fitted(SMALL)
    x = signal((N_LEADS, 500), 7)
    got, _ = transform(x[None], all_real(x)[None], parameters)
    for f in range(0, parameters.features, 7):
        m = parameters.combination[f]
        d, offset = int(parameters.dilations[m // N_KERNELS]), int(parameters.offsets[m])
        weights = np.full(9, -1)
        weights[TWOS[m % N_KERNELS]] = 2
        leads = parameters.leads[parameters.starts[m] : parameters.starts[m + 1]]
        total = x[leads].astype(int).sum(axis=0)
        positions = range(500 - parameters.window + offset, 500)
        positive = [
            sum(w * total[e - (8 - i) * d] for i, w in enumerate(weights)) > parameters.biases[f] for e in positions
        ]
        assert got[0, f] == np.float32(sum(positive)) / np.float32(len(positions)), f


def test_extreme_samples_do_not_wrap() -> None:
    """Nine leads at ±303 in phase with the weights: the largest sums there can be still compare right."""
    blank = fitted(MiniRocketConfig(rate=100, window_s=2, features=N_KERNELS))
    for kernel, sign in ((1, 1), (40, 1), (83, 1), (0, -1), (41, -1)):
        just_below_most = np.full(N_KERNELS, 32723 if sign > 0 else -32724, dtype=np.int16)
        nine = MiniRocketParameters.from_arrays(
            blank.arrays()
            | {
                "lead_counts": np.full(N_KERNELS, 9, dtype=np.int32),
                "leads": np.tile(np.arange(9, dtype=np.int32), N_KERNELS),
                "biases": just_below_most,
            }
        )
        x = np.zeros((1, N_LEADS, nine.window), dtype=np.int16)
        x[0, :, 100:109] = -LIMIT * sign
        x[0, :, 100 + TWOS[kernel]] = LIMIT * sign
        ppv, _ = transform(x, all_real(x), nine)
        expected = np.zeros(N_KERNELS) if sign > 0 else nine.positions.astype(float)
        expected[kernel] += sign  # ±32724 is reached once, by this kernel
        np.testing.assert_array_equal(np.rint(ppv[0] * nine.positions), expected)


@pytest.mark.parametrize("most_dilations", [4, 32])
def test_every_feature_equals_sktimes(most_dilations: int) -> None:
    """Canonical MiniRocket is claimed: with sktime's own parameters and padding, each count is sktime's."""
    train, x = signal((6, N_LEADS, 500), 8), signal((4, N_LEADS, 500), 9)
    reference = MiniRocketMultivariate(num_kernels=1000, max_dilations_per_kernel=most_dilations, random_state=3)
    reference.fit(train.astype(np.float32))
    expected = reference.transform(x.astype(np.float32)).to_numpy()
    parameters = from_sktime(reference, 500)
    got, known = transform(x, all_real(x), parameters, padding="zeros")
    assert known.all()
    assert got.shape == expected.shape == (4, 924)
    np.testing.assert_array_equal(np.rint(got * parameters.positions), np.rint(expected * parameters.positions))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


def test_unpadded_half_is_sktimes_in_the_stream() -> None:
    """Half of the features do not look beyond the window: there the ward's hop-by-hop form is sktime's, no less."""
    x = signal((3, N_LEADS, 1000), 10)
    reference = MiniRocketMultivariate(num_kernels=1000, random_state=5)
    reference.fit(x[..., 500:].astype(np.float32))
    expected = reference.transform(x[..., 500:].astype(np.float32)).to_numpy()
    parameters = from_sktime(reference, 500)
    unpadded = parameters.padded[parameters.combination] == 0
    assert 0.4 < unpadded.mean() < 0.6
    for window, wanted in zip(x, expected, strict=True):
        stream = MiniRocketStream(parameters, 0.1)
        stream.push(window, all_real(window))
        np.testing.assert_allclose(stream.features()[0][unpadded], wanted[unpadded], rtol=0, atol=1e-6)


def test_dilations_are_sktimes() -> None:
    """The spread of receptive fields is part of the method."""
    train = signal((2, N_LEADS, 700), 8)
    for features in (84, 500, 2000, 10_000):
        reference = MiniRocketMultivariate(num_kernels=features, random_state=3).fit(train.astype(np.float32))
        _, _, dilations, per_dilation, _ = reference.parameters
        ours = fit(train, all_real(train), MiniRocketConfig(rate=100, window_s=7, features=features))
        np.testing.assert_array_equal(ours.dilations, dilations)
        np.testing.assert_array_equal(ours.per_dilation, per_dilation)


def test_biases_are_the_quantiles_of_the_training_window() -> None:
    """On the one window fitted on, a bias at quantile q is exceeded by a proportion 1 − q, each feature by its own."""
    x = signal((1, N_LEADS, 2 * SMALL.window), 11)
    parameters = fit(x, all_real(x), SMALL)
    ppv, _ = transform(x, all_real(x), parameters)
    quantiles = (np.arange(1, parameters.features + 1) * (5**0.5 + 1) / 2) % 1
    # Between two neighbouring positions, and a few more where they tie.
    np.testing.assert_array_less(np.abs(ppv[0] - (1 - quantiles)), 1.01 / parameters.positions + 0.015)


def test_short_reach_needs_little_history_and_none_if_told_so() -> None:
    """A 10 s recording has no history: with ``use_history`` off, its features must be those of the ward."""
    short = fitted(MiniRocketConfig(rate=100, window_s=2, features=6 * N_KERNELS, reach_s=0.5))
    assert short.reach.max() < 50
    none = fitted(MiniRocketConfig(rate=100, window_s=2, features=6 * N_KERNELS, use_history=False))
    assert none.history == 0
    x = signal((1, N_LEADS, 400), 12)
    with_past, _ = transform(x, all_real(x), none)
    without, _ = transform(x[..., 200:], all_real(x[..., 200:]), none)
    np.testing.assert_array_equal(with_past, without)


def test_missing_leads_add_nothing_and_their_features_are_not_known() -> None:
    """A telemetry pack of two leads: what stands in the other rows must not leak in, nor be taken for a measurement."""
    parameters = fitted(SMALL)
    x = signal((1, N_LEADS, 400), 13)
    mask = all_real(x)
    mask[:, 2:] = False
    junk = x.copy()
    junk[:, 2:] = LIMIT
    got, known = transform(x, mask, parameters)
    np.testing.assert_array_equal(transform(junk, mask, parameters)[0], got)
    for f in range(parameters.features):
        m = parameters.combination[f]
        leads = parameters.leads[parameters.starts[m] : parameters.starts[m + 1]]
        assert known[0, f] == (leads < 2).any()
    assert not got[~known].any()
    assert 0 < known.mean() < 1


def test_a_lead_is_known_from_half_a_window_on() -> None:
    """One sample more or less decides, and only within the window: history does not make a lead known."""
    parameters = fitted(MiniRocketConfig(rate=100, window_s=2, features=6 * N_KERNELS, most_leads=1))
    x = signal((2, N_LEADS, 400), 14)
    mask = all_real(x)
    mask[0, 0, 200:300] = False
    mask[1, 0, 200:301] = False
    _, known = transform(x, mask, parameters)
    of_lead_i = parameters.leads[parameters.combination] == 0
    assert known[0].all()
    np.testing.assert_array_equal(known[1], ~of_lead_i)


def test_same_seed_same_parameters_and_they_survive_storing() -> None:
    """The hash of the weights names the model: fitting again, or storing, may not change a bit."""
    one, two = fitted.__wrapped__(SMALL), fitted.__wrapped__(SMALL)  # not the one that is remembered
    assert MiniRocketParameters.from_arrays(one.arrays()).features == 6 * N_KERNELS
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, two.arrays()[name])
        assert array.flags.c_contiguous
    other = fitted(MiniRocketConfig(rate=100, window_s=2, features=6 * N_KERNELS, seed=5))
    assert not np.array_equal(one.biases, other.biases)


def test_parameters_that_contradict_each_other_are_refused() -> None:
    """The kernels index without looking: an altered file must not reach them."""
    arrays = fitted(SMALL).arrays()
    bad = arrays["leads"].copy()
    bad[0] = 12
    with pytest.raises(ValueError, match="leads"):
        MiniRocketParameters.from_arrays(arrays | {"leads": bad})
    too_far = np.full(arrays["dilations"].shape, 4001, dtype=np.int32)
    with pytest.raises(ValueError, match=r"dilations: .*\b4001\b"):
        MiniRocketParameters.from_arrays(arrays | {"dilations": too_far})
    with pytest.raises(ValueError, match="expected lengths"):
        MiniRocketParameters.from_arrays(arrays | {"biases": arrays["biases"][1:]})
    with pytest.raises(ValueError, match="float"):
        MiniRocketParameters.from_arrays(arrays | {"biases": arrays["biases"].astype(np.float32)})
    with pytest.raises(ValueError, match="expected \\["):
        MiniRocketParameters.from_arrays({name: a for name, a in arrays.items() if name != "padded"})


def test_wrong_input_is_refused() -> None:
    """Beyond ±303 the sums would wrap unseen; a wrong hop or shape would count other seconds."""
    parameters = fitted(SMALL)
    x = signal((N_LEADS, 200))
    with pytest.raises(ValueError, match="304"):
        transform(np.full((1, N_LEADS, 200), 304, dtype=np.int16), all_real(x)[None], parameters)
    with pytest.raises(ValueError, match="at least 200"):
        transform(x[None, :, :199], all_real(x)[None, :, :199], parameters)
    with pytest.raises(ValueError, match=r"hop_s.*0\.3"):
        MiniRocketStream(parameters, 0.3)
    with pytest.raises(ValueError, match="multiple of 100"):
        MiniRocketStream(parameters).push(x[:, :50], all_real(x[:, :50]))
    with pytest.raises(ValueError, match="float32"):
        MiniRocketStream(parameters).push(x.astype(np.float32), all_real(x))
    with pytest.raises(ValueError, match="none of 5 knows"):
        fit(signal((5, N_LEADS, 200)), np.zeros((5, N_LEADS, 200), dtype=np.bool_), SMALL)
    for wrong in ({"rate": 300}, {"most_leads": 10}, {"features": 83}, {"reach_s": 11.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MiniRocketConfig(**wrong)
