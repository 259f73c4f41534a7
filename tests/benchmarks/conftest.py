"""A cache of two small databases, and runs of seconds on it."""

from pathlib import Path

import numpy as np
import pytest

from models.network.config import NetworkConfig
from tests.training.random_cache import write as write_cache
from wardbeat.training.config import LossConfig, TrainingConfig

TINY = NetworkConfig(d=16, narrow=4, wide=8, blocks=2, d_state=4, headdim=8, heads=2, joint_hidden=16)
SUBJECTS = [f"p{i}" for i in range(40)]
LEFT_OUT = ("cinc2017",)  # labels whole records


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two databases, one of which is left out."""
    folder = tmp_path_factory.mktemp("cache")
    write_cache(folder, "one", SUBJECTS[:28], 2, seed=1)
    return write_cache(folder, "cinc2017", SUBJECTS[28:], 2, seed=2, record=np.arange(24).astype(str))


@pytest.fixture
def base(cache: Path) -> TrainingConfig:
    """Runs of two steps."""
    return TrainingConfig(
        cache=str(cache),
        run="",
        teacher="",
        steps=2,
        batch=6,
        check_steps=2,
        threads=1,
        loss=LossConfig(distillation=3.0),
        network=TINY,
    )
