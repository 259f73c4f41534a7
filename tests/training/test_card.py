"""The model card: its numbers are those it was given, and it refuses numbers of another model."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.classes import OUTPUTS, RHYTHMS
from models.features.minirocket import fit
from models.features.minirocket_leads import shared_config, tiled
from models.network.config import NetworkConfig
from models.network.shapes import tensor_shapes
from models.network.weights import Model, load_model, save_model
from models.uncertainty.conformal import Conformal
from tests.models.unfitted import identity
from wardbeat.evaluation.aims import AIMS
from wardbeat.evaluation.bootstrap import Estimate
from wardbeat.evaluation.episodes import Alarm, Record
from wardbeat.evaluation.intervals import Interval
from wardbeat.evaluation.markdown import to_markdown
from wardbeat.evaluation.networks import Seen
from wardbeat.evaluation.report import CauseRow, CoverageRow, NetworkRow, Report, WindowTable, from_json
from wardbeat.evaluation.summary import Draws, episode_row, false_alarm_row, window_row
from wardbeat.evaluation.synthetic import SYNTHETIC
from wardbeat.evaluation.tables import LEADS_TITLE, OUTPUTS_TITLE, PAROXYSMAL
from wardbeat.training.card import Ablation, model_card, read_ablations
from wardbeat.training.card_words import CHOSEN, COST, ERRORS, LIMITS, NOT_FOR
from wardbeat.training.sources import SOURCES

CONFIG = NetworkConfig(d=16, narrow=4, wide=8, blocks=1, d_state=4, headdim=8, heads=2, joint_hidden=8)
RNG = np.random.default_rng(0)
SUBJECTS = np.array([f"s{i}" for i in range(40)])
TARGET = np.eye(5)[np.arange(40) % 4]  # never noise
P = np.clip(0.1 + 0.7 * TARGET + RNG.normal(0, 0.1, TARGET.shape), 0.01, 0.99)
BYTES = 1_234_567


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A small one."""
    return model_in(tmp_path_factory.mktemp("weights") / "model.safetensors")


@pytest.fixture(scope="module")
def report(model: Model) -> Report:
    """CinC 2017 by a network that never saw it, VitalDB by the shipped one on other patients."""
    row = window_row("cinc2017", "1 lead", TARGET[:, 0], P[:, 0], SUBJECTS, Draws(draws=50))
    seen = window_row("vitaldb_arrdb_rr", "RR alone", TARGET[:, 0], P[:, 0], SUBJECTS, Draws(draws=50))
    pac = window_row("cinc2017", "pac", TARGET[:, 1], P[:, 1], SUBJECTS, Draws(draws=50), ("auroc", "f1"))
    return Report(
        "Evaluation",
        f"rhythm-2-other; {model.name}",
        "Left out.",
        windows=(
            WindowTable(LEADS_TITLE, "AF against all else", "leads", (row, seen)),
            WindowTable(OUTPUTS_TITLE, "as the row says", "output", (pac,)),
        ),
        causes=(
            CauseRow("noise", "cinc2017", "records", 100, Estimate(0.08, 0.03, 0.14, 100, 100), 100),
            CauseRow("sick sinus", "vitaldb_arrdb_rr", "windows", 9, Estimate(0.5, 0.1, 0.9, 9, 5), 5, 1.0, 2, 1),
        ),
        coverage=(CoverageRow("cinc2017", "af", 10, 10, Estimate(0.71, 0.5, 0.9, 10, 10), 0.7, 1.25),),
        networks=(
            NetworkRow("cinc2017", "rhythm-2-other", ("cinc2017",), Seen.NOTHING, 40, 40, 40, "one"),
            NetworkRow("vitaldb_arrdb_rr", model.name, (), Seen.OTHERS, 40, 300, 40, "one"),
            NetworkRow("ltafdb_rr", model.name, (), Seen.OTHERS, 0, 3, 0, "one"),
        ),
    )


def model_in(path: Path) -> Model:
    """Random weights; AF calibrated, the rest not; flutter with too few patients."""
    rng = np.random.default_rng(1)
    network = {name: rng.normal(size=shape).astype(np.float32) for name, shape in tensor_shapes(CONFIG).items()}
    noise = np.repeat(rng.integers(-300, 300, (4, 1, 1000)).astype(np.int16), 12, axis=1)
    minirocket = tiled(fit(noise, np.ones(noise.shape, np.bool_), shared_config(100, 504, 3.0)))
    slope = np.ones(len(OUTPUTS))
    slope[0] = 0.625
    calibration = replace(identity(), slope=slope)
    conformal = Conformal(
        np.array([0.1]),
        np.array([0.3125, 0, 0.2, 0.2, 0.2]),
        np.array([31, 8, 20, 20, 20]),
        np.array([310, 80, 9, 9, 9]),
    )
    subjects = {"mitdb": {"train": 17, "validation": 3, "calibration": 4}, "cinc2017": {"left_out": 40}}
    training = {"steps": 1600, "network": {"seed": 7}, "subjects": subjects}
    return save_model(path, network, CONFIG, minirocket, calibration, conformal, training)


