"""The draw of training windows, and the splits of subjects."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from models.classes import AF, FINDINGS, NOISE, SINUS
from models.inputs import N_RR, N_RR_SPAN, PULSE_NAMES
from models.network.batch import Batch
from tests.training.random_cache import arrays, write
from wardbeat.training.config import DropoutConfig, TrainingConfig
from wardbeat.training.identity import drawn_by, stored
from wardbeat.training.sampler import (
    CLASSES,
    Sampler,
    Split,
    Targets,
    drop_streams,
    load,
    load_cache,
    probabilities,
    split_of,
    splits,
)

SUBJECTS = [f"p{i}" for i in range(40)]
NOTHING = DropoutConfig(signal=0, rhythm=0, atrial=0, minirocket=0, context=0, leads=0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources that share four subjects, and a set of one long record."""
    folder = tmp_path_factory.mktemp("cache")
    write(folder, "afpdb_p", SUBJECTS[:8], 4, seed=1)
    write(folder, "cinc2017", SUBJECTS[4:], 4, seed=2)
    return write(folder, "mitdb", ["long", "short"], 30, seed=3)


def same(one: Batch | Targets, other: Batch | Targets) -> bool:
    """Equal in every array."""
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=True) for f in fields(one))


def test_a_step_is_drawn_alike_whenever_it_is_drawn(cache: Path) -> None:
    """A resumed run must see the batches that it would have seen; another step or seed must see others."""
    config = TrainingConfig(cache=str(cache), run="-", batch=16)
    datasets = load_cache(config)
    one, two = Sampler(datasets, config, {}), Sampler(datasets, config, {})
    two.draw(4)
    for a, b in zip(one.draw(5), two.draw(5), strict=True):
        assert same(a, b)
    other = Sampler(datasets, replace(config, seed=8), {})
    for draw in (Sampler.plain, Sampler.draw):
        assert not same(draw(one, 5)[0], draw(one, 6)[0])
        assert not same(draw(one, 5)[0], draw(other, 5)[0])
    plain = one.plain(5)
    lost = [drop_streams(*plain, config.dropout, np.random.default_rng((config.seed, step, 1)))[0] for step in (5, 6)]
    assert same(lost[0], one.draw(5)[0])
    assert not same(*lost)


def test_a_left_out_subject_is_nowhere(cache: Path) -> None:
    """Zero-shot means that no subject of the left-out source is trained or tuned on, in whatever set it occurs."""
    config = TrainingConfig(cache=str(cache), run="-", left_out=("afpdb",), datasets=("cinc2017",))
    with pytest.raises(ValueError, match="'afdb'"):
        load_cache(replace(config, left_out=("afdb",)))
    datasets = load_cache(config)
    split = splits(datasets, config)
    assert set(split["afpdb_p"]) == {Split.LEFT_OUT}
    by_name = {d.name: d for d in datasets}
    shared = np.isin(by_name["cinc2017"].subject, SUBJECTS[:8])
    assert shared.any()
    assert np.array_equal(split["cinc2017"] == Split.LEFT_OUT, shared)
    sampler = Sampler(datasets, config, {})
    drawn = {str(s) for step in range(20) for d, rows in sampler.rows(step) for s in d.subject[rows]}
    assert drawn
    assert not drawn & set(SUBJECTS[:8])


def test_a_group_is_no_dataset(cache: Path) -> None:
    """A group of which the cache has a part must not be a dataset that is silently not drawn, or drawn unweighted."""
    config = TrainingConfig(cache=str(cache), run="-")
    for change in ({"datasets": ("afpdb", "cinc2017")}, {"dataset_weights": {"afpdb": 6.0}}):
        with pytest.raises(ValueError, match=r"no dataset 'afpdb' .*a group: name afpdb_p, afpdb_n, afdb_rr, nsrdb_rr"):
            load_cache(replace(config, **change))
    assert [d.name for d in load_cache(replace(config, datasets=("mitdb",)))] == ["mitdb"]  # a group and a dataset


def test_datasets_of_different_code_are_refused(tmp_path: Path) -> None:
    """Half a cache with the labels of yesterday would be learnt with the other half."""
    write(tmp_path, "one", SUBJECTS[:4], 2)
    now = drawn_by(tmp_path)
    write(tmp_path, "two", SUBJECTS[4:8], 2, identity=stored({**now, "code": "yesterday"}))
    with pytest.raises(ValueError, match=rf"one was drawn by .*{now['code']}.*, two by .*yesterday"):
        load_cache(TrainingConfig(cache=str(tmp_path), run="-"))
    write(tmp_path, "two", SUBJECTS[4:8], 2, identity=stored({**now, "features": "others"}))
    with pytest.raises(ValueError, match=r"two.npz was drawn by .*others.*; this code and folder have .*114 RR"):
        load(tmp_path / "two.npz")


