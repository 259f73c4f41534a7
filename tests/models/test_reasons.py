"""What a finding says in words of what speaks for its rhythm, and of its prediction set."""

from dataclasses import replace

import numpy as np
import pytest

from ecg.synthetic import SyntheticPatient
from models.classes import RHYTHMS
from models.features.extractor import RhythmMemory
from models.network.weights import load_model
from models.reasons import UNUSUAL, reason
from models.rhythm_network import RhythmNetwork
from tests.models.network_inputs import patient_window

FS = 500


def told(rhythm: str, script: str, seed: int) -> list[str]:
    """The reasons why the patient's newest window is called ``rhythm``, one by one."""
    said = reason(rhythm, patient_window(script, seed), unusual=False)
    return said.split(", ") if said else []


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_af_is_told_by_irregular_rr_missing_p_and_its_f_waves(seed: int) -> None:
    """A nurse checks these on the strip: all three are there in AF, and the f waves at a rate that f waves have."""
    irregular, no_p, f_waves = told("af", "af(rate=110) 30s", seed)
    assert (irregular, no_p) == ("irregular RR", "no repeating P wave")
    words = f_waves.split()
    assert (words[:2], words[3]) == (["f", "waves"], "/min")
    assert 240 <= int(words[2]) <= 540


@pytest.mark.parametrize("seed", [1, 5, 8])
@pytest.mark.parametrize(("ventricles", "block"), [(150, 2), (110, 2), (80, 4)])
def test_flutter_is_told_with_the_rate_of_its_atria(ventricles: int, block: int, seed: int) -> None:
    """The atria's rate is counted, not the pulse's: within a bin of the spectrum, 15 /min, of what the patient has."""
    atrial, regular = told("flutter", f"flutter(rate={ventricles}, block={block}) 30s", seed)
    assert regular == "regular RR"
    assert atrial.startswith("atrial waves ")
    assert atrial.endswith(" /min")
    assert int(atrial.split()[2]) == pytest.approx(ventricles * block, abs=15)


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_sinus_rhythm_is_told_by_its_p_waves(seed: int) -> None:
    """Regular or with marked sinus arrhythmia: P stands before each QRS, and only the regular one is called so."""
    assert told("sinus", "sinus(rate=70) 30s", seed) == ["P wave before each QRS", "regular RR"]
    assert told("sinus", "sinus(rsa=0.2) 40s", seed) == ["P wave before each QRS"]


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_no_reason_contradicts_the_strip(seed: int) -> None:
    """P waves are never denied where they are, nor claimed in AF; AF is not regular, sinus rhythm not irregular."""
    assert not {"irregular RR", "no repeating P wave"} & set(told("af", "sinus(rate=70) 30s", seed))
    assert told("sinus", "af(rate=110) 30s", seed) == []
    assert "regular RR" not in told("flutter", "af(rate=110) 30s", seed)


@pytest.mark.parametrize("rhythm", ["other", "noise"])
def test_where_no_measurement_speaks_nothing_is_said(rhythm: str) -> None:
    """For noise and for all other rhythms no measurement has a limit: no words are better than wrong ones."""
    assert told(rhythm, "af(rate=110) 30s", 1) == []
    assert reason(rhythm, patient_window("af(rate=110) 30s", 1), unusual=True) == UNUSUAL


@pytest.mark.parametrize(
    ("script", "rhythm", "said"),
    [("af(rate=110) 60s", "af", "irregular RR"), ("sinus(rate=70) 60s", "sinus", "regular RR")],
)
def test_of_beats_alone_only_the_pulse_is_spoken_of(script: str, rhythm: str, said: str) -> None:
    """Without a waveform nobody saw a P or an f wave: neither their absence nor their presence is a reason."""
    beats = SyntheticPatient(script, 3).recording().beats
    assert beats is not None
    inputs = RhythmMemory().extract(beats, 60 * FS)
    assert reason(rhythm, inputs, unusual=False) == said


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
