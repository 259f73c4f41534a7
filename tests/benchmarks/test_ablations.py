"""The ablations: every variant trains and is judged, none twice, and differences are between the same patients."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ablations import __main__ as command
from benchmarks.ablations.harness import Row, fold_config, load_variant, run_fold, write
from benchmarks.ablations.judging import Scores, differences, figures, looks_of, packed, scores_of, unpacked
from benchmarks.ablations.variants import REFERENCE, VARIANTS, Variant, chosen
from models.classes import AF, NOISE, OUTPUTS
from models.inputs import N_RR, N_RR_SPAN
from models.network.config import NetworkConfig
from models.network.torch_network import parameter_count
from tests.benchmarks.conftest import LEFT_OUT
from wardbeat.training.config import TrainingConfig
from wardbeat.training.sampler import load
from wardbeat.training.trainer import WEIGHTS, predict


def rows_of(base: TrainingConfig, out: Path, variants: tuple[Variant, ...], said: list[str]) -> list[Row]:
    """One fold of seconds."""
    return run_fold(base, out, LEFT_OUT, variants, trees=5, draws=20, report=said.append)


def test_each_variant_trains_and_has_a_row_and_none_is_trained_twice(base: TrainingConfig, tmp_path: Path) -> None:
    """A variant that cannot be built would be missed after an hour; one trained again would cost that hour twice."""
    said: list[str] = []
    rows = rows_of(base, tmp_path, VARIANTS, said)
    assert [row["name"] for row in rows] == [variant.name for variant in VARIANTS]
    for row in rows:
        assert (row["dataset"], row["leads"], row["unit"], row["windows"]) == ("cinc2017", "own", "record", 24)
        assert row["auroc"] is not None
        assert (row["difference"] is None) == (row["name"] == REFERENCE)
        assert (row["parameters"] is None) == row["name"].startswith("trees")
    write(tmp_path, rows, base)
    lines = (tmp_path / "ablations.md").read_text().splitlines()
    for variant in VARIANTS:
        assert sum(f"{variant.name}" in line and variant.about in line for line in lines) >= 2
    weights = tmp_path / "cinc2017" / REFERENCE / WEIGHTS
    written = weights.stat().st_mtime_ns
    said.clear()
    assert rows_of(base, tmp_path, VARIANTS, said) == rows
    assert weights.stat().st_mtime_ns == written
    assert not [line for line in said if line.startswith("==")]
    with pytest.raises(ValueError, match="differs in steps"):
        rows_of(replace(base, steps=3), tmp_path, chosen(["full"]), said)
    with pytest.raises(ValueError, match="differs in trees"):
        run_fold(base, tmp_path, LEFT_OUT, chosen(["trees_rr"]), trees=6, report=said.append)


def test_all_networks_but_one_learn_from_one_teacher(base: TrainingConfig, tmp_path: Path) -> None:
    """A part that looks useless because another run was taught would be taken out; each seed has its own teacher."""
    configs = {variant.name: fold_config(base, tmp_path, LEFT_OUT, variant) for variant in VARIANTS}
    alone = {name for name, config in configs.items() if config.loss.distillation == 0}
    assert alone == {"no_teacher", "trees_rr", "trees_features", "trees_context"}
    assert {configs[name].teacher for name in alone} == {None}
    again = configs["full_again"].teacher
    assert {config.teacher for name, config in configs.items() if name not in alone} == {configs["full"].teacher, again}
    assert again != configs["full"].teacher


def test_a_variant_that_was_cut_off_goes_on(base: TrainingConfig, tmp_path: Path) -> None:
    """Judged weights must be those that were trained; a variant without its mark of the end is not finished."""
    said: list[str] = []
    first = rows_of(base, tmp_path, chosen(["resnet"]), said)
    (tmp_path / "cinc2017" / "resnet" / "finished.json").unlink()
    said.clear()
    again = rows_of(base, tmp_path, chosen(["resnet"]), said)
    assert [line for line in said if line.startswith("==")]
    assert "goes on at step 2" in said
    assert again == first


@pytest.mark.parametrize("name", ["resnet", "resnet_alone", "window_alone"])
def test_the_networks_of_the_benchmark_come_back_from_their_files(
    name: str, base: TrainingConfig, cache: Path, tmp_path: Path
) -> None:
    """And see what they are said to see: a network of a window alone must not peek at the 60 s before."""
    rows_of(base, tmp_path, chosen([name]), [])
    network = load_variant(chosen([name])[0], tmp_path / "cinc2017" / name)
    dataset = load(cache / "cinc2017.npz")
    rows = np.arange(6)
    p = predict(network, dataset, rows).pooled
    longer = replace(dataset, rr=dataset.rr + np.where(np.arange(N_RR) < N_RR_SPAN, 0, 3).astype(np.float32))
    now = replace(dataset, rr=dataset.rr + np.where(np.arange(N_RR) < N_RR_SPAN, 3, 0).astype(np.float32))
    louder = replace(dataset, signal=(2 * dataset.signal).astype(np.int16))
    assert np.array_equal(p, predict(network, longer, rows).pooled) == (name != "resnet")
    assert np.array_equal(p, predict(network, now, rows).pooled) == (name == "resnet_alone")
    assert not np.array_equal(p, predict(network, louder, rows).pooled)


def test_rivals_are_of_equal_size() -> None:
    """A rival that has fewer weights loses for that alone."""
    size = {
        variant.name: parameter_count(variant.kind(variant.network(NetworkConfig()), normed=True))
        for variant in chosen(["full", "causal", "tcn", "resnet", "resnet_alone"])
    }
    for name, count in size.items():
        assert abs(count / size["full"] - 1) < 0.1, name


def test_a_record_counts_once_and_copies_do_not(cache: Path) -> None:
    """The mean of its windows, as recorded, against its label; a window that nobody labelled does not vote."""
    dataset = load(cache / "cinc2017.npz")
    record = np.repeat([f"r{i}" for i in range(12)], 2)
    rhythm = np.full((24, 5), np.nan, np.float16)
    rhythm[:, AF] = np.repeat(np.arange(12) % 3 == 0, 2)
    augmented = np.zeros(24, np.bool_)
    augmented[1] = True
    (look,) = looks_of(replace(dataset, record=record, rhythm_target=rhythm, augmented=augmented))
    assert len(look.truth) == 12
    assert 1 not in look.rows
    p = np.random.default_rng(0).random((24, len(OUTPUTS)))
    scores = scores_of(look, p[look.rows])
    names = np.unique(record).tolist()
    assert scores.p[names.index("r0")] == pytest.approx(p[0])
    assert scores.p[names.index("r1")] == pytest.approx(p[2:4].mean(0))
    assert scores.truth[names.index("r3"), AF] == 1
    assert np.isnan(scores.truth[:, NOISE]).all()
    assert scores.subject[names.index("r4")] == dataset.subject[8]


def test_twelve_leads_are_judged_by_sets_of_leads(cache: Path) -> None:
    """Windows of one set must not be counted among those of another, nor copies with noise added."""
    dataset = load(cache / "one.npz")
    names = np.resize(["12", "I", "I+II+V1", "limb"], len(dataset))
    augmented = np.arange(len(dataset)) < 8
    looks = looks_of(replace(dataset, leads_name=names, augmented=augmented))
    assert [look.leads for look in looks] == ["12", "I", "I+II+V1"]
    for look in looks:
        assert np.array_equal(look.rows, np.flatnonzero((names == look.leads) & ~augmented))


def made_up(noise: float, seed: int) -> Scores:
    """Two hundred windows of twenty patients, each of whom is hard or easy for everybody."""
    rng = np.random.default_rng(5)
    truth = np.full((200, len(OUTPUTS)), np.nan)
    truth[:, AF] = rng.random(200) < 0.5
    subject = np.repeat(np.arange(20), 10)
    hard = 2.0 * rng.random(20)[subject] * rng.normal(size=200)
    p = truth[:, AF] + hard + noise * np.random.default_rng(seed).normal(size=200)
    return Scores(np.repeat(1 / (1 + np.exp(-p))[:, None], len(OUTPUTS), 1), truth, subject.astype(str))


def test_differences_are_paired() -> None:
    """The same patients are drawn for both: what is hard for both must cancel, and only then is the interval narrow."""
    full, other = made_up(0.0, 0), made_up(0.1, 1)
    found = differences(other, full, 200)["auroc"]
    assert found["value"] == pytest.approx(figures(other)["auroc"] - figures(full)["auroc"])
    assert found["high"] - found["low"] < 0.03  # of either alone it is about 0.2
    nothing = differences(full, full, 50)["auroc"]
    assert (nothing["value"], nothing["low"], nothing["high"]) == (0, 0, 0)
    with pytest.raises(ValueError, match="different windows"):
        differences(other, Scores(full.p[::-1], full.truth[::-1], full.subject[::-1]), 20)


def test_scores_come_back_as_they_were() -> None:
    """Rows are made of what was stored."""
    stored = unpacked(packed({"a 12": made_up(0.0, 0), "b own": made_up(1.0, 1)}))
    assert list(stored) == ["a 12", "b own"]
    assert np.array_equal(stored["b own"].p, made_up(1.0, 1).p)


def test_the_command_writes_both_files_and_refuses_what_it_does_not_know(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is called."""
    asked = ["--cache", str(cache), "--out", str(tmp_path), "--leave-out", "cinc2017", "--draws", "10"]
    assert command.main([*asked, "--variants", "trees_rr", "--trees", "5"]) == 0
    assert "trees_rr" in (tmp_path / "ablations.md").read_text()
    assert (tmp_path / "ablations.json").read_text().startswith("[")
    assert command.main([*asked, "--variants", "treez"]) == 2
    assert "no variant 'treez'" in capsys.readouterr().err
    assert command.main(["--cache", str(cache), "--out", str(tmp_path), "--leave-out", "nobody"]) == 2
    assert "'nobody'" in capsys.readouterr().err