def test_splits_are_by_subject(cache: Path) -> None:
    """No subject may be trained on in one set and validated on in another; 15 % are held out, half for calibration."""
    config = TrainingConfig(cache=str(cache), run="-")
    datasets = load_cache(config)
    split = splits(datasets, config)
    of: dict[str, set[str]] = {}
    for dataset in datasets:
        for subject, s in zip(dataset.subject, split[dataset.name], strict=True):
            of.setdefault(str(subject), set()).add(str(s))
    assert all(len(each) == 1 for each in of.values())
    many = [split_of(f"s{i}", 1) for i in range(4000)]
    assert many.count(Split.VALIDATION) == pytest.approx(300, abs=60)
    assert many.count(Split.CALIBRATION) == pytest.approx(300, abs=60)
    assert many != [split_of(f"s{i}", 2) for i in range(4000)]


def test_subjects_count_alike_and_classes_as_asked(cache: Path) -> None:
    """A long record must not drown the others, nor the common class the rare one."""
    n = np.array([30, 3, 3, 3])  # windows of each subject, the last one alone has AF
    subject = np.repeat(["a", "b", "c", "d"], n)
    plain = arrays(["x"], int(n.sum()))
    rhythm = np.zeros((n.sum(), 5), np.float16)
    rhythm[:, SINUS] = 1
    rhythm[subject == "d"] = np.eye(5, dtype=np.float16)[AF]
    np.savez(cache.parent / "some.npz", **{**plain, "subject": subject, "rhythm_target": rhythm})
    dataset = load(cache.parent / "some.npz")
    train = subject != "none"
    for balance, af in ((1.0, 1 / 2), (0.0, 1 / 4)):
        p = probabilities(dataset, train, balance)
        share = {s: p[subject == s].sum() for s in "abcd"}
        assert share["a"] == pytest.approx(share["b"])
        assert share["d"] == pytest.approx(af)
    assert probabilities(dataset, subject != "a", 1.0)[subject == "a"].sum() == 0


def test_a_weight_of_0_leaves_a_dataset_undrawn(cache: Path) -> None:
    """The weights of datasets must be obeyed; without one, the root of the subjects."""
    config = TrainingConfig(cache=str(cache), run="-", dataset_weights={"mitdb": 0.0, "cinc2017": 1.0})
    weights = Sampler(load_cache(config), config, {}).weights()
    assert set(weights) == {"afpdb_p", "cinc2017"}
    trained = sum(split_of(s, config.seed) == Split.TRAIN for s in SUBJECTS[:8])
    assert weights["afpdb_p"] / weights["cinc2017"] == pytest.approx(trained**0.5)


def test_windows_of_which_nothing_is_known_are_not_drawn(tmp_path: Path) -> None:
    """A step must not be spent on windows that teach nothing."""
    plain = arrays(SUBJECTS, 2)
    for name in ("seconds_target", "rhythm_target", "findings_target"):
        plain[name][::2] = np.nan
    np.savez(tmp_path / "half.npz", **plain)
    config = TrainingConfig(cache=str(tmp_path), run="-")
    sampler = Sampler(load_cache(config), config, {})
    assert all((rows % 2 == 1).all() for step in range(5) for _, rows in sampler.rows(step))


def test_a_batch_holds_what_the_cache_holds(cache: Path) -> None:
    """Rows of packed leads must come back to their window and lead."""
    dataset = load(cache / "cinc2017.npz")
    rows = np.array([7, 3])
    batch = dataset.batch(rows)
    for i, row in enumerate(rows):
        known = slice(dataset.start[row], dataset.start[row + 1])
        assert np.array_equal(np.flatnonzero(batch.leads[i]), dataset.lead[known])
        assert np.array_equal(batch.signal[i][batch.leads[i]], dataset.signal[known])
        assert np.array_equal(batch.ppv[i][batch.leads[i]], dataset.ppv[known].astype(np.float32))
        assert not batch.signal[i][~batch.leads[i]].any()
    assert np.array_equal(batch.context, dataset.context[rows], equal_nan=True)


def test_the_widest_original_window_stands_for_its_lead_sets(tmp_path: Path) -> None:
    """Evaluation must count each window once, neither its narrower variants nor augmented ones."""
    plain = arrays(["a"], 6, seed=1)
    record, end = np.array(["r", "r", "r", "r", "q", "q"]), np.array([10.0, 10.0, 20.0, 20.0, 10.0, 10.0])
    augmented = np.array([False, False, False, True, True, False])
    np.savez(tmp_path / "x.npz", **{**plain, "record": record, "end_s": end, "augmented": augmented})
    dataset = load(tmp_path / "x.npz")
    count = np.diff(dataset.start)
    assert count[0] != count[1]
    assert list(np.flatnonzero(dataset.widest())) == [int(count[1] > count[0]), 2, 5]


