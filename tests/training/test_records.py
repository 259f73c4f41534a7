"""Which records, through which leads, at which moments."""

from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ecg.leads import LEADS
from ecg.synthetic import SyntheticPatient
from models.features.minirocket_leads import fit_shared, shared_config
from models.features.minirocket_parameters import MiniRocketParameters
from models.inputs import NetworkInput
from models.network.batch import Batch
from models.network.forward import Forward, Result
from models.network.weights import load_model
from models.rhythm_network import RhythmNetwork
from stream.bed import BedConfig
from stream.offline import analyze_beats, analyze_recording
from wardbeat.training.records import (
    LIMB,
    PLANS,
    Record,
    augmented_leads,
    beat_ends,
    beat_windows,
    clean_leads,
    good_share,
    named,
    records_of,
    through,
    windows,
)


@pytest.fixture(scope="module")
def kernels() -> MiniRocketParameters:
    """Of noise: these tests look at moments, not at morphology."""
    steps = np.random.default_rng(0).integers(-100, 100, (8, 12, 1000)).astype(np.int16)
    return fit_shared(steps, np.ones(steps.shape, np.bool_), shared_config(100, 504, 1.0))


def test_rows_of_the_index(tmp_path: Path):
    """A record is its path, its patient and its labels; a dataset that is not there is said by name."""
    (tmp_path / "index.csv").write_text(
        "path,dataset,subject,fs,labels\na/1,ptbxl_z500,p7,500,SR;PAC\nb/1,mitdb,m1,360,N\na/2,ptbxl_z500,p8,500,AF\n"
    )
    one, two = records_of(tmp_path, "ptbxl_z500")
    assert one == Record("ptbxl_z500", "a/1", "p7", ("SR", "PAC"))
    assert (one.copies, two.copies) == (1, 2)  # AF is rare
    with pytest.raises(ValueError, match="no record of dataset 'cinc2011'"):
        records_of(tmp_path, "cinc2011")
    with pytest.raises(ValueError, match="unknown dataset 'mitdb2'"):
        records_of(tmp_path, "mitdb2")


def test_windows_are_as_often_as_wanted(kernels):
    """Windows end on the ward's grid; sparse ones are the same windows, only fewer."""
    recording = SyntheticPatient("sinus 35s", seed=1, leads=("II",)).recording("made")
    each = list(windows(recording, kernels))
    assert [drawn.end / 500 for drawn in each] == [10, 15, 20, 25, 30, 35]
    assert all(drawn.usable for drawn in each)
    assert each[0].input.leads.tolist() == [lead == "II" for lead in LEADS]
    assert [drawn.end / 500 for drawn in windows(recording, kernels, every_s=20)] == [10, 30]


def test_windows_that_the_ward_would_not_judge_are_told(kernels):
    """What is no signal for most of ten seconds is an INOP on the ward: the network never sees it."""
    recording = SyntheticPatient("sinus 12s, sinus+leads_off(all) 18s", seed=1, leads=("II",)).recording("made")
    usable = [drawn.usable for drawn in windows(recording, kernels)]
    assert usable[0]
    assert not usable[-1]


class Asked(NamedTuple):
    """The shipped network, and all that it was asked."""

    network: RhythmNetwork
    inputs: list[NetworkInput]


@pytest.fixture
def asked() -> Asked:
    """Not asked yet."""
    model = load_model()
    forward, inputs = Forward(model.network, model.config), []

    def told(batch: Batch) -> Result:
        for k in range(len(batch.rr)):
            inputs.append(NetworkInput(**{f.name: getattr(batch, f.name)[k] for f in fields(NetworkInput)}))
        return forward(batch)

    return Asked(RhythmNetwork(model, told), inputs)


def same(one: NetworkInput, other: NetworkInput) -> bool:
    """Equal in every array."""
    names = [f.name for f in fields(NetworkInput)]
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in names)


