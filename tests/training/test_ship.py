"""What goes into the model file: who calibrates it, who sets its thresholds, and whom its promises are judged by."""

from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ecg.synthetic import SyntheticPatient
from models.classes import AF, FINDINGS, RHYTHMS, SINUS
from models.features.minirocket_leads import fit_shared, shared_config
from models.inputs import PPV_PER_LEAD, RATE, SAMPLES, SECONDS
from models.network.config import NetworkConfig
from models.network.forward import Forward
from models.network.weights import load_model
from models.rhythm_network import RhythmNetwork
from stream.bed import BedConfig
from stream.offline import analyze_recording
from tests.training.random_cache import arrays
from wardbeat.training.cache import MINIROCKET
from wardbeat.training.config import TrainingConfig
from wardbeat.training.identity import drawn_by, stored
from wardbeat.training.sampler import CachedDataset, Split, Targets, load_cache, split_of, splits
from wardbeat.training.ship import Shipped, fitted, held, joined, rhythms, seconds_of, ship, where_both
from wardbeat.training.trainer import load_network, predict, train

TINY = NetworkConfig(d=16, narrow=4, wide=8, blocks=2, d_state=4, headdim=8, heads=2, joint_hidden=16)
SEED = 7
HELD = 30  # subjects of each split held out: enough for thresholds
WINDOWS = 4
Arrays = dict[str, Any]


def of_split(split: Split, n: int, prefix: str = "p") -> list[str]:
    """Names of the first ``n`` subjects whom the seed puts into ``split``."""
    names = (f"{prefix}{i}" for i in count())
    return list(islice((name for name in names if split_of(name, SEED) == split), n))


TRAIN, CALIBRATION, VALIDATION = (
    of_split(each, n) for each, n in ((Split.TRAIN, 20), (Split.CALIBRATION, HELD), (Split.VALIDATION, HELD))
)
LEFT_OUT = of_split(Split.CALIBRATION, 10, prefix="left")


class Workshop:
    """A finished run, and its cache, which may be changed after it."""

    def __init__(
        self, folder: Path, network: NetworkConfig = TINY, *, steps: int = 12, batch: int = 16, held: int = HELD
    ) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.cache.mkdir()
        subjects = [*TRAIN, *CALIBRATION[:held], *VALIDATION[:held]]
        self.arrays = {"one": arrays(subjects, WINDOWS, 1), "gone": arrays(LEFT_OUT, WINDOWS, 2)}
        rng = np.random.default_rng(0)
        signal = (rng.normal(size=(8, 12, SAMPLES)).cumsum(axis=2) * 3).clip(-303, 303).astype(np.int16)
        kernels = fit_shared(signal, np.ones(signal.shape, np.bool_), shared_config(RATE, PPV_PER_LEAD, 1.0))
        save_file(dict(kernels.arrays()), self.cache / MINIROCKET)
        self.write(self.arrays)
        self.config = TrainingConfig(
            cache=str(self.cache),
            run=str(folder / "run"),
            left_out=("gone",),
            seed=SEED,
            steps=steps,
            batch=batch,
            threads=1,
            ema=0.8,
            network=network,
        )
        self.run = train(self.config, report=[].append)

    def write(self, datasets: dict[str, Arrays]) -> None:
        for name, each in datasets.items():
            np.savez(self.cache / f"{name}.npz", **each | {"identity": stored(drawn_by(self.cache))})

    def shipped(self, name: str = "model", **changed: Arrays) -> Shipped:
        """What is shipped of the run where arrays of the cache are ``changed`` by then."""
        self.write({key: each | changed.get(key, {}) for key, each in self.arrays.items()})
        try:
            return ship(self.run, self.folder / f"{name}.safetensors")
        finally:
            self.write(self.arrays)

    def datasets(self) -> list[CachedDataset]:
        return load_cache(self.config)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One training of a second for all tests; none of them changes its run."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


def turned(one: Arrays, subjects: list[str]) -> Arrays:
    """Targets in which AF and sinus rhythm of these subjects have changed places."""
    of = np.isin(one["subject"], subjects)
    order = np.arange(len(RHYTHMS))
    order[[AF, SINUS]] = SINUS, AF
    out = {name: one[name].copy() for name in ("rhythm_target", "seconds_target")}
    for target in out.values():
        target[of] = target[of][..., order]
    return out


def forgotten(one: Arrays, subjects: list[str]) -> Arrays:
    """Targets in which nothing is known of these subjects."""
    of = np.isin(one["subject"], subjects)
    out = {name: one[name].copy() for name in ("rhythm_target", "seconds_target", "findings_target")}
    for target in out.values():
        target[of] = np.nan
    return out


