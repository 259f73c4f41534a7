"""Synthetic patients for training: all kinds are there, and what is annotated is what is learnt."""

import numpy as np
import pytest

from ecg.synthetic import Script, SyntheticPatient
from models.classes import AF, FINDINGS, FLUTTER, NOISE, OTHER, SINUS
from wardbeat.training import patients
from wardbeat.training.labels import Annotated, Truth


def truth_of(script: str, end_s: float, seed: int = 1) -> Truth:
    """What is learnt of the window that ends at ``end_s``."""
    made = SyntheticPatient(script, seed=seed, leads=("II",)).recording()
    return Annotated.of("synthetic", made.rhythms, made.fs, made.beats, made.beat_symbols).window(end_s)


def finding(truth: Truth, name: str) -> float:
    """One of the findings."""
    return float(truth.findings[FINDINGS.index(name)])


def test_every_number_is_a_patient_of_a_minute():
    """A script that the generator refuses would be missing from the cache; a kind that is never drawn is not learnt."""
    seen = set()
    for number in range(patients.COUNT):
        kind, leads, script = patients.drawn(number)
        assert 35 <= Script.parse(script).seconds <= 75, (number, kind)
        assert leads in patients.SEEN_THROUGH
        seen.add(kind)
    assert seen == set(patients.KINDS)
    with pytest.raises(ValueError, match="'afib'"):
        patients.script_of("afib", np.random.default_rng(0))


def test_some_patients_tremble():
    """Their annotations are those of the same patient at rest, and whatever the kind some of it tremble."""
    trembling = []
    for number in range(60):
        kind, leads, script = patients.drawn(number)
        made = patients.patient(number)
        rest = SyntheticPatient(script, seed=number, leads=leads).recording()
        assert made.leads == leads
        if kind != "noise":
            assert np.array_equal(made.beats, rest.beats)
            assert made.rhythms == rest.rhythms
        if not np.array_equal(made.microvolts, rest.microvolts, equal_nan=True):
            trembling.append(kind)
    assert 0.5 < len(trembling) / 60 / patients.TREMBLING < 2
    assert len(set(trembling)) > 2


def test_af_stays_af_whatever_the_ventricles_do():
    """Ectopy, a wide QRS and a pacemaker are findings beside AF; without this the network learns them against it."""
    ectopy = truth_of("af(rate=90)+pvc(0.3) 30s", 20)
    wide = truth_of("af(rate=90)+lbbb 30s", 20)
    right = truth_of("af(rate=90)+rbbb 30s", 20)
    paced = truth_of("paced(rate=70, atria=af) 30s", 20)
    for truth in (ectopy, wide, right, paced):
        assert truth.rhythm[AF] == 1
        assert truth.rhythm[[FLUTTER, SINUS, NOISE]].tolist() == [0, 0, 0]
        assert (truth.seconds[:, AF] == 1).all()
    assert [finding(each, "pvc") for each in (ectopy, wide, right, paced)] == [1, 0, 0, 0]
    assert [finding(each, "lbbb") for each in (ectopy, wide, right, paced)] == [0, 1, 0, 0]
    assert [finding(each, "rbbb") for each in (ectopy, wide, right, paced)] == [0, 0, 1, 0]
    assert [finding(each, "paced") for each in (ectopy, wide, right, paced)] == [0, 0, 0, 1]


def test_what_is_as_irregular_as_af_is_none():
    """Pauses are sinus rhythm, runs of PACs and a pacemaker over P waves are other rhythms."""
    sick = truth_of("pause(s=2.5, rate=45) 7s, brady(rate=38) 5s, sinus(rate=80) 5s", 14)
    assert sick.rhythm[[AF, SINUS]].tolist() == [0, 1]
    runs = [truth_of("pac(rate=70, p=0.3, run=8) 60s", end) for end in (20, 30, 40, 50)]
    assert all(truth.rhythm[AF] == 0 and finding(truth, "pac") == 1 for truth in runs)
    assert any(truth.rhythm[OTHER] == 1 for truth in runs)
    paced = truth_of("paced(rate=70, atria=sinus) 30s", 20)
    assert paced.rhythm[[AF, SINUS, OTHER]].tolist() == [0, 0, 1]
    flutter = truth_of("flutter(rate=100, block=var)+rbbb 30s", 20)
    assert flutter.rhythm[[AF, FLUTTER]].tolist() == [0, 1]
    assert finding(flutter, "rbbb") == 1