def test_training_sees_the_past_that_the_ward_sees(asked: Asked):
    """Windows that the ward does not judge leave no trace there: no age of a past window, no amplitude of noise."""
    recording = SyntheticPatient("sinus 20s, sinus+noise(1500) 30s, sinus 35s", seed=1, leads=("II",)).recording("made")
    config = BedConfig(hop_s=5.0, waves=False, network=asked.network)
    findings = analyze_recording(recording, config).findings
    drawn = list(windows(recording, asked.network.minirocket))
    assert [each.usable for each in drawn] == [finding.usable for finding in findings]
    assert 3 < sum(not each.usable for each in drawn) < len(drawn) - 6
    judged = [each.input for each in drawn if each.usable]
    assert len(asked.inputs) == len(judged)
    assert all(same(one, two) for one, two in zip(asked.inputs, judged, strict=True))


def test_beats_alone_have_the_past_that_the_ward_sees(asked: Asked):
    """The recorder was off for 40 s: windows without beats are judged by nobody, and are nobody's past."""
    rng = np.random.default_rng(0)
    beats = np.cumsum(rng.integers(350, 450, 300))
    beats = beats[(beats < 50 * 500) | (beats > 90 * 500)]
    config = BedConfig(hop_s=10.0, network=asked.network)
    findings = analyze_beats("r", beats, 500, config).findings
    assert {finding.usable for finding in findings} == {True, False}
    drawn = list(beat_windows(beats, np.array([finding.end for finding in findings])))
    assert [end for end, _ in drawn] == [finding.end for finding in findings if finding.usable]
    assert len(asked.inputs) == len(drawn)
    assert all(same(one, two) for one, (_, two) in zip(asked.inputs, drawn, strict=True))
    (after,) = (each for end, each in drawn if end == 110 * 500)
    assert after.context_age_s[:2].tolist() == [10, 60]


def test_good_and_bad_leads_of_a_record():
    """One bad lead of twelve makes a record unacceptable; the others must not be taught as noise."""
    recording = SyntheticPatient("sinus 10s", seed=1, leads=("I", "II")).recording("made")
    silent = recording.microvolts.copy()
    silent[0] = 0
    share = good_share(replace(recording, microvolts=silent))
    assert share["I"] < 0.1
    assert share["II"] > 0.9


def test_a_recording_through_some_of_its_leads():
    """The lead's name stays with its samples."""
    recording = SyntheticPatient("sinus 2s", seed=1).recording("made")
    seen = through(recording, ("V1", "II"))
    assert seen.leads == ("V1", "II")
    assert np.array_equal(seen.microvolts[1], recording.microvolts[1])


def test_records_have_a_most_of_windows():
    """VitalDB has long pieces of single patients: none of them may outweigh the others."""
    plan = PLANS["vitaldb_arrdb_rr"]
    nothing = np.empty(0)
    assert len(beat_ends(plan, 4 * 3600.0, nothing)) == plan.most == 40
    assert np.diff(beat_ends(plan, 300.0, nothing)).tolist() == [20 * 500] * 14


def test_sets_of_leads():
    """Every record is also seen as a telemetry pack, a handheld and a limb-lead monitor see it."""
    assert [named(leads) for leads in clean_leads(LEADS)] == ["12", "limb", "I+II+V1", "I", "II", "V1"]
    assert clean_leads(("II", "V5")) == [("II", "V5"), ("II",), ("V5",)]
    assert clean_leads(("II",)) == [("II",)]
    assert named(LIMB) == "limb"
    several, single = augmented_leads(LEADS, np.random.default_rng(0))
    assert len(several) > 1
    assert len(single) == 1


def test_beats_alone():
    """Windows of beats have the context that the ward would have, and end with the last beat."""
    beats = np.arange(100, 120 * 500, 400)
    drawn = list(beat_windows(beats, np.array([100 * 500])))
    ((end, x),) = drawn
    assert end == 100 * 500
    assert x.context_age_s.tolist() == [10, 20, 30, 40, 50]
    assert np.isfinite(x.context[:, 0]).all()
    assert not x.leads.any()


def test_ends_of_windows_of_beats():
    """Sparse in steady rhythm, dense around a change, none beyond the last beat: nobody knows what comes then."""
    ends = beat_ends(PLANS["afdb_rr"], 1805.0, np.array([905.0])) / 500
    assert ends[0] == 10
    assert ends[-1] <= 1805
    near = ends[np.abs(ends - 905) < 80]
    far = ends[np.abs(ends - 905) > 200]
    assert np.diff(near).tolist() == [10] * (len(near) - 1)
    assert (np.diff(far[far < 700]) == 60).all()