@pytest.mark.parametrize(("of", "matters"), [(TRAIN, False), (CALIBRATION, True), (VALIDATION, True)])
def test_only_patients_held_out_calibrate(workshop: Workshop, of: list[str], matters: bool) -> None:
    """Whatever was known of training patients when the file is made, its calibration and thresholds stay; what is known
    of either half held out goes into them. A network is sure of those it learnt from: they would make it surer."""
    before = workshop.shipped().model
    after = workshop.shipped("turned", one=turned(workshop.arrays["one"], of)).model
    assert (before.sha256 != after.sha256) == matters
    assert np.array_equal(before.calibration.slope, after.calibration.slope) != matters
    assert np.array_equal(before.conformal.thresholds, after.conformal.thresholds) != matters


def test_patients_of_a_left_out_database_calibrate_nothing(workshop: Workshop) -> None:
    """Figures of a left-out database are of patients who went into nothing, not even into a threshold."""
    before = workshop.shipped()
    after = workshop.shipped("left", gone=turned(workshop.arrays["gone"], LEFT_OUT))
    assert before.model.sha256 == after.model.sha256
    assert (repr(before.coverage), before.reliability) == (repr(after.coverage), after.reliability)  # NaN is not NaN
    assert before.model.training["subjects"] == {
        "gone": {"left_out": len(LEFT_OUT)},
        "one": {"train": len(TRAIN), "validation": HELD, "calibration": HELD},
    }