def test_classes_are_what_occurs(cache: Path) -> None:
    """AF counts before sinus rhythm where both occur; unknown is a class."""
    dataset = load(cache / "mitdb.npz")
    rhythm = dataset.rhythm_target.copy()
    rhythm[0] = [1, np.nan, 1, 0, np.nan]
    rhythm[1] = np.nan
    rhythm[3] = [0, 0, 1, 0, 1]
    classes = replace(dataset, rhythm_target=rhythm).classes()
    assert [CLASSES[c] for c in classes[[0, 1, 3, 5]]] == ["af", "unknown", "noise", "sinus"]


@pytest.mark.parametrize("stream", [f.name for f in fields(DropoutConfig)])
def test_a_dropped_stream_is_gone_and_the_others_stay(cache: Path, stream: str) -> None:
    """Each stream must really be taken away, and it alone, or the network leans on what it will not have."""
    config = TrainingConfig(cache=str(cache), run="-", batch=64)
    batch, targets = Sampler(load_cache(config), config, {}).plain(0)
    before = replace(batch, signal=batch.signal.copy())
    rng = np.random.default_rng(0)
    after, asked = drop_streams(batch, targets, replace(NOTHING, **{stream: 1.0}), rng)
    assert same(batch, before), "the cache's own arrays must not be changed"
    many = batch.leads.sum(1) > 1
    changed = {
        "signal": {"signal", "leads", "ppv", "shape", "atrial", "pulse", "context"},
        "rhythm": {"rr", "shape", "atrial", "pulse", "context", "context_age_s"},
        "atrial": {"atrial"},
        "minirocket": {"ppv"},
        "context": {"context", "context_age_s"},
        "leads": {"signal", "leads", "ppv", "shape", "atrial", "pulse", "context"},
    }[stream]
    for f in fields(Batch):
        equal = np.array_equal(getattr(after, f.name), getattr(batch, f.name), equal_nan=True)
        assert equal == (f.name not in changed), f.name
    if stream == "signal":
        assert not after.leads.any()
        assert not after.signal.any()
        assert np.isnan(after.context[:, :, N_RR_SPAN:]).all()
        assert np.isfinite(after.context[:, 0, :N_RR_SPAN]).all()
        assert np.isnan(asked.findings[:, FINDINGS.index("lbbb")]).all()
        assert np.isfinite(asked.findings[:, FINDINGS.index("tachy")]).any()
    if stream == "rhythm":
        assert np.isnan(after.rr).all()
        assert not after.pulse.any()
    if stream == "leads":
        assert np.all(after.leads[many].sum(1) < batch.leads[many].sum(1))
        assert after.leads[many].sum(1).min() >= 1
        assert after.leads.sum(1).max() <= 3
        assert not after.signal[~after.leads].any()
        assert np.isnan(after.shape[many]).all()
        assert np.isnan(after.atrial[many]).all()
        assert np.isnan(after.context[many, :, N_RR_SPAN:]).all()
        assert np.isfinite(after.context[many, 0, :N_RR_SPAN]).all()
        assert not after.pulse[many, :, PULSE_NAMES.index("dominant_shape")].any()
        assert np.array_equal(after.shape[~many], batch.shape[~many])
    assert same(replace(asked, findings=targets.findings), targets)


def test_noise_keeps_its_signal(cache: Path) -> None:
    """Noise cannot be seen in RR intervals, so the network must not be asked to."""
    config = TrainingConfig(cache=str(cache), run="-", batch=64)
    batch, targets = Sampler(load_cache(config), config, {}).plain(0)
    targets.rhythm[:5] = np.eye(5, dtype=np.float32)[NOISE]
    after, _ = drop_streams(batch, targets, replace(NOTHING, signal=1.0), np.random.default_rng(0))
    assert np.array_equal(after.leads[:5], batch.leads[:5])
    assert not after.leads[5:].any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rr": np.zeros((3, N_RR), np.float32)}, "rr has 3 windows, start 4"),
        ({"rr": np.zeros((4, 111), np.float32)}, rf"rr is \(111,\) in each window or lead; expected \({N_RR},\)"),
        ({"signal": np.zeros((3, 500), np.int16)}, r"signal is \(500,\)"),
        ({"record": np.zeros((4, 2), "U1")}, r"record is \(2,\).*expected \(\)"),
        ({"lead": np.zeros(2, np.uint8)}, "lead has 2 rows"),
        ({"start": np.array([0, 5, 2, 6, 7])}, "signal|ascend"),
    ],
)
def test_a_damaged_cache_is_refused(tmp_path: Path, change: dict[str, np.ndarray], said: str) -> None:
    """Arrays that contradict each other would mix up windows and labels."""
    write(tmp_path, "x", ["a"], 4, **change)
    with pytest.raises(ValueError, match=said):
        load(tmp_path / "x.npz")


def test_a_cache_that_lacks_an_array_is_refused(tmp_path: Path) -> None:
    """An older cache must not be read as if it were whole."""
    plain = arrays(["a"], 2)
    del plain["atrial"]
    np.savez(tmp_path / "x.npz", **plain)
    with pytest.raises(ValueError, match="lacks atrial"):
        load(tmp_path / "x.npz")