def section(card: str, title: str) -> str:
    (found,) = re.findall(rf"^## {title}.*?(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_card_holds_what_it_was_given(model: Model, report: Report) -> None:
    """Hash, size, licences, patients, settings, figures, sets: each is there, as it was."""
    card = model_card(model, BYTES, report, [Ablation("no context", "cinc2017", "one", 0.95, None)], "Noise is scarce.")
    assert f"# Model card: {model.name}" in card
    assert model.sha256 in card
    assert "1.23 MB" in card
    data = section(card, "Data of this file")
    assert "Moody & Mark 2001, 10.13026/C2F305 | ODC-BY 1.0 | 17 | 3 | 4 |" in data
    assert "CinC Challenge 2017, Clifford et al. 2017 | ODC-BY 1.0 | 0 | 0 | 0 |" in data
    assert "no rhythm was learnt: bedside alarms, the 60 s that end at the alarm" in data
    assert "Clifford et al. 2015; ODC-BY 1.0." in data
    assert "steps `1600`" in section(card, "Training of this file")
    assert "network.seed `7`" in section(card, "Training of this file")
    assert "| cinc2017 | 1 lead | 40 | 10 | 10 | 1.000 (1.000–1.000) |" in section(card, "AF in windows")
    assert "| pac | cinc2017 | 40 | 10 | 10 | 1.000" in section(card, "What else it tells")
    assert "| noise | cinc2017 | 100 records | 100 | 8.0 (3.0–14.0) |" in section(card, "What is easily taken")
    assert "| cinc2017 | af | 10 | 10 | 0.710 (0.500–0.900) | 0.700 | 1.25 |" in section(card, "Prediction sets")
    assert "| no context | 0.950 / – |" in section(card, "What each part adds")
    assert "Noise is scarce." in section(card, "Where it falls short")
    assert "nan" not in card
    for sentence in (*NOT_FOR, *LIMITS, CHOSEN, COST, ERRORS):
        assert sentence in card


def test_aims_are_judged_by_the_figures(model: Model, report: Report) -> None:
    """Protects the first table: what was reached suffices or not, what was not measured says so, none is left out."""
    card = model_card(model, BYTES, report)
    table = section(card, "Aims, and what was reached")
    assert len(re.findall(r"^\| ", table, re.MULTILINE)) == 2 + len(AIMS)
    assert "| CinC 2017, one lead: AUROC | ≥ 0.98 | 1.000 (1.000–1.000) | yes |" in table
    assert "| CinC 2017: noise called AF | ≤ 5 % | 8.0 (3.0–14.0) % | **no** |" in table
    assert "| MIT-BIH, windows: AUROC | ≥ 0.995 | not measured | – |" in table
    short = section(card, "Where it falls short")
    assert f"Of {len(AIMS)} aims 2 are missed: CinC 2017: noise called AF; prediction sets hold" in short
    assert "| at least af 71 (50–90) % (cinc2017, 10 patients) | **no** |" in table
    assert "Not measured: PTB-XL, 12 leads: AUROC;" in short


def test_figures_of_what_was_seen_are_not_among_those_never_seen(model: Model, report: Report) -> None:
    """Protects "never seen": VitalDB was, so its windows are not in that table, and who judged it stands there."""
    card = model_card(model, BYTES, report)
    assert "vitaldb" not in section(card, "AF in windows")
    assert "| sick sinus | vitaldb_arrdb_rr † | 9 windows |" in section(card, "What is easily taken")
    assert "| noise | cinc2017 |" in section(card, "What is easily taken")
    judged = section(card, "Who judged what")
    assert f"| vitaldb_arrdb_rr | `{model.name}` | – | {Seen.OTHERS} | 40 of 300 | 40 |" in judged
    assert "| ltafdb_rr | not judged | – | all of its patients | 0 of 3 | 0 |" in judged
    assert "not all" not in judged.lower()


def test_what_all_networks_had_is_no_secret(model: Model, report: Report) -> None:
    """Protects "never seen": what was had of a database without labels stands at its figures' explanation and judge."""
    assert "Without labels" not in model_card(model, BYTES, report)
    had = msgspec.structs.replace(report.networks[0], unlabelled="its signals set the biases")
    card = model_card(model, BYTES, msgspec.structs.replace(report, networks=(had, *report.networks[1:])))
    assert (
        "Without labels every network had something of some databases: of cinc2017 its signals set the biases." in card
    )
    assert f"{Seen.NOTHING}; but without labels: its signals set the biases |" in section(card, "Who judged what")


def test_flutter_is_shown_however_few_have_it(model: Model, report: Report) -> None:
    """Protects an alarm that is easily forgotten: rows of one patient, its episodes, its false alarms beside AF's."""
    one = np.repeat(["a", "b"], 20)
    said = window_row("cinc2017", "flutter", np.arange(40) < 20, P[:, 1], one, Draws(draws=50), ("auroc", "f1"))
    brady = window_row("cinc2017", "brady", np.arange(40) < 20, P[:, 1], one, Draws(draws=50), ("auroc", "f1"))
    windows = (report.windows[0], msgspec.structs.replace(report.windows[1], rows=(said, brady)))
    record = Record("r", "a", 500, Interval(0, 9000), (Interval(0, 4500),), (Interval(0, 4500),))
    alarms = {"r": [Alarm(5000, 6000, 5500)]}
    told = episode_row("cinc2017", "burden", [record], {"r": np.arange(0, 9000, 400)}, alarms, Draws(draws=50))
    false = false_alarm_row("cinc2017", "all records", [record], alarms, Draws(draws=50))
    none = false_alarm_row("cinc2017", "all records", [record], {"r": []}, Draws(draws=50))
    found = msgspec.structs.replace(
        report, windows=windows, flutter_episodes=(told,), false_alarms=(none,), false_flutter=(false,)
    )
    card = model_card(model, BYTES, found)
    assert "| flutter | cinc2017 | 40 | 20 | 1 |" in section(card, "What else it tells")
    assert "brady |" not in section(card, "What else it tells")
    assert "| cinc2017 | 1 | 1 | 0.0 | 1 | 1 | 1.000 (–) | 1.000 (–) |" in section(card, "Flutter")
    per_day = 1 / (4500 / 500 / 86_400)
    assert f"| 0 | 0 | 0.00 (0.00–35413.24) | 1 | {per_day:.2f} (–) |" in section(card, "False alarms")


def test_a_median_says_how_many_it_rests_on(model: Model, report: Report) -> None:
    """Protects from errors of what was found taken for errors of all: of two onsets one was told."""
    episodes = (Interval(10_000, 20_000), Interval(40_000, 50_000))
    record = Record("r", "a", 500, Interval(0, 90_000), episodes, (Interval(10_400, 20_000),))
    row = episode_row("cinc2017", "burden", [record], {"r": np.arange(0, 90_000, 400)}, {"r": []}, Draws(draws=50))
    text = section(model_card(model, BYTES, msgspec.structs.replace(report, episodes=(row,))), "AF episodes")
    assert "| 1.0 (–), 1 of 2 | 0.0 (–), 1 of 2 | ∞, 2 of 2 | ∞, 2 of 2 |" in text


def test_synthetic_patients_do_not_mark_the_paroxysmal_ones(model: Model, report: Report) -> None:
    """Protects the row of all paroxysmal records: who is in AF throughout is not among them."""
    record = Record("r", "a", 500, Interval(0, 9000), (Interval(0, 4500),), ())
    row = episode_row(PAROXYSMAL, "burden", [record], {"r": np.arange(0, 9000, 400)}, {"r": []}, Draws(draws=50))
    for database, marked in ((SYNTHETIC, False), ("chapman_ningbo", True)):
        networks = (*report.networks, NetworkRow(database, model.name, (), Seen.GENERATOR, 8, 8, 8, "one"))
        rows = (row, msgspec.structs.replace(row, database=database))
        card = model_card(model, BYTES, msgspec.structs.replace(report, networks=networks, episodes=rows))
        assert (f"| {PAROXYSMAL} † |" in card) is marked
        assert f"| {database} † |" in card


def test_the_commands_are_those_that_made_the_card(model: Model, report: Report) -> None:
    """Protects "these figures again": files that the card was made with are named, others are not."""
    command = "wardbeat card weights/evaluation.json"
    assert f"{command} --out weights/MODEL_CARD.md" in model_card(model, BYTES, report)
    rows = [Ablation("no context", "cinc2017", "one", 0.95, None)]
    with_both = f"{command} --remarks weights/remarks.md --ablations weights/ablations.json --out weights/MODEL_CARD.md"
    assert with_both in model_card(model, BYTES, report, rows, "Noise is scarce.")


def test_the_shipped_papers_are_what_the_code_makes_of_the_shipped_figures() -> None:
    """Protects the papers beside the weights: neither edited by hand nor older than the code, nor of other weights."""
    folder = Path(__file__).parents[2] / "weights"
    file, ablations = folder / "model.safetensors", folder / "ablations.json"
    report = from_json((folder / "evaluation.json").read_bytes())
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    shas = {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (file, *folder.glob("left_out/*.safetensors"))
    }
    assert f"sha256 `{shas[file]}`" in card
    assert {row.model for row in report.networks} == {f"rhythm-2-{sha[:16]}" for sha in shas.values()}
    rows = read_ablations(ablations) if ablations.is_file() else []
    remarks = (folder / "remarks.md").read_text(encoding="utf-8")
    assert card == model_card(load_model(file), file.stat().st_size, report, rows, remarks)
    assert (folder / "EVALUATION.md").read_text(encoding="utf-8") == to_markdown(report)


def test_a_broken_promise_is_told(model: Model, report: Report) -> None:
    """Protects the sentence on prediction sets: AF is in 71 % of the sets, where 90 % are promised."""
    assert "not kept everywhere: it falls short in af (cinc2017)." in model_card(model, BYTES, report)
    kept = CoverageRow("cinc2017", "af", 10, 10, Estimate(0.93, 0.8, 1.0, 10, 10), 0.9, 1.25)
    assert "It is kept on all databases" in model_card(model, BYTES, msgspec.structs.replace(report, coverage=(kept,)))


def test_networks_trained_otherwise_are_named(model: Model, report: Report) -> None:
    """Protects "trained in the same way": settings that differ are said to."""
    rows = (msgspec.structs.replace(report.networks[0], recipe="two"), *report.networks[1:])
    judged = section(model_card(model, BYTES, msgspec.structs.replace(report, networks=rows)), "Who judged what")
    assert "with the same settings:** cinc2017; vitaldb_arrdb_rr." in judged


def test_numbers_of_another_model_are_refused(model: Model, report: Report) -> None:
    """A card must not show what other weights reached as its own, nor without networks that left something out."""
    rows = tuple(msgspec.structs.replace(row, model="rhythm-2-old") for row in report.networks)
    with pytest.raises(ValueError, match=r"expected vitaldb_arrdb_rr by rhythm-2-[0-9a-f]{16}, got 'rhythm-2-old'"):
        model_card(model, BYTES, msgspec.structs.replace(report, networks=rows))
    with pytest.raises(ValueError, match="use --left-out"):
        model_card(model, BYTES, msgspec.structs.replace(report, networks=report.networks[1:]))


def test_data_without_a_licence_is_refused(model: Model, report: Report) -> None:
    """Every dataset is named with source and licence, or there is no card."""
    private = replace(model, training={"subjects": {"private": {"train": 1}}})
    with pytest.raises(ValueError, match="no source and licence known of private"):
        model_card(private, BYTES, report)
    with pytest.raises(ValueError, match="names no subjects"):
        model_card(replace(model, training={}), BYTES, report)
    assert all(all(source) for source in SOURCES.values())


def test_ablations_are_read_or_refused(tmp_path: Path) -> None:
    """Protects the table of parts: rows as another program writes them; a row that lacks a figure is quoted."""
    path = tmp_path / "ablations.json"
    row = {"name": "whole", "dataset": "mitdb", "leads": "2", "auroc": 0.99, "f1": 0.9, "seconds": 12}
    path.write_text(json.dumps([row]), encoding="utf-8")
    assert read_ablations(path) == [Ablation("whole", "mitdb", "2", 0.99, 0.9)]
    path.write_text(json.dumps([{"name": "whole"}]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"ablations\.json: expected a list .* `dataset`"):
        read_ablations(path)


def test_sentences_hold_no_figures() -> None:
    """What the card claims in words was not measured here: no number may hide in it."""
    assert not [sentence for sentence in (*NOT_FOR, *LIMITS) if re.search(r"\d+(\.\d+)?( %|\b(?!-lead))", sentence)]


def test_the_set_names_are_the_networks(model: Model, report: Report) -> None:
    """All rhythms have a threshold in the card, or are said never to be ruled out."""
    lines = section(model_card(model, BYTES, report), "Prediction sets").splitlines()
    bars = [line.split(" | ")[:2] for line in lines if line.startswith("| ")][-len(RHYTHMS) :]
    assert [name.strip("| ") for name, _ in bars] == list(RHYTHMS)
    assert [bar for _, bar in bars][:2] == ["0.3125", "never ruled out"]