def test_who_sets_a_threshold_is_not_who_it_is_judged_by(workshop: Workshop) -> None:
    """Coverage and reliability are sums over the judged patients alone: what half of them shows and what the other half
    shows is what all show. If any of them moved a threshold or a slope, the halves would be judged by others."""
    halves = VALIDATION[: HELD // 2], VALIDATION[HELD // 2 :]
    whole = workshop.shipped()
    parts = [workshop.shipped(f"half{i}", one=forgotten(workshop.arrays["one"], half)) for i, half in enumerate(halves)]
    for k in (AF, SINUS):
        one, two, all_ = (each.coverage[k] for each in (*parts, whole))
        assert (one.subjects, two.subjects, all_.subjects) == (HELD // 2, HELD // 2, HELD)
        assert all_.covered == pytest.approx((one.covered + two.covered) / 2)
        assert all_.size * all_.windows == pytest.approx(one.size * one.windows + two.size * two.windows)
        losses = [each.reliability[RHYTHMS[k]] for each in (*parts, whole)]
        sums = [each.log_loss * each.windows for each in losses]
        assert sums[2] == pytest.approx(sums[0] + sums[1], rel=1e-12)
    # It can tell: fitted on those who are judged, the same sum does not come out.
    other = held(load_network(workshop.run), workshop.datasets(), workshop.config, Split.VALIDATION)
    p = rhythms(fitted(other)[0], other)[:, AF]
    own = -np.log(np.where(other.target[:, AF] >= 0.5, p, 1 - p)).sum()
    assert abs(own - whole.reliability["af"].log_loss * whole.reliability["af"].windows) > 1e-3


@pytest.mark.parametrize("of", [Split.CALIBRATION, Split.VALIDATION])
def test_what_is_held_is_of_the_split_as_recorded(workshop: Workshop, of: Split) -> None:
    """All labelled windows of the split's patients, with what the network says of each; augmented ones are nobody's."""
    datasets = workshop.datasets()
    network = load_network(workshop.run)
    for dataset in datasets:
        dataset.augmented[::5] = True
    what = held(network, datasets, workshop.config, of)
    one = next(each for each in datasets if each.name == "one")
    rows = np.flatnonzero((splits(datasets, workshop.config)["one"] == of) & ~one.augmented)
    assert set(what.subject) <= set({Split.CALIBRATION: CALIBRATION, Split.VALIDATION: VALIDATION}[of])
    assert what.subject.tolist() == one.subject[rows].tolist()
    assert set(what.dataset) == {"one"}
    assert np.array_equal(what.predictions.pooled, predict(network, one, rows).pooled)
    expected = np.concatenate([one.rhythm_target[rows], one.findings_target[rows]], axis=1).astype(np.float64)
    assert np.array_equal(what.target, expected, equal_nan=True)
    assert what.seconds_target.shape == (len(rows), SECONDS, len(RHYTHMS))
    assert np.allclose(np.exp(what.pooled_log), what.predictions.pooled)


def test_a_split_without_labels_is_refused(workshop: Workshop) -> None:
    """Without patients to calibrate on there is no file, and it says which split of which cache is empty."""
    with pytest.raises(ValueError, match=r"cache: no labelled window of the split calibration"):
        workshop.shipped("none", one=forgotten(workshop.arrays["one"], CALIBRATION))
    assert not (workshop.folder / "none.safetensors").exists()


def test_the_file_holds_what_all_patients_held_out_say(workshop: Workshop) -> None:
    """Calibration and thresholds are those of both halves together, and the file names no place on this machine."""
    model = workshop.shipped().model
    parts = [
        held(load_network(workshop.run), workshop.datasets(), workshop.config, split)
        for split in (Split.CALIBRATION, Split.VALIDATION)
    ]
    calibration, conformal = fitted(joined(parts))
    assert np.array_equal(model.calibration.slope, calibration.slope)
    assert np.array_equal(model.calibration.offset, calibration.offset)
    assert np.array_equal(model.conformal.thresholds, conformal.thresholds)
    assert model.conformal.subjects[[AF, SINUS]].tolist() == [2 * HELD, 2 * HELD]
    assert not {"cache", "run", "teacher"} & set(model.training)


def test_a_shipped_file_judges_as_its_run(tmp_path: Path) -> None:
    """A ward without torch loads the file: it says of a window what the trained network says, and judges a patient."""
    small = Workshop(tmp_path, NetworkConfig(), steps=2, batch=4, held=2)
    shipped = small.shipped()
    model = load_model(tmp_path / "model.safetensors")
    assert model.name == shipped.model.name
    one = next(each for each in small.datasets() if each.name == "one")
    rows = np.arange(8)
    said = Forward(model.network, model.config)(one.batch(rows))
    assert np.allclose(np.exp(said.pooled_log), predict(small.run, one, rows).pooled, atol=1e-4)

    patient = SyntheticPatient("sinus(rate=70) 12s", 3).recording("patient")
    findings = analyze_recording(patient, BedConfig(network=RhythmNetwork(model))).findings
    judged = [finding for finding in findings if finding.model == model.name]
    assert judged
    for finding in judged:
        assert finding.prediction_set
        assert set(RHYTHMS) <= set(finding.probabilities)


def test_a_database_of_one_answer_calibrates_nothing() -> None:
    """Of AF chosen for it or without it: its share of AF is none that a ward could have. What it has both of stays."""
    target = np.zeros((6, 2))
    target[[0, 2, 3]] = [[1, 0], [1, 1], [1, 0]]
    target[5, 0] = np.nan
    dataset = np.array(["both", "both", "only", "only", "none", "none"])
    nan = np.nan
    assert np.array_equal(
        where_both(target, dataset),
        [[1, nan], [0, nan], [nan, 1], [nan, 0], [nan, nan], [nan, nan]],
        equal_nan=True,
    )
    seconds = np.zeros((4, 3, 2))
    seconds[0, 1, 0] = 1  # one second is enough
    out = where_both(seconds, np.array(["a", "a", "b", "b"]))
    assert np.array_equal(out[:2, :, 0], seconds[:2, :, 0])
    assert np.isnan(out[2:]).all()
    assert np.isnan(out[:, :, 1]).all()
    assert target[2, 0] == 1  # a copy: coverage counts these windows


def test_seconds_of_a_record_labelled_as_a_whole(make: Callable[..., Targets]) -> None:
    """What a whole window is, each of its seconds is; what it only is not, or is in part, its seconds do not say."""
    whole = make(rhythm=[1, 0, 0, np.nan, 0.5])
    assert np.array_equal(
        seconds_of(whole)[0], np.tile([1, np.nan, np.nan, np.nan, np.nan], (SECONDS, 1)), equal_nan=True
    )
    known = make(rhythm=[1, 0, 0, 0, 0], seconds=[0, 1, 0, 0, 0])
    assert np.array_equal(seconds_of(known)[0], np.tile([0.0, 1, 0, 0, 0], (SECONDS, 1)))


@pytest.fixture
def make() -> Callable[..., Targets]:
    """Targets of one window."""

    def of(rhythm: list[float], seconds: list[float] | None = None) -> Targets:
        each = np.full(len(RHYTHMS), np.nan) if seconds is None else np.array(seconds)
        return Targets(
            seconds=np.tile(each, (1, SECONDS, 1)).astype(np.float32),
            rhythm=np.array([rhythm], np.float32),
            findings=np.full((1, len(FINDINGS)), np.nan, np.float32),
            teacher=np.full(1, np.nan, np.float32),
        )

    return of
