"""The model card: its numbers are those it was given, and it refuses numbers of another model."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.classes import OUTPUTS, RHYTHMS
from models.features.minirocket import fit
from models.features.minirocket_leads import shared_config, tiled
from models.network.config import NetworkConfig
from models.network.shapes import tensor_shapes
from models.network.weights import Model, save_model
from models.uncertainty.calibration import Calibration
from models.uncertainty.conformal import Conformal, coverage
from models.uncertainty.reliability import reliability
from wardbeat.evaluation.report import Report, WindowTable
from wardbeat.evaluation.summary import Draws, window_row
from wardbeat.training.card import LIMITS, NOT_FOR, CardFacts, SplitRow, model_card
from wardbeat.training.sources import SOURCES

CONFIG = NetworkConfig(d=16, narrow=4, wide=8, blocks=1, d_state=4, headdim=8, heads=2, joint_hidden=8)
RNG = np.random.default_rng(0)
SUBJECTS = np.array([f"s{i}" for i in range(40)])
TARGET = np.eye(5)[np.arange(40) % 4]  # never noise
P = np.clip(0.1 + 0.7 * TARGET + RNG.normal(0, 0.1, TARGET.shape), 0.01, 0.99)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> CardFacts:
    """A small model with all that a card tells."""
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    model = model_in(path)
    found = reliability(P[:, 0], TARGET[:, 0], SUBJECTS)
    row = window_row("ptbxl", "I", TARGET[:, 0], P[:, 0], SUBJECTS, Draws(draws=50))
    tables = (WindowTable("Databases", "AF against all else", "leads", (row,)),)
    return CardFacts(
        model=model,
        bytes=path.stat().st_size,
        splits=[SplitRow("mitdb", 17, 3, 4, 1234), SplitRow("cinc2017", 0, 0, 0, 0, left_out=True)],
        reports=[Report("Shipped", model.name, "Held-out patients.", tables)],
        left_out_reports=[Report("Left out", "several", "Each database was left out.", tables)],
        coverage=coverage(model.conformal, P, TARGET, SUBJECTS),
        reliability={"af": (found, found)},
        shortfalls=["Left-out PTB-XL stays below the aim."],
    )


def model_in(path: Path) -> Model:
    """Random weights; AF calibrated, the rest not; flutter with too few patients."""
    rng = np.random.default_rng(1)
    network = {name: rng.normal(size=shape).astype(np.float32) for name, shape in tensor_shapes(CONFIG).items()}
    noise = np.repeat(rng.integers(-300, 300, (4, 1, 1000)).astype(np.int16), 12, axis=1)
    minirocket = tiled(fit(noise, np.ones(noise.shape, np.bool_), shared_config(100, 504, 3.0)))
    slope = np.ones(len(OUTPUTS))
    slope[0] = 0.625
    calibration = replace(Calibration.identity(), slope=slope)
    conformal = Conformal(
        np.array([0.1]),
        np.array([0.3125, 0, 0.2, 0.2, 0.2]),
        np.array([31, 8, 20, 20, 20]),
        np.array([310, 80, 9, 9, 9]),
    )
    training = {"steps": 1600, "config": {"seed": 7, "left_out": ["cinc2017"]}}
    return save_model(path, network, CONFIG, minirocket, calibration, conformal, training)


def test_the_card_holds_what_it_was_given(facts: CardFacts) -> None:
    """Hash, size, splits, licences, training, calibration, sets, reports, shortfalls: each is there, as it was."""
    card = model_card(facts)
    assert f"# Model card: {facts.model.name}" in card
    assert facts.model.sha256 in card
    assert f"{facts.bytes / 1e6:.2f} MB" in card
    assert "| mitdb | 17 | 3 | 4 | 1234 | no |" in card
    assert "| cinc2017 | 0 | 0 | 0 | 0 | yes |" in card
    assert "Moody & Mark 2001, 10.13026/C2F305 | ODC-BY 1.0 |" in card
    assert "| `steps` | 1600 |" in card
    assert "| `config.seed` | 7 |" in card
    assert "| `network.d_state` | 4 |" in card
    assert "| af | 0.625 | +0.000 | 40 | 40 | 0.250 |" in card
    assert "| flutter | not fitted | not fitted |" in card
    assert "| af | 0.3125 | 31 | 310 | 10 | 10 |" in card
    assert "| flutter | never ruled out | 8 | 80 |" in card
    assert "Left-out PTB-XL stays below the aim." in card
    for sentence in (*NOT_FOR, *LIMITS):
        assert sentence in card


def test_what_was_not_measured_is_a_dash(facts: CardFacts) -> None:
    """Noise had no test patient, and most outputs no reliability: no number stands there."""
    card = model_card(facts)
    assert "| noise | 0.2000 | 20 | 9 | 0 | 0 | – | – | – | – | – |" in card
    assert "| pvc | not fitted | not fitted | – | – | – | – | – | – |" in card
    assert "nan" not in card


def test_sections_nest_and_left_out_figures_come_apart(facts: CardFacts) -> None:
    """Headings of the reports stand below those of the card; figures of other networks say that they are."""
    card = model_card(facts)
    heads = re.findall(r"^#+ .*$", card, re.MULTILINE)
    assert sum(head.startswith("# ") for head in heads) == 1
    apart, own = heads.index("## Databases never seen"), heads.index("## This file")
    assert heads[apart + 1 : apart + 3] == ["### Left out", "#### Databases"]
    assert heads[own + 1 : own + 3] == ["### Shipped", "#### Databases"]
    assert "These figures are not of this file" in card


def test_numbers_of_another_model_are_refused(facts: CardFacts) -> None:
    """A card must not show what other weights reached as its own."""
    other = replace(facts, reports=[Report("Old", "rhythm-1-0000000000000000", "Held-out patients.")])
    with pytest.raises(ValueError, match=r"expected model rhythm-1-[0-9a-f]{16}, got 'rhythm-1-0000000000000000'"):
        model_card(other)


def test_data_without_a_licence_is_refused(facts: CardFacts) -> None:
    """Every dataset is named with source and licence, or there is no card."""
    with pytest.raises(ValueError, match="no source and licence known of private"):
        model_card(replace(facts, splits=[SplitRow("private", 1, 0, 0, 10)]))
    assert all(all(source) for source in SOURCES.values())


def test_sentences_hold_no_figures() -> None:
    """What the card claims in words was not measured here: no number may hide in it."""
    assert not [sentence for sentence in (*NOT_FOR, *LIMITS) if re.search(r"\d+(\.\d+)?( %|\b(?!-lead))", sentence)]


def test_the_set_names_are_the_networks(facts: CardFacts) -> None:
    """All rhythms have a row in the table of sets."""
    table = model_card(facts).split("## Prediction sets")[1].split("## ")[0]
    assert [line.split(" | ")[0].strip("| ") for line in table.splitlines() if line.startswith("| ")][2:] == list(
        RHYTHMS
    )
