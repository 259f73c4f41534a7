"""What a finding says in words of its prediction set."""

from dataclasses import replace

import numpy as np
import pytest

from models.classes import RHYTHMS
from models.features.extractor import RhythmMemory
from models.network.weights import load_model
from models.reasons import UNUSUAL
from models.rhythm_network import RhythmNetwork

FS = 500


@pytest.mark.parametrize(("threshold", "unusual"), [(1.0, True), (0.0, False)])
def test_a_window_that_no_rhythm_fits_says_so(threshold: float, unusual: bool) -> None:
    """A set of one rhythm reads as certain; where nothing reached its threshold it is the opposite."""
    model = load_model()
    k = len(RHYTHMS)
    conformal = replace(
        model.conformal,
        thresholds=np.full(k, threshold),
        subjects=np.full(k, 100, np.int64),
        windows=np.full(k, 100, np.int64),
    )
    beats = np.arange(0, 60 * FS, 400)
    network = RhythmNetwork(replace(model, conformal=conformal))
    judged = network.judge(RhythmMemory().extract(beats, 60 * FS))
    assert network.excludable == (set(RHYTHMS) if unusual else set())
    assert judged.reason.endswith(UNUSUAL) is unusual
    assert len(judged.prediction_set) == (1 if unusual else k)
