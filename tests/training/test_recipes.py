"""The configs beside the weights are those that the weights were made by."""

from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest

from models.network.weights import load_model
from wardbeat.training.config import load

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
FOLDERS = ("cache", "run", "teacher")
LEFT_OUT = sorted((WEIGHTS / "left_out").glob("*.safetensors"))
FILES = {"all": WEIGHTS / "model.safetensors", **{path.stem: path for path in LEFT_OUT}}


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_is_that_of_its_weights(name: str) -> None:
    """Who trains again by the config must get the network that the card is of, and that saw no more than it says."""
    config = load(WEIGHTS / "training" / f"{name}.json")
    plain = msgspec.json.decode(msgspec.json.encode(asdict(config)))
    facts = dict(load_model(FILES[name]).training)
    facts.pop("subjects")
    assert facts == {key: value for key, value in plain.items() if key not in FOLDERS}


def test_each_file_has_a_recipe_and_each_recipe_a_file() -> None:
    """A network whose making nobody can repeat must not be judged by."""
    assert {path.stem for path in (WEIGHTS / "training").glob("*.json")} == set(FILES)
    assert len(FILES) > 1
